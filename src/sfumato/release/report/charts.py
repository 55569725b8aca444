"""Charts that compare versions, each a function from plain records to an Altair chart.

A record is a dictionary of plain values, so that the same specification can be drawn here as static
SVG and elsewhere as an interactive page. Nothing here computes: what is drawn was computed before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfumato.release.report.chart_style import (
    colour,
    configured,
    dashes,
    names_axis,
    percent_axis,
    shapes,
)
from sfumato.release.report.palette import INK, MUTED, REAL, series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt

__all__ = [
    "category_shares",
    "curves",
    "interval_dots",
    "number_shares",
    "training",
    "yes_shares",
]


def category_shares(
    records: Sequence[Mapping[str, Any]],
    versions: Mapping[str, int],
    cells: Sequence[str],
) -> alt.TopLevelMixin:
    """Return a bar for each category and version below a grey bar for the real people.

    Parameters
    ----------
    records
        ``cell``, ``version`` (``""`` for the real people) and ``share`` (0 to 1).
    versions
        Each version's name and its position in the study, which gives its colour.
    cells
        The categories from top to bottom, at least one.
    """
    import altair as alt

    order = ["", *versions]
    colours = [REAL, *(series(place) for place in versions.values())]
    thick = 7 if len(order) > 2 else 8
    drawn = (
        alt.Chart(alt.InlineData(values=list(records)))
        .mark_bar(height={"band": 0.9})
        .encode(
            x=alt.X("share:Q", title=None, axis=percent_axis()),
            y=alt.Y("cell:N", sort=list(cells), axis=names_axis()),
            yOffset=alt.YOffset("version:N", sort=order),
            color=alt.Color("version:N", scale=alt.Scale(domain=order, range=colours), legend=None),
        )
    )
    names = 6 * max(len(cell) for cell in cells)
    height = len(cells) * (thick * len(order) + 7)
    return configured(drawn.properties(width=max(110, 310 - names), height=height))


def number_shares(
    records: Sequence[Mapping[str, Any]],
    versions: Mapping[str, int],
    cells: Sequence[str],
    width: int = 290,
    height: int = 120,
) -> alt.TopLevelMixin:
    """Return the real people as grey bars over a number's cells, and each version as a line.

    Parameters
    ----------
    records
        As in :func:`category_shares`, and ``place``, the cell's position.
    versions, cells
        As in :func:`category_shares`; cells from left to right.
    width, height
        Of the plot, in pixels.
    """
    import altair as alt

    real = [dict(record) for record in records if record["version"] == ""]
    others = [dict(record) for record in records if record["version"] != ""]
    few = list(cells) if len(cells) <= 6 else list(cells)[:: -(-len(cells) // 5)]
    labels = alt.Axis(
        title=None, labelAngle=0, values=few, grid=False, labelLimit=80, labelOverlap="greedy"
    )
    x = alt.X("cell:N", sort=list(cells), axis=labels, scale=alt.Scale(padding=0.06))
    y = alt.Y("share:Q", title=None, axis=percent_axis())
    behind = alt.Chart(alt.InlineData(values=real)).mark_bar(fill=REAL).encode(x=x, y=y)
    drawn = (
        alt.Chart(alt.InlineData(values=others))
        .mark_line(strokeWidth=1.8, strokeJoin="round", point={"size": 14, "filled": True})
        .encode(
            x=x,
            y=y,
            order="place:Q",
            color=colour(versions),
            strokeDash=dashes(versions),
        )
    )
    return configured((behind + drawn).properties(width=width, height=height))


def yes_shares(
    records: Sequence[Mapping[str, Any]], versions: Mapping[str, int], columns: Sequence[str]
) -> alt.TopLevelMixin:
    """Return one line per yes-or-no column: where the real people are and where each version is.

    Parameters
    ----------
    records
        ``column``, ``version`` (``""`` for the real people) and ``share`` of yes.
    versions, columns
        Colours, and the order from top to bottom.
    """
    import altair as alt

    y = alt.Y("column:N", sort=list(columns), axis=names_axis(grid=True))
    x = alt.X("share:Q", title="share of yes", axis=percent_axis())
    real = [dict(record) for record in records if record["version"] == ""]
    others = [dict(record) for record in records if record["version"] != ""]
    ticks = (
        alt.Chart(alt.InlineData(values=real))
        .mark_tick(thickness=3, height=18, color=INK)
        .encode(x=x, y=y)
    )
    dots = (
        alt.Chart(alt.InlineData(values=others))
        .mark_point(size=55, strokeWidth=1.8)
        .encode(x=x, y=y, color=colour(versions), shape=shapes(versions))
    )
    return configured((ticks + dots).properties(width=430, height=22 * max(1, len(columns))))


def curves(
    records: Sequence[Mapping[str, Any]],
    versions: Mapping[str, int],
    x_title: str,
    y_title: str,
    chance: Sequence[Mapping[str, float]],
) -> alt.TopLevelMixin:
    """Return ROC or precision-recall curves on the unit square.

    Parameters
    ----------
    records
        ``x``, ``y``, ``version`` and ``order`` (the order in which the points are joined).
    versions
        As in :func:`category_shares`.
    x_title, y_title
        What the axes are.
    chance
        Two points (``x``, ``y``) of the line that a guess reaches.
    """
    import altair as alt

    unit = alt.Scale(domain=[0, 1])
    ticks = alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format=".2~f")
    x = alt.X("x:Q", title=x_title, scale=unit, axis=ticks)
    y = alt.Y("y:Q", title=y_title, scale=unit, axis=ticks)
    guess = (
        alt.Chart(alt.InlineData(values=[dict(point) for point in chance]))
        .mark_line(stroke=MUTED, strokeDash=[3, 3], strokeWidth=1)
        .encode(x=x, y=y)
    )
    drawn = (
        alt.Chart(alt.InlineData(values=list(records)))
        .mark_line(strokeWidth=1.8)
        .encode(x=x, y=y, order="order:Q", color=colour(versions), strokeDash=dashes(versions))
    )
    return configured((guess + drawn).properties(width=270, height=270))


def training(
    records: Sequence[Mapping[str, Any]], versions: Mapping[str, int]
) -> alt.TopLevelMixin:
    """Return losses by epoch: one panel per version, training dashed, validation solid.

    Parameters
    ----------
    records
        ``version``, ``part`` ("training" or "validation"), ``epoch`` and ``loss``.
    versions
        As in :func:`category_shares`.
    """
    import altair as alt

    return configured(
        alt.Chart(alt.InlineData(values=list(records)))
        .mark_line(strokeWidth=1.6)
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(grid=False, tickMinStep=1)),
            y=alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=False)),
            color=colour(versions),
            strokeDash=alt.StrokeDash(
                "part:N",
                scale=alt.Scale(domain=["validation", "training"], range=[[1, 0], [3, 3]]),
                legend=None,
            ),
            column=alt.Column("version:N", title=None, sort=list(versions), spacing=24),
        )
        .properties(width=200, height=130)
    )


def interval_dots(
    records: Sequence[Mapping[str, Any]],
    versions: Mapping[str, int],
    rows: Sequence[str],
    x_title: str,
    mark: float | None = None,
) -> alt.TopLevelMixin:
    """Return values with their 95 % intervals, one line per row name.

    Parameters
    ----------
    records
        ``row``, ``version``, ``value`` and, where there is an interval, ``low`` and ``high``.
    versions
        As in :func:`category_shares`.
    rows
        The order from top to bottom.
    x_title
        What the values are.
    mark
        Where a guess lies, drawn as a dashed line.
    """
    import altair as alt

    shown = [dict(record) for record in records]
    y = alt.Y("row:N", sort=list(rows), axis=names_axis(grid=True))
    x = alt.X("value:Q", title=x_title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    base = alt.Chart(alt.InlineData(values=shown)).encode(y=y, color=colour(versions))
    layers: list[Any] = []
    if mark is not None:
        layers.append(
            alt.Chart(alt.InlineData(values=[{"value": mark}]))
            .mark_rule(stroke=MUTED, strokeDash=[3, 3])
            .encode(x=x)
        )
    bounded = [record for record in shown if record.get("low") is not None]
    if bounded:
        whiskers = alt.Chart(alt.InlineData(values=bounded)).mark_rule(strokeWidth=2)
        layers.append(whiskers.encode(y=y, x=alt.X("low:Q"), x2="high:Q", color=colour(versions)))
    layers.append(
        base.mark_point(filled=True, size=60, opacity=1).encode(x=x, shape=shapes(versions))
    )
    return configured(alt.layer(*layers).properties(width=400, height=24 * max(1, len(rows))))
