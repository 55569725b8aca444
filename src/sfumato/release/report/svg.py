"""A chart as text: static SVG without script, small, and readable by a screen reader.

Altair builds the specification, vl-convert draws it in this process; what comes out is then tidied:
groups and attributes that draw nothing are dropped, ids are numbered anew (those that vl-convert
hands out count all charts of a process, so that the same chart would differ from run to run), and
a title and a description are put in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from altair import TopLevelMixin

__all__ = ["Chart", "draw"]

_NAMESPACE = "{http://www.w3.org/2000/svg}"
_KEPT_ON_ROOT = ("viewBox", "width", "height")
_NOISE = {"class", "role", "pointer-events", "aria-hidden", "aria-label", "aria-roledescription"}
_DEFAULTS = {("opacity", "1"), ("stroke-width", "1"), ("font-style", "normal"), ("fill", "")}
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}(?:e-?\d+)?")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_DRAWN = {"path", "line", "rect", "circle", "text", "image"}


@dataclass(frozen=True)
class Chart:
    """A drawn chart and the words that stand for it.

    Parameters
    ----------
    svg
        Markup, ready for a template.
    title, description
        What the chart shows, for those who do not see it.
    """

    svg: Markup
    title: str
    description: str


def draw(chart: TopLevelMixin, name: str, title: str, description: str) -> Chart:
    """Draw a chart.

    Parameters
    ----------
    chart
        An Altair chart.
    name
        Letters, digits and hyphens, unique in the page: the prefix of the ids in the SVG.
    title, description
        Plain text; shown to screen readers.
    """
    import vl_convert

    specification = chart.to_dict(validate=False)
    raw = vl_convert.vegalite_to_svg(specification)
    return Chart(Markup(_tidy(raw, name, title, description)), title, description)  # noqa: S704


def _tidy(raw: str, name: str, title: str, description: str) -> str:
    root = ElementTree.fromstring(raw)  # noqa: S314 (written by vl-convert a moment ago)
    numbered = _numbered_ids(root, name)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_NAMESPACE)
        element.attrib = _useful(element, numbered)
    _prune(root)
    root.attrib = {key: root.attrib[key] for key in _KEPT_ON_ROOT if key in root.attrib}
    root.attrib |= {
        "class": "chart",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-description",
    }
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        label = ElementTree.Element(tag, {"id": f"{name}-{_ID_ENDING[tag]}"})
        label.text = text
        root.insert(position, label)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


_ID_ENDING = {"title": "title", "desc": "description"}


def _numbered_ids(root: ElementTree.Element, name: str) -> dict[str, str]:
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    return {found: f"{name}-{position}" for position, found in enumerate(ids)}


def _useful(element: ElementTree.Element, ids: dict[str, str]) -> dict[str, str]:
    """Return the attributes that draw something, with numbers of at most one decimal."""
    kept = {}
    for key, value in element.attrib.items():
        if key in _NOISE or (key, value) in _DEFAULTS:
            continue
        if key == "id":
            kept[key] = ids[value]
        elif key in {"d", "transform", "x", "y", "x2", "y2", "width", "height"}:
            kept[key] = _LONG_NUMBER.sub(_shorter, value)
        elif key == "font-family":
            continue  # the page's style sheet says it once
        else:
            kept[key] = _REFERENCE.sub(lambda found: f"url(#{ids[found[1]]})", value)
    if kept.get("transform") == "translate(0,0)":
        del kept["transform"]
    return kept


def _shorter(found: re.Match[str]) -> str:
    return f"{round(float(found[0]), 1):g}"


def _prune(element: ElementTree.Element) -> None:
    """Drop what draws nothing and put the children of bare groups in their group's place."""
    children: list[ElementTree.Element] = []
    for child in list(element):
        _prune(child)
        if child.tag == "g" and not len(child):
            continue
        if child.tag == "g" and not child.attrib:
            children.extend(child)
        elif not (child.tag in _DRAWN and _draws_nothing(child)):
            children.append(child)
    for child in list(element):
        element.remove(child)
    element.extend(children)


def _draws_nothing(element: ElementTree.Element) -> bool:
    attributes = element.attrib
    if attributes.get("display") == "none":
        return True
    if element.tag == "path":
        unpainted = attributes.get("fill", "none") == "none" and "stroke" not in attributes
        return not attributes.get("d") or unpainted
    if element.tag == "text":
        return not (element.text or "").strip()
    return attributes.get("fill") == "transparent"
