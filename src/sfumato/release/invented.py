"""People who do not exist, before and after a recoding: shown instead of a patient."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["InventedPeople"]


@dataclass(frozen=True)
class InventedPeople:
    """Invented rows, as texts.

    Parameters
    ----------
    columns_before, before
        Names of the source's columns and one tuple of texts per invented person; "" is missing.
    columns_after, after
        The same people as the release would show them.
    """

    columns_before: tuple[str, ...]
    before: tuple[tuple[str, ...], ...]
    columns_after: tuple[str, ...]
    after: tuple[tuple[str, ...], ...]
