"""What can be learned from each version, gathered so that like is compared with like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.release.report.learning_charts import curve_charts, training_chart
from sfumato.release.report.wording import score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sfumato.evaluation import Learned
    from sfumato.release.report.svg import Chart

__all__ = [
    "PROTOCOLS",
    "SCORES",
    "Contest",
    "Leak",
    "Matrix",
    "contests",
    "leaks",
    "positives",
    "scored",
]

#: Shown from left to right: key in ``Learned.scores``, heading.
SCORES = (
    ("auc", "AUC"),
    ("average_precision", "Average precision"),
    ("balanced_accuracy", "Balanced accuracy"),
    ("f1", "F1"),
    ("precision", "Precision"),
    ("recall", "Recall"),
    ("accuracy", "Accuracy"),
    ("brier", "Brier score"),
)

#: Name and explanation of each protocol, the believable ones first.
PROTOCOLS = {
    "honest": (
        "honest",
        "Learned from the version's own rows, tested on real people whom no version was made from.",
    ),
    "honest-smote": (
        "honest, with SMOTE",
        "The rarer outcome is filled up by SMOTE, in the training rows only; the test is real.",
    ),
    "as-published": (
        "as published",
        "SMOTE on the whole table before it is split; shown only beside published numbers.",
    ),
}


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix with the share of each cell in its row.

    ``rows`` holds, for each real class, its name and (count, share of that class) per answer.
    """

    version: str
    labels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, float | None], ...]], ...]


@dataclass(frozen=True)
class Contest:
    """All versions under one model and one protocol: they can be compared with each other.

    Parameters
    ----------
    title, explanation
        The model and the protocol, and what the protocol does.
    warning
        Why not to believe it, or empty.
    results
        One per version, in the study's order.
    guess
        The scores of an answer without the features, by key of ``SCORES``.
    versions
        The versions that took part, with their positions.
    matrices
        The confusion matrices.
    curves
        ROC and precision-recall curves with their headings.
    training
        Losses by epoch, or None.
    notes
        What was done otherwise: (version, sentence).
    """

    title: str
    explanation: str
    warning: str
    results: tuple[Learned, ...]
    guess: dict[str, str]
    versions: dict[str, int]
    matrices: tuple[Matrix, ...]
    curves: tuple[tuple[str, Chart], ...]
    training: Chart | None
    notes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Leak:
    """One version's scores as published beside the honest ones."""

    version: str
    model: str
    published: Learned
    honest: Learned


def contests(results: Sequence[Learned], versions: Mapping[str, int]) -> tuple[Contest, ...]:
    """Return the results gathered by model and protocol; the honest ones first.

    Parameters
    ----------
    results
        Of all versions.
    versions
        Each version's name and position.
    """
    order = list(PROTOCOLS)
    kinds = sorted(
        {(result.protocol.value, result.model) for result in results},
        key=lambda kind: (order.index(kind[0]), kind[1]),
    )
    gathered = []
    for place, (protocol, model) in enumerate(kinds):
        chosen = [item for item in results if (item.protocol, item.model) == (protocol, model)]
        gathered.append(_contest(place, protocol, model, chosen, versions))
    return tuple(gathered)


def leaks(results: Sequence[Learned]) -> tuple[Leak, ...]:
    """Return each version and model that was tried both as published and honestly."""
    honest = {(item.version, item.model): item for item in results if item.protocol == "honest"}
    return tuple(
        Leak(item.version, item.model, item, honest[item.version, item.model])
        for item in results
        if item.protocol == "as-published" and (item.version, item.model) in honest
    )


def positives(results: Sequence[Learned]) -> float | None:
    """Return the share with the outcome among the real people tested; None if not two classes."""
    for result in results:
        if not result.rows_test_made and result.positives_test is not None:
            return result.positives_test / result.rows_test
    return None


def model_name(model: str) -> str:
    """Return a model's name in words.

    Examples
    --------
    >>> model_name("mlp"), model_name("gradient-boosting")
    ('neural network', 'gradient boosting')
    """
    return {"mlp": "neural network"}.get(model, model.replace("-", " "))


def scored(result: Learned, key: str) -> str:
    """Return a score for a cell of a table, or a dash where it was not computed."""
    figure = result.scores.get(key)
    return "–" if figure is None or figure.value is None else score(figure.value)


def _contest(
    place: int,
    protocol: str,
    model: str,
    results: Sequence[Learned],
    versions: Mapping[str, int],
) -> Contest:
    name, explanation = PROTOCOLS[protocol]
    title = f"{model_name(model)}, {name}"
    shown = {result.version: versions[result.version] for result in results}
    guess = {
        key: score(figure.baseline)
        for key, figure in results[0].scores.items()
        if figure.baseline is not None
    }
    return Contest(
        title=title,
        explanation=explanation,
        warning=next((result.warning for result in results if result.warning), ""),
        results=tuple(results),
        guess=guess,
        versions=shown,
        matrices=tuple(_matrix(result) for result in results if result.confusion is not None),
        curves=curve_charts(str(place), title, results, shown),
        training=training_chart(str(place), title, results, shown),
        notes=tuple((result.version, note) for result in results for note in result.notes),
    )


def _matrix(result: Learned) -> Matrix:
    confusion = result.confusion
    if confusion is None:
        return Matrix(result.version, (), ())
    rows = []
    for label, counts in zip(confusion.classes, confusion.counts, strict=True):
        total = sum(counts)
        cells = tuple((count, count / total if total else None) for count in counts)
        rows.append((label, cells))
    return Matrix(result.version, confusion.classes, tuple(rows))
