"""The charts of the reports, each a function from plain records to an Altair chart.

A record is a dictionary of plain values, so that the same specification can be drawn here as static
SVG and elsewhere as an interactive page. Nothing here computes: what is drawn was computed before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfumato.release.report.palette import GRID, INK, MUTED, PAPER, REAL, SERIES, series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt

__all__ = [
    "bars",
    "category_shares",
    "curves",
    "heatmap",
    "histogram",
    "interval_dots",
    "number_shares",
    "training",
    "yes_shares",
]

DASHES: tuple[list[int], ...] = (
    [1, 0],
    [6, 3],
    [2, 2],
    [8, 3, 2, 3],
    [4, 4],
    [1, 3],
    [9, 2],
    [3, 1],
)

_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "sans-serif",
    "padding": 4,
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "titleFontSize": 11,
        "labelFontSize": 11,
        "gridColor": GRID,
        "domainColor": GRID,
        "tickColor": GRID,
        "tickSize": 4,
        "labelLimit": 170,
        "titlePadding": 6,
    },
    "header": {"labelColor": INK, "labelFontSize": 12, "titleColor": MUTED},
    "legend": {"disable": True},
    "bar": {"fill": SERIES[0]},
}


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
            x=alt.X("share:Q", title=None, axis=_percent()),
            y=alt.Y("cell:N", sort=list(cells), axis=_names()),
            yOffset=alt.YOffset("version:N", sort=order),
            color=alt.Color("version:N", scale=alt.Scale(domain=order, range=colours), legend=None),
        )
    )
    names = 6 * max(len(cell) for cell in cells)
    height = len(cells) * (thick * len(order) + 7)
    return _configured(drawn.properties(width=max(110, 310 - names), height=height))


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
    y = alt.Y("share:Q", title=None, axis=_percent())
    behind = alt.Chart(alt.InlineData(values=real)).mark_bar(fill=REAL).encode(x=x, y=y)
    drawn = (
        alt.Chart(alt.InlineData(values=others))
        .mark_line(strokeWidth=1.8, strokeJoin="round", point={"size": 14, "filled": True})
        .encode(
            x=x,
            y=y,
            order="place:Q",
            color=_colour(versions),
            strokeDash=_dashes(versions),
        )
    )
    return _configured((behind + drawn).properties(width=width, height=height))


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

    y = alt.Y("column:N", sort=list(columns), axis=_names(grid=True))
    x = alt.X("share:Q", title="share of yes", axis=_percent())
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
        .encode(x=x, y=y, color=_colour(versions), shape=_shapes(versions))
    )
    return _configured((ticks + dots).properties(width=430, height=22 * max(1, len(columns))))


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
        .encode(x=x, y=y, order="order:Q", color=_colour(versions), strokeDash=_dashes(versions))
    )
    return _configured((guess + drawn).properties(width=270, height=270))


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

    return _configured(
        alt.Chart(alt.InlineData(values=list(records)))
        .mark_line(strokeWidth=1.6)
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(grid=False, tickMinStep=1)),
            y=alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=False)),
            color=_colour(versions),
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
    y = alt.Y("row:N", sort=list(rows), axis=_names(grid=True))
    x = alt.X("value:Q", title=x_title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    base = alt.Chart(alt.InlineData(values=shown)).encode(y=y, color=_colour(versions))
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
        layers.append(whiskers.encode(y=y, x=alt.X("low:Q"), x2="high:Q", color=_colour(versions)))
    layers.append(
        base.mark_point(filled=True, size=60, opacity=1).encode(x=x, shape=_shapes(versions))
    )
    return _configured(alt.layer(*layers).properties(width=400, height=24 * max(1, len(rows))))


def histogram(
    records: Sequence[Mapping[str, Any]],
    x_title: str = "",
    width: int = 230,
    height: int = 90,
    *,
    dates: bool = False,
) -> alt.TopLevelMixin:
    """Return the bars of a number's histogram.

    Parameters
    ----------
    records
        ``low``, ``high`` and ``count``.
    x_title, width, height
        Axis title; size of the plot in pixels.
    dates
        Whether the bins' ends are times, in milliseconds since 1970 (UTC).
    """
    import altair as alt

    kind = "T" if dates else "Q"
    scale = alt.Scale(type="utc", nice=False) if dates else alt.Scale(zero=False, nice=False)
    return _configured(
        alt.Chart(alt.InlineData(values=list(records)))
        .mark_bar(fill=SERIES[0], stroke=PAPER, strokeWidth=0.5)
        .encode(
            x=alt.X(
                f"low:{kind}",
                bin="binned",
                title=x_title or None,
                scale=scale,
                axis=alt.Axis(grid=False, tickCount=5),
            ),
            x2="high",
            y=alt.Y("count:Q", title="rows", axis=_counts()),
        )
        .properties(width=width, height=height)
    )


def bars(
    records: Sequence[Mapping[str, Any]],
    x_title: str = "rows",
    width: int = 180,
    *,
    names_width: int = 130,
) -> alt.TopLevelMixin:
    """Return one horizontal bar per category, in the order given, with its number beside it.

    Parameters
    ----------
    records
        ``category``, ``count``, ``label`` (the number in words) and ``muted`` (for a bar that
        gathers several categories).
    x_title, width
        Axis title; width of the plot in pixels.
    names_width
        Room for the names, in pixels.
    """
    import altair as alt

    order = [record["category"] for record in records]
    base = alt.Chart(alt.InlineData(values=list(records))).encode(
        y=alt.Y("category:N", sort=order, axis=_names(limit=names_width)),
        x=alt.X("count:Q", title=x_title, axis=alt.Axis(labels=False, ticks=False, grid=False)),
    )
    drawn = base.mark_bar(height={"band": 0.72}).encode(
        fill=alt.condition("datum.muted", alt.value(REAL), alt.value(SERIES[0]))
    )
    numbers = base.mark_text(align="left", dx=4, fill=MUTED, fontSize=11).encode(text="label:N")
    height = 17 * max(1, len(order))
    return _configured((drawn + numbers).properties(width=width, height=height))


def heatmap(records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> alt.TopLevelMixin:
    """Return a correlation matrix: blue for negative, orange for positive, white for none.

    Parameters
    ----------
    records
        ``x``, ``y`` (names) and ``value`` (-1 to 1).
    names
        The order along both axes.
    """
    import altair as alt

    step = 30 if len(names) <= 12 else max(12, 480 // len(names))
    base = alt.Chart(alt.InlineData(values=list(records))).encode(
        x=alt.X("x:N", sort=list(names), title=None, axis=alt.Axis(labelAngle=-60, ticks=False)),
        y=alt.Y("y:N", sort=list(names), axis=_names()),
    )
    cells = base.mark_rect().encode(
        fill=alt.Fill(
            "value:Q",
            scale=alt.Scale(
                domain=[-1, 0, 1], range=[SERIES[0], "#f3f5f7", SERIES[1]], interpolate="rgb"
            ),
            legend=None,
        )
    )
    layers = [cells]
    if step >= 30:
        layers.append(
            base.mark_text(fontSize=10).encode(
                text=alt.Text("value:Q", format=".2f"),
                color=alt.condition(
                    "abs(datum.value) > 0.55", alt.value("#fefefe"), alt.value("#1c2631")
                ),
            )
        )
    return _configured(alt.layer(*layers).properties(width=alt.Step(step), height=alt.Step(step)))


def _configured(chart: Any) -> alt.TopLevelMixin:
    configured: alt.TopLevelMixin = chart.configure(**_CONFIG)
    return configured


def _counts() -> Any:
    import altair as alt

    return alt.Axis(tickCount=3, format="~s", labelExpr="datum.value == 0 ? '0' : datum.label")


def _percent() -> Any:
    import altair as alt

    return alt.Axis(format="~%", tickCount=4)


def _names(*, grid: bool = False, limit: int = 190) -> Any:
    import altair as alt

    return alt.Axis(
        title=None, grid=grid, ticks=False, domain=False, labelPadding=6, labelLimit=limit
    )


def _colour(versions: Mapping[str, int]) -> Any:
    import altair as alt

    scale = alt.Scale(domain=list(versions), range=[series(place) for place in versions.values()])
    return alt.Color("version:N", scale=scale, legend=None)


def _dashes(versions: Mapping[str, int]) -> Any:
    import altair as alt

    dashes = [DASHES[place % len(DASHES)] for place in versions.values()]
    scale = alt.Scale(domain=list(versions), range=dashes)
    return alt.StrokeDash("version:N", scale=scale, legend=None)


def _shapes(versions: Mapping[str, int]) -> Any:
    import altair as alt

    known = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
    shapes = [known[place % len(known)] for place in versions.values()]
    return alt.Shape("version:N", scale=alt.Scale(domain=list(versions), range=shapes), legend=None)
