"""What is promised about the people in a release.

Two nouns live here. :class:`EquivalenceClasses` says which rows cannot be told apart by their
quasi-identifiers and how many people each such class holds. A :class:`Criterion` is a promise about
classes, a frozen value such as ``KAnonymity(5)`` that says which classes keep it. The room knows
tables and nothing above them: how the promise is reached is the matter of ``anonymize``.
"""

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

__all__ = [
    "AlphaKAnonymity",
    "AverageRisk",
    "BetaLikeness",
    "CostBenefit",
    "CountsCheck",
    "Criteria",
    "Criterion",
    "DeltaDisclosure",
    "DeltaPresence",
    "DifferentialPrivacy",
    "EquivalenceClasses",
    "HighestRisk",
    "KAnonymity",
    "KMap",
    "LDiversity",
    "NoEstimate",
    "PopulationUniqueness",
    "SampleUniqueness",
    "SizeCriterion",
    "StrictAverageRisk",
    "TCloseness",
    "TableCriterion",
    "ValueCounts",
    "ValueCriterion",
    "columns_of",
    "criterion_kinds",
    "safepub_parameters",
]
