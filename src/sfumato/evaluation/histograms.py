"""A column of several tables cut into the same few cells, for charts and for distances.

Cells are made from the real table only; no cell tells a rare value's name or a column's extremes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from sfumato.evaluation.alignment import MISSING, PRESENT, SUPPRESSED, AlignedColumn
from sfumato.table import MISSING_LABEL, interval_label, parse_intervals
from sfumato.table import SUPPRESSED as STAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Histogram", "histogram"]

_MOST_CELLS = 20
_RARE = 10  # a value of fewer real rows is not named
_POOLED = "(other)"
_LABELS = {MISSING: MISSING_LABEL, SUPPRESSED: STAR}
_HOUR = 3_600_000_000


@dataclass(frozen=True)
class Histogram:
    """Shares of the same cells in the real, the released and the control rows.

    Parameters
    ----------
    labels
        At most 20 cells in the order to draw them: values or intervals, then "(other)",
        "(missing)" and ``*`` where they occur.
    real, released
        Share of the rows in each cell; sums to 1.
    control
        The same among control people; None without control.
    """

    labels: tuple[str, ...]
    real: tuple[float, ...]
    released: tuple[float, ...]
    control: tuple[float, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the histogram as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the histogram that :meth:`to_dict` described."""
        control = values["control"]
        return cls(
            tuple(values["labels"]),
            tuple(values["real"]),
            tuple(values["released"]),
            None if control is None else tuple(control),
        )


def histogram(column: AlignedColumn) -> Histogram:
    """Return the shares of the column's cells in each table.

    Parameters
    ----------
    column
        The column in the real, the released and perhaps the control table, in this order; no
        table is empty.
    """
    absent = [kind for kind in _LABELS if any((state == kind).any() for state in column.state)]
    room = _MOST_CELLS - len(absent)
    names, cells = (_numbers if column.kind == "number" else _values)(column, room)
    labels = (*names, *(_LABELS[kind] for kind in absent))
    shares = []
    for cell, state in zip(cells, column.state, strict=True):
        of_row = cell.copy()
        for place, kind in enumerate(absent):
            of_row[state == kind] = len(names) + place
        counts = np.bincount(of_row, minlength=len(labels))
        shares.append(tuple((counts / len(of_row)).tolist()))
    return Histogram(labels, shares[0], shares[1], shares[2] if len(shares) > 2 else None)


def _numbers(column: AlignedColumn, room: int) -> tuple[list[str], list[Integers]]:
    """Return the cells of a number and the cell of each row of each table."""
    known = [
        numbers[state == PRESENT]
        for numbers, state in zip(column.content, column.state, strict=True)
    ]
    distinct, counts = np.unique(known[0], return_counts=True)
    few = distinct.size <= room and bool((counts >= _RARE).all())
    if few and all(np.isin(np.unique(one), distinct).all() for one in known[1:]):
        names = [_written(value, column) for value in distinct.tolist()]
        cells = [np.searchsorted(distinct, numbers) for numbers in column.content]
        return names, [np.minimum(cell, max(len(names) - 1, 0)) for cell in cells]
    edges = _edges(known[0] if known[0].size else np.concatenate(known), room, column)
    names = [
        _interval(low, high, column)
        for low, high in zip(
            [float("-inf"), *edges.tolist()], [*edges.tolist(), float("inf")], strict=True
        )
    ]
    return names, [
        np.searchsorted(edges, np.nan_to_num(numbers), side="right").astype(np.int64)
        for numbers in column.content
    ]


def _edges(real: Floats, room: int, column: AlignedColumn) -> Floats:
    """Return the inner edges of equal steps, round numbers between two percentiles."""
    if real.size == 0:
        return np.zeros(1)
    low, high = np.quantile(real, [0.01, 0.99])
    step = _round_step(max((high - low) / max(room - 2, 1), 1e-12), column)
    first = np.floor(low / step)
    last = min(np.ceil(high / step), first + room - 2)
    return np.asarray(np.round(np.arange(first, last + 1) * step, 12))


def _round_step(step: float, column: AlignedColumn) -> float:
    """Return the next round width: 1, 2, 2.5 or 5 times a power of ten; whole hours or days."""
    if column.is_time:
        unit = 24 * _HOUR if step > 12 * _HOUR else _HOUR
        return float(np.ceil(step / unit) * unit)
    power = 10.0 ** np.floor(np.log10(step))
    whole = all(
        np.array_equal(known, np.rint(known))
        for known in (numbers[~np.isnan(numbers)] for numbers in column.content)
    )
    steps = [factor * power for factor in (1, 2, 2.5, 5, 10)]
    rounded = next(one for one in steps if one >= step * (1 - 1e-9))
    return float(max(1.0, np.ceil(rounded))) if whole else float(rounded)


def _written(value: float, column: AlignedColumn) -> str:
    if column.is_time:
        moment = pl.Series([round(value)]).cast(pl.Datetime("us"))
        return str(moment.dt.to_string("%Y-%m-%d" if value % (24 * _HOUR) == 0 else "%F %H:%M")[0])
    return str(int(value)) if float(value).is_integer() else f"{value:.12g}"


def _interval(low: float, high: float, column: AlignedColumn) -> str:
    if not column.is_time:
        return interval_label(float(f"{low:.12g}"), float(f"{high:.12g}"))
    if np.isinf(low):
        return f"before {_written(high, column)}"
    return f"from {_written(low, column)}"


def _values(column: AlignedColumn, room: int) -> tuple[list[str], list[Integers]]:
    """Return the named values of a category and the cell of each row of each table."""
    codes = column.content[0]
    counts = np.bincount(codes[codes >= 0].astype(np.int64), minlength=len(column.labels))
    order = np.argsort(-counts, kind="stable")
    named = [int(code) for code in order if counts[code] >= _RARE]
    elsewhere = {
        int(code) for one in column.content for code in np.unique(one[one >= 0]).astype(np.int64)
    }
    if len(named) > room or elsewhere - set(named):
        named = named[: room - 1]
    named = _arranged(named, column.labels)
    pooled = bool(elsewhere - set(named))
    cell_of = np.full(len(column.labels) + 1, len(named), dtype=np.int64)
    cell_of[named] = np.arange(len(named))
    names = [column.labels[code] for code in named] + ([_POOLED] if pooled else [])
    return names, [cell_of[one.astype(np.int64)] for one in column.content]


def _arranged(named: list[int], labels: tuple[str, ...]) -> list[int]:
    """Put intervals and numbers in ascending order; leave other values by frequency."""
    if not named:
        return named
    low, high = parse_intervals(pl.Series([labels[code] for code in named]))
    if np.isnan(low).any():
        return named
    return [named[place] for place in np.lexsort((high, low))]
