"""ai-privacy-toolkit: cells of a decision tree of the sensitive column; one value for each cell."""

from apt.anonymization import Anonymize
from apt.utils.datasets import ArrayDataset
from job import Job, run


def work(job: Job) -> None:
    frame = job.read()
    data = ArrayDataset(frame[job.quasi], frame[job.sensitive])
    anonymizer = Anonymize(job.k, job.quasi, categorical_features=job.categories)
    released = anonymizer.anonymize(data)
    released["row"] = range(len(released))
    job.write(released)


if __name__ == "__main__":
    run(work)
