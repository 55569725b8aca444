"""What the released cells no longer say, and how large the classes are that rows stand in."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sfumato.evaluation.class_sizes import POLICY_SIZES
from sfumato.evaluation.loss import LOSS_MEASURES
from sfumato.evaluation.loss_figures import BY_COLUMN, OF_CLASSES
from sfumato.release.report.figure_groups import FigureGroup, figure_groups
from sfumato.release.report.loss_charts import grouped_bars
from sfumato.release.report.svg import Chart, draw
from sfumato.release.report.wording import share, shorten, told_apart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sfumato.evaluation import Figure
    from sfumato.release.evaluation import Evaluation

__all__ = ["ClassShares", "ColumnLosses", "Losses", "class_shares", "losses"]

_PREFIX = "loss/"
_BELOW = "below_"
_CHARTED = "arithmetic"


@dataclass(frozen=True)
class ColumnLosses:
    """One measure column by column: (column, a figure or None for each version)."""

    title: str
    rows: tuple[tuple[str, tuple[Figure | None, ...]], ...]


@dataclass(frozen=True)
class Losses:
    """What the section on information loss shows; nothing if no version was measured.

    Parameters
    ----------
    versions
        The versions that were measured, with their position.
    groups
        The figures of whole releases.
    chart
        The loss of each column, or None if none could be computed.
    columns
        Each measure column by column.
    left_out
        What was not computed: (version, why, names of the figures), also of versions of which
        nothing was.
    """

    versions: Mapping[str, int]
    groups: tuple[FigureGroup, ...]
    chart: Chart | None
    columns: tuple[ColumnLosses, ...]
    left_out: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class ClassShares:
    """The share of rows in classes of each size: a chart, and (sizes, a share each version)."""

    versions: Mapping[str, int]
    chart: Chart
    rows: tuple[tuple[str, str, tuple[float, ...]], ...]


def losses(evaluations: Mapping[str, Evaluation], versions: Mapping[str, int]) -> Losses:
    """Return what is shown of the information loss of each version.

    Parameters
    ----------
    evaluations
        Each version's evaluation.
    versions
        Each version's position, which gives its colour.
    """
    figures = {
        name: {
            key.removeprefix(_PREFIX): figure
            for key, figure in evaluation.utility.items()
            if key.startswith(_PREFIX)
        }
        for name, evaluation in evaluations.items()
    }
    left_out = _left_out(figures)
    figures = {
        name: found
        for name, found in figures.items()
        if any(figure.computed for figure in found.values())
    }
    measured = {name: versions[name] for name in figures}
    whole = {
        name: {key: found[key] for key in (*BY_COLUMN, *OF_CLASSES) if key in found}
        for name, found in figures.items()
    }
    groups = figure_groups(whole)
    return Losses(
        measured,
        groups,
        _loss_chart(figures, measured),
        tuple(_by_column(key, figures) for key in BY_COLUMN),
        left_out,
    )


def _left_out(
    figures: Mapping[str, Mapping[str, Figure]],
) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Return each reason once for a version, with the figures of whole releases that it hits."""
    found: dict[tuple[str, str], list[str]] = {}
    for version, of_version in figures.items():
        for key, figure in of_version.items():
            if not figure.computed and "/" not in key:
                found.setdefault((version, figure.because), []).append(figure.name)
    return tuple((version, why, tuple(names)) for (version, why), names in found.items())


def _by_column(key: str, figures: Mapping[str, Mapping[str, Figure]]) -> ColumnLosses:
    columns = _columns(figures, key)
    rows = tuple(
        (column, tuple(found.get(f"{key}/{column}") for found in figures.values()))
        for column in columns
    )
    return ColumnLosses(LOSS_MEASURES[key].title, rows)


def _columns(figures: Mapping[str, Mapping[str, Figure]], key: str) -> list[str]:
    prefix = f"{key}/"
    named = [name for found in figures.values() for name in found if name.startswith(prefix)]
    return [name.removeprefix(prefix) for name in dict.fromkeys(named)]


def _loss_chart(
    figures: Mapping[str, Mapping[str, Figure]], versions: Mapping[str, int]
) -> Chart | None:
    columns = _columns(figures, _CHARTED)
    labels = dict(zip(columns, told_apart([shorten(name, 30) for name in columns]), strict=True))
    bars = [
        (name, labels[column], figure.value)
        for name, found in figures.items()
        for column in columns
        if (figure := found.get(f"{_CHARTED}/{column}")) is not None and figure.value is not None
    ]
    if not bars:
        return None
    said = "; ".join(f"{name}, {label}: {share(value)}" for name, label, value in bars)
    records = [{"row": label, "version": name, "value": value} for name, label, value in bars]
    chart = grouped_bars(records, versions, list(labels.values()), "information loss")
    return draw(chart, "loss-of-columns", "Information loss of each quasi-identifier", said)


def class_shares(
    evaluations: Mapping[str, Evaluation], versions: Mapping[str, int]
) -> ClassShares | None:
    """Return the share of rows in classes of each size; None if no version was counted."""
    shares = {
        name: found
        for name, evaluation in evaluations.items()
        if (found := _shares(evaluation.risks)) is not None
    }
    if not shares:
        return None
    counted = {name: versions[name] for name in shares}
    bins = list(_LABELS.values())
    # sizes beyond which no version has a class say nothing
    used = [place for place, label in enumerate(bins) if any(one[label] for one in shares.values())]
    shown = [*bins[: max(used, default=0) + 1], _SUPPRESSED]
    records = [
        {"row": label, "version": name, "value": found[label]}
        for name, found in shares.items()
        for label in shown
    ]
    said = "; ".join(
        f"{name}: " + ", ".join(f"{label} {share(found[label])}" for label in shown if found[label])
        for name, found in shares.items()
    )
    chart = grouped_bars(records, counted, shown, "share of all rows")
    rows = tuple(
        (label, _POLICIES.get(label, ""), tuple(found[label] for found in shares.values()))
        for label in shown
    )
    drawn = draw(chart, "class-sizes", "Rows by the size of their class", said)
    return ClassShares(counted, drawn, rows)


_SUPPRESSED = "suppressed"


def _labels() -> dict[int, str]:
    sizes = list(POLICY_SIZES)
    labels = {}
    for low, beyond in zip(sizes, [*sizes[1:], None], strict=True):
        if beyond is None:
            labels[low] = f"{low:,} or more"
        else:
            labels[low] = f"{low:,}" if beyond == low + 1 else f"{low:,} to {beyond - 1:,}"
    return {**labels, 1: "1 (alone)"}


_LABELS = _labels()
_POLICIES = {_LABELS[size]: words for size, words in POLICY_SIZES.items() if ":" in words} | {
    _SUPPRESSED: "all quasi-identifiers are *"
}


def _shares(risks: Mapping[str, Figure]) -> dict[str, float] | None:
    """Return the share of rows in each bin, from the shares of those below each size."""
    hidden = risks.get("suppressed")
    if hidden is None or hidden.value is None:
        return None
    below = [0.0]
    for size in list(POLICY_SIZES)[1:]:
        figure = risks.get(f"{_BELOW}{size}")
        if figure is None or figure.value is None:
            return None
        below.append(figure.value)
    below.append(1.0 - hidden.value)
    parts = [max(0.0, high - low) for low, high in pairwise(below)]
    # differences of floats: what is not even a millionth of a row is none
    parts = [part if part > 1e-12 else 0.0 for part in parts]
    return {**dict(zip(_LABELS.values(), parts, strict=True)), _SUPPRESSED: hidden.value}
