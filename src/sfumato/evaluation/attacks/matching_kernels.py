"""The inner loops of matching: which people a released row could be a changed copy of.

Each column has, for every way that a released cell can be, the set of people who could have it, one
bit a person. Counting the columns in which a person differs is then done for 64 people at once;
whoever differs in few enough is weighed exactly. No person is passed over otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["few_differences", "least_differences", "match_each", "match_totals"]

Array = npt.NDArray[Any]

_LEAST = 1e-3
_STEPS = 16  # of the table of the kernel, a standard deviation
_REACH = 4.0
_SLACK = 1e-7  # so that a change of units does not move a number over a step


@njit(cache=True)
def few_differences(sets: Array, labels: Array, most: int, layers: Array) -> None:
    """Set in ``layers[k]`` the bit of each person who differs in at most k columns.

    Parameters
    ----------
    sets
        A bit a person for each label, shape (labels, words).
    labels
        The label of each column of the released row, shape (columns,).
    most
        Most columns that may differ.
    layers
        Filled, shape (most + 1, words).
    """
    words = sets.shape[1]
    layers[:] = ~np.uint64(0)
    for label in labels:
        same = sets[label]
        for k in range(most, 0, -1):
            upper, lower = layers[k], layers[k - 1]
            for w in range(words):
                upper[w] = (upper[w] & same[w]) | lower[w]
        first = layers[0]
        for w in range(words):
            first[w] &= same[w]


@njit(cache=True)
def _likelihoods(
    row: int,
    sets: Array,
    labels: Array,
    agreeing: Array,
    changed: Array,
    low: Array,
    high: Array,
    tie: Array,
    spread: Array,
    values: Array,
    scale: Array,
    kernel: Array,
    moved: Array,
    most: int,
    people: int,
    layers: Array,
    found: Array,
    ratios: Array,
    same: Array,
) -> int:
    """List the people whom a released row could be a copy of, with their likelihood ratios.

    Parameters
    ----------
    row
        The released row.
    sets, labels
        As of :func:`few_differences`, for all released rows: labels have shape (rows, columns).
    agreeing
        Ratio of a category that agrees, for categories kept and redrawn, shape (2, rows, c).
    changed
        Ratio of a cell that differs: a category kept, redrawn, a number; shape (3,).
    low, high
        Ends of released numbers, shape (rows, q).
    tie
        Ratio of a number that agrees exactly or lies in the released interval, shape (rows, q).
    spread
        Factor of the kernel, shape (rows, q).
    values
        Numbers of people, shape (people, q).
    scale
        One over the standard deviation of the noise, shape (q,).
    kernel
        The kernel at each sixteenth of a standard deviation.
    moved
        Share of numbers that stay as they are, where numbers are moved, shape (1,).
    most, layers
        As of :func:`few_differences`.
    people
        Number of people.
    found, ratios, same
        Filled: the people, their likelihood ratios as the mean over four kinds of copy (numbers
        kept or moved, by categories kept or redrawn), and whether they have the very row; shape
        (people,).

    Returns
    -------
    int
        How many were found.
    """
    few_differences(sets, labels[row], most, layers)
    close = layers[most]
    c, q = agreeing.shape[2], low.shape[1]
    number = 0
    for w in range(len(close)):
        rest = close[w]
        place = 64 * w
        while rest != 0:
            while rest & np.uint64(0xFF) == 0:
                rest >>= np.uint64(8)
                place += 8
            while rest & np.uint64(1) == 0:
                rest >>= np.uint64(1)
                place += 1
            person = place
            rest >>= np.uint64(1)
            place += 1
            if person >= people:
                break
            bit = np.uint64(person & 63)
            kept, redrawn, exact, noisy = 1.0, 1.0, 1.0, 1.0
            differing = 0
            verbatim = True
            for k in range(c):
                if (sets[labels[row, k], w] >> bit) & np.uint64(1):
                    kept *= agreeing[0, row, k]
                    redrawn *= agreeing[1, row, k]
                else:
                    differing += 1
                    kept *= changed[0]
                    redrawn *= changed[1]
            for k in range(q):
                value, lower, upper = values[person, k], low[row, k], high[row, k]
                anything = lower == -np.inf and upper == np.inf
                missing = np.isnan(lower) and np.isnan(value)
                if (lower <= value <= upper) or anything or missing:
                    exact *= tie[row, k]
                    if lower == upper:
                        noisy *= moved[0] * tie[row, k] + (1 - moved[0]) * (
                            kernel[0] * spread[row, k] + changed[2]
                        )
                    else:
                        noisy *= tie[row, k]
                    continue
                verbatim = False
                exact *= changed[2]
                away = abs(value - lower) * scale[k]
                if lower == upper and away <= _REACH + _SLACK:
                    noisy *= kernel[int((away + _SLACK) * _STEPS)] * spread[row, k] + changed[2]
                else:
                    differing += 1
                    noisy *= changed[2]
            if differing <= most:
                found[number] = person
                ratios[number] = (kept + redrawn) * (exact + noisy) / 4
                same[number] = verbatim and differing == 0
                number += 1
    return number


@njit(cache=True)
def _against_others(
    number: int, ratios: Array, dependence: float, weight: float, people: int
) -> None:
    """Divide each ratio by how well the row is explained without that person."""
    everyone = 0.0
    for m in range(number):
        ratios[m] /= dependence
        everyone += ratios[m]
    for m in range(number):
        others = max(everyone - ratios[m], 0.0) / max(people - 1, 1)
        ratios[m] /= weight + (1 - weight) * others


@njit(cache=True)
def match_totals(
    times: Array,
    dependence: Array,
    weight: float,
    member: Array,
    packed: Any,
    most: int,
    scores: Array,
    evidence: Array,
    verbatim: Array,
) -> None:
    """Sum each person's likelihood ratios over the released rows.

    Parameters
    ----------
    times
        How often each row is released, shape (rows,).
    dependence
        How much likelier each is than if its columns were independent, a factor.
    weight
        Of the tree against the other people, in how likely the row is without a person.
    member
        Which people are members; used for ``evidence`` and ``verbatim`` alone.
    packed
        The arrays of :func:`_likelihoods`, from ``sets`` to ``moved``.
    most
        Most columns that may differ.
    scores
        Added to, shape (people,).
    evidence, verbatim
        Added to: sum of ratios, and people with the very row, of members and of controls, shape
        (rows, 2).
    """
    people, words = len(scores), packed[0].shape[1]
    layers = np.empty((most + 1, words), np.uint64)
    found = np.empty(people, np.int64)
    ratios = np.empty(people)
    same = np.empty(people, np.bool_)
    for row in range(len(times)):
        number = _likelihoods(row, *packed, most, people, layers, found, ratios, same)
        _against_others(number, ratios, dependence[row], weight, people)
        for m in range(number):
            person = found[m]
            scores[person] += ratios[m] * times[row]
            group = 0 if member[person] else 1
            evidence[row, group] += ratios[m]
            verbatim[row, group] += same[m]


@njit(cache=True)
def match_each(
    dependence: Array,
    weight: float,
    packed: Any,
    most: int,
    people: int,
    starts: Array,
    persons: Array,
    shares: Array,
) -> bool:
    """List for each row the people it could be a copy of; return whether the room sufficed.

    Parameters
    ----------
    dependence, weight, packed, most
        As of :func:`match_totals`.
    people
        Number of people.
    starts
        Filled: where the list of each row begins, shape (rows + 1,).
    persons, shares
        Filled: the people and their likelihood ratios, those of at least one thousandth.
    """
    words = packed[0].shape[1]
    layers = np.empty((most + 1, words), np.uint64)
    found = np.empty(people, np.int64)
    ratios = np.empty(people)
    same = np.empty(people, np.bool_)
    end = 0
    for row in range(len(dependence)):
        starts[row] = end
        number = _likelihoods(row, *packed, most, people, layers, found, ratios, same)
        _against_others(number, ratios, dependence[row], weight, people)
        for m in range(number):
            if ratios[m] >= _LEAST:
                if end == len(persons):
                    return False
                persons[end] = found[m]
                shares[end] = ratios[m]
                end += 1
    starts[len(dependence)] = end
    return True


@njit(cache=True)
def least_differences(times: Array, packed: Any, most: int, least: Array, standing: Array) -> None:
    """Find in how few columns any released row differs from each person.

    Parameters
    ----------
    times
        How often each row is released, shape (rows,).
    packed
        The arrays of :func:`_likelihoods`, from ``sets`` to ``moved``.
    most
        Most columns that may differ.
    least
        Lowered, shape (people,).
    standing
        Added to: released rows that could be the person's, shape (people,).
    """
    sets, labels, low, high, values = packed[0], packed[1], packed[4], packed[5], packed[8]
    people, columns, q = len(least), labels.shape[1], low.shape[1]
    c = columns - q
    layers = np.empty((most + 1, sets.shape[1]), np.uint64)
    for row in range(len(times)):
        few_differences(sets, labels[row], most, layers)
        for w in range(sets.shape[1]):
            rest = layers[most, w]
            place = 64 * w
            while rest != 0:
                if rest & np.uint64(1) and place < people:
                    differing = 0
                    bit = np.uint64(place & 63)
                    for k in range(c):
                        differing += 1 - int((sets[labels[row, k], w] >> bit) & np.uint64(1))
                    for k in range(q):
                        value, lower, upper = values[place, k], low[row, k], high[row, k]
                        fits = (lower <= value <= upper) or (lower == -np.inf and upper == np.inf)
                        if not (fits or (np.isnan(lower) and np.isnan(value))):
                            differing += 1
                    least[place] = min(least[place], differing)
                    if differing == 0:
                        standing[place] += times[row]
                rest >>= np.uint64(1)
                place += 1
