"""l-diversity: a class must not give away the sensitive value of its members."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from sfumato.privacy.criteria import Criterion
from sfumato.privacy.sensitive_values import SLACK, CountsCheck, ValueCriterion, shares

__all__ = ["LDiversity", "grassberger_entropy", "shannon_entropy"]

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class LDiversity(ValueCriterion):
    """The sensitive values of each class are diverse.

    Parameters
    ----------
    column
        The sensitive column. A missing value counts as a value.
    l
        How diverse, at least 1; a whole number for ``distinct`` and ``recursive``.
    variant
        ``"distinct"``: a class has at least l different values. ``"entropy"``: the entropy of its
        values is at least log(l). ``"recursive"``: its most frequent value occurs less than c
        times as often as all but the l - 1 most frequent ones together.
    c
        For ``recursive``: above 0.
    estimator
        For ``entropy``: ``"shannon"`` (the entropy of the counted shares; the default) or
        ``"grassberger"`` (an estimate of the entropy behind the sample, which corrects the bias
        that small classes have).

    Notes
    -----
    A. Machanavajjhala, D. Kifer, J. Gehrke, M. Venkitasubramaniam, "l-diversity: privacy beyond
    k-anonymity", ACM TKDD 1(1), 2007, definitions 4.1 (entropy), 4.2 (recursive), and section 4.1.
    P. Grassberger, "Entropy estimates from insufficient samplings", arXiv:physics/0307138, 2003.

    Monotone: distinct values only grow; entropy is concave; the recursive condition is kept by
    sums. Grassberger's estimate is not concave in the counts, so nothing is said of it.
    """

    kind: ClassVar[str] = "l-diversity"
    __init__ = Criterion.__init__

    column: str
    l: float = Field(ge=1)  # noqa: E741 (the name of the literature)
    variant: Literal["distinct", "entropy", "recursive"] = "distinct"
    c: float | None = Field(default=None, gt=0)
    estimator: Literal["shannon", "grassberger"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _default_estimator(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("variant") == "entropy":
            return {**values, "estimator": values.get("estimator") or "shannon"}
        return values

    @model_validator(mode="after")
    def _settings_fit(self) -> LDiversity:
        if self.variant != "entropy" and self.l != int(self.l):
            raise ValueError(f"l must be a whole number for {self.variant} l-diversity")
        if (self.c is None) == (self.variant == "recursive"):
            raise ValueError("c is needed for recursive l-diversity, and for no other")
        if self.estimator is not None and self.variant != "entropy":
            raise ValueError("an estimator is chosen for entropy l-diversity, and for no other")
        return self

    @property
    def monotone_generalization(self) -> bool:
        """True, but for Grassberger's estimate."""
        return self.estimator != "grassberger"

    @property
    def monotone_growth(self) -> bool:
        """True for distinct values only: a uniform class may spoil the others' balance."""
        return self.variant == "distinct"

    def bound(self, labels: pl.Series | None = None) -> CountsCheck:  # noqa: ARG002
        """Return the check of plain arrays; the values themselves play no part."""
        return getattr(self, f"_{self.variant}")  # type: ignore[no-any-return]

    def _distinct(self, sizes: Integers, counts: Integers, overall: Integers) -> Booleans:  # noqa: ARG002
        kept: Booleans = np.count_nonzero(counts, axis=1) >= self.l
        return kept

    def _entropy(self, sizes: Integers, counts: Integers, overall: Integers) -> Booleans:  # noqa: ARG002
        estimate = grassberger_entropy if self.estimator == "grassberger" else shannon_entropy
        kept: Booleans = estimate(counts) >= np.log(self.l) - SLACK
        return kept

    def _recursive(self, sizes: Integers, counts: Integers, overall: Integers) -> Booleans:  # noqa: ARG002
        falling = -np.sort(-counts, axis=1)
        tail = falling[:, int(self.l) - 1 :].sum(axis=1)
        largest = falling[:, :1].sum(axis=1)
        kept: Booleans = largest < (self.c or 0.0) * tail
        return kept

    def describe(self) -> str:
        """Return the promise in words."""
        start = f"{self.l:g}-diversity of {self.column!r} ({self.variant}): "
        if self.variant == "distinct":
            return (
                f"{start}whoever finds the class of a person still has at least {self.l:g} "
                f"different values of {self.column!r} to choose from, a missing one counted as one"
            )
        if self.variant == "entropy":
            how = "as counted" if self.estimator == "shannon" else "as estimated by Grassberger"
            return (
                f"{start}the values of {self.column!r} in every class are as uncertain ({how}) as "
                f"{self.l:g} equally frequent ones, a missing one counted as one"
            )
        return (
            f"{start}in every class the most frequent value of {self.column!r} occurs less than "
            f"{self.c:g} times as often as all but the {int(self.l) - 1} most frequent together, "
            "so that whoever rules out some values is still not sure"
        )


def shannon_entropy(counts: npt.NDArray[Any]) -> Floats:
    """Return the entropy of each class's values in nats, shape (c,), from counts (c, v)."""
    share = shares(counts)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    entropy: Floats = -(share * logs).sum(axis=1)
    return entropy


def grassberger_entropy(counts: npt.NDArray[Any]) -> Floats:
    """Return Grassberger's estimate of the entropy in nats, shape (c,), from counts (c, v).

    ``log N - sum(n G(n)) / N`` with ``G(1) = -gamma - log 2``, ``G(2) = 2 - gamma - log 2``,
    ``G(2m + 1) = G(2m)`` and ``G(2m + 2) = G(2m) + 2 / (2m + 1)`` (P. Grassberger,
    arXiv:physics/0307138, 2003).
    """
    totals = counts.sum(axis=1)
    terms = _grassberger_g(int(counts.max(initial=0)))
    weighted = (counts * terms[counts]).sum(axis=1)
    estimate: Floats = np.log(np.maximum(totals, 1)) - weighted / np.maximum(totals, 1)
    return estimate


def _grassberger_g(largest: int) -> Floats:
    """Return G(0) to G(largest), with 0 for G(0), which is never weighed."""
    halves = np.arange(largest // 2, dtype=np.float64)
    even = -np.euler_gamma - np.log(2) + np.concatenate([[0.0], np.cumsum(2 / (2 * halves + 1))])
    terms: Floats = even[np.arange(largest + 1) // 2]
    terms[0] = 0.0
    return terms
