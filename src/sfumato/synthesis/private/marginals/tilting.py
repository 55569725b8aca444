"""Ties between columns that the junction tree does not hold together: its rows are weighted.

A junction tree of all pairs of columns is the whole table. So pairs that lie in no clique together
enter as further potentials of the same exponential family, whose normalization is no longer a sum
over cliques: it is estimated from rows that the tree draws, each weighted by the exponential of its
pairs' potentials. Rows of the tilted model are had by drawing more of the tree than are needed and
choosing among them by weight.

The fit is that of :mod:`fitting`, from where it ended: its loss with the mean weight of fixed rows
in place of the sum over all combinations. What was measured within cliques was fitted already:
these marginals are held where the tree has them, by further weights, so that the pairs beyond do
not bend them; the tree stays as it is, since the fit was estimated from its rows.

The drawn rows are an estimate too. A combination that few of them hold is left as the tree has it:
nothing would hold its weight back, and another draw may well hold it. Of the others the variance of
their share among the rows is added to that of the noise: where the budget is large, and the noise
small, it is what limits the fit. Every few steps all that was measured is compared with other rows
of the tree as they are weighted by then, and the fit ends where the distance is least, which may be
where it began: beyond, it learns the rows it happened to be given.

References
----------
D. Rubin, "Using the SIR algorithm to simulate posterior distributions", Bayesian Statistics 3
(1988). C. Geyer, E. Thompson, "Constrained Monte Carlo maximum likelihood for dependent data", JRSS
B 54 (1992).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from sfumato.synthesis.private.marginals.fitting import Measured, centred

if TYPE_CHECKING:
    from sfumato.synthesis.private.marginals.junction_tree import JunctionTree
    from sfumato.synthesis.private.marginals.propagation import Floats

    Integers = npt.NDArray[np.int64]

__all__ = ["Tilt", "apart", "chosen_rows", "fitted_tilts"]

_ENOUGH_ROWS = 20  # drawn rows that hold a combination, for its share to be estimated
_LOOK = 5  # steps from one look at the other rows to the next
_PATIENCE = 4  # looks without a gain after which it ends


@dataclass(frozen=True, eq=False)
class Tilt:
    """By how much rows of each combination of groups are more frequent than in the tree.

    Parameters
    ----------
    columns, groups
        As for :class:`fitting.Measured`.
    logs
        Logarithm of the factor of each combination of groups.
    """

    columns: tuple[int, ...]
    groups: tuple[Integers, ...]
    logs: Floats

    def of(self, rows: Integers) -> Floats:
        """Return the logarithm of each row's factor, shape (n,)."""
        return np.asarray(self.logs.ravel()[_keys(rows, self.columns, self.groups)])

    def to_dict(self) -> dict[str, Any]:
        """Return the tilt as plain JSON values."""
        return {
            "columns": list(self.columns),
            "groups": [one.tolist() for one in self.groups],
            "logs": self.logs.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the tilt that :meth:`to_dict` described."""
        return cls(
            tuple(values["columns"]),
            tuple(np.array(one, dtype=np.int64) for one in values["groups"]),
            np.array(values["logs"], dtype=np.float64),
        )


def apart(tree: JunctionTree) -> list[tuple[int, int]]:
    """Return the pairs of columns that lie in no clique together."""
    together = {pair for axes in tree.axes for pair in itertools.combinations(sorted(axes), 2)}
    pairs = itertools.combinations(range(len(tree.sizes)), 2)
    return [pair for pair in pairs if pair not in together]


def chosen_rows(
    rows: Integers, tilts: Sequence[Tilt], n: int, random: np.random.Generator, *, even: bool
) -> Integers:
    """Return ``n`` of the tree's rows, chosen by weight.

    Parameters
    ----------
    rows
        Rows of cells that the tree drew, in random order: several times ``n``.
    tilts
        What they are weighted by.
    n
        How many.
    random
        Chooses.
    even
        Whether by systematic sampling, so that no row of less than average weight stands twice;
        otherwise one by one.
    """
    logs = np.zeros(len(rows))
    for one in tilts:
        logs += one.of(rows)
    ends = np.cumsum(np.exp(logs - logs.max()))
    at = (np.arange(n) + random.random()) / n if even else random.random(n)
    place = np.searchsorted(ends, at * ends[-1], side="right")
    return np.asarray(rows[np.minimum(place, len(rows) - 1)])


def fitted_tilts(
    rows: Integers,
    others: Integers,
    held: Sequence[Measured],
    new: Sequence[Measured],
    *,
    trust: tuple[float, float],
    steps: int,
    tolerance: float = 1e-6,
) -> list[Tilt]:
    """Return the tilts of all that was measured, within cliques and beyond.

    Parameters
    ----------
    rows, others
        Rows of cells that the tree drew, shape (n, columns): to fit on, and to end by.
    held
        What was measured within cliques, and :func:`fitting.fitted` has fitted.
    new
        What was measured of pairs that lie in no clique together.
    trust
        Weight of the divergence, as for :func:`fitting.fitted`: for what is held, and for what is
        new. Most of it is noise, and is trusted less.
    steps
        Most steps.
    tolerance
        The largest slope, as a share of rows, at which it may end.
    """
    from scipy.optimize import minimize

    several = [*held, *new]
    ends = np.cumsum([0, *(one.shares.size for one in several)])
    keys = [_keys(rows, one.columns, one.groups).astype(np.int32) for one in several]
    drawn = np.concatenate(
        [
            np.bincount(key, minlength=one.shares.size)
            for key, one in zip(keys, several, strict=True)
        ]
    )
    shares = drawn / len(rows)
    aims = np.concatenate([shares[: ends[len(held)]], *(centred(one).ravel() for one in new)])
    deviations = np.repeat([one.deviation for one in several], np.diff(ends))
    weights = np.repeat([trust[0]] * len(held) + [trust[1]] * len(new), np.diff(ends))
    ridge = weights * (deviations**2 + np.maximum(drawn, 1) / len(rows) ** 2)
    scale = 1 / np.sqrt(np.maximum(aims, deviations) + ridge)
    held_by_enough = drawn >= _ENOUGH_ROWS

    def parts() -> Iterator[tuple[slice, npt.NDArray[np.int32]]]:
        for k, key in enumerate(keys):
            yield slice(ends[k], ends[k + 1]), key

    def loss(scaled: Floats) -> tuple[float, Floats]:
        moved = scaled * scale
        logs = np.zeros(len(rows))
        for part, key in parts():
            logs += moved[part][key]
        highest = logs.max()
        weight = np.exp(logs - highest)
        total = weight.sum()
        weight /= total
        slope = np.empty_like(moved)
        for part, key in parts():
            slope[part] = np.bincount(key, weights=weight, minlength=part.stop - part.start)
        slope += ridge * moved - aims
        slope *= held_by_enough
        value = float(np.log(total / len(rows)) + highest)
        return value - float(moved @ aims) + 0.5 * float(ridge @ moved**2), slope * scale

    kept = _ClosestElsewhere(
        [_keys(others, one.columns, one.groups).astype(np.int32) for one in several],
        ends,
        aims,
    )
    minimize(
        loss,
        np.zeros(ends[-1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": steps, "maxcor": 15, "gtol": tolerance, "ftol": 1e-10},
        callback=lambda scaled: kept.look(scaled * scale),
    )
    moved = kept.moved
    return [
        Tilt(one.columns, one.groups, moved[ends[k] : ends[k + 1]].reshape(one.shares.shape))
        for k, one in enumerate(several)
    ]


class _ClosestElsewhere:
    """The potentials under which rows that they are not fitted on come closest to what is known.

    The distance is the total variation of each marginal, in sum.
    """

    def __init__(self, keys: Sequence[npt.NDArray[np.int32]], ends: Integers, aims: Floats) -> None:
        self._keys, self._ends, self._aims = keys, ends, aims
        self._steps, self._waited = 0, 0
        self.moved = np.zeros(ends[-1])
        self._least = self._distance(self.moved)

    def look(self, moved: Floats) -> None:
        """Take a step into account, and end the fit where the distance no longer falls."""
        self._steps += 1
        if self._steps % _LOOK:
            return
        distance = self._distance(moved)
        self._waited += 1
        if distance < self._least:
            self._least, self._waited, self.moved = distance, 0, moved
        if self._waited == _PATIENCE:
            raise StopIteration

    def _distance(self, moved: Floats) -> float:
        logs = np.zeros(len(self._keys[0]))
        for start, end, key in zip(self._ends, self._ends[1:], self._keys, strict=False):
            logs += moved[start:end][key]
        weight = np.exp(logs - logs.max())
        weight /= weight.sum()
        apart = 0.0
        for start, end, key in zip(self._ends, self._ends[1:], self._keys, strict=False):
            share = np.bincount(key, weights=weight, minlength=end - start)
            apart += float(np.abs(share - self._aims[start:end]).sum()) / 2
        return apart


def _keys(rows: Integers, columns: Sequence[int], groups: Sequence[Integers]) -> Integers:
    key = np.zeros(len(rows), dtype=np.int64)
    for column, group in zip(columns, groups, strict=True):
        key = key * (int(group.max()) + 1) + group[rows[:, column]]
    return key
