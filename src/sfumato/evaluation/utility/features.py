"""Columns as features for a model that compares tables: frozen from the real rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.alignment import MISSING, PRESENT, SUPPRESSED, AlignedColumn
from sfumato.evaluation.utility.footing import REAL

__all__ = ["Features", "indicator_features", "tree_features"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
_MOST_CATEGORIES = 50
_STATES = ((MISSING, "missing"), (SUPPRESSED, "suppressed"))


@dataclass(frozen=True, eq=False)
class Features:
    """Rows of several tables as numbers.

    Parameters
    ----------
    names
        What each feature is.
    tables
        For each table an array of shape (rows, features).
    """

    names: tuple[str, ...]
    tables: tuple[Floats, ...]


def indicator_features(columns: Sequence[AlignedColumn]) -> Features:
    """Return numbers in standard deviations of the real rows, and 0 or 1 for each category.

    The commonest category of a column has no feature of its own. A missing or suppressed number
    is the real mean, with a feature that says so.
    """
    names: list[str] = []
    parts: list[list[Floats]] = [[] for _ in columns[0].content]
    for column in columns:
        own = _standard(column) if column.kind == "number" else _indicators(column)
        for name, per_table in own:
            names.append(f"{column.name} {name}".strip())
            for table, values in enumerate(per_table):
                parts[table].append(values)
    return Features(
        tuple(names),
        tuple(
            np.column_stack(one) if one else np.zeros((len(columns[0].state[table]), 0))
            for table, one in enumerate(parts)
        ),
    )


def tree_features(columns: Sequence[AlignedColumn]) -> Features:
    """Return a number for each column: itself, or the place of a category in the alphabet.

    Missing and suppressed cells are two places below all others.
    """
    names, parts = [], []
    for column in columns:
        names.append(column.name)
        parts.append(_places(column))
    return Features(
        tuple(names),
        tuple(np.column_stack([one[table] for one in parts]) for table in range(len(parts[0]))),
    )


def _standard(column: AlignedColumn) -> list[tuple[str, list[Floats]]]:
    known = column.content[REAL][column.state[REAL] == PRESENT].astype(np.float64)
    mean = float(known.mean()) if known.size else 0.0
    deviation = float(known.std()) if known.size else 0.0
    if deviation <= 1e-12 * max(1.0, abs(mean)):
        deviation = 1.0
    found = [
        (
            "",
            [
                np.where(state == PRESENT, (np.nan_to_num(content) - mean) / deviation, 0.0)
                for content, state in zip(column.content, column.state, strict=True)
            ],
        )
    ]
    return found + _states(column)


def _indicators(column: AlignedColumn) -> list[tuple[str, list[Floats]]]:
    order = _by_frequency(column)
    found = [
        (f"= {column.labels[code]}", [(one == code).astype(np.float64) for one in column.content])
        for code in order[1:_MOST_CATEGORIES].tolist()
    ]
    rest = order[_MOST_CATEGORIES:]
    if rest.size:
        found.append(("(other)", [np.isin(one, rest).astype(np.float64) for one in column.content]))
    return found + _states(column)


def _states(column: AlignedColumn) -> list[tuple[str, list[Floats]]]:
    return [
        (f"is {what}", [(state == kind).astype(np.float64) for state in column.state])
        for kind, what in _STATES
        if any((state == kind).any() for state in column.state)
    ]


def _by_frequency(column: AlignedColumn) -> Integers:
    real = column.content[REAL].astype(np.int64)
    counts = np.bincount(real[real >= 0], minlength=len(column.labels))
    return np.asarray(np.argsort(-counts, kind="stable"), dtype=np.int64)


def _places(column: AlignedColumn) -> list[Floats]:
    if column.kind == "category":
        # in the order of the alphabet: an order by how often one table holds a value would tell a
        # model, which then sees that table's rows again, more than chance alone does
        contents = [content.astype(np.float64) for content in column.content]
        lowest = 0.0
    else:
        contents = [np.nan_to_num(content.astype(np.float64)) for content in column.content]
        lowest = min((float(one.min()) for one in contents if len(one)), default=0.0)
    below = max(1.0, abs(lowest))
    return [
        np.where(
            state == PRESENT,
            content,
            np.where(state == MISSING, lowest - below, lowest - 2 * below),
        )
        for content, state in zip(contents, column.state, strict=True)
    ]
