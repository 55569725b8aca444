"""Criteria about sensitive values as plain arrays, for loops that ask about many small classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from sfumato.anonymization.people_coding import CodedPeople
from sfumato.privacy import (
    AlphaKAnonymity,
    BetaLikeness,
    Criterion,
    LDiversity,
    TCloseness,
)
from sfumato.privacy.natural_order import natural_order

__all__ = ["ClassRules", "keeps", "largest_part", "rules_of"]

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_DISTINCT, _ENTROPY, _RECURSIVE, _EQUAL, _ORDERED, _LIKENESS, _ALPHA = range(7)
_SLACK = 1e-12
_SMALLEST_PART = 24  # halvings in the search for the largest part of a cell that keeps the rules


class ClassRules(NamedTuple):
    """What a class's sensitive values must keep.

    The values of all sensitive columns stand side by side in one histogram (v long).

    Parameters
    ----------
    kind
        The kind of each rule, shape (r,).
    start, stop
        Where the rule's column begins and ends in the histogram, shape (r,).
    limit, second
        The rule's limit, and for the recursive kind its c, shape (r,).
    places
        Shape (r, v): for ordered distances the values in their order; for likeness and alpha the
        largest share of each value is in ``most`` instead.
    most
        Shape (r, v): for likeness and alpha the largest share that a value may have.
    whole
        Share of each value in the whole table, shape (v,).
    values
        Shape (m, s): for each entry the place of its value in the histogram, by sensitive column.
    """

    kind: Integers
    start: Integers
    stop: Integers
    limit: Floats
    second: Floats
    places: Integers
    most: Floats
    whole: Floats
    values: Integers


def rules_of(
    criteria: Sequence[Criterion], people: CodedPeople
) -> tuple[ClassRules, tuple[Criterion, ...]]:
    """Return the rules of some criteria, and the criteria that are none of these kinds.

    Parameters
    ----------
    criteria
        Promises about sensitive values, in any number.
    people
        The coded people; their weights give the distribution of the whole table.
    """
    starts: dict[str, int] = {}
    total = 0
    for name, (_, labels) in people.sensitive.items():
        starts[name] = total
        total += len(labels)
    whole = np.zeros(total)
    values = np.zeros((len(people), len(people.sensitive)), dtype=np.int64)
    for place, (name, (codes, labels)) in enumerate(people.sensitive.items()):
        counts = np.bincount(codes, people.weights, len(labels))
        whole[starts[name] : starts[name] + len(labels)] = counts / max(counts.sum(), 1)
        values[:, place] = codes + starts[name]
    rows: list[tuple[int, int, int, float, float, Integers, Floats]] = []
    others = []
    for one in criteria:
        name = one.columns[0] if len(one.columns) == 1 else ""
        if name not in people.sensitive:
            others.append(one)
            continue
        labels = people.sensitive[name][1]
        begin, end = starts[name], starts[name] + len(labels)
        rule = _rule(one, labels, whole[begin:end])
        if rule is None:
            others.append(one)
            continue
        kind, limit, second, order, most = rule
        places, largest = np.zeros(total, dtype=np.int64), np.ones(total)
        places[: len(labels)] = order + begin
        largest[begin:end] = most
        rows.append((kind, begin, end, limit, second, places, largest))
    rules = ClassRules(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=np.int64),
        np.array([row[3] for row in rows], dtype=np.float64),
        np.array([row[4] for row in rows], dtype=np.float64),
        np.array([row[5] for row in rows], dtype=np.int64).reshape(len(rows), total),
        np.array([row[6] for row in rows], dtype=np.float64).reshape(len(rows), total),
        whole,
        values,
    )
    return rules, tuple(others)


def _rule(
    one: Criterion, labels: pl.Series, whole: Floats
) -> tuple[int, float, float, Integers, Floats] | None:
    """Return kind, limit, second limit, order and largest shares; None for another criterion."""
    plain = np.arange(len(labels))
    free = np.ones(len(labels))
    if isinstance(one, LDiversity) and one.estimator != "grassberger":
        if one.variant == "distinct":
            return _DISTINCT, one.l, 0.0, plain, free
        if one.variant == "entropy":
            return _ENTROPY, float(np.log(one.l)), 0.0, plain, free
        return _RECURSIVE, one.l, one.c or 0.0, plain, free
    if isinstance(one, TCloseness) and one.distance == "equal":
        return _EQUAL, one.t, 0.0, plain, free
    if isinstance(one, TCloseness) and one.distance == "ordered":
        return _ORDERED, one.t, 0.0, natural_order(labels), free
    if isinstance(one, BetaLikeness):
        gain = np.full(len(whole), one.beta)
        if one.enhanced:
            gain = np.minimum(gain, -np.log(np.maximum(whole, np.finfo(np.float64).tiny)))
        return _LIKENESS, 0.0, 0.0, plain, whole * (1 + gain)
    if isinstance(one, AlphaKAnonymity) and one.values is None:
        return _ALPHA, 0.0, 0.0, plain, np.full(len(whole), one.alpha)
    return None


@njit(cache=True)
def keeps(counts: Array, rules: ClassRules) -> bool:
    """Whether a class with these counts of sensitive values, shape (v,), keeps every rule."""
    for r in range(len(rules.kind)):
        start, stop = rules.start[r], rules.stop[r]
        kind = rules.kind[r]
        n = 0
        for v in range(start, stop):
            n += counts[v]
        if n == 0:
            return False
        if kind == _DISTINCT:
            distinct = 0
            for v in range(start, stop):
                distinct += counts[v] > 0
            if distinct < rules.limit[r]:
                return False
        elif kind == _ENTROPY:
            entropy = 0.0
            for v in range(start, stop):
                if counts[v] > 0:
                    share = counts[v] / n
                    entropy -= share * np.log(share)
            if entropy < rules.limit[r] - _SLACK:
                return False
        elif kind == _RECURSIVE:
            # all but the l - 1 most frequent; the bound falls so that equal ones count once each
            tail, largest = n, 0
            bound, place = n + 1, stop
            for _ in range(int(rules.limit[r]) - 1):
                found, at = -1, stop
                for v in range(start, stop):
                    after = counts[v] < bound or (counts[v] == bound and v > place)
                    if after and counts[v] > found:
                        found, at = counts[v], v
                if found < 0:
                    break
                tail -= found
                bound, place = found, at
            for v in range(start, stop):
                largest = max(largest, counts[v])
            if not largest < rules.second[r] * tail:
                return False
        elif kind == _EQUAL:
            moved = 0.0
            for v in range(start, stop):
                moved += max(counts[v] / n - rules.whole[v], 0.0)
            if moved > rules.limit[r] + _SLACK:
                return False
        elif kind == _ORDERED:
            moved, carried, steps = 0.0, 0.0, -1
            for place in range(stop - start):
                v = rules.places[r, place]
                if rules.whole[v] == 0.0:
                    continue
                steps += 1
                # what is carried beyond the last value is nothing but rounding
                moved += abs(carried)
                carried += counts[v] / n - rules.whole[v]
            if moved / max(steps, 1) > rules.limit[r] + _SLACK:
                return False
        else:
            for v in range(start, stop):
                if counts[v] / n > rules.most[r, v] + _SLACK:
                    return False
    return True


@njit(cache=True)
def largest_part(counts: Array, rules: ClassRules, k: int, part: Array) -> bool:
    """Find the largest part of a cell that keeps the rules, by capping what is too frequent.

    A value may be at most so many times as frequent as in the whole table (for diversity: as any
    other); the highest such cap is taken that leaves k people who keep the rules.

    Parameters
    ----------
    counts
        The cell's counts of sensitive values, shape (v,); one sensitive column.
    part
        Is filled with the counts of the part, shape (v,).

    Returns
    -------
    bool
        Whether there is such a part.
    """
    uniform = True
    for r in range(len(rules.kind)):
        if rules.kind[r] > _RECURSIVE:
            uniform = False
    highest = 0.0
    for v in range(len(counts)):
        weight = 1.0 if uniform else rules.whole[v]
        if counts[v] > 0 and weight > 0:
            highest = max(highest, counts[v] / weight)
    low, high = 0.0, highest
    found = -1.0
    for _ in range(_SMALLEST_PART):
        cap = (low + high) / 2
        n = 0
        for v in range(len(counts)):
            weight = 1.0 if uniform else rules.whole[v]
            part[v] = min(counts[v], int(cap * weight))
            n += part[v]
        if n < k:
            low = cap
        elif keeps(part, rules):
            found = cap
            low = cap
        else:
            high = cap
        if high - low < 1e-3 * highest:
            break
    if found < 0:
        return False
    for v in range(len(counts)):
        weight = 1.0 if uniform else rules.whole[v]
        part[v] = min(counts[v], int(found * weight))
    return True
