"""Singling out: predicates found from the release that fit exactly one person.

A predicate that fits one member might fit one person by chance. It is tried on as many controls as
members, and what counts is how much more often it isolates a member: a share of the predicates that
were built, never of those asked for. The p-value permutes who was a member among all people
attacked and recounts every predicate, so that predicates that overlap, or many that find the same
person, count for what they are.

References
----------
Article 29 Working Party, opinion 05/2014 (WP216), section 2.2.1; A. Cohen, K. Nissim, "Towards
formalizing the GDPR's notion of singling out", PNAS 117 (2020), definitions 2.1 to 2.3; R. A.
Fisher, "The Design of Experiments" (1935); B. Phipson, G. K. Smyth, SAGMB 9 (2010); R. G. Newcombe,
Statistics in Medicine 17 (1998), method 10.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.coded_cells import CodedCells
from sfumato.evaluation.attacks.predicates import (
    Matches,
    Predicates,
    find,
    random_conjunctions,
    rarest_cells,
    values_and_ends,
    whole_records,
)
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.estimates import NORMAL_95, ONE_SIDED_95, POWER_80
from sfumato.evaluation.figures import Figure
from sfumato.progress import Progress, silent

__all__ = ["Isolated", "IsolatedPeople", "SinglingOut", "recount"]

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SOURCE = (
    "Article 29 Working Party, WP216, section 2.2.1; Cohen and Nissim, PNAS 117, 2020, "
    "definitions 2.1 to 2.3"
)
_INTERVAL = (
    "the control's share plus Newcombe's interval of the excess, on as many independent predicates "
    "as the variance under permuted labels tells"
)
#: Most matches that are listed: among twice as many people as are members, a predicate with more
#: isolates a member with a probability below 2e-11.
_LISTED = 40
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


class SinglingOut(Attack):
    """Build predicates from the release and count how many fit exactly one person.

    Parameters
    ----------
    columns
        Sizes of the random conjunctions, each at least 2.
    predicates
        Predicates of each kind at most, whole records aside.
    tries
        Conjunctions that are tried at most to find those that single out one released row.
    rarest
        A value is rare if at most so many released rows hold it.
    weight
        Released rows that a combination of rare cells may be expected to fit if columns were
        independent, above 0 and below 1; raised to 0.01 at most where few are so rare.
    tolerance
        Half the width of the window around a rare number, as a share of the released range.
    records
        Whole records that are tried at most.
    """

    knowledge: ClassVar[str] = (
        "Knows the release and nothing else, and looks for a description that fits exactly one of "
        "the people behind it."
    )

    columns: tuple[Annotated[int, Field(ge=2)], ...] = (2, 3, 4)
    predicates: int = Field(default=2_000, ge=1)
    tries: int = Field(default=200_000, ge=1)
    rarest: int = Field(default=3, ge=1)
    weight: float = Field(default=1e-7, gt=0, lt=1)
    tolerance: float = Field(default=0.02, ge=0, le=1)
    records: int = Field(default=50_000, ge=1)

    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Attack every member and every control with every predicate.

        Parameters
        ----------
        tables
            The release, its members and its controls.
        seed
            Of drawing people, predicates and labels.
        progress
            Told how far the work is.

        Returns
        -------
        dict of Figure
            ``singling_out/univariate``, ``singling_out/multivariate/c`` for each size c,
            ``singling_out/rare`` and ``singling_out/records``.
        """
        kinds = _kinds(self)
        rows = np.concatenate(tables.equal(seed))
        if not rows.size:
            because = "there are no controls" if tables.n_members else "there are no members"
            return {key: _absent(name, because) for key, (name, *_) in kinds.items()}
        found = self.isolated_people(tables, seed=seed, rows=rows, progress=progress)
        counted = recount(found, tables.member[rows], seed=seed)
        return {
            key: _figure(kinds[key], counted[key], len(rows) // 2)
            if key in counted
            else _absent(kinds[key][0], kinds[key][3])
            for key in kinds
        }

    def isolated_people(
        self,
        tables: AttackTables,
        *,
        seed: int,
        rows: Rows | None = None,
        progress: Progress = silent,
    ) -> IsolatedPeople:
        """Return which people satisfy each predicate, to be counted under any labels.

        Parameters
        ----------
        tables
            The release, its members and its controls.
        seed
            Of drawing predicates.
        rows
            Real rows that are attacked; all by default.
        progress
            Told how far the work is.
        """
        chosen = np.arange(len(tables.member)) if rows is None else rows
        member = tables.member[chosen]
        fewer = min(int(member.sum()), int((~member).sum()))
        most = _LISTED * max(1, math.ceil(len(chosen) / max(2 * fewer, 1)))
        cells = CodedCells.of(tables, chosen, tolerance=self.tolerance)
        families: list[str] = []
        built: list[tuple[Predicates, Matches]] = []
        kinds = _kinds(self)
        for place, (key, predicates) in enumerate(self._built(cells, seed)):
            progress("singling out", place, len(kinds))
            if len(predicates):
                families.append(key)
                built.append((predicates, find(cells.real, predicates, most=most, group=member)))
        progress("singling out", len(kinds), len(kinds))
        return _joined(families, built, most, len(chosen))

    def _built(self, cells: CodedCells, seed: int) -> Iterator[tuple[str, Predicates]]:
        randoms = iter(np.random.default_rng(seed).spawn(len(_kinds(self))))
        yield (
            "singling_out/univariate",
            values_and_ends(cells, rarest=self.rarest, most=self.predicates, random=next(randoms)),
        )
        for size in self.columns:
            yield (
                f"singling_out/multivariate/{size}",
                random_conjunctions(
                    cells,
                    columns=size,
                    most=self.predicates,
                    tries=self.tries,
                    random=next(randoms),
                ),
            )
        yield (
            "singling_out/rare",
            rarest_cells(cells, weight=self.weight, most=self.predicates),
        )
        yield (
            "singling_out/records",
            whole_records(cells, most=self.records, random=next(randoms)),
        )


def _joined(
    families: list[str], built: list[tuple[Predicates, Matches]], most: int, everybody: int
) -> IsolatedPeople:
    sizes = [len(predicates) for predicates, _ in built]
    none = np.zeros(0, dtype=np.int64)
    counts = np.concatenate([none, *(matches.counts for _, matches in built)])
    listed = np.where(counts <= most, counts, 0)
    people = [none]
    for _, matches in built:
        few = np.where(matches.counts <= most, matches.counts, 0)
        people.append(matches.listed[np.arange(most) < few[:, None]].astype(np.int64))
    alone = np.zeros((len(counts), 2), dtype=np.bool_)
    if built:
        alone = np.concatenate([matches.alone for _, matches in built])
    return IsolatedPeople(
        families=tuple(families),
        family=np.repeat(np.arange(len(sizes)), sizes),
        source=np.concatenate([none, *(predicates.source for predicates, _ in built)]),
        starts=np.concatenate([[0], np.cumsum(listed)]).astype(np.int64),
        people=np.concatenate(people),
        everybody=everybody,
        alone=alone & (counts > most)[:, None],
    )


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


def _kinds(settings: SinglingOut) -> dict[str, tuple[str, str, str, str]]:
    """Return name, description, what is not shown and why there may be none, by key."""
    several = "that together single out one released row"
    kinds = {
        "singling_out/univariate": (
            "singling out, one column",
            "rare values and the ends of one column",
            "Combinations of columns.",
            "no value is rare in the release and no column holds numbers",
        )
    }
    for size in settings.columns:
        kinds[f"singling_out/multivariate/{size}"] = (
            f"singling out, {size} columns",
            f"conditions on {size} random columns {several}",
            "Copies of a few people: random conditions hardly touch them.",
            f"no condition on {size} columns that was tried singles out one released row",
        )
    kinds["singling_out/rare"] = (
        "singling out, rare combinations",
        f"the rarest cells of the released rows that stand out most, {several}",
        "People without rare values.",
        "no released row has a rare enough combination of cells",
    )
    kinds["singling_out/records"] = (
        "singling out, whole records",
        "whole released rows that no other equals",
        "Copies that were changed in any cell.",
        "every released row has a twin, so that no row is singled out",
    )
    return kinds


def _absent(name: str, because: str) -> Figure:
    return Figure.not_computed(
        name, because, unit="share", direction="lower is better", source=_SOURCE
    )


def _figure(kind: tuple[str, str, str, str], counted: Isolated, size: int) -> Figure:
    name, built_from, not_shown, _ = kind
    low, high = (counted.controls + end for end in counted.interval)
    return Figure(
        name=name,
        value=counted.members,
        unit="share",
        direction="lower is better",
        meaning=(
            f"Of {counted.predicates:,} predicates built from the release ({built_from}), so many "
            f"fit exactly one of {size:,} members, {counted.people:,} different ones; the control "
            "is how many fit exactly one of as many people who are not in the release."
        ),
        source=_SOURCE,
        interval=(max(0.0, low), min(1.0, high)),
        interval_method=_INTERVAL,
        control=counted.controls,
        p_value=counted.p_value,
        upper=counted.upper,
        detectable=counted.detectable,
        attacks=counted.predicates,
        not_shown=not_shown,
    )
