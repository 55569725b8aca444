"""What an attacker reaches who links a person to the rows that match: highest, average, at risk.

The three attackers of the literature differ only in where a row's matches are counted: in the
release itself (the prosecutor knows that the person is in it), in the population that it was drawn
from (the journalist does not know), or over all rows at once (the marketer wants many, not one).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.evaluation.compatible_rows import (
    Compatible,
    compatible_counts,
    compatible_of_some,
    too_many,
)
from sfumato.privacy import EquivalenceClasses
from sfumato.privacy.grouping import distinct, numbered
from sfumato.privacy.wildcards import wild_cells
from sfumato.table.hierarchies.ladder import SUPPRESSED

__all__ = [
    "Attack",
    "as_texts",
    "attack",
    "matches_in_population",
    "suppressed_rows",
    "wildcard_matches",
]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_ROUNDING = 1e-12
_SAMPLED = 1_000


@dataclass(frozen=True)
class Attack:
    """What one attacker reaches, as probabilities.

    Parameters
    ----------
    highest
        For the row that is easiest to find.
    average
        Over all rows: the share that is found if every row is attacked (success rate).
    at_risk
        Share of rows whose probability is above the threshold.
    """

    highest: float
    average: float
    at_risk: float


def attack(matches: Integers, threshold: float) -> Attack:
    """Return what an attacker reaches who picks one of the matches of each row by chance.

    Parameters
    ----------
    matches
        How many people each row could be, shape (n,), each at least 1.
    threshold
        Probability above which a row is at risk.
    """
    risk = 1.0 / matches
    at_risk = risk > threshold * (1 + _ROUNDING)
    return Attack(float(risk.max()), float(risk.mean()), float(at_risk.mean()))


def matches_in_population(
    released: pl.DataFrame,
    population: pl.DataFrame,
    quasi_identifiers: Sequence[str],
    *,
    person: str | None = None,
) -> Integers:
    """Return how many people of the population share the quasi-identifiers of each released row.

    Cells are compared as texts; a missing cell is a value of its own. A row whose
    quasi-identifiers are all suppressed, where the population has no such row, could be anybody.

    Parameters
    ----------
    released
        The released rows (n).
    population
        The people that the release was drawn from, its own among them, generalized as it is: a
        register, or the table before it was sampled.
    quasi_identifiers
        The columns that are compared, at least one.
    person
        A column of the population that says whose row it is; classes then count people.

    Returns
    -------
    np.ndarray
        Shape (n,), each at least 1.

    Raises
    ------
    SchemaError
        If the population lacks a column.
    DataError
        If the release has more rows of one combination than the population has.
    """
    names = list(quasi_identifiers)
    for name in names:
        if name not in population.columns:
            hint = did_you_mean(name, population.columns)
            raise SchemaError(f"The population has no column {name!r}.{hint}")
    if person is not None and person not in population.columns:
        person = None
    size = pl.len() if person is None else pl.col("person").n_unique()
    people = as_texts(population, names)
    if person is not None:
        people = people.with_columns(population[person].alias("person"))
    keys = [f"key {number}" for number in range(len(names))]
    counted = people.group_by(keys).agg(size.cast(pl.Int64).alias("matches"))
    rows = as_texts(released, names)
    joined = rows.join(counted, on=keys, how="left", nulls_equal=True, maintain_order="left")
    own = rows.select(pl.len().over(keys)).to_series().to_numpy()
    matches = joined["matches"].fill_null(0).to_numpy(writable=True).astype(np.int64)
    everybody = population.height if person is None else population[person].n_unique()
    matches[(matches == 0) & suppressed_rows(released, names)] = everybody
    strange = matches == 0 if person is not None else matches < own
    if strange.any():
        raise DataError(
            f"{int(strange.sum())} released rows have quasi-identifiers that fewer people of the "
            "population have than rows of the release: the population must hold everybody in the "
            "release, generalized in the same way"
        )
    return matches


def suppressed_rows(released: pl.DataFrame, columns: Sequence[str]) -> Flags:
    """Return which rows have ``*`` in every one of the columns, shape (n,)."""
    texts = (pl.String, pl.Categorical, pl.Enum)
    if not columns or not all(isinstance(released[name].dtype, texts) for name in columns):
        return np.zeros(released.height, dtype=np.bool_)
    stars = pl.all_horizontal(
        pl.col(name).cast(pl.String).eq_missing(pl.lit(SUPPRESSED)) for name in columns
    )
    return np.asarray(released.select(stars).to_series().to_numpy())


def as_texts(table: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return columns as texts that are called "key 0", "key 1", ..."""
    return table.select(
        pl.col(name).cast(pl.String).alias(f"key {number}") for number, name in enumerate(columns)
    )


def wildcard_matches(
    released: pl.DataFrame,
    quasi_identifiers: Sequence[str],
    *,
    person: str | None = None,
    of_row: Integers | None = None,
    seed: int = 0,
) -> Compatible | None:
    """Return with how many people rows may be confused if suppressed and missing cells match.

    Parameters
    ----------
    released
        The released rows (n).
    quasi_identifiers
        The columns that are compared: equal, or one of the two ``*`` or missing.
    person
        Column that says whose row it is; people are counted then.
    of_row
        The equivalence class of each row by these columns, if numbered already.
    seed
        Of the sample of 1,000 rows that is compared where all are too many.

    Returns
    -------
    Compatible or None
        For every row, or for a sample of them; None if no cell is suppressed or missing.
    """
    columns = list(quasi_identifiers)
    wild_columns = [
        name
        for name in columns
        if released[name].null_count() or suppressed_rows(released, [name]).any()
    ]
    if not wild_columns:
        return None
    if of_row is None:
        of_row = numbered(released, columns)[0]
    keys = released.select(columns)[np.unique(of_row, return_index=True)[1]]
    wild = wild_cells(keys, missing=True, suppressed=SUPPRESSED)
    codes = np.column_stack([numbered(keys, [name])[0] for name in columns])
    if not too_many(wild):
        if person is not None:
            classes = EquivalenceClasses.of(
                released, columns, person=person, missing="wildcard", suppressed="wildcard"
            )
            return Compatible(classes.size_of_row(), exact=True)
        counts = compatible_counts(codes, wild, np.bincount(of_row).astype(np.int64))
        return Compatible(counts[of_row], exact=True)
    drawn = np.random.default_rng(seed).choice(
        released.height, min(_SAMPLED, released.height), replace=False
    )
    asked, again = np.unique(of_row[drawn], return_inverse=True)
    some = compatible_of_some(codes, wild, asked)
    if person is None:
        sizes = np.bincount(of_row)
        counted = [int(sizes[tuples].sum()) for tuples in some]
    else:
        persons, _ = numbered(released, [person])
        tuples_of, people_of = distinct(of_row, persons)
        by_tuple = np.argsort(tuples_of, kind="stable")
        held = people_of[by_tuple]
        ends = np.cumsum(np.bincount(tuples_of))
        starts = np.concatenate([[0], ends[:-1]])
        counted = [
            len(np.unique(np.concatenate([held[starts[t] : ends[t]] for t in tuples])))
            for tuples in some
        ]
    return Compatible(np.array(counted, dtype=np.int64)[again.reshape(-1)], exact=False)
