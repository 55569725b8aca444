"""Fit a graphical model to noisy marginals: most entropy, as near to the counts as noise asks.

Of all distributions, the one is taken that minimizes ``rows * trust`` times its divergence from the
start (the uniform distribution, or a public model) plus the noisy counts' squared errors in units
of their noise. Its dual is smooth and convex in one number a measured cell:

    log Z(theta) - theta . y + trust rows / 2 * |s theta|^2

with y the noisy shares, s their noise, and log Z from belief propagation, whose marginals are the
gradient. It is solved by L-BFGS from the last solution. A measured marginal may be coarse: its
potential is then the same in all fine cells of a coarse one.

References
----------
R. McKenna, D. Sheldon, G. Miklau, "Graphical-model based estimation and inference for differential
privacy", ICML 2019. M. Dudik, S. Phillips, R. Schapire, "Maximum entropy density estimation with
generalized regularization", JMLR 8 (2007), for the dual with a quadratic slack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from sfumato.synthesis.private.marginals.propagation import (
    Floats,
    aligned,
    beliefs,
    normalized,
    summed,
)

if TYPE_CHECKING:
    from sfumato.synthesis.private.marginals.junction_tree import JunctionTree

    Integers = npt.NDArray[np.int64]

Number = TypeVar("Number", np.int64, np.float64)

__all__ = ["Measured", "centred", "fitted", "grouped"]


@dataclass(frozen=True, eq=False)
class Measured:
    """A marginal that was counted with noise.

    Parameters
    ----------
    columns
        Its columns.
    groups
        For each column the group of each of its cells, ascending from 0.
    shares
        Noisy shares of the rows in each combination of groups.
    deviation
        Standard deviation of their noise, above 0.
    """

    columns: tuple[int, ...]
    groups: tuple[Integers, ...]
    shares: Floats
    deviation: float


def grouped(table: npt.NDArray[Number], groups: Sequence[Integers]) -> npt.NDArray[Number]:
    """Return a table whose cells are summed to groups along every axis."""
    for axis, group in enumerate(groups):
        size = int(group.max()) + 1
        if size == group.size:
            continue
        if bool((np.diff(group) >= 0).all()):
            table = np.add.reduceat(table, np.searchsorted(group, np.arange(size)), axis=axis)
        else:
            belongs = (np.arange(size)[:, None] == group).astype(table.dtype)
            table = np.moveaxis(np.tensordot(belongs, table, axes=(1, axis)), 0, axis)
    return table


def centred(one: Measured) -> Floats:
    """Return a marginal's noisy shares, moved alike so that they sum to 1.

    What a table's noise adds to its total says nothing: all tables are of the same rows.
    """
    return np.asarray(one.shares - (one.shares.sum() - 1) / one.shares.size)


def fitted(
    tree: JunctionTree,
    measured: Sequence[Measured],
    start: Sequence[tuple[tuple[int, ...], Floats]],
    *,
    trust: float,
    steps: int,
    warm: Sequence[Floats] = (),
    tolerance: float = 1e-7,
) -> tuple[list[Floats], list[Floats]]:
    """Return the fitted tables, and the potential of each measured marginal.

    Parameters
    ----------
    tree
        A junction tree with a clique for every marginal.
    measured
        Noisy marginals.
    start
        Logarithms of tables, each with its columns, whose product is the distribution to begin
        from; minus infinity where a combination is impossible.
    trust
        Weight of the divergence from the start, in units of rows of noise-free data, from 0.
    steps
        Most steps.
    warm
        Potentials of the first marginals, from an earlier fit.
    tolerance
        The largest slope, as a share of rows, at which it may end.
    """
    from scipy.optimize import minimize

    base = [np.zeros(tree.shape(place)) for place in range(len(tree.parents))]
    for columns, table in start:
        place = _home(tree, columns)
        base[place] = base[place] + aligned(table, columns, tree.axes[place])
    homes = [_home(tree, one.columns) for one in measured]
    ends = np.cumsum([0, *(one.shares.size for one in measured)])
    aims, ridge, scale = (np.empty(ends[-1]) for _ in range(3))
    for k, one in enumerate(measured):
        part = slice(ends[k], ends[k + 1])
        aim = centred(one).ravel()
        aims[part] = aim
        ridge[part] = trust * one.deviation**2
        scale[part] = 1 / np.sqrt(np.maximum(aim, one.deviation) + ridge[part])

    def tables_of(theta: Floats) -> tuple[list[Floats], float]:
        potentials = [table.copy() for table in base]
        for k, one in enumerate(measured):
            part = theta[ends[k] : ends[k + 1]].reshape(one.shares.shape)
            fine = part[np.ix_(*one.groups)]
            potentials[homes[k]] += aligned(fine, one.columns, tree.axes[homes[k]])
        return normalized(tree, potentials)

    def loss(scaled: Floats) -> tuple[float, Floats]:
        theta = scaled * scale
        tables, total = tables_of(theta)
        held = beliefs(tree, tables)
        fine: dict[tuple[int, ...], Floats] = {}
        slope = np.empty_like(theta)
        for k, one in enumerate(measured):
            if one.columns not in fine:
                fine[one.columns] = summed(held[homes[k]], tree.axes[homes[k]], one.columns)
            slope[ends[k] : ends[k + 1]] = grouped(fine[one.columns], one.groups).ravel()
        slope += ridge * theta - aims
        value = total - float(theta @ aims) + 0.5 * float(ridge @ theta**2)
        return value, slope * scale

    first = np.zeros(ends[-1])
    for k, potential in enumerate(warm):
        first[ends[k] : ends[k + 1]] = potential.ravel()
    theta = first
    if measured and steps:
        found = minimize(
            loss,
            first / scale,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": steps, "maxcor": 15, "gtol": tolerance, "ftol": 1e-12},
        )
        theta = found.x * scale
    potentials = [
        theta[ends[k] : ends[k + 1]].reshape(one.shares.shape) for k, one in enumerate(measured)
    ]
    return tables_of(theta)[0], potentials


def _home(tree: JunctionTree, columns: Sequence[int]) -> int:
    place = tree.home(columns)
    if place is None:
        raise ValueError(f"no clique of the tree holds the columns {columns}")
    return place
