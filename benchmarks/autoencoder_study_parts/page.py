"""The report in the house's frame and style sheet, with templates of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from autoencoder_study_parts.content import Check, Shown
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from markupsafe import Markup

from sfumato import __version__
from sfumato.release.report import palette, wording

__all__ = ["write_page"]

_REPORT = "sfumato.release.report"
_FILTERS = ("number", "share", "score", "amount", "interval", "plural", "listing", "breakable")
_RED = """
:root { --leak: #b00020; --leak-panel: #fdecee; }
@media screen and (prefers-color-scheme: dark) { :root { --leak: #ff8a94; --leak-panel: #3a1a1f; } }
.note.leak { border-color: var(--leak); background: var(--leak-panel); }
.tag.evidence { color: var(--leak); background: var(--leak-panel); }
.leak-words { color: var(--leak); font-weight: 600; }
td.pub, th.pub { background: var(--panel); padding-left: .7rem; }
td.n.first, th.n.first { padding-left: 1rem; }
td small { line-height: 1.35; }
.wilson small { white-space: nowrap; }
.said td { min-width: 11rem; }
table.risks { font-size: .86rem; }
table.risks tbody th { min-width: 7.5rem; }
table.risks td:last-child { min-width: 9.5rem; padding-left: .4rem; }
table.risks td, table.risks th { padding-right: .35rem; }
.maps { display: grid; gap: 1.2rem; }
.maps { grid-template-columns: repeat(auto-fill, minmax(min(18rem, 100%), 1fr)); }
"""


@dataclass(frozen=True)
class _Section:
    anchor: str
    title: str
    template: str
    shown: Shown | None = None


def write_page(
    path: Path,
    books: Sequence[Shown],
    checks: Sequence[Check],
    known: Mapping[str, Any],
    attacks: Sequence[str],
) -> None:
    """Write the report."""
    sections = [_Section("short", "In plain words", "short.html")]
    sections += [_Section(one.key, one.title, "data_set.html", one) for one in books]
    sections.append(_Section("limits", "How it was measured, and its limits", "how.html"))
    text = (
        _environment()
        .get_template("autoencoder_study.html")
        .render(
            title="The autoencoder study, redrawn",
            kind="A published study, redrawn",
            heading="Synthetic rows by autoencoders: published figures beside honest ones",
            sfumato=__version__,
            sections=sections,
            books=books,
            checks=checks,
            known=known,
            attacks=attacks,
        )
    )
    path.write_text(text, "utf-8")


def _environment() -> Environment:
    own = FileSystemLoader(Path(__file__).with_name("templates"))
    environment = Environment(
        loader=ChoiceLoader([own, PackageLoader(_REPORT)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in _FILTERS:
        environment.filters[name] = getattr(wording, name)
    sheet = files(_REPORT).joinpath("style.css").read_text("utf-8")
    dark = f"@media screen and (prefers-color-scheme:dark){{{palette.dark_rules()}}}"
    environment.globals["style"] = Markup(  # our own style sheets
        f"{sheet}{palette.light_rules()}{dark}{_RED}"
    )
    return environment
