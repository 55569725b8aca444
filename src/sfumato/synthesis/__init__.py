"""Learn a table and draw people who never lived.

A synthesizer is frozen settings; ``fit(table, schema)`` gives a generator, which is immutable,
tells what it learned in words and draws as many rows as asked for, the same rows for the same seed.
"""

from sfumato.synthesis.copula import GaussianCopula
from sfumato.synthesis.copula_generator import CopulaGenerator
from sfumato.synthesis.generator import Generator
from sfumato.synthesis.rules import RuledGenerator
from sfumato.synthesis.synthesizer import Synthesizer
from sfumato.synthesis.tree_generator import TreeGenerator
from sfumato.synthesis.trees import Trees

__all__ = [
    "CopulaGenerator",
    "GaussianCopula",
    "Generator",
    "RuledGenerator",
    "Synthesizer",
    "TreeGenerator",
    "Trees",
]
