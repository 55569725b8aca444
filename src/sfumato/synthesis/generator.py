"""What a synthesizer learned: an immutable model from which people who never lived are drawn."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol

from sfumato.fitted import Fitted

if TYPE_CHECKING:
    import polars as pl

    from sfumato.progress import Progress
    from sfumato.table import Schema

__all__ = ["Generator", "Synthesizer"]


class Generator(Fitted):
    """A fitted model of a table. Subclasses are frozen dataclasses."""

    word = "generator"

    @abstractmethod
    def sample(self, n: int, *, seed: int) -> pl.DataFrame:
        """Return ``n`` (at least 1) rows drawn from the model, with the fitted table's columns."""

    @abstractmethod
    def describe(self) -> tuple[str, ...]:
        """Return what was learned and what it cannot hold, a sentence each."""

    @abstractmethod
    def released_schema(self) -> Schema:
        """Return the schema of the sampled table."""


class Synthesizer(Protocol):
    """Frozen settings of one way to synthesize; registered as an entry point."""

    def fit(self, table: pl.DataFrame, schema: Schema, *, progress: Progress = ...) -> Generator:
        """Learn the model from the table."""
        ...
