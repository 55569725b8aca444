"""The first page: what each version is, what it teaches, who could be found, what is promised."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.release.report.readings import reading
from sfumato.release.report.wording import (
    amount,
    interval,
    listing,
    number,
    plural,
    score,
    share,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfumato.evaluate import Figure, Learned
    from sfumato.release.evaluation import Evaluation
    from sfumato.release.study import SourceFacts, StudyRelease

__all__ = ["Card", "card", "found_sentences", "learned_sentences", "opening", "release_line"]

_COUNTED = ("unique", "smallest_class", "at_risk")
_MOST_SAMPLED = 3
_NOBODY = (
    "No row stands for one person: rows that are alone below are not people found, and a person "
    "can still be recognised where the model repeats somebody."
)
_PAST = {
    "kept": "released as {they} {are}",
    "suppressed": "left out",
    "generalized": "made coarser",
    "perturbed": "made noisy",
    "pseudonymized": "replaced by keyed pseudonyms",
    "truncated": "cut at the ends",
    "added": "added",
}


@dataclass(frozen=True)
class Card:
    """A version in plain words; each field a few sentences."""

    name: str
    place: int
    technique: str
    what: tuple[str, ...]
    headline: str
    learned: tuple[str, ...]
    found: tuple[str, ...]
    promised: tuple[str, ...]
    not_promised: tuple[str, ...]


def opening(source: SourceFacts, releases: Sequence[StudyRelease]) -> str:
    """Return the first sentences of the report."""
    people = "" if source.persons is None else f" about {plural(source.persons, 'person')}"
    made = plural(len(releases), "version")
    names = listing([release.name for release in releases])
    control = (
        f" Before that, {plural(source.control_rows, 'row')} were set aside; no version was made "
        "from them, and every figure below is measured against them."
        if source.control_rows
        else " No rows were set aside, so no figure below has people to compare with who were not "
        "in the data."
    )
    return (
        f"From {source.name}, a table of {plural(source.rows, 'row')}{people} and "
        f"{plural(source.columns, 'column')}, {made} {'was' if len(releases) == 1 else 'were'} "
        f"made: {names}.{control}"
    )


def card(release: StudyRelease, place: int) -> Card:
    """Return a version's card.

    Parameters
    ----------
    release
        The version.
    place
        Its position in the study, which gives its colour.
    """
    certificate = release.certificate
    headline, learned = learned_sentences(release.evaluation)
    promised = tuple(promise.sentence for promise in certificate.promises)
    kept = release.verification.passed
    recount = "A recount of the file confirms it." if kept else _failed(release)
    return Card(
        name=release.name,
        place=place,
        technique=f"{release.technique}, from “{release.of}”" if release.of else release.technique,
        what=tuple(text for text in (release.why, release_line(release)) if text),
        headline=headline,
        learned=learned,
        found=found_sentences(release.evaluation, synthetic=release.synthetic),
        promised=(*promised, recount) if promised else ("Nothing about the people in it.",),
        not_promised=certificate.not_promised[:2],
    )


def release_line(release: StudyRelease) -> str:
    """Return how many rows a version has and what happened to its columns, as one sentence."""
    certificate = release.certificate
    rows = plural(certificate.rows_out, "row")
    if release.synthetic:
        line = f"{rows} drawn from a model: no row stands for one person"
        origin = f"; the model was learned from {plural(certificate.rows_in, 'row')}"
        return f"{line}{origin} of “{release.of}”." if release.of else f"{line}{origin}."
    actions = Counter(change.action for change in release.changes)
    parts = []
    for action, many in actions.items():
        they, are = ("it", "is") if many == 1 else ("they", "are")
        parts.append(f"{number(many)} {_PAST[action].format(they=they, are=are)}")
    columns = f" Columns: {listing(parts)}." if parts else ""
    came = certificate.rows_in
    kept = "one for each row that went in" if came == certificate.rows_out else f"of {number(came)}"
    return f"{rows}, {kept}.{_suppressed_sentence(release)}{columns}"


def _suppressed_sentence(release: StudyRelease) -> str:
    hidden, all_rows = release.certificate.rows_suppressed, release.certificate.rows_out
    if not hidden:
        return ""
    part = share(hidden / all_rows) if all_rows else share(None)
    return f" In {plural(hidden, 'row')} ({part}) all quasi-identifiers were suppressed."


def learned_sentences(evaluation: Evaluation) -> tuple[str, tuple[str, ...]]:
    """Return a headline figure and sentences about what can be learned from a version."""
    own = [result for result in evaluation.learned if result.version == evaluation.release]
    honest = [result for result in own if result.protocol == "honest"]
    honest = honest or [result for result in own if result.protocol == "honest-smote"]
    if not honest:
        return "", ("No model was trained on it.", *_fidelity_sentence(evaluation))
    first = honest[0]
    area = first.scores["auc"]
    headline = f"AUC {score(area.value)}" if area.computed else ""
    sentences = [_learned_sentence(first)]
    return headline, (*sentences, *_fidelity_sentence(evaluation))


def found_sentences(evaluation: Evaluation, *, synthetic: bool | None = None) -> tuple[str, ...]:
    """Return a sentence for each of a few risk figures.

    Parameters
    ----------
    evaluation
        Of one version.
    synthetic
        Whether its rows were drawn from a model, so that no row stands for one person; None if
        that is not known.
    """
    counted = [evaluation.risks[key] for key in _COUNTED if key in evaluation.risks]
    sampled = [
        figure
        for figure in evaluation.risks.values()
        if figure.interval is not None or (not figure.computed and figure not in counted)
    ]
    chosen = [*counted, *sampled[:_MOST_SAMPLED]] or list(evaluation.risks.values())[:_MOST_SAMPLED]
    own = synthetic is False
    sentences = tuple(_found_sentence(figure, rows_are_people=own) for figure in chosen) or (
        "Not measured.",
    )
    return (_NOBODY, *sentences) if synthetic else sentences


def _found_sentence(figure: Figure, *, rows_are_people: bool) -> str:
    if figure.value is None or figure.interval is None:
        return figure.meaning
    control = "" if figure.control is None else f"; control {amount(figure.control, figure.unit)}"
    return (
        f"{figure.name.capitalize()}: {amount(figure.value, figure.unit)} "
        f"(95% interval {interval(figure.interval, figure.unit)}{control}): "
        f"{reading(figure, rows_are_people=rows_are_people).label}."
    )


def _learned_sentence(result: Learned) -> str:
    area, precision = result.scores["auc"], result.scores["average_precision"]
    bounds = f" (95% interval {interval(area.interval, 'score')})" if area.interval else ""
    return (
        f"The chance that a model trained on it ranks a person with the outcome above one without"
        f"{bounds}, on {plural(result.rows_test, 'real person', 'real people')} it never saw. "
        f"Average precision {score(precision.value)}, F1 {score(result.scores['f1'].value)}."
    )


def _fidelity_sentence(evaluation: Evaluation) -> tuple[str, ...]:
    figure = evaluation.utility.get("mean_total_variation")
    if figure is None or figure.value is None:
        return ()
    return (
        (
            f"Its columns' distributions differ from the real ones by {share(figure.value)} on "
            "average (total variation)."
        ),
    )


def _failed(release: StudyRelease) -> str:
    wrong = [f.code for f in release.verification.findings if f.blocking and f.status == "failed"]
    if wrong:
        return f"A recount of the file does not confirm it ({listing(wrong)}): do not hand it out."
    return "The recount of the file is incomplete: see the findings."
