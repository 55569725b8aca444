"""anonypyx, a fork of anonypy: Mondrian; publishes ranges and sets."""

import anonypyx
from job import Job, run


def work(job: Job) -> None:
    anonymiser = anonypyx.Anonymiser(
        job.read(categories=True),
        k=job.k,
        algorithm="Mondrian",
        feature_columns=job.quasi,
        sensitive_column=job.sensitive,
        generalisation_strategy="human-readable",
    )
    job.write(anonymiser.anonymise())


if __name__ == "__main__":
    run(work)
