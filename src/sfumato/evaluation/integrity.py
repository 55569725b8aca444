"""Integrity of a released table, whoever made it: what gives people away before any attack.

Identifiers that were left, numbers that were copied, rows in the order of the source, marks that
nobody sees. Each check is a finding with a code, how bad it is, how many cells, rows or columns it
is about and what to do; no finding holds a cell.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from sfumato.errors import DataError
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.integrity_findings import IntegrityFinding, Severity
from sfumato.evaluation.integrity_identifiers import identifier_findings, names_with_data
from sfumato.evaluation.integrity_numbers import number_findings
from sfumato.evaluation.integrity_order import RowOrder, order_findings, row_order
from sfumato.evaluation.integrity_sides import Sides
from sfumato.evaluation.integrity_structure import structure_findings
from sfumato.evaluation.integrity_texts import file_finding, text_findings
from sfumato.table import Schema
from sfumato.table.types import normalize

__all__ = ["Integrity", "IntegrityFinding", "check_integrity"]

_ORDER = "order of the rows, rank correlation with the source"
_ORDER_SOURCE = "Spearman 1904; permutation test"
_NAMES: dict[Severity, str] = {
    "leak": "checks of integrity that found a leak",
    "fault": "checks of integrity that found a fault",
    "look": "checks of integrity that a person should look at",
}


@dataclass(frozen=True)
class Integrity:
    """All findings about one released table.

    Parameters
    ----------
    findings
        One for each check, in the order of their codes.
    figures
        "integrity/leaks", "integrity/faults", "integrity/looks": how many checks failed;
        "integrity/row_order": how far the rows stand in the order of the source.
    """

    findings: tuple[IntegrityFinding, ...]
    figures: dict[str, Figure]

    @property
    def failed(self) -> tuple[IntegrityFinding, ...]:
        """The checks that failed, leaks first."""
        order = ("leak", "fault", "look")
        broken = [finding for finding in self.findings if finding.status == "failed"]
        return tuple(sorted(broken, key=lambda finding: order.index(finding.severity)))

    @property
    def leaks(self) -> tuple[IntegrityFinding, ...]:
        """The failed checks that give people away."""
        return tuple(finding for finding in self.failed if finding.severity == "leak")

    def __getitem__(self, code: str) -> IntegrityFinding:
        """Return the finding of that code."""
        for finding in self.findings:
            if finding.code == code:
                return finding
        raise KeyError(code)

    def to_dict(self) -> dict[str, Any]:
        """Return findings and figures as plain JSON values."""
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "figures": {key: figure.to_dict() for key, figure in self.figures.items()},
        }


def check_integrity(
    released: pl.DataFrame,
    real: pl.DataFrame | None = None,
    schema: Schema | None = None,
    *,
    file: str | Path | None = None,
    synthetic: bool = False,
    seed: int = 0,
) -> Integrity:
    """Check a released table for what gives people away before any attack.

    Parameters
    ----------
    released
        The released rows, as they were read.
    real
        The rows that the release was made from, in their own order; without them what needs a
        comparison does not apply.
    schema
        Schema of the real rows; without it no identifiers and no quasi-identifiers are known.
    file
        The released file, whose metadata are looked at.
    synthetic
        Whether the released rows are invented: a class of them then holds no people.
    seed
        Of the draws that test the order of rows.

    Returns
    -------
    Integrity
        A finding for each check from SF101 to SF122, and figures.

    Raises
    ------
    DataError
        If a table has a column that is none, or the file cannot be read.
    """
    if not released.width:
        raise DataError("the released table has no columns")
    sides = Sides(
        normalize(released, "the released table"),
        None if real is None else normalize(real, "the real table"),
        schema,
        seed,
        synthetic,
    )
    order = row_order(sides)
    findings = [
        *identifier_findings(sides),
        *order_findings(sides, order),
        *number_findings(sides),
        *structure_findings(sides),
        *text_findings(sides),
        file_finding(None if file is None else Path(file)),
    ]
    findings.sort(key=lambda finding: finding.code)
    hidden = {name: place for place, name in enumerate(released.columns, 1)}
    hidden = {name: hidden[name] for name in names_with_data(sides)}
    findings = [_without_names(finding, hidden) for finding in findings]
    return Integrity(tuple(findings), _figures(findings, order))


def _without_names(finding: IntegrityFinding, hidden: dict[str, int]) -> IntegrityFinding:
    """Return the finding with the place of a column where its name is a person's."""
    meaning = finding.meaning
    for name, place in hidden.items():
        meaning = meaning.replace(repr(name), f"column {place}")
    columns = tuple(
        f"column {hidden[name]}" if name in hidden else name for name in finding.columns
    )
    return replace(finding, columns=columns, meaning=meaning)


def _figures(findings: list[IntegrityFinding], order: RowOrder | str) -> dict[str, Figure]:
    figures = {f"integrity/{severity}s": _how_many(findings, severity) for severity in _NAMES}
    if isinstance(order, str):
        figures["integrity/row_order"] = Figure.not_computed(
            _ORDER,
            order.rstrip("."),
            unit="correlation",
            direction="closer to the baseline is better",
            source=_ORDER_SOURCE,
        )
        return figures
    figures["integrity/row_order"] = Figure(
        name=_ORDER,
        value=order.correlation,
        unit="correlation",
        direction="closer to the baseline is better",
        meaning=(
            "Where a row stands says whose it is to anybody who knows the order of the source, if "
            "this is far from 0."
        ),
        source=_ORDER_SOURCE,
        baseline=0.0,
        p_value=order.p_value,
        attacks=order.rows,
        not_shown="An order by a column that is not released, such as a name, shows only here.",
    )
    return figures


def _how_many(findings: list[IntegrityFinding], severity: Severity) -> Figure:
    ours = [finding for finding in findings if finding.severity == severity]
    made = [finding for finding in ours if finding.status in ("passed", "failed")]
    broken = [finding for finding in made if finding.status == "failed"]
    codes = f": {', '.join(finding.code for finding in broken)}" if broken else ""
    return Figure(
        name=_NAMES[severity],
        value=float(len(broken)),
        unit="checks",
        direction="lower is better",
        meaning=f"{len(broken)} of {len(made)} checks that could be made failed{codes}.",
        source="docs/audit.md",
        baseline=0.0,
        attacks=len(made),
        not_shown=f"{len(ours) - len(made)} checks of this kind had nothing to compare with."
        if len(ours) > len(made)
        else "",
    )
