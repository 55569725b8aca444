"""Column by column: the rules of a plan, and k-anonymity by suppressing what they leave below k."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import polars as pl
from pydantic import Field, field_serializer, field_validator

from sfumato.anonymization.generalization import Generalize, Map, Round, Suppress
from sfumato.anonymization.perturbation import Noise, Pram, Swap
from sfumato.anonymization.pseudonyms import Pseudonym
from sfumato.anonymization.randomness import RandomStream, digest
from sfumato.anonymization.reasons import why_changed, why_kept
from sfumato.anonymization.recoding import Action, ColumnChange, Recoding
from sfumato.anonymization.released import checked_columns
from sfumato.anonymization.rule import Place, Rule, rules_from, rules_to_plain
from sfumato.anonymization.suppression import LargeClasses, Suppressed
from sfumato.errors import GuaranteeNotMet, PlanError, SchemaError, did_you_mean
from sfumato.privacy import Criterion, KAnonymity
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Column, ColumnType, Role, Schema
from sfumato.table.types import type_of

__all__ = ["Rules", "RulesRecoding"]


class Rules(Settings):
    """Change each column by its rules.

    An identifier without a rule is left out of the release; any other column without one is
    released as it is.

    Parameters
    ----------
    columns
        For a column's name a rule, or a list of rules in the order in which they are done::

            {"suppress": True}                              leave the column out
            {"generalize": 1}                               its hierarchy's level; "hierarchy": own
            {"top": 90, "bottom": 18}                       extreme numbers become the border
            {"round": 5}                                    to multiples
            {"map": {"yes": 1, "no": 0}}                    named values; "other": all others
            {"noise": "gaussian", "scale": 0.8}             or "laplace"; "bounds": [0, 300]
            {"swap": 0.05}                                  with people of similar rank
            {"pram": 0.1, "invariant": True}                categories replaced by chance
            {"pseudonym": {"key_env": "STUDY_KEY"}}         or "key_file"; "length": digits
            {"shift_dates": {"days": 365, "key_env": "K"}}  the same for all dates of a person
            {"rename": "Region"}                            also beside any of the others

    k
        Least number of people who share all quasi-identifiers; the others are suppressed. Left
        out, nothing is promised. It is counted on the released values.
    suppressed
        "star": a suppressed row carries ``*`` in every quasi-identifier, which are then texts.
        "drop": it is left out.
    suppression_limit
        Largest share of the rows, 0 to 1, that may be suppressed for ``k``.
    seed
        For the rules that draw. The draws also depend on the whole original table, so that a
        published seed does not give them away (:mod:`sfumato.anonymization.randomness`).

    Examples
    --------
    >>> rules = Rules(columns={"age": [{"top": 90}, {"round": 5}]})
    >>> schema = Schema(quasi_identifiers=["age"])
    >>> recoding = rules.fit(pl.DataFrame({"age": [23, 58, 94]}), schema)
    >>> recoding.apply(pl.DataFrame({"age": [31, 97]}))["age"].to_list()
    [30, 90]
    """

    columns: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    k: int | None = Field(default=None, ge=2)
    suppressed: Suppressed = "star"
    suppression_limit: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0

    @field_validator("columns", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise PlanError("columns: a table of columns and their rules is needed")
        return {name: rules_from(name, rules) for name, rules in value.items()}

    @field_serializer("columns")
    def _plain(self, value: dict[str, tuple[Rule, ...]]) -> dict[str, list[dict[str, Any]]]:
        return {name: rules_to_plain(rules) for name, rules in value.items()}

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> RulesRecoding:
        """Learn what the rules leave open: categories, decimals, and which classes reach k.

        Raises
        ------
        PlanError
            If a rule does not fit its column, or k is larger than the table.
        SchemaError
            If the schema does not fit the table.
        GuaranteeNotMet
            If no combination of the quasi-identifiers reaches k, or more rows than the limit
            allows would be suppressed.
        """
        full = schema.check(table)
        for name in self.columns:
            if name not in full.columns:
                hint = did_you_mean(name, full.columns)
                raise PlanError(f"columns.{name}: the table has no such column.{hint}")
        if self.k is not None and not full.quasi_identifiers:
            raise SchemaError(f"k = {self.k} is about quasi-identifiers, but the schema has none")
        columns = {name: self._rules_of(name, column) for name, column in full.columns.items()}
        unfitted = RulesRecoding(replace_columns(self, columns), full, {}, None)
        fitted, released = unfitted._fitted(table, progress)
        if self.k is None:
            return fitted
        quasi_identifiers = fitted._released_quasi_identifiers()
        fitted._refuse_endless_values(self.k)
        persons = None if full.person is None else table[full.person]
        large = LargeClasses.find(released, quasi_identifiers, self.k, self.suppressed, persons)
        if large.suppressed_rows > self.suppression_limit * table.height:
            raise GuaranteeNotMet(
                f"k = {self.k} would suppress {large.suppressed_rows:,} of {table.height:,} rows, "
                f"more than suppression_limit = {self.suppression_limit} allows: generalize the "
                "quasi-identifiers more, or allow more"
            )
        return replace(fitted, large=large)

    def _rules_of(self, name: str, column: Column) -> tuple[Rule, ...]:
        rules = self.columns.get(name, ())
        if column.role != Role.IDENTIFIER:
            return rules
        if not rules:
            return (Suppress(),)
        if not any(isinstance(rule, Suppress | Pseudonym) for rule in rules):
            raise PlanError(
                f"columns.{name}: the column is an identifier, which can only be suppressed or "
                "made a pseudonym; if its coarser form is wanted, make it a quasi-identifier"
            )
        return rules


@dataclass(frozen=True)
class RulesRecoding(Recoding):
    """Fitted rules.

    Parameters
    ----------
    rules
        The settings, with the rules of every column fitted.
    schema
        The schema of the source table.
    types
        The type of each released column.
    large
        The classes that are kept if k is promised.
    """

    rules: Rules
    schema: Schema
    types: dict[str, ColumnType]
    large: LargeClasses | None

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """k-anonymity, if k was asked for."""
        return () if self.rules.k is None else (KAnonymity(self.rules.k),)

    @property
    def suppressed_rows(self) -> int:
        """How many of the fitted rows were suppressed for the sake of k."""
        return 0 if self.large is None else self.large.suppressed_rows

    def recode(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the recoded rows.

        The same table gives the same bytes; another gives its own draws. With ``k``, a row whose
        quasi-identifiers are not those of a class that was kept at fitting is suppressed.

        Raises
        ------
        DataError
            If a column that is released is absent, one is unknown, or a value has no group.
        """
        released = self._recoded(table)
        return released if self.large is None else self.large.apply(released)

    def kept_rows(self, table: pl.DataFrame) -> pl.Series:
        """Return which rows of a table are not left out."""
        if self.large is None or self.large.suppressed == "star":
            return super().kept_rows(table)
        return self.large.holds(self._recoded(table))

    def describe(self) -> tuple[ColumnChange, ...]:
        """Return what is done to each column, and why."""
        return tuple(self._change(name) for name in self.schema.columns)

    def released_schema(self) -> Schema:
        """Return the schema of the release: released names, the same roles, the types as released.

        A column keeps its hierarchy where its values are still those of the hierarchy's leaves. A
        pseudonym is no identifier any more: without the key it names nobody.
        """
        names = {name: new for name in self.schema.columns if (new := self._released_as(name))}
        changed = {}
        for name, new in names.items():
            column = self.schema.columns[name]
            same = all(rule.action == "kept" for rule in self.rules.columns[name])
            hierarchy = column.hierarchy if same or self._keeps_values(name) else None
            role = Role.OTHER if column.role == Role.IDENTIFIER else column.role
            changed[new] = replace(column, role=role, type=self.types[new], hierarchy=hierarchy)
        return self.schema.select(list(names)).rename(names).with_columns(changed)

    def to_dict(self) -> dict[str, Any]:
        """Return the recoding as plain JSON values; a key is not among them."""
        return {
            "rules": self.rules.model_dump(mode="json"),
            "schema": self.schema.to_dict(),
            "types": dict(self.types),
            "large": None if self.large is None else self.large.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the recoding that :meth:`to_dict` described."""
        large = values["large"]
        rules = dict(values["rules"])
        columns = {name: found for name, found in rules.pop("columns").items() if found}
        schema = Schema.from_dict(values["schema"])
        full = {
            name: rules_from(name, columns[name]) if name in columns else ()
            for name in schema.columns
        }
        return cls(
            replace_columns(Rules(**rules), full),
            schema,
            dict(values["types"]),
            None if large is None else LargeClasses.from_dict(large),
        )

    def _recoded(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the rows after the rules, before any is suppressed."""
        return pl.DataFrame(
            [values.alias(name) for _, name, values in self._released(table) if values is not None]
        )

    def _released(self, table: pl.DataFrame) -> Iterator[tuple[str, str, pl.Series | None]]:
        """Yield each source column, its released name and its values."""
        needed = [name for name in self.schema.columns if self._released_as(name) is not None]
        checked_columns(table, self.schema, needed)
        secret = self._secret(table)
        for name in self.schema.columns:
            new = self._released_as(name)
            if new is not None:
                values = table[name]
                for step, rule in enumerate(self.rules.columns[name]):
                    values = rule.apply(values, self._place(name, step, rule, table, secret))
                yield name, new, values

    def _fitted(self, table: pl.DataFrame, progress: Progress) -> tuple[Self, pl.DataFrame]:
        secret = self._secret(table)
        columns: dict[str, tuple[Rule, ...]] = {}
        released: dict[str, pl.Series] = {}
        for number, (name, rules) in enumerate(self.rules.columns.items()):
            progress("recoding columns", number, len(self.rules.columns))
            new = self._released_as(name)
            if new is None:
                columns[name] = rules
                continue
            if new in released:
                raise PlanError(f"columns.{name}: two columns of the release are called {new!r}")
            values, fitted = table[name], []
            for step, rule in enumerate(rules):
                place = self._place(name, step, rule, table, secret)
                fitted.append(rule.fitted(values, place))
                values = fitted[-1].apply(values, place)
            columns[name], released[new] = tuple(fitted), values.alias(new)
        total = max(len(columns), 1)
        progress("recoding columns", total, total)
        if not released:
            raise PlanError("every column is left out, so nothing would be released")
        types = {name: type_of(values) for name, values in released.items()}
        recoding = replace(self, rules=replace_columns(self.rules, columns), types=types)
        if self.rules.k is not None and self.rules.suppressed == "star":
            for name in recoding._released_quasi_identifiers():
                types[name] = "category"
        return recoding, pl.DataFrame(list(released.values()))

    def _place(self, name: str, step: int, rule: Rule, table: pl.DataFrame, secret: bytes) -> Place:
        person = self.schema.person
        persons = table[person] if person is not None and person in table.columns else None
        stream = None
        if rule.draws:
            stream = RandomStream.of(self.rules.seed, secret, name, str(step))
        return Place(name, self.schema, persons, stream)

    def _secret(self, table: pl.DataFrame) -> bytes:
        draws = any(rule.draws for rules in self.rules.columns.values() for rule in rules)
        return digest(table) if draws else b""

    def _released_as(self, name: str) -> str | None:
        rules = self.rules.columns[name]
        if any(isinstance(rule, Suppress) for rule in rules):
            return None
        return next((rule.rename for rule in reversed(rules) if rule.rename is not None), name)

    def _released_quasi_identifiers(self) -> tuple[str, ...]:
        names = (self._released_as(name) for name in self.schema.quasi_identifiers)
        return tuple(name for name in names if name is not None)

    def _keeps_values(self, name: str) -> bool:
        return all(
            isinstance(rule, Swap | Pram) or rule.action == "kept"
            for rule in self.rules.columns[name]
        )

    def _refuse_endless_values(self, k: int) -> None:
        """Refuse to promise k over noisy numbers of which nearly each is the only one."""
        for name in self.schema.quasi_identifiers:
            endless = False
            for rule in self.rules.columns[name]:
                if isinstance(rule, Noise):
                    endless = rule.decimals != 0
                elif isinstance(rule, Round | Generalize | Map):
                    endless = False
            if endless and self._released_as(name) is not None:
                raise PlanError(
                    f"columns.{name}: k = {k} cannot be promised over a quasi-identifier with "
                    "noise, as nearly every noisy number is the only one of its kind; round it "
                    "afterwards ([{ noise = ... }, { round = 5 }]), suppress it, or leave k out"
                )

    def _change(self, name: str) -> ColumnChange:
        role = Role(self.schema.columns[name].role)
        rules = self.rules.columns[name]
        new = self._released_as(name)
        place = Place(name, self.schema)
        done = {rule.action for rule in rules}
        action: Action = next((strong for strong in _STRENGTH if strong in done), "kept")
        if new is None:
            how = "left out of the release"
        else:
            how = ", then ".join(rule.describe(place) for rule in rules) or "released as it is"
        starred = new is not None and self.large is not None and new in self.large.columns
        if starred and self.large is not None and self.rules.k is not None:
            how += "; " + self.large.describe(self.rules.k)
            if action == "kept" and self.large.suppressed_rows:
                action = "generalized"
        why = why_kept(role) if action == "kept" and not starred else why_changed(role)
        return ColumnChange(name, new, action, how, why)


_STRENGTH: tuple[Action, ...] = ("suppressed", "pseudonymized", "perturbed", "generalized")


def replace_columns(rules: Rules, columns: dict[str, tuple[Rule, ...]]) -> Rules:
    """Return the settings with other rules, which are taken as they are."""
    return rules.model_copy(update={"columns": columns})
