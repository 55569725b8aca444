"""Promises about the re-identification risk of the table as a whole."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.privacy.classes import EquivalenceClasses
from sfumato.privacy.criteria import Criterion
from sfumato.privacy.sensitive_values import SLACK

__all__ = ["AverageRisk", "SampleUniqueness", "StrictAverageRisk", "TableCriterion"]

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


class TableCriterion(Criterion):
    """A promise about the sizes of all classes together.

    The smallest classes are given up first, until the rest keeps the promise; among classes of one
    size the later ones go first.
    """

    class_wise: ClassVar[bool] = False

    @property
    def monotone_generalization(self) -> bool:
        """True: joining classes of a table lowers each of these risks."""
        return True

    @property
    def monotone_suppression(self) -> bool:
        """False: without its large classes, the small ones weigh more."""
        return False

    @abstractmethod
    def prefixes(self, sizes: Integers, members: Integers) -> Booleans:
        """Return for each i whether a release of the classes 0 to i keeps the promise.

        Parameters
        ----------
        sizes
            Sizes of the classes (c), falling.
        members
            How many rows or persons each holds (c).
        """

    def kept(self, classes: EquivalenceClasses) -> Booleans:
        """Return the largest set of classes whose release keeps the promise, shape (n_classes,)."""
        return self.kept_sizes(classes.sizes, classes.members)

    def kept_sizes(
        self, sizes: npt.NDArray[Any], members: npt.NDArray[Any] | None = None
    ) -> Booleans:
        """Return the largest set of classes whose release keeps the promise, from plain arrays.

        Parameters
        ----------
        sizes
            Size of each class (c).
        members
            How many rows or persons each holds (c); by default its size.
        """
        order = np.argsort(-sizes, kind="stable")
        held = sizes if members is None else members
        good = np.flatnonzero(self.prefixes(sizes[order], held[order]))
        kept = np.zeros(len(sizes), dtype=np.bool_)
        if len(good):
            kept[order[: good[-1] + 1]] = True
        return kept


class AverageRisk(TableCriterion):
    """The risk of re-identification is at most this on the average over the released rows.

    The risk of a row is one over the size of its class, so that the average is the number of
    classes divided by the number of rows: what an attacker who links every row finds (marketer).
    ARX's average risk and Anonify's are the same figure.

    Parameters
    ----------
    limit
        Highest average risk, above 0 and at most 1.

    Notes
    -----
    F. K. Dankar, K. El Emam, "A method for evaluating marketer re-identification risk", EDBT
    Workshops 2010; K. El Emam, "Guide to the De-Identification of Personal Health Information",
    CRC Press, 2013.
    """

    kind: ClassVar[str] = "average-risk"
    __init__ = Criterion.__init__

    limit: float = Field(gt=0, le=1)

    @property
    def monotone_growth(self) -> bool:
        """True: joining classes leaves fewer of them for as many rows."""
        return True

    def prefixes(self, sizes: Integers, members: Integers) -> Booleans:
        """Return for each i whether the classes 0 to i have a low enough average risk."""
        return _average(sizes, members) <= self.limit + SLACK

    def describe(self) -> str:
        """Return the promise in words."""
        return (
            f"average risk {self.limit:g}: an attacker who links every released row to a person by "
            f"the quasi-identifiers is right for at most {self.limit:.4g} of the rows on the "
            "average; a single row may be at a higher risk"
        )


class StrictAverageRisk(TableCriterion):
    """A low average risk, and a high one for few rows only.

    Parameters
    ----------
    average
        Highest average risk, above 0 and at most 1.
    highest
        The risk that a row should not exceed, above 0 and at most 1.
    at_risk
        Share of the released rows that may exceed it nevertheless, 0 to 1. (ARX counts a class
        whose risk is exactly the threshold as one that exceeds it; here it does not.)

    Notes
    -----
    K. El Emam, "Guide to the De-Identification of Personal Health Information", CRC Press, 2013
    (strict average risk: average risk and a threshold on the maximum).
    """

    kind: ClassVar[str] = "strict-average-risk"
    __init__ = Criterion.__init__

    average: float = Field(gt=0, le=1)
    highest: float = Field(gt=0, le=1)
    at_risk: float = Field(default=0.0, ge=0, le=1)

    def prefixes(self, sizes: Integers, members: Integers) -> Booleans:
        """Return for each i whether the classes 0 to i keep both limits."""
        exposed = np.where(1 / sizes > self.highest + SLACK, members, 0)
        share = np.cumsum(exposed) / np.cumsum(members)
        kept: Booleans = (_average(sizes, members) <= self.average + SLACK) & (
            share <= self.at_risk + SLACK
        )
        return kept

    def describe(self) -> str:
        """Return the promise in words."""
        few = f"at most {self.at_risk:.4g} of the rows are" if self.at_risk else "no row is"
        return (
            f"strict average risk: an attacker who links every released row to a person is right "
            f"for at most {self.average:.4g} of the rows on the average, and {few} at a risk above "
            f"{self.highest:.4g}"
        )


class SampleUniqueness(TableCriterion):
    """At most this share of the released rows is alone in its class.

    Parameters
    ----------
    share
        Largest share of unique rows, 0 to 1.

    Notes
    -----
    The share of sample uniques, as in C. J. Skinner, M. J. Elliot, "A measure of disclosure risk
    for microdata", JRSS B 64(4), 2002.
    """

    kind: ClassVar[str] = "sample-uniqueness"
    __init__ = Criterion.__init__

    share: float = Field(ge=0, le=1)

    @property
    def monotone_growth(self) -> bool:
        """True: joining classes leaves fewer unique rows among as many."""
        return True

    def prefixes(self, sizes: Integers, members: Integers) -> Booleans:
        """Return for each i whether few enough rows of the classes 0 to i are unique."""
        alone = np.cumsum(np.where(sizes == 1, members, 0))
        kept: Booleans = alone / np.cumsum(members) <= self.share + SLACK
        return kept

    def describe(self) -> str:
        """Return the promise in words."""
        few = f"at most {self.share:.4g} of the released rows are" if self.share else "no row is"
        return (
            f"sample uniqueness: {few} alone with their combination of quasi-identifiers in the "
            "release"
        )


def _average(sizes: Integers, members: Integers) -> npt.NDArray[np.float64]:
    risk: npt.NDArray[np.float64] = np.cumsum(members / sizes) / np.cumsum(members)
    return risk
