"""Who is set aside before anything is learned: whole people, in the target's proportions.

Under a privacy budget each person is set aside by themselves, whoever else is in the table. A quota
would let one person more push another one in or out, so that two rows would change where the
promise counts one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError
from sfumato.release.plan import derived_seed

if TYPE_CHECKING:
    from sfumato.table import Schema

__all__ = ["Apart", "Split", "set_aside"]

#: How people are set aside: a share of each value of the target, each person by what they are, or
#: each row by its place.
Apart = Literal["strata", "person", "place"]
_FINE = 2**32
_MOST_STRATA = 20  # a target with more values than this is a number, not a class


@dataclass(frozen=True)
class Split:
    """The rows from which releases are made, and those that no technique sees.

    Parameters
    ----------
    train, control
        Rows in the order of the table; ``control`` is empty for a share of 0.
    persons, control_persons
        Distinct persons in the table and in ``control``; None without a person column.
    """

    train: pl.DataFrame
    control: pl.DataFrame
    persons: int | None
    control_persons: int | None


def set_aside(
    table: pl.DataFrame, schema: Schema, share: float, seed: int, apart: Apart = "strata"
) -> Split:
    """Split a table into rows to release and rows to measure against.

    Parameters
    ----------
    table
        All rows.
    schema
        Its ``person`` column keeps a person's rows together (a row without a person is a person
        of its own); each value of its ``target`` gives the same share of its people, if there are
        at most 20 values. A person with several values counts for the rarest.
    share
        Share of the people to set aside, 0 to 0.5.
    seed
        The plan's seed.
    apart
        "strata": as said above. "person": about the share, each person by a hash of who they are
        (of their row's cells without a ``person`` column), so that one person more or less moves
        nobody else. "place": the share of the rows by their places, so that other values in a row
        move no row.

    Raises
    ------
    DataError
        If there are too few people to set any aside.
    """
    people = _people(table, schema)
    count = people.height
    persons = count if schema.person is not None else None
    wanted = round(share * count)
    if share == 0:
        return Split(table, table.clear(), persons, None if persons is None else 0)
    if wanted == 0:
        raise DataError(
            f"control = {share} of {count} people leaves nobody to measure against: give more "
            "people, or say control = 0"
        )
    if apart != "strata":
        aside = _by_hash(table, schema, share, seed)
        if apart == "place":
            generator = np.random.Generator(np.random.PCG64(derived_seed(seed, "control")))
            ranks = generator.permutation(table.height)
            aside = pl.Series("aside", ranks < round(share * table.height))
        return _parted(table, schema, aside, persons)
    chosen = _chosen(people, wanted, seed)
    aside = _person_of_row(table, schema).is_in(chosen.implode())
    return Split(
        table.filter(~aside),
        table.filter(aside),
        persons,
        None if persons is None else chosen.len(),
    )


def _by_hash(table: pl.DataFrame, schema: Schema, share: float, seed: int) -> pl.Series:
    """Return for each row whether its person's own hash falls into the share."""
    cells = [pl.col(name).cast(pl.String).fill_null("\x00") for name in table.columns]
    who = pl.concat_str(cells, separator="\x1f")
    if schema.person is not None:
        who = pl.col(schema.person).cast(pl.String).fill_null("\x00" + who)
    number = who.hash(derived_seed(seed, "control")) % _FINE
    return table.select((number < int(share * _FINE)).alias("aside")).to_series()


def _parted(table: pl.DataFrame, schema: Schema, aside: pl.Series, persons: int | None) -> Split:
    control = table.filter(aside)
    among = None if persons is None else _person_of_row(control, schema).n_unique()
    return Split(table.filter(~aside), control, persons, among)


def _person_of_row(table: pl.DataFrame, schema: Schema) -> pl.Series:
    row = pl.int_range(pl.len())
    if schema.person is None:
        return table.select(row.alias("person")).to_series()
    # A row without a person gets a text of its own that no person can have.
    nobody = pl.concat_str(pl.lit("\x00"), row)
    person = pl.col(schema.person).cast(pl.String).fill_null(nobody)
    return table.select(person.alias("person")).to_series()


def _people(table: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Return each person once, in order of appearance, with the stratum to draw from."""
    rows = pl.DataFrame(_person_of_row(table, schema))
    target = schema.target
    if target is None or table[target].n_unique() > _MOST_STRATA:
        return rows.unique(maintain_order=True).with_columns(stratum=pl.lit(""))
    rows = rows.with_columns(stratum=table[target].cast(pl.String).fill_null("\x00"))
    rows = rows.with_columns(rarity=pl.len().over("stratum"))
    rarest = pl.col("stratum").sort_by("rarity", "stratum").first()
    return rows.group_by("person", maintain_order=True).agg(rarest)


def _chosen(people: pl.DataFrame, wanted: int, seed: int) -> pl.Series:
    """Return the persons who are set aside, by a stratified draw."""
    generator = np.random.Generator(np.random.PCG64(derived_seed(seed, "control")))
    drawn = people.with_columns(draw=pl.Series(generator.random(people.height)))
    sizes = drawn.group_by("stratum").len().sort("stratum")
    quotas = sizes.with_columns(quota=pl.Series(_quotas(sizes["len"].to_numpy(), wanted)))
    place = pl.col("draw").rank("ordinal").over("stratum")
    placed = drawn.with_columns(place=place).join(quotas, on="stratum")
    return placed.filter(pl.col("place") <= pl.col("quota"))["person"]


def _quotas(sizes: npt.NDArray[np.int64], wanted: int) -> npt.NDArray[np.int64]:
    """Share ``wanted`` in proportion to the sizes, by largest remainder."""
    exact = sizes * (wanted / sizes.sum())
    quotas: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
    largest = np.argsort(-(exact - quotas), kind="stable")[: wanted - int(quotas.sum())]
    quotas[largest] += 1
    return quotas
