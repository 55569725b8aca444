"""sfumato turns a sensitive table about people into a release you can defend.

Read a table, say what its columns are, make a release and judge it::

    import sfumato as sf

    table = sf.read("patients.csv")
    schema = sf.Schema(identifiers=["id"], quasi_identifiers=["age"], sensitive=["diagnosis"])
    release = sf.anonymize(table, schema, sf.LocalRecoding(k=5))
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
    from sfumato.anonymization import (
        OKA,
        OLA,
        CellSuppression,
        Clean,
        ColumnChange,
        FullDomain,
        KMember,
        KNNCluster,
        LocalRecoding,
        MicroAggregation,
        Mondrian,
        Recoding,
        ResearchSubset,
        Rules,
        StratifiedSampling,
        TopDownGreedy,
    )
    from sfumato.evaluation import (
        Audit,
        Figure,
        InformationLoss,
        Integrity,
        MultilayerPerceptron,
        Neighbours,
        audit_in_one_run,
        audit_mechanism,
        audit_technique,
        check_integrity,
        differencing,
        information_loss,
        intersect,
        sampling_risk,
    )
    from sfumato.privacy import (
        AlphaKAnonymity,
        AverageRisk,
        BetaLikeness,
        CostBenefit,
        Criterion,
        DeltaDisclosure,
        DeltaPresence,
        DifferentialPrivacy,
        EquivalenceClasses,
        HighestRisk,
        KAnonymity,
        KMap,
        LDiversity,
        PopulationUniqueness,
        SampleUniqueness,
        StrictAverageRisk,
        TCloseness,
    )
    from sfumato.release import (
        AnonifyStudy,
        Evaluation,
        Plan,
        Release,
        Study,
        anonify_study,
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
    "privacy": (
        "AlphaKAnonymity",
        "AverageRisk",
        "BetaLikeness",
        "CostBenefit",
        "Criterion",
        "DeltaDisclosure",
        "DeltaPresence",
        "DifferentialPrivacy",
        "EquivalenceClasses",
        "HighestRisk",
        "KAnonymity",
        "KMap",
        "LDiversity",
        "PopulationUniqueness",
        "SampleUniqueness",
        "StrictAverageRisk",
        "TCloseness",
    ),
    "anonymization": (
        "CellSuppression",
        "Clean",
        "ColumnChange",
        "FullDomain",
        "KMember",
        "KNNCluster",
        "LocalRecoding",
        "MicroAggregation",
        "Mondrian",
        "OKA",
        "OLA",
        "Recoding",
        "ResearchSubset",
        "Rules",
        "StratifiedSampling",
        "TopDownGreedy",
    ),
    "synthesis": ("GaussianCopula", "Generator"),
    "evaluation": (
        "Audit",
        "Figure",
        "InformationLoss",
        "Integrity",
        "MultilayerPerceptron",
        "Neighbours",
        "audit_in_one_run",
        "audit_mechanism",
        "audit_technique",
        "check_integrity",
        "differencing",
        "information_loss",
        "intersect",
        "sampling_risk",
    ),
    "release": (
        "AnonifyStudy",
        "Evaluation",
        "Plan",
        "Release",
        "Study",
        "anonify_study",
        "anonymize",
        "evaluate",
        "run",
        "synthesize",
        "verify",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "OKA",
    "OLA",
    "AlphaKAnonymity",
    "AnonifyStudy",
    "Audit",
    "AverageRisk",
    "BetaLikeness",
    "BudgetExceeded",
    "CellSuppression",
    "Clean",
    "Column",
    "ColumnChange",
    "CostBenefit",
    "Criterion",
    "DataError",
    "DeltaDisclosure",
    "DeltaPresence",
    "DifferentialPrivacy",
    "EngineError",
    "EquivalenceClasses",
    "Evaluation",
    "Figure",
    "FullDomain",
    "GaussianCopula",
    "Generator",
    "GuaranteeNotMet",
    "Hierarchy",
    "HierarchyError",
    "HighestRisk",
    "InformationLoss",
    "Integrity",
    "InternalError",
    "KAnonymity",
    "KMap",
    "KMember",
    "KNNCluster",
    "LDiversity",
    "LocalRecoding",
    "MicroAggregation",
    "MissingExtra",
    "Mondrian",
    "MultilayerPerceptron",
    "Neighbours",
    "Plan",
    "PlanError",
    "PopulationUniqueness",
    "Profile",
    "ProtocolError",
    "Recoding",
    "Release",
    "ResearchSubset",
    "Role",
    "Rules",
    "SampleUniqueness",
    "Schema",
    "SchemaError",
    "SfumatoError",
    "Source",
    "StratifiedSampling",
    "StrictAverageRisk",
    "Study",
    "TCloseness",
    "TopDownGreedy",
    "__version__",
    "anonify_study",
    "anonymize",
    "audit_in_one_run",
    "audit_mechanism",
    "audit_technique",
    "check_integrity",
    "differencing",
    "evaluate",
    "information_loss",
    "intersect",
    "prepare",
    "profile",
    "read",
    "run",
    "sampling_risk",
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
