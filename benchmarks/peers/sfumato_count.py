"""Our own count of k, distinct l and t of a table, as a user of the library would."""

from __future__ import annotations

from job import Job, cpu, run

import sfumato as sf
from sfumato.privacy.closeness import equal_distance


def work(job: Job) -> dict[str, float]:
    """Count; reading is not counted in the single figures."""
    table = sf.read(job.input)
    found: dict[str, float] = {}
    since = cpu()
    classes = sf.EquivalenceClasses.of(table, job.quasi, sensitive=[job.sensitive])
    found["k value"] = classes.smallest
    found["k"] = cpu() - since
    since = cpu()
    counts = classes.sensitive_counts(job.sensitive)
    found["l value"] = int((counts > 0).sum(axis=1).min())
    found["l"] = cpu() - since
    since = cpu()
    distance = equal_distance(counts, classes.overall(job.sensitive))
    found["t value"] = float(distance.max())
    found["t"] = cpu() - since
    return found


if __name__ == "__main__":
    run(work)
