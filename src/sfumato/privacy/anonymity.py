"""Promises about the size of each class: k-anonymity and the highest risk."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.privacy.classes import EquivalenceClasses
from sfumato.privacy.criteria import Criterion

__all__ = ["HighestRisk", "KAnonymity", "SizeCriterion"]

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


class SizeCriterion(Criterion):
    """A promise that the size of each class alone decides, and that larger classes keep better."""

    @property
    def monotone_generalization(self) -> bool:
        """True: a joined class is at least as large as its parts."""
        return True

    @property
    def monotone_suppression(self) -> bool:
        """True: the other classes keep their size."""
        return True

    @property
    def monotone_growth(self) -> bool:
        """True: a class only grows."""
        return True

    @abstractmethod
    def smallest_size(self) -> int:
        """Return the smallest size that keeps the promise."""

    def kept_sizes(self, sizes: npt.NDArray[Any]) -> Booleans:
        """Return which sizes keep the promise, of the shape of ``sizes``."""
        kept: Booleans = sizes >= self.smallest_size()
        return kept

    def kept(self, classes: EquivalenceClasses) -> Booleans:
        """Return which classes are large enough, shape (n_classes,)."""
        return self.kept_sizes(classes.sizes)


class KAnonymity(SizeCriterion):
    """Every combination of quasi-identifiers in the release is shared by at least k of its people.

    The unit is that of the classes: distinct persons where a person column is named, otherwise
    rows. Missing and suppressed values are values like any other, unless the classes were made to
    match them with everything, so a class of suppressed rows keeps the promise only if it has k of
    them too.

    Parameters
    ----------
    k
        Smallest size that a class may have; at least 2.

    Notes
    -----
    P. Samarati, "Protecting respondents' identities in microdata release", IEEE TKDE 13(6), 2001,
    definition 2.2; L. Sweeney, IJUFKS 10(5), 2002, definition 3.
    """

    kind: ClassVar[str] = "k-anonymity"
    __init__ = Criterion.__init__

    k: int = Field(ge=2)

    def smallest_size(self) -> int:
        """Return k."""
        return self.k

    def describe(self) -> str:
        """Return the promise in words."""
        return (
            f"{self.k}-anonymity: nobody can be told apart from at least {self.k - 1} others "
            "of the release by the quasi-identifiers"
        )


class HighestRisk(SizeCriterion):
    """Whoever is known to be in the release is found with at most this probability.

    The prosecutor's risk of a row is one over the size of its class.

    Parameters
    ----------
    limit
        Highest risk of any row, above 0 and at most 1.

    Notes
    -----
    K. El Emam, "Guide to the De-Identification of Personal Health Information", CRC Press, 2013
    (maximum prosecutor risk).
    """

    kind: ClassVar[str] = "highest-risk"
    __init__ = Criterion.__init__

    limit: float = Field(gt=0, le=1)

    def smallest_size(self) -> int:
        """Return the smallest whole number whose inverse is at most the limit."""
        size = max(int(np.floor(1 / self.limit)), 1)
        # 1 / limit may be off by a rounding either way; the definition itself decides
        while size > 1 and 1 / (size - 1) <= self.limit:
            size -= 1
        while 1 / size > self.limit:
            size += 1
        return size

    def describe(self) -> str:
        """Return the promise in words."""
        return (
            f"highest risk {self.limit:g}: whoever is known to be in the release can be picked out "
            f"by the quasi-identifiers with a probability of at most {self.limit:g}, as every "
            f"class has at least {self.smallest_size()} members"
        )
