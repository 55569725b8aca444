"""Learn a table and draw people who never lived.

A synthesizer is frozen settings; ``fit(table, schema)`` gives a generator, which is immutable,
tells what it learned in words and draws as many rows as asked for, the same rows for the same seed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sfumato.synthesis.copula import GaussianCopula
from sfumato.synthesis.copula_generator import CopulaGenerator
from sfumato.synthesis.generator import Generator
from sfumato.synthesis.rules import RuledGenerator
from sfumato.synthesis.synthesizer import Synthesizer
from sfumato.synthesis.tree_generator import TreeGenerator
from sfumato.synthesis.trees import Trees

if TYPE_CHECKING:
    from sfumato.synthesis.combining import CombinedEstimate, combine
    from sfumato.synthesis.latent_factor import FactorGenerator, LatentFactor
    from sfumato.synthesis.neural import Autoencoder, VariationalAutoencoder
    from sfumato.synthesis.private import (
        DPLatentFactor,
        LatentFactorGenerator,
        LocalLatentFactor,
    )
    from sfumato.synthesis.private.marginals import DPMarginals, MarginalsGenerator
    from sfumato.synthesis.private.neural import DecoderGenerator, DPVariationalAutoencoder

_LATER = {  # loaded where a network is trained or a budget spent, and not before
    "combining": ("CombinedEstimate", "combine"),
    "latent_factor": ("FactorGenerator", "LatentFactor"),
    "neural": ("Autoencoder", "VariationalAutoencoder"),
    "private": ("DPLatentFactor", "LatentFactorGenerator", "LocalLatentFactor"),
    "private.marginals": ("DPMarginals", "MarginalsGenerator"),
    "private.neural": ("DPVariationalAutoencoder", "DecoderGenerator"),
}

__all__ = [
    "Autoencoder",
    "CombinedEstimate",
    "CopulaGenerator",
    "DPLatentFactor",
    "DPMarginals",
    "DPVariationalAutoencoder",
    "DecoderGenerator",
    "FactorGenerator",
    "GaussianCopula",
    "Generator",
    "LatentFactor",
    "LatentFactorGenerator",
    "LocalLatentFactor",
    "MarginalsGenerator",
    "RuledGenerator",
    "Synthesizer",
    "TreeGenerator",
    "Trees",
    "VariationalAutoencoder",
    "combine",
]


def __getattr__(name: str) -> Any:
    for room, names in _LATER.items():
        if name in names:
            return getattr(import_module(f"sfumato.synthesis.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
