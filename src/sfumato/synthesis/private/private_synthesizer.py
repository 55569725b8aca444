"""What every private synthesizer shares: a budget, a domain, and rules that cost nothing of it."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, field_validator

from sfumato.errors import DataError
from sfumato.privacy.differential.budget import Budget
from sfumato.privacy.differential.rationals import Rational, rational
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.synthesis.columns import ColumnCoding
from sfumato.synthesis.private.counted_columns import counted_columns
from sfumato.synthesis.private.domain import Declared, DeclaredNumbers, declared_domain
from sfumato.synthesis.private.latent_generator import LatentFactorGenerator, kept_dtype
from sfumato.synthesis.rules import RuledGenerator, declared, expression

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from sfumato.synthesis.generator import Generator
    from sfumato.synthesis.private.counted_columns import CountedColumns
    from sfumato.synthesis.private.domain import DeclaredValues
    from sfumato.table import Schema

__all__ = ["CountingSynthesizer", "PrivateSynthesizer"]

_MOST_DECIMALS = 15


class PrivateSynthesizer(Settings):
    """Frozen settings of one way to synthesize under a budget.

    A subclass says how the columns are learned, in :meth:`learn`. Derived columns and rules are
    post-processing: they are checked on rows made of what is declared, never on the table.

    Parameters
    ----------
    budget
        What is promised, and to whom.
    domain
        What each column can hold, known without the data. Of a derived column it is optional, and
        gives the decimals that it is written with.
    derived
        Columns that are computed from others instead of being learned: SQL expressions by column.
    rules
        SQL expressions that are true in every drawn row; rows that break one are drawn anew.
    least_kept
        Least share of drawn rows that must keep the rules, above 0 and at most 1.
    """

    budget: Budget
    domain: dict[str, Declared] = Field(default_factory=dict)
    derived: dict[str, str] = Field(default_factory=dict)
    rules: tuple[str, ...] = ()
    least_kept: float = Field(default=0.01, gt=0, le=1)

    @field_validator("derived", "rules")
    @classmethod
    def _can_be_read(
        cls, value: dict[str, str] | tuple[str, ...]
    ) -> dict[str, str] | tuple[str, ...]:
        for text in value.values() if isinstance(value, dict) else value:
            expression(text)
        return value

    def fit(self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent) -> Generator:
        """Learn the model from the table's rows.

        Parameters
        ----------
        table
            The table to imitate; columns with the role identifier are left out.
        schema
            Its schema.
        progress
            Told how far the work is.

        Raises
        ------
        SchemaError
            If the schema does not fit the table, or it is not declared what a column can hold.
        DataError
            If the table has too few columns, or one that cannot be learned.
        PlanError
            If the budget does not fit the schema, or a derived column or a rule cannot be computed.
        BudgetExceeded
            If the budget does not suffice; then nothing was read.
        """
        if not self.derived and not self.rules:
            return self.learn(table, schema, progress=progress)
        schema = schema.check(table)
        identifying = {*schema.identifiers, *([schema.person] if schema.person else [])}
        released = [name for name in table.columns if name not in identifying]
        dtypes = {name: kept_dtype(table.schema[name], name) for name in released}
        known = declared_domain(self.domain, schema, dtypes, complete=False)
        derived, rules = declared(
            _examples(dtypes, known),
            self.derived,
            self.rules,
            {name: _coding(name, dtypes, known) for name in self.derived if name in dtypes},
        )
        rest = [name for name in table.columns if name not in self.derived]
        if not set(rest) - identifying:
            raise DataError("Nothing to learn: every column is derived or an identifier")
        own = {name: one for name, one in self.domain.items() if name not in self.derived}
        learner = self.model_copy(update={"domain": own, "derived": {}, "rules": ()})
        model = learner.learn(table.select(rest), schema.select(rest), progress=progress)
        return RuledGenerator(
            model=model,
            derived=derived,
            rules=rules,
            least_kept=self.least_kept,
            minimum=0,
            rows=model.rows,
            schema=schema.select(released),
        )

    @abstractmethod
    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> LatentFactorGenerator:
        """Learn the model of the columns that are not derived; see :meth:`fit`."""


class CountingSynthesizer(PrivateSynthesizer):
    """A private synthesizer that begins by counting each column, with noise.

    Parameters
    ----------
    cells
        Most cells of a number in the model, about; 4 to 256.
    singles
        Share of the budget for each column by itself, above 0 and below 1.
    discover
        Share of the budget, 0 or more, with which it is found out what undeclared columns can hold;
        for categories the budget also needs a ``threshold_delta``.
    insecure_seed
        For tests only: noise from a seed. The model is then **not private**, and says so.
    """

    cells: int = Field(default=32, ge=4, le=256)
    singles: Rational = Fraction(3, 20)
    discover: Rational = Fraction(0)
    insecure_seed: int | None = None

    def counted(
        self, table: pl.DataFrame, schema: Schema, progress: Progress = silent
    ) -> CountedColumns:
        """Return the columns, each counted with noise; see :func:`counted_columns`."""
        return counted_columns(
            table,
            schema,
            budget=self.budget,
            domain=self.domain,
            singles=self.singles,
            discover=self.discover,
            insecure_seed=self.insecure_seed,
            progress=progress,
        )


def _examples(
    dtypes: Mapping[str, pl.DataType], known: Mapping[str, DeclaredNumbers | DeclaredValues]
) -> pl.DataFrame:
    """Return rows of what columns can hold: least, middle, greatest and missing; no person's."""
    import polars as pl

    columns = []
    for name, dtype in dtypes.items():
        if name in known:
            size = known[name].size
            points = np.array([0, size // 2, size - 1, size], dtype=np.int64)
            columns.append(known[name].decoded(points, name, dtype))
        else:
            columns.append(pl.Series(name, [None] * 4, dtype=dtype))
    return pl.DataFrame(columns)


def _coding(
    name: str,
    dtypes: Mapping[str, pl.DataType],
    known: Mapping[str, DeclaredNumbers | DeclaredValues],
) -> ColumnCoding:
    """Return how a derived column is written, by its type and by what is declared of it."""
    dtype, said = dtypes[name], known.get(name)
    decimals = 0 if dtype.is_integer() else None
    if dtype.is_float() and isinstance(said, DeclaredNumbers):
        decimals = _decimals(rational(said.step))
    kind: Literal["number", "category"] = "category"
    if dtype.is_numeric() or dtype.is_temporal():
        kind = "number"
    return ColumnCoding(name, kind, {"type": str(dtype)}, decimals=decimals)


def _decimals(step: Fraction) -> int | None:
    """Return the decimals that a step needs, or None if no number of them will do."""
    for decimals in range(_MOST_DECIMALS):
        if (step * 10**decimals).denominator == 1:
            return decimals
    return None
