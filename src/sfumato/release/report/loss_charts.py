"""Bars of a share for each row and version, side by side; nothing here computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfumato.release.report.chart_style import colour, configured, names_axis, percent_axis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt

__all__ = ["grouped_bars"]


def grouped_bars(
    records: Sequence[Mapping[str, Any]],
    versions: Mapping[str, int],
    rows: Sequence[str],
    x_title: str,
) -> alt.TopLevelMixin:
    """Return horizontal bars from 0 to 100 %, one for each row and version.

    Parameters
    ----------
    records
        ``row``, ``version`` and ``value`` (0 to 1).
    versions
        Each version's name and its position in the study, which gives its colour and its place.
    rows
        From top to bottom, at least one.
    x_title
        Title of the axis.
    """
    import altair as alt

    bar = 14 if len(versions) == 1 else 9
    drawn = (
        alt.Chart(alt.InlineData(values=[dict(record) for record in records]))
        .mark_bar(height={"band": 0.9})
        .encode(
            x=alt.X("value:Q", title=x_title, axis=percent_axis(), scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("row:N", sort=list(rows), axis=names_axis()),
            yOffset=alt.YOffset("version:N", sort=list(versions)),
            color=colour(versions),
        )
    )
    height = len(rows) * (bar * len(versions) + 8)
    return configured(drawn.properties(width=400, height=height))
