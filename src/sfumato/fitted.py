"""What was learned from a table can be saved as JSON and read again, exactly."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

from sfumato._version import __version__
from sfumato.atomic import write_whole
from sfumato.errors import DataError

__all__ = ["Fitted"]


class Fitted(ABC):
    """Something learned, immutable. Subclasses are frozen dataclasses."""

    word: ClassVar[str]
    """What it is called in its file and in messages, such as "recoding"."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what :meth:`to_dict` described."""

    def save(self, path: str | Path) -> None:
        """Write it as JSON, whole or not at all."""
        kind = f"{type(self).__module__}:{type(self).__qualname__}"
        content = {"sfumato": __version__, "kind": kind, self.word: self.to_dict()}
        # keys stay in their order: that of the columns is the table's
        write_whole(path, json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError
            If the file is not of this kind and written by sfumato.
        """
        try:
            content = json.loads(Path(path).read_text("utf-8"))
            module, _, name = content["kind"].partition(":")
            values = content[cls.word]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{path} is not a {cls.word} written by sfumato") from None
        if not module.startswith("sfumato."):
            raise DataError(f"{path} names the {cls.word} {content['kind']!r}, which is not ours")
        try:
            kind = getattr(import_module(module), name, None)
        except ImportError:
            kind = None  # a version of sfumato that knew other modules
        if not (isinstance(kind, type) and issubclass(kind, cls)):
            raise DataError(
                f"{path} names the {cls.word} {name!r}, which this version does not have"
            )
        return kind.from_dict(values)
