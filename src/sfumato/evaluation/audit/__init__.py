"""Audit of a claimed epsilon: how private the mechanism can be at most, seen from its outputs.

:func:`audit_mechanism` runs a mechanism many times on two neighbouring tables that are as bad for
it as can be, :func:`audit_in_one_run` inserts many invented records each with a fair coin and runs
it once, :func:`audit_technique` does either with a technique of this package. All give an
:class:`Audit`: a lower bound of epsilon, what it could have been at most, and a verdict that
accuses or does not, but never says that something is private. :func:`distinguishing_outputs`
counts outputs of floating-point noise that one of two tables cannot give.

The bounds themselves are pure functions of counts: :func:`pair_lower_bound`,
:func:`one_run_lower_bound`, :func:`gaussian_lower_bound` and their ceilings.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.evaluation.audit.canary_records import canary_scores, worst_case_canaries
    from sfumato.evaluation.audit.floating_point import (
        attainable,
        distinguishing_outputs,
        lowest_bits,
    )
    from sfumato.evaluation.audit.gaussian_bounds import (
        gaussian_epsilon,
        gaussian_lower_bound,
        gaussian_mu,
        gaussian_p_value,
    )
    from sfumato.evaluation.audit.neighbouring import Neighbours, worst_case_neighbours
    from sfumato.evaluation.audit.one_run import audit_in_one_run
    from sfumato.evaluation.audit.one_run_bounds import (
        one_run_ceiling,
        one_run_lower_bound,
        one_run_p_value,
    )
    from sfumato.evaluation.audit.pair_bounds import (
        pair_ceiling,
        pair_lower_bound,
        pair_p_value,
    )
    from sfumato.evaluation.audit.repeated_runs import audit_mechanism
    from sfumato.evaluation.audit.results import Audit, AuditEvent
    from sfumato.evaluation.audit.techniques import audit_technique

_HOME = {
    "Audit": "results",
    "AuditEvent": "results",
    "Neighbours": "neighbouring",
    "attainable": "floating_point",
    "audit_in_one_run": "one_run",
    "audit_mechanism": "repeated_runs",
    "audit_technique": "techniques",
    "canary_scores": "canary_records",
    "distinguishing_outputs": "floating_point",
    "gaussian_epsilon": "gaussian_bounds",
    "gaussian_lower_bound": "gaussian_bounds",
    "gaussian_mu": "gaussian_bounds",
    "gaussian_p_value": "gaussian_bounds",
    "lowest_bits": "floating_point",
    "one_run_ceiling": "one_run_bounds",
    "one_run_lower_bound": "one_run_bounds",
    "one_run_p_value": "one_run_bounds",
    "pair_ceiling": "pair_bounds",
    "pair_lower_bound": "pair_bounds",
    "pair_p_value": "pair_bounds",
    "worst_case_canaries": "canary_records",
    "worst_case_neighbours": "neighbouring",
}

__all__ = [
    "Audit",
    "AuditEvent",
    "Neighbours",
    "attainable",
    "audit_in_one_run",
    "audit_mechanism",
    "audit_technique",
    "canary_scores",
    "distinguishing_outputs",
    "gaussian_epsilon",
    "gaussian_lower_bound",
    "gaussian_mu",
    "gaussian_p_value",
    "lowest_bits",
    "one_run_ceiling",
    "one_run_lower_bound",
    "one_run_p_value",
    "pair_ceiling",
    "pair_lower_bound",
    "pair_p_value",
    "worst_case_canaries",
    "worst_case_neighbours",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
