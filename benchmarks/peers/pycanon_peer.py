"""pycanon: counts k, distinct l and t of a table; anonymizes nothing."""

import pandas as pd
from job import Job, cpu, run
from pycanon import anonymity


def work(job: Job) -> dict[str, float]:
    frame = pd.read_csv(job.input, dtype=str, keep_default_na=False)
    found = {}
    for name, count in (
        ("k", lambda: anonymity.k_anonymity(frame, job.quasi)),
        ("l", lambda: anonymity.l_diversity(frame, job.quasi, [job.sensitive])),
        ("t", lambda: anonymity.t_closeness(frame, job.quasi, [job.sensitive])),
    ):
        since = cpu()
        found[f"{name} value"] = float(count())
        found[name] = cpu() - since
    return found


if __name__ == "__main__":
    run(work)
