"""What is left to find in a release, and what can still be learned from it.

Risk: :func:`class_risks` counts who stands alone in a released table, :func:`closest_record` tells
whether a release lies nearer to the people it was made from than to others. Use: :func:`fidelity`
compares columns and their associations, :func:`train_and_test` trains on a release and tests on
real rows. Every number is a :class:`Figure`, with what is needed to read it.

Names are imported when they are first used, so that a command that evaluates nothing stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.evaluate.distance import closest_record
    from sfumato.evaluate.fidelity import ColumnFidelity, Fidelity, Histogram, fidelity
    from sfumato.evaluate.figures import Figure
    from sfumato.evaluate.learning import Learned, Protocol, train_and_test
    from sfumato.evaluate.network import MultilayerPerceptron
    from sfumato.evaluate.reidentification import class_risks

_HOME = {
    "ColumnFidelity": "fidelity",
    "Fidelity": "fidelity",
    "Figure": "figures",
    "Histogram": "fidelity",
    "Learned": "learning",
    "MultilayerPerceptron": "network",
    "Protocol": "learning",
    "class_risks": "reidentification",
    "closest_record": "distance",
    "fidelity": "fidelity",
    "train_and_test": "learning",
}

__all__ = [
    "ColumnFidelity",
    "Fidelity",
    "Figure",
    "Histogram",
    "Learned",
    "MultilayerPerceptron",
    "Protocol",
    "class_risks",
    "closest_record",
    "fidelity",
    "train_and_test",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # also where a submodule of the same name was put by its import
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
