"""What is known to hold in every row: columns computed from others, and rules between columns.

Both are SQL expressions of columns, as Polars reads them: ``weight / POWER(height, 2)``,
``diastolic < systolic``, ``not pregnant or sex = 'female'``. A derived column is not learned but
computed for every drawn row. A drawn row that breaks a rule is drawn anew, which gives the model's
own distribution of the rows that break none. Both are post-processing: they read no person's row,
and cost nothing of a privacy budget.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from sfumato.errors import DataError, PlanError, did_you_mean
from sfumato.progress import Progress, silent
from sfumato.synthesis.columns import ColumnCoding, coding_of
from sfumato.synthesis.generator import Generator, check_sample
from sfumato.synthesis.rejection import collect_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sfumato.table import Schema

__all__ = ["DerivedColumn", "RowRule", "RuledGenerator", "declared", "expression"]

_BLOCK = 16_384  # rows drawn at a time, and before it is judged how many keep the rules
_BLOCK_GIVEN = 512  # with given values, where each row may cost many draws


def expression(text: str) -> pl.Expr:
    """Return the expression that a text stands for.

    Parameters
    ----------
    text
        An SQL expression of columns. A name with a hyphen or a space stands in double quotes.

    Raises
    ------
    PlanError
        If it is none.
    """
    try:
        found = pl.sql_expr(text)
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise PlanError(f"{text!r} is no SQL expression of columns: {error}") from None
    if not found.meta.root_names():
        raise PlanError(f"{text!r} names no column")
    return found


@dataclass(frozen=True)
class DerivedColumn:
    """A column computed from others.

    Parameters
    ----------
    coding
        How it is written.
    text
        The expression.
    differing
        Share of the fitted rows in which the table holds another value than the expression gives;
        None if nobody looked, since a look has its price.
    """

    coding: ColumnCoding
    text: str
    differing: float | None

    def computed(self, rows: pl.DataFrame) -> pl.Series:
        """Return the column for the rows, in its own type and resolution."""
        values = _evaluated(rows, self.text, self.coding.name)
        return self.coding.fitted(values, self.text)


@dataclass(frozen=True)
class RowRule:
    """What must hold in a row.

    Parameters
    ----------
    text
        The expression; a row breaks it where it is false, not where a missing value leaves it
        open.
    broken
        Share of the fitted rows that break it; None if nobody looked.
    """

    text: str
    broken: float | None

    def holds(self, rows: pl.DataFrame) -> pl.Series:
        """Return for each row whether it keeps the rule."""
        found = _evaluated(rows, self.text, "rule")
        if found.dtype != pl.Boolean:
            raise PlanError(f"The rule {self.text!r} is not true or false but {found.dtype}")
        return found.fill_null(value=True)


def declared(
    table: pl.DataFrame,
    derived: Mapping[str, str],
    rules: tuple[str, ...],
    codings: Mapping[str, ColumnCoding] | None = None,
) -> tuple[tuple[DerivedColumn, ...], tuple[RowRule, ...]]:
    """Check what is declared against the real table, or against rows of nobody.

    Parameters
    ----------
    table
        The table that is learned; or example rows, with ``codings``.
    derived
        Expressions by the name of their column; one may use another derived before it.
    rules
        Expressions that must be true.
    codings
        How each derived column is written, where the rows are examples and no people: then only
        the expressions are checked, and nothing is counted.

    Raises
    ------
    PlanError
        If an expression cannot be read, or is not computed row by row.
    DataError
        If a column that is named is not in the table.
    """
    names = list(derived)
    columns = []
    for place, (name, text) in enumerate(derived.items()):
        _check(table, text, f"the derived column {name!r}", forbidden=names[place:])
        if name not in table.columns:
            raise DataError(
                f"There is no column {name!r} to derive.{did_you_mean(name, table.columns)}"
            )
        one = DerivedColumn(codings[name] if codings else coding_of(table[name]), text, None)
        computed = one.computed(table)
        if codings is None:
            one = replace(one, differing=one.coding.differing(computed, table[name]))
        columns.append(one)
    checked = []
    for text in rules:
        _check(table, text, "a rule", forbidden=())
        holds = RowRule(text, None).holds(table)
        broken = None if codings is not None else 1 - int(holds.sum()) / max(holds.len(), 1)
        checked.append(RowRule(text, broken))
    return tuple(columns), tuple(checked)


def _check(table: pl.DataFrame, text: str, what: str, *, forbidden: Any) -> None:
    for name in expression(text).meta.root_names():
        if name not in table.columns:
            hint = did_you_mean(name, table.columns)
            raise DataError(f"There is no column {name!r}, which {what} uses ({text!r}).{hint}")
        if name in forbidden:
            raise PlanError(
                f"{what} is computed from {name!r}, which is derived itself: derive that first"
            )
    whole = _evaluated(table, text, "x")
    part = table[: max(1, table.height // 2)]
    if not _evaluated(part, text, "x").equals(whole[: part.height]):
        raise PlanError(f"{text!r} ({what}) is not computed from each row by itself")


def _evaluated(rows: pl.DataFrame, text: str, name: str) -> pl.Series:
    try:
        found = rows.select(expression(text).alias(name)).to_series()
    except pl.exceptions.PolarsError as error:
        problem = str(error).splitlines()[0]
        raise PlanError(f"{text!r} cannot be computed: {problem}") from None
    if found.len() != rows.height:
        raise PlanError(f"{text!r} is not computed from each row by itself")
    return found


@dataclass(frozen=True, eq=False)
class RuledGenerator(Generator):
    """A generator whose rows keep what was declared. Made by a synthesizer's ``fit``.

    Parameters
    ----------
    model
        The generator of the columns that are learned.
    derived, rules
        What is declared.
    least_kept
        Least share of the drawn rows that must keep all rules.
    minimum
        A count of fewer people than this is not told.
    rows
        Rows learned from; a noisy number under a privacy budget.
    schema
        Schema of the sampled table.
    """

    model: Generator
    derived: tuple[DerivedColumn, ...]
    rules: tuple[RowRule, ...]
    least_kept: float
    minimum: int
    rows: int
    schema: Schema

    def sample(
        self,
        n: int,
        *,
        seed: int,
        given: Mapping[str, Any] | None = None,
        progress: Progress = silent,
    ) -> pl.DataFrame:
        """Return rows that keep all rules; see :meth:`Generator.sample`.

        Raises
        ------
        DataError
            Also if a derived column is given, or if fewer than ``least_kept`` of the drawn rows
            keep the rules.
        """
        values = check_sample(n, given, self.schema.columns)
        for column in self.derived:
            if column.coding.name in values:
                raise DataError(
                    f"{column.coding.name!r} is derived ({column.text}) and cannot be given: give "
                    f"the columns that it is computed from"
                )
        if not self.rules:
            return self._completed(self.model.sample(n, seed=seed, given=values, progress=progress))

        size = _BLOCK_GIVEN if values else _BLOCK
        kept_by = np.zeros(len(self.rules), dtype=np.int64)

        def draw(block: int) -> pl.DataFrame:
            own = int(np.random.SeedSequence([seed, block]).generate_state(1)[0])
            rows = self._completed(self.model.sample(size, seed=own, given=values))
            holds = [rule.holds(rows) for rule in self.rules]
            kept_by[:] += [int(one.sum()) for one in holds]
            together = holds[0]
            for one in holds[1:]:
                together = together & one
            return rows.filter(together)

        def refuse(share: float) -> DataError:
            worst = self.rules[int(kept_by.argmin())].text
            return DataError(
                f"Only {share:.2%} of the drawn rows keep the rules, fewer than `least_kept` = "
                f"{self.least_kept:.2%}; {worst!r} is broken most. Check it against the table, or "
                f"set `least_kept` lower"
            )

        return collect_rows(
            draw,
            n,
            block=size,
            least=self.least_kept,
            patience=_BLOCK,
            refuse=refuse,
            progress=progress,
            task="drawing rows that keep the rules",
        )

    def _completed(self, rows: pl.DataFrame) -> pl.DataFrame:
        for column in self.derived:
            rows = rows.with_columns(column.computed(rows))
        return rows.select(list(self.schema.columns))

    def describe(self) -> tuple[str, ...]:
        """Return what was learned and declared, a sentence each."""
        told = [
            f"{column.coding.name} is not learned but computed: {column.text}."
            f"{self._counted(column.differing, 'hold another value')}"
            for column in self.derived
        ]
        told += [
            f"Every drawn row keeps the rule: {rule.text}.{self._counted(rule.broken, 'break it')}"
            for rule in self.rules
        ]
        return (*self.model.describe(), *told)

    def _counted(self, share: float | None, what: str) -> str:
        return "" if share is None else f" {self._rows(share)} of the table {what}."

    def _rows(self, share: float) -> str:
        count = round(share * self.rows)
        if count == 0:
            return "No rows"
        if count < self.minimum:
            return f"Fewer than {self.minimum} rows"
        return f"{count:,} of the {self.rows:,} rows ({share:.2%})"

    def released_schema(self) -> Schema:
        """Return the schema of the sampled table."""
        return self.schema

    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""
        kind = type(self.model)
        return {
            "kind": f"{kind.__module__}:{kind.__qualname__}",
            "model": self.model.to_dict(),
            "derived": [
                {"coding": one.coding.to_dict(), "text": one.text, "differing": one.differing}
                for one in self.derived
            ],
            "rules": [{"text": one.text, "broken": one.broken} for one in self.rules],
            "least_kept": self.least_kept,
            "minimum": self.minimum,
            "rows": self.rows,
            "columns": list(self.schema.columns),
            "schema": self.schema.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the generator that :meth:`to_dict` described."""
        from sfumato.table import Schema

        return cls(
            model=Generator.of_kind(values["kind"], values["model"]),
            derived=tuple(
                DerivedColumn(ColumnCoding.from_dict(one["coding"]), one["text"], one["differing"])
                for one in values["derived"]
            ),
            rules=tuple(RowRule(**one) for one in values["rules"]),
            least_kept=values["least_kept"],
            minimum=values["minimum"],
            rows=values["rows"],
            schema=Schema.from_dict(values["schema"]).select(values["columns"]),
        )
