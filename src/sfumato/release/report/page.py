"""The frame of every report: one HTML text that opens offline and asks nothing of anyone.

Templates escape what they are given; the content-security policy of the page forbids scripts,
fonts and requests, so even a mistake here could not call out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from sfumato.release.report import palette, wording

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Section", "identifier", "render"]


@dataclass(frozen=True)
class Section:
    """One section of a report: its anchor, its heading, and the template that fills it."""

    anchor: str
    title: str
    template: str


def render(template: str, **content: Any) -> str:
    """Return a page as one HTML text.

    Parameters
    ----------
    template
        Name of a template in this package.
    content
        What the template shows.
    """
    return _environment().get_template(template).render(**content)


def identifier(*parts: object) -> str:
    """Return a text that can be an id in HTML, the same for the same parts.

    Examples
    --------
    >>> identifier("shares", 3)
    'shares-3'
    """
    return "-".join(str(part) for part in parts)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sfumato.release.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_of_numbers in (
        wording.number,
        wording.share,
        wording.score,
        wording.amount,
        wording.interval,
        wording.plural,
        wording.listing,
        wording.shorten,
        wording.breakable,
        wording.duration,
    ):
        environment.filters[filter_of_numbers.__name__] = filter_of_numbers
    environment.globals["style"] = _style()
    return environment


def _style() -> Markup:
    written = files("sfumato.release.report").joinpath("style.css").read_text("utf-8")
    dark = f"@media screen and (prefers-color-scheme:dark){{{palette.dark_rules()}}}"
    return Markup(f"{written}{palette.light_rules()}{dark}")  # noqa: S704 (our own style sheet)
