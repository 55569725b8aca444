"""Who takes part, on which tables: tools with their pinned versions, tables with their roles."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Data:
    """A table and what is quasi-identifying in it."""

    name: str
    file: str
    delimiter: str
    quasi: tuple[str, ...]
    numbers: tuple[str, ...]
    sensitive: str
    hierarchies: str

    def hierarchy(self, folder: Path, name: str) -> Path:
        """Return the hierarchy file of a column."""
        return folder / self.hierarchies.format(name)


ADULT = Data(
    "Adult",
    "adult_kanonml.csv.gz",
    ";",
    (
        "sex",
        "age",
        "race",
        "marital-status",
        "education",
        "native-country",
        "workclass",
        "occupation",
    ),
    ("age",),
    "salary-class",
    "hierarchies/adult_hierarchy_{}.csv",
)
ADULT_9 = replace(
    ADULT, name="Adult-9", quasi=(*ADULT.quasi, "salary-class"), sensitive="occupation"
)
DIABETES = Data(
    "Diabetes",
    "diabetes_prediction.csv.gz",
    ",",
    ("gender", "age", "hypertension", "heart_disease", "smoking_history", "bmi"),
    ("age", "bmi"),
    "diabetes",
    "hierarchies/diabetes_hierarchy_{}.csv",
)


@dataclass(frozen=True)
class Tool:
    """Ours or a peer: which script runs it, in which environment, with which settings."""

    name: str
    script: str
    more: dict[str, Any] = field(default_factory=dict)
    suppression: float = 0.0
    requirements: tuple[str, ...] = ()
    members: str = ""  # "numbers", "all": where it publishes one value for a class's many

    @property
    def is_ours(self) -> bool:
        """Whether it is sfumato."""
        return not self.requirements


LOCAL = Tool("sfumato local recoding", "sfumato_job.py", {"technique": "local", "again": 1})
OURS = (
    LOCAL,
    replace(
        LOCAL,
        name="sfumato local, effort 0",
        more={"technique": "local", "effort": 0, "again": 1},
    ),
    Tool(
        "sfumato full domain, 5 %",
        "sfumato_job.py",
        {"technique": "full-domain", "suppression_limit": 0.05, "again": 1},
    ),
    Tool("sfumato Mondrian", "sfumato_job.py", {"technique": "mondrian", "again": 1}),
)
# versions are pinned, and what they run on where their newest does not run on today's
PEERS = (
    Tool(
        "anjana, 5 %",
        "anjana_peer.py",
        suppression=0.05,
        requirements=("anjana==1.2.3", "pycanon==1.3.5", "pandas==2.3.3"),
    ),
    Tool("anonypy", "anonypy_peer.py", requirements=("anonypy==0.2.1", "pandas==3.1.1")),
    Tool("anonypyx", "anonypyx_peer.py", requirements=("anonypyx==0.2.11", "pandas==3.1.1")),
    Tool(
        "polarfrost",
        "polarfrost_peer.py",
        requirements=("polarfrost==0.2.1", "polars==1.30.0", "pandas==3.1.1"),
    ),
    Tool(
        "lighthouse",
        "lighthouse_peer.py",
        requirements=("project-lighthouse-anonymize==1.0.0", "pandas==2.3.3"),
        members="numbers",
    ),
    Tool("umbra-k", "umbra_peer.py", requirements=("umbra-k==0.1.0", "pandas==3.1.1")),
    Tool(
        "crowds, 5 %",
        "crowds_peer.py",
        suppression=0.05,
        requirements=("crowds==0.0.1", "pandas==3.1.1"),
    ),
    Tool(
        "anonymity-api",
        "anonymity_api_peer.py",
        requirements=("anonymity-api==1.0.4", "pandas==3.1.1"),
    ),
    Tool(
        "ai-privacy-toolkit",
        "ai_privacy_peer.py",
        requirements=(
            "ai-privacy-toolkit==0.2.1",
            "adversarial-robustness-toolbox==1.18.2",
            "scikit-learn==1.3.2",
            "numpy==1.26.4",
            "pandas==2.2.3",
            "torch==2.13.0",
            "packaging==26.4",
        ),
        members="all",
    ),
)
PYCANON = Tool("pycanon", "pycanon_peer.py", requirements=("pycanon==1.3.5", "pandas==2.3.3"))
COUNTING = Tool("sfumato", "sfumato_count.py")
