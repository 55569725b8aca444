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
# its 64 runs of six bits all differ
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)


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


@njit(cache=True, error_model="numpy")
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
    start: Array,
    codes: Array,
    exact_at: Array,
    noisy_at: Array,
    state_at: Array,
    most: int,
    people: int,
    layers: Array,
    places: Array,
    found: Array,
    ratios: Array,
    same: Array,
    differing: Array,
    work: Array,
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
        Numbers of people, shape (q, people).
    scale
        One over the standard deviation of the noise, shape (q,).
    kernel
        The kernel at each sixteenth of a standard deviation, 0 at the last, which is out of reach.
    moved
        Share of numbers that stay as they are, where numbers are moved, shape (1,).
    start, codes, exact_at, noisy_at, state_at
        As of :class:`~sfumato.evaluation.attacks.number_tables.NumberTables`.
    most, layers
        As of :func:`few_differences`.
    people
        Number of people.
    places
        As of :func:`_places_of_bits`.
    differing, work
        Written over, shapes (people,) and (4, people).
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
    number = _people_of_bits(layers[most], people, places, found)
    exact, noisy, kept, redrawn = work[0], work[1], work[2], work[3]
    # one column after the other, so that each loop is short and has its numbers at hand
    for m in range(number):
        exact[m] = noisy[m] = kept[m] = redrawn[m] = 1.0
        differing[m] = 0
        same[m] = True
    for k in range(low.shape[1]):
        if start[row, k] >= 0:
            begin, code = np.uint64(start[row, k]), codes[k]
            for m in range(number):
                at = begin + np.uint64(code[np.uint64(found[m])])
                exact[m] *= exact_at[at]
                noisy[m] *= noisy_at[at]
                differing[m] += state_at[at] >> 1
                same[m] &= state_at[at] == 0
            continue
        lower, upper, had = low[row, k], high[row, k], values[k]
        agree, single = tie[row, k], lower == upper
        anything, missing = lower == -np.inf and upper == np.inf, np.isnan(lower)
        for m in range(number):
            value = had[np.uint64(found[m])]
            inside = (lower <= value <= upper) or anything or (missing and np.isnan(value))
            away = abs(value - lower) * scale[k]
            near = single and away <= _REACH + _SLACK
            step = np.int64((away + _SLACK) * _STEPS) if near else len(kernel) - 1
            here = kernel[step] * spread[row, k] + changed[2]
            if inside:
                exact[m] *= agree
                noisy[m] *= moved[0] * agree + (1 - moved[0]) * here if single else agree
            else:
                exact[m] *= changed[2]
                noisy[m] *= here
                differing[m] += 1 - near
                same[m] = False
    for k in range(agreeing.shape[2]):
        held = sets[labels[row, k]]
        first, second = agreeing[0, row, k], agreeing[1, row, k]
        for m in range(number):
            person = np.uint64(found[m])
            fits = (held[person >> np.uint64(6)] >> (person & np.uint64(63))) & np.uint64(1)
            differing[m] += 1 - np.int64(fits)
            kept[m] *= first if fits else changed[0]
            redrawn[m] *= second if fits else changed[1]
    left = 0
    for m in range(number):
        if differing[m] <= most:
            found[left] = found[m]
            ratios[left] = (kept[m] + redrawn[m]) * (exact[m] + noisy[m]) / 4
            same[left] = same[m] and differing[m] == 0
            left += 1
    return left


@njit(cache=True)
def _people_of_bits(words: Array, people: int, places: Array, found: Array) -> int:
    """List the people whose bits are set, ascending, and return how many there are."""
    number = 0
    for w in range(len(words)):
        rest = words[w]
        while rest != 0:
            person = 64 * w + _lowest_bit(rest, places)
            rest &= rest - np.uint64(1)
            if person < people:
                found[number] = person
                number += 1
    return number


@njit(cache=True)
def _places_of_bits() -> Array:
    """Return the place of the bit that each product with the constant stands for, shape (64,)."""
    places = np.empty(64, np.int64)
    for bit in range(64):
        places[(_DE_BRUIJN << np.uint64(bit)) >> np.uint64(58)] = bit
    return places


@njit(cache=True)
def _lowest_bit(word: Any, places: Array) -> Any:
    """Return the place of the lowest bit that is set, by a multiplication (de Bruijn)."""
    lowest = word & (~word + np.uint64(1))
    return places[(lowest * _DE_BRUIJN) >> np.uint64(58)]


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
        The arrays of :func:`_likelihoods`, from ``sets`` to ``state_at``.
    most
        Most columns that may differ.
    scores
        Added to, shape (people,).
    evidence, verbatim
        Added to: sum of ratios, and people with the very row, of members and of controls, shape
        (rows, 2).
    """
    people, words = len(scores), packed[0].shape[1]
    layers, places = np.empty((most + 1, words), np.uint64), _places_of_bits()
    found = np.empty(people, np.int64)
    ratios = np.empty(people)
    same, differing = np.empty(people, np.bool_), np.empty(people, np.int64)
    work = np.empty((4, people))
    for row in range(len(times)):
        number = _likelihoods(
            row, *packed, most, people, layers, places, found, ratios, same, differing, work
        )
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
    layers, places = np.empty((most + 1, words), np.uint64), _places_of_bits()
    found = np.empty(people, np.int64)
    ratios = np.empty(people)
    same, differing = np.empty(people, np.bool_), np.empty(people, np.int64)
    work = np.empty((4, people))
    end = 0
    for row in range(len(dependence)):
        starts[row] = end
        number = _likelihoods(
            row, *packed, most, people, layers, places, found, ratios, same, differing, work
        )
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
        The arrays of :func:`_likelihoods`, from ``sets`` to ``state_at``.
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
                        value, lower, upper = values[k, place], low[row, k], high[row, k]
                        fits = (lower <= value <= upper) or (lower == -np.inf and upper == np.inf)
                        if not (fits or (np.isnan(lower) and np.isnan(value))):
                            differing += 1
                    least[place] = min(least[place], differing)
                    if differing == 0:
                        standing[place] += times[row]
                rest >>= np.uint64(1)
                place += 1
