"""dpmm's MST, AIM and PrivBayes on a declared domain, without its own binning."""

from __future__ import annotations

from typing import Any

from dpmm.pipelines import AIMPipeline, MSTPipeline, PrivBayesPipeline
from synthesis_job import SynthesisJob, run

TECHNIQUES = {"MST": MSTPipeline, "AIM": AIMPipeline, "PrivBayes": PrivBayesPipeline}


def work(job: SynthesisJob, rows: Any) -> Any:
    """Fit and draw."""
    made = TECHNIQUES[job.algorithm](
        epsilon=job.epsilon, delta=job.delta, disable_processing=True, n_jobs=1
    )
    made.fit(rows, domain=dict(job.sizes))
    return made.generate(n_records=len(rows))


if __name__ == "__main__":
    run(work)
