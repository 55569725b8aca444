"""Differential privacy: exact mechanisms, a budget, and a ledger that refuses to overdraw.

Counts are integers, noise is an integer, scales are rational: what is proved is what the machine
does. Noise comes from the operating system (:class:`RandomWords`). A :class:`Mechanism` is a frozen
value that knows its cost before any data are read; a :class:`Budget` says what is promised and
shares it out; a :class:`Ledger` charges every answer before it is drawn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.privacy.differential.budget import Budget, CountSensitivity, Share
    from sfumato.privacy.differential.choices import (
        ExponentialMechanism,
        PermuteAndFlip,
        ReportNoisyMax,
    )
    from sfumato.privacy.differential.conversions import (
        gdp_delta,
        gdp_epsilon,
        gdp_mu,
        zcdp_delta,
        zcdp_epsilon,
        zcdp_rho,
    )
    from sfumato.privacy.differential.costs import Cost, epsilon_bounds
    from sfumato.privacy.differential.histograms import (
        NoisyHistogram,
        ThresholdedHistogram,
        bounded_rows,
    )
    from sfumato.privacy.differential.ledger import Charge, Ledger, Spent, calibrated
    from sfumato.privacy.differential.mechanism import Mechanism
    from sfumato.privacy.differential.noise import (
        DiscreteGaussian,
        DiscreteLaplace,
        Geometric,
        NoisySum,
    )
    from sfumato.privacy.differential.quantiles import NoisyQuantile
    from sfumato.privacy.differential.random_words import RandomWords
    from sfumato.privacy.differential.randomized_response import (
        EstimatedCounts,
        RandomizedResponse,
    )
    from sfumato.privacy.differential.rationals import rational, rounded_down, rounded_up
    from sfumato.privacy.differential.renyi import renyi_epsilon, sampled_gaussian_renyi
    from sfumato.privacy.differential.samplers import (
        bernoulli,
        bernoulli_exp,
        discrete_gaussian,
        discrete_laplace,
        geometric,
        permutation,
        uniform_below,
    )
    from sfumato.privacy.differential.sparse_vector import Questions, SparseVector
    from sfumato.privacy.differential.subsampling import SampledGaussian, sampled_gaussian

_HOMES = {
    "budget": ("Budget", "CountSensitivity", "Share"),
    "choices": ("ExponentialMechanism", "PermuteAndFlip", "ReportNoisyMax"),
    "conversions": (
        "gdp_delta",
        "gdp_epsilon",
        "gdp_mu",
        "zcdp_delta",
        "zcdp_epsilon",
        "zcdp_rho",
    ),
    "costs": ("Cost", "epsilon_bounds"),
    "histograms": ("NoisyHistogram", "ThresholdedHistogram", "bounded_rows"),
    "ledger": ("Charge", "Ledger", "Spent", "calibrated"),
    "mechanism": ("Mechanism",),
    "noise": ("DiscreteGaussian", "DiscreteLaplace", "Geometric", "NoisySum"),
    "quantiles": ("NoisyQuantile",),
    "random_words": ("RandomWords",),
    "randomized_response": ("EstimatedCounts", "RandomizedResponse"),
    "rationals": ("rational", "rounded_down", "rounded_up"),
    "renyi": ("renyi_epsilon", "sampled_gaussian_renyi"),
    "samplers": (
        "bernoulli",
        "bernoulli_exp",
        "discrete_gaussian",
        "discrete_laplace",
        "geometric",
        "permutation",
        "uniform_below",
    ),
    "sparse_vector": ("Questions", "SparseVector"),
    "subsampling": ("SampledGaussian", "sampled_gaussian"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Budget",
    "Charge",
    "Cost",
    "CountSensitivity",
    "DiscreteGaussian",
    "DiscreteLaplace",
    "EstimatedCounts",
    "ExponentialMechanism",
    "Geometric",
    "Ledger",
    "Mechanism",
    "NoisyHistogram",
    "NoisyQuantile",
    "NoisySum",
    "PermuteAndFlip",
    "Questions",
    "RandomWords",
    "RandomizedResponse",
    "ReportNoisyMax",
    "SampledGaussian",
    "Share",
    "SparseVector",
    "Spent",
    "ThresholdedHistogram",
    "bernoulli",
    "bernoulli_exp",
    "bounded_rows",
    "calibrated",
    "discrete_gaussian",
    "discrete_laplace",
    "epsilon_bounds",
    "gdp_delta",
    "gdp_epsilon",
    "gdp_mu",
    "geometric",
    "permutation",
    "rational",
    "renyi_epsilon",
    "rounded_down",
    "rounded_up",
    "sampled_gaussian",
    "sampled_gaussian_renyi",
    "uniform_below",
    "zcdp_delta",
    "zcdp_epsilon",
    "zcdp_rho",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
