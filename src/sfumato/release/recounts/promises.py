"""What kinds of promises can be recounted, and what settings each needs.

A promise is read here from plain values, so that a certificate, a plan or a command line may hold
anything: what is not sound is said in words, and never taken for kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from sfumato.errors import PlanError, did_you_mean

__all__ = ["KINDS", "Asked", "Kind", "checked_promise", "reading_of"]

_REQUIRED = object()
_Check = Callable[[Any], bool]


@dataclass(frozen=True)
class _Setting:
    is_sound: _Check
    words: str
    default: Any = _REQUIRED


@dataclass(frozen=True)
class Kind:
    """A kind of promise.

    Parameters
    ----------
    code
        The finding that speaks of it; kinds of one family share theirs.
    settings
        What can be set.
    """

    code: str
    settings: Mapping[str, _Setting]


@dataclass(frozen=True)
class Asked:
    """A promise whose settings are sound, with every default written out.

    Parameters
    ----------
    kind
        One of :data:`KINDS`.
    settings
        All settings of the kind.
    """

    kind: str
    settings: Mapping[str, Any]

    @property
    def code(self) -> str:
        """The finding that speaks of it."""
        return KINDS[self.kind].code

    @property
    def column(self) -> str | None:
        """The sensitive column that it is about, if it is about one."""
        column = self.settings.get("column")
        return column if isinstance(column, str) else None

    @property
    def words(self) -> str:
        """The promise in a few words, for the explanation of a finding."""
        return self.kind if self.column is None else f"{self.kind} of {self.column!r}"

    def __getitem__(self, setting: str) -> Any:
        """Return a setting."""
        return self.settings[setting]


def _number(words: str, low: float, high: float, default: Any = _REQUIRED) -> _Setting:
    def sound(value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and isfinite(value) and low <= value <= high

    return _Setting(sound, words, default)


def _whole(words: str, low: int, default: Any = _REQUIRED) -> _Setting:
    def sound(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= low

    return _Setting(sound, words, default)


def _choice(*known: str, default: Any = _REQUIRED) -> _Setting:
    return _Setting(lambda value: value in known, f"one of {', '.join(known)}", default)


def _flag() -> _Setting:
    return _Setting(lambda value: isinstance(value, bool), "true or false", default=False)


def _amount(default: float) -> _Setting:
    return _number("an amount of at least 0", 0, _INFINITE, default)


def _text(words: str, default: Any = _REQUIRED) -> _Setting:
    return _Setting(lambda value: isinstance(value, str) and value != "", words, default)


def _texts(words: str) -> _Setting:
    def sound(value: Any) -> bool:
        listed = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
        return listed and all(isinstance(one, str | int | float) for one in value)

    return _Setting(sound, words, default=None)


def _table(words: str) -> _Setting:
    return _Setting(lambda value: isinstance(value, Mapping), words, default=None)


_INFINITE = float("inf")
_TINY = 5e-324
_BELOW_ONE = 1 - 2**-53
_OPEN = "a number above 0 and below 1"
_K = _whole("a whole number of at least 2", 2)
_COLUMN = _text("the name of a sensitive column")
_SHARE = _number("a share from 0 to 1", 0, 1)
_POSITIVE = _number("a number above 0", _TINY, _INFINITE)
_POPULATION = _text("the path of a file", default=None)
_PEOPLE = _whole("a number of people, at least 1", 1, default=None)

KINDS: Mapping[str, Kind] = {
    "k-anonymity": Kind("SF010", {"k": _K}),
    "k-map": Kind(
        "SF015",
        {
            "k": _K,
            "population": _POPULATION,
            "estimate": _choice("poisson", "zero-truncated-poisson", default=None),
            "population_size": _PEOPLE,
            "significance": _number(_OPEN, _TINY, _BELOW_ONE, default=0.01),
        },
    ),
    "l-diversity": Kind(
        "SF016",
        {
            "column": _COLUMN,
            "l": _number("a number of at least 1", 1, _INFINITE),
            "variant": _choice("distinct", "entropy", "recursive", default="distinct"),
            "c": _number("a number above 0", _TINY, _INFINITE, default=None),
            "estimator": _choice("shannon", "grassberger", default="shannon"),
        },
    ),
    "t-closeness": Kind(
        "SF017",
        {
            "column": _COLUMN,
            "t": _SHARE,
            "distance": _choice("equal", "ordered", "hierarchical", default="equal"),
            "hierarchy": _table("a hierarchy as in a schema file"),
        },
    ),
    "delta-disclosure": Kind("SF018", {"column": _COLUMN, "delta": _POSITIVE}),
    "beta-likeness": Kind("SF019", {"column": _COLUMN, "beta": _POSITIVE, "enhanced": _flag()}),
    "alpha-k-anonymity": Kind(
        "SF020",
        {
            "k": _whole("a whole number of at least 1", 1),
            "column": _COLUMN,
            "alpha": _SHARE,
            "values": _texts("a list of values"),
        },
    ),
    "delta-presence": Kind(
        "SF021", {"delta_min": _SHARE, "delta_max": _SHARE, "population": _POPULATION}
    ),
    "highest-risk": Kind("SF022", {"limit": _SHARE}),
    "average-risk": Kind("SF022", {"limit": _SHARE}),
    "strict-average-risk": Kind(
        "SF022",
        {
            "average": _SHARE,
            "highest": _SHARE,
            "at_risk": _number("a share from 0 to 1", 0, 1, default=0.0),
        },
    ),
    "sample-uniqueness": Kind("SF023", {"share": _SHARE}),
    "population-uniqueness": Kind(
        "SF023",
        {
            "share": _SHARE,
            "population_size": _whole("a number of people, at least 1", 1),
            "estimator": _choice("dankar", "zayatz", "pitman", "snb", default="dankar"),
        },
    ),
    "cost-benefit": Kind(
        "SF024",
        {
            "attacker": _choice("prosecutor", "journalist", default="prosecutor"),
            "no_attack": _flag(),
            "publisher_benefit": _amount(1200),
            "publisher_loss": _amount(300),
            "adversary_gain": _amount(300),
            "adversary_cost": _amount(4),
            "population": _POPULATION,
            "population_size": _PEOPLE,
        },
    ),
    "differential-privacy": Kind(
        "SF025",
        {
            "epsilon": _POSITIVE,
            "delta": _number(_OPEN, _TINY, _BELOW_ONE),
        },
    ),
}


def checked_promise(values: Mapping[str, Any]) -> Asked:
    """Return a promise whose settings are sound.

    Parameters
    ----------
    values
        The kind and the settings, as plain values; a setting that is None is left out.

    Raises
    ------
    PlanError
        If the kind is unknown, or a setting is unknown, absent or wrong.
    """
    settings = {name: value for name, value in values.items() if value is not None}
    kind = settings.pop("kind", None)
    if kind not in KINDS:
        hint = did_you_mean(str(kind), KINDS)
        raise PlanError(f"no recount exists for {kind!r}.{hint} Known: {', '.join(KINDS)}")
    known = KINDS[kind].settings
    for name in settings:
        if name not in known:
            hint = did_you_mean(name, known)
            raise PlanError(f"{kind}: unknown setting {name!r}.{hint} Known: {', '.join(known)}")
    full = {}
    for name, setting in known.items():
        value = settings.get(name, setting.default)
        if value is _REQUIRED:
            raise PlanError(f"{kind} lacks its {name}: {setting.words}")
        if name in settings and not setting.is_sound(value):
            raise PlanError(f"{kind}: {name} is {setting.words} (got {value!r})")
        full[name] = value
    asked = Asked(str(kind), full)
    at_odds = _at_odds(asked)
    if at_odds is not None:
        raise PlanError(f"{kind}: {at_odds}")
    return asked


def reading_of(values: Mapping[str, Any]) -> Asked | str:
    """Return a promise, or why it cannot be recounted."""
    try:
        return checked_promise(values)
    except PlanError as error:
        return str(error)


def _at_odds(asked: Asked) -> str | None:
    """Say which settings do not fit each other."""
    given = asked.settings
    if asked.kind == "l-diversity":
        if given["variant"] != "entropy" and int(given["l"]) != given["l"]:
            return f"l counts values, so it is a whole number (got {given['l']!r})"
        if given["variant"] == "recursive" and given["c"] is None:
            return "the recursive variant needs c"
    if asked.kind == "delta-presence" and given["delta_min"] > given["delta_max"]:
        return "delta_min is above delta_max"
    if asked.kind == "k-map" and given["estimate"] and given["population_size"] is None:
        return "an estimate needs population_size"
    return None
