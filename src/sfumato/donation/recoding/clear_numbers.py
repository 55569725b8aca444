"""Numbers in the clear: the recoder's oracle, and the way of ``--qid-open``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.donation.recoding.numbers import Linear

__all__ = ["ClearNumbers"]

Values = npt.NDArray[Any]


class ClearNumbers:
    """See :class:`~sfumato.donation.recoding.numbers.Numbers`; arrays are of type ``uint32``."""

    def linear(self, function: Linear, *values: Values) -> Values:
        """Return the function of the arrays."""
        return function(*values)

    def at_least(self, values: Values, bound: int, width: int) -> Values:  # noqa: ARG002
        """Return 1 where a value is at least the bound."""
        return (values >= bound).astype(values.dtype)

    def times(self, one: Values, other: Values) -> Values:
        """Return the products."""
        return one * other

    def first_greatest(self, values: Values, width: int) -> Values:  # noqa: ARG002
        """Return 1 at the place of each row's greatest value."""
        places = np.argmax(values, axis=-1)[..., None]
        found: Values = (np.arange(values.shape[-1]) == places).astype(values.dtype)
        return found

    def place_of_greatest(self, values: Values, width: int) -> npt.NDArray[np.int64]:  # noqa: ARG002
        """Return the place of each row's greatest value."""
        places: npt.NDArray[np.int64] = np.asarray(np.argmax(values, axis=-1), dtype=np.int64)
        return places

    def open(self, values: Values) -> npt.NDArray[np.int64]:
        """Return the values."""
        return values.astype(np.int64)
