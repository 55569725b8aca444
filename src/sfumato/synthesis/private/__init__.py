"""Synthesis under a privacy budget: every look at the data is paid for from one ledger.

What a column can hold is declared; counts are whole numbers with exact integer noise; a model with
hidden variables is fitted to the noisy counts alone, so that it and all that is drawn from it may
be published.
"""

from sfumato.synthesis.private.latent_factor import DPLatentFactor
from sfumato.synthesis.private.latent_generator import LatentFactorGenerator
from sfumato.synthesis.private.local_factor import LocalLatentFactor

__all__ = ["DPLatentFactor", "LatentFactorGenerator", "LocalLatentFactor"]
