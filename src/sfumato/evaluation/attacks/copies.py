"""Direct disclosure: people whose very record, or nearly, is in the release more often than chance.

A release may hold somebody's record by chance, where records are common. How often, the controls
tell: they were never seen by its maker. What members have beyond that is a leak.

References
----------
R. A. Fisher, "The Design of Experiments" (1935), for the exact test; G. M. Raab, B. Nowok, C.
Dibben, "Practical privacy metrics for synthetic data" (2024, arXiv 2406.16826), section 3:
replicated uniques.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.member_figures import excess_figure
from sfumato.evaluation.attacks.record_differences import on_columns, record_differences
from sfumato.evaluation.figures import Direction, Figure
from sfumato.progress import Progress, silent

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackTables

__all__ = ["Copies", "hits"]

Flags = npt.NDArray[np.bool_]

_LOWER: Direction = "lower is better"
_FISHER = "Fisher 1935, exact test of members against controls"
_RAAB = "Raab, Nowok & Dibben 2024 (arXiv 2406.16826), section 3, replicated uniques"
_PART = "It does not show people of whom the release holds a changed or a partial record."
_KINDS: dict[str, tuple[str, str, str, str]] = {
    "exact": (
        "people whose very record is in the release",
        (
            "Share of the members for whom some released row is, or could be, their record on "
            "every column. What controls have is chance."
        ),
        _FISHER,
        _PART,
    ),
    "exact_unique": (
        "people unlike all others whose very record is in the release",
        (
            "Share of the members who are unlike every other real person and for whom some "
            "released row is, or could be, their record on every column."
        ),
        _FISHER,
        _PART,
    ),
    "all_but_one": (
        "people whose record is in the release but for one column",
        "Share of the members from whom some released row differs in one column at most.",
        _FISHER,
        "It does not show people whose numbers were all moved a little: matching looks for them.",
    ),
    "all_but_two": (
        "people whose record is in the release but for two columns",
        "Share of the members from whom some released row differs in two columns at most.",
        _FISHER,
        "It does not show people whose numbers were all moved a little: matching looks for them.",
    ),
    "replicated_uniques": (
        "replicated uniques",
        (
            "Share of the members who are the only real person with their quasi-identifiers and "
            "whom exactly one released row fits on these."
        ),
        _RAAB,
        "A person can be disclosed without being unique, and a unique one by chance.",
    ),
}


class Copies(Attack):
    """Look for the records of members in the release, against those of controls."""

    knowledge: ClassVar[str] = (
        "Somebody knows a person's whole record, or her quasi-identifiers, and looks whether it is "
        "in the release."
    )

    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Count every member and control; the figures are ``copies/<kind>``."""
        because = _lacking(tables)
        progress("looking for copies", 0, 1)
        found = {} if because else hits(tables)
        progress("looking for copies", 1, 1)
        figures = {}
        for kind, (name, meaning, source, not_shown) in _KINDS.items():
            if kind not in found:
                figures[f"copies/{kind}"] = Figure.not_computed(
                    name,
                    because or _too_much(tables, kind),
                    unit="share",
                    direction=_LOWER,
                    source=source,
                )
                continue
            figures[f"copies/{kind}"] = excess_figure(
                found[kind].astype(np.float64),
                tables.member,
                name=name,
                meaning=meaning,
                source=source,
                baseline=None,
                not_shown=not_shown,
                seed=seed,
            )
        return figures


def hits(tables: AttackTables) -> dict[str, Flags]:
    """Return which real people are hit, by kind, each shape (N,); labels play no part.

    Parameters
    ----------
    tables
        The release and at least one real row.
    """
    columns = len(tables.columns)
    found = record_differences(tables, most=min(2, max(columns - 2, 0)))
    exact = found.least == 0
    flags = {"exact": exact, "exact_unique": exact & (found.alike == 1)}
    if found.known >= 1:
        flags["all_but_one"] = found.least <= 1
    if found.known >= 2:
        flags["all_but_two"] = found.least <= 2
    names = [one.name for one in tables.columns if one.name in tables.schema.quasi_identifiers]
    if names and len(names) < columns:
        found = record_differences(on_columns(tables, names), most=0)
    flags["replicated_uniques"] = (found.alike == 1) & (found.standing == 1)
    return flags


def _lacking(tables: AttackTables) -> str:
    if not tables.rows:
        return "the release has no rows"
    if not tables.n_members:
        return "there are no members"
    return "" if tables.n_controls else "there are no control people"


def _too_much(tables: AttackTables, kind: str) -> str:
    least = 3 if kind == "all_but_one" else 4
    if len(tables.columns) < least:
        return f"fewer than {least} columns can be compared"
    return "the tables are too large to leave out every pair of columns"
