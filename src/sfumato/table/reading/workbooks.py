"""Read files that carry types: Parquet and Excel workbooks."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from sfumato.errors import DataError, did_you_mean
from sfumato.table.reading.conversion import finish
from sfumato.table.reading.opening import open_bytes
from sfumato.table.types import check_names

if TYPE_CHECKING:
    from sfumato.table.reading.files import Reading, Source

__all__ = ["read_excel", "read_parquet"]

# Without a handler a library's warnings go to the terminal; fastexcel warns of empty columns.
logging.getLogger("fastexcel").addHandler(logging.NullHandler())


def read_parquet(source: Source, path: Path) -> Reading:
    """Read a Parquet file.

    Raises
    ------
    DataError
        If the file is not Parquet or damaged, or holds columns that are no plain values.
    """
    where = str(path)
    with open_bytes(path) as file:
        start = file.read(4)
    if not start:
        raise DataError(f"{path} is empty")
    if start != b"PAR1":
        raise DataError(f"{path} is not a Parquet file; name it by what it is, such as .csv")
    try:
        frame = pl.read_parquet(path, n_rows=source.n_rows, glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError):
        raise DataError(f"{path} is damaged: it begins as Parquet but cannot be read") from None
    return finish(frame, source, where)


def read_excel(source: Source, path: Path) -> Reading:
    """Read one sheet of an Excel workbook; its first row names the columns.

    Numbers, dates and truth values are taken as the sheet types them; the types of texts, and of
    columns that mix texts and numbers, are inferred as in a text file.

    Raises
    ------
    DataError
        If the file is no workbook, or has no such sheet.
    """
    import fastexcel

    where = str(path)
    with open_bytes(path) as file:
        if not file.read(1):
            raise DataError(f"{path} is empty")
    try:
        workbook = fastexcel.read_excel(path)
    except fastexcel.FastExcelError:
        raise DataError(
            f"{path} is no Excel workbook, or damaged or locked by a password"
        ) from None
    sheet = _sheet(workbook, source, where)
    header = _load(workbook, sheet, where, header_row=None, n_rows=1, dtypes="string")
    if header.is_empty():
        raise DataError(f"{where}: its sheet {sheet!r} is empty")
    names = [name or "" for name in header.row(0)]
    check_names(names, where)
    rows = source.n_rows
    # All rows decide a column's type: a cell that does not fit it would be read as missing.
    typed = _load(workbook, sheet, where, n_rows=rows, schema_sample_rows=None)
    texts = _load(workbook, sheet, where, n_rows=rows, dtypes="string")
    if texts.is_empty():
        raise DataError(f"{where} has a header but no rows")
    columns: list[pl.Series] = []
    untyped: list[str] = []
    for name, value, text in zip(names, typed.iter_columns(), texts.iter_columns(), strict=True):
        if value.dtype == pl.String or value.null_count() > text.null_count():
            columns.append(text.alias(name))
            untyped.append(name)
        else:
            columns.append(_plain(value).alias(name))
    return finish(pl.DataFrame(columns), source, where, untyped=untyped)


def _sheet(workbook: Any, source: Source, where: str) -> str:
    names = list(workbook.sheet_names)
    if not names:
        raise DataError(f"{where} has no sheets")
    if source.sheet is None:
        return str(names[0])
    if isinstance(source.sheet, int):
        if not 1 <= source.sheet <= len(names):
            raise DataError(f"{where} has {len(names)} sheets; there is no sheet {source.sheet}")
        return str(names[source.sheet - 1])
    if source.sheet not in names:
        hint = did_you_mean(source.sheet, names)
        known = ", ".join(repr(name) for name in names)
        raise DataError(f"{where} has no sheet {source.sheet!r}.{hint} Its sheets: {known}")
    return source.sheet


def _load(workbook: Any, sheet: str, where: str, **options: Any) -> pl.DataFrame:
    import fastexcel

    try:
        frame: pl.DataFrame = workbook.load_sheet(sheet, **options).to_polars()
    except fastexcel.FastExcelError:
        raise DataError(f"{where}: its sheet {sheet!r} cannot be read") from None
    return frame


def _plain(column: pl.Series) -> pl.Series:
    """Return whole numbers as such and midnights as dates: Excel does not tell them apart."""
    if column.dtype == pl.Float64 and column.null_count() < len(column):
        small = column.abs().max()
        if bool(small < 2**53) and (column == column.round()).all():  # type: ignore[operator]
            return column.cast(pl.Int64)
    if isinstance(column.dtype, pl.Datetime) and (column.dt.truncate("1d") == column).all():
        return column.dt.date()
    return column
