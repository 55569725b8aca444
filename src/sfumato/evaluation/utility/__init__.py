"""What a release is still good for: layer I of the evaluation.

:func:`utility` asks everything at once: shares of one, two and three columns, distances of numbers,
ties between columns of any type, whether a model can tell released rows from real ones, whether the
release lies where real people lie, what becomes of rare values and of groups of people, what models
learn from it beside what as many real rows teach, a regression's coefficients side by side, and the
user's own questions. Every figure stands beside the same figure for control people.

Names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.evaluation.utility.dependence import Associations, association_change
    from sfumato.evaluation.utility.distances import NumberDistances, number_distances
    from sfumato.evaluation.utility.footing import UtilityTables
    from sfumato.evaluation.utility.groups import Groups, group_fidelity
    from sfumato.evaluation.utility.marginals import Marginals, marginal_fidelity
    from sfumato.evaluation.utility.neighbours import Neighbourhood, neighbour_coverage
    from sfumato.evaluation.utility.paired_learning import PairedLearning, learn_in_pairs
    from sfumato.evaluation.utility.propensity import Propensity, propensity_scores
    from sfumato.evaluation.utility.queries import Queries, answer_queries
    from sfumato.evaluation.utility.rare_values import RareValues, rare_value_fidelity
    from sfumato.evaluation.utility.regression import Regression, regression_agreement
    from sfumato.evaluation.utility.settings import UtilitySettings
    from sfumato.evaluation.utility.suite import Utility, utility

_HOME = {
    "Associations": "dependence",
    "Groups": "groups",
    "Marginals": "marginals",
    "Neighbourhood": "neighbours",
    "NumberDistances": "distances",
    "PairedLearning": "paired_learning",
    "Propensity": "propensity",
    "Queries": "queries",
    "RareValues": "rare_values",
    "Regression": "regression",
    "Utility": "suite",
    "UtilitySettings": "settings",
    "UtilityTables": "footing",
    "answer_queries": "queries",
    "association_change": "dependence",
    "group_fidelity": "groups",
    "learn_in_pairs": "paired_learning",
    "marginal_fidelity": "marginals",
    "neighbour_coverage": "neighbours",
    "number_distances": "distances",
    "propensity_scores": "propensity",
    "rare_value_fidelity": "rare_values",
    "regression_agreement": "regression",
    "utility": "suite",
}

__all__ = [
    "Associations",
    "Groups",
    "Marginals",
    "Neighbourhood",
    "NumberDistances",
    "PairedLearning",
    "Propensity",
    "Queries",
    "RareValues",
    "Regression",
    "Utility",
    "UtilitySettings",
    "UtilityTables",
    "answer_queries",
    "association_change",
    "group_fidelity",
    "learn_in_pairs",
    "marginal_fidelity",
    "neighbour_coverage",
    "number_distances",
    "propensity_scores",
    "rare_value_fidelity",
    "regression_agreement",
    "utility",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
