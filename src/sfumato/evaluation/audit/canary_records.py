"""Records that nobody has: made of the rarest a table holds, so that a leak of one would show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError
from sfumato.table import Schema, take

__all__ = ["canary_scores", "worst_case_canaries"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_TRIES = 20
_BINS = 20
_CELLS = 2**24  # agreements held at once


def worst_case_canaries(
    table: pl.DataFrame,
    count: int,
    *,
    seed: int,
    schema: Schema | None = None,
    rarest: bool = False,
) -> pl.DataFrame:
    """Return records that are possible, rare in every column, and in no row of the table.

    Parameters
    ----------
    table
        Real rows, at least one.
    count
        How many, at least 1; all different.
    seed
        Of the draws.
    schema
        Columns with the role identifier are given missing cells, if a schema is given.
    rarest
        Whether the first record holds the least frequent value of every column and the far end of
        every range, rather than values drawn.

    Returns
    -------
    pl.DataFrame
        Shape (count, columns of the table), of the same types. Each value is one that the column
        holds, so that a mechanism with fixed domains takes it: a value is drawn with a weight of
        one over its frequency, a number evenly over the range and then moved to the nearest held.

    Raises
    ------
    DataError
        If the table is empty, or has too few combinations of values.
    """
    if table.is_empty() or not table.width:
        raise DataError("canaries are made of the values that a table holds, and it has none")
    random = np.random.default_rng(seed)
    hidden = () if schema is None else [name for name in schema.identifiers if name in table]
    open_columns = [name for name in table.columns if name not in hidden]
    made = pl.DataFrame(schema=table.schema)
    if rarest:
        made = _unseen(_records(table, open_columns, 0, random), table, open_columns)
    for _ in range(_TRIES):
        if made.height >= count:
            break
        drawn = _records(table, open_columns, 2 * count, random)
        made = pl.concat([made, _unseen(drawn, table, open_columns)]).unique(maintain_order=True)
    if made.height < count:
        raise DataError(
            f"only {made.height:,} of {count:,} canaries could be made: the table has too few "
            "combinations of values that no row holds; ask for fewer canaries"
        )
    return made.head(count)


def canary_scores(released: Any, canaries: pl.DataFrame) -> dict[str, Floats]:
    """Return how much a released table looks as if it had been made with each canary.

    Parameters
    ----------
    released
        The released rows; a frame of any kind.
    canaries
        The records, one row each.

    Returns
    -------
    dict
        "nearest row": the largest share of the canary's columns that a released row agrees in, 0
        to 1, each weighed by minus the logarithm of how often its value is released;
        "pairs of values": mean over pairs of columns of the logarithm of how often the canary's
        pair is released, against how often it were by chance. Shape (canaries,) each, higher for
        one that seems to be in. Numbers agree that are in the same of 20 equal parts of the
        release. Columns that either lacks are left out.

    Raises
    ------
    DataError
        If what was released is no frame.
    """
    released = take(released)[0]
    shared = [name for name in canaries.columns if name in released.columns]
    if not shared or released.is_empty():
        return {"nearest row": np.zeros(canaries.height)}
    coded = [_coded(released[name], canaries[name]) for name in shared]
    scores = {"nearest row": _nearest(coded, released.height, canaries.height)}
    if len(shared) > 1:
        scores["pairs of values"] = _pairs(coded, released.height)
    return scores


def _records(
    table: pl.DataFrame,
    names: Sequence[str],
    count: int,
    random: np.random.Generator,
) -> pl.DataFrame:
    """Return so many records that are drawn, or for 0 the one of the rarest values."""
    rarest = count == 0
    columns = []
    for name in table.columns:
        column = table[name]
        values = column.drop_nulls()
        if name not in names or values.is_empty():
            columns.append(pl.Series(name, [None] * max(count, 1), dtype=column.dtype))
            continue
        counts = values.rename("value").value_counts(name="rows").sort("rows", "value")
        held = counts["value"]
        numeric = held.dtype.is_numeric() and len(held) > _BINS
        if rarest:
            at = np.array([_far_end(held) if numeric else 0])
        elif numeric:
            held = held.sort()
            at = _drawn_evenly(held.to_numpy().astype(np.float64), count, random)
        else:
            weights = 1 / counts["rows"].to_numpy()
            at = random.choice(len(held), count, p=weights / weights.sum())
        columns.append(held.gather(at).alias(name))
    return pl.DataFrame(columns)


def _far_end(held: pl.Series) -> int:
    """Return the place of the end of the range that lies farther from the middle."""
    numbers = held.to_numpy().astype(np.float64)
    return int(np.abs(numbers - np.median(numbers)).argmax())


def _drawn_evenly(held: Floats, count: int, random: np.random.Generator) -> Integers:
    points = random.uniform(held[0], held[-1], count)
    after = np.clip(np.searchsorted(held, points), 1, len(held) - 1)
    nearer = points - held[after - 1] < held[after] - points
    return np.asarray(after - nearer, np.int64)


def _unseen(records: pl.DataFrame, table: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    kept = records.join(table.select(names), on=list(names), how="anti", nulls_equal=True)
    return kept.select(table.columns)


def _coded(released: pl.Series, canaries: pl.Series) -> tuple[Integers, Integers]:
    """Return codes of both columns: equal where they hold the same value or part of the range."""
    if released.dtype.is_numeric() and canaries.dtype.is_numeric():
        seen = released.cast(pl.Float64).to_numpy()
        given = canaries.cast(pl.Float64).to_numpy()
        finite = np.unique(seen[np.isfinite(seen)])
        if len(finite) > _BINS:
            edges = np.unique(np.quantile(seen[np.isfinite(seen)], np.linspace(0, 1, _BINS + 1)))
            # missing is a part of its own: it sorts behind all edges
            return (
                np.searchsorted(edges, seen, side="right").astype(np.int64)
                + np.isnan(seen).astype(np.int64),
                np.searchsorted(edges, given, side="right").astype(np.int64)
                + np.isnan(given).astype(np.int64),
            )
    both = pl.concat([released.cast(pl.String), canaries.cast(pl.String)])
    codes = both.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    return codes[: len(released)], codes[len(released) :]


def _nearest(coded: Sequence[tuple[Integers, Integers]], rows: int, count: int) -> Floats:
    best = np.full(count, -np.inf)
    weights = []
    for seen, given in coded:
        shares = np.bincount(seen, minlength=int(max(seen.max(), given.max())) + 1) / rows
        weights.append(-np.log(np.maximum(shares[given], 1 / (rows + 1))))
    block = max(1, _CELLS // max(count, 1))
    for start in range(0, rows, block):
        sums = np.zeros((count, min(block, rows - start)), np.float32)
        for (seen, given), weight in zip(coded, weights, strict=True):
            agree = given[:, None] == seen[None, start : start + block]
            sums += agree * weight[:, None].astype(np.float32)
        best = np.maximum(best, sums.max(axis=1))
    return np.asarray(best / np.maximum(np.sum(weights, axis=0), 1e-12))


def _pairs(coded: Sequence[tuple[Integers, Integers]], rows: int) -> Floats:
    total = np.zeros(len(coded[0][1]))
    sizes = [int(max(seen.max(), given.max())) + 1 for seen, given in coded]
    single = [
        np.bincount(seen, minlength=size) for (seen, _), size in zip(coded, sizes, strict=True)
    ]
    pairs = 0
    for i, (seen, given) in enumerate(coded):
        for j in range(i):
            keys = seen * sizes[j] + coded[j][0]
            wanted = given * sizes[j] + coded[j][1]
            known, times = np.unique(keys, return_counts=True)
            place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
            found = np.where(known[place] == wanted, times[place], 0)
            chance = single[i][given] * single[j][coded[j][1]] / rows
            total += np.log((found + 0.5) / (chance + 0.5))
            pairs += 1
    return total / pairs
