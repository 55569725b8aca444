"""What of a release's use is measured, and how finely."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from sfumato.evaluation.models import model_of
from sfumato.settings import Settings

__all__ = ["PARTS", "Part", "PropensityModel", "UtilitySettings"]

Part = Literal[
    "marginals",
    "distances",
    "associations",
    "propensity",
    "coverage",
    "rare",
    "groups",
    "learning",
    "regression",
    "queries",
]
PropensityModel = Literal["logistic-regression", "decision-tree", "gradient-boosting"]
PARTS: tuple[Part, ...] = (
    "marginals",
    "distances",
    "associations",
    "propensity",
    "coverage",
    "rare",
    "groups",
    "learning",
    "regression",
    "queries",
)


class UtilitySettings(Settings):
    """What of a release's use is measured; a plan may hold it as a table.

    Parameters
    ----------
    parts
        What to measure; everything by default.
    columns
        Columns to compare; by default all that the tables share and that are no identifiers.
    bins
        Cells that a number is cut into, by quantiles of the real rows (2 to 100).
    values
        Most values of a category that are told apart; the rarer ones count as one (2 to 200).
    three_way
        How many three-way marginals are drawn (all if there are fewer); 0 for none.
    propensity
        Models that try to tell real from released rows.
    propensity_rows
        Most rows of either side that they see.
    neighbours
        k of coverage and density.
    coverage_rows
        Most rows of either side that are compared pair by pair (at most 5,000).
    rare_share
        A value of fewer real rows than this share is rare (above 0, at most 0.5).
    rare_people
        A value of fewer real rows than this number is told apart once more.
    groups
        Columns whose groups are looked at one by one; the quasi-identifiers by default.
    group_rows
        A group of fewer real rows is left out; it is neither measured nor named.
    models
        Models that learn the target from the release and from as many real rows: names or
        scikit-learn classifiers (for a target that is a number, names).
    learning_rows
        Most rows that a model learns from.
    test_rows
        Most control rows that it is tested on.
    formula
        The regression to compare, ``"target ~ age + bmi + C(stage)"``; by default the target on
        the six columns that go with it most strongly.
    queries
        The user's own questions: SQL over the table ``t`` that gives one number, such as ``"SELECT
        avg(bmi) FROM t WHERE sex = 'F'"``.
    range_queries
        Random questions after the share of rows within ranges; 0 for none.
    bootstrap
        Repetitions of a bootstrap (at least 20).

    Examples
    --------
    >>> UtilitySettings(bins=10).bins
    10
    """

    parts: tuple[Part, ...] = PARTS
    columns: tuple[str, ...] | None = None
    bins: int = Field(default=20, ge=2, le=100)
    values: int = Field(default=60, ge=2, le=200)
    three_way: int = Field(default=200, ge=0)
    propensity: tuple[PropensityModel, ...] = (
        "logistic-regression",
        "decision-tree",
        "gradient-boosting",
    )
    propensity_rows: int = Field(default=5_000, ge=20)
    neighbours: int = Field(default=5, ge=1)
    coverage_rows: int = Field(default=2_000, ge=2, le=5_000)
    rare_share: float = Field(default=0.01, gt=0, le=0.5)
    rare_people: int = Field(default=11, ge=1)
    groups: tuple[str, ...] | None = None
    group_rows: int = Field(default=50, ge=10)
    models: tuple[object, ...] = ("gradient-boosting", "logistic-regression", "random-forest")
    learning_rows: int = Field(default=20_000, ge=20)
    test_rows: int = Field(default=50_000, ge=20)
    formula: str | None = None
    queries: tuple[str, ...] = ()
    range_queries: int = Field(default=200, ge=0)
    bootstrap: int = Field(default=200, ge=20)

    @field_validator("models")
    @classmethod
    def _known_models(cls, models: tuple[object, ...]) -> tuple[object, ...]:
        for model in models:
            model_of(model)
        return models
