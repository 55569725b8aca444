"""Which part each column plays, said by the user and never guessed in silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import polars as pl

from sfumato.errors import SchemaError, did_you_mean
from sfumato.table.hierarchies.hierarchy import Hierarchy
from sfumato.table.types import COLUMN_TYPES, ColumnType

__all__ = ["Column", "Role", "Schema"]


class Role(StrEnum):
    """The part that a column plays in a release."""

    IDENTIFIER = "identifier"
    """Names a person by itself: a patient number, a name, an e-mail address."""
    QUASI_IDENTIFIER = "quasi-identifier"
    """Known to others too, and together with others singles a person out: age, sex, postcode."""
    SENSITIVE = "sensitive"
    """What must not be learned about a person: a diagnosis."""
    TARGET = "target"
    """What is to be predicted."""
    OTHER = "other"
    """None of these; kept as it is."""


@dataclass(frozen=True)
class Column:
    """What is said about one column.

    Parameters
    ----------
    role
        The part that it plays.
    type
        Its type, or None to infer it.
    hierarchy
        How its values become broader, or None.
    note
        A remark for the reader.
    """

    role: Role
    type: ColumnType | None = None
    hierarchy: Hierarchy | None = None
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", _role(self.role))
        if self.type is not None and self.type not in COLUMN_TYPES:
            raise SchemaError(
                f"unknown type {self.type!r}.{did_you_mean(str(self.type), COLUMN_TYPES)} "
                f"Known: {', '.join(COLUMN_TYPES)}"
            )


@dataclass(frozen=True, init=False)
class Schema:
    """What is said about a table: roles, types, hierarchies, missing texts, the unit of privacy.

    Every column needs a role; there is no silent default. ``rest`` gives one to all columns that
    are not named, if that is what is meant.

    Parameters
    ----------
    identifiers
        Columns that name a person by themselves.
    quasi_identifiers
        Columns that single a person out together, each with its hierarchy or None; or only names.
    sensitive
        Columns of which nothing must be learned about a person.
    target
        The column to predict. If it is also named with another role, that role stays.
    other
        Columns that are kept as they are.
    person
        The column whose equal values are one person: the unit of privacy is then the person
        rather than the row. It is an identifier unless another role is said.
    missing
        The texts of the source that mean a missing cell.
    types
        The type of a column where it shall not be inferred.
    rest
        The role of every column that is not named; None if that shall be an error.

    Raises
    ------
    SchemaError
        If a column is given two roles, or a type without a role.

    Examples
    --------
    >>> schema = Schema(
    ...     identifiers=["PatientID"],
    ...     quasi_identifiers={"age": Hierarchy.bands([5, 10]), "sex": None},
    ...     sensitive=["diagnosis"],
    ...     target="diagnosis",
    ... )
    >>> schema.quasi_identifiers
    ('age', 'sex')
    """

    columns: Mapping[str, Column]
    target: str | None
    person: str | None
    missing: tuple[str, ...]
    rest: Role | None

    def __init__(
        self,
        identifiers: Iterable[str] = (),
        quasi_identifiers: Mapping[str, Hierarchy | None] | Iterable[str] = (),
        sensitive: Iterable[str] = (),
        target: str | None = None,
        other: Iterable[str] = (),
        person: str | None = None,
        missing: Sequence[str] = ("",),
        types: Mapping[str, ColumnType] | None = None,
        rest: Role | str | None = None,
    ) -> None:
        hierarchies = quasi_identifiers if isinstance(quasi_identifiers, Mapping) else {}
        named = (
            (Role.IDENTIFIER, _names("identifiers", identifiers)),
            (Role.QUASI_IDENTIFIER, _names("quasi_identifiers", quasi_identifiers)),
            (Role.SENSITIVE, _names("sensitive", sensitive)),
            (Role.OTHER, _names("other", other)),
        )
        columns: dict[str, Column] = {}
        for role, names in named:
            for name in names:
                if name in columns:
                    raise SchemaError(
                        f"column {name!r} has two roles, {columns[name].role} and {role}: give it "
                        "one"
                    )
                columns[name] = Column(role, hierarchy=hierarchies.get(name))
        rest = None if rest is None else _role(rest)
        columns = _with_named(columns, person=person, target=target)
        for name, kind in (types or {}).items():
            if name in columns:
                columns[name] = replace(columns[name], type=kind)
            elif rest is not None:
                columns[name] = Column(rest, kind)
            else:
                raise SchemaError(
                    f"types: column {name!r} has no role.{did_you_mean(name, columns)} Name it "
                    "among the identifiers, quasi_identifiers, sensitive or other columns"
                )
        self._set(columns, target, person, tuple(missing), rest)

    def _set(
        self,
        columns: Mapping[str, Column],
        target: str | None,
        person: str | None,
        missing: tuple[str, ...],
        rest: Role | None,
    ) -> None:
        object.__setattr__(self, "columns", MappingProxyType(dict(columns)))
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "person", person)
        object.__setattr__(self, "missing", missing)
        object.__setattr__(self, "rest", rest)

    @classmethod
    def of(
        cls,
        columns: Mapping[str, Column],
        *,
        target: str | None = None,
        person: str | None = None,
        missing: Sequence[str] = ("",),
        rest: Role | str | None = None,
    ) -> Self:
        """Return the schema of columns that are described one by one, in their order.

        A target or person that is not among them is added with its own role.
        """
        schema = cls.__new__(cls)
        role = None if rest is None else _role(rest)
        full = _with_named(columns, person=person, target=target)
        schema._set(full, target, person, tuple(missing), role)
        return schema

    # -- what it says ------------------------------------------------------------------------

    def with_role(self, role: Role | str) -> tuple[str, ...]:
        """Return the names of the columns that have a role."""
        wanted = _role(role)
        return tuple(name for name, column in self.columns.items() if column.role == wanted)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Columns that name a person by themselves."""
        return self.with_role(Role.IDENTIFIER)

    @property
    def quasi_identifiers(self) -> tuple[str, ...]:
        """Columns that single a person out together."""
        return self.with_role(Role.QUASI_IDENTIFIER)

    @property
    def sensitive(self) -> tuple[str, ...]:
        """Columns of which nothing must be learned about a person."""
        return self.with_role(Role.SENSITIVE)

    @property
    def other(self) -> tuple[str, ...]:
        """Columns that are kept as they are."""
        return self.with_role(Role.OTHER)

    @property
    def hierarchies(self) -> dict[str, Hierarchy]:
        """The hierarchy of each column that has one."""
        return {n: c.hierarchy for n, c in self.columns.items() if c.hierarchy is not None}

    @property
    def types(self) -> dict[str, ColumnType]:
        """The type of each column for which one is said."""
        return {name: column.type for name, column in self.columns.items() if column.type}

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __hash__(self) -> int:
        return hash((*self.columns.items(), self.target, self.person, self.missing, self.rest))

    # -- checked against a table -------------------------------------------------------------

    def check(self, table: pl.DataFrame) -> Self:
        """Return the schema with a role for each column of the table, in the table's order.

        Raises
        ------
        SchemaError
            If a named column is absent, or a column of the table has no role.
        """
        for name in self.columns:
            if name not in table.columns:
                raise SchemaError(
                    f"the table has no column {name!r}.{did_you_mean(name, table.columns)} It has "
                    f"{_listing(table.columns)}"
                )
        columns: dict[str, Column] = {}
        uncovered = []
        for name in table.columns:
            if name in self.columns:
                columns[name] = self.columns[name]
            elif self.rest is not None:
                columns[name] = Column(self.rest)
            else:
                uncovered.append(name)
        if uncovered:
            raise SchemaError(
                f"{len(uncovered)} of {table.width} columns have no role: {_listing(uncovered)}. "
                "Give each a role in the schema, or say what all the rest is, such as "
                'rest = "other"'
            )
        return self._with(columns)

    # -- small changes -----------------------------------------------------------------------

    def select(self, names: Iterable[str]) -> Self:
        """Return the schema of some of its columns, in the order given.

        A target or person that is not among them is no longer named.

        Raises
        ------
        SchemaError
            If a name is not in the schema.
        """
        chosen = {name: self.columns[self._existing(name)] for name in names}
        schema = type(self).__new__(type(self))
        target = self.target if self.target in chosen else None
        person = self.person if self.person in chosen else None
        schema._set(chosen, target, person, self.missing, self.rest)
        return schema

    def rename(self, names: Mapping[str, str]) -> Self:
        """Return the schema with columns renamed from key to value.

        Raises
        ------
        SchemaError
            If a key is not in the schema, or two columns would have one name.
        """
        for name in names:
            self._existing(name)
        new = [names.get(name, name) for name in self.columns]
        twice = [name for name in new if new.count(name) > 1]
        if twice:
            raise SchemaError(f"two columns would be named {twice[0]!r}: choose another name")
        schema = type(self).__new__(type(self))
        schema._set(
            dict(zip(new, self.columns.values(), strict=True)),
            None if self.target is None else names.get(self.target, self.target),
            None if self.person is None else names.get(self.person, self.person),
            self.missing,
            self.rest,
        )
        return schema

    def with_columns(self, columns: Mapping[str, Column]) -> Self:
        """Return the schema with columns added or replaced."""
        return self._with({**self.columns, **columns})

    def _with(self, columns: Mapping[str, Column]) -> Self:
        return self.of(
            columns,
            target=self.target,
            person=self.person,
            missing=self.missing,
            rest=self.rest,
        )

    def _existing(self, name: str) -> str:
        if name not in self.columns:
            raise SchemaError(
                f"the schema has no column {name!r}.{did_you_mean(name, self.columns)}"
            )
        return name

    @classmethod
    def suggest(cls, table: pl.DataFrame) -> Self:
        """Return a schema with the suggested role of every column; for a person to correct.

        The reasons stand in each column's note; see :func:`suggest_roles`.
        """
        from sfumato.table.roles import suggest_roles

        columns = {}
        for name, suggestion in suggest_roles(table).items():
            preset = suggestion.hierarchy_preset
            hierarchy = Hierarchy.preset(preset) if preset else None
            note = "; ".join(suggestion.reasons)
            columns[name] = Column(suggestion.role, hierarchy=hierarchy, note=note)
        return cls.of(columns)

    # -- as TOML -----------------------------------------------------------------------------

    @staticmethod
    def read(path: str | Path) -> Schema:
        """Read a schema file (TOML); hierarchy files are looked for beside it.

        Raises
        ------
        SchemaError
            If the file cannot be read or says what a schema cannot say; names file and line.
        """
        from sfumato.table.schema_files import read_schema

        return read_schema(Path(path))

    def write(self, path: str | Path, *, self_contained: bool = False) -> None:
        """Write a schema file (TOML).

        Parameters
        ----------
        path
            Where to.
        self_contained
            Whether a hierarchy that was read from a file is written out line by line, rather than
            named by its path from the schema file.
        """
        from sfumato.table.schema_files import write_schema

        write_schema(self, Path(path), self_contained=self_contained)

    def to_dict(self, base: Path | None = None) -> dict[str, Any]:
        """Return the shape of a schema file, as plain JSON values.

        Parameters
        ----------
        base
            The folder of the schema file, if hierarchies that were read from files shall be named
            by their path from there; without it they are given line by line.
        """
        from sfumato.table.schema_files import schema_to_dict

        return schema_to_dict(self, base)

    @staticmethod
    def from_dict(values: Mapping[str, Any], base: Path | None = None) -> Schema:
        """Return the schema that :meth:`to_dict` or a schema file describes.

        Parameters
        ----------
        values
            ``person``, ``target``, ``missing``, ``rest`` and ``columns``.
        base
            The folder from which hierarchy files are looked for.

        Raises
        ------
        SchemaError
            If a key is unknown or a value has the wrong form.
        """
        from sfumato.table.schema_files import schema_from_dict

        return schema_from_dict(values, base or Path())


def _role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError:
        known = [each.value for each in Role]
        raise SchemaError(
            f"unknown role {role!r}.{did_you_mean(str(role), known)} Known: {', '.join(known)}"
        ) from None


def _names(what: str, names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise SchemaError(f"{what} must be a list of column names, such as [{names!r}]")
    listed = list(names)
    for position, name in enumerate(listed):
        if not isinstance(name, str):
            raise SchemaError(f"{what}: a column's name is a text, not {name!r}")
        if name in listed[:position]:
            raise SchemaError(f"{what}: column {name!r} stands twice")
    return listed


def _with_named(
    columns: Mapping[str, Column], *, person: str | None, target: str | None
) -> dict[str, Column]:
    """Add the person and the target column if no role was said for them."""
    full = dict(columns)
    if person is not None:
        full.setdefault(person, Column(Role.IDENTIFIER))
    if target is not None:
        full.setdefault(target, Column(Role.TARGET))
    return full


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
