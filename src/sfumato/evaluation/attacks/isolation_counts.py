"""How often predicates isolate a member and a control, and how sure that is.

The p-value permutes who was a member among all people attacked and recounts every predicate, so
that predicates that overlap, or many that find the same person, count for what they are.

References
----------
R. A. Fisher, "The Design of Experiments" (1935); B. Phipson, G. K. Smyth, SAGMB 9 (2010); R. G.
Newcombe, Statistics in Medicine 17 (1998), method 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.estimates import NORMAL_95, ONE_SIDED_95, POWER_80

__all__ = ["Isolated", "IsolatedPeople", "recount"]

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_DRAWS = 2_048
_MORE_DRAWS = 16_384
_PROMISING = 0.01
#: Where so many are expected, five isolated members and no control (p = 1/32) are seen in 80 %.
_FEWEST_NOTICED = 6.72
_FEW = 10


@dataclass(frozen=True, eq=False)
class IsolatedPeople:
    """Which people satisfy each predicate, without regard to who is a member.

    Parameters
    ----------
    families
        Keys of the families of predicates (F).
    family
        Family of each predicate, shape (Q,).
    source
        The released row that each was built from, shape (Q,); -1 for none.
    starts, people
        The people who satisfy predicate q are those from ``starts[q]`` to ``starts[q + 1]``; none
        if there are too many for it to isolate anybody.
    everybody
        People are numbered below it.
    alone
        Whether each predicate isolates a member and a control under the true labels, shape (Q, 2),
        where there were too many people to list.
    """

    families: tuple[str, ...]
    family: Rows
    source: Rows
    starts: Rows
    people: Rows
    everybody: int
    alone: Flags


@dataclass(frozen=True)
class Isolated:
    """How often the predicates of one family isolate a member and a control.

    Parameters
    ----------
    predicates
        Distinct predicates that were built and tried (Q).
    members, controls
        Share of them that isolate a member, and a control.
    interval
        95 % interval of the excess.
    upper
        One-sided 95 % upper bound of the excess.
    p_value
        One-sided, from permuted labels; ties count against evidence.
    p_even
        The same with ties broken at random, for checking the test's level only.
    detectable
        The smallest excess that would have been noticed in 80 % of cases.
    people
        Different people whom a predicate isolates.
    """

    predicates: int
    members: float
    controls: float
    interval: tuple[float, float]
    upper: float
    p_value: float
    p_even: float
    detectable: float
    people: int

    @property
    def value(self) -> float:
        """The excess."""
        return self.members - self.controls


def recount(
    found: IsolatedPeople, member: Flags, *, seed: int, even: bool = False
) -> dict[str, Isolated]:
    """Count how often each family of predicates isolates a member and a control.

    Parameters
    ----------
    found
        Who satisfies each predicate.
    member
        Whether each of the people is a member: the true labels, or permuted ones to check the
        level of the test. Of the larger group as many as the smaller one has are drawn.
    seed
        Of drawing people, labels and ties.
    even
        Draw as few labels as ``p_even`` needs, and leave out what cannot be checked under permuted
        labels.

    Returns
    -------
    dict of Isolated
        By family; families without a predicate are left out.
    """
    random = np.random.default_rng(seed)
    groups = [np.flatnonzero(member), np.flatnonzero(~member)]
    size = min(len(group) for group in groups)
    if not size or not len(found.family):
        return {}
    label = np.full(found.everybody, -1, dtype=np.int64)
    for mark, group in enumerate(groups):
        label[random.choice(group, size, replace=False)] = mark
    number = np.repeat(np.arange(len(found.family)), np.diff(found.starts))
    taken = label[found.people] >= 0
    people, number = found.people[taken], number[taken]
    matches = np.bincount(number, minlength=len(found.family))
    isolates, by_whom = _isolates(number, people, label, len(found.family))
    if not even:
        isolates |= found.alone
    gain = isolates[:, 0].astype(np.int64) - isolates[:, 1]
    seen = np.bincount(found.family, gain, len(found.families))
    drawn = list(_drawn(found, number, people, size, _DRAWS, random))
    at_least = np.array([(one >= total).sum() for one, total in zip(drawn, seen, strict=True)])
    promising = np.flatnonzero((1 + at_least) / (_DRAWS + 1) <= _PROMISING)
    if len(promising) and not even:
        # looking closer where a first look found little chance keeps a p-value valid
        some = np.isin(found.family[number], promising)
        closer = _drawn(found, number[some], people[some], size, _MORE_DRAWS, random)
        for family in promising.tolist():
            drawn[family] = np.concatenate([drawn[family], closer[family]])
    counted = {}
    for place, key in enumerate(found.families):
        of = found.family == place
        counted[key] = _isolated(
            isolates[of],
            by_whom[of],
            found.source[of],
            matches[of],
            drawn[place],
            2 * size,
            random.random(),
        )
    return counted


def _isolates(
    number: Rows, people: Rows, label: Rows, predicates: int
) -> tuple[Flags, npt.NDArray[np.int64]]:
    """Return whether each predicate isolates a member and a control, and whom, else -1."""
    isolates = np.zeros((predicates, 2), dtype=np.bool_)
    by_whom = np.full((predicates, 2), -1, dtype=np.int64)
    for mark in (0, 1):
        mine = label[people] == mark
        isolates[:, mark] = np.bincount(number[mine], minlength=predicates) == 1
        by_whom[number[mine], mark] = people[mine]
    return isolates, np.where(isolates, by_whom, -1)


def _drawn(
    found: IsolatedPeople,
    number: Rows,
    people: Rows,
    size: int,
    draws: int,
    random: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Return the excess of each family, as a number of predicates, under labels drawn anew."""
    from sfumato.evaluation.attacks.singling_out_kernels import permuted_excess

    totals = np.zeros((len(found.families), draws), dtype=np.int64)
    if len(people):
        used, starts = np.unique(number, return_index=True)
        who, place = np.unique(people, return_inverse=True)
        permuted_excess(
            np.append(starts, len(people)).astype(np.int64),
            place.astype(np.int64),
            found.family[used].astype(np.int64),
            len(who),
            2 * size,
            size,
            int(random.integers(2**62)),
            totals,
        )
    return totals


def _isolated(
    isolates: Flags,
    by_whom: npt.NDArray[np.int64],
    source: Rows,
    matches: Rows,
    drawn: npt.NDArray[np.int64],
    everybody: int,
    tie: float,
) -> Isolated:
    count = len(isolates)
    gain = isolates[:, 0].astype(np.float64) - isolates[:, 1]
    total = gain.sum()
    more, same = int((drawn > total).sum()), int((drawn >= total).sum())
    variance = float(np.square(drawn, dtype=np.float64).mean())
    leaked = _leaked_variance(variance, total, matches, everybody)
    share, control = (float(one) for one in isolates.mean(axis=0))
    isolated = by_whom[by_whom[:, 0] >= 0, 0]
    found = np.unique(isolated, return_counts=True)[1]
    # predicates of the person whom a predicate finds, on average
    each = float(np.square(found).sum() / found.sum()) if len(found) else 1.0
    independent = _independent(gain, source, leaked, share, control, each)
    interval = _difference(share, control, independent, NORMAL_95)
    upper = _difference(share, control, independent, ONE_SIDED_95)[1]
    return Isolated(
        predicates=count,
        members=float(share),
        controls=float(control),
        interval=interval,
        upper=upper,
        p_value=(1 + same) / (len(drawn) + 1),
        p_even=(more + tie * (same - more + 1)) / (len(drawn) + 1),
        detectable=_detectable(count, variance, each),
        people=len(found),
    )


def _leaked_variance(variance: float, total: float, matches: Rows, everybody: int) -> float:
    """Return the variance of the excess where ``total`` of it is no chance.

    Permuted labels hold as many members as there are; so the more people all predicates find, the
    less their number varies. Who was leaked is not held so: what permuting took off for them is
    added. The parts linear in a person's label, of a predicate with m matches, sum up to
    ``2 m (2 - m) / 2**m`` (Hajek's projection).
    """
    m = np.minimum(matches, 60).astype(np.float64)
    linear = float((2 * m * (2 - m) * np.exp2(-m)).sum())
    known = max(total, 0.0)
    return max(variance + known * (2 * linear - known) / everybody, 0.0)


def _independent(
    gain: Floats, source: Rows, variance: float, share: float, control: float, each: float
) -> float:
    """Return as how many independent predicates these count.

    The variance under permuted labels holds all overlap of predicates and all people whom many
    isolate. It is that around 0; around the excess seen it is smaller by what one released row's
    predicates have in common.
    """
    count = len(gain)
    alone = source < 0
    of = np.where(alone, -1, source)
    _, place = np.unique(of[~alone], return_inverse=True)
    sizes = np.append(np.bincount(place), np.ones(alone.sum()))
    gains = np.append(np.bincount(place, gain[~alone]), gain[alone])
    excess = share - control
    around = variance - 2 * excess * (gains * sizes).sum() + excess**2 * np.square(sizes).sum()
    spread = count * (share * (1 - share) + control * (1 - control))
    if spread < _FEW or around <= 0:
        return float(min(count * count / np.square(sizes).sum(), count / each))
    return float(min(count * spread / around, 4.0 * count))


def _difference(share: float, control: float, count: float, z: float) -> tuple[float, float]:
    """Return Newcombe's interval of the difference of two shares of so many predicates."""
    ends = []
    for one in (share, control):
        square = z * z / count
        reach = math.sqrt(one * (1 - one) * square + square * square / 4)
        middle = one + square / 2
        ends.append(((middle - reach) / (1 + square), (middle + reach) / (1 + square)))
    (low, high), (other_low, other_high) = ends
    excess = share - control
    return (
        max(-1.0, excess - math.hypot(share - low, other_high - control)),
        min(1.0, excess + math.hypot(high - share, control - other_low)),
    )


def _detectable(count: int, variance: float, each: float) -> float:
    """Return the excess that is noticed in 80 % of cases, if each person adds ``each``."""
    low, high = 0.0, float(count)
    for _ in range(60):
        gain = (low + high) / 2
        needed = ONE_SIDED_95 * math.sqrt(variance) + POWER_80 * math.sqrt(variance + gain * each)
        low, high = (gain, high) if gain < needed else (low, gain)
    return min(1.0, max(high, _FEWEST_NOTICED * each) / count)
