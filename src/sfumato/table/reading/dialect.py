"""How a text file parts its fields: its delimiter and its header line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Literal

from sfumato.errors import DataError

__all__ = ["DELIMITERS", "Dialect", "find_dialect"]

DELIMITERS = (",", ";", "\t", "|")

_SAMPLE_LINES = 100
#: The line by which Excel is told the delimiter.
_TOLD = re.compile(r'"?sep=([^\r\n])"?\r?\n')


@dataclass(frozen=True)
class Dialect:
    """How a text file is written.

    Parameters
    ----------
    delimiter
        One character.
    names
        The column names.
    skipped_lines
        Lines before the first row: the header and blank lines.
    line_end
        The last character of a line.
    """

    delimiter: str
    names: tuple[str, ...]
    skipped_lines: int
    line_end: str


def find_dialect(
    sample: str, where: str, *, delimiter: str | None, quoted: bool, names: tuple[str, ...]
) -> Dialect:
    """Return how a text file is written.

    Parameters
    ----------
    sample
        The first lines of the file; the last may be cut short.
    where
        The file, for messages.
    delimiter
        The delimiter if the user gave it.
    quoted
        Whether ``"`` quotes fields.
    names
        The column names if the file has no header line.

    Raises
    ------
    DataError
        If the header shows that the delimiter is wrong.
    """
    line_end = "\r" if "\r" in sample and "\n" not in sample else "\n"
    told = _TOLD.match(sample)
    skipped = 0
    if told:
        delimiter = delimiter or told[1]
        sample = sample[told.end() :]
        skipped = 1
    delimiter = delimiter or _most_even(sample, quoted=quoted)
    lines = 0
    header: list[str] = []
    for lines, record in _records(sample, delimiter, quoted=quoted):  # noqa: B007
        if record:
            header = record
            break
    if names:
        return Dialect(delimiter, names, skipped, line_end)
    other = next((mark for mark in DELIMITERS if len(header) == 1 and mark in header[0]), None)
    if other and other != delimiter:
        raise DataError(
            f"{where}: read with the delimiter {delimiter!r} it has one column, whose name holds "
            f"{other!r}; say delimiter = {other!r}"
        )
    if len(header) == 1 and (unusual := _unusual_mark(header[0], sample, line_end)):
        raise DataError(
            f"{where}: read with the delimiter {delimiter!r} it has one column, but every line "
            f"holds {unusual!r} as often as the header; if that parts the fields, say "
            f"delimiter = {unusual!r}"
        )
    if len(header) > 1:  # blank lines under the header; with one column they are empty cells
        following = islice(sample.split(line_end), lines, None)
        lines += sum(1 for _ in takewhile(lambda text: not text.strip("\r\n"), following))
    return Dialect(delimiter, tuple(header), skipped + lines, line_end)


def _unusual_mark(name: str, sample: str, line_end: str) -> str | None:
    """Return a mark that every sampled line holds as often as the header of the one column."""
    lines = [line for line in sample.split(line_end)[:_SAMPLE_LINES] if line.strip()][:-1]
    for mark in sorted({mark for mark in name if not (mark.isalnum() or mark in " _-./()'\"")}):
        if len(lines) > 1 and {line.count(mark) for line in lines} == {name.count(mark)}:
            return mark
    return None


def _most_even(sample: str, *, quoted: bool) -> str:
    """Return the delimiter that cuts most lines into as many fields as the header."""
    best, chosen = (0.0, 1), ","
    for delimiter in DELIMITERS:
        records = islice(_records(sample, delimiter, quoted=quoted), _SAMPLE_LINES)
        widths = [len(record) for _, record in records if record]
        if widths and widths[0] > 1:
            score = (widths.count(widths[0]) / len(widths), widths[0])
            if score > best:
                best, chosen = score, delimiter
    return chosen


def _records(sample: str, delimiter: str, *, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield (lines read so far, fields) of each record."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, quoting=quoting)
    # A field longer than the reader takes ends it: what came before is enough here.
    with suppress(csv.Error):
        for record in reader:
            yield reader.line_num, record
