"""Whether a release lies nearer to the people it was made from than to other people.

Rows that a generator repeats, or nearly repeats, lie nearer to the people it learned from than to
equally many control people. Under a release that tells nothing of single people, who is a training
person and who a control person could be exchanged: this gives the test its exact mean and variance,
also where many rows share their nearest person. The test finds copies and near copies; it says
little about people of whom only a part is repeated.

References
----------
M. Platzer, T. Reutterer, "Holdout-based empirical assessment of mixed-type synthetic data",
Frontiers in Big Data 4 (2021), for the share nearer to the training rows; R. A. Fisher, "The Design
of Experiments" (1935), for exchangeability; Z. Yao et al., "The DCR delusion", arXiv 2505.01524,
for what the distance cannot see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.evaluation.alignment import MISSING, SUPPRESSED, AlignedColumn, align
from sfumato.evaluation.attacks.nearest import Search
from sfumato.evaluation.attacks.tables import GRID, STAR, AttackColumn
from sfumato.evaluation.estimates import NORMAL_95, NOTICED, wilson
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.intervals import difference_of_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["closest_record"]

_MOST_PEOPLE = 30_000
_TIES = 4_000_000  # people at the same distance held at once
_PLATZER = "Platzer & Reutterer 2021, section 2.3"
_NAMES = {
    "nearer_to_train": "released rows nearer to a training than to a control person",
    "exact_copies": "people whose whole record is released, beyond chance",
    "distance_median": "distance to the closest training record, median",
    "distance_lowest": "distance to the closest training record, 5th percentile",
}
_UNITS = {"distance_median": "mean difference", "distance_lowest": "mean difference"}


def closest_record(
    released: pl.DataFrame,
    train: pl.DataFrame,
    control: pl.DataFrame,
    *,
    seed: int,
    sample: int = 2000,
    columns: Sequence[str] | None = None,
    person: str | None = None,
) -> dict[str, Figure]:
    """Measure whether released rows lie nearer to training people than to control people.

    Parameters
    ----------
    released
        The released rows.
    train, control
        Real rows that the release was made from, and of people that it never saw, both written as
        the release writes them (recoded by its fitted mapping).
    seed
        Of the sampling.
    sample
        Most released rows that are looked up, at least 1.
    columns
        Columns to compare; by default all that the three tables share. Identifiers are the
        caller's to leave out.
    person
        Column of ``train`` and ``control`` that says whose row it is; one row of each person is
        then drawn, since the rows of one person cannot be exchanged one by one.

    Returns
    -------
    dict of Figure
        ``nearer_to_train``: share of the released rows whose nearest person is a training person,
        of equally many training and control people; ties are split; one half is chance.
        ``exact_copies``: share of training people whose record is in the release letter by letter,
        less the same share of control people; 0 is chance.
        ``distance_median``, ``distance_lowest``: distance to the nearest of the training people,
        with that to the nearest of equally many control people as control.
        Each says why it was not computed if a table is empty.

    Raises
    ------
    SchemaError
        If a named column is absent, or no column is shared.
    DataError
        If the tables write a column in ways that have no value in common.
    """
    tables = [released, train, control]
    names = _names(tables, columns, person)
    for table, what in zip(
        tables,
        ("the release has no rows", "there are no training rows", "there are no control rows"),
        strict=True,
    ):
        if table.is_empty():
            return _none(what)
    random = np.random.default_rng(seed)
    if person is not None:
        tables = [released, *(_one_each(table, person, random) for table in tables[1:])]
    aligned = [align(name, [table[name] for table in tables]) for name in names]
    for column in aligned:
        _check_written_alike(column)
    copies = _exact_copies(aligned, [table.height for table in tables])

    looked_up = _some(tables[0].height, sample, random)
    people = min(tables[1].height, tables[2].height, _MOST_PEOPLE)
    chosen = [_some(table.height, people, random) for table in tables[1:]]
    nearest = _nearest(
        *(
            [_compared(column, looked_up, kind, some) for column in aligned]
            for kind, some in enumerate(chosen, start=1)
        )
    )
    return {
        "nearer_to_train": _nearer(nearest, people, tables[1].height),
        "exact_copies": copies,
        "distance_median": _distance(nearest, 0.5, "distance_median", people),
        "distance_lowest": _distance(nearest, 0.05, "distance_lowest", people),
    }


@dataclass(frozen=True, eq=False)
class _Nearest:
    """The nearest people of each released row.

    Parameters
    ----------
    to_train, to_control
        Distance to the nearest of either kind, 0 to 1, shape (rows,).
    weight_train, weight_control
        How many released rows have a person as their nearest, shared among ties, shape (people,).
    """

    to_train: Floats
    to_control: Floats
    weight_train: Floats
    weight_control: Floats


def _names(
    tables: Sequence[pl.DataFrame], columns: Sequence[str] | None, person: str | None
) -> list[str]:
    shared = [name for name in tables[0].columns if all(name in one.columns for one in tables[1:])]
    if person is not None:
        for table in tables[1:]:
            if person not in table.columns:
                hint = did_you_mean(person, table.columns)
                raise SchemaError(f"The real rows have no column {person!r}.{hint}")
        shared = [name for name in shared if name != person]
    for name in columns or ():
        if name not in shared:
            hint = did_you_mean(name, shared)
            raise SchemaError(f"Column {name!r} is not in all three tables.{hint}")
    names = shared if columns is None else list(columns)
    if not names:
        raise SchemaError("The released, the training and the control rows share no column")
    return names


def _one_each(table: pl.DataFrame, person: str, random: np.random.Generator) -> pl.DataFrame:
    """Return one row of each person, drawn at random; rows without a person are one person."""
    order = random.permutation(table.height)
    return table[order].unique(subset=[person], keep="first", maintain_order=True)


def _check_written_alike(column: AlignedColumn) -> None:
    if column.kind == "number":
        return
    values = [set(np.unique(content[content >= 0]).tolist()) for content in column.content]
    for real, what in zip(values[1:], ("training", "control"), strict=True):
        if values[0] and real and not values[0] & real:
            raise DataError(
                f"Column {column.name!r}: the released and the {what} rows have no value in common;"
                f" write the real rows as the release does (recode them) or leave the column out"
            )


def _some(rows: int, most: int, random: np.random.Generator) -> Integers:
    if rows <= most:
        return np.arange(rows)
    return np.sort(random.choice(rows, size=most, replace=False)).astype(np.int64)


def _compared(
    column: AlignedColumn, looked_up: Integers, table: int, people: Integers
) -> AttackColumn:
    """Return some released rows and some people of a table side by side.

    The scale of a number is the range of all released rows. A real cell may be suppressed too.
    """
    codes, ends = np.zeros(0, np.int32), np.zeros(0)
    sides = (0, looked_up), (table, people)
    if column.kind == "category":
        shown, has = (_codes(column, side, rows) for side, rows in sides)
        values = len(column.labels) + 1
        return AttackColumn(column.name, "category", shown, has, values, None, ends, ends, ends)
    cells, numbers = (column.content[side][rows].astype(np.float64) for side, rows in sides)
    hidden, hers = (column.state[side][rows] == SUPPRESSED for side, rows in sides)
    low, high = np.where(hidden, -np.inf, cells), np.where(hidden, np.inf, cells)
    known = column.content[0][~np.isnan(column.content[0])]
    width = float(np.ptp(known)) if known.size else 0.0
    return AttackColumn(
        name=column.name,
        kind="number",
        released=codes,
        real=codes,
        values=0,
        covers=None,
        low=low,
        high=high,
        numbers=np.where(hers, np.inf, numbers),
        width=width or 1.0,
    )


def _codes(column: AlignedColumn, table: int, rows: Integers) -> NDArray[np.int32]:
    code, state = column.content[table][rows], column.state[table][rows]
    code = np.where(state == MISSING, len(column.labels), code)
    return np.where(state == SUPPRESSED, STAR, code).astype(np.int32)


def _nearest(train: Sequence[AttackColumn], control: Sequence[AttackColumn]) -> _Nearest:
    """Look every released row up among the training and the control people."""
    searches = [Search.among(columns, "real") for columns in (train, control)]
    found = [search.nearest(1).at(1) for search in searches]
    distances = [distance for distance, _, _ in found]
    least = np.minimum(*distances)
    tied = np.sum([np.where(one == least, ties, 0) for one, _, ties in found], axis=0)
    weights = [np.zeros(int(search.group.max()) + 1) for search in searches]
    # some rows at a time, as one of which all is suppressed is as near to everybody
    part = np.cumsum(tied) // _TIES
    for number in np.unique(part):
        rows = np.flatnonzero(part == number)
        for search, weight in zip(searches, weights, strict=True):
            near = search.within(least[rows], rows)
            share = np.repeat(1.0 / tied[rows], np.diff(near.starts))
            weight += np.bincount(near.groups, share, minlength=len(weight))
    width = GRID * len(train)
    return _Nearest(
        *(distance / width for distance in distances),
        *(weight[search.group] for weight, search in zip(weights, searches, strict=True)),
    )


def _nearer(nearest: _Nearest, people: int, trained_on: int) -> Figure:
    rows = len(nearest.to_train)
    value = float(nearest.weight_train.sum() / rows)
    weight = np.concatenate([nearest.weight_train, nearest.weight_control])
    spread = float(np.square(weight - weight.mean()).sum())
    variance = 0.25 * weight.size / max(weight.size - 1, 1) * spread / rows**2
    # As many independent rows as would spread by this much; never more than there are.
    effective = rows if variance <= 0.25 / rows else max(1, int(0.25 / variance))
    deviation = math.sqrt(max(variance, 0.25 / rows * 1e-12))
    p_value = 0.5 * math.erfc((value - 0.5) / deviation / math.sqrt(2)) if spread > 0 else 1.0
    # A copied row is only met where its original is among the people looked at.
    noticed = 2 * NOTICED * math.sqrt(0.25 / effective) * trained_on / people
    power = (
        f"Copies that make up {noticed:.1%} of the release would be noticed four times out of five."
        if noticed < 1
        else "So few people are there to compare with that copies might well go unnoticed."
    )
    return Figure(
        name=_NAMES["nearer_to_train"],
        value=value,
        unit="share",
        direction="closer to the baseline is better",
        meaning=(
            f"Of {rows:,} released rows, the share whose most similar person is one that the "
            f"release was made from, among {people:,} of these and {people:,} people it never saw. "
            f"One half is chance; more means that rows were copied or nearly copied. {power}"
        ),
        source=_PLATZER,
        interval=wilson(value * effective, effective),
        interval_method=(
            "Wilson, 95 %, rows counted as independent only as far as they have different "
            "nearest people; p by exchanging training and control people, one-sided"
        ),
        baseline=0.5,
        p_value=p_value,
        not_shown=(
            "Nearness is no attack: who is singled out or known as a member may be no nearer to "
            "the release than others, and a few copied rows do not move the share."
        ),
    )


def _exact_copies(columns: Sequence[AlignedColumn], rows: Sequence[int]) -> Figure:
    from scipy.stats import hypergeom

    frames = [
        pl.DataFrame(
            [pl.Series(f"value {i}", column.content[table]) for i, column in enumerate(columns)]
            + [pl.Series(f"state {i}", column.state[table]) for i, column in enumerate(columns)]
        ).with_columns(pl.col(pl.Float64).fill_nan(None))
        for table in range(3)
    ]
    keys = frames[0].columns
    records = frames[0].unique()
    train, control = (
        frame.join(records, on=keys, how="semi", nulls_equal=True).height for frame in frames[1:]
    )
    p_value = float(hypergeom.sf(train - 1, rows[1] + rows[2], rows[1], train + control))
    return Figure(
        name=_NAMES["exact_copies"],
        value=train / rows[1] - control / rows[2],
        unit="share",
        direction="lower is better",
        meaning=(
            f"{train:,} of {rows[1]:,} people that the release was made from have a row in it that "
            f"equals their record in every column, and so have, by chance, {control:,} of "
            f"{rows[2]:,} people it never saw; the figure is the one share less the other."
        ),
        source="Fisher 1935, exact test; Raab et al. 2024, arXiv 2406.16826, replicated records",
        interval=difference_of_shares(train, rows[1], control, rows[2]),
        interval_method="Newcombe's hybrid score, 95 %; p by Fisher's exact test, one-sided",
        baseline=0.0,
        p_value=min(1.0, p_value),
    )


def _distance(nearest: _Nearest, share: float, key: str, people: int) -> Figure:
    ordered = np.sort(nearest.to_train)
    rows = ordered.size
    reach = NORMAL_95 * math.sqrt(rows * share * (1 - share))
    low = max(0, math.floor(rows * share - reach) - 1)
    high = min(rows - 1, math.ceil(rows * share + reach))
    whose = "Half" if share == 0.5 else f"{share:.0%}"
    return Figure(
        name=_NAMES[key],
        value=float(np.quantile(ordered, share)),
        unit=_UNITS[key],
        direction="higher is better",
        meaning=(
            f"{whose} of the released rows are at most this different from the most similar of "
            f"{people:,} people that the release was made from: 0 is the same in every column, 1 "
            f"as different as can be in every column. The control is the same for as many people "
            f"it never saw. That the two are alike does not show that nobody was copied."
        ),
        source=_PLATZER + "; Gower 1971",
        interval=(float(ordered[low]), float(ordered[high])),
        interval_method="order statistics, 95 %",
        control=float(np.quantile(nearest.to_control, share)),
        not_shown=(
            "It passes and fails nothing: on a safe release the comparison is a coin's toss, and "
            "a release of which every fifth row is a slightly changed person passes it."
        ),
    )


def _none(because: str) -> dict[str, Figure]:
    return {
        key: Figure.not_computed(
            name,
            because,
            unit=_UNITS.get(key, "share"),
            direction="lower is better",
            source=_PLATZER,
        )
        for key, name in _NAMES.items()
    }
