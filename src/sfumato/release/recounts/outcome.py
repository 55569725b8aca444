"""What a recount of one promise found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sfumato.release.recounts.tally import Tally

Status = Literal["passed", "failed", "not applicable", "not run"]

__all__ = [
    "CriterionCount",
    "NotCounted",
    "Outcome",
    "Sentence",
    "Status",
    "at_least",
    "at_most",
    "of_classes",
    "of_table",
    "ratio_at_most",
    "shown",
]

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
_SUMS = 1e-9  # what rounding may add to a sum of shares
_RATIO = 1e-12  # and, relatively, to one division


class NotCounted(Exception):
    """A promise cannot be recounted; its text says why, without a cell."""


@dataclass(frozen=True)
class Sentence:
    """How a result is put into words.

    Parameters
    ----------
    measured
        What the worst value is, such as "the least varied class has {worst} different values".
    limit
        What it is compared with, such as "at least 3".
    """

    measured: str
    limit: str


@dataclass(frozen=True)
class Outcome:
    """How one promise fares among some classes.

    Parameters
    ----------
    kept
        Whether the promise is kept.
    worst
        The value of the class that keeps it least, or of the table where the promise is about the
        whole of it; None if there is no class, or if the value is beyond every number.
    limit
        What the value is compared with.
    classes, rows
        How many classes and rows were looked at.
    failing_classes, failing_rows
        Those that break the promise by themselves; None where it is about the whole table.
    words
        The result as part of a sentence; holds no cell.
    """

    kept: bool
    worst: float | None
    limit: float | None
    classes: int
    rows: int
    failing_classes: int | None
    failing_rows: int | None
    words: str


@dataclass(frozen=True)
class CriterionCount:
    """What was counted for one promise.

    Parameters
    ----------
    promise
        Its kind and settings.
    code
        The finding that speaks of it.
    status
        What came out, leaving the suppressed rows out.
    because
        Why it was not run or does not apply, or None.
    without_suppressed, with_suppressed
        The result leaving the suppressed rows out, and counting them as one class.
    """

    promise: Mapping[str, Any]
    code: str
    status: Status
    because: str | None = None
    without_suppressed: Outcome | None = None
    with_suppressed: Outcome | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CriterionCount:
        """Return the count that its plain values describe."""
        given = dict(values)
        for name in ("without_suppressed", "with_suppressed"):
            if given[name] is not None:
                given[name] = Outcome(**given[name])
        return cls(**given)


def at_most(values: Numbers, limit: float) -> Flags:
    """Return which sums of shares are at most a limit, but for what rounding adds."""
    kept: Flags = values <= limit + _SUMS
    return kept


def at_least(values: Numbers, limit: float) -> Flags:
    """Return which sums of shares are at least a limit, but for what rounding takes away."""
    kept: Flags = values >= limit - _SUMS
    return kept


def ratio_at_most(values: Numbers, limit: float | Numbers) -> Flags:
    """Return which ratios of counts are at most a limit, but for what rounding adds."""
    kept: Flags = values <= limit * (1 + _RATIO)
    return kept


def of_classes(
    tally: Tally,
    values: npt.NDArray[Any],
    kept: Flags,
    limit: float | None,
    sentence: Sentence,
    *,
    worst_is_least: bool = False,
) -> Outcome:
    """Return the outcome of a promise about each class alone.

    Parameters
    ----------
    values
        What was measured of each class, shape (n_classes,).
    kept
        Which classes keep the promise.
    worst_is_least
        Whether the least value is the worst; otherwise the greatest is.
    """
    rows = int(tally.rows.sum())
    if not len(tally):
        return Outcome(
            kept=True,
            worst=None,
            limit=limit,
            classes=0,
            rows=0,
            failing_classes=0,
            failing_rows=0,
            words="there is no class",
        )
    worst = float(values.min() if worst_is_least else values.max())
    failing = int((~kept).sum())
    failing_rows = int(tally.rows[~kept].sum())
    words = f"{sentence.measured.format(worst=shown(worst))}; {sentence.limit}"
    if failing:
        words += f"; {failing:,} of {len(tally):,} classes ({failing_rows:,} rows) fail"
    return Outcome(
        not failing,
        worst if isfinite(worst) else None,
        limit,
        len(tally),
        rows,
        failing,
        failing_rows,
        words,
    )


def of_table(
    tally: Tally, value: float, limit: float, *, kept: bool, sentence: Sentence
) -> Outcome:
    """Return the outcome of a promise about the whole table."""
    words = f"{sentence.measured.format(worst=shown(value))}; {sentence.limit}"
    return Outcome(kept, value, limit, len(tally), int(tally.rows.sum()), None, None, words)


def shown(value: float) -> str:
    """Return a number in words: whole ones whole, others with four digits."""
    if not isfinite(value):
        return "no finite number"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"
