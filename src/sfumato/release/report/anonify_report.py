"""The report of Anonify's study: one page that opens offline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato._version import __version__
from sfumato.evaluation.anonify.classifiers import CLASSIFIERS, HONEST_SCORES, PUBLISHED_SCORES
from sfumato.release.report import palette
from sfumato.release.report.anonify_charts import distribution_chart, risk_chart, score_chart
from sfumato.release.report.chart_style import DASHES
from sfumato.release.report.page import Section, identifier, render
from sfumato.release.report.svg import Chart
from sfumato.release.report.wording import listing, number, plural, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sfumato.evaluation.anonify import ClassifierScores, Distribution, Spread
    from sfumato.release.anonify import AnonifyStudy

__all__ = ["render_anonify"]

_SECTIONS = (
    Section("summary", "In plain words", "anonify_summary.html"),
    Section("loss", "Information loss", "anonify_loss.html"),
    Section("distributions", "Distributions by quasi-identifier", "anonify_distributions.html"),
    Section("classifiers", "What the classifiers learn", "anonify_classifiers.html"),
    Section("risk", "Risk and certainty", "anonify_risk.html"),
    Section("limits", "Limits, and where the methods come from", "anonify_limits.html"),
)
_HEADINGS = {
    "published": (
        ("accuracy", "Accuracy"),
        ("precision", "Precision, weighted"),
        ("recall", "Recall, weighted"),
        ("f1", "F1, weighted"),
    ),
    "honest": (
        ("accuracy", "Accuracy"),
        ("majority_accuracy", "Always the commonest"),
        ("f1", "F1 of the class"),
        ("auc", "AUC"),
    ),
}
_RISKS = (
    ("average_risk", "Average risk, over the original rows"),
    ("average_risk_of_released", "Average risk, over the released rows"),
    ("least_risk", "Least risk"),
    ("highest_risk", "Highest risk"),
    ("average_certainty", "Average certainty"),
    ("least_certainty", "Least certainty"),
    ("highest_certainty", "Highest certainty"),
)
_MOST_CHARTS = 18


@dataclass(frozen=True)
class _Line:
    """One version's scores by one classifier: in each convention medians and what is beneath."""

    version: str
    published: tuple[tuple[str, tuple[str, ...]], ...]
    honest: tuple[tuple[str, tuple[str, ...]], ...]
    because: tuple[str, ...]


def render_anonify(study: AnonifyStudy) -> str:
    """Return the report of Anonify's study as one HTML text that opens offline.

    Parameters
    ----------
    study
        What was found.
    """
    from sfumato.release.anonify import ANONYMIZED, ORIGINAL, sample_name

    names = (ORIGINAL, *study.risks)
    sampled = sample_name(study.settings.distribution_delete)
    versions = {name: place for place, name in enumerate(dict.fromkeys((*names, sampled)))}
    compared = {name: versions[name] for name in (ORIGINAL, ANONYMIZED, sampled)}
    drawn, left_out = _distribution_charts(study.distributions, compared)
    risks = {name: place for name, place in versions.items() if name in study.risks}
    return render(
        "anonify.html",
        title="Anonify's assessments",
        kind="Assessment of a sampled k-anonymous table",
        heading=(
            f"{plural(study.table.rows, 'row')}, {plural(study.table.classes, 'class', 'classes')}"
        ),
        sfumato=__version__,
        sections=_SECTIONS,
        versions=versions,
        compared=compared,
        colours=palette.SERIES,
        dashes=[" ".join(map(str, dash)) for dash in DASHES],
        study=study,
        sentences=_sentences(study),
        distribution_charts=drawn,
        not_drawn=left_out,
        tables=[(table, _cells(table)) for table in study.distributions],
        sampled=sampled,
        score_charts=_score_charts(study, versions),
        headings=_HEADINGS,
        classifiers=_classifiers(study.scores),
        runs=max((one.runs for one in study.scores), default=1),
        training_notes=tuple(
            dict.fromkeys(f"{one.classifier}: {note}" for one in study.scores for note in one.notes)
        ),
        short={name: short for name, (short, _, _) in CLASSIFIERS.items()},
        risk_lines=_RISKS,
        risk_charts=[
            risk_chart(study.risks, risks, what, identifier("chart", what))
            for what in ("risk", "certainty")
        ],
    )


def _sentences(study: AnonifyStudy) -> tuple[str, ...]:
    """Return the study in a few sentences."""
    from sfumato.release.anonify import ANONYMIZED, sample_name

    table, whole = study.table, study.risks[ANONYMIZED]
    found = [
        f"The anonymized table has {number(table.classes)} classes of equal "
        f"{listing(study.quasi_identifiers)}; the smallest holds "
        f"{plural(table.smallest_class, 'row')}"
        + (
            f" (without the {number(table.suppressed)} suppressed rows: "
            f"{number(table.smallest_class_without_suppressed)})."
            if table.suppressed and table.smallest_class_without_suppressed is not None
            else "."
        )
    ]
    if study.loss is not None:
        found.append(f"It lost {share(study.loss.value)} by the normalized certainty penalty.")
    if study.settings.delete:
        most = max(study.settings.delete)
        before = whole.with_suppressed.average_risk
        after = study.risks[sample_name(most)].with_suppressed.average_risk
        found.append(
            f"Deleting {share(most)} of every class lowers the average risk of the original people "
            f"from {share(before)} to {share(after)}; the risk of a person who is in the release "
            "and known to be there stays what it was."
        )
    found += _learned_sentences(study.scores)
    return tuple(found)


def _learned_sentences(scores: Sequence[ClassifierScores]) -> list[str]:
    from sfumato.release.anonify import ANONYMIZED, ORIGINAL

    honest = {
        (one.classifier, one.version): one.scores["f1"].median
        for one in scores
        if one.convention == "honest" and "f1" in one.scores
    }
    both = [name for name in CLASSIFIERS if {(name, ORIGINAL), (name, ANONYMIZED)} <= set(honest)]
    if not both:
        return []
    best = max(both, key=lambda name: honest[name, ORIGINAL])
    before, after = honest[best, ORIGINAL], honest[best, ANONYMIZED]
    sentence = (
        f"Tested on the same real people, the best classifier ({best}) reaches an F1 of "
        f"{before:.3f} when trained on the original rows and {after:.3f} on the anonymized ones."
    )
    return [sentence]


def _distribution_charts(
    tables: Iterable[Distribution], versions: dict[str, int]
) -> tuple[list[Chart], int]:
    """Return charts of all means, and of the last value of what is counted (1 of 0 and 1)."""
    chosen = [
        (table, len(table.values) - 1)
        for table in tables
        if len(table.values) in (1, 2) and _holds_any(table, len(table.values) - 1)
    ]
    drawn = [
        distribution_chart(table, value, versions, identifier("distribution", place))
        for place, (table, value) in enumerate(chosen[:_MOST_CHARTS])
    ]
    return drawn, max(0, len(chosen) - _MOST_CHARTS)


def _holds_any(table: Distribution, value: int) -> bool:
    """Return whether anything of a value would be drawn: no row may lie in any of the bins."""
    rows = (table.original[value], table.anonymized[value], table.sampled[value])
    return any(one for row in rows for one in row)


def _cells(table: Distribution) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """Return for each value its name, and for each bin the three versions in figures."""
    written = []
    for value, name in enumerate(table.values):
        rows = [
            (
                label,
                *(
                    _figure(one[value][place], table.kind)
                    for one in (table.original, table.anonymized, table.sampled)
                ),
            )
            for place, label in enumerate(table.bins)
        ]
        written.append((name, [(row[0], row[1], row[2], row[3]) for row in rows]))
    return written


def _figure(value: float | None, kind: str) -> str:
    if value is None:
        return "–"
    if kind == "count":
        return f"{value:,.1f}".removesuffix(".0")
    return f"{value:,.3f}"


def _score_charts(study: AnonifyStudy, versions: dict[str, int]) -> list[Chart]:
    known = {one.version for one in study.scores}
    shown = {name: place for name, place in versions.items() if name in known}
    drawn = [
        score_chart(
            [one for one in study.scores if one.convention == convention],
            key,
            title,
            shown,
            identifier("scores", convention, key),
        )
        for convention, key, title in (
            ("published", "accuracy", "Accuracy as published, on each version's own rows"),
            ("honest", "f1", "F1 of the class, on the same real people"),
        )
    ]
    return [chart for chart in drawn if chart is not None]


def _classifiers(scores: Sequence[ClassifierScores]) -> list[tuple[str, list[_Line]]]:
    """Return for each classifier its versions, both conventions side by side."""
    by_key = {(one.classifier, one.version, one.convention): one for one in scores}
    found = []
    for name in dict.fromkeys(one.classifier for one in scores):
        lines = []
        for version in dict.fromkeys(one.version for one in scores):
            sides = [by_key[name, version, convention] for convention in _HEADINGS]
            lines.append(
                _Line(
                    version,
                    _written(sides[0], PUBLISHED_SCORES),
                    _written(sides[1], HONEST_SCORES),
                    tuple(dict.fromkeys(side.because for side in sides if side.because)),
                )
            )
        found.append((name, lines))
    return found


def _written(
    scores: ClassifierScores, keys: Sequence[str]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        _spread(scores.scores[key], scores.runs) if key in scores.scores else ("–", ())
        for key in keys
    )


def _spread(spread: Spread, runs: int) -> tuple[str, tuple[str, ...]]:
    """Return the median, and beneath it the lowest to the highest run and the interval."""
    low, high = f"{spread.lowest:.3f}", f"{spread.highest:.3f}"
    beneath = [f"{low}–{high}"] if runs > 1 and low != high else []
    if spread.interval is not None:
        beneath.append("[{:.3f}, {:.3f}]".format(*spread.interval))
    return f"{spread.median:.4f}", tuple(beneath)
