"""Anonify's assessments of a sampled k-anonymous table, as pure functions on tables and counts.

What is left of the distributions by quasi-identifier, and what eight classifiers still learn (in
the published convention and, beside it, in an honest one). Risk and certainty are
:func:`sfumato.evaluation.certainty.sampling_risk`, information loss is
:func:`sfumato.evaluation.loss.information_loss`; the study that draws the samples and joins all
this is :func:`sfumato.release.anonify.anonify_study`.

S. Gaballah et al., "Anonify: decentralized dual-level anonymity for medical data donation", PoPETs
2024(3), doi 10.56553/popets-2024-0069, section 6.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.evaluation.anonify.bins import Bins, bins_of
    from sfumato.evaluation.anonify.classifiers import CLASSIFIERS, ClassifierScores, Spread
    from sfumato.evaluation.anonify.distribution_tables import Distribution, distributions
    from sfumato.evaluation.anonify.learning import Version, learn
    from sfumato.evaluation.anonify.settings import AnonifySettings
    from sfumato.evaluation.anonify.whose import Pairing, pair_rows

_HOME = {
    "CLASSIFIERS": "classifiers",
    "AnonifySettings": "settings",
    "Bins": "bins",
    "ClassifierScores": "classifiers",
    "Distribution": "distribution_tables",
    "Pairing": "whose",
    "Spread": "classifiers",
    "Version": "learning",
    "bins_of": "bins",
    "distributions": "distribution_tables",
    "learn": "learning",
    "pair_rows": "whose",
}

__all__ = [
    "CLASSIFIERS",
    "AnonifySettings",
    "Bins",
    "ClassifierScores",
    "Distribution",
    "Pairing",
    "Spread",
    "Version",
    "bins_of",
    "distributions",
    "learn",
    "pair_rows",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
