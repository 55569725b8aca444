"""What the report shows of each data set: published figures matched to measured ones, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from autoencoder_study_parts.heat_map import heat_map
from autoencoder_study_parts.leaks import NEARER, OWN
from autoencoder_study_parts.learning import CLASSIFIERS, Score, difference
from autoencoder_study_parts.results import Measured, Study
from markupsafe import Markup

from sfumato.evaluation import Figure
from sfumato.evaluation.estimates import wilson
from sfumato.evaluation.outcomes import Outcome, outcome
from sfumato.release.report.figure_groups import FigureGroup, by_family, figure_groups, left_out
from sfumato.release.report.readings import Reading, reading
from sfumato.release.report.verdict import Verdict, verdict
from sfumato.release.report.wording import listing, number, plural, score, share

__all__ = ["Check", "Shown", "checked", "shown"]

_VERSIONS = {"real": "real rows", "ae": "AE", "vae": "VAE"}
#: What stands in for the classifiers that are not of scikit-learn.
_STOOD_FOR = ("XGB", "LGBM")
_FIGURES = {
    "own_source": "rows nearest to their own person",
    "nearer_to_member": "rows nearer to a member than to any control",
    "median_distance": "median distance to the nearest member",
    "median_distance_of_controls": "median distance of controls to the nearest member",
    "correlation_difference": "mean difference of the correlations",
    "ks": "KS distance",
    "lowest_ks": "lowest KS distance",
    "highest_ks": "highest KS distance",
    "sd": "standard deviation",
}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Check:
    """A figure of the shipped files that was computed before, and again now."""

    data: str
    release: str
    figure: str
    then: float
    now: float

    @property
    def title(self) -> str:
        """The figure in words."""
        kind, _, column = self.figure.partition("/")
        words = _FIGURES.get(kind, kind.replace("_", " "))
        return f"{words} of {column.replace('_', ' ')}" if column else words

    @property
    def of(self) -> str:
        """The release in words."""
        return _VERSIONS.get(self.release, self.release)

    @property
    def shown_then(self) -> str:
        """The earlier figure with the digits that it was given with, two at least."""
        return f"{self.then:.{self._digits}f}"

    @property
    def agrees(self) -> bool:
        """Whether the figure is the same now as far as the earlier one was written out."""
        return abs(self.now - self.then) <= 0.5 * 10.0**-self._digits

    @property
    def _digits(self) -> int:
        return max(2, len(repr(self.then).partition(".")[2]))


@dataclass(frozen=True)
class Paragraph:
    """What is said of one release: in red, of what it gives away, and of its use."""

    title: str
    leak: str
    words: str
    use: str


@dataclass(frozen=True)
class Cell:
    """One classifier's score: what it is, and what stands under it in small print."""

    value: str
    small: tuple[str, ...] = ()


@dataclass(frozen=True)
class LearningTable:
    """Rows of classifiers; each column has a head, a note under it, and whether it is published."""

    heads: tuple[tuple[str, str, bool], ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    note: str


@dataclass(frozen=True)
class RiskRow:
    """A risk as published, and what is measured of the same question."""

    question: str
    published: Mapping[str, Any]
    measured: Figure | None
    reading: Reading | None


@dataclass(frozen=True)
class ReleaseShown:
    """All that is shown of one release."""

    key: str
    title: str
    measured: Measured
    own: Figure
    own_leaks: bool
    own_p: str
    nearer: Figure
    nearer_reading: Reading
    verdict: Verdict
    families: tuple[tuple[str, str, tuple[FigureGroup, ...]], ...]
    left_out: tuple[tuple[str, str], ...]
    maps: tuple[tuple[str, Markup], ...]


@dataclass(frozen=True)
class Shown:
    """All that is shown of one data set."""

    key: str
    title: str
    study: Study
    paragraphs: tuple[Paragraph, ...]
    releases: tuple[ReleaseShown, ...]
    learning: LearningTable
    risks: tuple[tuple[str, bool, tuple[RiskRow, ...]], ...]
    versions: dict[str, int]


def checked(known: Mapping[str, Any], results: Mapping[str, Study]) -> list[Check]:
    """Compute again what published.toml says was computed before."""
    found = []
    for one in known["check"]:
        study = results.get(one["data"])
        for release in study.releases if study else ():
            if release.release.shipped and release.release.key == one["release"]:
                now = release.figure(one["figure"], study.data.target)
                found.append(
                    Check(one["data"], one["release"], one["figure"], one["value"], float(now))
                )
    return found


def shown(known: Mapping[str, Any], results: Mapping[str, Study]) -> list[Shown]:
    """Return what the report shows of each data set."""
    return [_shown(known, study) for study in results.values()]


def _shown(known: Mapping[str, Any], study: Study) -> Shown:
    data = study.data
    releases = tuple(_release(study, one) for one in study.releases)
    paragraphs = [_paragraph(study, one) for one in releases]
    if not releases:
        words = (
            f"The study did not ship its releases of these {data.members.height:,} people, so that "
            "nothing of them can be measured and the data set is left out. What was published "
            f"stands below; a release is measured with --released {data.key}=FILE.csv. {data.split}"
        )
        paragraphs = [Paragraph("Left out", "", words, "")]
    return Shown(
        data.key,
        data.title,
        study,
        tuple(paragraphs),
        releases,
        _learning(known["learning"].get(data.key, {}), study),
        _risks(known, study),
        {one.title: place for place, one in enumerate(releases)},
    )


def _release(study: Study, one: Measured) -> ReleaseShown:
    figures, names = one.evaluation.risks, study.data.members.columns
    difference_of = one.correlations - study.correlations
    mine = {one.release.title: {k: f for k, f in figures.items() if f.computed}}
    return ReleaseShown(
        one.release.key,
        one.release.title,
        one,
        figures[OWN],
        outcome(figures[OWN]) == Outcome.EVIDENCE,
        _power(one.closeness.log10_p_own),
        figures[NEARER],
        reading(figures[NEARER]),
        verdict(one.evaluation),
        by_family(figure_groups(mine)),
        left_out({one.release.title: one.evaluation}),
        tuple(
            (title, heat_map(matrix, names, title))
            for title, matrix in (
                ("Real people", study.correlations),
                ("Released rows", one.correlations),
                ("Released less real", difference_of),
            )
        ),
    )


def _power(exponent: float) -> str:
    """Return a bound on a p-value of which only the exponent can be said."""
    if exponent == 0:
        return "p = 1"
    if exponent > -3:
        return f"p ≤ {number(10**exponent)}"
    digits = str(math.ceil(exponent)).translate(_SUPERSCRIPTS)
    return f"p < 10{digits}"


# -- words ---------------------------------------------------------------------------------------


def _paragraph(study: Study, one: ReleaseShown) -> Paragraph:
    rows = one.measured.release.rows.height
    leak, words = "", []
    if one.own_leaks:
        leak = (
            f"Evidence of a leak: {share(one.own.value)} of its {rows:,} rows lie nearest to the "
            f"very person in the same row of the training table. Chance gives 1 row in {rows:,} "
            f"({one.own_p})."
        )
        words.append("Its rows are the people themselves, blurred, in their own order.")
    elif one.own.value is not None:
        hits = round(one.own.value * rows)
        words.append(
            f"{plural(hits, 'row')} of {rows:,} {'lies' if hits == 1 else 'lie'} nearest to the "
            "person in the same row of the training table, which chance gives too: its order tells "
            "nothing."
        )
    if one.verdict.outcome == Outcome.EVIDENCE:
        found = [line.family for line in one.verdict.families if line.outcome == Outcome.EVIDENCE]
        tested = listing([family.title.lower() for family in found])
        attacks = f"Of {plural(one.verdict.tests, 'test')}, those of {tested} found a leak."
        if leak:
            words.append(attacks)
        else:
            leak = f"Evidence of a leak. {attacks}"
    else:
        words.append(one.verdict.headline)
    return Paragraph(one.title, leak, " ".join(words), f"{_use(study, one)} {_spread(one)}")


def _use(study: Study, one: ReleaseShown) -> str:
    real, made = study.learned, one.measured.learned
    best = max(real, key=lambda name: real[name].accuracy)
    lost, low, high = difference(made[best], real[best])
    worse = sum(difference(made[name], real[name])[2] < 0 for name in real)
    sign = 1 if lost > 0 else -1
    low, high = sorted((100 * sign * low, 100 * sign * high))
    gap = f"{abs(100 * lost):.1f} points {'more' if sign > 0 else 'fewer'}"
    text = (
        f"What it teaches: {CLASSIFIERS[best].lower()} is right about "
        f"{share(made[best].accuracy)} of {len(made[best].right):,} other people, against "
        f"{share(real[best].accuracy)} when it learns from the real rows ({gap}, 95% interval "
        f"{low:.1f} to {high:.1f}); "
    ).replace("-", "−")
    return text + f"{worse} of {len(real)} classifiers are beyond chance worse than on real rows."


def _spread(one: ReleaseShown) -> str:
    kept = [column.spread for column in one.measured.columns if math.isfinite(column.spread)]
    text = (
        f"In the middle its columns keep {share(float(np.median(kept)))} of the real spread; its "
        f"correlations are off by {score(one.measured.correlation_difference)} on average."
    )
    return text + (" It has collapsed to a few average people." if np.median(kept) < 0.5 else "")


# -- tables --------------------------------------------------------------------------------------


def _learning(known: Mapping[str, Any], study: Study) -> LearningTable:
    said = known.get("accuracy", {})
    areas, rows = known.get("auc", {}), known.get("test_rows", 0)
    tested = study.data.controls.height
    ours = [("real", study.learned), *((one.release.key, one.learned) for one in study.releases)]
    heads: list[tuple[str, str, bool]] = []
    columns: list[tuple[bool, str, Mapping[str, Score]]] = []
    titles = {one.release.key: one.release.title for one in study.releases}
    for key, scores in ours:
        if scores:
            name = "real rows" if key == "real" else _VERSIONS.get(key, titles[key])
            heads.append((f"Learned from {name}", f"on {tested:,} people", False))
            columns.append((False, key, scores))
        if key in said:
            heads.append((f"Published, {_VERSIONS[key]}", f"on {rows:,} people", True))
            columns.append((True, key, {}))
    for key in said:
        if key not in dict(ours):
            heads.append((f"Published, {_VERSIONS[key]}", f"on {rows:,} people", True))
            columns.append((True, key, {}))
    lines = []
    for name, title in CLASSIFIERS.items():
        cells = []
        for is_published, key, scores in columns:
            if is_published:
                cells.append(_published_cell(name, said[key], areas.get(key, {}), rows))
            else:
                real = None if key == "real" else study.learned[name]
                cells.append(_measured_cell(scores[name], real))
        lines.append((name, title, tuple(cells)))
    return LearningTable(tuple(heads), tuple(lines), known.get("note", ""))


def _measured_cell(found: Score, real: Score | None) -> Cell:
    low, high = found.interval
    small = [f"{score(low)}–{score(high)}", f"AUC {score(found.auc)}"]
    if real is not None:
        value, low, high = difference(found, real)
        small.append(f"{value:+.3f} ({low:+.3f}, {high:+.3f})".replace("-", "−"))
    return Cell(score(found.accuracy), tuple(small))


def _published_cell(
    name: str, values: Mapping[str, float], areas: Mapping[str, float], rows: int
) -> Cell:
    wanted = _STOOD_FOR if name == "HGB" else (name,)
    present = [one for one in wanted if one in values]
    if not present:
        return Cell("–")
    small = []
    for one in present:
        low, high = wilson(values[one] * rows, rows)
        label = f"{one}: " if name == "HGB" else ""
        small.append(f"{label}{low:.2f}–{high:.2f}")
        if one in areas:
            small.append(f"{label}AUC {areas[one]:.2f}")
    return Cell(" / ".join(f"{values[one]:.2f}" for one in present), tuple(small))


def _risks(
    known: Mapping[str, Any], study: Study
) -> tuple[tuple[str, bool, tuple[RiskRow, ...]], ...]:
    measured = {one.release.key: one for one in study.releases if one.release.shipped}
    groups = []
    for key in ("ae", "vae"):
        rows = []
        for one in known["risk"]:
            if (one["data"], one["release"]) != (study.data.key, key):
                continue
            figure = None
            if key in measured:
                figure = measured[key].evaluation.risks.get(one["ours"])
            rows.append(RiskRow(one["question"], one, figure, reading(figure) if figure else None))
        if rows:
            groups.append((_VERSIONS[key], key in measured, tuple(rows)))
    return tuple(groups)
