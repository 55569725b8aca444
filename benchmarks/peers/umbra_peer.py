"""umbra-k: Mondrian by the shape of a scikit-learn transformer; publishes ranges and sets."""

from job import Job, run
from umbra_k import MondrianAnonymizer


def work(job: Job) -> None:
    anonymizer = MondrianAnonymizer(k=job.k, quasi_id=job.quasi)
    job.write(anonymizer.fit_transform(job.read()))


if __name__ == "__main__":
    run(work)
