"""Which values of a secret two releases leave possible for a person, alone and together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.candidates import Candidates, Labels, candidates, labels_of
from sfumato.evaluation.attacks.tables import STAR, AttackColumn, AttackTables

__all__ = ["Possible", "possible_values"]

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_DENSE = 10_000_000  # cells of a table of people and values


@dataclass(frozen=True, eq=False)
class Possible:
    """What is possible for each person; all of shape (N,).

    Parameters
    ----------
    first, second, both
        How many values the first, the second and both releases leave possible.
    certain_alone, certain
        Whether a release alone, and both together, leave only the right one.
    row_alone, row
        Whether one row of the first release is left, and says the right value, with the first alone
        and with both.
    """

    first: Rows
    second: Rows
    both: Rows
    certain_alone: Flags
    certain: Flags
    row_alone: Flags
    row: Flags


def possible_values(
    first: AttackTables,
    second: AttackTables,
    place: Rows,
    known: tuple[tuple[str, ...], tuple[str, ...]],
    secret: str,
    bins: int,
) -> Possible | None:
    """Return which values of a column two releases leave possible, alone and together.

    Parameters
    ----------
    first, second
        Either release with the same people.
    place
        The real row of ``second`` for each real row of ``first``, shape (N,).
    known
        Columns that an attacker knows, for either release.
    secret
        The column to learn.
    bins
        Numbers of many values are learned if their bin is, of as many released rows each.

    Returns
    -------
    Possible or None
        None if the column is written too differently in the two.
    """
    joint = _joint(first.by_name[secret], second.by_name[secret], place)
    labels = None if joint is None else labels_of(joint, bins)
    if labels is None:
        return None
    parts = (labels.released[: first.rows], labels.released[first.rows :])
    real = labels.real
    of_second = np.empty_like(real)
    of_second[place] = real
    one = candidates(first, known[0], replace(labels, released=parts[0]))
    two = candidates(second, known[1], replace(labels, released=parts[1], real=of_second))
    width = labels.labels - 1 if labels.right is None else labels.right.shape[1]
    people = np.arange(len(real))
    step = max(1, _DENSE // max(width, 1))
    parts_of_people = [
        _of_some(one, two, labels, people[start : start + step], place)
        for start in range(0, len(people), step)
    ]
    together = (np.concatenate(found) for found in zip(*parts_of_people, strict=True))
    return Possible(*together)


def _joint(first: AttackColumn, second: AttackColumn, place: Rows) -> AttackColumn | None:
    """Return one column of the rows of both releases, in the codes of the first."""
    if first.kind != second.kind:
        return None
    if first.kind == "number":
        return replace(
            first,
            low=np.concatenate([first.low, second.low]),
            high=np.concatenate([first.high, second.high]),
        )
    # what the second calls a value that no real row has is a value of its own
    code = np.arange(first.values, first.values + second.values)
    code[second.real[place]] = first.real
    values = first.values + second.values
    if first.covers is None and second.covers is None:
        shown = np.where(second.released == STAR, STAR, code[np.maximum(second.released, 0)])
        released = np.concatenate([first.released, shown.astype(np.int32)])
        return replace(first, released=released, values=values)
    covers = np.zeros((0, values), dtype=np.bool_)
    released = np.zeros(0, dtype=np.int32)
    for column, own in ((first, np.arange(first.values)), (second, code)):
        labels = column.released
        sets = column.covers
        if sets is None:
            sets = np.vstack([np.eye(column.values, dtype=np.bool_), np.ones(column.values, bool)])
            labels = np.where(labels == STAR, column.values, labels)
        wide = np.zeros((len(sets), values), dtype=np.bool_)
        wide[:, own] = sets
        wide[sets.all(axis=1)] = True
        released = np.concatenate([released, labels + len(covers)])
        covers = np.vstack([covers, wide])
    return replace(first, released=released.astype(np.int32), covers=covers, values=values)


def _of_some(
    one: Candidates, two: Candidates, labels: Labels, people: Rows, place: Rows
) -> tuple[Rows | Flags, ...]:
    """Return the parts of :class:`Possible` for some of the people."""
    here, local, label, rows = _values(one, labels, people)
    there = _values(two, labels, place[people])[0]
    both = np.asarray(here & there)
    every = np.arange(len(people))
    own = [which[every, labels.real[people]] for which in (here, there, both)]
    counts = [which.sum(axis=1) for which in (here, there, both)]
    certain = [mine & (count == 1) for mine, count in zip(own, counts, strict=True)]
    hidden = label == labels.suppressed
    left: Flags
    if labels.right is None:
        left = both[local, np.where(hidden, 0, label)]
    else:
        left = np.asarray((both[local] & labels.right[label]).any(axis=1))
    left = np.where(hidden, np.asarray(both.any(axis=1))[local], left)
    rows_alone = np.bincount(local, rows, len(people))
    rows_left = np.bincount(local, rows * left, len(people))
    return (
        *counts,
        certain[0] | certain[1],
        certain[2],
        own[0] & (rows_alone == 1),
        own[2] & (rows_left == 1),
    )


def _values(
    found: Candidates, labels: Labels, people: Rows
) -> tuple[Flags, Rows, npt.NDArray[np.int32], Rows]:
    """Return which values are possible, and the person, label and rows of each candidate label."""
    sizes = np.diff(found.starts)[people]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    entries = np.repeat(found.starts[people], sizes) + within
    local = np.repeat(np.arange(len(people)), sizes)
    label, rows = found.labels[entries], found.counts[entries]
    hidden = label == labels.suppressed
    if labels.right is None:
        possible = np.zeros((len(people), labels.labels - 1), dtype=np.bool_)
        possible[local[~hidden], label[~hidden]] = True
    else:
        possible = np.zeros((len(people), labels.right.shape[1]), dtype=np.bool_)
        held = sizes > 0
        if held.any():
            begins = (np.cumsum(sizes) - sizes)[held]
            possible[held] = np.logical_or.reduceat(labels.right[label], begins, axis=0)
    possible[local[hidden]] = True
    return possible, local, label, rows
