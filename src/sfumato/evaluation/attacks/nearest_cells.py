"""The cells of released and real rows as the nearest-record search needs them.

Every cell is a span of numbers or of codes; rows are put into blocks of alike ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.tables import GRID, STAR, AttackColumn
from sfumato.table.counting import count_tuples

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.nearest_kernels import Blocks

__all__ = [
    "Side",
    "bits_of",
    "distinct",
    "ends_of",
    "height",
    "in_blocks",
    "near_ends",
    "take",
    "together",
    "what_fits",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Side = Literal["released", "real"]

_OPEN = 3e38  # an open end, in single precision
_MISSING = 1e9  # further than GRID from every number
_REACH = 2.0**18  # numbers beyond are as far as can be from all released ones
_PAIRS = 64
_LAST_BITS = np.uint64(63)
_ALL = np.uint64(2**64 - 1)


def height(column: AttackColumn, side: Side) -> int:
    """Return how many rows a side has."""
    if column.kind == "number":
        return len(column.low if side == "released" else column.numbers)
    return len(column.released if side == "released" else column.real)


Ends = tuple[Floats, Floats]


def ends_of(column: AttackColumn, side: Side, rows: Integers) -> Ends:
    """Return the ends of each cell's span of numbers or codes; the same array for single values."""
    if column.kind == "number":
        if side == "real":
            numbers = column.numbers[rows]
            star = np.isinf(numbers)  # a real cell that was suppressed
            return _open(numbers, star) if star.any() else (numbers, numbers)
        low = column.low[rows]
        high = low if column.high is column.low else column.high[rows]
        single = high is low or bool(((low == high) | (np.isnan(low) & np.isnan(high))).all())
        return (low, low) if single else (low, high)
    codes = (column.released if side == "released" else column.real)[rows].astype(np.float64)
    star = codes == STAR
    if column.covers is not None or not star.any():
        return codes, codes
    return _open(codes, star)


def _open(values: Floats, star: npt.NDArray[np.bool_]) -> Ends:
    return np.where(star, -np.inf, values), np.where(star, np.inf, values)


def take(ends: Ends, rows: Integers) -> Ends:
    """Return the ends of some rows."""
    low = ends[0][rows]
    return low, (low if ends[1] is ends[0] else ends[1][rows])


def distinct(
    columns: Sequence[AttackColumn], ends: Sequence[Ends]
) -> tuple[Integers, Integers, Integers]:
    """Return a row of each distinct one, how often it occurs, and which one each row is."""
    keys, radices = [], []
    for column, (low, high) in zip(columns, ends, strict=True):
        is_code = column.kind == "category" and low is high
        for one in (low,) if low is high else (low, high):
            if is_code:
                place = one.astype(np.int64)
            else:
                _, place = np.unique(one, return_inverse=True)
            keys.append(place.astype(np.uint32))
            radices.append(int(place.max(initial=0)) + 1)
    rows = len(ends[0][0])
    counted = count_tuples(keys, radices, rows, inverse=True)
    group = np.asarray(counted.inverse, np.int64)
    first = np.empty(len(counted.counts), np.int64)
    first[group[::-1]] = np.arange(rows)[::-1]
    return first, counted.counts, group


def near_ends(column: AttackColumn, ends: Ends) -> tuple[Floats32, Floats32]:
    """Return ends in units of 1 / GRID of what costs as much as can be, in single precision."""
    if column.kind == "category":  # a code with a table is looked up, not compared
        scale, least = (1.0 if column.covers is not None else float(GRID)), 0.0
    else:
        known = column.low[np.isfinite(column.low)]
        scale, least = GRID / column.width, float(known.min()) if known.size else 0.0
    found = []
    for end in ends[:1] if ends[0] is ends[1] else ends:
        units = (end - least) * scale
        if column.kind == "number":
            units = np.clip(units, -_REACH, _REACH)
            units[np.isnan(end)] = _MISSING
        units[np.isinf(end)] = np.copysign(_OPEN, end[np.isinf(end)])
        found.append(units.astype(np.float32))
    return found[0], found[-1]


def together(ends: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> npt.NDArray[Any]:
    """Return the ends of all columns, shape (rows, columns, 2)."""
    kept = np.empty((len(ends[0][0]), len(ends), 2), ends[0][0].dtype)
    for place, (low, high) in enumerate(ends):
        kept[:, place, 0], kept[:, place, 1] = low, high
    return kept


def bits_of(low: Floats, high: Floats) -> npt.NDArray[np.uint64]:
    """Return the last six bits of each code as one bit of 64; all of them for ``*``."""
    star = low != high
    codes = np.where(star, 0, low).astype(np.uint64)
    return np.where(star, _ALL, np.uint64(1) << (codes & _LAST_BITS))


def what_fits(column: AttackColumn, side: Side) -> npt.NDArray[np.bool_]:
    """Return whether a code that is sought fits a code of the searched side, in that order."""
    if column.covers is None:  # pragma: no cover (asked only where there is a table)
        raise ValueError(column.name)
    return np.ascontiguousarray(column.covers.T if side == "released" else column.covers)


def _kind(column: AttackColumn, ends: Ends) -> int:
    from sfumato.evaluation.attacks.nearest_kernels import CATEGORY, SPAN, TABLE

    kind = CATEGORY if column.kind == "category" else 0
    if column.covers is not None:
        return kind + TABLE
    return kind if ends[0] is ends[1] else kind + SPAN


def in_blocks(
    columns: Sequence[AttackColumn], other_view: Sequence[AttackColumn], side: Side
) -> tuple[Blocks, Integers, tuple[AttackColumn, ...]]:
    """Return the distinct rows of a side in blocks of alike ones, and which one each row is.

    Also the columns in the order in which they are compared.
    """
    from sfumato.evaluation.attacks.nearest_kernels import BLOCK, TABLE, Blocks

    both = [*columns, *other_view]
    every = np.arange(height(both[0], side))
    ends = [ends_of(column, side, every) for column in both]
    kinds = np.array([_kind(*one) for one in zip(both, ends, strict=True)], np.int64)
    first, weight, group = distinct(both, ends)
    ends = [take(one, first) for one in ends]
    near = [near_ends(*one) for one in zip(both, ends, strict=True)]
    single = np.array([low for low, _ in near])
    alike = single * np.where(kinds & TABLE, np.float32(GRID), np.float32(1))[:, None]
    inside, spread = _in_blocks(alike, BLOCK)
    view = np.arange(len(both)) >= len(columns)
    order = np.lexsort((-spread, view))

    filled = np.concatenate([inside, np.repeat(inside[-1:], -len(inside) % BLOCK)])
    shape = (len(both), len(filled) // BLOCK, BLOCK)
    weights = np.zeros(len(filled), np.int64)
    weights[: len(inside)] = weight[inside]
    low = single[order][:, filled].reshape(shape)
    spans = bool((kinds[order] & 1).any())
    high = np.array([near[at][1] for at in order])[:, filled].reshape(shape) if spans else low
    holds = np.zeros(shape[:2], np.uint64)
    for place, at in enumerate(order):
        if kinds[at] > 1:
            bits = bits_of(*(end[filled] for end in ends[at]))
            holds[place] = np.bitwise_or.reduce(bits.reshape(shape[1:]), axis=1)
    place_of = np.empty(len(inside), np.int64)
    place_of[inside] = np.arange(len(inside))
    ordered = tuple(both[at] for at in order)
    tables = [what_fits(column, side).ravel() for column in ordered if column.covers is not None]
    blocks = Blocks(
        kinds[order],
        len(columns),
        weights,
        together([ends[at] for at in order])[filled],
        np.ascontiguousarray(low.swapaxes(0, 1)),
        np.ascontiguousarray(high.swapaxes(0, 1)),
        holds,
        np.ascontiguousarray(low.min(axis=2)),
        np.ascontiguousarray(high.max(axis=2)),
        np.array([column.width for column in ordered], np.float64),
        np.concatenate([np.zeros(0, np.bool_), *tables]),
        np.float32(2 * len(both) + len(both) ** 2 / 128),
    )
    return blocks, place_of[group], ordered


def _in_blocks(near: Floats32, size: int) -> tuple[Integers, Floats32]:
    """Return an order in which every ``size`` rows are alike, and how far apart columns are.

    Stretches of rows are halved along the column in which a sample of them differs most.
    """
    rows = near.shape[1]
    order = np.arange(rows)
    spread = _spread(near, order)
    stretches = [(0, rows)]
    while stretches:
        start, stop = stretches.pop()
        if stop - start <= size:
            continue
        some = order[start:stop]
        column = int(_spread(near, some).argmax())
        half = -(-(stop - start) // (2 * size)) * size
        order[start:stop] = some[np.argpartition(near[column][some], half)]
        stretches += [(start, start + half), (start + half, stop)]
    return order, spread


def _spread(near: Floats32, rows: Integers) -> Floats32:
    """Return the mean cost between rows in each column, from a sample of pairs."""
    half = len(rows) // 2
    if not half:
        return np.zeros(len(near), np.float32)
    some = np.linspace(0, half - 1, min(half, _PAIRS)).astype(np.int64)
    apart = np.abs(near[:, rows[some]] - near[:, rows[some + half]])
    spread: Floats32 = np.minimum(apart, np.float32(GRID)).mean(axis=1)
    return spread
