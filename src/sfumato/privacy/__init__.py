"""What is promised about the people in a release.

Two nouns live here. :class:`EquivalenceClasses` says which rows cannot be told apart by their
quasi-identifiers and how many people each such class holds. A :class:`Criterion` is a promise about
classes, a frozen value such as ``KAnonymity(5)`` that says which classes keep it. The room knows
tables and nothing above them: how the promise is reached is the matter of ``anonymize``.

Differential privacy lives in :mod:`sfumato.privacy.differential`; its main names are handed out
here too, on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sfumato.privacy.anonymity import HighestRisk, KAnonymity, SizeCriterion
from sfumato.privacy.classes import EquivalenceClasses
from sfumato.privacy.closeness import TCloseness
from sfumato.privacy.cost_benefit import CostBenefit
from sfumato.privacy.criteria import Criteria, Criterion, columns_of, criterion_kinds
from sfumato.privacy.diversity import LDiversity
from sfumato.privacy.likeness import AlphaKAnonymity, BetaLikeness, DeltaDisclosure
from sfumato.privacy.population import DeltaPresence, KMap
from sfumato.privacy.risk import AverageRisk, SampleUniqueness, StrictAverageRisk, TableCriterion
from sfumato.privacy.safepub import DifferentialPrivacy, safepub_parameters
from sfumato.privacy.sensitive_values import CountsCheck, ValueCriterion
from sfumato.privacy.super_population import NoEstimate
from sfumato.privacy.uniqueness import PopulationUniqueness
from sfumato.privacy.value_counts import ValueCounts

if TYPE_CHECKING:
    from sfumato.privacy.differential import (
        Budget,
        DiscreteGaussian,
        DiscreteLaplace,
        ExponentialMechanism,
        Geometric,
        Ledger,
        Mechanism,
        NoisyHistogram,
        NoisyQuantile,
        NoisySum,
        PermuteAndFlip,
        RandomizedResponse,
        RandomWords,
        ReportNoisyMax,
        SparseVector,
        ThresholdedHistogram,
    )

_DIFFERENTIAL = (
    "Budget",
    "DiscreteGaussian",
    "DiscreteLaplace",
    "ExponentialMechanism",
    "Geometric",
    "Ledger",
    "Mechanism",
    "NoisyHistogram",
    "NoisyQuantile",
    "NoisySum",
    "PermuteAndFlip",
    "RandomWords",
    "RandomizedResponse",
    "ReportNoisyMax",
    "SparseVector",
    "ThresholdedHistogram",
)

__all__ = [
    "AlphaKAnonymity",
    "AverageRisk",
    "BetaLikeness",
    "Budget",
    "CostBenefit",
    "CountsCheck",
    "Criteria",
    "Criterion",
    "DeltaDisclosure",
    "DeltaPresence",
    "DifferentialPrivacy",
    "DiscreteGaussian",
    "DiscreteLaplace",
    "EquivalenceClasses",
    "ExponentialMechanism",
    "Geometric",
    "HighestRisk",
    "KAnonymity",
    "KMap",
    "LDiversity",
    "Ledger",
    "Mechanism",
    "NoEstimate",
    "NoisyHistogram",
    "NoisyQuantile",
    "NoisySum",
    "PermuteAndFlip",
    "PopulationUniqueness",
    "RandomWords",
    "RandomizedResponse",
    "ReportNoisyMax",
    "SampleUniqueness",
    "SizeCriterion",
    "SparseVector",
    "StrictAverageRisk",
    "TCloseness",
    "TableCriterion",
    "ThresholdedHistogram",
    "ValueCounts",
    "ValueCriterion",
    "columns_of",
    "criterion_kinds",
    "safepub_parameters",
]


def __getattr__(name: str) -> Any:
    if name not in _DIFFERENTIAL:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("sfumato.privacy.differential"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
