"""Read text files with delimiters: CSV and its kin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from sfumato.errors import DataError
from sfumato.table.reading.conversion import check_types, convert, distinct, inferred_column
from sfumato.table.reading.dialect import find_dialect
from sfumato.table.reading.encoding import (
    decoded,
    find_encoding,
    in_utf8,
    is_utf8,
    recheck_encoding,
)
from sfumato.table.reading.fields import Fields, Malformed
from sfumato.table.reading.files import Reading
from sfumato.table.reading.inference import Inferred, Parse, find_decimal, infer, parse_as
from sfumato.table.reading.notes import text_note
from sfumato.table.reading.opening import open_bytes, read_sample
from sfumato.table.reading.raggedness import drop_blank_lines, explain_damage
from sfumato.table.types import check_names, type_of

if TYPE_CHECKING:
    from sfumato.table.reading.files import Source

__all__ = ["read_delimited"]

_BLOCK = 1 << 24


def read_delimited(source: Source, path: Path) -> Reading:
    """Read a text file with delimiters.

    Parameters
    ----------
    source
        The user's settings.
    path
        The file, a relative one from here.

    Raises
    ------
    DataError
        If the file is not what it should be; the message names the row and the mend.
    """
    head, whole = read_sample(path)
    encoding = source.encoding or find_encoding(head, str(path))
    try:
        return _read_as(source, path, decoded(head, encoding, path, whole=whole), encoding)
    except Malformed:
        # The first megabyte was in that encoding; perhaps a later line is not.
        later = recheck_encoding(path, encoding, given=source.encoding is not None)
        if later == encoding:
            raise explain_damage(path, encoding, source) from None
    try:
        return _read_as(source, path, decoded(head, later, path, whole=whole), later)
    except Malformed:
        raise explain_damage(path, later, source) from None


def _read_as(source: Source, path: Path, head: str, encoding: str) -> Reading:
    dialect = find_dialect(
        head, str(path), delimiter=source.delimiter, quoted=source.quoted, names=source.names
    )
    check_names(list(dialect.names), str(path))
    check_types(source.types, dialect.names, str(path))
    data = path if is_utf8(encoding) else in_utf8(path, encoding)
    fields = Fields(data, dialect, source.missing, source.quoted, source.n_rows)
    try:
        return _read_fields(source, fields, path, encoding)
    except OSError as error:  # as a rule a gzip that is cut short; reading it again says so
        with open_bytes(path) as file:
            while file.read(_BLOCK):
                pass
        raise DataError(f"{path} cannot be read: {error.strerror or 'input error'}") from None


def _read_fields(source: Source, fields: Fields, path: Path, encoding: str) -> Reading:
    sample = {
        column.name: distinct(column, source.missing) for column in fields.sample().iter_columns()
    }
    decimal = source.decimal or find_decimal(sample.values(), fields.dialect.delimiter)
    found, parses = _first_parses(source, sample, decimal or ".")
    frame, misfits, last_empty = fields.parsed(parses)
    if frame.is_empty():
        raise DataError(f"{path} has a header but no rows")
    # What the sample could not settle is settled by all texts: those that are in the frame, and
    # for the cells that did not fit those of a second pass over their columns alone.
    texts = fields.texts(list(misfits)) if misfits else []
    texts += [
        frame[name]
        for name in frame.columns
        if name not in misfits
        and _unsettled(parses[name], found[name], sample[name], given=name in source.types)
    ]
    if decimal is None:
        all_texts = (distinct(text, source.missing) for text in texts)
        decimal = find_decimal(all_texts, fields.dialect.delimiter)
    known = source.model_copy(update={"decimal": decimal or "."})
    columns: list[pl.Series] = []
    for text in texts:
        if text.name in source.types:
            columns.append(convert(text, source.types[text.name], known, str(path)))
        else:
            column, found[text.name] = inferred_column(text, known, str(path))
            columns.append(column)
    frame = frame.with_columns(columns)
    notes = [_encoding_note(source, encoding), _header_note(source, fields.dialect.names)]
    if last_empty and frame.width > 1:
        frame, note = drop_blank_lines(frame, fields, path)
        notes.append(note)
    notes += [
        text_note(column, found[column.name], source.missing)
        for column in frame.iter_columns()
        if column.dtype == pl.String and column.name not in source.types
    ]
    return Reading(
        frame=frame,
        source=source,
        types={c.name: source.types.get(c.name) or type_of(c) for c in frame.iter_columns()},
        notes=tuple(note for note in notes if note),
        delimiter=fields.dialect.delimiter,
        encoding=encoding,
        decimal=known.decimal,
    )


def _first_parses(
    source: Source, sample: dict[str, pl.Series], decimal: str
) -> tuple[dict[str, Inferred], dict[str, Parse]]:
    """Return what the first rows show of each column, and how its fields are read."""
    found = {
        name: infer(texts, decimal=decimal, day_first=source.day_first)
        for name, texts in sample.items()
    }
    parses = {name: inferred.parse for name, inferred in found.items()}
    for name, wanted in source.types.items():
        parse = parse_as(wanted, sample[name], decimal=decimal, day_first=source.day_first)
        parses[name] = parse or Parse("text")
    return found, parses


def _unsettled(parse: Parse, inferred: Inferred, sample: pl.Series, *, given: bool) -> bool:
    """Whether a column was left as text that may be more than that."""
    if given:
        return parse.type == "text" and not parse.given
    return sample.is_empty() or not inferred.settled


def _encoding_note(source: Source, encoding: str) -> str | None:
    if source.encoding or encoding.startswith("utf-8") or encoding == "utf-16":
        return None
    return f"the encoding {encoding} was guessed; say encoding = ... if letters look wrong"


def _header_note(source: Source, names: tuple[str, ...]) -> str | None:
    numbers = pl.Series(names).cast(pl.Float64, strict=False).is_not_null().sum()
    if source.names or not numbers:
        return None
    some = "the name of a column is a number" if numbers == 1 else f"{numbers} names are numbers"
    return f"{some}; if the first line is a row and no header, say names = [...]"
