"""The report of a study: a plan that was run, its versions side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sfumato.release.report import chart_style, palette
from sfumato.release.report.budget_section import budget_accounts, together
from sfumato.release.report.distributions import distributions
from sfumato.release.report.families import FAMILIES
from sfumato.release.report.figure_groups import by_family, figure_groups, left_out
from sfumato.release.report.frontier_section import frontier_content, shown_releases
from sfumato.release.report.invented_rows import invented_lines
from sfumato.release.report.learning import SCORES, contests, leaks, positives, scored
from sfumato.release.report.learning_charts import score_chart
from sfumato.release.report.losses import class_shares, losses
from sfumato.release.report.page import Section, render
from sfumato.release.report.readings import WIDE_INTERVAL
from sfumato.release.report.roles import role_groups
from sfumato.release.report.summary import card, noisy_columns, opening, release_line
from sfumato.release.report.uses import by_use, use_of
from sfumato.release.report.verdict import verdict
from sfumato.release.report.wording import listing, plural

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sfumato.anonymization.recoding import ColumnChange
    from sfumato.evaluation import Figure, Learned
    from sfumato.release.evaluation import Evaluation
    from sfumato.release.study import Study

__all__ = ["evaluation_content", "render_study"]

_SECTIONS = (
    Section("summary", "In plain words", "summary.html"),
    Section("attacks", "What the attacks found", "verdict.html"),
    Section("source", "The source and its columns", "source.html"),
    Section("changes", "What was done to each column, and why", "changes.html"),
    Section("invented", "Invented people, before and after", "invented.html"),
    Section("distributions", "Distributions side by side", "distributions.html"),
    Section("learning", "What can be learned", "learning.html"),
    Section("uses", "What it is still good for", "uses.html"),
    Section("losses", "What the cells no longer say", "losses.html"),
    Section("integrity", "The file itself", "integrity.html"),
    Section("risks", "The evidence: who could be found", "risks.html"),
    Section("promises", "What is promised, and what is not", "promises.html"),
    Section("making", "How it was made", "making.html"),
    Section("limits", "Limits, and where the methods come from", "limits.html"),
)


_BUDGET = Section("budget", "The privacy budget, and what it was spent on", "budget.html")
_FRONTIER = Section("frontier", "Risk against use", "frontier.html")


def render_study(study: Study) -> str:
    """Return the report of a study as one HTML text that opens offline.

    Parameters
    ----------
    study
        A plan that was run. No cell of the source or of a release is printed; what looks like a
        person's row was invented.
    """
    whole = study
    shown = shown_releases(study)
    study = replace(study, releases=tuple(one for one in study.releases if one.name in shown))
    versions = {release.name: place for place, release in enumerate(study.releases)}
    evaluations = {release.name: release.evaluation for release in study.releases}
    names = listing([release.name for release in study.releases])
    return render(
        "study.html",
        title=f"{study.name}: study report",
        kind="Study report",
        heading=study.name,
        subtitle=_subtitle(whole, names, len(versions)),
        sfumato=study.sfumato,
        sections=_sections(study),
        study=study,
        **frontier_content(whole),
        budgets=budget_accounts(study.releases),
        budgets_together=together(whole.releases),
        source=study.source,
        opening=opening(study.source, study.releases),
        cards=[card(release, versions[release.name]) for release in study.releases],
        role_groups=role_groups(study.source.roles, study.source.target, _notes(study)),
        release_lines={release.name: release_line(release) for release in study.releases},
        release_changes={release.name: _split(release.changes) for release in study.releases},
        kept_by_reason={
            release.name: _by_reason(_split(release.changes)[1]) for release in study.releases
        },
        people={
            release.name: _people(release.invented, release.changes)
            for release in study.releases
            if release.invented is not None
        },
        settings_text=_settings_text,
        names_of_releases=list(versions),
        drawn_from_a_model=[release.name for release in study.releases if release.synthetic],
        noisy=[
            (release.name, columns)
            for release in study.releases
            if not release.synthetic and (columns := noisy_columns(release))
        ],
        plan_text=study.plan.to_toml(),
        **evaluation_content(
            evaluations,
            versions,
            study.source.target,
            _sources_of(study),
            list(study.source.roles),
            [release.name for release in study.releases if not release.synthetic],
        ),
    )


def _sections(study: Study) -> tuple[Section, ...]:
    """Return the sections of a study's report: some are there only where there is something."""
    sections = _SECTIONS if study.frontier is None else (_FRONTIER, *_SECTIONS)
    if all(release.certificate.ledger is None for release in study.releases):
        return sections
    before = next(place for place, one in enumerate(sections) if one.anchor == "making")
    return (*sections[:before], _BUDGET, *sections[before:])


def _subtitle(study: Study, names: str, shown: int) -> str:
    source = study.source.name
    if shown == len(study.releases):
        return f"{source}, {plural(shown, 'version')} side by side: {names}."
    return (
        f"{source}, {plural(len(study.releases), 'release')} set against each other, {shown} of "
        f"them side by side: {names}. Each of the others has a report of its own in its folder."
    )


def evaluation_content(
    evaluations: Mapping[str, Evaluation],
    versions: Mapping[str, int],
    target: str | None,
    sources: Mapping[str, Mapping[str, str]],
    order: Sequence[str] = (),
    rows_are_people: Collection[str] = (),
) -> dict[str, Any]:
    """Return what the sections about measurements show.

    Parameters
    ----------
    evaluations
        Each version's evaluation.
    versions
        Each version's position.
    target
        The column to predict, or None.
    sources
        Per version, the source column of each released column that is called otherwise.
    order
        The source's columns in their order.
    rows_are_people
        The versions of which each row is a real person's, recoded.
    """
    learned: list[Learned] = [
        result for evaluation in evaluations.values() for result in evaluation.learned
    ]
    fidelities = {
        name: evaluation.fidelity
        for name, evaluation in evaluations.items()
        if evaluation.fidelity is not None
    }
    risks = figure_groups(
        {name: _without_bins(item.risks) for name, item in evaluations.items()}, rows_are_people
    )
    exact = [group for group in risks if group.exact]
    counted = [group for group in exact if "/" not in group.key]
    drawn = (
        score_chart(learned, versions, "auc", "AUC"),
        score_chart(learned, versions, "average_precision", "Average precision"),
    )
    return {
        "uses": by_use(figure_groups({name: _uses(item) for name, item in evaluations.items()})),
        "regressions": {
            name: item.use.regression
            for name, item in evaluations.items()
            if item.use is not None
            and item.use.regression is not None
            and item.use.regression.terms
        },
        "verdicts": {name: verdict(item) for name, item in evaluations.items()},
        "families": FAMILIES,
        "integrity": {name: _checked(item) for name, item in evaluations.items()},
        "versions": versions,
        "colours": palette.SERIES,
        "dashes": [" ".join(map(str, dash)) for dash in chart_style.DASHES],
        "target": target,
        "distributions": distributions(fidelities, versions, sources, order),
        "contests": contests(learned, versions),
        "leaks": leaks(learned),
        "scores": SCORES,
        "scored": scored,
        "score_charts": [chart for chart in drawn if chart is not None],
        "positives": positives(learned),
        "counted": counted,
        "measured": [group for group in exact if "/" in group.key],
        "judgements": {name: item.judgements for name, item in evaluations.items()},
        "counted_in": [
            name
            for name in evaluations
            if any((row := group.of(name)) and row.figure.computed for group in counted)
        ],
        "class_shares": class_shares(evaluations, versions),
        "losses": losses(evaluations, versions),
        "searched": by_family([group for group in risks if group.measured and not group.exact]),
        "assessed": {name: versions[name] for name in evaluations},
        "fidelity_groups": figure_groups(
            {name: fidelity.figures for name, fidelity in fidelities.items()}
        ),
        "compared": {name: versions[name] for name in fidelities},
        "not_run": left_out(evaluations),
        "wide_interval": WIDE_INTERVAL,
        "sources": _sources(evaluations),
    }


def _uses(evaluation: Evaluation) -> dict[str, Figure]:
    return {key: one for key, one in evaluation.utility.items() if use_of(key) is not None}


def _checked(evaluation: Evaluation) -> dict[str, Any]:
    """Return the checks of the file that failed, and how many were made and could not be."""
    made = [one for one in evaluation.integrity if one.status in ("passed", "failed")]
    worst = ("leak", "fault", "look")
    failed = [one for one in made if one.status == "failed"]
    return {
        "failed": sorted(failed, key=lambda one: worst.index(one.severity)),
        "made": len(made),
        "apart": len(evaluation.integrity) - len(made),
    }


def _without_bins(risks: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return the figures without those that are drawn as a histogram of class sizes."""
    return {key: figure for key, figure in risks.items() if not key.startswith("below_")}


def _notes(study: Study) -> dict[str, str]:
    return {name: column.note for name, column in study.plan.schema.columns.items()}


def _sources_of(study: Study) -> dict[str, dict[str, str]]:
    """Return, per release, the source column of each released column."""
    return {
        release.name: {
            change.released_as: change.column
            for change in release.changes
            if change.released_as is not None
        }
        for release in study.releases
    }


def _split(
    changes: Sequence[ColumnChange],
) -> tuple[tuple[ColumnChange, ...], tuple[ColumnChange, ...]]:
    """Return the columns that were changed and those that were kept."""
    return (
        tuple(change for change in changes if change.action != "kept"),
        tuple(change for change in changes if change.action == "kept"),
    )


def _by_reason(kept: Sequence[ColumnChange]) -> tuple[tuple[str, str], ...]:
    """Return (columns, reason): columns that are kept for one reason share a line."""
    reasons: dict[str, list[str]] = {}
    for change in kept:
        reasons.setdefault(change.why, []).append(change.column)
    return tuple((", ".join(columns), why) for why, columns in reasons.items())


def _people(invented: Any, changes: Sequence[ColumnChange]) -> dict[str, Any]:
    lines = invented_lines(invented, changes)
    changed = tuple(line for line in lines if line.changed)
    same = [line.column for line in lines if not line.changed]
    return {"lines": changed, "same": same, "persons": len(lines[0].cells) if lines else 0}


def _settings_text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, ensure_ascii=False, sort_keys=True) if settings else ""


def _sources(evaluations: Mapping[str, Evaluation]) -> tuple[tuple[str, str], ...]:
    """Return (source, names of the figures that it defines), in the order of first use."""
    names: dict[str, dict[str, None]] = {}
    for evaluation in evaluations.values():
        scores = [figure for item in evaluation.learned for figure in item.scores.values()]
        # the loss of a column is defined as that of all
        utility = [
            figure
            for key, figure in evaluation.utility.items()
            if not (key.startswith("loss/") and key.count("/") > 1)
        ]
        for figure in (*evaluation.risks.values(), *utility, *scores):
            names.setdefault(figure.source, {})[figure.name] = None
    return tuple((source, listing(list(found), most=12)) for source, found in names.items())
