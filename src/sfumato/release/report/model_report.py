"""The report of a trained model: what it gives away of the people it learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato._version import __version__
from sfumato.evaluation.outcomes import Outcome
from sfumato.release.report.page import Section, render
from sfumato.release.report.readings import Reading, reading

if TYPE_CHECKING:
    from sfumato.evaluation import Figure
    from sfumato.evaluation.trained_models import ModelEvaluation

__all__ = ["render_model"]

_SECTIONS = (
    Section("summary", "In plain words", "model_summary.html"),
    Section("figures", "The evidence, figure by figure", "model_figures.html"),
    Section("limits", "Limits, and where the methods come from", "model_limits.html"),
)
_FAMILIES = {
    "membership": "Who was a member",
    "attribute": "What is a person's secret",
    "shapley": "Whose row moved the model",
    "privacy_risk": "Who is at risk",
    "minimization": "What the model does not need",
}


@dataclass(frozen=True)
class _Line:
    """A figure and how it may be read."""

    key: str
    figure: Figure
    reading: Reading


def render_model(evaluation: ModelEvaluation, *, name: str) -> str:
    """Return the report of a model's evaluation as one HTML text that opens offline.

    Parameters
    ----------
    evaluation
        What was found.
    name
        What the model is called.
    """
    families: dict[str, list[_Line]] = {}
    for key, figure in evaluation.figures.items():
        title = _FAMILIES.get(key.partition("/")[0], "Other figures")
        families.setdefault(title, []).append(_Line(key, figure, reading(figure)))
    outcomes = evaluation.outcomes()
    return render(
        "model.html",
        title=f"{name}: what the model gives away",
        kind="Evaluation of a trained model",
        heading=name,
        sfumato=__version__,
        sections=_SECTIONS,
        evaluation=evaluation,
        families=families,
        leaks=[
            evaluation.figures[key] for key, said in outcomes.items() if said == Outcome.EVIDENCE
        ],
        tested=len(outcomes),
        sources=sorted({figure.source for figure in evaluation.figures.values()}),
        not_shown=sorted(
            {figure.not_shown for figure in evaluation.figures.values() if figure.not_shown}
        ),
    )
