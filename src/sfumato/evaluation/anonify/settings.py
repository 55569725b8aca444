"""What the study is asked for; the defaults are those of the paper."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, FiniteFloat, model_validator

from sfumato.errors import did_you_mean
from sfumato.settings import Settings

__all__ = ["CLASSIFIER_NAMES", "AnonifySettings"]

CLASSIFIER_NAMES: tuple[str, ...] = (
    "naive-bayes",
    "decision-tree",
    "k-nearest-neighbours",
    "svm",
    "random-forest",
    "logistic-regression",
    "adaboost",
    "bagging",
)

_Share = Annotated[float, Field(gt=0, lt=1)]


class AnonifySettings(Settings):
    """How a k-anonymous table and samples of it are assessed.

    Parameters
    ----------
    delete
        The shares of every class that are deleted, each above 0 and below 1.
    runs
        How many samples are drawn of each share, and how often a classifier that draws is trained.
    distribution_delete
        The share for the distribution tables.
    bins
        For a quasi-identifier of numbers the edges of its bins, rising, in its unit; a bin holds
        its lower edge. Left out, about five bins of one round width.
    codes
        For a column of categories the number that stands for each value in the classifiers' input.
        Values that are left out get the next free whole numbers in the order of the alphabet.
    classifiers
        Which of the eight.
    most_rows_svm
        With more training rows than this the support vector machine is left out, and said to be:
        its time grows with the square of the rows.
    test_share, split_seed
        Of the split into training and test rows.
    seed
        Of the samples and of the classifiers.

    Notes
    -----
    Gaballah et al., PoPETs 2024(3), sections 6.2.2 and 6.2.3.
    """

    delete: tuple[_Share, ...] = (0.1, 0.3, 0.5, 0.7)
    runs: int = Field(default=10, ge=1)
    distribution_delete: _Share = 0.5
    bins: dict[str, tuple[FiniteFloat, ...]] = Field(default_factory=dict)
    codes: dict[str, dict[str, int]] = Field(default_factory=dict)
    classifiers: tuple[str, ...] = CLASSIFIER_NAMES
    most_rows_svm: int = Field(default=20_000, ge=1)
    test_share: _Share = 0.25
    split_seed: int = Field(default=35, ge=0)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len(set(self.delete)) < len(self.delete):
            raise ValueError("delete: a share stands twice")
        for column, edges in self.bins.items():
            if len(edges) < 2 or any(high <= low for low, high in pairwise(edges)):
                raise ValueError(f"bins.{column}: the edges must be two or more rising numbers")
        for name in self.classifiers:
            if name not in CLASSIFIER_NAMES:
                hint = did_you_mean(name, CLASSIFIER_NAMES)
                known = ", ".join(CLASSIFIER_NAMES)
                raise ValueError(f"there is no classifier {name!r}.{hint} Known: {known}")
        for column, codes in self.codes.items():
            if len(set(codes.values())) < len(codes):
                raise ValueError(f"codes.{column}: two values have the same number")
        return self
