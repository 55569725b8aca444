"""Figures as lines on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.evaluation import Figure
    from sfumato.release import Evaluation

__all__ = ["aligned", "figure_table", "figure_words"]


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table in plain text: the first column to the left, others to the right.

    Parameters
    ----------
    cells
        Rows of equally many texts, the first of them the head.
    """
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]))]
    lines = []
    for first, *others in cells:
        padded = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join((first.ljust(widths[0]), *padded)).rstrip())
    return lines


def figure_table(figures: Mapping[str, Figure]) -> list[str]:
    """Return figures as an aligned table, each beside its baseline, its control and its p-value.

    Figures that were not computed follow with the reason.
    """
    cells = [("figure", "value", "95 %", "baseline", "control", "p, together")]
    left_out: dict[str, list[str]] = {}
    for key, figure in figures.items():
        if not figure.computed:
            left_out.setdefault(figure.because, []).append(key)
            continue
        interval = figure.interval
        p_value = figure.p_value if figure.adjusted is None else figure.adjusted
        cells.append(
            (
                key,
                f"{_number(figure.value)} {figure.unit}",
                "–" if interval is None else f"{_number(interval[0])} to {_number(interval[1])}",
                _number(figure.baseline),
                _number(figure.control),
                "–" if p_value is None else f"{p_value:.2g}",
            )
        )
    lines = aligned(cells) if len(cells) > 1 else []
    return [*lines, *_not_computed(left_out)]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}"


def _not_computed(left_out: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"not computed, as {because}: {'; '.join(names)}" for because, names in left_out.items()
    ]


def figure_words(evaluation: Evaluation) -> list[str]:
    """Say the figures that a reader asks for first; the report has them all."""
    words = []
    left_out: dict[str, list[str]] = {}
    for key, figure in {**evaluation.risks, **evaluation.utility}.items():
        if not (key in evaluation.risks or key.startswith(("auc/", "f1/"))):
            continue
        if not figure.computed:
            left_out.setdefault(figure.because, []).append(figure.name)
            continue
        interval = (
            f" ({figure.interval[0]:.4g} to {figure.interval[1]:.4g})" if figure.interval else ""
        )
        protocol = f" [{key.split('/', 1)[1]}]" if "/" in key else ""
        words.append(f"{figure.name}{protocol}: {figure.value:.4g}{interval} {figure.unit}")
    return [*words, *_not_computed(left_out)]
