"""The report of one release's evaluation: who could be found in it and what it still teaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato._version import __version__
from sfumato.release.report.page import Section, render
from sfumato.release.report.study_report import evaluation_content
from sfumato.release.report.summary import found_sentences, learned_sentences

if TYPE_CHECKING:
    from sfumato.release.evaluation import Evaluation

__all__ = ["render_evaluation"]

_SECTIONS = (
    Section("summary", "In plain words", "evaluation_summary.html"),
    Section("integrity", "The file itself", "integrity.html"),
    Section("risks", "The evidence: who could be found", "risks.html"),
    Section("losses", "What the cells no longer say", "losses.html"),
    Section("uses", "What it is still good for", "uses.html"),
    Section("learning", "What can be learned", "learning.html"),
    Section("distributions", "Distributions beside the real ones", "distributions.html"),
    Section("inputs", "What was compared", "inputs.html"),
    Section("limits", "Limits, and where the methods come from", "limits.html"),
)


#: What :meth:`~sfumato.release.evaluation.Evaluation.outward` leaves out.
_INSIDE = frozenset({"integrity", "learning", "distributions"})
_NOT_TOLD = "What models learn from it is told inside the house only."


def render_evaluation(evaluation: Evaluation, *, for_others: bool = False) -> str:
    """Return the report of an evaluation as one HTML text that opens offline.

    Parameters
    ----------
    evaluation
        Risk and use of one release, whoever made it.
    for_others
        Whether the page leaves the house, and ``evaluation`` is an outward one.
    """
    headline, learned = ("", (_NOT_TOLD,)) if for_others else learned_sentences(evaluation)
    target = next((result.target for result in evaluation.learned), None)
    names = (evaluation.release, *(result.version for result in evaluation.learned))
    versions = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return render(
        "evaluation.html",
        title=f"{evaluation.release}: evaluation",
        kind="Evaluation of a release",
        heading=evaluation.release,
        sfumato=__version__,
        sections=tuple(one for one in _SECTIONS if not for_others or one.anchor not in _INSIDE),
        for_others=for_others,
        evaluation=evaluation,
        headline=headline,
        learned=learned,
        noisy=(),
        drawn_from_a_model=(),
        found=found_sentences(evaluation),
        **evaluation_content({evaluation.release: evaluation}, versions, target, {}),
    )
