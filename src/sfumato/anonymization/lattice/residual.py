"""What suppressed rows do to what a release promises.

Those that stay as ``*`` are a class too. ARX leaves them out of account: a release of its own can
hold a class of 29 rows at k = 250. Here further classes are suppressed, the cheapest first, until
the class of suppressed rows keeps every criterion. Those that are left out change what the others
are measured against.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.lattice.criteria import LatticePromise
from sfumato.anonymization.lattice.node_counting import Node

__all__ = ["absorb", "without_dropped"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def absorb(node: Node, kept: Flags, promise: LatticePromise) -> Flags:
    """Return the classes that can be released beside the class of all other rows.

    Parameters
    ----------
    node
        The classes (c).
    kept
        Those that keep every criterion, shape (c,).
    promise
        The criteria.

    Returns
    -------
    np.ndarray
        Shape (c,), a part of ``kept``; nothing if no part of it will do.
    """
    if kept.all() or _holds(node, kept, promise):
        return kept
    places = node.in_order(np.flatnonzero(kept))
    costs = node.rows[places] * (1 - node.mean_shares(places))
    # of equal costs the smaller, then the first by its groups, in whatever order they were counted
    order = places[np.lexsort((np.arange(len(places)), node.rows[places], costs))]
    for given_up in _lengths(len(order)):
        left = kept.copy()
        left[order[:given_up]] = False
        if _holds(node, left, promise):
            return left
    return np.zeros(len(kept), dtype=np.bool_)


def without_dropped(node: Node, kept: Flags, promise: LatticePromise) -> Flags:
    """Return the classes that keep every criterion also as the only rows that there are.

    t-closeness and its kin measure a class against the whole table. Rows that are left out are not
    in the release: whoever recounts it measures against those that are.

    Parameters
    ----------
    node
        The classes (c).
    kept
        Those that keep every criterion against the whole table, shape (c,).
    promise
        The criteria.

    Returns
    -------
    np.ndarray
        Shape (c,), a part of ``kept``; nothing if no part was found that will do.
    """
    while not promise.closed and kept.any() and not kept.all():
        places = node.in_order(np.flatnonzero(kept))
        held = {name: node.histogram(name, places) for name in promise.columns}
        overall = {name: node.joined(name, kept) for name in promise.columns}
        classes = promise.classes(node.sizes[places], held, node, places, overall)
        good = np.logical_and.reduce([one.kept(classes) for one in promise.criteria])
        if good.all():
            break
        kept = kept.copy()
        kept[places[~good]] = False
    return kept


def _holds(node: Node, kept: Flags, promise: LatticePromise) -> bool:
    """Return whether the kept classes and the class of the others keep every criterion."""
    places = np.flatnonzero(kept)
    if not len(places):
        return False
    sizes = np.append(node.sizes[places], node.joined_size(~kept))
    held = {
        name: np.vstack([node.histogram(name, places), node.joined(name, ~kept)])
        for name in promise.columns
    }
    return promise.holds(sizes, held, node, np.append(places, -1))


def _lengths(most: int) -> Iterator[int]:
    """Give how many classes are given up: one by one at first, then in growing steps."""
    length = 1
    while length < most:
        yield length
        length += max(1, length // 16)
