"""The pages of the form: questions, preview, thanks. No script, no request to any server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

from sfumato.donation.clients.answers import answers_row, problems_of
from sfumato.donation.messages import TaskConfiguration

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["CONTENT_POLICY", "FormPages", "PreviewLine", "preview"]

CONTENT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

Answers = Mapping[str, str | None]


@dataclass(frozen=True)
class PreviewLine:
    """What of one answer can ever be in the released table.

    Parameters
    ----------
    column, label
        The question.
    answer
        As it was given; a number as it is rounded.
    shown
        The forms in which the table may show it, from finest to coarsest; one for an exact answer.
    """

    column: str
    label: str
    answer: str
    shown: tuple[str, ...]


def preview(
    task: TaskConfiguration, answers: Answers
) -> tuple[tuple[PreviewLine, ...], tuple[PreviewLine, ...]]:
    """Return what is shared of a donor's answers: in a coarse form, and exactly.

    Raises
    ------
    SchemaError, DataError
        If an answer is none of the possible ones.
    """
    row = answers_row(task, answers)
    coarse = []
    for question in task.quasi_identifiers:
        leaf = question.codes(row[question.column])
        ladder = question.ladder
        forms = [
            ladder.labels[level][ladder.levels[level][leaf[0]]]
            for level in range(ladder.height + 1)
        ]
        given = _text(question.values(leaf))
        shown = tuple(dict.fromkeys(forms))
        coarse.append(PreviewLine(question.column, question.label, given, shown))
    exact = []
    for answer in task.sensitive:
        given = _text(answer.values(answer.codes(row[answer.column])))
        exact.append(PreviewLine(answer.column, answer.label, given, (given,)))
    return tuple(coarse), tuple(exact)


class FormPages:
    """Renders the pages of one task.

    Parameters
    ----------
    task
        The signed configuration.
    """

    def __init__(self, task: TaskConfiguration) -> None:
        self._task = task

    def questions(
        self, answers: Answers | None = None, problems: Mapping[str, str] | None = None
    ) -> str:
        """Return the page of the questions.

        Parameters
        ----------
        answers
            What to fill in.
        problems
            By column what is wrong with an answer.
        """
        return self._render(
            "questions.html",
            title=self._task.title,
            coarse=[question for question in self._task.form if question.shared == "coarse"],
            exact=[question for question in self._task.form if question.shared == "exact"],
            answers=answers or {},
            problems=problems or {},
        )

    def checked(self, answers: Answers) -> str:
        """Return the preview of answers, or the questions again with what is wrong."""
        problems = problems_of(self._task, answers)
        if problems:
            return self.questions(answers, problems)
        return self.previewed(answers)

    def previewed(self, answers: Answers, failure: str = "") -> str:
        """Return the preview of possible answers; ``failure`` says why sending did not work."""
        coarse, exact = preview(self._task, answers)
        return self._render(
            "preview.html",
            title=f"Preview: {self._task.title}",
            coarse=coarse,
            exact=exact,
            answers=answers,
            failure=failure,
        )

    def thanks(self) -> str:
        """Return the page that ends it."""
        return self._render("thanks.html", title=f"Thank you: {self._task.title}")

    def _render(self, template: str, **content: Any) -> str:
        return _environment().get_template(template).render(task=self._task, **content)


def _text(values: pl.Series) -> str:
    value = values.item()
    return "no answer" if value is None else str(value)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sfumato.donation.form"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["policy"] = CONTENT_POLICY
    return environment
