"""Figures that compare what befell members with what befell controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.exchangeability import excess
from sfumato.evaluation.figures import Figure

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackTables

__all__ = ["excess_figure", "some_people"]

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_STEPS = 16
_CELLS = 25_000_000_000  # that are compared at the worst, in less than half a minute
_FEWEST = 1_000  # fewer people show too little, however large the tables


def some_people(tables: AttackTables, most: int | None, seed: int) -> Integers:
    """Return the numbers of the real rows that are attacked, sorted: all, or some at random.

    Members and controls keep their share, at least one of either where there is one.

    Parameters
    ----------
    tables
        The release and the real rows.
    most
        Most people, at least 2, and fewer of long and wide tables; None for all. Every row of the
        larger table is compared with each of them on every column.
    seed
        Of the draw.
    """
    people = len(tables.member)
    if most is not None:
        each = max(tables.rows, people) * max(len(tables.columns), 1)
        most = min(most, max(_FEWEST, _CELLS // each))
    if most is None or people <= most:
        return np.arange(people)
    random = np.random.default_rng(seed)
    controls = round(most * tables.n_controls / people)
    controls = min(max(controls, 1), most - 1, tables.n_controls)
    members = min(most - controls, tables.n_members)
    return np.sort(
        np.concatenate(
            [
                random.choice(np.flatnonzero(kind), int(number), replace=False)
                for kind, number in ((tables.member, members), (~tables.member, controls))
            ]
        )
    )


def excess_figure(
    scores: Floats,
    member: Flags,
    *,
    name: str,
    meaning: str,
    source: str,
    baseline: float | None,
    not_shown: str,
    seed: int,
) -> Figure:
    """Return the figure of an attack that succeeds with each person to some degree.

    Parameters
    ----------
    scores
        Success with each person, 0 to 1, shape (n,), rounded to sixteenths for the test.
    member
        Which of them are members, shape (n,); at least one of either kind.
    name, meaning, source, baseline, not_shown
        As of the figure.
    seed
        Of the draws of the test.
    """
    # sixteenths, so that a test over few distinct scores is drawn fast
    rounded = np.rint(scores * _STEPS) / _STEPS
    found = excess(rounded[member], rounded[~member], seed=seed)
    return Figure(
        name=name,
        value=found.members,
        unit="share",
        direction="lower is better",
        meaning=meaning,
        source=source,
        interval=(
            min(1.0, max(0.0, found.controls + found.interval[0])),
            min(1.0, max(0.0, found.controls + found.interval[1])),
        ),
        interval_method=(
            "the control's share plus the 95 % interval of the excess: Newcombe's for hits, normal "
            "for parts of a hit; p by exchanging members and controls, exact"
        ),
        baseline=baseline,
        control=found.controls,
        p_value=found.p_value,
        upper=found.upper,
        detectable=found.detectable,
        attacks=len(scores),
        not_shown=not_shown,
    )
