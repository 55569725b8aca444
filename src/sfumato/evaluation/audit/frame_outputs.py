"""Released tables as numbers: what each column holds, and how near they come to one record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from sfumato.evaluation.audit.outputs import View

__all__ = ["views_of_frames"]

_MOST_VALUES = 200


def views_of_frames(
    frames: Sequence[pl.DataFrame], name: str, record: pl.DataFrame | None
) -> list[View]:
    """Return the views of released tables.

    Parameters
    ----------
    frames
        One released table for each run.
    name
        What they are, in words.
    record
        The record that sets the two inputs apart, one row, or None.

    Returns
    -------
    list of View
        Names and types of the columns; which values each column holds; rows, missing cells, means,
        spreads, ends and counts of values; how many rows agree with the record in so many columns.
    """
    shapes = [tuple(zip(one.columns, map(str, one.dtypes), strict=True)) for one in frames]
    known = {shape: place for place, shape in enumerate(dict.fromkeys(shapes))}
    views = [View(f"columns of {name}", codes=np.array([known[one] for one in shapes]))]
    numbers = [np.array([[one.height] for one in frames], np.float64)]
    common = [
        column for column in frames[0].columns if all(column in one.columns for one in frames)
    ]
    for column in common:
        series = [one[column] for one in frames]
        numeric = all(one.dtype.is_numeric() for one in series)
        if numeric:
            numbers.append(np.array([_summary(one) for one in series]))
        # which values there are at all says more than a promise allows, if it follows the data
        texts = [one.cast(pl.String, strict=False) for one in series]
        held = [frozenset(one.unique().to_list()) for one in texts]
        sets = {values: place for place, values in enumerate(dict.fromkeys(held))}
        views.append(
            View(f"values that {column!r} holds", codes=np.array([sets[one] for one in held]))
        )
        values = sorted({value for one in held for value in one if value is not None})
        if len(values) <= _MOST_VALUES and not (numeric and len(values) > 20):
            numbers.append(_counts(texts, values))
    if record is not None:
        numbers.append(_agreements(frames, record, common))
    views.append(View(f"counts and means of {name}", numbers=np.hstack(numbers)))
    return views


def _summary(series: pl.Series) -> list[float]:
    filled = series.drop_nulls().to_numpy().astype(np.float64)
    missing = float(series.null_count())
    if not filled.size:
        return [missing, 0.0, 0.0, 0.0, 0.0]
    return [missing, filled.mean(), filled.std(), filled.min(), filled.max()]


def _counts(texts: Sequence[pl.Series], values: Sequence[str]) -> np.ndarray:
    place = {value: at for at, value in enumerate(values)}
    counts = np.zeros((len(texts), len(values) + 1))
    for run, series in enumerate(texts):
        found = series.rename("value").value_counts(name="rows")
        for value, rows in found.iter_rows():
            counts[run, place.get(value, len(values))] = rows
    return counts


def _agreements(
    frames: Sequence[pl.DataFrame], record: pl.DataFrame, common: Sequence[str]
) -> np.ndarray:
    """Return how many rows of each frame agree with the record in so many columns or more."""
    shared = [column for column in common if column in record.columns]
    counts = np.zeros((len(frames), 3))
    if not shared:
        return counts
    given = {column: record[column].cast(pl.String)[0] for column in shared}
    for run, frame in enumerate(frames):
        agree = frame.select(
            pl.sum_horizontal(
                pl.col(column).cast(pl.String, strict=False).eq_missing(pl.lit(given[column]))
                for column in shared
            )
        ).to_series()
        reached = np.sort(agree.to_numpy())
        for place, columns in enumerate((len(shared), 0.75 * len(shared), 0.5 * len(shared))):
            counts[run, place] = len(reached) - np.searchsorted(reached, columns)
    return counts
