"""The charts of a profile: spreads of numbers, dates and categories, class sizes, correlations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sfumato.release.report import table_charts
from sfumato.release.report.svg import Chart, draw
from sfumato.release.report.wording import number, plural, share, shorten, told_apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfumato.table.profiling.class_sizes import ClassSizes, SizeBin
    from sfumato.table.profiling.correlations import Correlations
    from sfumato.table.profiling.table_profile import ColumnProfile

__all__ = [
    "category_charts",
    "class_size_charts",
    "correlation_chart",
    "date_charts",
    "number_charts",
    "yes_chart",
]

# Drawing takes about 0.1 s a chart, so a table of a thousand columns gets no thousand charts.
_MOST_CHARTS = 40
_SHOWN_CATEGORIES = 14


def number_charts(columns: Sequence[ColumnProfile]) -> tuple[tuple[str, Chart], ...]:
    """Return (column, histogram) of the numeric columns that hold more than yes and no."""
    drawn = []
    for place, column in enumerate(columns):
        numbers = column.contents.numbers
        if numbers is None or column.contents.positive_share is not None:
            continue
        records = [
            {"low": low, "high": high, "count": count}
            for low, high, count in zip(
                numbers.edges[:-1], numbers.edges[1:], numbers.counts, strict=True
            )
        ]
        chart = draw(
            table_charts.histogram(records),
            f"histogram-{place}",
            f"Histogram of {column.name}",
            f"From {number(numbers.minimum)} to {number(numbers.maximum)}, median "
            f"{number(numbers.median)}.",
        )
        drawn.append((column.name, chart))
        if len(drawn) == _MOST_CHARTS:
            break
    return tuple(drawn)


def date_charts(columns: Sequence[ColumnProfile]) -> tuple[tuple[str, Chart], ...]:
    """Return (column, histogram) of the columns of dates and times."""
    drawn = []
    for place, column in enumerate(columns):
        dates = column.contents.dates
        if dates is None or len(dates.edges) < 2:
            continue
        moments = [_milliseconds(edge) for edge in dates.edges]
        if any(moment is None for moment in moments):
            continue
        records = [
            {"low": low, "high": high, "count": count}
            for low, high, count in zip(moments[:-1], moments[1:], dates.counts, strict=True)
        ]
        chart = draw(
            table_charts.histogram(records, dates=True),
            f"dates-{place}",
            f"Histogram of {column.name}",
            f"From {dates.earliest} to {dates.latest}, median {dates.median}.",
        )
        drawn.append((column.name, chart))
        if len(drawn) == _MOST_CHARTS:
            break
    return tuple(drawn)


def category_charts(columns: Sequence[ColumnProfile]) -> tuple[tuple[str, Chart], ...]:
    """Return (column, counts of its commonest categories) of the columns with more than two."""
    drawn = []
    for place, column in enumerate(columns):
        contents = column.contents
        if (
            contents.categories is None
            or not contents.categories.shown
            or contents.numbers is not None
            or contents.positive_share is not None
        ):
            continue
        shown = contents.categories.shown[:_SHOWN_CATEGORIES]
        labels = told_apart([shorten(name, 25) for name, _ in shown])
        records = [
            _bar(label, rows, number(rows)) for label, (_, rows) in zip(labels, shown, strict=True)
        ]
        others = (contents.distinct or 0) - len(shown)
        if others:
            rest = contents.categories.rows_not_shown + sum(
                rows for _, rows in contents.categories.shown[_SHOWN_CATEGORIES:]
            )
            records.append(_bar(plural(others, "other"), rest, number(rest), muted=True))
        chart = draw(
            table_charts.bars(records),
            f"counts-{place}",
            f"Rows by category of {column.name}",
            f"{plural(contents.distinct or 0, 'category', 'categories')}; the commonest is held by "
            f"{plural(shown[0][1], 'row')}.",
        )
        drawn.append((column.name, chart))
        if len(drawn) == _MOST_CHARTS:
            break
    return tuple(drawn)


def yes_chart(columns: Sequence[ColumnProfile]) -> Chart | None:
    """Return the share of yes of every yes-or-no column, the rarest last."""
    shares = [
        (column.name, column.contents.positive_share)
        for column in columns
        if column.contents.positive_share is not None
    ]
    if not shares:
        return None
    shares.sort(key=lambda item: (-(item[1] or 0.0), item[0]))
    records = [_bar(name, part or 0.0, share(part)) for name, part in shares]
    rarest, part = shares[-1]
    return draw(
        table_charts.bars(records, x_title="share of yes", width=360, names_width=210),
        "yes",
        "Share of yes in each yes-or-no column",
        f"{plural(len(shares), 'column')}; the rarest yes is in {shorten(rarest)}, {share(part)}.",
    )


def class_size_charts(groups: Sequence[ClassSizes]) -> tuple[Chart, ...]:
    """Return, for each set of columns, how many people live in groups of which size."""
    drawn = []
    for place, sizes in enumerate(groups):
        records = [
            _bar(_size_label(item), item.members, number(item.members)) for item in sizes.histogram
        ]
        chart = draw(
            table_charts.bars(records, x_title=sizes.unit, width=260),
            f"class-sizes-{place}",
            f"{sizes.unit.capitalize()} by the size of their group",
            f"{plural(sizes.groups, 'group')}, smallest {number(sizes.smallest)}, median "
            f"{number(sizes.median)}, largest {number(sizes.largest)}.",
        )
        drawn.append(chart)
    return tuple(drawn)


def correlation_chart(correlations: Correlations) -> Chart | None:
    """Return the correlations as a heat map; None for fewer than two columns."""
    names = correlations.columns
    if len(names) < 2:
        return None
    records = [
        {"x": across, "y": down, "value": value}
        for down, row in zip(names, correlations.matrix, strict=True)
        for across, value in zip(names, row, strict=True)
        if value is not None
    ]
    return draw(
        table_charts.heatmap(records, names),
        "correlation-map",
        f"Correlations of {plural(len(names), 'column')}",
        "The table below lists the strongest.",
    )


def _bar(name: str, count: float, label: str, *, muted: bool = False) -> dict[str, Any]:
    return {"category": name, "count": count, "label": label, "muted": muted}


def _size_label(item: SizeBin) -> str:
    if item.high is None:
        return f"{number(item.low)} and more"
    if item.low == item.high:
        return "alone" if item.low == 1 else f"{number(item.low)} alike"
    return f"{number(item.low)} to {number(item.high)}"


def _milliseconds(text: str) -> float | None:
    """Return an ISO 8601 date or time as milliseconds since 1970, without a time zone as UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.timestamp() * 1000
