"""The room where a release is made, judged, certified and handed out.

A :class:`Plan` says which releases to make of a source; :func:`run` makes them side by side, each
in a folder of its own, and gives a :class:`Study`. One release alone comes from
:func:`anonymize` or :func:`synthesize`, is judged by :func:`evaluate` and recounted, from the
released file alone, by :func:`verify`.

Every public name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.release.anonify import AnonifyStudy, anonify_study
    from sfumato.release.certificate import Certificate
    from sfumato.release.evaluation import Evaluation, evaluate
    from sfumato.release.plan import Plan
    from sfumato.release.release import Release, anonymize, synthesize
    from sfumato.release.running import run
    from sfumato.release.study import Study, StudyRelease
    from sfumato.release.verification import Finding, Verification, verify

__all__ = [
    "AnonifyStudy",
    "Certificate",
    "Evaluation",
    "Finding",
    "Plan",
    "Release",
    "Study",
    "StudyRelease",
    "Verification",
    "anonify_study",
    "anonymize",
    "evaluate",
    "run",
    "synthesize",
    "verify",
]

_MODULE_OF = {
    "AnonifyStudy": "anonify",
    "anonify_study": "anonify",
    "Certificate": "certificate",
    "Evaluation": "evaluation",
    "Finding": "verification",
    "Plan": "plan",
    "Release": "release",
    "Study": "study",
    "StudyRelease": "study",
    "Verification": "verification",
    "anonymize": "release",
    "evaluate": "evaluation",
    "run": "running",
    "synthesize": "release",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'sfumato.release' has no attribute {name!r}")
    return getattr(import_module(f"sfumato.release.{module}"), name)


def __dir__() -> list[str]:
    return __all__
