"""What a plan says of its frontier: the two axes, the limits, and how candidates are searched."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from sfumato.errors import did_you_mean
from sfumato.release.report.families import FAMILIES, Family
from sfumato.settings import Settings

__all__ = [
    "ATTACK_FAMILIES",
    "CRITERIA",
    "LARGEST",
    "LIMITS",
    "OF_CRITERIA",
    "FrontierPlan",
    "applies",
    "family_named",
    "is_of_classes",
]

#: The axis of risk that is drawn if the plan names none, and the families behind it: the criteria
#: of the Article 29 Working Party's opinion 05/2014 (WP216).
CRITERIA = "criteria"
OF_CRITERIA = ("singling_out", "linkability", "inference")
#: The axis over every family of attacks.
LARGEST = "largest"
#: The axis in units of the plan's own limits.
LIMITS = "limits"

#: Families of figures that compare members with control people, as the report groups them.
ATTACK_FAMILIES = tuple(family.key for family in FAMILIES if family.key != "integrity")

#: Figures of classes of equal rows, each of whom is a person's; they are told by their beginning.
OF_CLASSES = (
    "prosecutor",
    "journalist",
    "marketer",
    "at_risk",
    "unique",
    "smallest_class",
    "classes",
    "suppressed",
    "below",
    "wildcard",
)

_OTHERS = (
    "exact_copies",
    "nearer_to_train",
    "distance_lowest",
    "distance_median",
    "prosecutor_highest",
    "prosecutor_average",
    "journalist_highest",
    "journalist_average",
    "journalist_at_risk",
    "smallest_class_without_suppressed",
    "wildcard_highest",
    "wildcard_average",
    "wildcard_at_risk",
    "mean_total_variation",
    "largest_distance",
    "mean_association_difference",
    "target_association_difference",
    "auc",
    "average_precision",
    "balanced_accuracy",
    "f1",
    "precision",
    "recall",
    "accuracy",
    "brier",
    "loss",
)


#: Figures that find a release near its own people, as one whose rows are theirs must be.
_OF_DRAWN_ROWS = ("copies", "exact_copies", "leaked_share", "nearer_to_train")


def applies(key: str, *, synthetic: bool) -> bool:
    """Return whether a release can have a figure, or the figures of a family.

    Parameters
    ----------
    key
        Of the figure or of the family.
    synthetic
        Whether its rows were drawn from a model: none then stands for one person, and no class
        of them holds people. Rows that are people's own, recoded, are no copies of them.
    """
    if synthetic:
        return not is_of_classes(key)
    return key.partition("/")[0] not in _OF_DRAWN_ROWS


def is_of_classes(key: str) -> bool:
    """Return whether a figure counts rows as people, so that drawn rows have none."""
    return any(key == one or key.startswith(f"{one}_") for one in OF_CLASSES)


def family_named(key: str) -> Family | None:
    """Return the family of figures of that name, or None."""
    return next((family for family in FAMILIES if family.key == key), None)


class FrontierPlan(Settings):
    """How the releases of a plan are set against each other.

    Parameters
    ----------
    risk
        The axis of risk. "criteria": the largest excess over control of singling out, linkability
        and inference and, where a row is a person's, the share of rows that a linkage gets right.
        "largest": the same over every family of attacks; rows that are people's own give
        membership away to whoever knows all of them, so that all such releases then lie together.
        "limits": the largest share of a limit that is used up. Or the key of a figure of risk, the
        first part of several keys, a family of attacks ("copies", "singling_out", "linkability",
        "inference", "membership", "reconstruction"), or a list of these, of which the largest
        counts.
    utility
        The key of a figure of use. By default the AUC of what is learned from each release, else
        how much the distributions differ.
    limits
        What must hold to be recommended: for a key, or a name as in ``risk``, the largest value
        allowed; the least value, where higher is better. What the data leave open is
        counted against the release. The limits of the plan's policies hold too.
    search
        Which releases of the plan are made. "grid": all. "random": ``candidates`` of them, drawn by
        the plan's seed. "halving": all on a sample of ``rows``, the better half on twice as many,
        and so on, ``candidates`` on the whole table. The plan's first release is always made.
    candidates
        How many releases are made of the whole table; for "random" and "halving".
    rows
        Rows of the first sample of "halving".

    References
    ----------
    K. Jamieson, A. Talwalkar, "Non-stochastic best arm identification and hyperparameter
    optimization", AISTATS 2016 (successive halving).
    """

    risk: str | tuple[str, ...] = CRITERIA
    utility: str | None = None
    limits: dict[str, float] = Field(default_factory=dict)
    search: Literal["grid", "random", "halving"] = "grid"
    candidates: int = Field(default=8, ge=1, strict=True)
    rows: int = Field(default=10_000, ge=100, strict=True)

    @field_validator("risk")
    @classmethod
    def _risk_named(cls, risk: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not risk:
            raise ValueError("name at least one figure, or leave the key out")
        for key in (risk,) if isinstance(risk, str) else risk:
            _refuse_misspelt(key, (CRITERIA, LARGEST, LIMITS))
        return risk

    @field_validator("utility")
    @classmethod
    def _utility_named(cls, utility: str | None) -> str | None:
        if utility is not None:
            _refuse_misspelt(utility)
        return utility

    @field_validator("limits")
    @classmethod
    def _limits_named(cls, limits: dict[str, float]) -> dict[str, float]:
        for key in limits:
            _refuse_misspelt(key)
        return limits


def _refuse_misspelt(key: str, others: tuple[str, ...] = ()) -> None:
    """Refuse a key that is nearly one of ours; any other may be a figure of somebody's own."""
    first = key.partition("/")[0]
    of_families = (prefix for family in FAMILIES for prefix in family.prefixes)
    known = (*ATTACK_FAMILIES, *of_families, *OF_CLASSES, *_OTHERS, *others)
    if first in known or first.startswith("below_"):
        return
    if hint := did_you_mean(first, known):
        raise ValueError(f"there is no figure {key!r}.{hint}")
