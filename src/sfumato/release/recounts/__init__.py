"""The recount of every kind of promise, anew from the literature.

Nothing here knows how a release was made or how the rest of sfumato defines a promise: a promise
is its plain values (a kind and settings), a table is columns of texts. :mod:`tally` counts classes,
the modules named after what they measure hold the formulas, :mod:`judging` joins the two.
"""

from sfumato.release.recounts.judging import judge
from sfumato.release.recounts.outcome import CriterionCount, Outcome
from sfumato.release.recounts.promises import KINDS, Asked, checked_promise, reading_of
from sfumato.release.recounts.spelling import criterion_of_text
from sfumato.release.recounts.tally import Tally

__all__ = [
    "KINDS",
    "Asked",
    "CriterionCount",
    "Outcome",
    "Tally",
    "checked_promise",
    "criterion_of_text",
    "judge",
    "reading_of",
]
