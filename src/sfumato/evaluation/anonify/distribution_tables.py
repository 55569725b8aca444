"""The distribution of a sensitive column within each bin of a quasi-identifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.evaluation.anonify.bins import Bins, category_labels, holds_numbers
from sfumato.table.preparation.midpoints import read_numbers

__all__ = ["Distribution", "distributions"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MOST_CATEGORIES = 10


@dataclass(frozen=True)
class Distribution:
    """One table: a sensitive column by the bins of a quasi-identifier.

    Parameters
    ----------
    quasi_identifier, sensitive
        The two columns.
    bins
        Names of the bins.
    kind
        "mean": the mean of a number in each bin, in its unit; "count": rows of each value.
    values
        The values that are counted; a single empty text for means.
    original, anonymized
        ``[value][bin]``; None where a bin holds no row (for a mean).
    sampled
        The mean over the samples, and the lowest and highest of them, each ``[value][bin]``.
    left_out_original, left_out_anonymized
        Rows that no bin contains, or that lack a value: counted here and nowhere else.
    runs
        How many samples.
    """

    quasi_identifier: str
    sensitive: str
    bins: tuple[str, ...]
    kind: str
    values: tuple[str, ...]
    original: tuple[tuple[float | None, ...], ...]
    anonymized: tuple[tuple[float | None, ...], ...]
    sampled: tuple[tuple[float | None, ...], ...]
    sampled_lowest: tuple[tuple[float | None, ...], ...]
    sampled_highest: tuple[tuple[float | None, ...], ...]
    left_out_original: int
    left_out_anonymized: int
    runs: int

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain JSON values."""
        return asdict(self)


def distributions(
    original: pl.DataFrame,
    anonymized: pl.DataFrame,
    bins: Sequence[Bins],
    sensitive: Sequence[str],
    kept: Sequence[npt.NDArray[np.bool_]],
) -> tuple[Distribution, ...]:
    """Return a table for every quasi-identifier and sensitive column.

    A column of numbers with more than ten distinct values is averaged, any other is counted.

    Parameters
    ----------
    original, anonymized
        The real and the released table; their rows need not correspond.
    bins
        Of each quasi-identifier.
    sensitive
        Columns that both tables hold.
    kept
        For each sample which rows of ``anonymized`` it keeps, shape (n,) each; at least one.

    Notes
    -----
    Gaballah et al., PoPETs 2024(3), section 6.2.2 and figures 5 to 7.
    """
    found = []
    for one in bins:
        places = [one.of(table[one.column]) for table in (original, anonymized)]
        for name in sensitive:
            if name != one.column:
                columns = (original[name], anonymized[name])
                found.append(_table(one, name, columns, places, kept))
    return tuple(found)


def _table(
    bins: Bins,
    name: str,
    columns: tuple[pl.Series, pl.Series],
    places: Sequence[Integers],
    kept: Sequence[npt.NDArray[np.bool_]],
) -> Distribution:
    averaged = holds_numbers(columns[0]) and columns[0].n_unique() > _MOST_CATEGORIES
    size = len(bins.labels)
    if averaged:
        values: tuple[str, ...] = ("",)
        cells = [read_numbers(column)[0] for column in columns]
        known = [~np.isnan(numbers) for numbers in cells]
    else:
        texts = [category_labels(column) for column in columns]
        distinct = pl.concat(texts).drop_nulls().unique().to_list()
        values = tuple(sorted(distinct, key=_natural))
        order = pl.Series(values, dtype=pl.String)
        cells = [
            text.replace_strict(
                order,
                pl.Series(range(len(values)), dtype=pl.Int64),
                default=-1,
                return_dtype=pl.Int64,
            )
            .fill_null(-1)
            .to_numpy()
            for text in texts
        ]
        known = [codes >= 0 for codes in cells]
    used = [(place >= 0) & there for place, there in zip(places, known, strict=True)]

    def summary(table: int, rows: npt.NDArray[np.bool_]) -> Floats:
        place, cell = places[table][rows], cells[table][rows]
        if averaged:
            counts = np.bincount(place, minlength=size)
            sums = np.bincount(place, cell, size)
            means = np.full(size, np.nan)
            np.divide(sums, counts, out=means, where=counts > 0)
            return means[None, :]
        pairs = cell.astype(np.int64) * size + place
        flat = np.bincount(pairs, minlength=len(values) * size).astype(np.float64)
        return flat.reshape(len(values), size)

    samples = np.stack([summary(1, used[1] & rows) for rows in kept])
    there = ~np.isnan(samples)
    counts = there.sum(axis=0)
    mean = np.full(samples.shape[1:], np.nan)
    np.divide(np.where(there, samples, 0.0).sum(axis=0), counts, out=mean, where=counts > 0)
    lowest = np.where(counts > 0, np.where(there, samples, np.inf).min(axis=0), np.nan)
    highest = np.where(counts > 0, np.where(there, samples, -np.inf).max(axis=0), np.nan)
    return Distribution(
        quasi_identifier=bins.column,
        sensitive=name,
        bins=bins.labels,
        kind="mean" if averaged else "count",
        values=values,
        original=_plain(summary(0, used[0])),
        anonymized=_plain(summary(1, used[1])),
        sampled=_plain(mean),
        sampled_lowest=_plain(lowest),
        sampled_highest=_plain(highest),
        left_out_original=int((~used[0]).sum()),
        left_out_anonymized=int((~used[1]).sum()),
        runs=len(kept),
    )


def _plain(table: Floats) -> tuple[tuple[float | None, ...], ...]:
    return tuple(
        tuple(None if np.isnan(number) else float(number) for number in row) for row in table
    )


def _natural(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)
