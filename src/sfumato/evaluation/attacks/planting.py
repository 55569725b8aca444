"""The smallest leak that would have been noticed, found by planting leaks in this very release.

An attack that finds nothing proves little by itself: it may be blind here. So copies of real people
are added to the release and the tests are run again, many times over, and the fewest copies are
sought that are noticed in four of five plantings. Each time the labels "member" and "control" are
dealt anew, to whom is copied first and to all others at random: what the release itself may leak
does not help.

References
----------
"Deliberate risk insertion" (2025, arXiv 2512.16284): planted risk shows what a metric misses; J.
Cohen, "Statistical Power Analysis for the Behavioral Sciences" (1988), chapter 1, for four in five.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.error_shares import ERROR_SHARES
from sfumato.evaluation.attacks.highest_scores import RankWeights, depth_of, savage_weights
from sfumato.evaluation.attacks.matching import Matched, Matcher
from sfumato.evaluation.attacks.planted_copies import planted_copies
from sfumato.evaluation.attacks.record_differences import record_differences
from sfumato.evaluation.attacks.tables import STAR
from sfumato.evaluation.attacks.vulnerable import isolation, rarest

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.linkage import Shown
    from sfumato.evaluation.attacks.tables import AttackTables

__all__ = ["DetectableLeak", "Leak", "minimum_detectable_leak"]

Leak = Literal["verbatim", "noisy", "outliers"]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

LEAKS: tuple[Leak, ...] = ("verbatim", "noisy", "outliers")
_MOST = 600
_MOST_SHARE = 0.1
_ENOUGH = 0.9  # of the plantings, so that four in five find it when planted anew
# Nobody changes cells just as they are changed here, and copies that stand in the release teach the
# model a little of themselves: so much more is declared than was noticed often enough.
_MARGIN = 1.25
_VULNERABLE = 0.05
_COPIES = ("copies/exact", "copies/all_but_one")
_ROUNDS = 2
_NEGLIGIBLE = 1e-3  # of the total that is needed to be among the highest


@dataclass(frozen=True)
class DetectableLeak:
    """How many copies are noticed.

    Parameters
    ----------
    people
        The fewest copies noticed in at least four of five plantings; None if not even the most that
        were planted are.
    most
        The most copies that were planted.
    rows
        Released rows.
    plantings
        How often leaks were planted.
    """

    people: int | None
    most: int
    rows: int
    plantings: int


def minimum_detectable_leak(
    tables: AttackTables,
    *,
    seed: int,
    plantings: int = 40,
    level: float = 0.05,
    matcher: Matcher | None = None,
    matched: Matched | None = None,
) -> dict[Leak, DetectableLeak]:
    """Return, for each kind of leak, how many copied people would have been noticed.

    Parameters
    ----------
    tables
        At least one released row, one member and one control.
    seed
        Of labels, noise and whom is copied.
    plantings
        How often leaks of each kind are planted, at least 1.
    level
        Error of all tests of the evaluation together, 0 to 1, of which the four that look for
        copies have their shares.
    matcher, matched
        What matching has found already, to save work.

    Notes
    -----
    "verbatim" and "noisy" copy people at random, "outliers" copies noisily those who stand out
    most. Copies are added beside the released rows. Their likelihood ratios are computed once; a
    planting only adds up those of at least a thousandth of what the highest scores need.
    """
    planted = _Planted.of(tables, matcher, matched, level, seed)
    return {
        leak: planted.smallest(leak, place, plantings, seed) for place, leak in enumerate(LEAKS)
    }


@dataclass(frozen=True, eq=False)
class _Group:
    """People among whom the highest scores are tested."""

    key: str
    inside: Flags
    reached: float
    highest: Integers
    law: RankWeights

    @classmethod
    def of(cls, key: str, inside: Flags, totals: Floats, share: float, seed: int) -> _Group | None:
        """Return the group, or None if it is too small."""
        people = int(inside.sum())
        members = round(share * people)
        if people < 2 or not 0 < members < people:
            return None
        depth = depth_of(people)
        reached = float(np.sort(totals[inside])[people - depth])
        law = RankWeights.of(savage_weights(depth), members, people, seed=seed)
        return cls(key, inside, reached, np.flatnonzero((totals >= reached) & inside), law)

    def p_value(self, totals: Floats, lifted: Integers, deal: _Deal, last: int) -> float:
        """Return the p-value after the totals of some people have grown, over its error share."""
        lifted = lifted[self.inside[lifted] & (totals[lifted] >= self.reached)]
        candidates = np.sort(np.concatenate([self.highest, lifted]))
        candidates = candidates[np.append(True, candidates[1:] != candidates[:-1])]
        best = candidates[np.argsort(-totals[candidates], kind="stable")]
        best = best[: len(self.law.weights)]
        total = float((self.law.weights * deal.member(best, last)).sum())
        return self.law.p_value(total) / ERROR_SHARES[self.key]


@dataclass(frozen=True, eq=False)
class _Deal:
    """Labels dealt at random, and room to change a few people's.

    Parameters
    ----------
    dealt
        Who is dealt a label first, second and so on, shape (N,).
    place
        When each person is dealt hers, shape (N,).
    is_copied
        All False between uses, shape (N,).
    members
        How many are dealt "member".
    """

    dealt: Integers
    place: Integers
    is_copied: Flags
    members: int

    @classmethod
    def of(cls, dealt: Integers, members: int) -> _Deal:
        """Note when each person is dealt a label."""
        place = np.empty(len(dealt), np.int64)
        place[dealt] = np.arange(len(dealt))
        return cls(dealt, place, np.zeros(len(dealt), np.bool_), members)

    def last_member(self, copied: Integers) -> int:
        """Return how many of those dealt first are members if all the copied are, too.

        As many who were dealt theirs last and are not copied give it to the copied.
        """
        missing = int((self.place[copied] >= self.members).sum())
        if not missing:
            return self.members
        first = max(0, self.members - missing - len(copied))
        others = np.flatnonzero(~self.is_copied[self.dealt[first : self.members]])
        return first + int(others[-missing])

    def member(self, people: Integers, last: int) -> Flags:
        """Return who of some people are members."""
        return np.asarray((self.place[people] < last) | self.is_copied[people])


@dataclass(frozen=True, eq=False)
class _Planted:
    """What is known before copies are planted."""

    tables: AttackTables
    matcher: Matcher
    totals: Floats
    least: Integers
    hit: tuple[Integers, ...]
    order: Integers
    log_factorials: Floats
    groups: tuple[_Group, ...]
    threshold: float
    most: int

    @classmethod
    def of(
        cls,
        tables: AttackTables,
        matcher: Matcher | None,
        matched: Matched | None,
        threshold: float,
        seed: int,
    ) -> _Planted:
        from scipy.special import gammaln

        matcher = matcher or Matcher.of(tables)
        matched = matched or matcher.match(tables)
        totals, people = matched.totals, len(tables.member)
        share = tables.n_members / people
        standing_out = np.zeros(people, np.bool_)
        rarity = isolation(tables)
        standing_out[rarest(rarity, _VULNERABLE)] = True
        least = record_differences(tables, most=1).least
        groups = [
            _Group.of(key, inside, totals, share, seed)
            for key, inside in (
                ("membership/matching/top", np.ones(people, np.bool_)),
                ("membership/matching/vulnerable/top", standing_out),
            )
        ]
        return cls(
            tables,
            matcher,
            totals,
            least,
            tuple(np.flatnonzero(least <= most) for most in (0, 1)),
            np.argsort(-rarity, kind="stable"),
            gammaln(np.arange(people + 1) + 1.0),
            tuple(group for group in groups if group is not None),
            threshold,
            int(max(1, min(_MOST, people // 2, tables.n_members, _MOST_SHARE * tables.rows))),
        )

    def smallest(self, leak: Leak, place: int, plantings: int, seed: int) -> DetectableLeak:
        """Return the fewest copies that are noticed often enough."""
        random = np.random.default_rng([seed, place])
        people = len(self.tables.member)
        if leak == "outliers":
            sources = self.order[: 2 * self.most]
        else:
            sources = random.choice(people, min(2 * self.most, people), replace=False)
        kind: Literal["verbatim", "noisy"] = "verbatim" if leak == "verbatim" else "noisy"
        shown = planted_copies(self.tables, sources, kind, seed=int(random.integers(2**31)))
        apart = _differences(self.tables, shown, sources)
        needed = np.zeros(plantings, np.int64)
        copies = 0
        for _ in range(1 if kind == "verbatim" else _ROUNDS):
            # the more copies a release holds, the less odd is each: as many as were needed before
            starts, persons, ratios = self.matcher.match_each(shown, copies=float(copies))
            row = np.repeat(np.arange(len(sources)), np.diff(starts))
            matter = ratios >= _NEGLIGIBLE * min(
                (group.reached for group in self.groups), default=0.0
            )
            listed = row[matter], persons[matter], ratios[matter]
            for planting in range(plantings):
                own = np.random.default_rng([seed, place, planting])
                needed[planting] = self._needed(leak, sources, listed, apart, own)
            found = int(np.quantile(needed, _ENOUGH, method="higher"))
            copies = min(found, self.most)
        if kind == "noisy":
            found = math.ceil(_MARGIN * found)
        return DetectableLeak(
            found if found <= self.most else None, self.most, self.tables.rows, plantings
        )

    def _needed(
        self,
        leak: Leak,
        sources: Integers,
        listed: tuple[Integers, Integers, Floats],
        apart: Integers,
        random: np.random.Generator,
    ) -> int:
        """Return the fewest copies noticed with one deal of labels; beyond the most if none is."""
        row, persons, ratios = listed
        drawn = random.permutation(len(sources))
        deal = _Deal.of(random.permutation(len(self.totals)), self.tables.n_members)
        totals = self.totals.copy()
        low, high = 0, self.most + 1
        while high - low > 1:
            number = (low + high) // 2
            # of those who stand out most, half are members
            among = drawn[drawn < 2 * number] if leak == "outliers" else drawn
            chosen = among[:number]
            part = np.zeros(len(sources), np.bool_)
            part[chosen] = True
            which = part[row]
            lifted = persons[which]
            np.add.at(totals, lifted, ratios[which])
            deal.is_copied[sources[chosen]] = True
            p_value = self._p_value(totals, lifted, sources[chosen], apart[chosen], deal)
            deal.is_copied[sources[chosen]] = False
            totals[lifted] = self.totals[lifted]
            low, high = (low, number) if p_value <= self.threshold else (number, high)
        return high

    def _p_value(
        self, totals: Floats, lifted: Integers, copied: Integers, apart: Integers, deal: _Deal
    ) -> float:
        """Return the smallest p-value of the tests that look for copies, over its error share."""
        last = deal.last_member(copied)
        p_values = [group.p_value(totals, lifted, deal, last) for group in self.groups]
        for hit, most, key in zip(self.hit, (0, 1), _COPIES, strict=True):
            came = int(((self.least[copied] > most) & (apart <= most)).sum())
            of_members = int(deal.member(hit, last).sum()) + came
            p_value = self._at_least(of_members, len(hit) + came)
            p_values.append(p_value / ERROR_SHARES[key])
        return min(p_values)

    def _at_least(self, of_members: int, hits: int) -> float:
        """Return the chance that so many of the people hit are members (Fisher)."""
        people, members = len(self.totals), self.tables.n_members
        logs = self.log_factorials
        number = np.arange(max(of_members, hits + members - people), min(hits, members) + 1)
        ways = logs[hits] - logs[number] - logs[hits - number]
        others = people - hits
        left = members - number
        ways = ways + logs[others] - logs[left] - logs[others - left]
        whole = logs[people] - logs[members] - logs[people - members]
        return float(np.exp(ways - whole).sum())


def _differences(tables: AttackTables, shown: list[Shown], sources: Integers) -> Integers:
    """Return in how many columns each copy differs from its source."""
    apart = np.zeros(len(sources), np.int64)
    for column, cells in zip(tables.columns, shown, strict=True):
        if column.kind == "number":
            value = column.numbers[sources]
            missing = np.isnan(value) & np.isnan(cells.low)
            apart += ~(missing | ((cells.low <= value) & (value <= cells.high)))
        elif column.covers is None:
            apart += (cells.label != column.real[sources]) & (cells.label != STAR)
        else:
            label = cells.label
            apart += (label != STAR) & ~column.covers[label, column.real[sources]]
    return apart
