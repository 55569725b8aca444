"""The beginning of every private synthesis: what columns can hold, and each column counted.

The rows are bounded, undeclared columns are found out, and each column gets a noisy histogram. All
that comes after sees the data through further paid counts only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from sfumato.errors import DataError
from sfumato.privacy.differential.ledger import Ledger
from sfumato.privacy.differential.random_words import RandomWords
from sfumato.progress import Progress, silent
from sfumato.synthesis.private.contribution import bounded, check_unit
from sfumato.synthesis.private.discovery import discovered
from sfumato.synthesis.private.domain import DeclaredNumbers, DeclaredValues, declared_domain
from sfumato.synthesis.private.histograms import Histogram, column_histogram, noisy_rows
from sfumato.synthesis.private.latent_generator import kept_dtype
from sfumato.synthesis.private.noisy_counting import NoisyCounting

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from sfumato.privacy.differential.budget import Budget
    from sfumato.table import Schema

__all__ = ["CountedColumns", "counted_columns"]


@dataclass(frozen=True, eq=False)
class CountedColumns:
    """The columns of a table, each counted with noise.

    Parameters
    ----------
    names, dtypes, declared
        The columns that are learned, the type in which each is drawn, and what it can hold.
    histograms
        Noisy counts of each column.
    points
        The declared point of each row in each column, shape (n,) each: **data**.
    rows
        Noisy number of rows.
    counting
        Counts with noise and pays for it.
    rest
        Share of the budget that is left.
    left_out
        Columns that identify a person.
    schema
        The checked schema.
    """

    names: tuple[str, ...]
    dtypes: dict[str, pl.DataType]
    declared: dict[str, DeclaredNumbers | DeclaredValues]
    histograms: list[Histogram]
    points: list[NDArray[np.int64]]
    rows: float
    counting: NoisyCounting
    rest: Fraction
    left_out: tuple[str, ...]
    schema: Schema


def counted_columns(
    table: pl.DataFrame,
    schema: Schema,
    *,
    budget: Budget,
    domain: Mapping[str, DeclaredNumbers | DeclaredValues],
    singles: Fraction,
    discover: Fraction,
    insecure_seed: int | None,
    progress: Progress = silent,
) -> CountedColumns:
    """Count each column of a table.

    Parameters
    ----------
    table, schema
        The table to imitate and its schema.
    budget, domain, singles, discover, insecure_seed
        As for :class:`DPLatentFactor`.
    progress
        Told how far the work is.

    Raises
    ------
    SchemaError
        If the schema does not fit the table, or it is not declared what a column can hold.
    PlanError
        If the budget protects rows where the schema names persons.
    DataError
        If fewer than two columns are left.
    BudgetExceeded
        If the budget does not suffice; then nothing was read.
    """
    schema = schema.check(table)
    check_unit(budget, schema)
    left_out = [name for name in schema.identifiers if name in table.columns]
    if schema.person is not None and schema.person not in left_out:
        left_out.append(schema.person)
    names = [name for name in table.columns if name not in left_out]
    if len(names) < 2:
        raise DataError("Nothing to learn: at least two columns that identify nobody are needed")
    dtypes = {name: kept_dtype(table.schema[name], name) for name in names}
    declared = declared_domain(domain, schema, dtypes, complete=discover == 0)
    # noise is chosen by looking at noisy counts: only a bound that allows for it may be used
    if budget.accounting in ("best", "pld", "rdp"):
        budget = budget.model_copy(update={"accounting": "gdp" if budget.rho is None else "zcdp"})
    counting = NoisyCounting(Ledger(budget, RandomWords(insecure_seed)))
    rows = bounded(table, schema.person, budget.rows_per_person, counting.ledger.words)

    unknown = [name for name in names if name not in declared]
    named = [name for name in unknown if not dtypes[name].is_numeric()]
    for name in unknown:
        declared[name] = discovered(
            rows[name].cast(dtypes[name]),
            counting,
            share=discover / len(unknown),
            delta=budget.threshold_delta / max(len(named), 1),
        )
    share = singles / len(names)
    histograms, points = [], []
    for done, name in enumerate(names):
        progress("counting each column", done, len(names))
        points.append(declared[name].codes(rows[name]))
        histograms.append(
            column_histogram(points[-1], declared[name], counting, share=share, name=name)
        )
    progress("counting each column", len(names), len(names))
    return CountedColumns(
        names=tuple(names),
        dtypes=dtypes,
        declared=declared,
        histograms=histograms,
        points=points,
        rows=noisy_rows(histograms),
        counting=counting,
        rest=1 - singles - (discover if unknown else 0),
        left_out=tuple(left_out),
        schema=schema,
    )
