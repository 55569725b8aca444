"""The questions as a form shows them: what is asked, and what of the answer is ever shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sfumato.donation.records.questions import (
    CategoryQuestion,
    NumberQuestion,
    QuasiIdentifierQuestion,
)

__all__ = ["FormQuestion", "form_questions"]

_EXACT = (
    "Shared as you give it, and only if your donation is among those drawn by chance; the servers "
    "never see it."
)
_COARSE = (
    "Shared only in a coarse form, chosen so that at least {k} donors look alike; the exact answer "
    "never leaves your device readable."
)


@dataclass(frozen=True)
class FormQuestion:
    """One question of the form page.

    Parameters
    ----------
    column
        Name of the answer's column in the released table.
    label
        The question.
    kind
        ``"choice"`` or ``"number"``.
    shared
        ``"coarse"`` for a quasi-identifier, ``"exact"`` for a sensitive answer.
    explanation
        What is shared, in words for the donor.
    choices
        The possible answers of a choice.
    minimum, maximum, step
        Bounds and resolution of a number.
    required
        Whether the question must be answered.
    example
        For a coarse answer: one possible answer at every level, from exact to ``*``.
    """

    column: str
    label: str
    kind: Literal["choice", "number"]
    shared: Literal["coarse", "exact"]
    explanation: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    required: bool = True
    example: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the question as plain JSON values."""
        return asdict(self)


def form_questions(
    quasi_identifiers: Sequence[QuasiIdentifierQuestion],
    sensitive: Sequence[CategoryQuestion | NumberQuestion],
    k: int,
) -> tuple[FormQuestion, ...]:
    """Return the questions of a form page, quasi-identifiers first.

    Parameters
    ----------
    quasi_identifiers, sensitive
        The questions of a task.
    k
        How many donors look alike in the release at least.
    """
    return (
        *(_coarse(question, k) for question in quasi_identifiers),
        *(_exact(question) for question in sensitive),
    )


def _coarse(question: QuasiIdentifierQuestion, k: int) -> FormQuestion:
    ladder = question.ladder
    middle = ladder.domain_size // 2
    example = tuple(
        ladder.labels[level][ladder.levels[level][middle]] for level in range(ladder.height + 1)
    )
    listed = question.choices or question.hierarchy.leaves or ()
    return FormQuestion(
        question.column,
        question.label,
        "number" if question.range else "choice",
        "coarse",
        _COARSE.format(k=k),
        () if question.range else listed,
        **_bounds(question),
        required=not question.missing,
        example=example,
    )


def _exact(question: CategoryQuestion | NumberQuestion) -> FormQuestion:
    return FormQuestion(
        question.column,
        question.label,
        "number" if isinstance(question, NumberQuestion) else "choice",
        "exact",
        _EXACT,
        question.choices if isinstance(question, CategoryQuestion) else (),
        **_bounds(question),
        required=not question.missing,
    )


def _bounds(
    question: QuasiIdentifierQuestion | CategoryQuestion | NumberQuestion,
) -> dict[str, Any]:
    if isinstance(question, CategoryQuestion) or question.range is None:
        return {}
    bounds = question.range
    return {
        "minimum": float(bounds.minimum),
        "maximum": float(bounds.maximum),
        "step": float(bounds.resolution),
    }
