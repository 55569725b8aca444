"""mbi's MST and AIM, as smartnoise-synth carries them, on a declared domain."""

from __future__ import annotations

import itertools
from typing import Any

from mbi import Dataset, Domain
from snsynth.aim.aim import AIMSynthesizer
from snsynth.mst.mst import MSTSynthesizer
from snsynth.utils import cdp_rho
from synthesis_job import SynthesisJob, run


def work(job: SynthesisJob, rows: Any) -> Any:
    """Fit and draw, below the transformer, which would read the domain off the rows."""
    names = list(job.sizes)
    domain = Domain(names, [job.sizes[name] for name in names])
    if job.algorithm == "MST":
        made = MSTSynthesizer(epsilon=job.epsilon, delta=job.delta)
        made.MST(Dataset(rows[names].to_numpy(), domain), job.epsilon, job.delta)
        return made.undo_compress_fn(made.synthesizer.synthetic_data(rows=len(rows))).df
    made = AIMSynthesizer(epsilon=job.epsilon, delta=job.delta)
    made.rho = cdp_rho(job.epsilon, job.delta)
    made.AIM(
        Dataset(rows[names].to_numpy(), domain),
        [pair for pair in itertools.combinations(names, 2) if domain.size(pair) <= made.max_cells],
    )
    return made.synthesizer.synthetic_data(rows=len(rows)).df


if __name__ == "__main__":
    run(work)
