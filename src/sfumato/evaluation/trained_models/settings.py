"""Which questions are asked of a trained model, and how thoroughly."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from sfumato.settings import Settings

__all__ = ["PARTS", "ModelAttacks", "Part"]

Part = Literal[
    "loss",
    "label_only",
    "black_box",
    "shadow_models",
    "privacy_risk",
    "attribute",
    "shapley",
    "minimization",
]
PARTS: tuple[Part, ...] = get_args(Part)


class ModelAttacks(Settings):
    """What is tried on a trained model.

    Parameters
    ----------
    only
        Names of the parts that are run; None for all.
    secrets
        Columns that an attacker wants to infer, by name, or by number for arrays.
    vulnerable
        Share of the people, the most isolated, who are also judged by themselves, 0 to 1; 0 leaves
        them out. They are chosen beforehand and without looking at who is a member.
    false_positives
        Shares of the control people who may be accused wrongly, each above 0 and below 1.
    shadows
        Models that are trained anew on halves of the people, an even number from 4: 16 are quick,
        64 are better.
    jobs
        Processes that train them, at least 1; the results are the same.
    queries
        Noisy copies of each row that the label-only attack asks about, at least 1.
    noise
        Standard deviation of the noise as a share of that of the column, above 0; categories are
        dealt anew with this probability, at most one half.
    trees
        Of the forests that attack and impute, at least 1.
    neighbours
        Of the classifier whose accuracy is shared out by Shapley values, at least 1.
    bins
        Into which modified entropies are put for the privacy-risk score, at least 2.
    risky
        Privacy-risk score from which a person counts as at risk, above 0.5 and below 1.
    kept
        Shares of the columns, the most useful, that minimized data keeps, each above 0, below 1.
    resamples
        Bootstrap samples of the rows, at least 99.
    most
        Most members and most controls that are attacked, drawn at random, at least 2.

    Examples
    --------
    >>> ModelAttacks(shadows=16).neighbours
    5
    """

    only: tuple[Part, ...] | None = None
    secrets: tuple[str | int, ...] = ()
    vulnerable: float = Field(default=0.05, ge=0, le=1)
    false_positives: tuple[float, ...] = (0.001, 0.01)
    shadows: int = Field(default=32, ge=4, le=4096, multiple_of=2)
    jobs: int = Field(default=1, ge=1)
    queries: int = Field(default=20, ge=1)
    noise: float = Field(default=0.1, gt=0)
    trees: int = Field(default=100, ge=1)
    neighbours: int = Field(default=5, ge=1)
    bins: int = Field(default=5, ge=2)
    risky: float = Field(default=0.8, gt=0.5, lt=1)
    kept: tuple[float, ...] = (0.8, 0.5)
    resamples: int = Field(default=999, ge=99)
    most: int = Field(default=20_000, ge=2)

    def asks(self, part: Part) -> bool:
        """Return whether a part is run."""
        return self.only is None or part in self.only
