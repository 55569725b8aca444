"""Whether a release keeps the limits of a plan: what the data leave open counts against it.

Where several limits are judged together, each by its own one-sided 95 % bound, the chance that a
release that breaks any of them is said to keep them all stays at 5 % (R. L. Berger,
"Multiparameter hypothesis testing and acceptance sampling", Technometrics 24, 1982: the
intersection-union test).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sfumato.evaluation.policies import Policy, Verdict, judge
from sfumato.release.bounds import Candidate, Reach, absence, matching, reaches
from sfumato.release.frontier_plan import applies, family_named, is_of_classes

if TYPE_CHECKING:
    from sfumato.evaluation import Figure

__all__ = ["Check", "checked"]

Status = Literal["kept", "broken", "not enough data", "not measured", "does not apply"]


@dataclass(frozen=True)
class Check:
    """One limit and what a release makes of it.

    Parameters
    ----------
    key, limit
        As in the plan.
    status
        As policies are judged (:mod:`sfumato.evaluation.policies`): "kept" only if the worse end
        of the interval keeps it and so small an excess would have been noticed; "not enough data"
        if it may be either; "does not apply" to a figure that such a release cannot have.
    worst
        The figure that comes nearest to the limit or passes it most; None if there is none.
    because
        Why it was not measured or does not apply.
    of_risk
        Whether the limit is one of risk.
    """

    key: str
    limit: float
    status: Status
    worst: Reach | None = None
    because: str = ""
    of_risk: bool = True

    @property
    def used(self) -> float:
        """The share of the limit that is used up; above 1 is beyond it, infinite if unknown."""
        if self.worst is None:
            return math.inf
        bound = self.worst.bound
        part, whole = (bound, self.limit) if self.worst.lower_is_better else (self.limit, bound)
        if whole <= 0:
            return 0.0 if part <= whole else math.inf
        return max(0.0, part / whole)


def checked(candidate: Candidate, key: str, limit: float, candidates: Sequence[Candidate]) -> Check:
    """Judge a release by one limit.

    Parameters
    ----------
    candidate
        The release.
    key, limit
        As in the plan.
    candidates
        All releases: a limit is one of risk if any of them has such a figure among its risks.
    """
    of_risk = (
        is_of_classes(key)
        or family_named(key) is not None
        or any(matching(one.risks, key) for one in candidates)
    )
    if not applies(key, synthetic=candidate.synthetic):
        because = (
            "its rows were drawn from a model, so that none stands for one person"
            if candidate.synthetic
            else "its rows are people's own, recoded, so that they must lie near them"
        )
        return Check(key, limit, "does not apply", None, because, of_risk)
    known = reaches(candidate, key)
    if not known:
        return Check(key, limit, "not measured", None, absence(candidate, key), of_risk)
    figures = candidate.figures
    checks = [
        Check(key, limit, _status(one, figures[one.key], limit), one, "", of_risk) for one in known
    ]
    order = ("kept", "not enough data", "broken")
    return max(checks, key=lambda check: (order.index(check.status), check.used))


_STATUS: dict[Verdict, Status] = {
    Verdict.WITHIN: "kept",
    Verdict.OVER: "broken",
    Verdict.NOT_ENOUGH: "not enough data",
}


def _status(one: Reach, figure: Figure, limit: float) -> Status:
    if figure.direction == "closer to the baseline is better":
        return "kept" if one.high <= limit else "broken" if one.low > limit else "not enough data"
    policy = Policy(
        name=one.key,
        source="the plan",
        figure="*",
        limit=limit,
        direction="at most" if one.lower_is_better else "at least",
        unit="",
    )
    (judgement,) = judge({one.key: figure}, [policy])
    return _STATUS[judgement.verdict]
