"""The recommendation in sentences that a person can sign, and what speaks against it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.evaluation.outcomes import Outcome, outcome
from sfumato.release.frontier import Frontier, Place
from sfumato.release.frontier_plan import applies
from sfumato.release.limits import Check
from sfumato.release.report.frontier_figures import (
    difference_text,
    figure_text,
    limit_text,
    risk_name,
    use_text,
)
from sfumato.release.report.wording import listing, number, plural, share

if TYPE_CHECKING:
    from sfumato.release.study import Study

__all__ = ["Statement", "statement"]

_NARROW = 0.8  # from this share of a limit on it is said to be kept narrowly
_NO_LIMITS = (
    "The plan names no limits ([frontier] limits), and without limits no release can be "
    "recommended: the most useful one would be the table itself."
)
_JUDGED = (
    "Each limit is judged by the worse end of the 95% interval, so that what the data leave open "
    "counts against the release: “not enough data to say” is not “kept”. So a release that breaks "
    "any limit is taken for one that keeps them all in at most 5 of 100 cases."
)


@dataclass(frozen=True)
class Statement:
    """What was tried, what came out, and what it rests on; each part a few sentences.

    Parameters
    ----------
    headline
        The recommendation in one line.
    recommended
        The release's name, or empty.
    tried, limits, kept, chosen, against, not_tested
        In the order in which they are read.
    """

    headline: str
    recommended: str
    tried: tuple[str, ...]
    limits: tuple[str, ...]
    kept: tuple[str, ...]
    chosen: tuple[str, ...]
    against: tuple[str, ...]
    not_tested: tuple[str, ...]


def statement(study: Study, frontier: Frontier) -> Statement:
    """Return the statement on a study's frontier.

    Parameters
    ----------
    study
        With its releases and what was not made.
    frontier
        The releases set against each other.
    """
    best = frontier.recommended
    if best is not None:
        headline = f"Recommended: {best.name}"
    elif not frontier.plan.limits:
        headline = "No recommendation: the plan names no limits"
    else:
        headline = "No recommendation: no release keeps every limit"
    return Statement(
        headline=headline,
        recommended="" if best is None else best.name,
        tried=_tried(study),
        limits=_limits(frontier),
        kept=_kept(frontier),
        chosen=_chosen(study, frontier),
        against=() if best is None else _against(study, frontier, best),
        not_tested=_not_tested(study, frontier),
    )


def _tried(study: Study) -> tuple[str, ...]:
    by_technique: dict[str, list[str]] = {}
    for release in study.releases:
        by_technique.setdefault(release.technique, []).append(release.name)
    ways = [f"{technique} ({listing(names, most=6)})" for technique, names in by_technique.items()]
    source = study.source
    made = (
        f"{plural(len(study.releases), 'release')} of {source.name} (SHA-256 "
        f"{source.sha256[:16]}…, {plural(source.rows, 'row')}) were made and measured, by "
        f"{plural(len(by_technique), 'technique')}: {listing(ways, most=20)}."
    )
    sentences = [made]
    if source.control_rows:
        sentences.append(
            f"{plural(source.control_rows, 'row')} of people whom no release was made from were "
            "set aside first; every figure of an attack and of learning is against them."
        )
    search = study.search
    for one in () if search is None else search.rounds:
        dropped = plural(len(one.dropped), "release")
        sentences.append(
            f"On a sample of about {number(one.rows)} rows {plural(len(one.tried), 'release')} "
            f"were tried, and {dropped} that were dominated there or of less use were dropped: "
            f"{listing(list(one.dropped), most=30)}."
        )
    if search is not None and search.kind == "random" and search.left_out:
        sentences.append(
            f"They were drawn from the {number(len(search.chosen) + len(search.left_out))} "
            "releases of the plan by its seed; the others were not made."
        )
    return tuple(sentences)


def _limits(frontier: Frontier) -> tuple[str, ...]:
    if not frontier.plan.limits:
        return (_NO_LIMITS,)
    texts = []
    for key in frontier.plan.limits:
        checks = [check for place in frontier.places for check in place.checks if check.key == key]
        told = next((check for check in checks if check.worst is not None), checks[0])
        texts.append(limit_text(told))
    asked = (
        "To be recommended a release must have passed the recount of all that it promises, and "
        f"keep these limits of the plan: {'; '.join(texts)}."
    )
    return asked, _JUDGED


def _kept(frontier: Frontier) -> tuple[str, ...]:
    if not frontier.plan.limits:
        return ()
    kept = [place for place in frontier.places if place.keeps]
    broken = [place for place in frontier.places if not place.keeps and place.breaks]
    open_ones = [place for place in frontier.places if not place.keeps and not place.breaks]
    sentences = []
    if kept:
        names = listing([place.name for place in kept], most=30)
        verb = "keeps" if len(kept) == 1 else "keep"
        sentences.append(f"{plural(len(kept), 'release')} {verb} every limit: {names}.")
    else:
        sentences.append("No release keeps every limit.")
    if broken:
        names = listing([f"{place.name} ({_why(place)})" for place in broken], most=30)
        verb = "breaks" if len(broken) == 1 else "break"
        sentences.append(f"{plural(len(broken), 'release')} {verb} a limit: {names}.")
    if open_ones:
        names = listing([f"{place.name} ({_why(place)})" for place in open_ones], most=30)
        sentences.append(f"{plural(len(open_ones), 'release')} cannot be judged: {names}.")
    return tuple(sentences)


def _why(place: Place) -> str:
    """Return what stands between a release and the limits."""
    if not place.candidate.verified:
        return "its promises were not confirmed"
    order = ("broken", "not enough data", "not measured")
    wrong = [check for check in place.checks if check.status in order]
    if not wrong:
        return "no limit of risk applies to it"
    wrong.sort(key=lambda check: (order.index(check.status), -check.used))
    return _check_text(wrong[0])


def _check_text(check: Check) -> str:
    name = risk_name(check.worst.key if check.worst is not None else check.key)
    if check.worst is None:
        return f"{name}: {check.because or check.status}"
    told = f"{name}: {figure_text(check.worst)}"
    return f"{told}, not enough data to say" if check.status == "not enough data" else told


def _chosen(study: Study, frontier: Frontier) -> tuple[str, ...]:
    best = frontier.recommended
    if best is not None and best.utility is not None:
        return _best(study, frontier, best)
    if not frontier.plan.limits:
        names = listing([place.name for place in frontier.front], most=30)
        return (f"No other release is better in both than: {names}.",)
    nearest = frontier.nearest
    if nearest is None:
        return ("No release could be measured against the limits.",)
    sentences = [f"Nearest is {nearest.name}: {_why(nearest)}."]
    return (*sentences, *_advice(nearest, nearest.checks))


def _best(study: Study, frontier: Frontier, best: Place) -> tuple[str, ...]:
    if best.utility is None:
        return ()
    release = study[best.name]
    many = len(frontier.ranking)
    first = (
        f"Of the {number(many)} that keep the limits"
        if many > 1
        else "It is the only one that keeps the limits"
    )
    most = "the most useful is " if many > 1 else "is "
    told = f"{best.utility.name} {use_text(best.utility)}"
    sentences = [
        f"{first}, {most}{best.name}: {told}."
        if many > 1
        else f"{best.name} is the only release that keeps the limits: {told}.",
    ]
    if many > 1:
        second = frontier.ranking[1]
        sentences.append(_over(frontier, best, second))
    if best.risk is not None:
        sentences.append(
            f"Its largest risk on the axis of the picture is {risk_name(best.risk.key)}: "
            f"{figure_text(best.risk)}."
        )
    promises = listing(list(best.candidate.promises), most=6) or "nothing"
    sentences.append(
        f"It promises: {promises.rstrip('.')}."
        + (" A recount of the file confirmed it." if best.candidate.promises else "")
    )
    sentences.append(
        f"The recommendation is for the file {release.folder}/{release.data_file} with SHA-256 "
        f"{release.data_sha256} and for no other."
    )
    return tuple(sentences)


def _over(frontier: Frontier, best: Place, second: Place) -> str:
    if best.utility is None or second.utility is None:
        return ""
    told = f"The next is {second.name}: {use_text(second.utility)}"
    difference = frontier.differences.get(second.name)
    if difference is not None:
        return f"{told}; the difference is {difference_text(difference)}."
    gap = abs(best.utility.point - second.utility.point)
    written = share(gap) if best.utility.unit == "share" else number(gap)
    return (
        f"{told}; the difference is {written}, without an interval of its own: the two were not "
        "measured in one run on the same people."
    )


def _against(study: Study, frontier: Frontier, best: Place) -> tuple[str, ...]:
    sentences = [
        f"{place.name} has less risk ({figure_text(place.risk)}), and its use cannot be told "
        f"from that of {best.name}: who weighs risk higher may take it instead."
        for place in frontier.as_good
    ]
    rivals = [name for name in best.dominated_by if not frontier[name].keeps]
    if rivals:
        keep = "it does" if len(rivals) == 1 else "they do"
        sentences.append(
            f"On the two axes alone {listing(rivals)} would be better, but {keep} not keep the "
            "limits."
        )
    sentences += [
        f"It keeps the limit of {risk_name(check.key)} narrowly: {share(check.used)} of it is used."
        for check in best.checks
        if check.status == "kept" and check.used > _NARROW
    ]
    leaks = [
        risk_name(key)
        for key, figure in best.candidate.risks.items()
        if applies(key, synthetic=best.candidate.synthetic) and outcome(figure) is Outcome.EVIDENCE
    ]
    if leaks:
        sentences.append(
            f"There is evidence of a leak in it, below the limits: {listing(leaks, most=6)}."
        )
    without = [risk_name(check.key) for check in best.checks if check.status == "does not apply"]
    if without:
        reason = next(check.because for check in best.checks if check.status == "does not apply")
        sentences.append(f"It was not judged by {listing(without)}: {reason}.")
    if not best.candidate.promises:
        sentences.append(
            "It promises nothing that could be proven: its safety rests on the attacks that were "
            "tried here, and on no others."
        )
    first = study.releases[0]
    if first.name != best.name:
        base = frontier[first.name]
        if base.utility is not None and best.utility is not None:
            sentences.append(
                f"What protection costs: {first.name}, the plan's first release, reaches "
                f"{use_text(base.utility)}."
            )
    if len(frontier.places) > 1:
        sentences.append(
            f"It was picked after {number(len(frontier.places))} releases had been measured on "
            "the same people: the best of several looks a little better than it is. Each was made "
            "once, with one seed."
        )
    sentences += study[best.name].certificate.not_promised[:3]
    return tuple(dict.fromkeys(sentences))


def _not_tested(study: Study, frontier: Frontier) -> tuple[str, ...]:
    found = [f"{one.name} was not made: {one.because.rstrip('.')}." for one in study.not_made]
    found += [
        f"{place.name} has no place in the picture: {place.unplaced.rstrip('.')}."
        for place in frontier.places
        if place.unplaced
    ]
    search = study.search
    if search is not None and search.left_out:
        found.append(
            f"Not made of the whole table: {listing(list(search.left_out), most=30)}. On all rows "
            "one of these might have done better than on a sample."
            if search.rounds
            else f"Not made: {listing(list(search.left_out), most=30)}."
        )
    best = frontier.recommended or frontier.nearest
    if best is not None:
        found += list(study[best.name].evaluation.not_run)
    found.append(
        "Other techniques, settings between those tried, other seeds, attackers who know more than "
        "the columns of this table, and a second release of the same people."
    )
    return tuple(dict.fromkeys(found))


def _advice(place: Place, checks: Sequence[Check]) -> tuple[str, ...]:
    """Return what might bring a release within the limits, a sentence each."""
    found: dict[str, None] = {}
    unsure = [risk_name(check.key) for check in checks if check.status == "not enough data"]
    for check in checks:
        if check.status in ("kept", "does not apply"):
            continue
        if check.status == "not enough data":
            found[
                f"Not enough data to say of {listing(unsure, most=6)}: set more people aside "
                "(control), or attack more people."
            ] = None
        elif check.status == "not measured":
            found[f"{risk_name(check.key)} was not measured: {check.because}."] = None
        elif not check.of_risk:
            found["For more use: a smaller k, finer hierarchies, or more rows."] = None
        elif place.candidate.synthetic:
            found[
                "For less risk: let the model learn from a k-anonymous release (of = …), or from "
                "fewer and coarser columns; rare values are told most easily."
            ] = None
        else:
            found[
                "For less risk: a larger k, coarser hierarchies, or fewer quasi-identifiers in the "
                "release; or a limit that fits who will receive it."
            ] = None
    if math.isinf(place.used) and not found:
        found["Name a limit of risk that applies to it, such as one on inference."] = None
    return tuple(found)
