"""How a figure may be read: never as safe, never without what it must be compared to.

Three outcomes where a search was sampled: evidence; no evidence at a stated sensitivity; not enough
data to say. A figure that was counted over the whole file is exact and is called so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sfumato.release.report.wording import amount, number

if TYPE_CHECKING:
    from sfumato.evaluation import Figure

__all__ = ["WIDE_INTERVAL", "Reading", "reading"]

#: A 95 % interval of a share that spans more than this says too little (10 percentage points).
WIDE_INTERVAL = 0.10

Outcome = Literal[
    "exact", "no interval", "evidence", "expected", "none seen", "not enough", "not computed"
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

    A figure with an interval is compared to its control (people who are not in the release), or
    else to its baseline (chance). Where the interval spans the comparison, the reader is told the
    largest excess that it leaves room for; where it is wide, that nothing can be said.

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
    if figure.interval is None:
        if figure.interval_method.startswith("exact") or figure.unit != "share":
            return Reading("exact", "exact count", "")
        return Reading("no interval", "no interval", "Without an interval it shows nothing alone.")
    low, high = figure.interval
    wide = figure.unit == "share" and high - low > WIDE_INTERVAL
    reference = figure.control if figure.control is not None else figure.baseline
    if reference is None:
        if wide:
            return Reading("not enough", "not enough evidence", _WIDE)
        return Reading("no interval", "nothing to compare", "There is no control to compare it to.")
    against = "people who are not in the release" if figure.control is not None else "chance"
    lower_is_worse = figure.direction == "higher is better"
    beyond = high < reference if lower_is_worse else low > reference
    chance = "" if figure.p_value is None else f" (p {_probability(figure.p_value)})"
    if beyond and rows_are_people:
        return Reading("expected", "as it was made", _OWN_ROWS)
    if beyond:
        excess = _gap(abs(figure.value - reference), figure.unit)
        sentence = f"The interval lies beyond what {against} would give{chance}: by {excess}."
        return Reading("evidence", "evidence of a leak", sentence)
    if wide:
        return Reading("not enough", "not enough evidence", _WIDE)
    room = _gap(max(0.0, reference - low if lower_is_worse else high - reference), figure.unit)
    sentence = f"No more than {against} would give{chance}; up to {room} more cannot be ruled out."
    return Reading("none seen", "no excess seen", sentence)


_OWN_ROWS = (
    "Its rows are these people's own, recoded, so they lie near them; what this means for who can "
    "be found is in the counts."
)


def _gap(size: float, unit: str) -> str:
    text = amount(size, unit)
    return text.replace("%", " percentage points") if unit == "share" else text


def _probability(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {number(p_value)}"
