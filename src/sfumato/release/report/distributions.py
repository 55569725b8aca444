"""The columns of each version beside those of the real people, in as few charts as say it all.

Versions that write a column alike share a chart. Columns that only say yes or no share one chart
for the whole table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato.release.report import charts
from sfumato.release.report.svg import Chart, draw
from sfumato.release.report.wording import listing, share, shorten, told_apart
from sfumato.table import MISSING_LABEL, SUPPRESSED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sfumato.evaluation import ColumnFidelity, Fidelity, Histogram

__all__ = ["ColumnChart", "Distance", "Distributions", "distributions"]

# Drawing takes about 0.1 s a chart; the columns that differ most are drawn, the table has all.
_MOST_CHARTS = 36
_YES = {"1": "0", "yes": "no", "true": "false"}
_STRONGEST = 8
_MOST_CELLS = 14
_OTHER = "(other)"
_LAST = {_OTHER, MISSING_LABEL, SUPPRESSED}
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class ColumnChart:
    """One column as some versions write it.

    Parameters
    ----------
    source
        The column in the source.
    written
        How it is called and in which versions, in words.
    chart
        The drawing.
    notes
        What to know when reading it.
    """

    source: str
    written: str
    chart: Chart
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Distance:
    """How far one column of one version is from the real one."""

    version: str
    column: ColumnFidelity


@dataclass(frozen=True)
class Distributions:
    """All that the section shows.

    Parameters
    ----------
    columns
        The charts in the order of the source's columns.
    left_out
        Columns that were not drawn because there were too many.
    yes
        The yes-or-no columns, or None.
    distances
        Per source column, the distance of each version, None where it has no such column.
    pairs
        Per version: (one column, other column, association in the real rows, in the version),
        the pairs that changed most.
    """

    columns: tuple[ColumnChart, ...]
    left_out: tuple[str, ...]
    yes: Chart | None
    distances: tuple[tuple[str, tuple[ColumnFidelity | None, ...]], ...]
    pairs: tuple[tuple[str, tuple[tuple[str, str, float, float], ...]], ...]


@dataclass(frozen=True)
class _Group:
    """A column as versions with the same cells and the same real shares write it."""

    source: str
    members: tuple[Distance, ...]

    @property
    def first(self) -> ColumnFidelity:
        return self.members[0].column

    @property
    def farthest(self) -> float:
        return max(member.column.total_variation.value or 0.0 for member in self.members)

    @property
    def says_yes(self) -> str | None:
        """The word for yes if the column says only yes or no."""
        labels = {label.casefold(): label for label in self.first.histogram.labels}
        for yes, no in _YES.items():
            if labels.keys() == {yes, no}:
                return labels[yes]
        return None


def distributions(
    fidelities: Mapping[str, Fidelity],
    versions: Mapping[str, int],
    sources: Mapping[str, Mapping[str, str]],
    order: Sequence[str],
) -> Distributions:
    """Return the charts and tables of the section.

    Parameters
    ----------
    fidelities
        Each version's comparison with the real rows.
    versions
        Each version's position.
    sources
        Per version, the source column of each released column that is called otherwise.
    order
        The source's columns in the order to show them; others follow.
    """
    columns = _by_source(fidelities, sources, order)
    groups = [group for source, members in columns.items() for group in _groups(source, members)]
    agreeing = [group for group in groups if group.says_yes is not None]
    others = [group for group in groups if group.says_yes is None]
    worst = sorted(others, key=lambda group: -group.farthest)[:_MOST_CHARTS]
    drawn = tuple(
        _column_chart(place, group, versions)
        for place, group in enumerate(others)
        if group in worst
    )
    left_out = dict.fromkeys(group.source for group in others if group not in worst)
    distances = tuple(
        (source, tuple(_of_version(name, members) for name in fidelities))
        for source, members in columns.items()
    )
    pairs = tuple((name, _changed_pairs(item)) for name, item in fidelities.items())
    return Distributions(drawn, tuple(left_out), _yes_chart(agreeing, versions), distances, pairs)


def _by_source(
    fidelities: Mapping[str, Fidelity],
    sources: Mapping[str, Mapping[str, str]],
    order: Sequence[str],
) -> dict[str, list[Distance]]:
    columns: dict[str, list[Distance]] = {name: [] for name in order}
    for version, item in fidelities.items():
        for column in item.columns:
            source = sources.get(version, {}).get(column.name, column.name)
            columns.setdefault(source, []).append(Distance(version, column))
    return {source: members for source, members in columns.items() if members}


def _of_version(version: str, members: Sequence[Distance]) -> ColumnFidelity | None:
    return next((member.column for member in members if member.version == version), None)


def _groups(source: str, members: Sequence[Distance]) -> list[_Group]:
    alike: dict[Any, list[Distance]] = {}
    for member in members:
        cells = member.column.histogram
        real = tuple(round(part, 6) for part in cells.real)
        alike.setdefault((member.column.name, cells.labels, real), []).append(member)
    return [_Group(source, tuple(found)) for found in alike.values()]


def _column_chart(place: int, group: _Group, versions: Mapping[str, int]) -> ColumnChart:
    column = group.first
    shown = {member.version: versions[member.version] for member in group.members}
    names = listing(list(shown))
    cells = _cells(column.kind, column.histogram)
    records = [
        {
            "cell": label,
            "version": version,
            "share": sum(parts[at] for at in places),
            "place": order,
        }
        for version, parts in (
            ("", column.histogram.real),
            *((member.version, member.column.histogram.released) for member in group.members),
        )
        for order, (label, places) in enumerate(cells)
    ]
    drawing = (charts.number_shares if column.kind == "number" else charts.category_shares)(
        records, shown, [label for label, _ in cells]
    )
    far = listing(
        [f"{item.version} {share(item.column.total_variation.value)}" for item in group.members]
    )
    chart = draw(
        drawing,
        f"shares-{place}",
        f"{column.name}: shares of rows, real people and {names}",
        f"Total variation distance from the real people: {far}.",
    )
    called = "" if column.name == group.source else f"as {column.name}: "
    notes = tuple(dict.fromkeys(item.column.note for item in group.members if item.column.note))
    return ColumnChart(group.source, f"{called}{names}", chart, notes)


def _yes_chart(groups: Sequence[_Group], versions: Mapping[str, int]) -> Chart | None:
    if not groups:
        return None
    records, rows = [], {}
    for group in groups:
        place = group.first.histogram.labels.index(group.says_yes or "")
        row = group.source if group.source not in rows else f"{group.source} ({group.first.name})"
        rows[row] = group.first.histogram.real[place]
        records.append({"column": row, "version": "", "share": rows[row]})
        records.extend(
            {
                "column": row,
                "version": member.version,
                "share": member.column.histogram.released[place],
            }
            for member in group.members
        )
    order = sorted(rows, key=lambda row: (-rows[row], row))
    return draw(
        charts.yes_shares(records, versions, order),
        "shares-yes",
        f"Share of yes in {len(order)} yes-or-no columns, real people and each version",
        "The distances are in the table.",
    )


def _changed_pairs(item: Fidelity) -> tuple[tuple[str, str, float, float], ...]:
    association = item.association
    pairs = [
        (one, other, real, released)
        for row, one in enumerate(association.columns)
        for column, other in enumerate(association.columns[:row])
        if (real := association.real[row][column]) is not None
        and (released := association.released[row][column]) is not None
    ]
    pairs.sort(key=lambda pair: (-abs(pair[3] - pair[2]), pair[0], pair[1]))
    return tuple(pairs[:_STRONGEST])


def _cells(kind: str, cells: Histogram) -> list[tuple[str, list[int]]]:
    """Return what is drawn: (label, the histogram's cells that it gathers)."""
    labels = cells.labels
    places = list(range(len(labels)))
    if kind == "number":
        ticks = told_apart([_tick(label) for label in labels])
        return [(tick, [at]) for tick, at in zip(ticks, places, strict=True)]
    proper = [at for at in places if labels[at] not in _LAST]
    numbers = {at: _NUMBER.search(labels[at]) for at in proper}
    if all(numbers.values()):  # such as "Age 18 to 24": in the order of their numbers
        proper.sort(key=lambda at: float(found[0]) if (found := numbers[at]) else 0.0)
    last = [at for at in places if labels[at] in _LAST]
    if len(proper) > _MOST_CELLS:
        common = sorted(proper, key=lambda at: -cells.real[at])[: _MOST_CELLS - 1]
        rare = [at for at in proper if at not in common]
        pooled = [*rare, *(at for at in last if labels[at] == _OTHER)]
        proper = [at for at in proper if at in common]
        last = [at for at in last if labels[at] != _OTHER]
        gathered = [(_OTHER, pooled)]
    else:
        gathered = []
    named = [*proper, *last]
    written = told_apart([shorten(labels[at], 27) for at in named])
    shown = [(label, [at]) for label, at in zip(written, named, strict=True)]
    return [*shown[: len(proper)], *gathered, *shown[len(proper) :]]


def _tick(label: str) -> str:
    """Return an interval's lower end, which is what a tick can hold.

    Examples
    --------
    >>> _tick("[1.5, 1.525)"), _tick(">=40"), _tick("(missing)")
    ('1.5', '≥40', '(missing)')
    """
    if label.startswith(("[", "(")) and "," in label:
        return label[1:].partition(",")[0]
    return label.replace(">=", "≥")
