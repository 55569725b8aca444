"""Read a table from a text file, Parquet, Excel or a database, and say what was found.

What each kind of source does is in its own module: :mod:`~sfumato.table.reading.delimited`,
:mod:`~sfumato.table.reading.workbooks`, :mod:`~sfumato.table.reading.databases`; writing is in
:mod:`~sfumato.table.reading.writing`.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import polars as pl
from pydantic import Field, field_validator, model_validator

from sfumato.errors import DataError, PlanError
from sfumato.settings import Settings
from sfumato.table.reading.writing import write
from sfumato.table.types import ColumnType

if TYPE_CHECKING:
    from sfumato.table.schema import Schema

__all__ = ["Reading", "Source", "read", "read_with_report", "write"]

_TEXT = (".csv", ".tsv", ".txt")
_EXCEL = (".xlsx", ".xls")
_KINDS = ".csv, .tsv, .txt (each also with .gz), .parquet, .xlsx, .xls"
_TEXT_ONLY = ("delimiter", "encoding", "quoted", "names")


class Source(Settings):
    """Where a table is and how it is to be read; what is not said is found and reported.

    Parameters
    ----------
    path
        A file: ``.csv``, ``.tsv``, ``.txt`` (each also with ``.gz``), ``.parquet``, ``.xlsx`` or
        ``.xls``. Relative paths are taken from the plan's folder.
    url
        A database: ``postgresql://user@host/database``, ``sqlite:///file.db`` or
        ``duckdb:///file.duckdb`` (four slashes before an absolute path). Leave the password of
        PostgreSQL out of a plan: ``PGPASSWORD`` and ``~/.pgpass`` are used.
    query
        For a database: a ``select``, or the name of a table.
    sheet
        For Excel: the sheet's name, or its number from 1; the first by default.
    delimiter
        For text: one character; found among ``, ; tab |`` by default.
    encoding
        For text: a name that Python knows; UTF-8, UTF-16 or Windows-1252 is found by default.
    decimal
        The decimal separator, "." or ","; found by default.
    quoted
        For text: whether ``"`` puts a field in quotes; say false where it is a plain character.
    names
        For text without a header line: the names of its columns.
    day_first
        Whether 03/04/2020 is the third of April; by default such dates are only read if they
        fit one way alone.
    missing
        Texts that mean a missing value, in every column; the empty cell by default. Nothing else
        is ever taken for missing.
    types
        The type of a column, where the one found is not wanted.
    n_rows
        Read only that many rows from the top.

    Raises
    ------
    PlanError
        If the settings are wrong or contradict each other.

    Examples
    --------
    >>> Source(path="patients.csv", missing=["", "NA"], types={"ward": "category"}).missing
    ('', 'NA')
    """

    path: str | None = None
    url: str | None = Field(default=None, repr=False)
    query: str | None = None
    sheet: str | int | None = None
    delimiter: str | None = None
    encoding: str | None = None
    decimal: Literal[".", ","] | None = None
    quoted: bool = True
    names: tuple[str, ...] = ()
    day_first: bool | None = None
    missing: tuple[str, ...] = ("",)
    types: dict[str, ColumnType] = Field(default_factory=dict)
    n_rows: int | None = Field(default=None, ge=1)

    @field_validator("path", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, Path) else value

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        value = {"tab": "\t", "\\t": "\t"}.get(value, value) if value else value
        if value is not None and (len(value.encode()) != 1 or value in '"\n\r'):
            raise ValueError("the delimiter is one character, such as ';' or 'tab'")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                codecs.lookup(value)
            except LookupError:
                raise ValueError("an encoding that Python does not know") from None
        return value

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("a source is either a path or a url")
        if self.url is not None and not self.query:
            raise ValueError("a url needs query = a select or the name of a table")
        if self.query is not None and self.url is None:
            raise ValueError("query is for a database: give its url, not a path")
        if self.delimiter is not None and self.delimiter == self.decimal:
            raise ValueError("the delimiter and the decimal separator are the same")
        return self

    def said_by(self, schema: Schema) -> Self:
        """Return the source with the schema's missing texts and types, where it says none."""
        missing = self.missing if "missing" in self.model_fields_set else schema.missing
        types = {**schema.types, **self.types}
        return self.model_copy(update={"missing": missing, "types": types})

    def read(self, base: str | Path = ".") -> pl.DataFrame:
        """Return the table; a relative path is taken from ``base``."""
        return self.report(base).frame

    def report(self, base: str | Path = ".") -> Reading:
        """Return the table with what was found out while reading it.

        Parameters
        ----------
        base
            The folder that a relative path starts from.

        Raises
        ------
        DataError
            If the table cannot be read as it is described.
        MissingExtra
            If a database needs a part that is not installed.
        EngineError
            If the machine or the database refuses.
        """
        if self.url is not None:
            from sfumato.table.reading.databases import read_database

            return read_database(self, Path(base))
        path = Path(base) / str(self.path)
        suffix = _suffix(path)
        self._refuse_foreign_options(suffix)
        if suffix.removesuffix(".gz") in _TEXT:
            from sfumato.table.reading.delimited import read_delimited

            return read_delimited(self, path)
        if suffix == ".parquet":
            from sfumato.table.reading.workbooks import read_parquet

            return read_parquet(self, path)
        from sfumato.table.reading.workbooks import read_excel

        return read_excel(self, path)

    def _refuse_foreign_options(self, suffix: str) -> None:
        given = self.model_fields_set
        if suffix.removesuffix(".gz") not in _TEXT:
            for option in _TEXT_ONLY:
                if option in given and getattr(self, option) not in (None, (), True):
                    raise PlanError(f"{option} is for text files; {self.path} is a {suffix} file")
        if self.sheet is not None and suffix not in _EXCEL:
            raise PlanError(f"sheet is for Excel files; {self.path} is a {suffix} file")


@dataclass(frozen=True)
class Reading:
    """A table and how it was read.

    Parameters
    ----------
    frame
        The table.
    source
        What was asked for.
    types
        The type of each column, inferred or given.
    notes
        Sentences for the user: what was guessed, and what may be meant as a missing value. They
        name columns, counts, row numbers and words of a fixed list, never another cell.
    delimiter, encoding, decimal
        For a text file: what was found or given.
    """

    frame: pl.DataFrame = field(repr=False)
    source: Source
    types: dict[str, ColumnType]
    notes: tuple[str, ...] = ()
    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None


def read(source: str | Path | Source, **options: Any) -> pl.DataFrame:
    """Return the table that a path, a database URL or a :class:`Source` names.

    Parameters
    ----------
    source
        A file or a database URL.
    options
        The other settings of :class:`Source`, such as ``missing=["", "NA"]``.

    Raises
    ------
    DataError
        If the table cannot be read: one message that names the file, the column, the row and the
        mend.
    PlanError
        If an option is unknown or wrong.
    """
    return read_with_report(source, **options).frame


def read_with_report(source: str | Path | Source, **options: Any) -> Reading:
    """Return the table with what was found: types, delimiter, encoding and notes.

    Takes what :func:`read` takes.
    """
    if isinstance(source, Source):
        given = source.model_dump(include=source.model_fields_set)
        return Source(**{**given, **options}).report() if options else source.report()
    kind = "url" if "://" in str(source) else "path"
    return Source(**{kind: str(source), **options}).report()


def _suffix(path: Path) -> str:
    """Return the ending that says what the file is, such as ".csv.gz"."""
    endings = [ending.lower() for ending in path.suffixes]
    suffix = "".join(endings[-2:]) if endings[-1:] == [".gz"] else "".join(endings[-1:])
    if suffix.removesuffix(".gz") in _TEXT or suffix in (".parquet", *_EXCEL):
        return suffix
    if path.is_dir():
        raise DataError(f"{path} is a folder; name a file in it")
    known = f"its name does not say what it is; known endings are {_KINDS}"
    raise DataError(f"{path}: {known}")
