"""Cells as numbers for the classifiers: codes for categories, the middle of an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.evaluation.anonify.bins import category_labels, holds_numbers
from sfumato.table import SUPPRESSED
from sfumato.table.preparation.midpoints import read_numbers

__all__ = ["StudyEncoding"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StudyEncoding:
    """How each column becomes a number; the same for the real table and for every version.

    A number stays, an interval becomes its middle, a category becomes its code. What is left open
    (``*`` in a column of numbers, a missing number) is NaN until it is filled.

    Parameters
    ----------
    codes
        For each column of the classifiers' input the code of each of its values; None for numbers.
    """

    codes: Mapping[str, Mapping[str, int] | None]

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        tables: Sequence[pl.DataFrame],
        given: Mapping[str, Mapping[str, int]],
    ) -> StudyEncoding:
        """Settle the encoding of some columns that all tables hold.

        Parameters
        ----------
        columns
            The classifiers' input, in its order.
        tables
            The real table first.
        given
            Codes that are given; other values get the next free whole numbers, ``*`` the last.
        """
        codes: dict[str, Mapping[str, int] | None] = {}
        for name in columns:
            cells = [table[name] for table in tables]
            as_numbers = name not in given and all(
                holds_numbers(column) or column.dtype == pl.Boolean for column in cells
            )
            codes[name] = None if as_numbers else _coded(cells, given.get(name, {}))
        return cls(codes)

    def matrix(self, table: pl.DataFrame) -> Floats:
        """Return the rows as numbers, shape (n, columns), NaN where a number is left open."""
        columns = []
        for name, codes in self.codes.items():
            if codes is None:
                columns.append(read_numbers(table[name])[0])
                continue
            texts = category_labels(table[name]).fill_null("")
            columns.append(
                texts.replace_strict(
                    pl.Series(list(codes), dtype=pl.String),
                    pl.Series(list(codes.values()), dtype=pl.Float64),
                    default=float(len(codes)),
                    return_dtype=pl.Float64,
                ).to_numpy()
            )
        return np.column_stack(columns)


def _coded(cells: Sequence[pl.Series], given: Mapping[str, int]) -> dict[str, int]:
    texts = pl.concat([category_labels(column) for column in cells]).fill_null("")
    values = sorted(texts.unique().to_list(), key=lambda text: (text == SUPPRESSED, text))
    codes = dict(given)
    used = set(given.values())
    free = (number for number in range(len(values) + len(used) + 1) if number not in used)
    for value in values:
        if value not in codes:
            codes[value] = next(free)
    return codes
