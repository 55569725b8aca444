"""The target column as classes: the same names and codes for training and test rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from sfumato.errors import DataError, PlanError, SchemaError, did_you_mean

__all__ = ["MOST_CLASSES", "Classes", "classes_of"]

MOST_CLASSES = 50
FEWEST_NAMED = 10
POSITIVE_WORDS = frozenset({"1", "true", "yes", "y", "positive", "present"})


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of a target and the code of each row.

    Parameters
    ----------
    target
        Name of the column.
    names
        Names of the classes, in the order of numbers if all are numbers, else of the alphabet.
    positive
        Code of the class that is looked for; None with more than two classes.
    train, test
        Arrays of shape (rows,): code of each row, -1 where the target is missing.
    """

    target: str
    names: tuple[str, ...]
    positive: int | None
    train: np.ndarray
    test: np.ndarray

    def said(self) -> Classes:
        """Return the classes as a record may name them: not those of fewer than ten rows.

        Such a class may be the words of one person who is in no release.
        """
        codes = np.concatenate([self.train, self.test])
        counts = np.bincount(codes[codes >= 0], minlength=len(self.names))
        hidden = np.flatnonzero(counts < FEWEST_NAMED).tolist()
        numbers = {code: number for number, code in enumerate(hidden, 1)}
        names = tuple(
            f"(rare class {numbers[code]})" if code in numbers else name
            for code, name in enumerate(self.names)
        )
        return replace(self, names=names)


def classes_of(
    train: pl.DataFrame, test: pl.DataFrame, target: str, *, positive: str | None = None
) -> Classes:
    """Return the classes that the target takes in either table.

    Parameters
    ----------
    train, test
        Tables that hold the target; its type may differ (1 in one, "1" in the other).
    target
        Name of the column: at most 50 classes.
    positive
        Name of the class that is looked for. Without it: the one that says yes (1, true, yes, ...),
        else the rarer one in the training rows.

    Raises
    ------
    SchemaError
        If a table lacks the target.
    DataError
        If no row of a table has one.
    PlanError
        If the target has too many classes, or not the positive one.
    """
    for table, what in ((train, "training"), (test, "test")):
        if target not in table.columns:
            hint = did_you_mean(target, table.columns)
            raise SchemaError(f"the target {target!r} is not in the {what} rows.{hint}")
        if table[target].is_null().all():
            raise DataError(f"the target {target!r} is missing in all {table.height} {what} rows")
    columns = [train[target], test[target]]
    if columns[0].dtype != columns[1].dtype:
        columns = [_boolean_as_number(column) for column in columns]
    labels = [_labels(column) for column in columns]
    names = _in_order(pl.concat(labels).drop_nulls().unique().to_list())
    if len(names) > MOST_CLASSES:
        raise PlanError(
            f"the target {target!r} has {len(names)} distinct values and learning predicts at most "
            f"{MOST_CLASSES} classes: name another target, or group its values by a rule"
        )
    train_codes, test_codes = (_codes(label, names) for label in labels)
    return Classes(
        target,
        tuple(names),
        _positive(names, train_codes, target, positive),
        train_codes,
        test_codes,
    )


def _boolean_as_number(column: pl.Series) -> pl.Series:
    return column.cast(pl.Int8) if column.dtype == pl.Boolean else column


def _labels(column: pl.Series) -> pl.Series:
    """Return the values as texts; a whole number reads the same from an integer and a float."""
    if column.dtype.is_float():
        column = column.fill_nan(None)
        if column.drop_nulls().is_between(-1e15, 1e15).all() and (
            (column.drop_nulls() == column.drop_nulls().round()).all()
        ):
            column = column.cast(pl.Int64)
    return column.cast(pl.String)


def _in_order(names: list[str]) -> list[str]:
    try:
        numbers = [float(name) for name in names]
    except ValueError:
        return sorted(names)
    if any(math.isnan(number) for number in numbers):  # the text "nan" has no place among numbers
        return sorted(names)
    return [name for _, name in sorted(zip(numbers, names, strict=True))]


def _codes(labels: pl.Series, names: list[str]) -> np.ndarray:
    codes = labels.replace_strict(names, list(range(len(names))), default=-1, return_dtype=pl.Int64)
    return codes.fill_null(-1).to_numpy()


def _positive(names: list[str], train: np.ndarray, target: str, positive: str | None) -> int | None:
    if positive is not None and positive not in names:
        hint = did_you_mean(positive, names)
        raise PlanError(f"the target {target!r} has no class {positive!r}.{hint}")
    if len(names) > 2:
        if positive is not None:
            raise PlanError(
                f"a positive class is for two classes, and the target {target!r} has {len(names)}"
            )
        return None
    if positive is not None:
        return names.index(positive)
    said = [code for code, name in enumerate(names) if name.casefold() in POSITIVE_WORDS]
    if len(said) == 1:
        return said[0]
    counts = np.bincount(train[train >= 0], minlength=len(names))
    return int(np.argmin(counts)) if len(names) == 2 else 0
