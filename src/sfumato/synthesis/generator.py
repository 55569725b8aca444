"""What a synthesizer learned: an immutable model from which people who never lived are drawn."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from sfumato._version import __version__
from sfumato.atomic import write_whole
from sfumato.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from sfumato.progress import Progress
    from sfumato.table import Schema

__all__ = ["Generator", "Synthesizer"]


class Generator(ABC):
    """A fitted model of a table. Subclasses are frozen dataclasses."""

    @abstractmethod
    def sample(self, n: int, *, seed: int) -> pl.DataFrame:
        """Return ``n`` (at least 1) rows drawn from the model, with the fitted table's columns."""

    @abstractmethod
    def describe(self) -> tuple[str, ...]:
        """Return what was learned and what it cannot hold, a sentence each."""

    @abstractmethod
    def released_schema(self) -> Schema:
        """Return the schema of the sampled table."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the generator that :meth:`to_dict` described."""

    def save(self, path: str | Path) -> None:
        """Write the model as JSON."""
        kind = f"{type(self).__module__}:{type(self).__qualname__}"
        content = {"sfumato": __version__, "kind": kind, "generator": self.to_dict()}
        write_whole(path, json.dumps(content, indent=1) + "\n")

    @staticmethod
    def load(path: str | Path) -> Generator:
        """Read a model that :meth:`save` wrote.

        Raises
        ------
        DataError
            If the file is not a generator that sfumato wrote.
        """
        try:
            content = json.loads(Path(path).read_text("utf-8"))
            module, _, name = content["kind"].partition(":")
            values = content["generator"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{path} is not a generator written by sfumato") from None
        if not module.startswith("sfumato."):
            raise DataError(f"{path} names the generator {content['kind']!r}, which is not ours")
        try:
            kind = getattr(import_module(module), name, None)
        except ImportError:
            kind = None  # a version of sfumato that knew other modules
        if not (isinstance(kind, type) and issubclass(kind, Generator)):
            raise DataError(f"{path} names the generator {name!r}, unknown to this version")
        return kind.from_dict(values)


class Synthesizer(Protocol):
    """Frozen settings of one way to synthesize; registered as an entry point."""

    def fit(self, table: pl.DataFrame, schema: Schema, *, progress: Progress = ...) -> Generator:
        """Learn the model from the table."""
        ...
