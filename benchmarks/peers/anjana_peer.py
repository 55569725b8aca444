"""anjana: full-domain generalization along hierarchies, greedy, with suppression."""

import pandas as pd
from anjana.anonymity import k_anonymity
from job import Job, run


def work(job: Job) -> None:
    frame = job.read(texts=True)
    hierarchies = {name: dict(pd.DataFrame(job.ladder(name))) for name in job.quasi}
    job.write(k_anonymity(frame, [], job.quasi, job.k, 100 * job.suppression, hierarchies))


if __name__ == "__main__":
    run(work)
