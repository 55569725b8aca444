"""Counts with noise: charged first, counted then, integers throughout.

Every count of a table goes through here: whole numbers, exact discrete Gaussian noise of a rational
variance, one ledger. What comes out is float only to be worked on further.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from sfumato.privacy.differential.noise import DiscreteGaussian

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sfumato.privacy.differential.ledger import Ledger

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["NoisyCounting", "tiered_shares"]

_TIER = 1.25
_FINEST = 16


class NoisyCounting:
    """Counts rows in cells with noise, at the expense of a ledger.

    Parameters
    ----------
    ledger
        The account of the budget, and the source of the noise.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._mechanisms: dict[Fraction, DiscreteGaussian] = {}

    def mechanism(self, share: Fraction) -> DiscreteGaussian:
        """Return the noise of one histogram that costs this share of the budget."""
        if share not in self._mechanisms:
            budget = self.ledger.budget
            squared = budget.count_sensitivity().squared
            self._mechanisms[share] = DiscreteGaussian(
                sigma_squared=budget.share(share).gaussian_variance(squared),
                sensitivity_squared=Fraction(squared),
            )
        return self._mechanisms[share]

    def pay(self, share: Fraction, label: str, times: int = 1) -> None:
        """Charge so many histograms, each of this share, before a row is looked at.

        Raises
        ------
        BudgetExceeded
            If that is more than the ledger has left.
        """
        self.ledger.charge(label, self.mechanism(share), times)

    def noised(self, counts: Integers, share: Fraction) -> tuple[Floats, float]:
        """Return paid counts with noise, and the standard deviation of the noise."""
        mechanism = self.mechanism(share)
        noisy = mechanism.release(counts, self.ledger.words)
        return noisy.astype(np.float64), float(mechanism.sigma_squared) ** 0.5

    def counts(
        self, codes: Integers, size: int, share: Fraction, label: str
    ) -> tuple[Floats, float]:
        """Return the noisy number of rows in each cell, shape (size,), and the noise's deviation.

        Parameters
        ----------
        codes
            The cell of each row; a row outside 0 to size - 1 counts in none.
        size
            Number of cells.
        share
            Share of the whole budget.
        label
            What is counted, for the ledger.
        """
        self.pay(share, label)
        inside = codes[(codes >= 0) & (codes < size)]
        return self.noised(np.bincount(inside, minlength=size), share)


def tiered_shares(weights: Sequence[float], total: Fraction) -> list[Fraction]:
    """Return shares that sum to a total, nearly in proportion to weights above 0, of few sizes.

    Parameters
    ----------
    weights
        What each is worth; rounded to powers of 1.25, so that the ledger has few lines.
    total
        What they sum to.

    Examples
    --------
    >>> shares = tiered_shares([1.0, 1.0, 2.0], Fraction(1, 2))
    >>> sum(shares), shares[0] == shares[1] < shares[2]
    (Fraction(1, 2), True)
    """
    exact = np.asarray(weights, dtype=np.float64)
    tiers = np.rint(np.log(exact / exact.min()) / np.log(_TIER)).astype(int)
    units = [max(1, round(_FINEST * _TIER**tier)) for tier in tiers]
    return [total * Fraction(unit, sum(units)) for unit in units]
