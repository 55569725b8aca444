"""The report of a table's profile: what is in it, who stands out, which roles are suggested."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sfumato._version import __version__
from sfumato.release.report import palette
from sfumato.release.report.page import Section, render
from sfumato.release.report.profile_charts import (
    category_charts,
    class_size_charts,
    correlation_chart,
    date_charts,
    number_charts,
    yes_chart,
)
from sfumato.release.report.wording import listing, number, plural, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfumato.table import Profile
    from sfumato.table.profiling.correlations import Correlations
    from sfumato.table.profiling.table_profile import ColumnProfile, Finding

__all__ = ["render_profile"]

_SECTIONS = (
    Section("overview", "In plain words", "profile_overview.html"),
    Section("findings", "What needs a look", "profile_findings.html"),
    Section("columns", "The columns", "profile_columns.html"),
    Section("unique", "What makes people unique", "profile_unique.html"),
    Section("groups", "The groups that people form", "profile_groups.html"),
    Section("spreads", "Numbers, dates and categories", "profile_spreads.html"),
    Section("correlations", "Correlations", "profile_correlations.html"),
)

#: In the order in which a person should look; heading and why.
_KINDS = {
    "direct identifier": (
        "Direct identifiers",
        "They name a person by themselves and belong in no release.",
    ),
    "rare diagnosis": (
        "Rare diagnoses",
        "Whoever knows that somebody has one is left with few rows to choose from.",
    ),
    "rare values": (
        "Rare bodies",
        "Values so unusual that they can give a person away by themselves.",
    ),
    "rare categories": (
        "Rare categories",
        "Categories with few people; they are counted here and not named.",
    ),
    "possible missing": (
        "Values that may stand for “missing”",
        "sfumato does not guess: say so in the schema, or they count as values.",
    ),
    "missing": ("Missing cells", "A missing cell is a value of its own when people are counted."),
    "outliers": ("Outliers", "Rows outside Tukey's fences; not wrong by that, but easier to find."),
    "constant": ("Constant columns", "They tell nothing and can be left out."),
}

_MOST_COMBINATIONS = 20


def render_profile(profile: Profile) -> str:
    """Return the report of a profile as one HTML text that opens offline.

    Parameters
    ----------
    profile
        A table in aggregates. The report names values where groups are small: it is for the house
        that holds the table.
    """
    people = "" if profile.persons is None else f" about {plural(profile.persons, 'person')}"
    return render(
        "profile.html",
        title="Profile of a table",
        kind="Profile of a table; for the house, not for release",
        heading=f"{plural(profile.rows, 'row')}{people}, {plural(len(profile.columns), 'column')}",
        sfumato=__version__,
        sections=_SECTIONS,
        versions={},
        colours=palette.SERIES,
        dashes=(),
        profile=profile,
        sentences=_sentences(profile),
        finding_groups=_finding_groups(profile.findings),
        sensitivities=Counter(column.sensitivity.kind for column in profile.columns),
        combinations=profile.uniqueness.combinations[:_MOST_COMBINATIONS],
        class_charts=class_size_charts(profile.groups),
        numbers=[column for column in profile.columns if column.contents.numbers is not None],
        number_charts=number_charts(profile.columns),
        yes=yes_chart(profile.columns),
        date_charts=date_charts(profile.columns),
        categories=[
            column
            for column in profile.columns
            if column.contents.categories is not None and column.contents.positive_share is None
        ],
        category_charts=category_charts(profile.columns),
        correlations=correlation_chart(profile.correlations),
        strongest=_strongest(profile.correlations),
    )


def _sentences(profile: Profile) -> tuple[str, ...]:
    """Return the profile in a few sentences, the gravest first."""
    found = [_identifier_sentence(profile.identifiers)]
    uniqueness = profile.uniqueness
    if uniqueness.together is not None:
        alone = "persons" if uniqueness.unit == "persons" else "rows"
        found.append(
            f"{share(uniqueness.together.share_unique)} of the {alone} are unique on "
            f"{listing(uniqueness.candidates, most=10)} together: whoever knows these of a person "
            "finds that person's row."
        )
    few = next((step for step in uniqueness.path if step.share_unique > 0.5), None)
    if few is not None and len(few.columns) < len(uniqueness.candidates):
        found.append(
            f"{plural(len(few.columns), 'column is', 'columns are')} already enough to single out "
            f"more than half of them: {listing(few.columns)}."
        )
    for groups in profile.groups[:1]:
        unit = groups.unit if groups.smallest > 1 else groups.unit.removesuffix("s")
        found.append(
            f"Grouped by {listing(groups.columns)}, people form {plural(groups.groups, 'group')}; "
            f"the smallest holds {number(groups.smallest)} {unit}."
        )
    return tuple(found)


def _identifier_sentence(identifiers: Sequence[ColumnProfile]) -> str:
    if not identifiers:
        return (
            "No column was recognised as a direct identifier, by its name or by its cells. That is "
            "no proof that there is none."
        )
    names = listing([column.name for column in identifiers])
    verb = "names a person" if len(identifiers) == 1 else "name a person"
    return f"{names} {verb} directly."


def _finding_groups(
    findings: Sequence[Finding],
) -> tuple[tuple[str, str, tuple[Finding, ...]], ...]:
    """Return (heading, why, findings) by kind, the gravest kind first."""
    kinds = dict.fromkeys((*_KINDS, *(finding.kind for finding in findings)))
    groups = []
    for kind in kinds:
        chosen = tuple(finding for finding in findings if finding.kind == kind)
        if chosen:
            heading, why = _KINDS.get(kind, (kind.capitalize(), ""))
            groups.append((heading, why, chosen))
    return tuple(groups)


def _strongest(correlations: Correlations) -> list[tuple[str, str, float]]:
    """Return the ten pairs of columns that are correlated most."""
    pairs = [
        (one, other, value)
        for row, one in enumerate(correlations.columns)
        for column, other in enumerate(correlations.columns[:row])
        if (value := correlations.matrix[row][column]) is not None
    ]
    return sorted(pairs, key=lambda pair: (-abs(pair[2]), pair[:2]))[:10]
