"""Whose rows are protected, and how many of one person's are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sfumato.errors import PlanError, SchemaError
from sfumato.privacy.differential.histograms import bounded_rows

if TYPE_CHECKING:
    import polars as pl

    from sfumato.privacy.differential.budget import Budget
    from sfumato.privacy.differential.random_words import RandomWords
    from sfumato.table import Schema

__all__ = ["bounded", "check_unit"]


def check_unit(budget: Budget, schema: Schema) -> None:
    """Refuse a budget for rows where rows belong to persons, and the other way round.

    Raises
    ------
    PlanError
        If the schema names a person and the budget protects rows.
    SchemaError
        If the budget protects persons and the schema names none.
    """
    if budget.unit == "row" and schema.person is not None:
        raise PlanError(
            f"The schema says that {schema.person!r} is the person, but the budget protects rows: "
            f'set unit = "person" and rows_per_person in the budget'
        )
    if budget.unit == "person" and schema.person is None:
        raise SchemaError(
            "The budget protects persons, but the schema does not say which column is the person"
        )


def bounded(table: pl.DataFrame, person: str | None, most: int, words: RandomWords) -> pl.DataFrame:
    """Return the table with at most ``most`` rows of each person, chosen at random.

    Rows without a person count as one person's.

    Parameters
    ----------
    table
        The table.
    person
        The column that says whose a row is; None where each row is a person.
    most
        Rows of a person that are kept, 1 or more.
    words
        Where the choice comes from.
    """
    if person is None or table.height == 0:
        return table
    codes = table[person].rank("dense").fill_null(0).to_numpy().astype(np.int64)
    return table.filter(bounded_rows(codes, most, words))
