"""A first guess at the role of each column, with the reasons, for a person to correct.

Four things speak: the column's name, the form of its values, how unique they are, and which of
HIPAA's 18 identifiers that makes it. Nothing is decided here: a schema is what a person says.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from sfumato.table.hierarchies.hierarchy import Hierarchy
from sfumato.table.hierarchies.keys import distinct_values
from sfumato.table.profiling.sensitivity import sensitivity_of
from sfumato.table.role_names import HIPAA, NameRule, rule_of_name
from sfumato.table.role_patterns import Pattern, embedded_identifier, pattern_of_values
from sfumato.table.schema import Role

__all__ = ["RoleSuggestion", "suggest_roles"]

# A column with no more than this many values in a table of many rows names nobody by itself.
_FEW_VALUES = 20
_MANY_ROWS = 100
# From this share of distinct values on a column is all but unique.
_UNIQUE = 0.95
# Texts longer than this on average are sentences.
_SENTENCE = 40
_OLDEST = 130
_KNOWN = "others may know it, and together with others it singles people out"

_SENSITIVE_CLASSES = (
    "infectious",
    "mental health",
    "disability",
    "behavioural",
    "medical history",
    "health metric",
)


@dataclass(frozen=True)
class RoleSuggestion:
    """What role a column may have, and why.

    Parameters
    ----------
    role
        The suggested role; never ``target``, which only a person can know.
    reasons
        A clause each; none holds a cell of the table.
    hipaa
        Which of HIPAA's 18 identifiers it is, such as "(F) electronic mail addresses", or None.
    pattern
        What the form of its values is, such as "e-mail addresses", or None.
    hierarchy_preset
        Name of a preset hierarchy that holds all its values, or None.
    """

    role: Role
    reasons: tuple[str, ...]
    hipaa: str | None = None
    pattern: str | None = None
    hierarchy_preset: str | None = None


@dataclass(frozen=True)
class _Facts:
    column: pl.Series
    rows: int
    filled: int
    distinct: int

    @property
    def share(self) -> float:
        return self.distinct / self.filled if self.filled else 0.0

    @property
    def few(self) -> bool:
        return self.distinct <= _FEW_VALUES and self.rows >= _MANY_ROWS


def suggest_roles(table: pl.DataFrame) -> dict[str, RoleSuggestion]:
    """Suggest a role for each column.

    Parameters
    ----------
    table
        The rows; values are looked at by form and number only.

    Returns
    -------
    dict
        For each column, in the table's order, the suggestion with its reasons.

    Examples
    --------
    >>> table = pl.DataFrame({"PatientID": [1, 2], "age": [34, 71], "angina": [0, 1]})
    >>> for name, suggestion in suggest_roles(table).items():
    ...     print(name, suggestion.role, suggestion.reasons[0], sep=" | ")
    PatientID | identifier | its name suggests a medical record or person number
    age | quasi-identifier | its name suggests an age
    angina | sensitive | its name holds 'angina' (medical history)
    """
    return {name: _suggest(table[name]) for name in table.columns}


def _suggest(column: pl.Series) -> RoleSuggestion:
    filled = column.drop_nulls()
    facts = _Facts(column, len(column), len(filled), filled.n_unique())
    if facts.distinct == 0 or (facts.distinct == 1 and facts.rows > 1):
        what = "every cell is missing" if facts.distinct == 0 else "it has a single value"
        return RoleSuggestion(Role.OTHER, (f"{what}: it tells nobody apart",))
    pattern = pattern_of_values(column)
    rule = rule_of_name(column.name)
    if pattern is not None and pattern.role == "identifier":
        return _by_pattern(facts, pattern, rule)
    if rule is not None and rule.role == "identifier":
        suggestion = _by_identifying_name(facts, rule)
        if suggestion is not None:
            return suggestion
        rule = None
    if rule is not None and not (rule.kind == "a date" and column.dtype.is_numeric()):
        return _by_name(facts, rule, pattern)
    if pattern is not None:
        return _by_pattern(facts, pattern, rule)
    return _by_nature(facts)


def _by_pattern(facts: _Facts, pattern: Pattern, rule: NameRule | None) -> RoleSuggestion:
    reasons = [f"its values have the form of {pattern.kind}"]
    if rule is not None and rule.hipaa == pattern.hipaa:
        reasons.append(f"its name suggests {rule.kind}")
    preset = _first_that_holds(facts, (pattern.preset,))
    return RoleSuggestion(
        Role(pattern.role), tuple(reasons), HIPAA.get(pattern.hipaa), pattern.kind, preset
    )


def _by_identifying_name(facts: _Facts, rule: NameRule) -> RoleSuggestion | None:
    """Return the suggestion of a name that says identifier, unless the values belie it."""
    if facts.few and not rule.of_a_person:
        return None
    if rule.hipaa == "R" and facts.share < 0.5:
        return None
    reasons = [f"its name suggests {rule.kind}", *_uniqueness(facts)]
    if rule.of_a_person and facts.distinct < facts.filled:
        reasons.append(
            "rows share its values: if it tells whose row it is, name it as `person`, so that "
            "people are counted and not rows"
        )
    return RoleSuggestion(Role.IDENTIFIER, tuple(reasons), HIPAA[rule.hipaa])


def _by_name(facts: _Facts, rule: NameRule, pattern: Pattern | None) -> RoleSuggestion:
    reasons = [f"its name suggests {rule.kind}"]
    hipaa = HIPAA.get(rule.hipaa)
    presets = rule.presets
    if pattern is not None:
        reasons.append(f"its values have the form of {pattern.kind}")
        hipaa = hipaa or HIPAA.get(pattern.hipaa)
        presets = (*presets, pattern.preset)
    if rule.role == "quasi-identifier":
        reasons.append(_KNOWN)
    if rule.kind == "an age" and facts.column.dtype.is_numeric():
        oldest = facts.column.drop_nulls().to_numpy().max()
        if oldest > _OLDEST:
            presets = ()
            reasons.append(f"its values go beyond {_OLDEST}: not an age in years")
        elif oldest > 89:
            hipaa = HIPAA["C"]
            reasons.append("it goes beyond 89 years: HIPAA asks for one group of 90 and over")
    reasons += _uniqueness(facts)
    inside = embedded_identifier(facts.column)
    if inside is not None:
        reasons.append(f"take care: some of its texts hold {inside}")
    preset = _first_that_holds(facts, presets)
    return RoleSuggestion(
        Role(rule.role), tuple(reasons), hipaa, pattern.kind if pattern else None, preset
    )


def _by_nature(facts: _Facts) -> RoleSuggestion:
    """Return the suggestion for a column of which neither name rule nor form says anything."""
    column = facts.column
    listed = _LISTED if column.dtype == pl.String and facts.distinct > 2 else ()
    preset = _first_that_holds(facts, listed)
    inside = embedded_identifier(column)
    if inside is not None:
        reason = f"some of its texts hold {inside}"
        return RoleSuggestion(Role.IDENTIFIER, (reason,), HIPAA["R"])
    if column.dtype.is_temporal():
        reason = "it holds dates or times: an event that others may know of"
        preset = None if column.dtype == pl.Time else "date"
        return RoleSuggestion(Role.QUASI_IDENTIFIER, (reason,), HIPAA["C"], "dates", preset)
    sensitivity = sensitivity_of(column.name)
    because = f"{sensitivity.because} ({sensitivity.kind})"
    if sensitivity.kind in _SENSITIVE_CLASSES:
        return RoleSuggestion(Role.SENSITIVE, (because,), hierarchy_preset=preset)
    if sensitivity.kind in ("demographic", "location", "highly sensitive demographic"):
        return RoleSuggestion(Role.QUASI_IDENTIFIER, (because, _KNOWN), hierarchy_preset=preset)
    if _numbers_rows(facts):
        reasons = (*_uniqueness(facts), "it counts the rows, or is all but unique")
        return RoleSuggestion(Role.IDENTIFIER, reasons, HIPAA["R"])
    if column.dtype == pl.String and not facts.few:
        length = float(column.drop_nulls().str.len_chars().mean() or 0.0)  # type: ignore[arg-type]
        if length > _SENTENCE:
            reason = "it holds free text, in which names and numbers can stand"
            return RoleSuggestion(Role.IDENTIFIER, (reason,), HIPAA["R"])
    return RoleSuggestion(
        Role.OTHER,
        ("neither its name nor its values tell a role: look at it", *_uniqueness(facts)),
        hierarchy_preset=preset,
    )


def _numbers_rows(facts: _Facts) -> bool:
    """Return whether the values are texts that are all but unique, or count the rows."""
    if facts.rows < _FEW_VALUES or facts.share < _UNIQUE:
        return False
    if facts.column.dtype == pl.String:
        return True
    if not facts.column.dtype.is_integer():
        return False
    numbers = facts.column.drop_nulls().to_numpy()
    return int(numbers.max()) - int(numbers.min()) < 2 * facts.distinct


def _uniqueness(facts: _Facts) -> tuple[str, ...]:
    if facts.rows < _FEW_VALUES or facts.share < _UNIQUE:
        return ()
    if facts.distinct == facts.filled:
        return ("no two rows share a value",)
    return (f"{facts.share:.1%} of its values are different",)


_LISTED = (
    "us-census-region",
    "brfss-age-group",
    "brfss-general-health",
    "brfss-diabetes",
    "brfss-smoker",
    "brfss-e-cigarette",
    "brfss-race",
    "brfss-tetanus",
)


def _first_that_holds(facts: _Facts, presets: tuple[str, ...]) -> str | None:
    """Return the first preset that holds every value of the column."""
    values = distinct_values(facts.column)
    for name in filter(None, presets):
        if not Hierarchy.preset(name).climber.climb(values)[0].has_nulls():
            return name
    return None
