"""Latent factors for mixed types: a few normal factors explain the columns through link functions.

Each column has a likelihood of its own kind, of which a linear combination of the factors is the
natural parameter; a chain of draws gives the model, and further draws of its parameters for several
releases with valid intervals.
"""

from sfumato.synthesis.latent_factor.factor_generator import FactorGenerator
from sfumato.synthesis.latent_factor.technique import LatentFactor

__all__ = ["FactorGenerator", "LatentFactor"]
