"""sfumato turns a sensitive table about people into a release you can defend.

Read a table, say what its columns are, make a release and judge it::

    import sfumato as sf

    table = sf.read("patients.csv")
    schema = sf.Schema(identifiers=["id"], quasi_identifiers=["age"], sensitive=["diagnosis"])
    release = sf.anonymize(table, schema, sf.Mondrian(k=5))
    release.verify()

Every public name lives in the room that is named beside it below and is loaded on first use, so
that ``import sfumato`` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sfumato._version import __version__
from sfumato.errors import (
    BudgetExceeded,
    DataError,
    EngineError,
    GuaranteeNotMet,
    HierarchyError,
    InternalError,
    MissingExtra,
    PlanError,
    ProtocolError,
    SchemaError,
    SfumatoError,
)

if TYPE_CHECKING:
    from sfumato.anonymization import Clean, ColumnChange, Mondrian, Recoding, Rules
    from sfumato.evaluation import Figure, MultilayerPerceptron
    from sfumato.privacy import Criterion, EquivalenceClasses, KAnonymity
    from sfumato.release import (
        Evaluation,
        Plan,
        Release,
        Study,
        anonymize,
        evaluate,
        run,
        synthesize,
        verify,
    )
    from sfumato.synthesis import GaussianCopula, Generator
    from sfumato.table import (
        Column,
        Hierarchy,
        Profile,
        Role,
        Schema,
        Source,
        prepare,
        profile,
        read,
        write,
    )

_ROOMS = {
    "table": (
        "Column",
        "Hierarchy",
        "Profile",
        "Role",
        "Schema",
        "Source",
        "prepare",
        "profile",
        "read",
        "write",
    ),
    "privacy": ("Criterion", "EquivalenceClasses", "KAnonymity"),
    "anonymization": ("Clean", "ColumnChange", "Mondrian", "Recoding", "Rules"),
    "synthesis": ("GaussianCopula", "Generator"),
    "evaluation": ("Figure", "MultilayerPerceptron"),
    "release": (
        "Evaluation",
        "Plan",
        "Release",
        "Study",
        "anonymize",
        "evaluate",
        "run",
        "synthesize",
        "verify",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "BudgetExceeded",
    "Clean",
    "Column",
    "ColumnChange",
    "Criterion",
    "DataError",
    "EngineError",
    "EquivalenceClasses",
    "Evaluation",
    "Figure",
    "GaussianCopula",
    "Generator",
    "GuaranteeNotMet",
    "Hierarchy",
    "HierarchyError",
    "InternalError",
    "KAnonymity",
    "MissingExtra",
    "Mondrian",
    "MultilayerPerceptron",
    "Plan",
    "PlanError",
    "Profile",
    "ProtocolError",
    "Recoding",
    "Release",
    "Role",
    "Rules",
    "Schema",
    "SchemaError",
    "SfumatoError",
    "Source",
    "Study",
    "__version__",
    "anonymize",
    "evaluate",
    "prepare",
    "profile",
    "read",
    "run",
    "synthesize",
    "verify",
    "write",
]


def __getattr__(name: str) -> Any:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module 'sfumato' has no attribute {name!r}")
    return getattr(import_module(f"sfumato.{room}"), name)


def __dir__() -> list[str]:
    return __all__
