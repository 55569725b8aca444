"""Hierarchy files in ARX's format: one value a line, its groups after it, ``*`` last."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from sfumato.errors import HierarchyError
from sfumato.table.hierarchies.leaves import Leaves, Line, checked_leaves

__all__ = ["read_lines", "write_lines"]

_DELIMITERS = (";", "\t", ",", "|")


def read_lines(path: Path, delimiter: str | None = None) -> Leaves:
    """Read a hierarchy file and check it.

    Parameters
    ----------
    path
        UTF-8 text without a header.
    delimiter
        The character between entries; None takes the first of ``;``, tab, ``,`` and ``|`` that
        the first line holds.

    Raises
    ------
    HierarchyError
        If the file cannot be read, or its lines do not form one tree; names file and line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or "it cannot be opened").lower()
        raise HierarchyError(f"cannot read the hierarchy file {path}: {reason}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise HierarchyError(
            f"{path}, line {line}: not UTF-8: save the hierarchy file as UTF-8"
        ) from None
    rows = text.splitlines()
    if delimiter is None:
        head = next((row for row in rows if row.strip()), "")
        delimiter = next((mark for mark in _DELIMITERS if mark in head), ";")
    lines = []
    reader = csv.reader(rows, delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for entries in reader:
            stripped = tuple(entry.strip() for entry in entries)
            if any(stripped):
                lines.append(Line(reader.line_num, stripped))
    except csv.Error as error:
        raise HierarchyError(f"{path}, line {reader.line_num}: {error}") from None
    return checked_leaves(lines, str(path))


def write_lines(path: Path, lines: Sequence[Sequence[str]]) -> None:
    """Write lines in ARX's format, delimited by ``;``."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";", lineterminator="\n").writerows(lines)
