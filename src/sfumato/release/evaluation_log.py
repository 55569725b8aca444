"""A log of evaluations: each one of the same real table tells a little more about its people.

An evaluation is itself a release: who may ask it again and again, with releases of his own making,
can reconstruct people from its answers (Ganev & De Cristofaro, "The inadequacy of similarity-based
privacy metrics", arXiv 2312.05114). The log holds hashes and counts, never a cell or a figure.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato._version import __version__

if TYPE_CHECKING:
    from sfumato.release.evaluation import Evaluation

__all__ = ["STATE_VARIABLE", "log_evaluation", "log_file"]

#: Environment variable that names the folder of the log.
STATE_VARIABLE = "SFUMATO_STATE"


def log_file() -> Path:
    """Return where evaluations are logged: in the user's own folder for such files."""
    given = os.environ.get(STATE_VARIABLE)
    if given:
        return Path(given) / "evaluations.jsonl"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "sfumato" / "evaluations.jsonl"


def log_evaluation(evaluation: Evaluation) -> int | None:
    """Write an evaluation down, and return how many of the same real table came before.

    Parameters
    ----------
    evaluation
        With the hashes of its inputs.

    Returns
    -------
    int or None
        None if the log cannot be read or written.
    """
    place = log_file()
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "sfumato": __version__,
        "inputs": evaluation.inputs,
        "figures": len(evaluation.risks) + len(evaluation.utility),
    }
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        before = place.read_text("utf-8").splitlines() if place.exists() else []
        with place.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")
    except OSError:
        return None
    return sum(_real_of(text) == evaluation.inputs.get("real") for text in before)


def _real_of(text: str) -> str | None:
    try:
        inputs = json.loads(text)["inputs"]
        return inputs["real"] if isinstance(inputs["real"], str) else None
    except (ValueError, KeyError, TypeError):
        return None
