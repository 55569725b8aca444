"""How a figure may be read: never as safe, never without what it must be compared to.

A figure that was tested has one of three outcomes: evidence of a leak, no evidence at a stated
sensitivity, not enough data to say; the error of all tests of an evaluation together is kept
(Holm). A figure that was counted over the whole file is exact and is called so; one that has an
interval and no test is only described.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sfumato.evaluation.outcomes import Outcome as Tested
from sfumato.evaluation.outcomes import outcome
from sfumato.release.report.wording import amount, number

if TYPE_CHECKING:
    from sfumato.evaluation import Figure

__all__ = ["WIDE_INTERVAL", "Reading", "reading"]

#: A 95 % interval of a share that spans more than this says too little (10 percentage points).
WIDE_INTERVAL = 0.10

Outcome = Literal[
    "exact",
    "no interval",
    "evidence",
    "beyond",
    "expected",
    "none seen",
    "not enough",
    "not computed",
]

_WIDE = (
    "The interval is wide: the data cannot tell a safe release from an unsafe one here. More "
    "control people or more rows looked at would narrow it."
)


@dataclass(frozen=True)
class Reading:
    """What a figure says: its outcome, a label of a few words, a sentence (mostly)."""

    outcome: Outcome
    label: str
    sentence: str


def reading(figure: Figure, *, rows_are_people: bool = False) -> Reading:
    """Return what a risk figure says, and what it does not say.

    A tested figure is read by its p-value for all tests together. Another one with an interval is
    compared to its control (people who are not in the release), or else to its baseline (chance);
    where the interval is wide, nothing can be said.

    Parameters
    ----------
    figure
        A figure of risk.
    rows_are_people
        Whether each released row is a real person's, recoded. That the release then lies near the
        people it was made from is no leak of a model but how it was made.
    """
    if figure.value is None:
        return Reading("not computed", "not computed", f"Not computed: {figure.because}.")
    if figure.p_value is not None:
        return _tested(figure, rows_are_people=rows_are_people)
    if figure.interval is None:
        if figure.interval_method.startswith("exact") or figure.unit != "share":
            return Reading("exact", "exact count", "")
        return Reading("no interval", "no interval", "Without an interval it shows nothing alone.")
    low, high = figure.interval
    wide = figure.unit == "share" and high - low > WIDE_INTERVAL
    reference = figure.control if figure.control is not None else figure.baseline
    if reference is None:
        if wide:
            return Reading("not enough", "not enough data", _WIDE)
        return Reading("no interval", "nothing to compare", "There is no control to compare it to.")
    against = _against(figure)
    lower_is_worse = figure.direction == "higher is better"
    beyond = high < reference if lower_is_worse else low > reference
    if beyond and rows_are_people:
        return Reading("expected", "as it was made", _OWN_ROWS)
    if beyond:
        excess = _gap(abs(figure.value - reference), figure.unit)
        sentence = (
            f"The interval lies beyond what {against} would give: by {excess}. It was not tested "
            "together with the others, so chance alone may have done it."
        )
        return Reading("beyond", "beyond its control", sentence)
    if wide:
        return Reading("not enough", "not enough data", _WIDE)
    room = _gap(max(0.0, reference - low if lower_is_worse else high - reference), figure.unit)
    sentence = f"No more than {against} would give; up to {room} more cannot be ruled out."
    return Reading("none seen", "no excess seen", sentence)


def _tested(figure: Figure, *, rows_are_people: bool) -> Reading:
    reference = figure.control if figure.control is not None else figure.baseline
    excess = (figure.value or 0.0) - (reference or 0.0)
    chance = f"p {_probability(figure.p_value or 0.0)}"
    if figure.adjusted is not None:
        chance += f", for all tests together {_probability(figure.adjusted)}"
    said = outcome(figure)
    if said == Tested.EVIDENCE:
        if rows_are_people and figure.baseline is not None and figure.control is None:
            return Reading("expected", "as it was made", _OWN_ROWS)
        sentence = f"{_gap(excess, figure.unit)} more than {_against(figure)} ({chance})."
        return Reading("evidence", "evidence of a leak", sentence)
    noticed = ""
    if figure.detectable is not None:
        gap = _gap(figure.detectable, figure.unit)
        noticed = f" An excess of {gap} or more would have been noticed in 4 of 5 cases."
    if said == Tested.NOT_ENOUGH:
        sentence = f"Too few people to tell a safe release from an unsafe one ({chance}).{noticed}"
        return Reading("not enough", "not enough data", sentence)
    sentence = f"No more than {_against(figure)}, as far as can be seen ({chance}).{noticed}"
    return Reading("none seen", "no evidence", sentence)


def _against(figure: Figure) -> str:
    return "people who are not in the release" if figure.control is not None else "chance"


_OWN_ROWS = (
    "Its rows are these people's own, recoded, so they lie near them; what this means for who can "
    "be found is in the counts."
)


def _gap(size: float, unit: str) -> str:
    text = amount(size, unit)
    return text.replace("%", " percentage points") if unit == "share" else text


def _probability(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {number(p_value)}"
