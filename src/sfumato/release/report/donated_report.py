"""The report of a donated release: one page that opens offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato._version import __version__
from sfumato.release.report.page import Section, render
from sfumato.release.report.wording import number, plural, share

if TYPE_CHECKING:
    from sfumato.release.donated import DonatedRelease

__all__ = ["render_donated"]

_SECTIONS = (
    Section("summary", "In plain words", "donated_summary.html"),
    Section("promises", "Promises, and what is not promised", "donated_promises.html"),
    Section("risk", "Risk and certainty", "donated_risk.html"),
    Section("classes", "Classes", "donated_classes.html"),
    Section("making", "How it was made", "donated_making.html"),
)
_RISKS = (
    ("average_risk", "Average risk, over all donors"),
    ("average_risk_of_released", "Average risk, over the released donors"),
    ("least_risk", "Least risk"),
    ("highest_risk", "Highest risk"),
    ("average_certainty", "Average certainty that a donor is in the release"),
    ("least_certainty", "Least certainty"),
    ("highest_certainty", "Highest certainty"),
)
_MOST_CLASSES = 200


def render_donated(release: DonatedRelease) -> str:
    """Return the report of a donated release as one HTML text that opens offline.

    Parameters
    ----------
    release
        What was released.
    """
    names = release.quasi_identifiers
    shown = release.classes.sort("donors", descending=True, maintain_order=True)
    lines = shown.head(_MOST_CLASSES).rows(named=True)
    return render(
        "donated.html",
        title=f"Donated release: {release.configuration.title}",
        kind="Release of donated records",
        heading=release.configuration.title,
        sfumato=__version__,
        sections=_SECTIONS,
        release=release,
        task=release.configuration,
        manifest=release.manifest,
        certificate=release.certificate,
        figures=release.risk.with_suppressed,
        sentences=_sentences(release),
        risk_lines=_RISKS,
        names=names,
        classes=lines,
        not_shown=max(0, release.classes.height - _MOST_CLASSES),
    )


def _sentences(release: DonatedRelease) -> tuple[str, ...]:
    task, manifest, risk = release.configuration, release.manifest, release.risk.with_suppressed
    return (
        (
            f"{plural(manifest.records, 'person')} gave a record to three servers of different "
            "organisations. No server saw a record, and none knows which row is whose."
        ),
        (
            f"The release speaks of {plural(release.classes.height, 'class', 'classes')} of people "
            f"who look alike; each holds at least {number(task.k)} donors, the smallest "
            f"{number(release.smallest_class)}."
        ),
        _of_the_file(release),
        (
            f"Of every class {share(float(task.deletion_share))} were deleted by chance: that a "
            f"given donor's record is here is certain with at most {share(risk.highest_certainty)}."
        ),
        (
            f"Quasi-identifiers lost {share(release.loss)} of what they said (normalized certainty "
            "penalty over all donors)."
        ),
    )


def _of_the_file(release: DonatedRelease) -> str:
    found = f"in the file at least {plural(release.smallest_rows, 'row')} look alike"
    asked = release.configuration.k_of_file
    if asked is None:
        return (
            f"A class has fewer rows than donors, as a share of each was deleted: {found}. Nobody "
            "sees from the file which of the donors they are."
        )
    return (
        f"The file itself was to be {number(asked)}-anonymous after the deletion, so classes were "
        f"made of more donors: {found}."
    )
