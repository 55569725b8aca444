"""Read the result of a select from a database that a URL names.

Every database is opened for reading only, and one statement is run. An error of a database may
quote a cell ("invalid input syntax ..."), so its words are passed on only where it speaks of the
query itself.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

import polars as pl

from sfumato.errors import DataError, EngineError, MissingExtra, PlanError, did_you_mean
from sfumato.table.reading.conversion import finish
from sfumato.table.reading.opening import open_bytes
from sfumato.table.types import check_names

if TYPE_CHECKING:
    from sfumato.table.reading.files import Reading, Source

__all__ = ["check_duckdb_columns", "read_database", "statement"]

_SCHEMES = ("postgresql", "sqlite", "duckdb")
_BATCH_ROWS = 50_000
_TABLE_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)?")
#: What a select needs of SQLite; everything else is denied.
_SELECTING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_PLAIN_DUCKDB = re.compile(
    r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*|BOOLEAN|VARCHAR|ENUM\(.*|UUID"
    r"|DATE|TIME|TIMESTAMP(_S|_MS|_NS| WITH TIME ZONE)?|\"NULL\"|NULL)"
)


def read_database(source: Source, base: Path) -> Reading:
    """Read what ``source.query`` selects from the database at ``source.url``.

    Parameters
    ----------
    source
        The user's settings; ``url`` and ``query`` are given.
    base
        The folder that a relative path of a database file starts from.

    Raises
    ------
    PlanError
        If the URL is none that sfumato knows.
    DataError
        If the database file or a table is absent, or the query is no select.
    MissingExtra
        If the database needs a driver that is not installed.
    EngineError
        If the database cannot be reached or fails.
    """
    url = _split(str(source.url))
    query = statement(str(source.query))
    if url.scheme == "postgresql":
        from sfumato.table.reading.postgresql import read_postgresql

        return read_postgresql(source, url, query)
    if url.netloc:
        raise PlanError(
            f"url: {url.scheme}:// is followed by a third slash and the path of a file, as in "
            f"{url.scheme}:///patients.{url.scheme}"
        )
    path = base / unquote(url.path[1:])
    with open_bytes(path, unpack=False) as file:
        start = file.read(16)
    if url.scheme == "sqlite":
        if not start.startswith(b"SQLite format 3\0"):
            raise DataError(f"{path} is not an SQLite database")
        return _read_sqlite(source, path, query)
    if start[8:12] != b"DUCK":
        raise DataError(f"{path} is not a DuckDB database")
    return _read_duckdb(source, path, query)


def statement(query: str) -> str:
    """Return a query as one statement; the name of a table selects all of it.

    Examples
    --------
    >>> statement("select 1;")
    'select 1'
    >>> statement("ward.patients")
    'select * from "ward"."patients"'
    """
    query = query.strip().rstrip(";").strip()
    if _TABLE_NAME.fullmatch(query):
        parts = ".".join(f'"{part}"' for part in query.split("."))
        return f"select * from {parts}"  # noqa: S608  # the parts are words, in quotes
    return query


def _split(url: str) -> SplitResult:
    # The URL may hold a password: no message may show more of it than the scheme.
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise PlanError(
            "url: it cannot be taken apart; write special characters of a password as %XX, or "
            "leave the password out and set PGPASSWORD"
        ) from None
    scheme = "postgresql" if parts.scheme == "postgres" else parts.scheme
    if scheme not in _SCHEMES:
        hint = did_you_mean(scheme, _SCHEMES)
        raise PlanError(f"url: no database {scheme!r} is known.{hint} Known: {', '.join(_SCHEMES)}")
    return parts._replace(scheme=scheme)


def _read_sqlite(source: Source, path: Path, query: str) -> Reading:
    where = f"the query to {path}"
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.set_authorizer(
                lambda action, *_: (
                    sqlite3.SQLITE_OK if action in _SELECTING else sqlite3.SQLITE_DENY
                )
            )
            cursor = connection.execute(query)
            if cursor.description is None:
                raise DataError(f"{where} is not a select")
            names = [column[0] for column in cursor.description]
            check_names(names, where)
            batches = list(_sqlite_batches(cursor, names, source.n_rows, where))
    except (sqlite3.Warning, sqlite3.ProgrammingError):
        raise DataError(f"{where} is more than one statement; give one select") from None
    except sqlite3.DatabaseError as error:
        if "not authorized" in str(error) or "prohibited" in str(error):
            raise DataError(f"{where} does more than select, which is refused") from None
        if isinstance(error, sqlite3.OperationalError) and "locked" not in str(error):
            # Of the query itself, as "no such table"; SQLite casts cells without errors.
            raise DataError(f"{where} failed: {error}") from None
        raise EngineError(f"{where} failed: the database is damaged or locked") from None
    if not batches:
        raise DataError(f"{where} has no rows")
    # The same column can hold numbers in one row and texts in the next.
    mixed = {
        name
        for name in names
        if len({batch.schema[name] for batch in batches} - {pl.Null}) > 1
        and any(batch.schema[name] == pl.String for batch in batches)
    }
    as_text = [
        batch.with_columns(pl.col(name).cast(pl.String) for name in mixed) for batch in batches
    ]
    frame = pl.concat(as_text, how="vertical_relaxed")
    # SQLite has no dates: its texts are looked at, but a text of digits stays a text.
    return finish(frame, source, where, untyped=_dates(frame))


def _sqlite_batches(
    cursor: sqlite3.Cursor, names: list[str], n_rows: int | None, where: str
) -> Iterator[pl.DataFrame]:
    left = n_rows
    while left is None or left > 0:
        rows = cursor.fetchmany(_BATCH_ROWS if left is None else min(left, _BATCH_ROWS))
        if not rows:
            return
        left = None if left is None else left - len(rows)
        columns = zip(names, zip(*rows, strict=True), strict=True)
        yield pl.DataFrame([_sqlite_column(name, values, where) for name, values in columns])


def _sqlite_column(name: str, values: tuple[Any, ...], where: str) -> pl.Series:
    kinds = set(map(type, values)) - {type(None)}
    if bytes in kinds:
        raise DataError(f"{where}: column {name!r} holds bytes (BLOB); leave it out of the query")
    if not kinds:
        return pl.Series(name, values, dtype=pl.Null)
    if kinds == {int}:
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float}:
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    return pl.Series(name, values, dtype=pl.String, strict=False)


def _dates(frame: pl.DataFrame) -> list[str]:
    texts = frame.select(pl.col(pl.String))
    return [
        column.name
        for column in texts.iter_columns()
        if column.drop_nulls().str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}").all()
    ]


def _read_duckdb(source: Source, path: Path, query: str) -> Reading:
    where = f"the query to {path}"
    try:
        import duckdb
    except ImportError:
        raise MissingExtra("database", "reading DuckDB") from None
    # Neither the network nor other files can be reached, and the database cannot be written to.
    config = {"enable_external_access": "false", "autoinstall_known_extensions": "false"}
    try:
        with duckdb.connect(str(path), read_only=True, config=config) as connection:
            statements = connection.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise DataError(f"{where} must be one select")
            relation = connection.sql(query)
            check_duckdb_columns(relation, where)
            if source.n_rows is not None:
                relation = relation.limit(source.n_rows)
            frame = pl.DataFrame(relation)
    except (duckdb.ParserException, duckdb.CatalogException, duckdb.BinderException) as error:
        raise DataError(f"{where} failed: {str(error).splitlines()[0]}") from None
    except (duckdb.PermissionException, duckdb.InvalidInputException):
        raise DataError(f"{where} does more than select from this file, which is refused") from None
    except (duckdb.ConversionException, duckdb.DataError):
        raise DataError(f"{where} failed: a cell cannot be converted as it asks") from None
    except duckdb.Error as error:
        raise EngineError(f"{where} failed: {type(error).__name__}") from None
    return finish(frame, source, where)


def check_duckdb_columns(relation: Any, where: str) -> None:
    """Raise :class:`DataError` if a column has no name of its own or holds no plain values."""
    check_names(list(relation.columns), where)
    for name, kind in zip(relation.columns, relation.types, strict=True):
        if not _PLAIN_DUCKDB.fullmatch(str(kind)):
            raise DataError(
                f"{where}: column {name!r} holds {str(kind).split('(')[0]} values; cast it to one "
                "plain value in the query, or leave it out"
            )
