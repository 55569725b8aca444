"""Limits that others or you have set for a figure, and whether an evaluation is within them.

A policy is a number, a figure and who said so. None of them makes a release anonymous: it is within
a limit, over it, or there is not enough data to say. What decides is not the value that was found
but what it may be: the upper bound, and whether an excess as large as the limit would have been
noticed at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from sfumato.errors import PlanError, did_you_mean
from sfumato.evaluation.figures import Figure
from sfumato.settings import Settings

__all__ = ["POLICIES", "Judgement", "Policy", "Verdict", "judge", "policies_of"]

_SIGNIFICANT = 0.05
_ROUNDING = 1e-9
_WP216 = "Article 29 Working Party, Opinion 05/2014 on anonymisation techniques (WP216), section"
_CONTEXT = "El Emam & Arbuckle, Anonymizing Health Data, O'Reilly 2013, chapter 2"


class Verdict(StrEnum):
    """What can be said of a figure and a limit; there is no fourth."""

    WITHIN = "within the limit"
    OVER = "over the limit"
    NOT_ENOUGH = "not enough data to say"


class Policy(Settings):
    """A limit for figures of an evaluation.

    Parameters
    ----------
    name
        Short name, as in a plan.
    source
        Who set it, and where.
    figure
        Key of the figures that it is about; ``*`` stands for any part: ``inference/*``.
    limit
        The number, in the figure's unit; None if the source names none, and you must.
    direction
        Whether figures shall be "at most" or "at least" the limit.
    compared
        "excess": the figure less its control (or baseline), "value": the figure as it is, "auto":
        the excess where the figure has an upper bound of one, else the value.
    unit
        Of the limit.
    note
        What else to know.
    """

    name: str = Field(min_length=1)
    source: str = Field(min_length=1)
    figure: str = Field(min_length=1)
    limit: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    direction: Literal["at most", "at least"] = "at most"
    compared: Literal["auto", "excess", "value"] = "auto"
    unit: str = "share"
    note: str = ""

    @model_validator(mode="after")
    def _share(self) -> Self:
        if self.unit == "share" and self.limit is not None and self.limit > 1:
            raise ValueError(f"a share is at most 1; {self.name!r} has a limit of {self.limit:g}")
        return self

    def matches(self, key: str) -> bool:
        """Whether the policy is about the figure of this key."""
        return fnmatchcase(key, self.figure)


def _named(*policies: Policy) -> Mapping[str, Policy]:
    return MappingProxyType({policy.name: policy for policy in policies})


POLICIES: Mapping[str, Policy] = _named(
    Policy(
        name="edpb-singling-out",
        source=f"{_WP216} 3",
        figure="singling_out/*",
        note="The opinion names no number: set your own limit for the excess over people who are "
        "not in the release.",
    ),
    Policy(
        name="edpb-linkability",
        source=f"{_WP216} 3",
        figure="linkability*",
        note="The opinion names no number: set your own limit for the excess over people who are "
        "not in the release.",
    ),
    Policy(
        name="edpb-inference",
        source=f"{_WP216} 3",
        figure="inference/*",
        note="The opinion names no number: set your own limit for the excess over people who are "
        "not in the release.",
    ),
    Policy(
        name="hipaa-expert",
        source="45 CFR 164.514(b)(1), expert determination",
        figure="prosecutor_highest",
        note="The rule says 'very small' and names no number; an expert chooses it, documents the "
        "method and signs. 0.09, or classes of 11, are often cited.",
    ),
    Policy(
        name="ema-0070",
        source="European Medicines Agency, external guidance on policy 0070, EMA/90915/2016",
        figure="prosecutor_highest",
        limit=1 / 11,
        note="0.09 is one in eleven: every class has at least 11 people.",
    ),
    Policy(
        name="health-canada-prci",
        source="Health Canada, Public Release of Clinical Information, guidance (2019)",
        figure="prosecutor_highest",
        limit=1 / 11,
        note="0.09 is one in eleven: every class has at least 11 people.",
    ),
    Policy(name="risk-0.33", source=_CONTEXT, figure="prosecutor_highest", limit=1 / 3,
           note="Least classes of 3: for recipients who are bound by contract."),
    Policy(name="risk-0.2", source=_CONTEXT, figure="prosecutor_highest", limit=0.2,
           note="Least classes of 5: the commonest rule."),
    Policy(name="risk-0.1", source=_CONTEXT, figure="prosecutor_highest", limit=0.1,
           note="Least classes of 10."),
    Policy(name="risk-0.05", source=_CONTEXT, figure="prosecutor_highest", limit=0.05,
           note="Least classes of 20: files for the public."),
    Policy(
        name="cms-cell-size",
        source="Centers for Medicare & Medicaid Services, cell size suppression policy (ResDAC, "
        "2024-01-26)",
        figure="cells_below_11",
        limit=0,
        unit="cells",
        note="No cell of 1 to 10 people in a table that is shown.",
    ),
    Policy(
        name="cms-differencing",
        source="Centers for Medicare & Medicaid Services, cell size suppression policy (ResDAC, "
        "2024-01-26)",
        figure="cells_below_11/by_differencing",
        limit=0,
        unit="cells",
        note="Nor may such a cell be derived from totals and other cells.",
    ),
    Policy(
        name="ehds",
        source="Regulation (EU) 2025/327 (European Health Data Space), Article 66(2), recital 72",
        figure="population_unique",
        note="The regulation names no number: the health data access body decides on the state of "
        "the art; residual risk of people with rare diseases is to be told.",
    ),
)  # fmt: skip
"""Named policies. Those without a limit name none in their source; give one in the plan."""


@dataclass(frozen=True)
class Judgement:
    """What is said of one figure under one policy.

    Parameters
    ----------
    policy
        The policy.
    figure
        Key of the figure; the policy's pattern if no figure matches it.
    verdict
        Within the limit, over it, or not enough data to say.
    value
        What was compared (an excess or a value), if computed.
    reach
        The least and the most that it may be; equal for an exact figure.
    sentence
        The same in plain words.
    """

    policy: Policy
    figure: str
    verdict: Verdict
    value: float | None
    reach: tuple[float, float] | None
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Return the judgement as plain JSON values; an end of the reach not known is None."""
        reach = self.reach and [end if math.isfinite(end) else None for end in self.reach]
        return {
            "policy": self.policy.model_dump(),
            "figure": self.figure,
            "verdict": str(self.verdict),
            "value": self.value,
            "reach": reach,
            "sentence": self.sentence,
        }


def judge(figures: Mapping[str, Figure], policies: Iterable[Policy]) -> tuple[Judgement, ...]:
    """Compare figures with the limits of policies.

    Parameters
    ----------
    figures
        By key.
    policies
        Of which each is about no, one or several of them.

    Returns
    -------
    tuple of Judgement
        One for each policy and each figure that it is about, in their order; a policy about which
        there is no figure has one that says so.

    Notes
    -----
    A figure is within a limit if the most that it may be is (one-sided 95 % upper bound of an
    excess, or the end of the 95 % interval), and, for a test, if an excess of the limit would have
    been noticed in 80 % of cases. It is over it if the value is, and the least that it may be too
    or the test's p-value (adjusted, where it is) is at most 0.05. All else is not enough data.
    """
    found = []
    for policy in policies:
        keys = [key for key in figures if policy.matches(key)]
        if not keys:
            sentence = f"{policy.name}: no figure of this evaluation is about it."
            found.append(Judgement(policy, policy.figure, Verdict.NOT_ENOUGH, None, None, sentence))
        found += [_judged(policy, key, figures[key]) for key in keys]
    return tuple(found)


def _judged(policy: Policy, key: str, figure: Figure) -> Judgement:
    start = f"{policy.name}, {figure.name}: "
    measured = _measured(policy, figure)
    if measured is None:
        said = figure.because or "its control is not known"
        text = f"{start}{Verdict.NOT_ENOUGH}, as it was not computed ({said})."
        return Judgement(policy, key, Verdict.NOT_ENOUGH, None, None, text)
    value, low, high, of = measured
    found = f"{of} {_number(value)}"
    if low < high:
        ends = [f"at least {_number(low)}"] * math.isfinite(low)
        ends += [f"at most {_number(high)}"] * math.isfinite(high)
        found += f" ({' and '.join(ends) or 'with no bound'}, 95 %)"
    if policy.limit is None:
        text = f"{start}{found}; {Verdict.NOT_ENOUGH}, as no limit is set. {policy.note}"
        return Judgement(policy, key, Verdict.NOT_ENOUGH, value, (low, high), text.strip())
    verdict, why = _verdict(policy, figure, value, low, high)
    text = (
        f"{start}{found}; {verdict} of {policy.direction} {_number(policy.limit)}{why}. "
        if verdict is not Verdict.NOT_ENOUGH
        else f"{start}{found}, limit {policy.direction} {_number(policy.limit)}; {verdict}{why}. "
    )
    return Judgement(policy, key, verdict, value, (low, high), f"{text}Source: {policy.source}.")


def _measured(policy: Policy, figure: Figure) -> tuple[float, float, float, str] | None:
    """Return what is compared, the least and the most that it may be, and what it is."""
    if figure.value is None or math.isnan(figure.value):
        return None
    reference = figure.control if figure.control is not None else figure.baseline
    excess = policy.compared == "excess" or (policy.compared == "auto" and figure.upper is not None)
    if not excess:
        low, high = figure.interval or (figure.value, figure.value)
        # a sampled figure without an interval may be anything
        if figure.interval is None and not _exact(figure):
            low, high = -math.inf, math.inf
        return figure.value, low, high, "value"
    if reference is None:
        return None
    value = figure.value - reference
    if figure.interval is None:
        low = value if _exact(figure) and figure.upper is None else -math.inf
    else:
        low = figure.interval[0] - reference
    high = figure.upper if figure.upper is not None else math.inf
    if figure.upper is None and figure.interval is not None:
        high = figure.interval[1] - reference
    return value, low, high, "excess over the control"


def _exact(figure: Figure) -> bool:
    """Whether a figure without an interval is a count of the whole release."""
    return figure.p_value is None and figure.upper is None and figure.detectable is None


def _verdict(
    policy: Policy, figure: Figure, value: float, low: float, high: float
) -> tuple[Verdict, str]:
    limit = policy.limit
    if limit is None:
        return Verdict.NOT_ENOUGH, ""
    slack = _ROUNDING * max(1.0, abs(limit))
    if policy.direction == "at least":
        if low >= limit - slack:
            return Verdict.WITHIN, ""
        if high < limit - slack:
            return Verdict.OVER, ""
        return Verdict.NOT_ENOUGH, ", as it may be either"
    p_value = figure.p_value if figure.adjusted is None else figure.adjusted
    tested = p_value is not None and p_value <= _SIGNIFICANT
    if value > limit + slack and (low > limit + slack or tested):
        return Verdict.OVER, ""
    if high > limit + slack:
        return Verdict.NOT_ENOUGH, ", as it may be more"
    if figure.detectable is not None and not figure.detectable <= max(limit, slack) + slack:
        return (
            Verdict.NOT_ENOUGH,
            f", as less than {_number(figure.detectable)} would not have been noticed",
        )
    return Verdict.WITHIN, (", though there is evidence of a leak below it" if tested else "")


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "any number"
    return f"{value:,.0f}" if value == round(value) and abs(value) >= 1 else f"{value:.4g}"


def policies_of(values: Mapping[str, Any]) -> tuple[Policy, ...]:
    """Return the policies that a plan's section asks for.

    Parameters
    ----------
    values
        By name: for one of :data:`POLICIES` ``true``, a number as its limit, or a table of the
        settings that differ; for one of your own a table of settings. ``false`` leaves one out.

    Raises
    ------
    PlanError
        If a name is not known and comes without a figure, or a setting is wrong.

    Examples
    --------
    >>> asked = {"ema-0070": True, "edpb-linkability": 0.01, "own": {"figure": "k", "limit": 5,
    ...          "direction": "at least", "unit": "people", "source": "our board"}}
    >>> [(policy.name, policy.limit) for policy in policies_of(asked)][1:]
    [('edpb-linkability', 0.01), ('own', 5.0)]
    """
    found = []
    for name, said in values.items():
        known = POLICIES.get(name)
        if said is False:
            continue
        if isinstance(said, Mapping):
            own = {} if known is None else known.model_dump()
            found.append(Policy.of({"source": "set by the user", **own, **said, "name": name}))
            continue
        if known is None:
            raise PlanError(
                f"unknown policy {name!r}.{did_you_mean(name, POLICIES)} Known: "
                f"{', '.join(POLICIES)}; your own is a table with at least 'figure' and 'limit'"
            )
        if said is True:
            found.append(known)
        elif isinstance(said, int | float):
            found.append(Policy.of({**known.model_dump(), "limit": said}))
        else:
            raise PlanError(
                f"policy {name!r} is true, false, a number or a table, not a {type(said).__name__}"
            )
    return tuple(found)
