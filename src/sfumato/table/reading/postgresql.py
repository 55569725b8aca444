"""Read the result of a select from PostgreSQL.

The server describes the prepared query, which gives each column's type and refuses more than one
statement; then ``COPY`` sends the rows as text, which becomes typed frames a few megabytes at a
time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote

import polars as pl

from sfumato.errors import DataError, EngineError, MissingExtra
from sfumato.table.reading.conversion import finish
from sfumato.table.reading.inference import Parse
from sfumato.table.types import cells, check_names

if TYPE_CHECKING:
    import psycopg

    from sfumato.table.reading.files import Reading, Source

__all__ = ["read_postgresql"]

_BLOCK = 1 << 25
_WHOLE = Parse("integer", given=True)
_NUMBER = Parse("number", given=True)
_NUMERIC = 1700
_ENDLESS = {
    "number": "numbers that are not finite",
    "date": "dates without end, or before the year 1000",
    "datetime": "points in time without end, or before the year 1000",
}
#: How the server writes each type, by the number of the type.
_PARSES = {
    16: Parse("boolean", given=True),
    20: _WHOLE,
    21: _WHOLE,
    23: _WHOLE,
    26: _WHOLE,
    700: _NUMBER,
    701: _NUMBER,
    _NUMERIC: _NUMBER,
    1042: Parse("text", trim=True),  # character(n), filled up with blanks
    1082: Parse("date", "%Y-%m-%d"),
    1114: Parse("datetime", "%Y-%m-%d %H:%M:%S%.f"),
    1184: Parse("datetime", "%Y-%m-%d %H:%M:%S%.f%#z"),
}
#: Types that are no one plain value: bytes, intervals, geometry and the like.
_REFUSED = {17: "bytea", 1186: "interval", 600: "point", 3802: "jsonb", 114: "json"}
_SESSION = (
    "-c default_transaction_read_only=on -c datestyle=ISO -c timezone=UTC "
    "-c client_encoding=UTF8 -c extra_float_digits=1"
)


def read_postgresql(source: Source, url: SplitResult, query: str) -> Reading:
    """Read what a query selects.

    Parameters
    ----------
    source
        The user's settings.
    url
        The URL of the database, taken apart.
    query
        One statement.

    Raises
    ------
    MissingExtra
        If psycopg is not installed.
    EngineError
        If the server cannot be reached, refuses the user, or fails.
    DataError
        If the query is wrong or no select, or a column holds no plain values.
    """
    try:
        import psycopg
    except ImportError:
        raise MissingExtra("database", "reading PostgreSQL") from None
    place = _place(url)
    where = f"the query to {place}"
    try:
        connection = psycopg.connect(**_parameters(url))
    except psycopg.Error as error:
        raise EngineError(f"{place} cannot be reached: {_reason(error)}") from None
    try:
        with connection:
            parses = _describe(connection, query, where)
            frame = _copy(connection, query, parses, source.n_rows, where)
    except psycopg.Error as error:
        raise _failure(error, where) from None
    return finish(frame, source, where)


def _parameters(url: SplitResult) -> dict[str, Any]:
    options = dict(part.split("=", 1) for part in url.query.split("&") if "=" in part)
    given = {
        "host": url.hostname,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "dbname": url.path[1:],
    }
    parameters = {name: unquote(value) for name, value in options.items()}
    parameters |= {name: unquote(str(value)) for name, value in given.items() if value}
    parameters.setdefault("connect_timeout", "10")
    parameters["options"] = f"{parameters.get('options', '')} {_SESSION}".strip()
    return parameters


def _place(url: SplitResult) -> str:
    """Return the database's address without user and password."""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{url.hostname or ''}{port}{url.path}"


def _describe(connection: psycopg.Connection[Any], query: str, where: str) -> dict[str, Parse]:
    """Return how the texts of each column are read, without running the query."""
    import psycopg

    server = connection.pgconn
    prepared = server.prepare(b"", query.encode())
    if prepared.status != psycopg.pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(prepared, encoding="utf-8")
    columns = server.describe_prepared(b"")
    if columns.nfields == 0:
        raise DataError(f"{where} is not a select")
    names = [(columns.fname(position) or b"").decode() for position in range(columns.nfields)]
    check_names(names, where)
    parses: dict[str, Parse] = {}
    for position, name in enumerate(names):
        kind, modifier = columns.ftype(position), columns.fmod(position)
        if kind in _REFUSED:
            raise DataError(
                f"{where}: column {name!r} is of the type {_REFUSED[kind]}, which is not one plain "
                "value; cast it in the query, or leave it out"
            )
        parses[name] = _PARSES.get(kind, Parse("text"))
        if kind == _NUMERIC and modifier >= 4 and _is_whole(modifier - 4):
            parses[name] = _WHOLE
    return parses


def _is_whole(modifier: int) -> bool:
    """Whether numeric(precision, scale) holds whole numbers of at most 18 digits."""
    precision, scale = modifier >> 16, modifier & 0x7FF
    return scale == 0 and precision <= 18


def _copy(
    connection: psycopg.Connection[Any],
    query: str,
    parses: dict[str, Parse],
    n_rows: int | None,
    where: str,
) -> pl.DataFrame:
    if n_rows is not None:
        query = f"select * from ({query}\n) as _rows limit {n_rows}"  # noqa: S608
    frames: list[pl.DataFrame] = []
    seen = 0
    with connection.cursor() as cursor, cursor.copy(_copy_statement(query)) as copy:
        for block in _blocks(copy):
            frames.append(_parsed(block, parses, seen, where))
            seen += frames[-1].height
    if not frames:
        raise DataError(f"{where} has no rows")
    return pl.concat(frames)


def _copy_statement(query: str) -> Any:
    from psycopg import sql

    # The server prepared the query as one statement, so it cannot leave these brackets.
    return sql.SQL("copy ({}\n) to stdout (format csv)").format(sql.SQL(query))


def _blocks(copy: Any) -> Iterator[bytes]:
    """Join the rows, which the server sends one by one, to blocks."""
    block = bytearray()
    for row in copy:
        block += row
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _parsed(block: bytes, parses: dict[str, Parse], seen: int, where: str) -> pl.DataFrame:
    texts = pl.read_csv(
        block, has_header=False, schema=dict.fromkeys(parses, pl.String), glob=False
    )
    for name, parse in parses.items():
        flags = texts.select(parse.misfits(pl.col(name), empty=True).alias(name)).to_series()
        if flags.any():
            shifted = pl.repeat(False, seen, dtype=pl.Boolean, eager=True).append(flags)  # noqa: FBT003
            raise DataError(
                f"{where}: column {name!r} holds {_ENDLESS[parse.type]} ({cells(shifted)}); "
                "leave these rows out in the query"
            )
    return texts.select(parse.values(pl.col(name)).alias(name) for name, parse in parses.items())


def _reason(error: psycopg.Error) -> str:
    # libpq's own words may repeat the user's input; these cases say enough.
    text = str(error)
    known = {
        "Connection refused": "no server listens there",
        "No such file or directory": "no server listens there",
        "could not translate host name": "there is no such host",
        "failed to resolve host": "there is no such host",
        "authentication failed": "the user or the password is wrong",
        "no password supplied": "a password is needed; set PGPASSWORD",
        "does not exist": "there is no such database or user",
        "timeout expired": "no answer within the time limit",
        "no pg_hba.conf entry": "the server does not admit this user from here",
    }
    return next((meaning for words, meaning in known.items() if words in text), "it was refused")


def _failure(error: psycopg.Error, where: str) -> DataError | EngineError:
    code = error.sqlstate or ""
    if code.startswith("42"):  # syntax and names: the message speaks of the query alone
        return DataError(f"{where} failed: {error.diag.message_primary}")
    if code == "25006":
        return DataError(f"{where} does more than select, which is refused")
    if code.startswith(("21", "22")):
        return DataError(f"{where} failed: a cell cannot be converted or computed as it asks")
    return EngineError(f"{where} failed: {type(error).__name__} {code}".rstrip())
