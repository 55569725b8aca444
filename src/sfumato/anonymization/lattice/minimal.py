"""All minimal nodes of a lattice: those that suffice while no finer node does.

For criteria that grow, a node above one that suffices suffices too, and a node below one that does
not, does not (predictive tagging). So a chain of nodes from fine to general is settled by binary
search, and every node that is counted settles all above or all below it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.lattice.lattice import Lattice, Levels
from sfumato.anonymization.lattice.search import NodeJudge
from sfumato.errors import PlanError
from sfumato.progress import Progress, silent

__all__ = ["minimal_nodes"]

_UNKNOWN, _FAILS, _SUFFICES = 0, 1, 2
_LARGEST = 20_000_000
_TASK = "tagging the lattice"


def minimal_nodes(judge: NodeJudge, progress: Progress = silent) -> list[Levels]:
    """Return the minimal nodes, as places in the lattice's choices, in rising order.

    Parameters
    ----------
    judge
        What is searched; its criteria must all grow.
    progress
        Told how many nodes are settled.

    Raises
    ------
    PlanError
        If the lattice is too large to hold a tag for each node.

    Notes
    -----
    K. El Emam et al., "A globally optimal k-anonymity method for the de-identification of health
    data", JAMIA 16(5), 2009.
    """
    lattice = judge.lattice
    if lattice.n_nodes > _LARGEST:
        raise PlanError(
            f"the lattice has {lattice.n_nodes:,} combinations of levels, and all minimal ones can "
            f"be found among {_LARGEST:,} at most: bound the levels of some columns, or use "
            "full-domain, which needs no tag for each"
        )
    tags = np.zeros(lattice.shape, dtype=np.uint8)
    flat = tags.reshape(-1)
    first = 0
    while True:
        unknown = np.flatnonzero(flat[first:] == _UNKNOWN)
        if not len(unknown):
            break
        first += int(unknown[0])
        progress(_TASK, first, lattice.n_nodes)
        start = tuple(int(place) for place in np.unravel_index(first, tags.shape))
        _settle(judge, _chain(lattice, tags, start), tags)
    progress(_TASK, lattice.n_nodes, lattice.n_nodes)
    return _minimal(tags)


def _chain(lattice: Lattice, tags: npt.NDArray[np.uint8], start: Levels) -> list[Levels]:
    """Return a rising chain of nodes that are not settled yet."""
    chain = [start]
    while True:
        following = (node for node in lattice.above(chain[-1]) if tags[node] == _UNKNOWN)
        node = next(following, None)
        if node is None:
            return chain
        chain.append(node)


def _settle(judge: NodeJudge, chain: list[Levels], tags: npt.NDArray[np.uint8]) -> None:
    """Find by halving where a chain begins to suffice, and tag what follows from each count."""
    low, high = 0, len(chain) - 1
    while low <= high:
        middle = (low + high) // 2
        node = chain[middle]
        if judge.at(node).open:
            tags[tuple(slice(place, None) for place in node)] = _SUFFICES
            high = middle - 1
        else:
            tags[tuple(slice(place + 1) for place in node)] = _FAILS
            low = middle + 1


def _minimal(tags: npt.NDArray[np.uint8]) -> list[Levels]:
    """Return the nodes that suffice and have no finer neighbour that does."""
    suffices = tags == _SUFFICES
    minimal = suffices.copy()
    for axis in range(tags.ndim):
        if tags.shape[axis] > 1:
            here = [slice(None)] * tags.ndim
            below = [slice(None)] * tags.ndim
            here[axis], below[axis] = slice(1, None), slice(None, -1)
            minimal[tuple(here)] &= ~suffices[tuple(below)]
    return [tuple(int(place) for place in node) for node in np.argwhere(minimal)]
