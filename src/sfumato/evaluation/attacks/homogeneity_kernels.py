"""Compiled loops over the classes of a release that could hold each person."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["count_candidates"]

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@njit(cache=True)
def count_candidates(
    low: Codes,
    high: Codes,
    tables: Bytes,
    table_starts: Rows,
    table_widths: Rows,
    people: Codes,
    order: Rows,
    begins: Rows,
    ends: Rows,
    wide: Rows,
    entry_starts: Rows,
    entry_labels: Codes,
    entry_counts: Rows,
    person_starts: Rows,
    found_labels: Codes,
    found_counts: Rows,
    writes: bool,
) -> None:
    """Count the labels of all classes that could hold each person.

    Parameters
    ----------
    low, high
        Ends of each class in codes, shape (K, q).
    tables, table_starts, table_widths
        For a column of sets, whether the set of a label (row) holds a value (column); the start is
        -1 for other columns.
    people
        Codes of each person, shape (N, q).
    order, begins, ends
        Person p can only be in classes ``order[begins[p]:ends[p]]``, or
    wide
        in one of these.
    entry_starts, entry_labels, entry_counts
        The labels that each class holds, and how many rows of each.
    person_starts
        Shape (N + 1,). Without ``writes``, the number of different labels of person p is written at
        p + 1; with it, labels and counts are written from ``person_starts[p]`` on.
    found_labels, found_counts
        Written with ``writes``.
    """
    labels = 0
    for entry in range(len(entry_labels)):
        labels = max(labels, entry_labels[entry] + 1)
    seen = np.zeros(labels, np.int64)
    touched = np.empty(labels, np.int32)
    for person in range(len(people)):
        different = 0
        narrow = ends[person] - begins[person]
        for step in range(narrow + len(wide)):
            of = order[begins[person] + step] if step < narrow else wide[step - narrow]
            fits = True
            for column in range(low.shape[1]):
                value = people[person, column]
                cell = low[of, column]
                if table_starts[column] >= 0:
                    if cell >= 0:  # else it could stand for everything
                        held = table_starts[column] + cell * table_widths[column] + value
                        fits = tables[held] != 0
                else:
                    fits = cell <= value and value <= high[of, column]
                if not fits:
                    break
            if not fits:
                continue
            for entry in range(entry_starts[of], entry_starts[of + 1]):
                label = entry_labels[entry]
                if seen[label] == 0:
                    touched[different] = label
                    different += 1
                seen[label] += entry_counts[entry]
        if writes:
            place = person_starts[person]
            for step in range(different):
                found_labels[place + step] = touched[step]
                found_counts[place + step] = seen[touched[step]]
        else:
            person_starts[person + 1] = different
        for step in range(different):
            seen[touched[step]] = 0
