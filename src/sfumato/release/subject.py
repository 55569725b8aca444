"""What is verified: a released table as texts, with its schema, promises and certificate.

Cells are texts, a missing cell and "*" are values like any other, and classes are counted by
:class:`~sfumato.release.recounts.Tally`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from sfumato.errors import DataError, SfumatoError
from sfumato.release.cells import read_as_text
from sfumato.release.certificate import CERTIFICATE_FILE, Certificate, is_ledger_promise
from sfumato.release.recounts.outcome import NotCounted
from sfumato.release.recounts.populations import Population
from sfumato.release.recounts.tally import Tally

if TYPE_CHECKING:
    from sfumato.table import Hierarchy, Schema

__all__ = ["Subject"]

_SCHEMA_FILE = "schema.toml"


@dataclass(frozen=True)
class Subject:
    """What is verified: the cells as texts, and what is stated about them.

    Parameters
    ----------
    name
        For messages.
    cells
        The released table, texts only.
    schema
        What its columns are said to be, or None.
    promises
        The criteria to check, as plain values with their kind.
    certificate, folder
        Of a release folder; None for a bare file or frame.
    file
        Whether a bare file is verified, whose schema somebody wrote for it.
    population_file
        The file of the population, for promises about one; it goes before the path that a promise
        may hold.
    """

    name: str
    cells: pl.DataFrame
    schema: Schema | None
    promises: tuple[Mapping[str, Any], ...]
    certificate: Certificate | None = None
    folder: Path | None = None
    file: bool = False
    population_file: Path | None = None

    @classmethod
    def of_table(
        cls,
        released: str | Path | object,
        schema: Schema | None,
        asked: Sequence[Mapping[str, Any]],
    ) -> Subject:
        """Take a bare file or a frame of any kind."""
        if isinstance(released, str | Path):
            path = Path(released)
            cells = read_as_text(path)
            return cls(path.name, cells, _spelt_out(schema, cells), tuple(asked), file=True)
        from sfumato.table import take

        cells = take(released)[0].cast(pl.String)
        return cls("table", cells, _spelt_out(schema, cells), tuple(asked))

    @classmethod
    def of_folder(
        cls, folder: Path, schema: Schema | None, asked: Sequence[Mapping[str, Any]]
    ) -> Subject | str:
        """Take a release folder, or say what it lacks."""
        from sfumato.table import Schema

        try:
            certificate = Certificate.read(folder / CERTIFICATE_FILE)
            names = [name for name in certificate.files if Path(name).stem == "data"]
            if len(names) != 1:
                raise DataError("the certificate does not name one data file")
            cells = read_as_text(folder / names[0])
            if _SCHEMA_FILE not in certificate.files:
                raise DataError(f"the certificate does not name {_SCHEMA_FILE}")
            if schema is None:
                schema = Schema.read(folder / _SCHEMA_FILE)
                if set(schema.quasi_identifiers) != set(certificate.quasi_identifiers):
                    raise DataError("the schema names other quasi-identifiers than the certificate")
            schema = _spelt_out(schema, cells)
        except SfumatoError as error:
            return str(error)
        certified = tuple(
            values
            for promise in certificate.promises
            if not is_ledger_promise(values := {"kind": promise.kind, **promise.settings})
        )
        name = certificate.release
        return cls(name, cells, schema, (*certified, *asked), certificate, folder)

    @cached_property
    def quasi_identifiers(self) -> list[str]:
        """The quasi-identifiers that the file has, of the schema and of the certificate.

        One that the certificate names stays one, whatever role another schema gives it.
        """
        named = self.schema.quasi_identifiers if self.schema is not None else ()
        certified = self.certificate.quasi_identifiers if self.certificate is not None else ()
        return [name for name in dict.fromkeys((*named, *certified)) if name in self.cells.columns]

    @property
    def nothing_to_group_by(self) -> bool:
        """Whether quasi-identifiers should be there and none is.

        A release whose quasi-identifiers were all left out is one class, and rightly so.
        """
        if self.quasi_identifiers:
            return False
        return self.file or (
            self.certificate is not None and bool(self.certificate.quasi_identifiers)
        )

    @cached_property
    def person(self) -> str | None:
        """The column to count persons by, if the file has it."""
        person = self.schema.person if self.schema is not None else None
        return person if person in self.cells.columns else None

    @cached_property
    def tally(self) -> Tally:
        """The classes, with every sensitive column that a promise names and the file has."""
        named = (str(one.get("column")) for one in self.promises)
        sensitive = [name for name in named if name in self.cells.columns]
        return Tally.of(self.cells, self.quasi_identifiers, sensitive, self.person)

    @property
    def hierarchies(self) -> dict[str, Hierarchy]:
        """The hierarchy of each column whose schema has one."""
        columns = {} if self.schema is None else self.schema.columns
        return {name: one.hierarchy for name, one in columns.items() if one.hierarchy is not None}

    def in_population(self, path: Path) -> Subject:
        """Return the same, to be compared with the population of a file."""
        return replace(self, population_file=path)

    def population(self, promised: str | None) -> Population | None:
        """Return the population of the file that was given or, without it, that a promise names.

        A promised path is looked for in the release folder, then from the working directory: what
        lies beside the data is what was released with it.

        Raises
        ------
        DataError
            If the file that was given cannot be read.
        NotCounted
            If it does not fit the release.
        """
        places = [self.population_file] if self.population_file is not None else []
        if not places and promised is not None:
            beside = [self.folder / promised] if self.folder is not None else []
            places = [place for place in (*beside, Path(promised)) if place.is_file()]
        if not places:
            return None
        try:
            cells = read_as_text(places[0])
        except DataError as error:
            if self.population_file is not None:
                raise
            raise NotCounted(str(error)) from error
        return Population.of(cells, self.quasi_identifiers, self.person)


def _spelt_out(schema: Schema | None, cells: pl.DataFrame) -> Schema | None:
    """Return the schema with the role of all the rest given to each column it does not name."""
    if schema is None or schema.rest is None:
        return schema
    from sfumato.table import Column

    rest = {name: Column(schema.rest) for name in cells.columns if name not in schema.columns}
    return schema.with_columns(rest)
