"""The first page in plain words: what the attacks found, how sure that is, what was not tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.evaluation.outcomes import Outcome, joint_upper, outcome, worst
from sfumato.release.report.families import FAMILIES, Family
from sfumato.release.report.wording import amount, listing, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sfumato.evaluation import Figure
    from sfumato.release.evaluation import Evaluation

__all__ = ["TAGS", "FamilyVerdict", "Verdict", "verdict"]

#: How each outcome is called in the style sheet.
TAGS = {
    Outcome.EVIDENCE: "evidence",
    Outcome.NO_EVIDENCE: "none seen",
    Outcome.NOT_ENOUGH: "not enough",
    Outcome.NOT_TESTED: "not computed",
}
_MOST_NAMED = 3


@dataclass(frozen=True)
class FamilyVerdict:
    """What is said to one question.

    Parameters
    ----------
    family
        The question.
    outcome
        What its tests say together.
    sentence
        The same in plain words.
    tests
        How many figures were tested.
    """

    family: Family
    outcome: Outcome
    sentence: str
    tests: int

    @property
    def tag(self) -> str:
        """The outcome's name in the style sheet."""
        return TAGS[self.outcome]


@dataclass(frozen=True)
class Verdict:
    """What an evaluation says in plain words.

    Parameters
    ----------
    outcome
        What all tests say together.
    headline
        The outcome as a sentence.
    noticed
        What this evaluation would have noticed, a sentence each.
    families
        One for each question.
    tests
        How many figures were tested.
    """

    outcome: Outcome
    headline: str
    noticed: tuple[str, ...]
    families: tuple[FamilyVerdict, ...]
    tests: int

    @property
    def tag(self) -> str:
        """The outcome's name in the style sheet."""
        return TAGS[self.outcome]


def verdict(evaluation: Evaluation) -> Verdict:
    """Return what an evaluation's risk figures say, in words that a person can sign.

    Parameters
    ----------
    evaluation
        Of one release.
    """
    figures = evaluation.risks
    tested = {key: one for key, one in figures.items() if outcome(one) != Outcome.NOT_TESTED}
    families = tuple(_family(family, figures, len(tested)) for family in FAMILIES)
    together = worst([one.outcome for one in families])
    return Verdict(
        together, _headline(together, families), _noticed(figures), families, len(tested)
    )


def _headline(together: Outcome, families: tuple[FamilyVerdict, ...]) -> str:
    if together == Outcome.EVIDENCE:
        found = [one.family.title.lower() for one in families if one.outcome == together]
        return f"Evidence of a leak: {listing(found)}."
    if together == Outcome.NOT_ENOUGH:
        lacking = [one.family.title.lower() for one in families if one.outcome == together]
        return (
            f"Not enough data to say: {listing(lacking)}. What was tried found nothing, and would "
            "not have noticed a leak that matters."
        )
    if together == Outcome.NO_EVIDENCE:
        return "No evidence of a leak, at the sensitivity stated below."
    return "No attack could be tested: nothing is known about what this release gives away."


def _family(family: Family, figures: Mapping[str, Figure], tests: int) -> FamilyVerdict:
    own = family.of(figures)
    outcomes = {key: outcome(one) for key, one in own.items()}
    tested = {key: own[key] for key, said in outcomes.items() if said != Outcome.NOT_TESTED}
    said = _together(list(outcomes.values()))
    checked = figures.get("integrity/leaks")
    if family.key == "integrity" and checked is not None and checked.computed:
        return _of_checks(family, checked, said)
    if said == Outcome.NOT_TESTED:
        whys = dict.fromkeys(one.because for one in own.values() if one.because)
        why = f", because {listing(list(whys), most=2)}" if whys else ""
        return FamilyVerdict(family, said, f"Not tested{why}.", 0)
    if said == Outcome.EVIDENCE:
        found = [own[key] for key, one in outcomes.items() if one == said]
        found.sort(key=lambda one: (one.adjusted or 0.0, one.p_value or 0.0))
        named = " ".join(_found(one) for one in found[:_MOST_NAMED])
        more = len(found) - _MOST_NAMED
        rest = f" {plural(more, 'further test')} found a leak too." if more > 0 else ""
        return FamilyVerdict(family, said, named + rest, len(tested))
    sharp = [one for key, one in tested.items() if outcomes[key] == Outcome.NO_EVIDENCE]
    weighed = sharp if said == Outcome.NO_EVIDENCE else list(tested.values())
    bounds = [joint_upper(one, tests) for one in weighed if one.unit == "share"]
    known = [bound for bound in bounds if bound is not None]
    most = _per_thousand(max(known)) if known else ""
    if said == Outcome.NO_EVIDENCE:
        sentence = (
            f"At most {most} more than by chance could {family.could} (95% confidence, all tests "
            "together)."
            if most
            else "Members are not among the highest scores more often than chance."
        )
        blunt = len(tested) - len(sharp)
        if blunt:
            sentence += (
                f" {plural(blunt, 'further test')} had too few people or guesses to say anything."
            )
        return FamilyVerdict(family, said, sentence, len(tested))
    sentence = "Too few people to say."
    if most:
        sentence = f"Too few people to say: up to {most} more than by chance cannot be ruled out."
    noticed = [one.detectable for one in tested.values() if one.detectable is not None]
    if noticed:
        sentence += f" Only {_per_thousand(min(noticed))} or more would have been noticed."
    return FamilyVerdict(family, said, sentence, len(tested))


def _of_checks(family: Family, checked: Figure, tests: Outcome) -> FamilyVerdict:
    """Return what the checks of the file say: a leak is seen, not estimated."""
    made = checked.attacks or 0
    if checked.value:
        return FamilyVerdict(family, Outcome.EVIDENCE, checked.meaning, made)
    if tests == Outcome.EVIDENCE or not made:
        return FamilyVerdict(family, tests, checked.meaning, made)
    return FamilyVerdict(family, Outcome.NO_EVIDENCE, checked.meaning, made)


def _together(outcomes: list[Outcome]) -> Outcome:
    """Return what is said to a question: a leak if any test finds one, else what most can say."""
    tested = [one for one in outcomes if one != Outcome.NOT_TESTED]
    if not tested or Outcome.EVIDENCE in tested:
        return worst(tested)
    sharp = tested.count(Outcome.NO_EVIDENCE)
    return Outcome.NO_EVIDENCE if 2 * sharp >= len(tested) else Outcome.NOT_ENOUGH


def _found(figure: Figure) -> str:
    reference = figure.control if figure.control is not None else figure.baseline
    whom = "of others" if figure.control is not None else "by chance"
    against = "" if reference is None else f", {amount(reference, figure.unit)} {whom}"
    name = f"{figure.name[:1].upper()}{figure.name[1:]}"
    return f"{name}: {amount(figure.value, figure.unit)}{against}."


def _per_thousand(part: float) -> str:
    people = 1000 * max(part, 0.0)
    if people < 1:
        return "1 person in 1,000" if people > 0.1 else "1 person in 10,000"
    return f"{people:,.0f} people in 1,000" if round(people) != 1 else "1 person in 1,000"


def _noticed(figures: Mapping[str, Figure]) -> tuple[str, ...]:
    return tuple(
        one.meaning for key, one in figures.items() if key.startswith("planting/") and one.computed
    )
