"""anonymity-api: cuts numbers only; texts become their common node of the hierarchy."""

from anonymity_api import anonymity
from job import Job, run


def work(job: Job) -> None:
    taxonomies = {name: job.hierarchies[name] for name in job.categories}
    job.write(anonymity.k_anonymity(job.read(), job.quasi, job.k, taxonomies=taxonomies))


if __name__ == "__main__":
    run(work)
