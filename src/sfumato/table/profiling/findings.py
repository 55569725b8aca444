"""What a person should look at in a column: one sentence each, with the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.table.profiling.column_profile import Contents

__all__ = ["Finding", "findings_in"]

# A yes/no answer that fewer people give narrows them down: every tenth person.
_RARE_DIAGNOSIS = 0.10


@dataclass(frozen=True)
class Finding:
    """Something that a person should look at.

    Parameters
    ----------
    kind
        "direct identifier", "rare diagnosis", "rare values", "rare categories", "outliers",
        "missing", "possible missing", "constant".
    column
        The column.
    text
        A sentence with the numbers.
    """

    kind: str
    column: str
    text: str


def findings_in(
    name: str, contents: Contents, rows: int, *, identifies: bool, reasons: Sequence[str] = ()
) -> list[Finding]:
    """Return what a person should look at in a column.

    Parameters
    ----------
    name
        The column.
    contents
        What it holds.
    rows
        Rows of the table.
    identifies
        Whether it is taken for a direct identifier.
    reasons
        Why it is.
    """
    found: list[tuple[str, str]] = []
    if identifies:
        because = f": {'; '.join(reasons)}" if reasons else ", as the schema says"
        found.append(("direct identifier", f"it names a person{because}"))
    if contents.missing:
        share = contents.missing / rows
        found.append(("missing", f"{contents.missing:,} cells are missing ({share:.1%})"))
    found.extend(
        ("possible missing", f"{item.rows:,} rows hold {item.value!r}: {item.because}")
        for item in contents.possible_missing
    )
    if contents.distinct == 1 and not contents.missing:
        found.append(("constant", "every row holds the same value"))
    share_yes = contents.positive_share
    if share_yes is not None and 0 < share_yes < _RARE_DIAGNOSIS:
        found.append(
            (
                "rare diagnosis",
                (
                    f"only {share_yes:.1%} of the rows say yes: it helps to find a "
                    "person of whom it is known"
                ),
            )
        )
    if contents.numbers is not None:
        outliers = contents.numbers.outliers
        found.extend(
            ("rare values", f"{rare.rows:,} rows with {rare.rule}: {rare.because}")
            for rare in outliers.rare
        )
        apart = outliers.below + outliers.above
        if apart and contents.categories is None:
            fences = f"{outliers.low_fence:g} to {outliers.high_fence:g}"
            found.append(("outliers", f"{apart:,} rows lie outside Tukey's fences, {fences}"))
    if contents.categories is not None and contents.categories.rare:
        rare = contents.categories
        found.append(
            (
                "rare categories",
                (
                    f"{rare.rare:,} categories are held by fewer than {rare.rare_below} rows each, "
                    f"{rare.rows_rare:,} rows in all"
                ),
            )
        )
    return [Finding(kind, name, f"{text}.") for kind, text in found]
