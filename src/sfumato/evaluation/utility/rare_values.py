"""What becomes of the rare values of categories: kept, lost, made commoner, invented.

No rare value is named: it may be the words of one person.

References
----------
The share expected in a fresh sample is that of the binomial law. A value counts as inflated or
deflated where Wilson's intervals (JASA 22, 1927) of its two shares lie apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.alignment import AlignedColumn
from sfumato.evaluation.estimates import NORMAL_95, wilson
from sfumato.evaluation.figures import Direction, Figure
from sfumato.evaluation.utility.footing import CONTROL, REAL, RELEASED
from sfumato.evaluation.utility.records import Record, absent

__all__ = ["RareColumn", "RareValues", "rare_value_fidelity"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MOST_NUMBERS = 50  # a number with so many values is told as a category
_SOURCE = "binomial law of a fresh sample; Wilson 1927"


@dataclass(frozen=True)
class RareColumn(Record):
    """The rare values of one column.

    Parameters
    ----------
    column
        Its name.
    rare, kept, expected
        Rare values among the real rows, those of them in the release, and how many a fresh sample
        of the release's size would hold on average.
    few_people, few_people_kept
        Values of fewer real rows than the number set, and those of them in the release.
    inflated, deflated
        Rare values whose share in the release is higher, or lower, beyond chance.
    invented
        Values of the release that no real (or control) row has.
    rows_real, rows_released, rows_control
        Share of each table's rows that hold a rare value; None without control.
    kept_control
        Rare values among the control rows.
    """

    column: str
    rare: int
    kept: int
    expected: float
    few_people: int
    few_people_kept: int
    inflated: int
    deflated: int
    invented: int
    rows_real: float
    rows_released: float
    rows_control: float | None
    kept_control: int | None


@dataclass(frozen=True)
class RareValues(Record):
    """The rare values of all columns.

    Parameters
    ----------
    figures
        ``rare/kept``, ``rare/few_people_kept``, ``rare/inflated``, ``rare/deflated``,
        ``rare/invented``, ``rare/rows``.
    columns
        Each category, and each number of at most 50 values.
    """

    figures: dict[str, Figure]
    columns: tuple[RareColumn, ...]


def rare_value_fidelity(
    columns: Sequence[AlignedColumn], *, share: float = 0.01, people: int = 11
) -> RareValues:
    """Count what became of rare values.

    Parameters
    ----------
    columns
        Over the real, the released and perhaps the control rows.
    share
        A value of fewer real rows than this share is rare.
    people
        A value of fewer real rows than this is counted once more.
    """
    found, few_expected = [], 0.0
    for column in columns:
        counts = _counts(column)
        if counts is None:
            continue
        one, few = _column(column, counts, share, people)
        few_expected += few
        found.append(one)
    return RareValues(_figures(found, few_expected, share, people), tuple(found))


def _counts(column: AlignedColumn) -> list[Integers] | None:
    """Return how many rows of each table hold each value; None for a number of many values."""
    if column.kind == "category":
        size = len(column.labels)
        return [
            np.bincount(content[content >= 0].astype(np.int64), minlength=size)
            for content in column.content
        ]
    known = [content[~np.isnan(content)] for content in column.content]
    if len(np.unique(known[REAL])) > _MOST_NUMBERS:
        return None
    values = np.unique(np.concatenate(known))
    return [np.bincount(np.searchsorted(values, one), minlength=len(values)) for one in known]


def _column(
    column: AlignedColumn, counts: list[Integers], share: float, people: int
) -> tuple[RareColumn, float]:
    rows = [len(state) for state in column.state]
    real, released = counts[REAL], counts[RELEASED]
    is_rare = (real > 0) & (real < share * rows[REAL])
    few = (real > 0) & (real < people)
    known = real > 0
    control = counts[CONTROL] if len(counts) > CONTROL else None
    if control is not None:
        known |= control > 0
    likely = 1.0 - (1.0 - real / rows[REAL]) ** rows[RELEASED]
    higher, lower = _apart(real[is_rare], rows[REAL], released[is_rare], rows[RELEASED])
    return (
        RareColumn(
            column=column.name,
            rare=int(is_rare.sum()),
            kept=int((is_rare & (released > 0)).sum()),
            expected=float(likely[is_rare].sum()),
            few_people=int(few.sum()),
            few_people_kept=int((few & (released > 0)).sum()),
            inflated=higher,
            deflated=lower,
            invented=int(((released > 0) & ~known).sum()),
            rows_real=float(real[is_rare].sum() / rows[REAL]),
            rows_released=float(released[is_rare].sum() / rows[RELEASED]),
            rows_control=None if control is None else float(control[is_rare].sum() / rows[CONTROL]),
            kept_control=None if control is None else int((is_rare & (control > 0)).sum()),
        ),
        float(likely[few].sum()),
    )


def _apart(real: Integers, rows: int, released: Integers, other_rows: int) -> tuple[int, int]:
    """Return how many shares are higher, and lower, than the real ones beyond both intervals."""
    (low, high), (other_low, other_high) = _wilson(real, rows), _wilson(released, other_rows)
    return int((other_low > high).sum()), int((other_high < low).sum())


def _wilson(counts: Integers, rows: int) -> tuple[Floats, Floats]:
    shares, square = counts / rows, NORMAL_95**2 / rows
    centre = (shares + square / 2) / (1 + square)
    reach = np.sqrt(shares * (1 - shares) * square + square**2 / 4) / (1 + square)
    return centre - reach, centre + reach


def _figures(
    columns: list[RareColumn], few_expected: float, share: float, people: int
) -> dict[str, Figure]:
    rare = sum(one.rare for one in columns)
    few = sum(one.few_people for one in columns)
    controls = [one.kept_control for one in columns if one.kept_control is not None]
    figures = {
        "rare/kept": _share_of(
            "rare values that the release still has",
            sum(one.kept for one in columns),
            rare,
            f"Of the values that fewer than {share:.3g} of the real rows hold, the share that some "
            "released row has.",
            "higher is better",
            baseline=sum(one.expected for one in columns) / rare if rare else None,
            control=sum(controls) / rare if rare and controls else None,
        ),
        "rare/few_people_kept": _share_of(
            f"values of fewer than {people} people that the release still has",
            sum(one.few_people_kept for one in columns),
            few,
            f"Of the values that fewer than {people} real rows hold, the share that some released "
            "row has: the more, the more can be learned of rare cases, and the nearer they can be "
            "found.",
            "higher is better",
            baseline=few_expected / few if few else None,
            control=None,
        ),
        "rare/inflated": _share_of(
            "rare values made commoner",
            sum(one.inflated for one in columns),
            rare,
            "Share of the rare values whose share in the release is higher beyond chance.",
            "lower is better",
        ),
        "rare/deflated": _share_of(
            "rare values made rarer",
            sum(one.deflated for one in columns),
            rare,
            "Share of the rare values whose share in the release is lower beyond chance.",
            "lower is better",
        ),
    }
    rows_name = "rows that hold a rare value, released less real"
    if not columns:
        because = "no column is a category or a number of few values"
        figures["rare/rows"] = absent(
            rows_name, because, _SOURCE, unit="share", direction="closer to the baseline is better"
        )
        return figures
    differences = [one.rows_released - one.rows_real for one in columns]
    apart = [one.rows_control - one.rows_real for one in columns if one.rows_control is not None]
    figures["rare/rows"] = Figure(
        name=rows_name + ", mean over columns",
        value=float(np.mean(differences)),
        unit="share",
        direction="closer to the baseline is better",
        meaning="Below 0 rare values became rarer together, above 0 commoner.",
        source=_SOURCE,
        interval_method="none: compare with the control",
        baseline=0.0,
        control=float(np.mean(apart)) if apart else None,
    )
    figures["rare/invented"] = Figure(
        name="values that no real row has",
        value=float(sum(one.invented for one in columns)),
        unit="values",
        direction="lower is better",
        meaning="Values of the release that neither real nor control rows hold, over all columns.",
        source="counted",
    )
    return figures


def _share_of(
    name: str,
    count: int,
    of: int,
    meaning: str,
    direction: Direction,
    *,
    baseline: float | None = None,
    control: float | None = None,
) -> Figure:
    if not of:
        because = "no value of a category is so rare"
        return Figure.not_computed(
            name,
            because,
            unit="share",
            direction=direction,
            source=_SOURCE,
        )
    return Figure(
        name=name,
        value=count / of,
        unit="share",
        direction=direction,
        meaning=meaning,
        source=_SOURCE,
        interval=wilson(count, of),
        interval_method="95 %, Wilson, over the values",
        baseline=baseline,
        control=control,
        not_shown="Control rows may be fewer than released ones; the baseline is what a fresh "
        "sample of the release's size would keep."
        if baseline is not None
        else "",
    )
