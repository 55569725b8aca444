"""Small counts that follow by subtracting a count of one release from that of another.

References
----------
CMS cell size suppression policy: no cell of 1 to 10 people, and none that can be derived (ResDAC,
2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import polars as pl

from sfumato.errors import DataError
from sfumato.evaluation.attacks.tables import AttackColumn, AttackTables
from sfumato.evaluation.figures import Figure

__all__ = ["differencing_figures"]

_SOURCE = "CMS cell size suppression policy (ResDAC, 2024-01-26): no cell of 1 to 10"
_STAR = "*"


def differencing_figures(
    first: AttackTables, second: AttackTables, *, smallest: int = 11
) -> dict[str, Figure]:
    """Count the small cells that follow by subtracting a count of one release from the other's.

    Parameters
    ----------
    first, second
        Two releases about the same people, or of one that grew.
    smallest
        The smallest count that may be shown, at least 2; 11 in the policy of CMS.

    Returns
    -------
    dict of Figure
        ``differencing/classes``, of cells of all shared quasi-identifiers, and
        ``differencing/cells``, of cells of one and two shared columns. Only cells that both
        releases show as large enough are counted: their difference is what publishing both adds.

    Raises
    ------
    DataError
        If ``smallest`` is below 2.
    """
    if smallest < 2:
        raise DataError(
            f"smallest: the smallest count that may be shown is at least 2, not {smallest}"
        )
    shared = [name for name in first.by_name if name in second.by_name]
    outlines = [
        name
        for name in first.schema.quasi_identifiers
        if name in shared and name in second.schema.quasi_identifiers
    ]
    apart = [
        name
        for name in shared
        if all(_stand_apart(tables.by_name[name]) for tables in (first, second))
    ]
    fixed = set(outlines) <= set(apart)
    because = ""
    if first.synthetic or second.synthetic:
        because = "invented rows are no people, so differences of their counts are none"
    elif not shared:
        because = "the two releases share no column"
    names = {
        "differencing/classes": f"classes below {smallest} by differencing",
        "differencing/cells": f"cells below {smallest} by differencing",
    }
    sets = {
        "differencing/classes": [outlines] if outlines and fixed else [],
        "differencing/cells": [list(pair) for size in (1, 2) for pair in combinations(apart, size)],
    }
    overlap = "labels overlap, so that a count is not that of a fixed group"
    without = {
        "differencing/classes": overlap if outlines else "they share no quasi-identifier",
        "differencing/cells": overlap,
    }
    what = {
        "differencing/classes": "combinations of all shared quasi-identifiers",
        "differencing/cells": "values, and pairs of values, of the shared columns",
    }
    figures = {}
    texts = [_texts(tables, shared) for tables in (first, second)]
    for key, name in names.items():
        absent = because or ("" if sets[key] else without[key])
        if absent:
            figures[key] = Figure.not_computed(
                name, absent, unit="cells", direction="lower is better", source=_SOURCE
            )
            continue
        found = [_derived(texts[0], texts[1], columns, smallest) for columns in sets[key]]
        figures[key] = Figure(
            name=name,
            value=float(sum(small for small, _ in found)),
            unit="cells",
            direction="lower is better",
            meaning=(
                f"So many counts of 1 to {smallest - 1} people follow by subtracting the count of "
                f"one release from that of the other, where both are {smallest} or more: "
                f"{what[key]}."
            ),
            source=_SOURCE,
            baseline=0.0,
            attacks=sum(compared for _, compared in found),
            not_shown=(
                "Small counts that follow only by adding up several others, and columns whose "
                "labels overlap."
            ),
        )
    return figures


def _stand_apart(column: AttackColumn) -> bool:
    """Return whether every value is under one label, so that a label's rows are a fixed group."""
    if column.kind == "number":
        star = (column.low == -np.inf) & (column.high == np.inf)
        shown = ~star & ~np.isnan(column.low)
        ends = np.unique(np.stack([column.low[shown], column.high[shown]], axis=1), axis=0)
        return bool((ends[1:, 0] > ends[:-1, 1]).all())
    if column.covers is None:
        return True
    held = column.covers[np.unique(column.released)]
    held = held[~held.all(axis=1)]
    return bool((held.sum(axis=0) <= 1).all())


def _texts(tables: AttackTables, names: Sequence[str]) -> pl.DataFrame:
    """Return columns as texts, 80.0 and "80" alike, numbered in the order of the names."""
    parts = []
    for place, name in enumerate(names):
        column = tables.released_frame[name]
        if column.dtype.is_float():
            whole = column.cast(pl.Int64, strict=False)
            same = (whole.cast(pl.Float64) == column).fill_null(value=False)
            text = whole.cast(pl.String).zip_with(same, column.cast(pl.String))
        else:
            text = column.cast(pl.String)
        parts.append(text.alias(f"{place} {name}"))
    return pl.DataFrame(parts).rename({f"{place} {name}": name for place, name in enumerate(names)})


def _derived(
    first: pl.DataFrame, second: pl.DataFrame, columns: Sequence[str], smallest: int
) -> tuple[int, int]:
    """Return how many small differences there are, and how many cells were compared."""
    keys = [f"key {place}" for place in range(len(columns))]
    counted = [
        table.select(pl.col(name).alias(key) for name, key in zip(columns, keys, strict=True))
        .filter(pl.all_horizontal(pl.col(key).ne_missing(_STAR) for key in keys))
        .group_by(keys)
        .agg(pl.len().cast(pl.Int64).alias("rows"))
        .filter(pl.col("rows") >= smallest)
        for table in (first, second)
    ]
    both = counted[0].join(counted[1], on=keys, how="inner", nulls_equal=True, suffix=" there")
    difference = (both["rows"] - both["rows there"]).abs()
    return int(difference.is_between(1, smallest - 1).sum()), both.height
