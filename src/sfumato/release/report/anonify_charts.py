"""The charts of Anonify's study: values by bin, scores by classifier, risk and certainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sfumato.release.report import charts
from sfumato.release.report.chart_style import colour, configured, dashes, names_axis, shapes
from sfumato.release.report.palette import series
from sfumato.release.report.svg import Chart, draw
from sfumato.release.report.wording import listing, share, shorten

if TYPE_CHECKING:
    import altair as alt

    from sfumato.evaluation.anonify import ClassifierScores, Distribution
    from sfumato.evaluation.certainty import SamplingRisk

__all__ = ["distribution_chart", "risk_chart", "score_chart"]

_WIDTH = 290
_LETTER = 6.3  # pixels of a letter
_LONGEST_NAME = 110  # pixels of a name that is written upwards


def distribution_chart(
    table: Distribution, value: int, versions: Mapping[str, int], name: str
) -> Chart:
    """Return one value of a distribution table by bin, a line or a group of bars per version.

    Parameters
    ----------
    table
        The table.
    value
        Which of its values.
    versions
        Name and place of the original, the anonymized and the sampled version, in this order.
    name
        Of the chart, unique in the page.
    """
    rows = (table.original[value], table.anonymized[value], table.sampled[value])
    records = [
        {"bin": label, "place": place, "version": version, "value": row[place]}
        for version, row in zip(versions, rows, strict=True)
        for place, label in enumerate(table.bins)
        if row[place] is not None
    ]
    drawn = _lines if table.kind == "mean" else _bars
    what = table.sensitive if table.kind == "mean" else f"{table.sensitive} = {table.values[value]}"
    title = f"{'Mean' if table.kind == 'mean' else 'Rows with'} {what} by {table.quasi_identifier}"
    words = [
        f"{version}: {', '.join('–' if one is None else f'{one:.6g}' for one in row)}"
        for version, row in zip(versions, rows, strict=True)
    ]
    bins = listing([f"“{label}”" for label in table.bins], most=50)
    return draw(
        drawn(records, versions, table.bins), name, title, f"For {bins}. {'; '.join(words)}."
    )


def score_chart(
    scores: Sequence[ClassifierScores],
    key: str,
    title: str,
    versions: Mapping[str, int],
    name: str,
) -> Chart | None:
    """Return the median of a score by classifier, a mark for each version; None if there is none.

    Parameters
    ----------
    scores
        Of one convention.
    key, title
        Which score, and its name.
    versions
        Name and place of each version.
    name
        Of the chart, unique in the page.
    """
    records: list[dict[str, Any]] = [
        {
            "row": one.classifier,
            "version": one.version,
            "value": one.scores[key].median,
            "low": one.scores[key].lowest,
            "high": one.scores[key].highest,
        }
        for one in scores
        if key in one.scores
    ]
    if not records:
        return None
    rows = list(dict.fromkeys(str(record["row"]) for record in records))
    words = [
        f"{row}: "
        + ", ".join(f"{r['version']} {share(r['value'])}" for r in records if r["row"] == row)
        for row in rows
    ]
    described = f"Medians over the runs. {'; '.join(words)}."
    return draw(_grouped_dots(records, versions, rows, title), name, title, described)


def risk_chart(
    risks: Mapping[str, SamplingRisk], versions: Mapping[str, int], what: str, name: str
) -> Chart:
    """Return the average of risk or certainty by version, from its least to its highest.

    Parameters
    ----------
    risks
        By version.
    versions
        Name and place of each.
    what
        "risk" or "certainty".
    name
        Of the chart, unique in the page.
    """
    records = []
    for version, risk in risks.items():
        found = risk.with_suppressed
        records.append(
            {
                "row": version,
                "version": version,
                "value": getattr(found, f"average_{what}"),
                "low": getattr(found, f"least_{what}"),
                "high": getattr(found, f"highest_{what}"),
            }
        )
    words = [
        f"{record['row']} {share(record['value'])} "
        f"({share(record['low'])} to {share(record['high'])})"
        for record in records
    ]
    title = f"{what.capitalize()}: average, least and highest"
    chart = charts.interval_dots(records, versions, list(risks), f"{what} (share)")
    return draw(chart, name, title, f"{listing(words, most=20)}.")


def _lines(
    records: Sequence[Mapping[str, Any]], versions: Mapping[str, int], bins: Sequence[str]
) -> alt.TopLevelMixin:
    import altair as alt

    x = alt.X("bin:N", sort=list(bins), axis=_bin_axis(bins))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4))
    drawn = (
        alt.Chart(alt.InlineData(values=[dict(record) for record in records]))
        .mark_line(strokeWidth=1.8, point={"size": 18, "filled": True})
        .encode(x=x, y=y, order="place:Q", color=colour(versions), strokeDash=dashes(versions))
    )
    return configured(drawn.properties(width=_WIDTH, height=130))


def _bars(
    records: Sequence[Mapping[str, Any]], versions: Mapping[str, int], bins: Sequence[str]
) -> alt.TopLevelMixin:
    import altair as alt

    order = list(versions)
    colours = [series(place) for place in versions.values()]
    drawn = (
        alt.Chart(alt.InlineData(values=[dict(record) for record in records]))
        .mark_bar(width={"band": 0.9})
        .encode(
            x=alt.X("bin:N", sort=list(bins), axis=_bin_axis(bins)),
            xOffset=alt.XOffset("version:N", sort=order),
            y=alt.Y("value:Q", title=None, axis=alt.Axis(tickCount=4, format="~s")),
            color=alt.Color("version:N", scale=alt.Scale(domain=order, range=colours), legend=None),
        )
    )
    return configured(drawn.properties(width=_WIDTH, height=130))


def _bin_axis(bins: Sequence[str]) -> alt.Axis:
    """Return an axis of bins; names too long to stand side by side are written upwards."""
    import altair as alt

    longest = max((len(label) for label in bins), default=0)
    upright = longest * _LETTER > _WIDTH / max(len(bins), 1)
    return alt.Axis(
        title=None,
        grid=False,
        labelAngle=-90 if upright else 0,
        labelLimit=_LONGEST_NAME if upright else _WIDTH,
        # the names are in the table too: of too many only some are written
        labelOverlap="greedy",
    )


def _grouped_dots(
    records: Sequence[Mapping[str, Any]],
    versions: Mapping[str, int],
    rows: Sequence[str],
    title: str,
) -> alt.TopLevelMixin:
    import altair as alt

    names = [shorten(row, 28) for row in rows]
    values = [{**record, "row": shorten(record["row"], 28)} for record in records]
    order = list(versions)
    base = alt.Chart(alt.InlineData(values=values)).encode(
        y=alt.Y("row:N", sort=names, axis=names_axis(grid=True)),
        yOffset=alt.YOffset("version:N", sort=order),
        color=colour(versions),
    )
    x = alt.X("value:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6))
    ranges = base.mark_rule(strokeWidth=1.5).encode(x=alt.X("low:Q"), x2="high:Q")
    dots = base.mark_point(filled=True, size=38, opacity=1).encode(x=x, shape=shapes(versions))
    height = max(1, len(rows)) * (9 * len(order) + 8)
    chart = alt.layer(ranges, dots).properties(width=400, height=height)
    return configured(chart)
