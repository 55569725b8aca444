"""The first page: what each version is, what it teaches, who could be found, what is promised."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.release.report.readings import reading
from sfumato.release.report.verdict import verdict
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

    from sfumato.evaluation import Figure, Learned
    from sfumato.release.evaluation import Evaluation
    from sfumato.release.study import SourceFacts, StudyRelease

__all__ = [
    "Card",
    "card",
    "found_sentences",
    "learned_sentences",
    "noisy_columns",
    "opening",
    "release_line",
]

_COUNTED = {
    "unique": "{} of its rows are alone with their quasi-identifiers.",
    "smallest_class": "The smallest group of rows that are alike counts {}.",
    "prosecutor_average": (
        "Who knows the quasi-identifiers of a person in it points at the right row with a chance "
        "of {} on average."
    ),
}
_SEARCHED = ("nearer_to_train", "exact_copies")
_NOBODY = "No row is one person's: a row that is alone is no person found."
_PEOPLE = "Each row is a real person's, so a row that is alone is a person who can be found."
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
        f" Before that, {plural(source.control_rows, 'row')} were set aside: no version was made "
        "from them, and what is learned or searched below is tested on them."
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
    promised = [promise.sentence for promise in certificate.promises]
    promised = promised or ["Nothing about the people in it."]
    if not release.verification.passed:
        promised.append(_failed(release))
    elif certificate.ledger is not None and certificate.promises:
        promised.append("The ledger of every charge sums to it; no file can show more.")
    elif certificate.promises:
        promised.append("A recount of the file confirms it.")
    return Card(
        name=release.name,
        place=place,
        technique=_technique(release),
        what=tuple(text for text in (release.why, release_line(release)) if text),
        headline=headline,
        learned=learned,
        found=(
            *_attacked(release.evaluation),
            *found_sentences(release.evaluation, synthetic=release.synthetic),
            *_noise_sentence(release),
        ),
        promised=tuple(promised),
        not_promised=certificate.not_promised[:2],
    )


def _attacked(evaluation: Evaluation) -> tuple[str, ...]:
    said = verdict(evaluation)
    return (said.headline,) if said.tests else ()


def _technique(release: StudyRelease) -> str:
    origin = f", learned from “{release.of}”" if release.of else ""
    return f"technique: {release.technique}{origin}"


def noisy_columns(release: StudyRelease) -> tuple[str, ...]:
    """Return the quasi-identifiers that are released with noise, by their released names."""
    return tuple(
        change.released_as
        for change in release.changes
        if change.action == "perturbed"
        and change.released_as in release.certificate.quasi_identifiers
    )


def _noise_sentence(release: StudyRelease) -> tuple[str, ...]:
    names = noisy_columns(release)
    if not names or release.synthetic:
        return ()
    carry = "carries" if len(names) == 1 else "carry"
    sentence = (
        f"{listing(names)} {carry} noise: the figures count the noisy values as if they were "
        "known exactly, so they are upper limits."
    )
    return (sentence,)


def release_line(release: StudyRelease) -> str:
    """Return how many rows a version has and what happened to its columns, as one sentence."""
    certificate = release.certificate
    rows = plural(certificate.rows_out, "row")
    if release.synthetic:
        line = f"{rows} drawn from a model: no row stands for one person"
        origin = (
            "; the model was learned from noisy counts alone"
            if certificate.rows_in is None
            else f"; the model was learned from {plural(certificate.rows_in, 'row')}"
        )
        return f"{line}{origin} of “{release.of}”." if release.of else f"{line}{origin}."
    actions = Counter(change.action for change in release.changes)
    parts = []
    for action, many in actions.items():
        they, are = ("it", "is") if many == 1 else ("they", "are")
        parts.append(f"{number(many)} {_PAST[action].format(they=they, are=are)}")
    columns = f" Columns: {listing(parts)}." if parts else ""
    came = certificate.rows_in
    kept = (
        "one for each row that went in"
        if came == certificate.rows_out
        else f"of {number(came or 0)}"
    )
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
    headline = f"AUC {score(area.value)} for {first.target}" if area.computed else ""
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
    counted = {} if synthetic else _COUNTED
    risks = evaluation.risks
    found = [_counted(risks[key], words) for key, words in counted.items() if key in risks]
    if synthetic is not False:
        found += [_searched(risks[key]) for key in _SEARCHED if key in risks]
    if not found:
        return ("Not measured.",)
    first = {True: (_NOBODY,), False: (_PEOPLE,), None: ()}[synthetic]
    return (*first, *found)


def _counted(figure: Figure, words: str) -> str:
    if figure.value is None:
        return f"{_capital(figure.name)}: not computed, because {figure.because}."
    return words.format(amount(figure.value, figure.unit))


def _searched(figure: Figure) -> str:
    name = _capital(figure.name)
    if figure.value is None:
        return f"{name}: not computed, because {figure.because}."
    bounds = "" if figure.interval is None else f"95% interval {interval(figure.interval)}; "
    reference = figure.control if figure.control is not None else figure.baseline
    against = "control" if figure.control is not None else "chance"
    return (
        f"{name}: {amount(figure.value, figure.unit)} ({bounds}{against} "
        f"{amount(reference, figure.unit)}): {reading(figure).label}."
    )


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _learned_sentence(result: Learned) -> str:
    area, precision = result.scores["auc"], result.scores["average_precision"]
    bounds = f"95% interval {interval(area.interval, 'score')}, on " if area.interval else "On "
    return (
        f"{bounds}{plural(result.rows_test, 'real person', 'real people')} whom the model never "
        f"saw; a coin reaches 0.5. Average precision {score(precision.value)}, "
        f"F1 {score(result.scores['f1'].value)}."
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
        return f"A recount of the file failed ({listing(wrong)}): it must not be handed out."
    return "The recount of the file is incomplete, so nothing is confirmed: see the findings."
