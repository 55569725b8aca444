"""crowds: optimal lattice anonymization; levels are functions, the last one says nothing."""

from crowds.kanonymity import ola
from crowds.kanonymity.generalizations import GenRule
from job import Job, run


def rule(lines: list[list[str]]) -> GenRule:
    """Return a column's levels between the exact value and nothing."""
    levels = range(1, len(lines[0]) - 1)
    return GenRule([{line[0]: line[level] for line in lines}.__getitem__ for level in levels])


def work(job: Job) -> None:
    rules = {name: rule(job.ladder(name)) for name in job.quasi}
    frame = job.read(texts=True)
    released, _ = ola.anonymize(frame, rules, k=job.k, max_sup=100 * job.suppression)
    job.write(released.fillna("*"))


if __name__ == "__main__":
    run(work)
