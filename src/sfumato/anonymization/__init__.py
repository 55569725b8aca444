"""Make a table coarser and vaguer until nobody can be traced in it.

Every technique is a frozen value of settings; ``fit(table, schema)`` gives a :class:`Recoding`,
which recodes the rows it was fitted on and others by the same outlines, and says in words what it
does to each column and why.

:class:`Clean` leaves out identifiers and promises nothing; :class:`Rules` changes each column as
the plan says. :class:`LocalRecoding` finds classes of people who keep every criterion and lose
least; :class:`FullDomain` finds the best single level for each column; :class:`Mondrian` cuts the
people into groups, again and again; :class:`Guided` makes the groups between which a model sees
least difference. :class:`Minimize` tells which inputs a model does not need in full detail.

Names are imported when they are first used, so that importing the room stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.anonymization.cell_suppression import CellSuppression
    from sfumato.anonymization.class_recoding import ClassRecoding
    from sfumato.anonymization.clean import Clean, CleanRecoding
    from sfumato.anonymization.clustering.clustering import OKA, KMember, KNNCluster, TopDownGreedy
    from sfumato.anonymization.guided.anonymizer import GuidedAnonymizer
    from sfumato.anonymization.guided.guided import Guided
    from sfumato.anonymization.guided.guided_recoding import GuidedRecoding
    from sfumato.anonymization.guided.model_files import load_model
    from sfumato.anonymization.lattice.full_domain import FullDomain
    from sfumato.anonymization.lattice.full_domain_recoding import FullDomainRecoding
    from sfumato.anonymization.lattice.ola import OLA
    from sfumato.anonymization.local.local_recoding import LocalRecoding
    from sfumato.anonymization.microaggregation.microaggregation import MicroAggregation
    from sfumato.anonymization.microaggregation.recoding import MicroAggregationRecoding
    from sfumato.anonymization.minimization.generalizations import Generalizations
    from sfumato.anonymization.minimization.minimize import Minimize
    from sfumato.anonymization.mondrian.mondrian import Mondrian, MondrianRecoding
    from sfumato.anonymization.recoding import ColumnChange, Recoding, Technique
    from sfumato.anonymization.rules import Rules, RulesRecoding
    from sfumato.anonymization.sampling.counts import SamplingCounts
    from sfumato.anonymization.sampling.research_subset import (
        Condition,
        ResearchSubset,
        ResearchSubsetRecoding,
    )
    from sfumato.anonymization.sampling.stratified import (
        StratifiedSampling,
        StratifiedSamplingRecoding,
    )

_HOME = {
    "CellSuppression": "cell_suppression",
    "ClassRecoding": "class_recoding",
    "Clean": "clean",
    "CleanRecoding": "clean",
    "ColumnChange": "recoding",
    "Condition": "sampling.research_subset",
    "FullDomain": "lattice.full_domain",
    "FullDomainRecoding": "lattice.full_domain_recoding",
    "Generalizations": "minimization.generalizations",
    "Guided": "guided.guided",
    "GuidedAnonymizer": "guided.anonymizer",
    "GuidedRecoding": "guided.guided_recoding",
    "KMember": "clustering.clustering",
    "KNNCluster": "clustering.clustering",
    "LocalRecoding": "local.local_recoding",
    "MicroAggregation": "microaggregation.microaggregation",
    "MicroAggregationRecoding": "microaggregation.recoding",
    "Minimize": "minimization.minimize",
    "Mondrian": "mondrian.mondrian",
    "MondrianRecoding": "mondrian.mondrian",
    "OKA": "clustering.clustering",
    "OLA": "lattice.ola",
    "Recoding": "recoding",
    "ResearchSubset": "sampling.research_subset",
    "ResearchSubsetRecoding": "sampling.research_subset",
    "Rules": "rules",
    "RulesRecoding": "rules",
    "SamplingCounts": "sampling.counts",
    "StratifiedSampling": "sampling.stratified",
    "StratifiedSamplingRecoding": "sampling.stratified",
    "Technique": "recoding",
    "TopDownGreedy": "clustering.clustering",
    "load_model": "guided.model_files",
}

__all__ = [
    "OKA",
    "OLA",
    "CellSuppression",
    "ClassRecoding",
    "Clean",
    "CleanRecoding",
    "ColumnChange",
    "Condition",
    "FullDomain",
    "FullDomainRecoding",
    "Generalizations",
    "Guided",
    "GuidedAnonymizer",
    "GuidedRecoding",
    "KMember",
    "KNNCluster",
    "LocalRecoding",
    "MicroAggregation",
    "MicroAggregationRecoding",
    "Minimize",
    "Mondrian",
    "MondrianRecoding",
    "Recoding",
    "ResearchSubset",
    "ResearchSubsetRecoding",
    "Rules",
    "RulesRecoding",
    "SamplingCounts",
    "StratifiedSampling",
    "StratifiedSamplingRecoding",
    "Technique",
    "TopDownGreedy",
    "load_model",
]


def __getattr__(name: str) -> object:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
