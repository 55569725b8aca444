"""Tuples with cells that match every value: which rows may be confused with which.

Two tuples are compatible if in every column they are equal or one of them has a wildcard there.
Compatibility is not transitive, so tuples do not fall into disjoint classes: what is counted is,
for each distinct tuple, everything that the tuples compatible with it hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["gather_compatible", "wild_cells"]

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


def wild_cells(keys: pl.DataFrame, *, missing: bool, suppressed: str | None) -> Booleans:
    """Return which cells of distinct tuples match every value, shape (n_tuples, n_columns).

    Parameters
    ----------
    keys
        The distinct tuples.
    missing
        Whether a missing cell does.
    suppressed
        The text of a suppressed cell that does, such as ``*``; None if there is none.
    """
    columns = []
    for name in keys.columns:
        wild = keys[name].is_null().to_numpy() & missing
        if suppressed is not None and keys[name].dtype in (pl.String, pl.Categorical, pl.Enum):
            texts = keys[name].cast(pl.String)
            wild = wild | (texts == suppressed).fill_null(value=False).to_numpy()
        columns.append(wild)
    return np.column_stack(columns) if columns else np.zeros((keys.height, 0), dtype=np.bool_)


def gather_compatible(
    codes: Integers, wild: Booleans, entries: pl.DataFrame, items: Sequence[str]
) -> pl.DataFrame:
    """Return for each tuple the items that the tuples compatible with it hold.

    Tuples are taken together by which of their cells are wild; for each pair of such patterns the
    tuples are joined on the columns where neither is wild. The work grows with the number of pairs
    of patterns times the number of tuples, not with the square of the number of tuples.

    Parameters
    ----------
    codes
        The distinct tuples as numbers, shape (n_tuples, n_columns); equal values, equal numbers.
    wild
        Which cells match every value, shape (n_tuples, n_columns).
    entries
        Columns "tuple" (tuple id), the ``items``, and "count": how often that tuple holds the item.
    items
        Names of the columns that make an item; with none of them, counts alone are summed.

    Returns
    -------
    pl.DataFrame
        The same columns: for each tuple and item the sum of the counts over compatible tuples.
    """
    names = [f"code {number}" for number in range(codes.shape[1])]
    tuples = pl.DataFrame({name: codes[:, i] for i, name in enumerate(names)}).with_columns(
        pl.Series("tuple", np.arange(len(codes), dtype=np.int64))
    )
    patterns, of_tuple = np.unique(wild, axis=0, return_inverse=True)
    of_tuple = of_tuple.reshape(-1)
    asking = [tuples.filter(of_tuple == number) for number in range(len(patterns))]
    giving = [part.join(entries, on="tuple", how="inner") for part in asking]
    found = []
    for one, asked in zip(patterns, asking, strict=True):
        for other, given in zip(patterns, giving, strict=True):
            common = [name for name, w in zip(names, one | other, strict=True) if not w]
            summed = given.group_by([*common, *items]).agg(pl.col("count").sum())
            if common:
                joined = asked.select("tuple", *common).join(summed, on=common, how="inner")
            else:
                joined = asked.select("tuple").join(summed, how="cross")
            found.append(joined.select("tuple", *items, "count"))
    return (
        pl.concat(found)
        .group_by(["tuple", *items])
        .agg(pl.col("count").sum())
        .sort(["tuple", *items])
    )
