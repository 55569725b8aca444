"""Risk against use as charts: each release a point with its intervals, the limits as lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato.release.report.chart_style import colour, configured, percent_axis, shapes
from sfumato.release.report.frontier_figures import (
    axis_title,
    figure_text,
    limits_on,
    risk_name,
)
from sfumato.release.report.palette import INK, MUTED
from sfumato.release.report.svg import Chart, draw
from sfumato.release.report.wording import listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sfumato.release.bounds import Reach
    from sfumato.release.frontier import Frontier, Place

__all__ = ["Label", "family_charts", "frontier_chart", "placed_labels"]

_WIDTH, _HEIGHT = 680, 430
_LETTER, _LINE = 6.3, 13.0  # pixels of a letter and of a line of a label
_FADED, _PLAIN = 0.3, 1.0
_SPREAD = 12.0  # from this ratio of the largest risk to the least a square root is drawn


@dataclass(frozen=True)
class Label:
    """A text at a point, in pixels from the upper left corner; ``anchor`` is its left end."""

    text: str
    x: float
    y: float


def frontier_chart(frontier: Frontier, techniques: Mapping[str, int]) -> Chart | None:
    """Return the picture of all releases, or None if none has a place.

    Parameters
    ----------
    frontier
        The releases set against each other.
    techniques
        Each technique's position, which gives its colour and its mark.
    """
    import altair as alt

    shown = [place for place in frontier.places if place.risk and place.utility]
    if not shown:
        return None
    across, up = _Axis.of_risk(shown, frontier), _Axis.of_use(shown, frontier)
    x, y = across.encoded("x", "risk"), up.encoded("y", "use")
    records = [_record(place, frontier) for place in shown]
    layers: list[Any] = [*_limit_lines(frontier, across, up)]
    front = [record for record in records if record["front"]]
    if len(front) > 1:
        front.sort(key=lambda record: across.position(record["risk"]))
        line = alt.Chart(alt.InlineData(values=front)).mark_line(
            interpolate="step-after", strokeDash=[2, 3], stroke=MUTED, strokeWidth=1
        )
        layers.append(line.encode(x=x, y=y, order="order:Q"))
        for order, record in enumerate(front):
            record["order"] = order
    colours, marks = colour(techniques), shapes(techniques)
    seen = alt.Opacity("opacity:Q", scale=None, legend=None)
    for ends in ({"x": "low:Q", "x2": "high:Q", "y": y}, {"y": "least:Q", "y2": "most:Q", "x": x}):
        whisker = alt.Chart(alt.InlineData(values=records)).mark_rule(strokeWidth=1.4)
        layers.append(whisker.encode(**ends, color=colours, opacity=seen))
    for keeps in (False, True):
        of_kind = [record for record in records if record["keeps"] == keeps]
        dots = alt.Chart(alt.InlineData(values=of_kind)).mark_point(
            filled=keeps, size=80, strokeWidth=1.8
        )
        if of_kind:
            layers.append(dots.encode(x=x, y=y, color=colours, shape=marks, opacity=seen))
    best = [record for record in records if record["best"]]
    if best:
        ring = alt.Chart(alt.InlineData(values=best)).mark_point(
            shape="circle", size=420, stroke=INK, strokeWidth=2.2, filled=False
        )
        layers.append(ring.encode(x=x, y=y))
    layers += _labels(records, across, up)
    chart = configured(alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT))
    return draw(
        chart,
        "frontier",
        f"Risk against use of {len(shown)} releases",
        _description(shown, frontier),
    )


def family_charts(
    frontier: Frontier, techniques: Mapping[str, int]
) -> tuple[tuple[str, Chart], ...]:
    """Return a small picture for each family of attacks, with its name.

    Parameters are those of :func:`frontier_chart`.
    """
    import altair as alt

    drawn: list[tuple[str, Chart]] = []
    for family in frontier.families:
        shown = [place for place in frontier.places if place.utility and family in place.families]
        if len(shown) < 2:
            continue
        across = _Axis.over([place.families[family] for place in shown], 190)
        up = _Axis.of_use(shown, frontier)
        records = [
            {**_record(place, frontier), "risk": place.families[family].bound} for place in shown
        ]
        x = across.encoded("x", "risk", title="")
        y = up.encoded("y", "use", title="")
        layers: list[Any] = []
        if family in frontier.plan.limits:
            line = [{"at": frontier.plan.limits[family]}]
            rule = alt.Chart(alt.InlineData(values=line)).mark_rule(
                strokeDash=[5, 3], stroke=INK, strokeWidth=1
            )
            layers.append(rule.encode(x=across.encoded("x", "at", title="")))
        seen = alt.Opacity("opacity:Q", scale=None, legend=None)
        for keeps in (False, True):
            of_kind = [record for record in records if record["keeps"] == keeps]
            if not of_kind:
                continue
            dots = alt.Chart(alt.InlineData(values=of_kind)).mark_point(filled=keeps, size=45)
            layers.append(
                dots.encode(
                    x=x, y=y, color=colour(techniques), shape=shapes(techniques), opacity=seen
                )
            )
        best = [record for record in records if record["best"]]
        if best:
            ring = alt.Chart(alt.InlineData(values=best)).mark_point(
                shape="circle", size=200, stroke=INK, strokeWidth=1.6, filled=False
            )
            layers.append(ring.encode(x=x, y=y))
        words = [f"{place.name} {figure_text(place.families[family])}" for place in shown]
        name = risk_name(family)
        drawn.append(
            (
                name[:1].upper() + name[1:],
                draw(
                    configured(alt.layer(*layers).properties(width=190, height=140)),
                    f"frontier-{len(drawn)}",
                    f"{name} against use",
                    f"{listing(words, most=30)}.",
                ),
            )
        )
    return tuple(drawn)


@dataclass(frozen=True)
class _Axis:
    """One axis: where its values lie, in which direction, and on which scale."""

    low: float
    high: float
    reverse: bool
    root: bool
    share: bool
    pixels: float
    title: str

    @classmethod
    def of_risk(cls, places: Sequence[Place], frontier: Frontier) -> _Axis:
        found = [place.risk for place in places if place.risk]
        limits = [limit for _, limit in limits_on(frontier, risk=True)]
        axis = cls.over(found, _WIDTH, limits)
        root = ", square-root scale" if axis.root else ""
        return cls(**{**axis.__dict__, "title": f"{axis_title(frontier, risk=True)}{root}"})

    @classmethod
    def over(cls, found: Sequence[Reach], pixels: float, limits: Sequence[float] = ()) -> _Axis:
        values = [end for one in found for end in (max(0.0, one.point), one.bound)]
        values += limits
        most, above = max(values), [value for value in values if value > 0]
        root = bool(above) and most / max(min(above), 1e-4) > _SPREAD
        reverse = not found[0].lower_is_better
        share = found[0].unit == "share"
        return cls(0.0, (most or 1.0) * 1.06, reverse, root, share, pixels, "")

    @classmethod
    def of_use(cls, places: Sequence[Place], frontier: Frontier) -> _Axis:
        found = [place.utility for place in places if place.utility]
        values = [end for one in found for end in (one.low, one.high)]
        values += [limit for _, limit in limits_on(frontier, risk=False)]
        margin = 0.06 * (max(values) - min(values) or 1.0)
        low, high = min(values) - margin, max(values) + margin
        title = axis_title(frontier, risk=False)
        share = found[0].unit == "share" and not found[0].key.startswith("auc")
        reverse = found[0].lower_is_better
        return cls(low, high, reverse, False, share, _HEIGHT, title)  # noqa: FBT003

    def encoded(self, channel: str, name: str, title: str | None = None) -> Any:
        """Return the encoding of a field on this axis."""
        import altair as alt

        scale = alt.Scale(
            domain=[self.low, self.high],
            reverse=self.reverse,
            type="sqrt" if self.root else "linear",
            nice=False,
            zero=False,
        )
        axis = percent_axis() if self.share else alt.Axis(tickCount=5)
        kind = alt.X if channel == "x" else alt.Y
        told = (self.title if title is None else title) or None
        return kind(f"{name}:Q", title=told, scale=scale, axis=axis)

    def position(self, value: float) -> float:
        """Return where a value lies, in pixels from the left or from the bottom."""
        inner = math.sqrt if self.root else float
        low, high = inner(max(self.low, 0.0) if self.root else self.low), inner(self.high)
        part = (inner(max(value, 0.0) if self.root else value) - low) / (high - low)
        return self.pixels * (1 - part if self.reverse else part)


def _record(place: Place, frontier: Frontier) -> dict[str, Any]:
    risk, use = place.risk, place.utility
    best = frontier.recommended is not None and frontier.recommended.name == place.name
    low, high = (0.0, 0.0) if risk is None else sorted((max(0.0, risk.point), risk.bound))
    return {
        "name": place.name,
        "number": str(place.number),
        "version": place.candidate.technique,
        "risk": 0.0 if risk is None else max(0.0, risk.bound),
        "low": low,
        "high": high,
        "use": 0.0 if use is None else use.point,
        "least": 0.0 if use is None else use.low,
        "most": 0.0 if use is None else use.high,
        "front": place.on_front,
        "keeps": place.keeps,
        "best": best,
        "opacity": _FADED if place.dominated_by and not best else _PLAIN,
    }


def _limit_lines(frontier: Frontier, across: _Axis, up: _Axis) -> list[Any]:
    import altair as alt

    layers: list[Any] = []
    for risk, axis, channel in ((True, across, "x"), (False, up, "y")):
        for place, (key, limit) in enumerate(limits_on(frontier, risk=risk)):
            values = alt.InlineData(values=[{"at": limit, "text": f"limit: {risk_name(key)}"}])
            encoded = {channel: axis.encoded(channel, "at")}
            rule = alt.Chart(values).mark_rule(strokeDash=[5, 3], stroke=INK, strokeWidth=1.2)
            layers.append(rule.encode(**encoded))
            other = {"y": alt.value(10 + 14 * place)} if risk else {"x": alt.value(_WIDTH - 4)}
            words = alt.Chart(values).mark_text(
                align="left" if risk else "right", dx=4 if risk else 0, dy=0 if risk else -6,
                fontSize=11, fill=MUTED,
            )  # fmt: skip
            layers.append(words.encode(**encoded, **other, text="text:N"))
    return layers


def _labels(records: Sequence[Mapping[str, Any]], across: _Axis, up: _Axis) -> list[Any]:
    """Return the names of the releases that nothing dominates, and the numbers of the others."""
    import altair as alt

    ordered = sorted(records, key=lambda one: (not one["best"], not one["front"]))
    points = [(across.position(one["risk"]), _HEIGHT - up.position(one["use"])) for one in ordered]
    texts = [
        f"{one['number']}  {one['name']}" if one["front"] or one["best"] else one["number"]
        for one in ordered
    ]
    labels = placed_labels(points, texts, _WIDTH, _HEIGHT)
    layers: list[Any] = []
    for one, label in zip(ordered, labels, strict=True):
        mark = alt.Chart(alt.InlineData(values=[{"text": label.text}])).mark_text(
            align="left",
            baseline="middle",
            fontSize=12 if one["best"] else 11,
            fontWeight="bold" if one["best"] else "normal",
            fill=INK if one["front"] or one["best"] else MUTED,
        )
        layers.append(
            mark.encode(x=alt.value(label.x), y=alt.value(label.y), text=alt.Text("text:N"))
        )
    return layers


def placed_labels(
    points: Sequence[tuple[float, float]], texts: Sequence[str], width: float, height: float
) -> list[Label]:
    """Return where each point's label stands: beside its point, off all points and other labels.

    Parameters
    ----------
    points
        In pixels from the upper left corner; the earlier ones choose first.
    texts
        One for each point.
    width, height
        Of the plot, in pixels; a label stays inside where it can.
    """
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    found = []
    for place, ((x, y), text) in enumerate(zip(points, texts, strict=True)):
        wide = _LETTER * len(text)
        nearest = 17 if place == 0 else 11  # the first one may stand in a ring
        choices = [
            (x + gap * dx - (wide if dx < 0 else wide / 2 if dx == 0 else 0), y + gap * dy)
            for gap in (nearest, 20, 30)
            for dx, dy in ((1, 0), (-1, 0), (1, -1), (1, 1), (-1, -1), (-1, 1), (0, -1), (0, 1))
        ]
        crossed = [_crossed(box(*choice, wide), taken, width, height) for choice in choices]
        left, middle = choices[crossed.index(min(crossed))]
        taken.append(box(left, middle, wide))
        found.append(Label(text, left, middle))
    return found


def box(left: float, middle: float, wide: float) -> tuple[float, float, float, float]:
    """Return the corners of a label."""
    return left, middle - _LINE / 2, left + wide, middle + _LINE / 2


def _crossed(
    own: tuple[float, float, float, float],
    taken: Sequence[tuple[float, float, float, float]],
    width: float,
    height: float,
) -> float:
    """Return how much of a box is covered by others or lies outside."""
    covered = 0.0
    for other in taken:
        across = min(own[2], other[2]) - max(own[0], other[0])
        down = min(own[3], other[3]) - max(own[1], other[1])
        covered += max(0.0, across) * max(0.0, down)
    outside = max(0.0, -own[0]) + max(0.0, own[2] - width)
    outside += max(0.0, -own[1]) + max(0.0, own[3] - height)
    return covered + 20.0 * outside


def _description(places: Sequence[Place], frontier: Frontier) -> str:
    words = []
    for place in places:
        if place.risk is None or place.utility is None:
            continue
        marks = [f"risk {figure_text(place.risk)}, use {figure_text(place.utility)}"]
        marks += ["dominated"] if place.dominated_by else []
        marks += ["keeps the limits"] if place.keeps else []
        if frontier.recommended is not None and frontier.recommended.name == place.name:
            marks.append("recommended")
        words.append(f"{place.name}: {', '.join(marks)}")
    return "; ".join(words) + "."
