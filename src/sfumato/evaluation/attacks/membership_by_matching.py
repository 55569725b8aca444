"""Membership from the released file alone: whose copy, changed or not, could be in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.highest_scores import highest_scores
from sfumato.evaluation.attacks.leaked_share import leaked_share
from sfumato.evaluation.attacks.matching import Matcher
from sfumato.evaluation.attacks.planting import LEAKS, minimum_detectable_leak
from sfumato.evaluation.attacks.record_differences import with_people
from sfumato.evaluation.attacks.true_positives import true_positives_figure
from sfumato.evaluation.attacks.vulnerable import vulnerable
from sfumato.evaluation.exchangeability import clopper_pearson
from sfumato.evaluation.figures import Direction, Figure
from sfumato.progress import Progress, silent

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.leaked_share import LeakedShare
    from sfumato.evaluation.attacks.planting import DetectableLeak, Leak
    from sfumato.evaluation.attacks.tables import AttackTables

__all__ = ["MembershipByMatching"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_LOWER: Direction = "lower is better"
_SOURCE = "Fellegi & Sunter 1969, likelihood ratios of record linkage"
_NOT_SHOWN = (
    "It does not show people of whom only a few cells are in the release, nor what an attacker "
    "learns who knows how the release was made."
)
_PLANTED = "leaks planted in this release; power 0.8 as in Cohen 1988, chapter 1"
_FEWEST_PEOPLE = 2_000


class MembershipByMatching(Attack):
    """Match every person with every released row by likelihood ratios, and rank the people.

    Parameters
    ----------
    false_positives
        Shares of the control people who may be accused wrongly, each above 0 and below 1.
    vulnerable
        Share of the people, those who stand out most, who are also attacked by themselves, 0 to 1;
        0 leaves them out. They are chosen without looking at who is a member.
    comparisons
        Most pairs of a released row and a person; of more people some are drawn at random.
    plantings
        How often copies are planted to learn how few are noticed; 0 leaves it out.
    """

    knowledge: ClassVar[str] = (
        "Somebody knows the whole record of a person, other people like her, and the release, and "
        "wants to know whether a row of it is a copy of hers, changed or not."
    )

    false_positives: tuple[float, ...] = (0.001, 0.01)
    vulnerable: float = Field(default=0.05, ge=0, le=1)
    comparisons: int = Field(default=4_000_000_000, ge=1)
    plantings: int = Field(default=40, ge=0)

    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Match everybody.

        The figures are ``membership/matching[/vulnerable]/…``, ``leaked_share`` and
        ``planting/<leak>``.

        ``top`` tests whether members are among the highest scores; ``tpr_at_<x>_percent`` are true
        positive rates.
        """
        because = _lacking(tables)
        score, chosen = np.zeros(0), np.zeros(0, np.int64)
        estimate = None
        detectable: dict[Leak, DetectableLeak] = {}
        if not because:
            tables = _few_enough(tables, self.comparisons, seed)
            progress("matching records", 0, 1)
            matcher = Matcher.of(tables)
            matched = matcher.match(tables)
            score = matched.scores
            estimate = leaked_share(tables, matcher, matched, seed=seed)
            progress("matching records", 1, 1)
            if self.plantings:
                progress("planting copies", 0, 1)
                detectable = minimum_detectable_leak(
                    tables,
                    seed=seed,
                    plantings=self.plantings,
                    matcher=matcher,
                    matched=matched,
                )
                progress("planting copies", 1, 1)
            if self.vulnerable:
                chosen = vulnerable(tables, self.vulnerable)
        groups = {"membership/matching": (np.arange(len(score)), "")}
        if self.vulnerable:
            groups["membership/matching/vulnerable"] = (
                chosen,
                f", of the {self.vulnerable:.0%} of people who stand out most",
            )
        found: dict[str, Figure] = {}
        for prefix, (who, whose) in groups.items():
            member = tables.member[who] if len(who) else np.zeros(0, np.bool_)
            lacking = because
            if not lacking and (member.all() or not member.any()):
                lacking = "these people are all members or all controls"
            found[f"{prefix}/top"] = _top(score[who], member, whose, lacking, seed)
            for rate in self.false_positives:
                found[f"{prefix}/tpr_at_{100 * rate:g}_percent"] = true_positives_figure(
                    score[who],
                    member,
                    rate,
                    attack=f"membership by matching{whose}",
                    source=_SOURCE,
                    not_shown=_NOT_SHOWN,
                    lacking=lacking,
                )
        found["leaked_share"] = _share(estimate, tables, because)
        if self.plantings:
            for leak in LEAKS:
                found[f"planting/{leak}"] = _planted(leak, detectable.get(leak), because)
        noisy = detectable.get("noisy")
        if noisy is not None and noisy.people is not None:
            top = found["membership/matching/top"]
            noticed = noisy.people / max(tables.n_members, 1)
            found["membership/matching/top"] = replace(top, detectable=noticed)
        return found


def _lacking(tables: AttackTables) -> str:
    if not tables.rows:
        return "the release has no rows"
    if not tables.n_members:
        return "there are no members"
    return "" if tables.n_controls else "there are no control people"


def _few_enough(tables: AttackTables, comparisons: int, seed: int) -> AttackTables:
    """Return the tables with as many people, drawn at random, as there is time for."""
    people = max(_FEWEST_PEOPLE, comparisons // tables.rows)
    if len(tables.member) <= people:
        return tables
    rows = np.random.default_rng(seed).choice(len(tables.member), people, replace=False)
    kept = with_people(tables, np.sort(rows))
    return kept if kept.n_members and kept.n_controls else tables


def _none(name: str, because: str) -> Figure:
    return Figure.not_computed(name, because, unit="share", direction=_LOWER, source=_SOURCE)


def _top(score: Floats, member: Flags, whose: str, lacking: str, seed: int) -> Figure:
    name = f"membership by matching{whose}: members among the highest scores"
    if lacking:
        return _none(name, lacking)
    found = highest_scores(score, member, seed=seed)
    return Figure(
        name=name,
        value=found.members / found.depth,
        unit="share",
        direction=_LOWER,
        meaning=(
            f"Of the {found.depth:,} people of whom a released row is most likely a copy, "
            f"{found.members:,} are members; by chance it would be {found.expected:,.1f}. The test "
            "weighs the highest most."
        ),
        source=_SOURCE,
        interval=clopper_pearson(found.members, found.depth),
        interval_method="Clopper-Pearson, 95 %; p by exchanging members and controls",
        baseline=found.expected / found.depth,
        p_value=found.p_value,
        attacks=len(score),
        not_shown=_NOT_SHOWN,
    )


def _share(estimate: LeakedShare | None, tables: AttackTables, because: str) -> Figure:
    name = "share of released rows that are copies of members"
    if estimate is None:
        return _none(name, because)
    return Figure(
        name=name,
        value=estimate.value,
        unit="share",
        direction=_LOWER,
        meaning=(
            f"Of 1,000 released rows, about {1000 * estimate.value:,.0f} are copies of members, "
            "as they are or lightly changed, beyond what controls would show."
        ),
        source="Fellegi & Sunter 1969, section 4; copies planted to learn what one shows",
        interval=estimate.interval,
        interval_method="normal, 95 %, rows weighed by strength of match",
        baseline=0.0,
        attacks=tables.rows,
        not_shown=(
            "Changed copies are counted as if changed so: numbers moved by 1 % of the range, a "
            "quarter of the categories redrawn. Of copies changed more, it shows too few."
        ),
    )


_COPIES: dict[str, str] = {
    "verbatim": "copied as they are",
    "noisy": "copied lightly changed",
    "outliers": "of those who stand out most, copied lightly changed",
}


def _planted(leak: Leak, found: DetectableLeak | None, because: str) -> Figure:
    name = f"minimum detectable leak: people {_COPIES[leak]}"
    if found is not None and found.people is None:
        because = (
            f"not even {found.most:,} people {_COPIES[leak]} among {found.rows:,} rows were "
            "noticed in four of five plantings: there is not enough data to say"
        )
    if found is None or found.people is None:
        return Figure.not_computed(name, because, unit="people", direction=_LOWER, source=_PLANTED)
    return Figure(
        name=name,
        value=float(found.people),
        unit="people",
        direction=_LOWER,
        meaning=(
            f"This evaluation would have noticed {found.people:,} or more people "
            f"{_COPIES[leak]} among {found.rows:,} released rows, in four of five cases."
        ),
        source=_PLANTED,
        interval_method=(
            f"{found.plantings} plantings in this release; noticed if a test of copies or of "
            "matching is evidence, all tests taken together"
        ),
        attacks=found.plantings,
        not_shown="It does not hold for copies that were changed more, or in other ways.",
    )
