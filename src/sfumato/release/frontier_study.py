"""The releases of a study set against each other, each difference on the same people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from sfumato.errors import DataError
from sfumato.evaluation import Figure, compare
from sfumato.evaluation.policies import Policy, policies_of
from sfumato.release.bounds import Candidate
from sfumato.release.frontier import Frontier, draw_frontier

if TYPE_CHECKING:
    from sfumato.evaluation import Learned
    from sfumato.release.study import Study, StudyRelease

__all__ = ["set_against", "with_policies"]


def set_against(study: Study) -> Study:
    """Return the study with its frontier, if its plan asks for one.

    Parameters
    ----------
    study
        A study of which the releases are made and measured.
    """
    plan = study.plan.frontier
    if plan is None:
        return study
    policies = policies_of(study.plan.evaluation.policies)
    plan = plan.model_copy(update={"limits": with_policies(plan.limits, policies)})
    candidates = [_candidate(release) for release in study.releases]
    frontier = draw_frontier(candidates, plan)
    return replace(study, frontier=replace(frontier, differences=_differences(study, frontier)))


def with_policies(limits: Mapping[str, float], policies: Iterable[Policy]) -> dict[str, float]:
    """Return the limits with those of the plan's policies; of two for one figure the stricter.

    Examples
    --------
    >>> from sfumato.evaluation.policies import policies_of
    >>> asked = policies_of({"risk-0.2": True, "edpb-inference": 0.1, "edpb-linkability": True})
    >>> with_policies({"inference": 0.05}, asked)
    {'inference': 0.05, 'prosecutor_highest': 0.2}
    """
    found = dict(limits)
    for policy in policies:
        if policy.limit is None:  # its source names no number, and the plan gave none
            continue
        key = policy.figure.removesuffix("*").removesuffix("/")
        key = policy.figure if "*" in key else key
        stricter = min if policy.direction == "at most" else max
        found[key] = stricter(found.get(key, policy.limit), policy.limit)
    return found


def _candidate(release: StudyRelease) -> Candidate:
    return Candidate(
        name=release.name,
        technique=release.technique,
        synthetic=release.synthetic,
        verified=release.verification.passed,
        risks=release.evaluation.risks,
        utility=release.evaluation.utility,
        promises=tuple(promise.sentence for promise in release.certificate.promises),
    )


def _differences(study: Study, frontier: Frontier) -> dict[str, Figure]:
    """Return how much more is learned from the recommended release than from the others.

    Only where both were trained in this run: predictions of people are never written. What an
    earlier run found of the very same files is taken from its record.
    """
    best = frontier.recommended
    score, _, kind = frontier.utility_key.partition("/")
    if best is None or not kind:
        return {}
    found = _before(study, frontier)
    ours = _learned(study[best.name], kind)
    for place in frontier.ranking:
        theirs = _learned(study[place.name], kind)
        if place.name == best.name or ours is None or theirs is None:
            continue
        with suppress(DataError):  # not tested on the same people
            figures = compare(ours, theirs)
            if score in figures and figures[score].computed:
                found[place.name] = figures[score]
    return {place.name: found[place.name] for place in frontier.ranking if place.name in found}


def _learned(release: StudyRelease, kind: str) -> Learned | None:
    for one in release.evaluation.learned:
        trained = one.version == release.name and one.prediction is not None
        if trained and f"{one.model}/{one.protocol.value}" == kind:
            return one
    return None


def _before(study: Study, frontier: Frontier) -> dict[str, Figure]:
    """Return the differences that an earlier run recorded, if its releases are still the same."""
    best = frontier.recommended
    try:
        record = json.loads((study.folder / "study.json").read_text("utf-8"))
        before = record["frontier"]
        hashes = {one["name"]: one["data_sha256"] for one in record["releases"]}
        now = {release.name: release.data_sha256 for release in study.releases}
        if (
            best is None
            or record["sfumato"] != study.sfumato
            or before["recommended"] != best.name
            or before["utility"] != frontier.utility_key
            or hashes[best.name] != now[best.name]
        ):
            return {}
        return {
            name: Figure.from_dict(values)
            for name, values in before["differences"].items()
            if hashes.get(name) == now.get(name)
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
