"""What is left to find in a release, and what can still be learned from it.

Risk: :func:`class_risks` counts who stands alone in a released table, :func:`closest_record` tells
whether a release lies nearer to the people it was made from than to others. Use: :func:`fidelity`
compares columns and their associations, :func:`information_loss` tells how much less exactly a
release says what it says, :func:`train_and_test` trains on a release and tests on
real rows. :func:`intersect` lays two releases of the same people on top of each other, and
:func:`audit_mechanism` asks whether a claimed epsilon holds. :func:`evaluate_model` asks a trained
model what it gives away of those it learned from. Every number is a :class:`Figure`,
with what is needed to read it.

Names are imported when they are first used, so that a command that evaluates nothing stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.evaluation.audit import (
        Audit,
        Neighbours,
        audit_in_one_run,
        audit_mechanism,
        audit_technique,
        distinguishing_outputs,
    )
    from sfumato.evaluation.certainty import SamplingRisk, sampling_risk
    from sfumato.evaluation.class_sizes import ClassHistogram, class_histogram
    from sfumato.evaluation.comparison import compare
    from sfumato.evaluation.distance import closest_record
    from sfumato.evaluation.figures import Figure
    from sfumato.evaluation.figures_of_classes import reidentification_figures
    from sfumato.evaluation.histograms import Histogram
    from sfumato.evaluation.integrity import Integrity, check_integrity
    from sfumato.evaluation.integrity_findings import IntegrityFinding
    from sfumato.evaluation.learned import Learned
    from sfumato.evaluation.learning import train_and_test
    from sfumato.evaluation.loss import LOSS_MEASURES, InformationLoss, information_loss
    from sfumato.evaluation.measured_criteria import class_measures
    from sfumato.evaluation.network import MultilayerPerceptron
    from sfumato.evaluation.outward_figures import outward
    from sfumato.evaluation.policies import POLICIES, Judgement, Policy, judge, policies_of
    from sfumato.evaluation.population_risk import population_risks
    from sfumato.evaluation.protocols import Protocol
    from sfumato.evaluation.reidentification import class_risks
    from sfumato.evaluation.small_cells import count_small_cells, small_cell_figures
    from sfumato.evaluation.table_fidelity import Association, ColumnFidelity, Fidelity, fidelity
    from sfumato.evaluation.trained_models import ModelAttacks, ModelEvaluation, evaluate_model
    from sfumato.evaluation.two_releases import differencing, intersect

_HOME = {
    "population_risks": "population_risk",
    "POLICIES": "policies",
    "Judgement": "policies",
    "Policy": "policies",
    "judge": "policies",
    "policies_of": "policies",
    "count_small_cells": "small_cells",
    "small_cell_figures": "small_cells",
    "reidentification_figures": "figures_of_classes",
    "Audit": "audit",
    "Neighbours": "audit",
    "audit_in_one_run": "audit",
    "audit_mechanism": "audit",
    "audit_technique": "audit",
    "differencing": "two_releases",
    "ModelAttacks": "trained_models",
    "ModelEvaluation": "trained_models",
    "evaluate_model": "trained_models",
    "distinguishing_outputs": "audit",
    "Association": "table_fidelity",
    "ColumnFidelity": "table_fidelity",
    "Fidelity": "table_fidelity",
    "Figure": "figures",
    "Histogram": "histograms",
    "Learned": "learned",
    "MultilayerPerceptron": "network",
    "Protocol": "protocols",
    "ClassHistogram": "class_sizes",
    "InformationLoss": "loss",
    "LOSS_MEASURES": "loss",
    "SamplingRisk": "certainty",
    "class_histogram": "class_sizes",
    "Integrity": "integrity",
    "IntegrityFinding": "integrity_findings",
    "check_integrity": "integrity",
    "class_measures": "measured_criteria",
    "class_risks": "reidentification",
    "closest_record": "distance",
    "compare": "comparison",
    "fidelity": "table_fidelity",
    "information_loss": "loss",
    "intersect": "two_releases",
    "outward": "outward_figures",
    "sampling_risk": "certainty",
    "train_and_test": "learning",
}

__all__ = [
    "LOSS_MEASURES",
    "POLICIES",
    "Association",
    "Audit",
    "ClassHistogram",
    "ColumnFidelity",
    "Fidelity",
    "Figure",
    "Histogram",
    "InformationLoss",
    "Integrity",
    "IntegrityFinding",
    "Judgement",
    "Learned",
    "ModelAttacks",
    "ModelEvaluation",
    "MultilayerPerceptron",
    "Neighbours",
    "Policy",
    "Protocol",
    "SamplingRisk",
    "audit_in_one_run",
    "audit_mechanism",
    "audit_technique",
    "check_integrity",
    "class_histogram",
    "class_measures",
    "class_risks",
    "closest_record",
    "compare",
    "count_small_cells",
    "differencing",
    "distinguishing_outputs",
    "evaluate_model",
    "fidelity",
    "information_loss",
    "intersect",
    "judge",
    "outward",
    "policies_of",
    "population_risks",
    "reidentification_figures",
    "sampling_risk",
    "small_cell_figures",
    "train_and_test",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
