"""The sparse vector technique: many questions, of which only the answers "above" cost anything."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.errors import BudgetExceeded, DataError
from sfumato.privacy.differential.costs import Cost
from sfumato.privacy.differential.mechanism import LARGEST_VALUE, Mechanism, checked_integers
from sfumato.privacy.differential.random_words import RandomWords
from sfumato.privacy.differential.rationals import Rational
from sfumato.privacy.differential.samplers import discrete_laplace

__all__ = ["Questions", "SparseVector"]


class SparseVector(Mechanism):
    """Tell which of many integers lie above a threshold, up to so many.

    Each answer "above" ends one run of AboveThreshold of its own epsilon and begins the next with
    fresh noise on the threshold; answers "below" are free.

    Parameters
    ----------
    threshold
        An integer, declared.
    epsilon
        Of each answer "above"; a rational number above 0.
    answers
        How many answers "above" are given at most; all of them are paid for in advance.
    sensitivity
        How far one unit moves any of the integers, at most.
    monotonic
        Whether one unit more moves all integers in one direction: then half the noise on them is
        enough.

    Notes
    -----
    C. Dwork, A. Roth 2014, Algorithm 1; M. Lyu, D. Su, N. Li, "Understanding the sparse vector
    technique for differential privacy", VLDB 2017, Algorithm 7 (and section 3.3 for the variants
    that are not private). Half of epsilon goes to the threshold. The noisy integers themselves are
    never told.

    Examples
    --------
    >>> from sfumato.privacy.differential import RandomWords
    >>> SparseVector(threshold=50, epsilon=1, answers=2).release([0, 900, 3, 800], RandomWords())
    array([1, 3])
    """

    kind: ClassVar[str] = "sparse vector"

    threshold: int = Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE)
    epsilon: Rational = Field(gt=0)
    answers: int = Field(default=1, ge=1)
    sensitivity: int = Field(default=1, ge=1)
    monotonic: bool = False

    @property
    def cost(self) -> Cost:
        """Pure: epsilon for each answer "above"."""
        return Cost.pure(self.epsilon * self.answers)

    def facts(self) -> dict[str, str]:
        """Return the sensitivity and both scales."""
        return {
            "sensitivity": str(self.sensitivity),
            "scale": f"{self._threshold_scale} (threshold), {self._scale} (integers)",
            "answers": str(self.answers),
        }

    @property
    def _threshold_scale(self) -> Rational:
        return 2 * self.sensitivity / self.epsilon

    @property
    def _scale(self) -> Rational:
        return (1 if self.monotonic else 2) * self._threshold_scale

    def release(self, data: npt.ArrayLike, words: RandomWords) -> npt.NDArray[np.int64]:
        """Return the places of the integers that were found above, in order."""
        values = checked_integers(data, "values")
        if values.ndim != 1:
            raise DataError("values must be one axis")
        noisy = values + discrete_laplace(self._scale, words, len(values))
        levels = self.threshold + discrete_laplace(self._threshold_scale, words, self.answers)
        found: list[int] = []
        place = 0
        for level in levels:  # over answers, not over rows
            above = np.flatnonzero(noisy[place:] >= level)
            if not len(above):
                break
            found.append(place + int(above[0]))
            place = found[-1] + 1
        return np.array(found, np.int64)

    def start(self, words: RandomWords) -> Questions:
        """Return an account of questions that may depend on earlier answers."""
        return Questions(self, words)


class Questions:
    """Questions asked one after the other; see :meth:`SparseVector.start`."""

    def __init__(self, settings: SparseVector, words: RandomWords) -> None:
        self.settings = settings
        self._words = words
        self._left = settings.answers
        self._level = self._drawn_level()

    @property
    def left(self) -> int:
        """How many answers "above" are left."""
        return self._left

    def ask(self, value: int) -> bool:
        """Return whether an integer is above the threshold.

        Raises
        ------
        BudgetExceeded
            If all answers "above" were given.
        """
        if not self._left:
            raise BudgetExceeded(
                f"all {self.settings.answers} answers of this sparse vector were given: pay more"
            )
        known = checked_integers([value], "values")
        noise = discrete_laplace(self.settings._scale, self._words, 1)
        above = bool(known[0] + noise[0] >= self._level)
        if above:
            self._left -= 1
            self._level = self._drawn_level()
        return above

    def _drawn_level(self) -> int:
        noise = discrete_laplace(self.settings._threshold_scale, self._words, 1)
        return self.settings.threshold + int(noise[0])
