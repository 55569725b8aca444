"""How much more frequent a sensitive value may be in a class than in the whole table."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, field_validator

from sfumato.privacy.criteria import Criterion
from sfumato.privacy.sensitive_values import SLACK, CountsCheck, ValueCriterion, shares
from sfumato.table.hierarchies.keys import texts_of

__all__ = ["AlphaKAnonymity", "BetaLikeness", "DeltaDisclosure"]

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


class DeltaDisclosure(ValueCriterion):
    """The share of each sensitive value in a class is near its share in the whole table.

    ``|log2(p / q)| < delta`` for every value that the class holds, where p is its share in the
    class and q that in the whole table before suppression. Of a value that a class does not hold
    nothing is asked (as in ARX; the definition of the paper would then allow no class that lacks
    any value of the table).

    Parameters
    ----------
    column
        The sensitive column. A missing value counts as a value.
    delta
        Above 0; 1 allows less than twice and more than half as frequent.

    Notes
    -----
    J. Brickell, V. Shmatikov, "The cost of privacy: destruction of data-mining utility in
    anonymized data publishing", KDD 2008 (delta-disclosure). Not monotone: a value that one
    class holds becomes too rare when a class without it is joined.
    """

    kind: ClassVar[str] = "delta-disclosure"
    __init__ = Criterion.__init__

    column: str
    delta: float = Field(gt=0)

    @property
    def monotone_generalization(self) -> bool:
        """False: a joined class may hold a value too rarely."""
        return False

    def bound(self, labels: pl.Series | None = None) -> CountsCheck:  # noqa: ARG002
        """Return the check of plain arrays; the values themselves play no part."""
        return self._kept

    def _kept(self, sizes: Integers, counts: Integers, overall: Integers) -> Booleans:  # noqa: ARG002
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(np.log2(shares(counts) / shares(overall)))
        kept: Booleans = ((counts == 0) | (ratio < self.delta)).all(axis=1)
        return kept

    def describe(self) -> str:
        """Return the promise in words."""
        return (
            f"{self.delta:g}-disclosure privacy of {self.column!r}: a value of {self.column!r} "
            f"that a class holds is less than {2**self.delta:.4g} times more and less than "
            f"{2**self.delta:.4g} times less frequent there than in the whole table; a missing "
            "value counts as a value"
        )


class BetaLikeness(ValueCriterion):
    """No sensitive value is much more frequent in a class than in the whole table.

    ``(p - q) / q <= beta`` for every value whose share p in the class exceeds its share q in the
    whole table before suppression; enhanced, ``(p - q) / q <= min(beta, -ln q)``, which limits
    frequent values more. Values that become rarer are not limited.

    Parameters
    ----------
    column
        The sensitive column. A missing value counts as a value.
    beta
        Largest relative gain, above 0.
    enhanced
        Whether frequent values are limited more.

    Notes
    -----
    J. Cao, P. Karras, "Publishing microdata with a robust privacy guarantee", PVLDB 5(11), 2012.
    Shares of a joined class lie between those of its
    parts, so the promise is monotone.
    """

    kind: ClassVar[str] = "beta-likeness"
    __init__ = Criterion.__init__

    column: str
    beta: float = Field(gt=0)
    enhanced: bool = False

    @property
    def monotone_generalization(self) -> bool:
        """True: a joined class's shares lie between those of its parts."""
        return True

    def bound(self, labels: pl.Series | None = None) -> CountsCheck:  # noqa: ARG002
        """Return the check of plain arrays; the values themselves play no part."""
        return self._kept

    def _kept(self, sizes: Integers, counts: Integers, overall: Integers) -> Booleans:  # noqa: ARG002
        whole = shares(overall)
        gain = np.full(len(whole), self.beta)
        if self.enhanced:
            logs = np.log(whole, out=np.zeros_like(whole), where=whole > 0)
            gain = np.minimum(gain, -logs)
        kept: Booleans = (shares(counts) <= whole * (1 + gain) + SLACK).all(axis=1)
        return kept

    def describe(self) -> str:
        """Return the promise in words."""
        name = "enhanced" if self.enhanced else "basic"
        more = ", and less where the value is frequent in the whole table" * self.enhanced
        return (
            f"{name} {self.beta:g}-likeness of {self.column!r}: no value of {self.column!r} is "
            f"more than {1 + self.beta:g} times as frequent in a class as in the whole "
            f"table{more}; a missing value counts as a value"
        )


class AlphaKAnonymity(ValueCriterion):
    """k-anonymity, and no guarded sensitive value has more than a share alpha of a class.

    Parameters
    ----------
    k
        Smallest size that a class may have, at least 1.
    column
        The sensitive column. A missing value counts as a value.
    alpha
        Largest share of the members of a class that may have a guarded value, above 0, at most 1.
        Where persons are counted, it is the share of persons.
    values
        The sensitive values that are guarded, as texts or as the column holds them; by default
        every one, the missing value included.

    Notes
    -----
    R. C.-W. Wong, J. Li, A. W.-C. Fu, K. Wang, "(alpha, k)-anonymity: an enhanced k-anonymity
    model for privacy preserving data publishing", KDD 2006.
    """

    kind: ClassVar[str] = "alpha-k-anonymity"
    __init__ = Criterion.__init__

    k: int = Field(ge=1)
    column: str
    alpha: float = Field(gt=0, le=1)
    values: tuple[str | int | float | bool, ...] | None = Field(default=None, min_length=1)

    @field_validator("values", mode="before")
    @classmethod
    def _several(cls, values: Any) -> Any:
        return (values,) if isinstance(values, str | int | float) else values

    @property
    def monotone_generalization(self) -> bool:
        """True: a joined class is larger, and its shares lie between those of its parts."""
        return True

    def bound(self, labels: pl.Series | None = None) -> CountsCheck:
        """Return the check of plain arrays.

        Raises
        ------
        PlanError
            If only some values are guarded and ``labels`` is left out.
        """
        guarded: Any = slice(None)
        if self.values is not None:
            if labels is None:
                raise self._needs_labels()
            guarded = self._guarded(labels)
        return lambda sizes, counts, _: (
            (sizes >= self.k)
            & (counts[:, guarded] <= (self.alpha + SLACK) * sizes[:, None]).all(axis=1)
        )

    def _guarded(self, labels: pl.Series) -> Integers:
        """Return which values are guarded: by their text, so that a plan may write 1 or "1"."""
        names = texts_of(pl.Series([str(value) for value in self.values or ()]))
        texts = texts_of(labels)
        found = texts.is_in(names.implode()).fill_null(value=False)
        return np.flatnonzero(found.to_numpy()).astype(np.int64)

    def describe(self) -> str:
        """Return the promise in words."""
        which = (
            "any one value, a missing one included"
            if self.values is None
            else f"any one of the {len(self.values)} guarded values (a missing one is not guarded)"
        )
        return (
            f"({self.alpha:g}, {self.k})-anonymity of {self.column!r}: every class has at least "
            f"{self.k} members, and at most {self.alpha:.4g} of them have {which} of "
            f"{self.column!r}"
        )
