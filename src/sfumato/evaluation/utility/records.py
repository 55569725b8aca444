"""Results that write themselves as plain JSON values and read themselves back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self
from zlib import crc32

import numpy as np
from pydantic import TypeAdapter, ValidationError

from sfumato.errors import DataError
from sfumato.evaluation.figures import Direction, Figure

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Record", "absent", "random_stream"]


class Record:
    """A frozen dataclass of figures, numbers, texts and other records."""

    def to_dict(self: DataclassInstance) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the result that :meth:`to_dict` described.

        Raises
        ------
        DataError
            If a part is absent or is something else.
        """
        try:
            return TypeAdapter(cls).validate_python(dict(values))
        except ValidationError as error:
            raise DataError(
                f"this is no {cls.__name__} of sfumato: {error.error_count()} parts do not fit"
            ) from None


def absent(name: str, because: str, source: str, *, unit: str, direction: Direction) -> Figure:
    """Return a figure that says why it was not computed."""
    return Figure.not_computed(name, because, unit=unit, direction=direction, source=source)


def random_stream(seed: int, *words: str) -> np.random.Generator:
    """Return the random numbers of one step, which no other step draws from."""
    return np.random.default_rng([seed, *(crc32(word.encode()) for word in words)])


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value
