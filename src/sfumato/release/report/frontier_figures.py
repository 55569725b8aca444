"""The figures of a frontier as texts: names of axes and limits, values with their bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.release.frontier_plan import CRITERIA, LARGEST, LIMITS, family_named
from sfumato.release.report.families import family_of
from sfumato.release.report.wording import amount, interval, listing, number, score

if TYPE_CHECKING:
    from sfumato.evaluation import Figure
    from sfumato.release.bounds import Reach
    from sfumato.release.frontier import Frontier
    from sfumato.release.limits import Check

__all__ = [
    "axis_title",
    "difference_text",
    "figure_text",
    "limit_text",
    "limits_on",
    "risk_name",
    "use_text",
]

_NAMES = {
    "inference": "inference of an attribute",
    "leaked_share": "share of leaked rows",
    "exact_copies": "exact copies in excess of control",
    "marketer": "marketer risk: rows linked rightly",
    "prosecutor_highest": "prosecutor risk, highest",
    "prosecutor_average": "prosecutor risk, average",
    "at_risk": "rows at risk",
    "unique": "rows that are alone",
    "smallest_class": "smallest class",
}
_SCORES = ("auc", "average_precision", "balanced_accuracy", "f1", "brier", "accuracy")


def risk_name(key: str) -> str:
    """Return what a figure or a family of figures is called.

    Examples
    --------
    >>> risk_name("singling_out"), risk_name("inference/age"), risk_name("my_own")
    ('singling out', 'inference of age', 'my own')
    >>> risk_name("linkability/1"), risk_name("singling_out/multivariate/2")
    ('linkability by the nearest row', 'singling out by 2 columns together')
    """
    if key in _NAMES:
        return _NAMES[key]
    family = family_named(key)
    if family is not None:
        return family.title.lower()
    first, _, rest = key.partition("/")
    if first == "inference" and rest:
        return f"inference of {rest}"
    kind, _, size = rest.rpartition("/")
    if first == "linkability" and rest.isdigit():
        return f"linkability by the {'nearest row' if rest == '1' else f'{rest} nearest rows'}"
    if first == "singling_out" and rest == "univariate":
        return "singling out by one column"
    if first == "singling_out" and kind == "multivariate" and size.isdigit():
        return f"singling out by {size} columns together"
    words = _NAMES.get(first, first.replace("_", " "))
    return f"{words}, {rest.replace('_', ' ').replace('/', ', ')}" if rest else words


def axis_title(frontier: Frontier, *, risk: bool) -> str:
    """Return what an axis shows and which way is better."""
    if not risk:
        found = [place.utility for place in frontier.places if place.utility]
        better = "down" if found and found[0].lower_is_better else "up"
        name = found[0].name if found else frontier.utility_key
        arrow = "axis turned: less is better, up" if better == "down" else "more is better"
        return f"{name} ({arrow})"
    asked = frontier.plan.risk
    keys = frontier.risk_keys
    if keys == (LIMITS,):
        return "largest share of a limit that is used up"
    if len(keys) > 1 and asked == LARGEST:
        return "largest risk of any kind, upper 95% bound"
    if len(keys) > 1 and asked in (CRITERIA, LIMITS):
        return "largest of singling out, linkability, inference and linkage, upper 95% bound"
    if len(keys) > 1:
        return f"largest of {listing([risk_name(key) for key in keys])}, upper 95% bound"
    exact = all(
        place.risk is None or place.risk.low == place.risk.high for place in frontier.places
    )
    return risk_name(keys[0]) + ("" if exact else ", worse end of the 95% interval")


def limits_on(frontier: Frontier, *, risk: bool) -> tuple[tuple[str, float], ...]:
    """Return the limits that can be drawn on an axis: (key, limit)."""
    if not risk:
        key = frontier.utility_key
        limits = frontier.plan.limits
        return ((key, limits[key]),) if key in limits else ()
    if frontier.risk_keys == (LIMITS,):
        return (("every limit", 1.0),)
    return tuple(
        (key, limit)
        for key, limit in frontier.plan.limits.items()
        if any(key == axis or key.startswith(f"{axis}/") for axis in frontier.risk_keys)
    )


def figure_text(one: Reach | None) -> str:
    """Return a figure at the end that counts against it, with its estimate where they differ."""
    if one is None:
        return "–"
    if _is_score(one):
        return use_text(one)
    if one.low == one.high or one.bound == one.point:
        return _amount(one, one.point)
    return f"{_amount(one, one.point)}, {_side(one)} {_amount(one, one.bound)}"


def use_text(one: Reach) -> str:
    """Return a figure of use with its interval.

    Examples
    --------
    >>> from sfumato.release.bounds import Reach
    >>> use_text(Reach("auc/mlp/honest", "AUC", "share", 0.8, 0.78, 0.82, lower_is_better=False))
    '0.800 (95% interval 0.780–0.820)'
    """
    kind = "score" if _is_score(one) else one.unit
    told = score(one.point) if kind == "score" else _amount(one, one.point)
    if one.low == one.high:
        return told
    return f"{told} (95% interval {interval((one.low, one.high), kind)})"


def difference_text(difference: Figure) -> str:
    """Return a difference of scores with its interval and what it says."""
    if difference.value is None or difference.interval is None:
        return "not computed"
    low, high = difference.interval
    verdict = (
        "not beyond the noise of the people tested"
        if low <= 0 <= high
        else "beyond the noise of the people tested"
    )
    return (
        f"{score(difference.value)} (paired on the same people, 95% interval {score(low)} to "
        f"{score(high)}: {verdict})"
    )


def limit_text(check: Check, *, short: bool = False) -> str:
    """Return a limit in words.

    Parameters
    ----------
    check
        The limit and what is known of it.
    short
        Whether the reader knows already that a limit of an attack is one on the excess.

    Examples
    --------
    >>> from sfumato.release.limits import Check
    >>> limit_text(Check("inference", 0.05, "not measured"))
    'inference of an attribute at most 5.00% more than against people who are not in the release'
    """
    one = check.worst
    attack = family_named(check.key) is not None or family_of(check.key) is not None
    excess = attack if one is None else one.excess
    more = " more than against people who are not in the release" if excess and not short else ""
    word = "at least" if one is not None and not one.lower_is_better else "at most"
    unit = "share" if one is None else one.unit
    if one is not None and _is_score(one):
        return f"{one.name} {word} {score(check.limit)}"
    return f"{risk_name(check.key)} {word} {amount(check.limit, unit)}{more}"


def _is_score(one: Reach) -> bool:
    return one.key.partition("/")[0] in _SCORES


def _side(one: Reach) -> str:
    return "at most" if one.lower_is_better else "at least"


def _amount(one: Reach, value: float) -> str:
    return f"{number(value)} {one.unit}" if one.unit == "of the limit" else amount(value, one.unit)
