"""Charts of one table: the spread of a column, rows by category, correlations.

A record is a dictionary of plain values; nothing here computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfumato.release.report.chart_style import configured, counts_axis, names_axis
from sfumato.release.report.palette import MUTED, PAPER, REAL, SERIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt

__all__ = ["bars", "heatmap", "histogram"]


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
    return configured(
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
            y=alt.Y("count:Q", title="rows", axis=counts_axis()),
        )
        .properties(width=width, height=height)
    )


def bars(
    records: Sequence[Mapping[str, Any]],
    x_title: str = "rows",
    width: int = 130,
    *,
    names_width: int = 160,
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
        y=alt.Y("category:N", sort=order, axis=names_axis(limit=names_width)),
        x=alt.X("count:Q", title=x_title, axis=alt.Axis(labels=False, ticks=False, grid=False)),
    )
    drawn = base.mark_bar(height={"band": 0.72}).encode(
        fill=alt.condition("datum.muted", alt.value(REAL), alt.value(SERIES[0]))
    )
    numbers = base.mark_text(align="left", dx=4, fill=MUTED, fontSize=11).encode(text="label:N")
    height = 17 * max(1, len(order))
    return configured((drawn + numbers).properties(width=width, height=height))


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
        y=alt.Y("y:N", sort=list(names), axis=names_axis()),
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
    return configured(alt.layer(*layers).properties(width=alt.Step(step), height=alt.Step(step)))
