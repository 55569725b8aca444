"""Whose row is whose: pairing the rows of a release with the real rows they may be.

The release of another tool comes without its row numbers, and often in another order. To keep test
people out of the training rows it must be known which released rows are theirs. A released row can
be a real one if all cells that were not generalized agree, and each generalized cell holds the
real value. Among these a largest pairing is looked for (a maximum flow); rows that are alike in
all that is shown may be exchanged, which no table can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import HierarchyError
from sfumato.evaluation.anonify.bins import category_labels
from sfumato.table import SUPPRESSED, Hierarchy, parse_intervals

__all__ = ["Pairing", "pair_rows"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_MOST_PAIRS = 40_000_000


@dataclass(frozen=True)
class Pairing:
    """The real row of each released row.

    Parameters
    ----------
    of_released
        Row of the real table for each released row, shape (m,); -1 where none was found.
    by
        "position" (the rows stand in the same order) or "content".
    because
        Why there is no pairing; empty if there is one.
    """

    of_released: Integers
    by: str
    because: str = ""

    @property
    def unpaired(self) -> int:
        """Released rows for which no real row was left."""
        return int((self.of_released < 0).sum())


def pair_rows(
    real: pl.DataFrame,
    released: pl.DataFrame,
    quasi_identifiers: Sequence[str],
    hierarchies: Mapping[str, Hierarchy],
) -> Pairing:
    """Pair released rows with real ones.

    Parameters
    ----------
    real, released
        Tables of n and m rows.
    quasi_identifiers
        The columns that may be generalized; all other shared columns are taken to be untouched.
    hierarchies
        Of the quasi-identifiers that have one; labels are looked up in them besides being read as
        intervals.
    """
    names = [name for name in quasi_identifiers if name in released.columns]
    untouched = [
        name for name in released.columns if name in real.columns and name not in quasi_identifiers
    ]
    contained = {
        name: _contained(released[name], real[name], hierarchies.get(name)) for name in names
    }
    if released.height == real.height and _in_order(real, released, untouched, contained):
        return Pairing(np.arange(real.height), "position")
    signature = _numbered([real, released], untouched)
    wanted = _tuples(signature[0], [contained[name].value_of_row for name in names])
    offered = _tuples(signature[1], [contained[name].label_of_row for name in names])
    edges = _edges(wanted, offered, [contained[name].holds for name in names])
    if edges is None:
        because = (
            "too many real and released rows are alike in the columns that were not generalized"
        )
        return Pairing(np.full(released.height, -1), "content", because)
    return Pairing(_paired(wanted, offered, edges), "content")


@dataclass(frozen=True)
class _Contained:
    """Which released labels of a column hold which real values."""

    value_of_row: Integers
    label_of_row: Integers
    holds: Flags


@dataclass(frozen=True)
class _Tuples:
    """Distinct rows of codes: the signature and the cells, how many rows, and which each row is."""

    signature: Integers
    cells: list[Integers]
    counts: Integers
    of_row: Integers


def _contained(labels: pl.Series, values: pl.Series, hierarchy: Hierarchy | None) -> _Contained:
    label_texts, value_texts = category_labels(labels), category_labels(values)
    label, value = (
        texts.unique(maintain_order=True).cast(pl.String) for texts in (label_texts, value_texts)
    )
    low, high = parse_intervals(label)
    number = parse_intervals(value)[0]
    shown, real = label.fill_null("\0"), value.fill_null("\0")
    holds = np.asarray(shown.to_numpy()[:, None] == real.to_numpy()[None, :])
    holds |= (shown == SUPPRESSED).to_numpy()[:, None]
    with np.errstate(invalid="ignore"):
        holds |= (low[:, None] <= number[None, :]) & (number[None, :] <= high[:, None])
    if hierarchy is not None:
        holds |= _below(shown, values.unique(maintain_order=True), hierarchy)
    return _Contained(_places(value_texts, value), _places(label_texts, label), holds)


def _below(labels: pl.Series, values: pl.Series, hierarchy: Hierarchy) -> Flags:
    """Return which labels are a group of the hierarchy above which values."""
    found = np.zeros((len(labels), len(values)), dtype=np.bool_)
    try:
        ladder = hierarchy.ladder(values)
        codes = ladder.codes(values)
    except HierarchyError:
        return found  # a real value that it does not hold: read without the hierarchy
    texts = labels.to_numpy()
    for level in range(ladder.height + 1):
        groups = ladder.decode(codes, level).cast(pl.String).fill_null("\0").to_numpy()
        found |= texts[:, None] == groups[None, :]
    return found


def _places(texts: pl.Series, distinct: pl.Series) -> Integers:
    places = pl.DataFrame({"text": distinct}).with_row_index("place")
    joined = pl.DataFrame({"text": texts}).join(
        places, on="text", how="left", nulls_equal=True, maintain_order="left"
    )
    return joined["place"].cast(pl.Int64).to_numpy()


def _in_order(
    real: pl.DataFrame,
    released: pl.DataFrame,
    untouched: Sequence[str],
    contained: Mapping[str, _Contained],
) -> bool:
    for name in untouched:
        if not category_labels(real[name]).equals(category_labels(released[name])):
            return False
    return all(
        bool(one.holds[one.label_of_row, one.value_of_row].all()) for one in contained.values()
    )


def _numbered(tables: Sequence[pl.DataFrame], columns: Sequence[str]) -> list[Integers]:
    """Give equal rows of some columns one number, over several tables."""
    heights = [table.height for table in tables]
    if not columns:
        return [np.zeros(height, dtype=np.int64) for height in heights]
    keys = [f"key {place}" for place in range(len(columns))]
    stacked = pl.concat(
        [
            table.select(
                category_labels(table[name]).alias(key)
                for name, key in zip(columns, keys, strict=True)
            )
            for table in tables
        ]
    )
    distinct = stacked.unique(maintain_order=True).with_row_index("number")
    joined = stacked.join(distinct, on=keys, how="left", nulls_equal=True, maintain_order="left")
    numbers = joined["number"].cast(pl.Int64).to_numpy()
    return np.split(numbers, np.cumsum(heights)[:-1])


def _tuples(signature: Integers, cells: Sequence[Integers]) -> _Tuples:
    rows = np.column_stack([signature, *cells])
    distinct, of_row, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    columns = [distinct[:, place] for place in range(distinct.shape[1])]
    return _Tuples(columns[0], columns[1:], counts, of_row.ravel())


def _edges(
    wanted: _Tuples, offered: _Tuples, holds: Sequence[Flags]
) -> tuple[Integers, Integers] | None:
    """Return the pairs of a real and a released tuple that may be one row; None if too many."""
    real = pl.DataFrame({"signature": wanted.signature}).with_row_index("real")
    shown = pl.DataFrame({"signature": offered.signature}).with_row_index("shown")
    sizes = (
        real.group_by("signature")
        .len("a")
        .join(shown.group_by("signature").len("b"), on="signature")
    )
    pairs = sizes.select((pl.col("a").cast(pl.Int64) * pl.col("b")).sum()).item() or 0
    if pairs > _MOST_PAIRS:
        return None
    joined = real.join(shown, on="signature").sort("real", "shown")
    one, other = (joined[name].cast(pl.Int64).to_numpy() for name in ("real", "shown"))
    possible = np.ones(len(one), dtype=np.bool_)
    for column, held in enumerate(holds):
        possible &= held[offered.cells[column][other], wanted.cells[column][one]]
    return one[possible], other[possible]


def _paired(wanted: _Tuples, offered: _Tuples, edges: tuple[Integers, Integers]) -> Integers:
    """Return the real row of each released row, by a maximum flow between the distinct tuples."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    one, other = edges
    n_real, n_shown = len(wanted.counts), len(offered.counts)
    source, sink = n_real + n_shown, n_real + n_shown + 1
    tails = np.concatenate([np.full(n_real, source), one, n_real + np.arange(n_shown)])
    heads = np.concatenate([np.arange(n_real), n_real + other, np.full(n_shown, sink)])
    capacity = np.concatenate(
        [wanted.counts, np.minimum(wanted.counts[one], offered.counts[other]), offered.counts]
    ).astype(np.int32)
    graph = csr_array((capacity, (tails, heads)), shape=(sink + 1, sink + 1))
    flow = maximum_flow(graph, source, sink).flow.tocoo()
    used = (flow.data > 0) & (flow.row < n_real) & (flow.col >= n_real) & (flow.col < source)
    order = np.lexsort((flow.col[used], flow.row[used]))
    from_real = np.repeat(flow.row[used][order], flow.data[used][order])
    to_shown = np.repeat(flow.col[used][order] - n_real, flow.data[used][order])
    # the i-th unit that leaves a tuple is its i-th row, and the same where it arrives
    real_row = _rows_in_turn(wanted.of_row, from_real)
    shown_row = _rows_in_turn(offered.of_row, to_shown)
    paired = np.full(len(offered.of_row), -1, dtype=np.int64)
    paired[shown_row] = real_row
    return paired


def _rows_in_turn(of_row: Integers, asked: Integers) -> Integers:
    """Return for each asked tuple one of its rows, none of them twice."""
    rows = np.argsort(of_row, kind="stable")
    starts = np.searchsorted(of_row[rows], np.arange(int(of_row.max(initial=-1)) + 2))
    order = np.argsort(asked, kind="stable")
    ordered = asked[order]
    first = np.searchsorted(ordered, ordered)
    turn = np.arange(len(asked)) - first
    found = np.empty(len(asked), dtype=np.int64)
    found[order] = rows[starts[ordered] + turn]
    return found
