"""The joint distributions of all pairs of columns of a junction tree, in one sweep.

Columns are taken clique by clique. From the clique that is their home, their joint distribution
with the separators is carried outwards over the whole tree, and meets every other column on the
way: each clique's table is used once for each home instead of once for each pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sfumato.synthesis.private.marginals.propagation import Floats, beliefs, contracted, summed

if TYPE_CHECKING:
    import numpy.typing as npt

    from sfumato.synthesis.private.marginals.junction_tree import JunctionTree

    Integers = npt.NDArray[np.int64]

__all__ = ["pair_marginals"]

_SOURCE = -1  # stands for the cells of all columns of a home, side by side


def pair_marginals(tree: JunctionTree, tables: Sequence[Floats]) -> Floats:
    """Return the joint distribution of every pair of columns as one symmetric matrix.

    Parameters
    ----------
    tree, tables
        As for :func:`propagation.beliefs`.

    Returns
    -------
    ndarray
        Shape (cells, cells): block (i, j) is the joint distribution of columns i and j, block
        (i, i) the diagonal matrix of column i.
    """
    offsets = np.concatenate([[0], np.cumsum(tree.sizes)]).astype(np.int64)
    found = np.zeros((int(offsets[-1]), int(offsets[-1])))
    held = beliefs(tree, tables)
    waiting = set(range(len(tree.sizes)))
    while waiting:
        home = max(
            range(len(held)), key=lambda place: (len(waiting & set(tree.axes[place])), -place)
        )
        columns = sorted(waiting & set(tree.axes[home]))
        waiting -= set(columns)
        _from_home(tree, held, home, columns, offsets, found)
    return found


def _from_home(
    tree: JunctionTree,
    held: Sequence[Floats],
    home: int,
    columns: Sequence[int],
    offsets: Integers,
    found: Floats,
) -> None:
    rows = np.concatenate([np.arange(*offsets[one : one + 2]) for one in columns])

    def put(column: int, joint: Floats) -> None:
        place = slice(*offsets[column : column + 2])
        found[rows, place] = joint
        found[place, rows] = joint.T

    for column in tree.axes[home]:
        put(column, _with_sources(tree, held[home], tree.axes[home], columns, (column,)))
    for beyond, shared in _around(tree, home):
        joint = _with_sources(tree, held[home], tree.axes[home], columns, shared)
        stack = [(beyond, home, shared, joint)]
        while stack:
            place, came, inner, carried = stack.pop()
            axes = tree.axes[place]
            total = summed(held[place], axes, inner)
            share = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
            shape = (-1, *(tree.sizes[one] for one in inner))
            # what is known of the sources in each cell of the separator, per unit of its share
            ratio = (carried.reshape(len(carried), -1) * share.reshape(-1)).reshape(shape)

            for column in axes:
                if column not in inner:
                    put(column, _onwards(ratio, held[place], axes, inner, (column,)))
            stack += [
                (beside, place, outer, _onwards(ratio, held[place], axes, inner, outer))
                for beside, outer in _around(tree, place)
                if beside != came
            ]


def _onwards(
    ratio: Floats, table: Floats, axes: Sequence[int], inner: Sequence[int], kept: Sequence[int]
) -> Floats:
    """Return the joint distribution of the sources with some columns of a clique further out."""
    both = [*inner, *(one for one in kept if one not in inner)]
    parts = [(ratio, (_SOURCE, *inner)), (summed(table, axes, both), tuple(both))]
    return contracted(parts, (_SOURCE, *kept))


def _around(tree: JunctionTree, place: int) -> list[tuple[int, tuple[int, ...]]]:
    """Return the neighbours of a clique in the tree, and what each shares with it."""
    near = [(child, tree.separators[child]) for child in tree.children[place]]
    if tree.parents[place] >= 0:
        near.append((tree.parents[place], tree.separators[place]))
    return near


def _with_sources(
    tree: JunctionTree,
    table: Floats,
    axes: Sequence[int],
    columns: Sequence[int],
    kept: tuple[int, ...],
) -> Floats:
    """Return the joint distribution of each source's cells with some columns of its clique."""
    parts = []
    for column in columns:
        if column not in kept:
            parts.append(summed(table, axes, (column, *kept)))
            continue
        joint = summed(table, axes, kept)
        at = kept.index(column)
        identity = np.eye(tree.sizes[column])
        identity = identity.reshape(
            [tree.sizes[column], *(tree.sizes[column] if k == at else 1 for k in range(len(kept)))]
        )
        parts.append(identity * joint)
    return np.concatenate(parts)
