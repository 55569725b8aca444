"""What several nearest released rows say of a secret together: the mode, or the median."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.nearest import Search
from sfumato.evaluation.attacks.tables import STAR

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackColumn

__all__ = ["vote"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_VOTES = 4_000_000  # held at once


def vote(
    secret: AttackColumn,
    known: Sequence[AttackColumn],
    k: int,
    *,
    rows: Integers,
    tolerance: float,
) -> tuple[Floats, Integers]:
    """Guess a secret by the votes of the k released rows that are nearest in other columns.

    Parameters
    ----------
    secret, known
        The column to guess, and those that the attacker knows, at least one.
    k
        How many rows vote, at least 1. Rows tied at the last place share the votes that are left.
    rows
        Numbers of the real rows that are attacked.
    tolerance
        How far a guess of a number may be off, in the column's unit.

    Returns
    -------
    right, distances
        The chance that the guess is right, shape (people,): a category's is the cell with the most
        votes, a number's the median of the cells' midpoints, or missing if most are missing; and
        the distance of the k-th row in units of 1 / GRID, -1 if no row was released.
    """
    search = Search.among(known, "released")
    last, nearer, tied = search.nearest(k, rows).at(k)
    right = np.zeros(len(rows))
    if not len(search.group):
        return right, last
    released = np.argsort(search.group, kind="stable")
    sizes = np.bincount(search.group)
    begins = np.cumsum(sizes) - sizes
    left = np.minimum(k - nearer, tied) / tied
    part = np.cumsum(nearer + tied) // _VOTES
    for number in np.unique(part):
        some = np.flatnonzero(part == number)
        found = search.within(last[some], rows[some])
        asked = np.repeat(some, np.diff(found.starts))
        weight = np.where(found.distances < last[asked], 1.0, left[asked])
        many = sizes[found.groups]
        ends = np.cumsum(many)
        place = np.arange(ends[-1]) + np.repeat(begins[found.groups] - (ends - many), many)
        votes = released[place], np.repeat(asked, many), np.repeat(weight, many)
        if secret.kind == "category":
            right[some] = _most_votes(secret, rows, *votes, len(right))[some]
        else:
            right[some] = _median(secret, rows, *votes, len(right), tolerance)[some]
    return right, last


def _most_votes(
    secret: AttackColumn,
    rows: Integers,
    released: Integers,
    asked: Integers,
    weight: Floats,
    people: int,
) -> Floats:
    """Return how likely the cell with the most votes is right; equal votes are drawn from."""
    labels = int(secret.released.max(initial=0)) + 1 - STAR
    code = secret.released[released].astype(np.int64) - STAR
    key, place = np.unique(asked * labels + code, return_inverse=True)
    votes = np.round(np.bincount(place, weight), 9)
    person, label = key // labels, key % labels + STAR
    most = np.zeros(people)
    np.maximum.at(most, person, votes)
    wins = votes == most[person]
    person, label = person[wins], label[wins]
    truth = secret.real[rows[person]]
    if secret.covers is None:
        worth = np.where(label == STAR, 1 / secret.values, label == truth)
    else:
        stands_for = np.maximum(secret.covers.sum(axis=1), 1)
        worth = secret.covers[label, truth] / stands_for[label]
    winners = np.bincount(person, minlength=people)
    return np.asarray(np.bincount(person, worth, people) / np.maximum(winners, 1), np.float64)


def _median(
    secret: AttackColumn,
    rows: Integers,
    released: Integers,
    asked: Integers,
    weight: Floats,
    people: int,
    tolerance: float,
) -> Floats:
    """Return whether the median of the voting cells is near enough to the truth."""
    ends = np.concatenate([secret.low, secret.high])
    ends = ends[np.isfinite(ends)]
    least, most = (ends.min(), ends.max()) if ends.size else (0.0, 0.0)
    middle = (np.maximum(secret.low, least) + np.minimum(secret.high, most)) / 2
    guess = middle[released]
    total = np.bincount(asked, weight, people)
    known = ~np.isnan(guess)
    known_weight = np.bincount(asked[known], weight[known], people)
    order = np.lexsort((guess, asked))  # missing cells come last
    person = asked[order]
    first = np.searchsorted(person, np.arange(people + 1))
    reached = np.cumsum(weight[order])
    before = np.concatenate([[0.0], reached])[first[:-1]]
    place = np.searchsorted(reached, before + known_weight / 2 - 1e-9)
    place = np.clip(place, 0, len(order) - 1)
    truth = secret.numbers[rows]
    near = np.abs(guess[order][place] - truth) <= tolerance
    says_missing = known_weight < total / 2
    return np.where(says_missing, np.isnan(truth), near).astype(np.float64)
