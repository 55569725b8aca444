"""Write a table: the whole file or nothing, and the same bytes for the same table."""

from __future__ import annotations

import errno
import gzip
import io
import os
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, cast

import polars as pl

from sfumato.atomic import whole_file
from sfumato.errors import DataError, EngineError
from sfumato.table.types import cells, check_finite, check_names, type_of

__all__ = ["write"]

_ROW_GROUP = 1 << 18
_EXCEL_ROWS = 1_048_575
_EXCEL_COLUMNS = 16_384
_EXCEL_TEXT = 32_767
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write(table: pl.DataFrame, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a table as the ending of the path says.

    The file appears under its name when it is complete; until then, and if anything goes wrong,
    what was there before stays. Equal tables give equal bytes.

    Parameters
    ----------
    table
        The table.
    path
        Ends in ``.csv``, ``.csv.gz``, ``.tsv``, ``.tsv.gz``, ``.parquet`` or ``.xlsx``.
    overwrite
        Whether a file of that name may be replaced.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    DataError
        If there is such a file, the folder does not exist, the ending is unknown, or the table
        holds what the format cannot.
    EngineError
        If the disk is full or refuses.
    """
    path = Path(path)
    writer = _writer(path)
    check_names(table.columns, str(path))
    check_finite(table, str(path))
    if path.is_dir():
        raise DataError(f"{path} is a folder; name a file")
    if not path.parent.is_dir():
        raise DataError(f"{path}: there is no folder {path.parent}; make it first")
    if path.exists() and not overwrite:
        raise DataError(f"{path} exists; name another file, or say overwrite")
    try:
        with whole_file(path) as file:
            writer(table, file)
    except (OSError, pl.exceptions.ComputeError) as error:
        raise _refused(path, error) from None
    return path


def _refused(path: Path, error: Exception) -> EngineError:
    # Polars gives the number of the system's error only in its words.
    told = re.search(r"\(os error (\d+)\)", str(error))
    code = getattr(error, "errno", None) or (int(told[1]) if told else None)
    reason = "the system refused"
    if code is not None:
        reason = "the disk is full" if code in _FULL else os.strerror(code)
    return EngineError(f"{path} could not be written: {reason}; nothing was left there")


_Writer = Callable[[pl.DataFrame, IO[bytes]], None]


def _writer(path: Path) -> _Writer:
    name = path.name.lower()
    for ending, writer in _WRITERS.items():
        if name.endswith(ending):
            return writer
    raise DataError(
        f"{path}: a table is written as {', '.join(_WRITERS)}; use one of these endings"
    )


def _write_csv(table: pl.DataFrame, file: IO[bytes], separator: str = ",") -> None:
    for column in table.iter_columns():
        if column.dtype == pl.String and column.str.contains("\0", literal=True).any():
            flags = column.str.contains("\0", literal=True)
            raise DataError(
                f"column {column.name!r} holds texts with a zero byte ({cells(flags)}), which a "
                "text file cannot hold"
            )
    table.with_columns(_as_utc(column) for column in table.iter_columns()).write_csv(
        file,
        separator=separator,
        # In a table of one column an empty line would be no row.
        null_value='""' if table.width == 1 else None,
    )


def _as_utc(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        return column.dt.convert_time_zone("UTC").dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ")
    return column


def _write_tsv(table: pl.DataFrame, file: IO[bytes]) -> None:
    _write_csv(table, file, "\t")


def _packed(writer: _Writer) -> _Writer:
    def write_packed(table: pl.DataFrame, file: IO[bytes]) -> None:
        # No name and no time in the header: the bytes depend on the table alone.
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            writer(table, cast("IO[bytes]", packed))

    return write_packed


def _write_parquet(table: pl.DataFrame, file: IO[bytes]) -> None:
    table.rechunk().write_parquet(file, row_group_size=_ROW_GROUP, compression="zstd")


def _write_excel(table: pl.DataFrame, file: IO[bytes]) -> None:
    from xlsxwriter import Workbook

    _check_excel(table)
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "remove_timezone": True,
    }
    packed = io.BytesIO()
    book = Workbook(packed, options)
    book.set_properties({"created": datetime(2000, 1, 1)})  # noqa: DTZ001
    formats = {
        "date": book.add_format({"num_format": "yyyy-mm-dd"}),
        "datetime": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
    }
    sheet = book.add_worksheet("table")
    for position, column in enumerate(table.iter_columns()):
        sheet.write_string(0, position, column.name)
        kind = formats.get(type_of(column))
        sheet.write_column(1, position, _as_naive_utc(column).to_list(), kind)
    sheet.freeze_panes(1, 0)
    book.close()
    file.write(packed.getbuffer())


def _as_naive_utc(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return column


def _check_excel(table: pl.DataFrame) -> None:
    if table.height > _EXCEL_ROWS or table.width > _EXCEL_COLUMNS:
        raise DataError(
            f"a sheet of Excel holds {_EXCEL_ROWS:,} rows and {_EXCEL_COLUMNS:,} columns, the "
            f"table has {table.height:,} and {table.width:,}; write .csv or .parquet"
        )
    for column in table.iter_columns():
        if column.dtype == pl.String and (column.str.len_chars() > _EXCEL_TEXT).any():
            flags = column.str.len_chars() > _EXCEL_TEXT
            raise DataError(
                f"column {column.name!r} holds texts longer than the {_EXCEL_TEXT:,} characters "
                f"of a cell of Excel ({cells(flags)}); write .csv or .parquet"
            )
        big = column.dtype == pl.Int64 and (column.abs() > 2**53).any()
        if big:
            raise DataError(
                f"column {column.name!r} holds whole numbers beyond 2**53, which Excel would "
                "round; write .csv or .parquet, or make them texts"
            )


_WRITERS: dict[str, _Writer] = {
    ".csv": _write_csv,
    ".csv.gz": _packed(_write_csv),
    ".tsv": _write_tsv,
    ".tsv.gz": _packed(_write_tsv),
    ".parquet": _write_parquet,
    ".xlsx": _write_excel,
}
