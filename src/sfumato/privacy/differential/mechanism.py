"""What every mechanism says of itself: its cost, its noise, and words for a data steward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sfumato.errors import DataError, PlanError
from sfumato.privacy.differential.costs import Cost
from sfumato.settings import Settings

__all__ = ["LARGEST_VALUE", "Mechanism", "checked_integers", "positive"]

#: Integers up to this size are added without overflow.
LARGEST_VALUE = 2**61


class Mechanism(Settings, ABC):
    """A frozen way to answer with noise, whose cost is known before any data are read.

    ``release(data, words)`` gives the answer; ``words`` is a
    :class:`~sfumato.privacy.differential.RandomWords`.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def cost(self) -> Cost:
        """What one answer costs."""

    @abstractmethod
    def facts(self) -> dict[str, str]:
        """Return sensitivity and scale as exact texts, for the ledger."""

    @abstractmethod
    def release(self, data: Any, words: Any) -> Any:
        """Return the noisy answer."""

    def describe(self) -> str:
        """Return one sentence: the mechanism, its settings and its cost."""
        said = ", ".join(
            f"{name.replace('_', ' ')} {value}" for name, value in self.facts().items()
        )
        return f"{self.kind}: {said}; cost {self.cost.describe()}."


def checked_integers(values: npt.ArrayLike, what: str) -> npt.NDArray[np.int64]:
    """Return integers as int64; DataError for other numbers or too large ones.

    Floating-point numbers are refused even if whole: integers are what the promise is about.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or array.dtype == np.bool_:
        raise DataError(
            f"{what} must be integers, not {array.dtype}: noise is only added to integers. "
            "Count rows, or sum on a declared grid (NoisySum)"
        )
    if array.size and not (
        int(array.max()) <= LARGEST_VALUE and int(array.min()) >= -LARGEST_VALUE
    ):
        raise DataError(f"{what} must be within 2**61, so that noise can be added exactly")
    return array.astype(np.int64)


def positive(value: Any, name: str) -> Any:
    """Return the value; PlanError unless it is above 0."""
    if not value > 0:
        raise PlanError(f"{name} must be above 0, not {value}")
    return value
