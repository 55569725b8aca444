"""What a rule is: one change to one column, as a frozen value that a plan file can spell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import polars as pl
from pydantic import Field

from sfumato.anonymization.randomness import RandomStream
from sfumato.anonymization.recoding import Action
from sfumato.errors import HierarchyError, InternalError, PlanError, did_you_mean
from sfumato.settings import Settings
from sfumato.table import Schema

__all__ = ["Place", "Rule", "rules_from", "rules_to_plain"]


@dataclass(frozen=True)
class Place:
    """Where a rule works.

    Parameters
    ----------
    column
        Name of the column in the source table.
    schema
        The schema of the source table.
    persons
        Whose row each row is (n rows); None if the schema names no person column.
    stream
        Random numbers for this column and rule; None where the rule draws none.
    """

    column: str
    schema: Schema
    persons: pl.Series | None = None
    stream: RandomStream | None = None

    def refuse(self, rule: str, why: str) -> PlanError:
        """Return the error that a rule does not fit this column."""
        return PlanError(f"columns.{self.column}: {rule} {why}")

    def numbers(self, rule: str, values: pl.Series) -> None:
        """Refuse a column that does not hold numbers."""
        if not values.dtype.is_numeric():
            raise self.refuse(
                rule,
                f"needs numbers, but the column holds {values.dtype}. For categories there are "
                "generalize, map and pram",
            )

    def draw(self) -> RandomStream:
        """Return the stream of a rule that draws."""
        if self.stream is None:
            raise InternalError(f"columns.{self.column}: no random stream was given")
        return self.stream


class Rule(Settings, ABC):
    """One change to one column.

    Parameters
    ----------
    rename
        The column's name in the release; as it is if left out.
    """

    keywords: ClassVar[tuple[str, ...]]
    action: ClassVar[Action]
    draws: ClassVar[bool] = False
    continuous: ClassVar[bool] = False

    rename: str | None = Field(default=None, min_length=1)

    def fitted(self, values: pl.Series, place: Place) -> Self:  # noqa: ARG002
        """Return the rule with what the settings left open filled in from the rows.

        Raises
        ------
        PlanError
            If the rule does not fit the column.
        """
        return self

    @abstractmethod
    def apply(self, values: pl.Series, place: Place) -> pl.Series:
        """Return the changed values, in the same order; missing cells stay missing.

        Parameters
        ----------
        values
            The column's values (n rows), as the rule before left them.
        place
            The column, the schema and, for a rule that draws, its random stream.
        """

    @abstractmethod
    def describe(self, place: Place) -> str:
        """Return what is done, as a phrase that begins with a small letter."""

    def to_plain(self) -> dict[str, Any]:
        """Return the rule as a plan would spell it, in plain JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)


def rules_from(column: str, values: Any) -> tuple[Rule, ...]:
    """Return the rules that a plan gives for one column.

    Parameters
    ----------
    column
        The column's name, for messages.
    values
        A table such as ``{"generalize": 1, "rename": "Region"}``, a :class:`Rule`, or a list of
        them in the order in which they are to be done.

    Raises
    ------
    PlanError
        If a rule is unknown, or a table names none or several.
    """
    items = values if isinstance(values, list | tuple) else [values]
    if not items:
        raise PlanError(f"columns.{column}: the list of rules is empty; leave the column out")
    return tuple(_rule_from(column, item) for item in items)


def rules_to_plain(rules: tuple[Rule, ...]) -> list[dict[str, Any]]:
    """Return rules as a plan would spell them."""
    return [rule.to_plain() for rule in rules]


def _rule_from(column: str, values: Any) -> Rule:
    if isinstance(values, Rule):
        return values
    if not isinstance(values, Mapping):
        raise PlanError(
            f"columns.{column}: a rule is a table such as {{ generalize = 1 }}, not {values!r}"
        )
    kinds = {keyword: kind for kind in _descendants(Rule) for keyword in kind.keywords}
    named = dict.fromkeys(kinds[key] for key in values if key in kinds)
    if not named and set(values) == {"rename"}:
        named = {kinds["rename only"]: None}
    keywords = ", ".join(sorted(key for key in kinds if " " not in key))
    if not named:
        hint = "".join(did_you_mean(str(key), kinds) for key in values if key != "rename")
        given = ", ".join(map(repr, values)) or "nothing"
        raise PlanError(f"columns.{column}: no rule in {given}.{hint} Rules: {keywords}, rename")
    if len(named) > 1:
        given = ", ".join(key for key in values if key in kinds)
        raise PlanError(
            f"columns.{column}: several rules at once ({given}); write them as a list, in the "
            "order in which they are to be done"
        )
    try:
        return next(iter(named))(**values)
    except PlanError as error:
        raise PlanError(f"columns.{column}: {_without_class(str(error))}") from None
    except HierarchyError as error:
        raise HierarchyError(f"columns.{column}: {error}") from None


def _without_class(message: str) -> str:
    """Return a message without the name of a settings class, which is none of the plan's words."""
    name, _, text = message.partition(": ")
    return text if name.isidentifier() and name[0].isupper() else message


def _descendants(kind: Any) -> list[type[Rule]]:
    children = [child for child in kind.__subclasses__() if "keywords" in child.__dict__]
    return children + [leaf for child in kind.__subclasses__() for leaf in _descendants(child)]
