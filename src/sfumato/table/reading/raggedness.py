"""Rows of a text file with too many or too few fields: found, counted and named.

Polars refuses a row with too many fields, and fills up one with too few. The second is found by
counting: a file whose rows are all complete holds exactly (columns - 1) delimiters a row outside
its fields. Only files with an empty last cell need the count.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import polars as pl

from sfumato.errors import DataError
from sfumato.table.reading.dialect import Dialect, find_dialect
from sfumato.table.reading.opening import open_bytes

if TYPE_CHECKING:
    from sfumato.table.reading.fields import Fields
    from sfumato.table.reading.files import Source

__all__ = ["drop_blank_lines", "explain_damage"]

_BLOCK = 1 << 24
_SAMPLE = 1 << 20
_TAIL = 1 << 12


class _Row(NamedTuple):
    number: int
    fields: int
    odd_quotes: bool


class _Marks(NamedTuple):
    delimiters: int
    quotes: bool
    blank_lines_at_end: int


def drop_blank_lines(
    frame: pl.DataFrame, fields: Fields, path: Path
) -> tuple[pl.DataFrame, str | None]:
    """Return the table without the rows that blank lines made, and a note on them.

    Parameters
    ----------
    frame
        The table as Polars read it; short rows are filled up with nulls.
    fields
        How it was read.
    path
        The file.

    Raises
    ------
    DataError
        If a row that is not blank has too few fields.
    """
    width = len(fields.dialect.names)
    if fields.n_rows is None and fields.dialect.line_end == "\n":
        marks = _count_marks(fields, path)
        inside = _inside_fields(fields) if marks.quotes else 0
        absent = (width - 1) * frame.height - (marks.delimiters - inside)
        if absent == 0:
            return frame, None
        if absent == marks.blank_lines_at_end * (width - 1):
            return frame.head(-marks.blank_lines_at_end), _note(marks.blank_lines_at_end)
    blank = []
    with _open_utf8(fields, path) as file, _text(file) as text:
        for row in islice(_rows(text, fields.dialect, quoted=fields.quoted), frame.height):
            if row.fields == 0:
                blank.append(row.number - 1)
            elif row.fields < width:
                raise _ragged(path, row, width)
    kept = np.ones(frame.height, dtype=bool)
    kept[blank] = False
    return (frame.filter(pl.Series(kept)), _note(len(blank))) if blank else (frame, None)


def explain_damage(path: Path, encoding: str, source: Source) -> DataError:
    """Return the error that says what is wrong with a file that Polars refused.

    Parameters
    ----------
    path, encoding
        The file.
    source
        The user's settings.
    """
    mend = "if a quote is a plain character in this file, say quoted = false"
    with open_bytes(path) as file, _text(file, encoding) as text:
        sample = text.read(_SAMPLE)
    dialect = find_dialect(
        sample, str(path), delimiter=source.delimiter, quoted=source.quoted, names=source.names
    )
    width = len(dialect.names)
    number = odd = 0
    try:
        with open_bytes(path) as file, _text(file, encoding) as text:
            for row in _rows(text, dialect, quoted=source.quoted, strict=True):
                number = row.number
                if row.fields not in (0, width):
                    return _ragged(path, row, width)
                odd = odd or (number if row.odd_quotes else 0)
    except csv.Error:
        return DataError(f"{path}: the quotes of row {number + 1:,} do not match; {mend}")
    at = f"the quotes of row {odd:,}" if odd else "its quotes"
    return DataError(f"{path}: {at} do not match; {mend}")


def _note(blank_lines: int) -> str:
    lines = "a blank line was" if blank_lines == 1 else f"{blank_lines:,} blank lines were"
    return f"{lines} left out"


def _ragged(path: Path, row: _Row, width: int) -> DataError:
    fields = "1 field" if row.fields == 1 else f"{row.fields} fields"
    return DataError(
        f"{path}: row {row.number:,} has {fields} where the header has {width}; correct the row "
        "(a field that holds the delimiter stands in quotes)"
    )


def _count_marks(fields: Fields, path: Path) -> _Marks:
    """Count the delimiters below the header, at the speed of memory."""
    mark, quote = ord(fields.dialect.delimiter), ord('"')
    count = 0
    quotes = False
    tail = b""
    with _open_utf8(fields, path) as file:
        for _ in range(fields.dialect.skipped_lines):
            file.readline()
        while block := file.read(_BLOCK):
            data = np.frombuffer(block, dtype=np.uint8)
            count += int(np.count_nonzero(data == mark))
            quotes = quotes or (fields.quoted and bool((data == quote).any()))
            tail = (tail + block[-_TAIL:])[-_TAIL:]
    end = tail[len(tail.rstrip(b"\r\n")) :]
    return _Marks(count, quotes, max(end.count(b"\n") - 1, 0))


def _inside_fields(fields: Fields) -> int:
    """Return how many delimiters stand inside of fields."""
    marks = pl.all().str.count_matches(fields.dialect.delimiter, literal=True).sum()
    counts = fields.scan().select(marks).collect(engine="streaming").row(0)
    return sum(int(count or 0) for count in counts)


@contextmanager
def _open_utf8(fields: Fields, path: Path) -> Iterator[IO[bytes]]:
    if isinstance(fields.data, bytes):
        yield io.BytesIO(fields.data)
    else:
        with open_bytes(path) as file:
            yield file


def _text(file: IO[bytes], encoding: str = "utf-8") -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding, errors="replace", newline="")


def _rows(
    text: io.TextIOWrapper, dialect: Dialect, *, quoted: bool, strict: bool = False
) -> Iterator[_Row]:
    for _ in range(dialect.skipped_lines):
        text.readline()
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(text, delimiter=dialect.delimiter, quoting=quoting, strict=strict)
    longest = csv.field_size_limit(2**31 - 1)
    try:
        for number, row in enumerate(reader, 1):
            yield _Row(number, len(row), any(field.count('"') % 2 for field in row))
    finally:
        csv.field_size_limit(longest)
