"""In how few columns some released row differs from each real person, and how often each occurs.

Rows of single values are found by hashing: each cell has a random 64-bit number, a row the sum of
its cells', and leaving a column out is a subtraction. Two different rows fall together with
probability 2 ** -64. Cells that stand for sets are compared with everybody, 64 people at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.evaluation.attacks.matching import Matcher
from sfumato.evaluation.attacks.tables import STAR

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackColumn, AttackTables

__all__ = ["RecordDifferences", "on_columns", "record_differences", "with_people"]

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_HASHED_CELLS = 60_000_000  # rows times pairs of columns that are left out


@dataclass(frozen=True, eq=False)
class RecordDifferences:
    """How alike the release is to each real person.

    Parameters
    ----------
    least
        Columns that differ in the most alike released row, shape (N,); beyond ``known`` it reads
        ``known`` + 1.
    standing
        Released rows that could be the person's on all columns, shape (N,).
    alike
        Real people, members and controls, with the very same row, herself included, shape (N,).
    known
        Differences up to this many were looked for.
    """

    least: Integers
    standing: Integers
    alike: Integers
    known: int


def on_columns(tables: AttackTables, names: list[str]) -> AttackTables:
    """Return the tables with some of their columns."""
    return replace(tables, columns=tuple(one for one in tables.columns if one.name in names))


def with_people(tables: AttackTables, rows: Integers) -> AttackTables:
    """Return the tables with some of their real rows.

    Parameters
    ----------
    tables
        The release and the real rows.
    rows
        Numbers of the real rows that are kept, ascending.
    """
    columns = tuple(
        replace(
            column,
            real=column.real[rows] if len(column.real) else column.real,
            numbers=column.numbers[rows] if len(column.numbers) else column.numbers,
        )
        for column in tables.columns
    )
    return replace(
        tables,
        columns=columns,
        member=tables.member[rows],
        real_frame=tables.real_frame[rows],
        source_frame=None if tables.source_frame is None else tables.source_frame[rows],
    )


def record_differences(tables: AttackTables, most: int = 2) -> RecordDifferences:
    """Return how alike the release is to each real person.

    Parameters
    ----------
    tables
        The release and the real rows; either may have none.
    most
        Differences that are looked for, 0 to 2. Pairs of columns are left out only where that
        is at most 60 million rows times pairs.
    """
    hashes = [_cell_hashes(column) for column in tables.columns]
    people = len(tables.member)
    real = np.zeros(people, np.uint64)
    for _, had in hashes:
        real = real + had
    alike = _occurrences(real, real)
    if not tables.rows or not people:
        none = np.zeros(people, np.int64)
        return RecordDifferences(none + most + 1, none, alike, most)
    if not all(_single_values(column) for column in tables.columns):
        least, standing = Matcher.of(tables).differences(tables, most)
        return RecordDifferences(least, standing, alike, most)
    pairs = len(hashes) * (len(hashes) - 1) // 2
    if most > 1 and pairs * (people + tables.rows) > _HASHED_CELLS:
        most = 1
    shown = np.zeros(tables.rows, np.uint64)
    for released, _ in hashes:
        shown = shown + released
    standing = _occurrences(real, shown)
    least = np.where(standing > 0, 0, most + 1)
    for number in range(1, min(most, len(hashes)) + 1):
        for left_out in combinations(range(len(hashes)), number):
            rest = np.flatnonzero(least > number)
            without, released = real[rest], shown
            for column in left_out:
                without = without - hashes[column][1][rest]
                released = released - hashes[column][0]
            least[rest[_found_among(without, released)]] = number
    return RecordDifferences(least, standing, alike, most)


def _single_values(column: AttackColumn) -> bool:
    """Return whether no cell stands for a set."""
    if column.kind == "number":
        return bool(((column.low == column.high) | np.isnan(column.low)).all())
    return column.covers is None and not bool((column.released == STAR).any())


def _cell_hashes(column: AttackColumn) -> tuple[Words, Words]:
    """Return a random number for each cell of the released and of the real rows."""
    salt = np.uint64(int.from_bytes(blake2b(column.name.encode(), digest_size=8).digest()))
    if column.kind == "category":
        parts = (column.released.astype(np.int64), column.real.astype(np.int64))
        return _mixed(parts[0].view(np.uint64), salt), _mixed(parts[1].view(np.uint64), salt)
    words = []
    for values in (column.low, column.numbers):
        plain = np.where(np.isnan(values), np.nan, values + 0.0)  # one nan, and no negative zero
        words.append(_mixed(np.ascontiguousarray(plain).view(np.uint64), salt))
    return words[0], words[1]


def _mixed(words: Words, salt: np.uint64) -> Words:
    """Return a random-looking number for each (Steele, Lea and Flood's SplitMix64, 2014)."""
    mixed = words ^ salt
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _found_among(asked: Words, among: Words) -> npt.NDArray[np.bool_]:
    """Return which random-looking numbers occur among others.

    Almost none do: those whose first bits do not occur are passed over on both sides (Bloom,
    Communications of the ACM 13, 1970), and the few that are left are compared.
    """
    shift = np.uint64(64 - max(10, min(26, int(4 * len(among)).bit_length())))
    first_asked, first = asked >> shift, among >> shift
    held = np.zeros(1 << (64 - int(shift)), np.bool_)
    held[first] = True
    found: npt.NDArray[np.bool_] = held[first_asked]
    if not found.any():
        return found
    held[first] = False
    held[first_asked[found]] = True
    found[found] = np.isin(asked[found], among[held[first]])
    return found


def _occurrences(asked: Words, among: Words) -> Integers:
    """Return how often each number occurs among others."""
    counted = pl.DataFrame({"word": among}).group_by("word").len()
    found = pl.DataFrame({"word": asked}).join(
        counted, on="word", how="left", maintain_order="left"
    )
    return found["len"].fill_null(0).to_numpy().astype(np.int64)
