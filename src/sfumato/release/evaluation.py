"""What one release was measured to be: risk and use, each figure with what it is compared to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.evaluate.fidelity import Fidelity
    from sfumato.evaluate.figures import Figure
    from sfumato.evaluate.learning import Learned

__all__ = ["Evaluation"]


@dataclass(frozen=True)
class Evaluation:
    """Risk and use of one release.

    Parameters
    ----------
    release
        Name of the release.
    rows_real, rows_released, rows_control
        Rows that the release was made from, that it holds, and that were kept from it.
    risks
        Figures of what an attacker finds, by a short key such as "prosecutor_highest".
    utility
        Figures of what is kept, by a short key such as "mean_total_variation" or
        "auc/mlp/honest".
    fidelity
        The comparison column by column, or None if it was not asked for.
    learned
        One result for each model and protocol.
    not_run
        What was left out and why, a sentence each.
    """

    release: str
    rows_real: int
    rows_released: int
    rows_control: int
    risks: dict[str, Figure]
    utility: dict[str, Figure]
    fidelity: Fidelity | None
    learned: tuple[Learned, ...]
    not_run: tuple[str, ...] = ()
