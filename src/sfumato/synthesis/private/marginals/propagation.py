"""Belief propagation on a junction tree.

A clique's table is kept as a matrix: a row for each cell of its separator, a column for each cell
of its residual. Upwards, in logarithms: each clique is normalized within each row, and what the
rows summed to is the message to its parent. What is left in the tables is the distribution of each
residual given its separator; downwards these are only multiplied.

References
----------
P. Shenoy, G. Shafer, "Axioms for probability and belief-function propagation" (1990). D. Koller,
N. Friedman, "Probabilistic graphical models" (2009), 10.2 and 10.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sfumato.synthesis.private.marginals.junction_tree import JunctionTree

__all__ = [
    "Floats",
    "aligned",
    "beliefs",
    "contracted",
    "marginal",
    "normalized",
    "summed",
]

Floats: TypeAlias = npt.NDArray[np.float64]


def normalized(tree: JunctionTree, potentials: Sequence[Floats]) -> tuple[list[Floats], float]:
    """Return the distribution of each clique's residual given its separator.

    Parameters
    ----------
    tree
        The junction tree.
    potentials
        Logarithm of each clique's table, of the clique's shape; minus infinity where a combination
        is impossible. They are overwritten.

    Returns
    -------
    tuple
        Matrices, shape (separator, residual) each, whose rows sum to 1 (to 0 where the separator's
        cell is impossible); and the logarithm of the sum over all combinations of all columns.
    """
    found: list[Floats] = [np.empty(0)] * len(potentials)
    for place in range(len(potentials) - 1, -1, -1):
        table = potentials[place].reshape(tree.matrix(place))
        highest = table.max(axis=1)
        highest[~np.isfinite(highest)] = 0.0
        table -= highest[:, None]
        np.exp(table, out=table)
        total = table.sum(axis=1)
        with np.errstate(divide="ignore"):
            message = np.log(total) + highest
        table /= np.where(total > 0, total, 1.0)[:, None]
        found[place] = table
        parent = tree.parents[place]
        if parent < 0:
            return found, float(message[0])
        potentials[parent].reshape(tree.shape(parent))[...] += aligned(
            message.reshape([tree.sizes[one] for one in tree.separators[place]]),
            tree.separators[place],
            tree.axes[parent],
        )
    raise AssertionError("a tree has a root")


def beliefs(tree: JunctionTree, tables: Sequence[Floats]) -> list[Floats]:
    """Return each clique's distribution, of the clique's shape.

    Parameters
    ----------
    tree
        The junction tree.
    tables
        What :func:`normalized` returned.
    """
    found: list[Floats] = []
    for place, table in enumerate(tables):
        parent = tree.parents[place]
        if parent < 0:
            found.append(table.reshape(tree.shape(place)))
            continue
        above = summed(found[parent], tree.axes[parent], tree.separators[place])
        found.append((table * above.reshape(-1, 1)).reshape(tree.shape(place)))
    return found


def summed(table: Floats, axes: Sequence[int], kept: Sequence[int]) -> Floats:
    """Return a table summed to some of its axes, in the order in which they are asked for."""
    out = tuple(place for place, one in enumerate(axes) if one not in kept)
    left = [one for one in axes if one in kept]
    total = table.sum(axis=out) if out else table
    return np.asarray(total.transpose([left.index(one) for one in kept]))


def aligned(table: Floats, columns: Sequence[int], axes: Sequence[int]) -> Floats:
    """Return a table over some columns with the axes of a clique that has them, 1 elsewhere."""
    order = [columns.index(one) for one in axes if one in columns]
    sizes = iter(table.shape[place] for place in order)
    return table.transpose(order).reshape([next(sizes) if one in columns else 1 for one in axes])


def marginal(tree: JunctionTree, tables: Sequence[Floats], columns: Iterable[int]) -> Floats:
    """Return the joint distribution of any columns, one axis each.

    From the leaves upwards, each clique's residual given its separator is multiplied by what came
    from below and summed over all that is not asked for.

    Parameters
    ----------
    tree, tables
        As for :func:`beliefs`.
    columns
        Each once; the table of all of them and a separator must fit into memory.
    """
    wanted = tuple(columns)
    below: list[list[tuple[Floats, Sequence[int]]]] = [[] for _ in tables]
    for place in range(len(tables) - 1, -1, -1):
        separator = tree.separators[place]
        parts = below[place]
        if not parts and not set(tree.residuals[place]) & set(wanted):
            continue  # sums to 1
        held = set(tree.axes[place]).union(*(axes for _, axes in parts))
        kept = list(separator)
        kept += [one for one in wanted if one in held and one not in separator]
        joint = contracted(
            [(tables[place].reshape(tree.shape(place)), tree.axes[place]), *parts], kept
        )
        if tree.parents[place] < 0:
            return np.asarray(joint.transpose([kept.index(one) for one in wanted]))
        below[tree.parents[place]].append((joint, kept))
    return np.ones(())


def contracted(parts: Iterable[tuple[Floats, Sequence[int]]], kept: Sequence[int]) -> Floats:
    """Return the product of tables, each with its columns, summed to the columns that are kept."""
    # the columns by numbers of their own: einsum knows 52
    labels: dict[int, int] = {}
    operands: list[Any] = []
    for table, axes in parts:
        operands += [table, [labels.setdefault(one, len(labels)) for one in axes]]
    operands.append([labels[one] for one in kept])
    return np.asarray(np.einsum(*operands, optimize="greedy"))
