"""project-lighthouse-anonymize: Mondrian; nodes for texts, means for numbers; may drop rows."""

import logging

from job import Job, run
from project_lighthouse_anonymize import k_anonymize
from project_lighthouse_anonymize.gtrees import GTree


def tree(lines: list[list[str]]) -> GTree:
    """Return a hierarchy as the peer wants it: from the top down, equal labels once."""
    grown = GTree()
    nodes = {}
    for line in lines:
        path = line[::-1]
        for depth in range(1, len(path) + 1):
            above = nodes.get(tuple(path[: depth - 1]))
            if tuple(path[:depth]) not in nodes:
                nodes[tuple(path[:depth])] = grown.create_node(path[depth - 1], parent=above)
    grown.add_default_geometric_sizes()
    return grown


def work(job: Job) -> None:
    frame = job.read().astype(dict.fromkeys([*job.categories, job.sensitive], object))
    frame["row"] = range(len(frame))
    trees = {name: tree(job.ladder(name)) for name in job.categories}
    released, *_ = k_anonymize(
        logging.getLogger("peer"), frame, job.quasi, job.k, trees, "row", parallelism=None
    )
    job.write(released)


if __name__ == "__main__":
    run(work)
