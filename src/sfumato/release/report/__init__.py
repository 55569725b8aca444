"""The reports: what was released, measured and promised, for people who must answer for it.

Each renderer gives one HTML text that opens offline: no script, no outside font, no request. It
speaks to a data steward and a data-protection officer: every risk beside its interval, its guess
and its control, three outcomes (evidence, none seen at a stated sensitivity, not enough to say),
and never one blended score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.release.evaluation import Evaluation
    from sfumato.release.study import Study
    from sfumato.table import Profile

__all__ = ["render_evaluation", "render_profile", "render_study"]


def render_study(study: Study) -> str:
    """Return the report of a study; see :func:`~.study_report.render_study`."""
    from sfumato.release.report import study_report

    return study_report.render_study(study)


def render_evaluation(evaluation: Evaluation, *, for_others: bool = False) -> str:
    """Return the report of one release's evaluation, or the page of it that leaves the house."""
    from sfumato.release.report import evaluation_report

    return evaluation_report.render_evaluation(evaluation, for_others=for_others)


def render_profile(profile: Profile) -> str:
    """Return the report of a table's profile."""
    from sfumato.release.report import profile_report

    return profile_report.render_profile(profile)
