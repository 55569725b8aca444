"""What every synthesizer has: protection of rare values, and what is declared of the rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from sfumato.errors import DataError
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.synthesis.rules import RuledGenerator, declared, expression

if TYPE_CHECKING:
    import polars as pl

    from sfumato.synthesis.generator import Generator
    from sfumato.table import Schema

__all__ = ["Synthesizer"]


class Synthesizer(Settings):
    """Frozen settings of one way to synthesize; registered as an entry point.

    A subclass says how the columns are learned, in :meth:`learn`.

    Parameters
    ----------
    minimum
        Least number of people who must share a category's value, or fill a cell of a number's
        distribution, for it to be learned (at least 2). With a `person` column in the schema,
        people are counted, not rows.
    rare
        "drop": a value of fewer people is not learned and its rows count for the other values;
        "pool": such values become one value "(other)".
    derived
        Columns that are computed from others instead of being learned: SQL expressions by column.
    rules
        SQL expressions that are true in every drawn row; rows that break one are drawn anew.
    least_kept
        Least share of drawn rows that must keep the rules, above 0 and at most 1.
    """

    minimum: int = Field(default=10, ge=2)
    rare: Literal["drop", "pool"] = "drop"
    derived: dict[str, str] = Field(default_factory=dict)
    rules: tuple[str, ...] = ()
    least_kept: float = Field(default=0.01, gt=0, le=1)

    @field_validator("derived")
    @classmethod
    def _derived_can_be_read(cls, value: dict[str, str]) -> dict[str, str]:
        for text in value.values():
            expression(text)
        return value

    @field_validator("rules")
    @classmethod
    def _rules_can_be_read(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
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
            If the schema does not fit the table.
        DataError
            If the table has too few people, or a column that cannot be learned.
        PlanError
            If a derived column or a rule cannot be computed from the table.
        """
        if not self.derived and not self.rules:
            return self.learn(table, schema, progress=progress)
        schema = schema.check(table)
        identifying = {*schema.identifiers, *([schema.person] if schema.person else [])}
        released = [name for name in table.columns if name not in identifying]
        derived, rules = declared(table.select(released), self.derived, self.rules)
        rest = [name for name in table.columns if name not in self.derived]
        if not set(rest) - identifying:
            raise DataError("Nothing to learn: every column is derived or an identifier")
        model = self.learn(table.select(rest), schema.select(rest), progress=progress)
        return RuledGenerator(
            model=model,
            derived=derived,
            rules=rules,
            least_kept=self.least_kept,
            minimum=self.minimum,
            rows=table.height,
            schema=schema.select(released),
        )

    @abstractmethod
    def learn(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> Generator:
        """Learn the model of the columns that are not derived; see :meth:`fit`."""
