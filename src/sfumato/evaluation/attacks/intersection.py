"""What two releases of the same people tell together that neither tells alone.

Each release may leave several values possible for a person; only those that both leave possible
remain (the intersection, or composition, attack). And where both count the same cell, the
difference of two large counts may be a small one (differencing).

References
----------
S. R. Ganta, S. P. Kasiviswanathan, A. Smith, "Composition Attacks and Auxiliary Information in Data
Privacy", KDD 2008, section 3; CMS cell size suppression policy: no cell of 1 to 10 people, and none
that can be derived (ResDAC, 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.evaluation.attacks.candidates import Candidates, Labels, candidates, labels_of
from sfumato.evaluation.attacks.homogeneity import known_and_secret, tested
from sfumato.evaluation.attacks.tables import STAR, AttackColumn, AttackTables
from sfumato.evaluation.figures import Figure

__all__ = ["differencing", "intersect", "intersection_scores"]

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_SOURCE = "Ganta, Kasiviswanathan and Smith, KDD 2008, section 3; Fisher 1935"
_CELLS_SOURCE = "CMS cell size suppression policy (ResDAC, 2024-01-26): no cell of 1 to 10"
_STAR = "*"
_DENSE = 10_000_000  # cells of a table of people and values


@dataclass(frozen=True, eq=False)
class _Possible:
    """What is possible for each person; all of shape (N,).

    Parameters
    ----------
    first, second, both
        How many values the first, the second and both releases leave possible.
    certain_alone, certain
        Whether a release alone, and both together, leave only the right one.
    row_alone, row
        Whether one row of the first release is left, and says the right value, with the first alone
        and with both.
    """

    first: Rows
    second: Rows
    both: Rows
    certain_alone: Flags
    certain: Flags
    row_alone: Flags
    row: Flags


def intersect(
    first: AttackTables,
    second: AttackTables,
    *,
    sensitive: Sequence[str] | None = None,
    pairs: npt.ArrayLike | None = None,
    bins: int = 10,
    smallest: int = 11,
    seed: int = 0,
) -> dict[str, Figure]:
    """Attack two releases of the same people together.

    Parameters
    ----------
    first, second
        Either release with the same members and controls, all of them (``most=None``).
    sensitive
        The columns to learn; by default the sensitive ones and the target of the first schema that
        are in both.
    pairs
        The real row of ``second`` that is the same person as each real row of ``first``, shape
        (N,); by default people are paired by their values, for which both need the same columns.
    bins
        Numbers of many values are learned if their bin is, of as many released rows each.
    smallest
        The smallest count that may be shown, at least 2; 11 in the policy of CMS.
    seed
        Of breaking ties in checks of the tests' level.

    Returns
    -------
    dict of Figure
        For each column ``intersection/column/certain``, ``.../row`` and ``.../candidates``; and
        those of :func:`differencing`.

    Raises
    ------
    DataError
        If the two have other people, or people cannot be paired.
    SchemaError
        If a column to learn is not in both.
    """
    figures: dict[str, Figure] = {}
    place = _paired(first, second, pairs)
    known, secrets, because = _asked(first, second, sensitive)
    if because:
        figures["intersection"] = _absent("intersection of two releases", because)
    for secret in secrets if not because else ():
        figures |= _of_column(first, second, place, known, secret, bins, seed)
    return figures | differencing(first, second, smallest=smallest)


def intersection_scores(
    first: AttackTables,
    second: AttackTables,
    secret: str,
    *,
    pairs: npt.ArrayLike | None = None,
    bins: int = 10,
) -> dict[str, Flags]:
    """Return of whom a value, or a row, is learned, for checking the level of the tests.

    Parameters
    ----------
    first, second, pairs, bins
        As in :func:`intersect`.
    secret
        A column of both.

    Returns
    -------
    dict of array
        "certain" and "row", each of shape (N,) over the real rows of ``first``.
    """
    known, secrets, because = _asked(first, second, [secret])
    if because:
        return {}
    place = _paired(first, second, pairs)
    found = _possible(first, second, place, known, secrets[0], bins)
    return {} if found is None else {"certain": found.certain, "row": found.row}


def _asked(
    first: AttackTables, second: AttackTables, sensitive: Sequence[str] | None
) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], tuple[str, ...], str]:
    known, secrets, because = known_and_secret(first)
    other, _, because_other = known_and_secret(second)
    shared = [name for name in first.by_name if name in second.by_name]
    for name in sensitive or ():
        if name not in shared:
            raise SchemaError(
                f"column {name!r} is not in both releases.{did_you_mean(name, shared)}"
            )
    named = sensitive is not None
    secrets = tuple(sensitive) if sensitive is not None else secrets
    secrets = tuple(name for name in secrets if name in shared)
    mine, others = (
        tuple(name for name in names if name not in secrets) for names in (known, other)
    )
    if not mine or not others:
        because = "a release has no quasi-identifier that can be compared"
    elif not secrets:
        because = "no sensitive column or target is in both releases"
    elif named and first.rows and second.rows and first.n_members and first.n_controls:
        because = ""
    return (mine, others), secrets, because or ("" if named else because_other)


def _paired(first: AttackTables, second: AttackTables, pairs: npt.ArrayLike | None) -> Rows:
    """Return the real row of the second tables for each of the first."""
    people = len(first.member)
    if pairs is not None:
        given = np.asarray(pairs)
        whole = given.dtype.kind in "iu" and given.shape == (people,) == second.member.shape
        if not whole or (np.sort(given) != np.arange(people)).any():
            raise DataError(
                f"pairs: each of the {people:,} real rows of the second release is needed once, as "
                "a row number from 0"
            )
        if (second.member[given] != first.member).any():
            raise DataError("pairs: a member of one release is a control of the other")
        return given.astype(np.int64)
    names = sorted(first.real_frame.columns)
    if names != sorted(second.real_frame.columns):
        raise DataError(
            "the two releases were compared in different columns, so who is the same person is not "
            "known: give columns= that both have, or pairs="
        )
    ordered = [
        tables.real_frame.select(names)
        .with_columns(pl.Series("is a member", tables.member).alias(_fresh("member", names)))
        .with_row_index(_fresh("row", names))
        .sort([*names, _fresh("member", names)], nulls_last=True)
        for tables in (first, second)
    ]
    rows = [table[_fresh("row", names)].to_numpy().astype(np.int64) for table in ordered]
    if not ordered[0].drop(_fresh("row", names)).equals(ordered[1].drop(_fresh("row", names))):
        raise DataError(
            "the two releases were not compared to the same members and controls: give both all "
            "the same people (most=None)"
        )
    place = np.empty(people, dtype=np.int64)
    place[rows[0]] = rows[1]
    return place


def _fresh(name: str, names: Sequence[str]) -> str:
    while name in names:
        name += "_"
    return name


def _joint(first: AttackColumn, second: AttackColumn, place: Rows) -> AttackColumn | None:
    """Return one column of the rows of both releases, in the codes of the first."""
    if first.kind != second.kind:
        return None
    if first.kind == "number":
        return replace(
            first,
            low=np.concatenate([first.low, second.low]),
            high=np.concatenate([first.high, second.high]),
        )
    # what the second calls a value that no real row has is a value of its own
    code = np.arange(first.values, first.values + second.values)
    code[second.real[place]] = first.real
    values = first.values + second.values
    if first.covers is None and second.covers is None:
        shown = np.where(second.released == STAR, STAR, code[np.maximum(second.released, 0)])
        released = np.concatenate([first.released, shown.astype(np.int32)])
        return replace(first, released=released, values=values)
    covers = np.zeros((0, values), dtype=np.bool_)
    released = np.zeros(0, dtype=np.int32)
    for column, own in ((first, np.arange(first.values)), (second, code)):
        labels = column.released
        sets = column.covers
        if sets is None:
            sets = np.vstack([np.eye(column.values, dtype=np.bool_), np.ones(column.values, bool)])
            labels = np.where(labels == STAR, column.values, labels)
        wide = np.zeros((len(sets), values), dtype=np.bool_)
        wide[:, own] = sets
        wide[sets.all(axis=1)] = True
        released = np.concatenate([released, labels + len(covers)])
        covers = np.vstack([covers, wide])
    return replace(first, released=released.astype(np.int32), covers=covers, values=values)


def _possible(
    first: AttackTables,
    second: AttackTables,
    place: Rows,
    known: tuple[tuple[str, ...], tuple[str, ...]],
    secret: str,
    bins: int,
) -> _Possible | None:
    joint = _joint(first.by_name[secret], second.by_name[secret], place)
    labels = None if joint is None else labels_of(joint, bins)
    if labels is None:
        return None
    parts = (labels.released[: first.rows], labels.released[first.rows :])
    real = labels.real
    of_second = np.empty_like(real)
    of_second[place] = real
    one = candidates(first, known[0], replace(labels, released=parts[0]))
    two = candidates(second, known[1], replace(labels, released=parts[1], real=of_second))
    width = labels.labels - 1 if labels.right is None else labels.right.shape[1]
    people = np.arange(len(real))
    step = max(1, _DENSE // max(width, 1))
    parts_of_people = [
        _of_some(one, two, labels, people[start : start + step], place)
        for start in range(0, len(people), step)
    ]
    together = (np.concatenate(found) for found in zip(*parts_of_people, strict=True))
    return _Possible(*together)


def _of_some(
    one: Candidates, two: Candidates, labels: Labels, people: Rows, place: Rows
) -> tuple[Rows | Flags, ...]:
    """Return the parts of :class:`_Possible` for some of the people."""
    here, local, label, rows = _values(one, labels, people)
    there = _values(two, labels, place[people])[0]
    both = np.asarray(here & there)
    every = np.arange(len(people))
    own = [which[every, labels.real[people]] for which in (here, there, both)]
    counts = [which.sum(axis=1) for which in (here, there, both)]
    certain = [mine & (count == 1) for mine, count in zip(own, counts, strict=True)]
    hidden = label == labels.suppressed
    left: Flags
    if labels.right is None:
        left = both[local, np.where(hidden, 0, label)]
    else:
        left = np.asarray((both[local] & labels.right[label]).any(axis=1))
    left = np.where(hidden, np.asarray(both.any(axis=1))[local], left)
    rows_alone = np.bincount(local, rows, len(people))
    rows_left = np.bincount(local, rows * left, len(people))
    return (
        *counts,
        certain[0] | certain[1],
        certain[2],
        own[0] & (rows_alone == 1),
        own[2] & (rows_left == 1),
    )


def _values(
    found: Candidates, labels: Labels, people: Rows
) -> tuple[Flags, Rows, npt.NDArray[np.int32], Rows]:
    """Return which values are possible, and the person, label and rows of each candidate label."""
    sizes = np.diff(found.starts)[people]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    entries = np.repeat(found.starts[people], sizes) + within
    local = np.repeat(np.arange(len(people)), sizes)
    label, rows = found.labels[entries], found.counts[entries]
    hidden = label == labels.suppressed
    if labels.right is None:
        possible = np.zeros((len(people), labels.labels - 1), dtype=np.bool_)
        possible[local[~hidden], label[~hidden]] = True
    else:
        possible = np.zeros((len(people), labels.right.shape[1]), dtype=np.bool_)
        held = sizes > 0
        if held.any():
            begins = (np.cumsum(sizes) - sizes)[held]
            possible[held] = np.logical_or.reduceat(labels.right[label], begins, axis=0)
    possible[local[hidden]] = True
    return possible, local, label, rows


def _of_column(
    first: AttackTables,
    second: AttackTables,
    place: Rows,
    known: tuple[tuple[str, ...], tuple[str, ...]],
    secret: str,
    bins: int,
    seed: int,
) -> dict[str, Figure]:
    key = f"intersection/{secret}"
    found = _possible(first, second, place, known, secret, bins)
    if found is None:
        because = f"column {secret!r} is written too differently in the two releases"
        return {key: _absent(f"intersection on {secret!r}", because)}
    member = first.member
    wanted = {
        "certain": (
            f"{secret!r} learned from two releases together",
            f"have one {secret!r} left that both releases allow, the right one",
            found.certain,
            found.certain_alone,
        ),
        "row": (
            "one row left by two releases together",
            f"have one row of the first release left whose {secret!r} both allow",
            found.row,
            found.row_alone,
        ),
    }
    figures = {
        f"{key}/{name}": tested(
            first,
            score,
            name=title,
            meaning=(
                f"Share of members who {what}; the baseline is how many have by one release alone, "
                "the control how many people who are in neither."
            ),
            source=_SOURCE,
            baseline=float(alone[member].mean()),
            seed=seed,
            not_shown="What a third release would add.",
        )
        for name, (title, what, score, alone) in wanted.items()
    }
    figures[f"{key}/candidates"] = Figure(
        name=f"values of {secret!r} left by two releases together",
        value=float(found.both[member].mean()),
        unit="values",
        direction="higher is better",
        meaning=(
            f"How many values of {secret!r} both releases allow for a member, on average; the "
            "baseline is how many the more telling one of them allows alone."
        ),
        source=_SOURCE,
        baseline=float(np.minimum(found.first, found.second)[member].mean()),
        control=float(found.both[~member].mean()),
        attacks=len(member),
        not_shown="How likely each of them is.",
    )
    return figures


def differencing(
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
            figures[key] = _absent(name, absent, unit="cells", source=_CELLS_SOURCE)
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
            source=_CELLS_SOURCE,
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


def _absent(name: str, because: str, *, unit: str = "share", source: str = _SOURCE) -> Figure:
    return Figure.not_computed(name, because, unit=unit, direction="lower is better", source=source)
