"""Run a clustering inside blocks of a table's entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.class_recoding import Placement
from sfumato.anonymization.clustering.blocks import blocks_of
from sfumato.anonymization.clustering.measure import Tables
from sfumato.anonymization.clustering.nearest import Parts, grow_clusters, join_cheapest
from sfumato.anonymization.clustering.one_pass import one_pass_clusters
from sfumato.anonymization.clustering.top_down import part_top_down
from sfumato.anonymization.people_coding import CodedPeople

__all__ = ["ALGORITHMS", "Algorithm", "cluster"]

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


class Algorithm(Protocol):
    """Cluster the entries of one block into groups of k people and more.

    Parameters
    ----------
    tables
        Costs of the columns (q).
    codes, people
        Distinct entries, shape (m, q), and how many people have each, shape (m,), at least 1; at
        least k in all.
    k
        Least number of people of a cluster.
    generator
        For what is drawn.
    """

    def __call__(  # noqa: D102
        self, tables: Tables, codes: Codes, people: Integers, k: int, generator: np.random.Generator
    ) -> Parts: ...


def cluster(
    algorithm: Algorithm,
    tables: Tables,
    people: CodedPeople,
    k: int,
    most: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Placement, int]:
    """Return the clusters of all people, and in how many blocks they were found.

    Parameters
    ----------
    algorithm
        What clusters a block.
    tables
        Costs of the columns.
    people
        The entries; at least k people.
    k
        Least number of people of a cluster.
    most
        Most entries of a block.
    seed
        Of the draws; block number ``b`` draws by itself, whatever the others do.
    progress
        Called with the entries done and all of them.
    """
    blocks = blocks_of(tables, people.codes, people.weights, k, most)
    found: list[Parts] = []
    clusters, done = 0, 0
    for number, block in enumerate(blocks):
        if progress is not None:
            progress(done, len(people))
        counted = block[people.weights[block] > 0]
        parts = algorithm(
            tables,
            np.ascontiguousarray(people.codes[counted]),
            people.weights[counted],
            k,
            np.random.default_rng([seed, number]),
        )
        parts = (counted[parts[0]], parts[1], parts[2])
        n_clusters = int(parts[1].max()) + 1
        uncounted = block[people.weights[block] == 0]
        if len(uncounted):
            # rows of people who are counted elsewhere go where they cost least
            rows = people.rows[uncounted]
            homes = join_cheapest(tables, people.codes, parts, n_clusters, uncounted, rows)
            both = zip(parts, (uncounted, homes, rows), strict=True)
            entry, of, taken = (np.concatenate(pair) for pair in both)
            parts = (entry, of, taken)
        found.append((parts[0], parts[1] + clusters, parts[2]))
        clusters += n_clusters
        done += len(block)
    if progress is not None:
        progress(len(people), len(people))
    entry, of_class, rows = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return Placement(entry, of_class, rows), len(blocks)


def _top_down(
    tables: Tables, codes: Codes, people: Integers, k: int, generator: np.random.Generator
) -> Parts:
    order = generator.permutation(len(codes))
    draws = generator.random(int(people.sum()) // k + 1)
    return part_top_down(tables, codes, people, k, order, draws)


def _k_member(
    tables: Tables, codes: Codes, people: Integers, k: int, generator: np.random.Generator
) -> Parts:
    return grow_clusters(tables, codes, people, k, generator.random(1), False)  # noqa: FBT003


def _k_nearest(
    tables: Tables, codes: Codes, people: Integers, k: int, generator: np.random.Generator
) -> Parts:
    draws = generator.random(int(people.sum()) // k + 1)
    return grow_clusters(tables, codes, people, k, draws, True)  # noqa: FBT003


def _one_pass(
    tables: Tables, codes: Codes, people: Integers, k: int, generator: np.random.Generator
) -> Parts:
    everybody = int(people.sum())
    drawn = generator.choice(everybody, everybody // k, replace=False)
    seeds = np.searchsorted(np.cumsum(people), drawn, side="right")
    order = generator.permutation(len(codes))
    return one_pass_clusters(tables, codes, people, k, seeds.astype(np.int64), order)


ALGORITHMS: dict[str, Algorithm] = {
    "top-down-greedy": _top_down,
    "k-member": _k_member,
    "knn-cluster": _k_nearest,
    "oka": _one_pass,
}
