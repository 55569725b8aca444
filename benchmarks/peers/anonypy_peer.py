"""anonypy: Mondrian; publishes ranges and sets, once a class and sensitive value."""

import anonypy
import pandas as pd
from job import Job, run


def work(job: Job) -> None:
    preserver = anonypy.Preserver(job.read(categories=True), job.quasi, job.sensitive)
    job.write(pd.DataFrame(preserver.anonymize_k_anonymity(k=job.k)))


if __name__ == "__main__":
    run(work)
