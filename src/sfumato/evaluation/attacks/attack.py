"""What every attack is: frozen settings and one method that gives figures."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from sfumato.progress import Progress, silent
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackTables
    from sfumato.evaluation.figures import Figure

__all__ = ["Attack"]


class Attack(Settings):
    """One question that an attacker asks of a release.

    Subclasses hold their settings as fields and register under ``sfumato.attacks``.
    """

    #: What the attacker knows and wants, in one sentence for the report.
    knowledge: ClassVar[str]

    @abstractmethod
    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Attack every member and every control, and return figures by a short key.

        Parameters
        ----------
        tables
            The release, its members and its controls.
        seed
            Of every random step.
        progress
            Told how far the work is.
        """
