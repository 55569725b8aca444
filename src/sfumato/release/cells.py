"""A released file as what it is to its reader: named columns of texts.

The verifier reads with this module and not with the one that guesses types, so that a cell counts
as different exactly if it is written differently.
"""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import polars as pl

from sfumato.errors import DataError

__all__ = ["direct_identifiers", "numbers_rows", "read_as_text"]

# What is searched for is narrow on purpose: a hit is a fault of the release, not a hint.
_PATTERNS = {
    "e-mail addresses": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
    "web addresses": r"(?i)\bhttps?://\S+|\bwww\.\S+\.\S+",
    "network addresses": r"^\s*(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)$",
    "US social security numbers": r"^\s*\d{3}-\d{2}-\d{4}\s*$",
    "telephone numbers": r"^\s*\+\d{1,3}[ ./-]?(?:\(?\d{1,4}\)?[ ./-]?){2,5}\d\s*$",
}

_LOOK = 10_000  # rows


def read_as_text(path: Path) -> pl.DataFrame:
    """Return a CSV (also gzipped) or Parquet file with every cell as it is written.

    Parameters
    ----------
    path
        The file; its delimiter is the one of ``, ; tab |`` that is most frequent in the header.

    Raises
    ------
    DataError
        If it is no such file, or its lines have different numbers of cells.
    """
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path).cast(pl.String)
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        text = _utf8(raw)
        header = text.split(b"\n", 1)[0].decode("utf-8")
        delimiter = max(",;\t|", key=header.count)
        table = pl.read_csv(text, separator=delimiter, infer_schema=False)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {type(error).__name__}") from None
    except pl.exceptions.PolarsError:
        # The library's message may quote a cell.
        raise DataError(
            f"{path} is not a table: it is empty, or its lines have different numbers of cells"
        ) from None
    return table


def direct_identifiers(cells: pl.DataFrame) -> list[tuple[str, str, int]]:
    """Return (column, what its cells look like, in how many rows), for all that look so.

    Parameters
    ----------
    cells
        Columns of texts.
    """
    found = []
    for name in cells.columns:
        column = cells[name]
        # Few different cells are searched once each, and counted only if one of them is a hit.
        texts = column if _differs_often(column) else column.unique()
        for what, pattern in _PATTERNS.items():
            hits = texts.filter(texts.str.contains(pattern))
            if len(hits):
                rows = len(hits) if texts is column else int(column.is_in(hits.implode()).sum())
                found.append((name, what, rows))
    return found


def numbers_rows(column: pl.Series) -> bool:
    """Return whether every row has a whole number of its own, as a record number does."""
    if column.len() < 2 or column.null_count() or not _differs(column.head(_LOOK)):
        return False
    whole = column.str.contains(r"^\s*\d+\s*$").all()
    return bool(whole) and _differs(column)


def _differs(column: pl.Series) -> bool:
    return column.n_unique() == column.len()


def _differs_often(column: pl.Series) -> bool:
    """Whether a first look finds mostly different cells, so that listing them saves nothing."""
    look = column.head(_LOOK)
    return look.n_unique() > look.len() // 2


def _utf8(raw: bytes) -> bytes:
    if raw.startswith(codecs.BOM_UTF8):
        raw = raw[len(codecs.BOM_UTF8) :]
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        # Any one-byte encoding keeps different texts different, which is all that counts here.
        return raw.decode("latin-1").encode("utf-8")
    return raw
