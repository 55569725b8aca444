"""The style that all charts share, and the axes and scales that they are put together from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfumato.release.report.palette import GRID, INK, MUTED, SERIES, series

if TYPE_CHECKING:
    from collections.abc import Mapping

    import altair as alt

__all__ = [
    "DASHES",
    "colour",
    "configured",
    "counts_axis",
    "dashes",
    "names_axis",
    "percent_axis",
    "shapes",
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


def configured(chart: Any) -> alt.TopLevelMixin:
    """Return the chart in the reports' style."""
    configured: alt.TopLevelMixin = chart.configure(**_CONFIG)
    return configured


def counts_axis() -> Any:
    """Return an axis of counts."""
    import altair as alt

    return alt.Axis(tickCount=3, format="~s", labelExpr="datum.value == 0 ? '0' : datum.label")


def percent_axis() -> Any:
    """Return an axis of shares."""
    import altair as alt

    # a root scale crowds its upper ticks: those that would touch are left without a label
    return alt.Axis(
        format="~%", tickCount=4, labelOverlap="greedy", labelSeparation=4, labelBound=1
    )


def names_axis(*, grid: bool = False, limit: int = 190) -> Any:
    """Return an axis of names, each up to ``limit`` pixels wide."""
    import altair as alt

    return alt.Axis(
        title=None, grid=grid, ticks=False, domain=False, labelPadding=6, labelLimit=limit
    )


def colour(versions: Mapping[str, int]) -> Any:
    """Return the colour of each version, by its position."""
    import altair as alt

    scale = alt.Scale(domain=list(versions), range=[series(place) for place in versions.values()])
    return alt.Color("version:N", scale=scale, legend=None)


def dashes(versions: Mapping[str, int]) -> Any:
    """Return the dashes of each version, which tell it without colour."""
    import altair as alt

    dashes = [DASHES[place % len(DASHES)] for place in versions.values()]
    scale = alt.Scale(domain=list(versions), range=dashes)
    return alt.StrokeDash("version:N", scale=scale, legend=None)


def shapes(versions: Mapping[str, int]) -> Any:
    """Return the mark of each version, which tells it without colour."""
    import altair as alt

    known = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
    shapes = [known[place % len(known)] for place in versions.values()]
    return alt.Shape("version:N", scale=alt.Scale(domain=list(versions), range=shapes), legend=None)
