"""What every source with types of its own passes through: missing texts, given types, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.table.reading.files import Reading
from sfumato.table.reading.inference import Inferred, Parse, infer, parse_as
from sfumato.table.reading.notes import quoted, text_note, words_in
from sfumato.table.types import ColumnType, cells, check_finite, normalize, type_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sfumato.table.reading.files import Source

__all__ = ["check_types", "convert", "distinct", "finish", "inferred_column"]


def finish(
    frame: pl.DataFrame, source: Source, where: str, *, untyped: Collection[str] = ()
) -> Reading:
    """Bring a typed frame to the types that a table has and that the user asked for.

    Parameters
    ----------
    frame
        What the file or the database gave.
    source
        The user's settings.
    where
        The file or query, for messages.
    untyped
        Text columns whose types are to be inferred, because the source has none for them.

    Raises
    ------
    DataError
        If there are no rows, a number is not finite, or cells do not fit a type that was given.
    """
    if frame.is_empty():
        raise DataError(f"{where} has no rows")
    frame = normalize(frame, where)
    check_types(source.types, frame.columns, where)
    notes: list[str | None] = []
    columns: list[pl.Series] = []
    for given in frame.iter_columns():
        name = given.name
        found = None
        column = _without(given, source.missing) if given.dtype == pl.String else given
        if name in source.types:
            column = convert(column, source.types[name], source, where)
        elif name in untyped:
            column, found = inferred_column(column, source, where)
        if column.dtype == pl.String and name not in source.types:
            notes.append(text_note(column, found, source.missing))
        columns.append(column)
    table = pl.DataFrame(columns)
    check_finite(table, where)
    return Reading(
        frame=table,
        source=source,
        types={c.name: source.types.get(c.name) or type_of(c) for c in table.iter_columns()},
        notes=tuple(note for note in notes if note),
    )


def inferred_column(column: pl.Series, source: Source, where: str) -> tuple[pl.Series, Inferred]:
    """Return a column of texts as the values that all its texts are, and what was found.

    Raises
    ------
    DataError
        If it is numbers of which some are infinite.
    """
    found = infer(
        distinct(column, source.missing),
        decimal=source.decimal or ".",
        day_first=source.day_first,
    )
    if found.infinite:
        numbers = Parse("number", decimal=source.decimal or ".").as_numbers(column)
        raise DataError(
            f"{where}: column {column.name!r} holds infinite numbers "
            f"({cells(numbers.is_infinite().fill_null(value=False))}); replace them, or name "
            "their text in missing"
        )
    return _evaluated(column, found.parse.values(pl.col(column.name))), found


def check_types(types: Mapping[str, ColumnType], columns: Iterable[str], where: str) -> None:
    """Raise :class:`SchemaError` if a type is given for a column that is not there."""
    columns = list(columns)
    for name in types:
        if name not in columns:
            hint = did_you_mean(name, columns)
            raise SchemaError(f"{where} has no column {name!r}, for which a type is given.{hint}")


def distinct(column: pl.Series, missing: tuple[str, ...]) -> pl.Series:
    """Return the distinct texts of a column, without nulls and the texts that mean missing."""
    texts = column.unique().drop_nulls()
    return texts.filter(~texts.is_in(missing))


def convert(column: pl.Series, wanted: ColumnType, source: Source, where: str) -> pl.Series:
    """Return a column as the type that the user gave for it.

    Raises
    ------
    DataError
        If cells do not fit: how many and the row number of the first.
    """
    if wanted in ("category", "text"):
        return column.cast(pl.String)
    if column.dtype == pl.String:
        return _converted_texts(column, wanted, source, where)
    if type_of(column) == wanted:
        return column
    converted = _between(column, wanted)
    if converted is None:
        raise DataError(
            f"{where}: column {column.name!r} is a column of type {type_of(column)}, which cannot "
            f"be read as {wanted}; leave it out of types"
        )
    _refuse_misfits(converted.is_null() & column.is_not_null(), column, wanted, where)
    return converted


def _between(column: pl.Series, wanted: ColumnType) -> pl.Series | None:
    """Return typed values as another type, null where they do not fit; None if that is absurd."""
    value = pl.col(column.name)
    kind = type_of(column)
    numeric = kind in ("integer", "number", "boolean")
    if wanted == "number" and numeric:
        made = value.cast(pl.Float64)
    elif wanted == "integer" and numeric:
        whole = value.cast(pl.Float64).round() == value.cast(pl.Float64)
        made = pl.when(whole).then(value).cast(pl.Int64, strict=False)
    elif wanted == "boolean" and numeric:
        made = pl.when(value.is_in([0, 1])).then(value == 1)
    elif wanted == "datetime" and kind == "date":
        made = value.cast(pl.Datetime("us"))
    elif wanted == "date" and kind == "datetime":
        made = pl.when(value.dt.truncate("1d") == value).then(value.dt.date())
    else:
        return None
    return _evaluated(column, made)


def _refuse_misfits(flags: pl.Series, column: pl.Series, wanted: ColumnType, where: str) -> None:
    """Raise :class:`DataError` if any cell does not fit the type that the user gave."""
    if flags.any():
        words = words_in(column.filter(flags)) if column.dtype == pl.String else ()
        mend = f"; among them are {quoted(words)}: name them in missing" if words else ""
        raise DataError(
            f"{where}: column {column.name!r} is to be read as {wanted}, which does not fit "
            f"{cells(flags)}{mend or '; correct them, or leave the column out of types'}"
        )


def _without(column: pl.Series, missing: tuple[str, ...]) -> pl.Series:
    flags = column.is_in(missing)
    return column.set(flags.fill_null(value=False), None) if flags.any() else column


def _converted_texts(
    column: pl.Series, wanted: ColumnType, source: Source, where: str
) -> pl.Series:
    parse = parse_as(
        wanted,
        distinct(column, source.missing),
        decimal=source.decimal or ".",
        day_first=source.day_first,
    )
    if parse is None:
        raise DataError(
            f"{where}: column {column.name!r} is to be read as {wanted}, and its days and months "
            "can be swapped; say day_first = true or false"
        )
    text = pl.col(column.name)
    _refuse_misfits(_evaluated(column, parse.misfits(text, empty=True)), column, wanted, where)
    return _evaluated(column, parse.values(text))


def _evaluated(column: pl.Series, expression: pl.Expr) -> pl.Series:
    return column.to_frame().select(expression.alias(column.name)).to_series()
