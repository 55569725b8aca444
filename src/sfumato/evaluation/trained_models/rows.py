"""Rows as a model takes them: arrays, pandas or Polars frames, without changing what they are.

A category is changed only to one that another row has, so that every row stays one that the model
can read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from sfumato.errors import DataError, PlanError, did_you_mean

__all__ = [
    "People",
    "codes_of",
    "columns_of",
    "encoded",
    "is_number",
    "isolation",
    "joined",
    "place_of",
    "put_numbers",
    "put_rows",
    "rows_of",
    "taken",
    "told_apart",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_NEIGHBOURS = 5
_REFERENCES = 5_000
_CELLS = 4_000_000  # distances at a time
_DECIMALS = 9
_FEW = 2  # whole numbers of so few values are categories


@dataclass(frozen=True, eq=False)
class People:
    """Members and controls in one table, members first.

    Parameters
    ----------
    X
        What the model takes, (n + m) rows.
    y
        What it should answer, shape (n + m,).
    member
        Whether the row was trained on, shape (n + m,).
    """

    X: Any
    y: npt.NDArray[Any]
    member: Flags

    @classmethod
    def of(cls, members: tuple[Any, Any], control: tuple[Any, Any]) -> People:
        """Put members and controls into one table.

        Raises
        ------
        DataError
            If either is empty, if rows and answers differ in number, or columns do.
        """
        (X, y), (X_control, y_control) = rows_of(members, "members"), rows_of(control, "control")
        if not len(y) or not len(y_control):
            raise DataError("a model is judged with at least one member and one control row")
        member = np.arange(len(y) + len(y_control)) < len(y)
        return cls(joined(X, X_control), np.concatenate([y, y_control]), member)

    def some(self, rows: Integers) -> People:
        """Return these people."""
        return People(taken(self.X, rows), self.y[rows], self.member[rows])

    def __len__(self) -> int:
        return len(self.member)


def rows_of(pair: tuple[Any, Any], what: str) -> tuple[Any, npt.NDArray[Any]]:
    """Return a table and its answers, checked.

    Raises
    ------
    DataError
        If the table is none that can be used, or the two differ in their number of rows.
    """
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise DataError(f"{what}: give a pair (X, y): rows as the model takes them, and answers")
    X, y = pair
    if not (hasattr(X, "shape") and len(X.shape) == 2) or hasattr(X, "tocsr"):
        raise DataError(f"{what}: X must be a dense array or a pandas or Polars frame, rows first")
    answers = np.asarray(y)
    if answers.ndim == 2 and answers.shape[1] == 1:
        answers = answers[:, 0]
    if answers.ndim != 1:
        raise DataError(f"{what}: models with several answers a row are not judged; give one")
    if X.shape[0] != len(answers):
        raise DataError(f"{what}: X has {X.shape[0]:,} rows and y {len(answers):,}")
    return X, answers


def taken(X: Any, rows: Integers) -> Any:
    """Return rows of a table by number."""
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def joined(X: Any, other: Any) -> Any:
    """Return one table below the other.

    Raises
    ------
    DataError
        If kinds or columns differ.
    """
    if type(X) is not type(other) or X.shape[1] != other.shape[1]:
        raise DataError("members and others must be tables of one kind with the same columns")
    if isinstance(X, np.ndarray):
        return np.concatenate([X, other])
    if list(X.columns) != list(other.columns):
        raise DataError("members and others must have the same columns in the same order")
    below = nw.concat([nw.from_native(X), nw.from_native(other)]).to_native()
    return below.reset_index(drop=True) if hasattr(below, "reset_index") else below


def columns_of(X: Any) -> list[npt.NDArray[Any]]:
    """Return the columns of a table as arrays."""
    if isinstance(X, np.ndarray):
        return list(X.T)
    return [np.asarray(X[name]) for name in X.columns]


def place_of(X: Any, column: str | int) -> int:
    """Return the number of a column.

    Raises
    ------
    PlanError
        If there is none of that name or number.
    """
    if isinstance(X, np.ndarray):
        if isinstance(column, int) and 0 <= column < X.shape[1]:
            return column
        raise PlanError(f"secrets: the array has columns 0 to {X.shape[1] - 1}, not {column!r}")
    names = list(X.columns)
    if column not in names:
        hint = did_you_mean(str(column), [str(name) for name in names])
        raise PlanError(f"secrets: the rows have no column {column!r}.{hint}")
    return names.index(column)


def is_number(values: npt.NDArray[Any]) -> bool:
    """Return whether a column is a number of more than two values."""
    if values.dtype.kind not in "iuf":
        return False
    return len(np.unique(values[np.isfinite(values)])) > _FEW


def codes_of(values: npt.NDArray[Any]) -> Integers:
    """Return the values numbered in their order as texts, missing ones alike, shape (n,)."""
    plain = values if values.dtype.kind in "iufb" else values.astype(str)
    return np.unique(plain, return_inverse=True)[1].astype(np.int64).reshape(-1)


def told_apart(X: Any) -> Floats:
    """Return each column as numbers that trees can split, missing ones below all, (n, columns)."""
    found = []
    for values in columns_of(X):
        if values.dtype.kind in "iuf":
            numbers = values.astype(np.float64)
            known = numbers[np.isfinite(numbers)]
            lowest = known.min() - 1.0 if len(known) else 0.0
            found.append(np.where(np.isfinite(numbers), numbers, lowest))
        else:
            found.append(codes_of(values).astype(np.float64))
    return np.column_stack(found)


def encoded(X: Any, y: npt.NDArray[Any]) -> Floats:
    """Return rows as points: numbers over their spread, two categories that differ 1 apart.

    The answer is a column like the others: a row of a rare answer stands apart.
    """
    found: list[Floats] = []
    for values in [*columns_of(X), y]:
        if is_number(values):
            numbers = values.astype(np.float64)
            known = np.isfinite(numbers)
            spread = float(numbers[known].std()) or 1.0
            centred = np.where(known, (numbers - numbers[known].mean()) / spread, 0.0)
            found.append(centred[:, None])
        else:
            codes = codes_of(values)
            found.append(np.eye(int(codes.max()) + 1)[codes] / np.sqrt(2))
    return np.concatenate(found, axis=1)


def isolation(people: People, *, seed: int) -> Floats:
    """Return the mean distance of each person to the five nearest others, shape (n,).

    Others are at most 5,000 people drawn at random; labels play no part.

    Notes
    -----
    Meeus et al., "Achilles' Heels" (ESORICS 2023), section 4: the records that are farthest from
    others are the easiest to attack.
    """
    points = encoded(people.X, people.y)
    total = len(points)
    random = np.random.default_rng(seed)
    drawn = np.sort(random.choice(total, min(total, _REFERENCES), replace=False))
    others, squares = points[drawn], np.square(points).sum(axis=1)
    nearest = min(_NEIGHBOURS, len(drawn) - 1)
    if nearest < 1:
        return np.zeros(total)
    found = np.empty(total)
    parts = max(1, total * len(drawn) // _CELLS)
    for rows in np.array_split(np.arange(total), parts):
        apart = squares[rows, None] + squares[drawn] - 2 * points[rows] @ others.T
        apart[rows[:, None] == drawn] = np.inf
        closest = np.partition(apart, nearest - 1, axis=1)[:, :nearest]
        found[rows] = np.sqrt(np.maximum(closest, 0.0)).mean(axis=1)
    return found.round(_DECIMALS)


def put_numbers(X: Any, column: int, numbers: Floats) -> Any:
    """Return the table with numbers in a column, rounded where the column holds whole ones."""
    if isinstance(X, np.ndarray):
        changed = X.copy()
        changed[:, column] = np.rint(numbers) if X.dtype.kind in "iu" else numbers
        return changed
    name = X.columns[column]
    whole = np.asarray(X[name]).dtype.kind in "iu"
    values = np.rint(numbers) if whole else numbers
    if hasattr(X, "iloc"):
        return X.assign(**{name: values}).astype({name: X[name].dtype})
    import polars as pl

    return X.with_columns(pl.Series(name, values).cast(X.schema[name]))


def put_rows(X: Any, column: int, source: Any, rows: Integers) -> Any:
    """Return the table with a column's cells taken from rows of a like table, by number."""
    if isinstance(X, np.ndarray):
        changed = X.copy()
        changed[:, column] = source[rows, column]
        return changed
    name = X.columns[column]
    if hasattr(X, "iloc"):
        return X.assign(**{name: source[name].iloc[rows].set_axis(X.index)})
    return X.with_columns(source[name].gather(rows).alias(name))
