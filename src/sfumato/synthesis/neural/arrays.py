"""Arrays of weights as plain text in JSON: exact, and nothing in them can be run."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Singles = NDArray[np.float32]

__all__ = ["packed", "unpacked"]


def packed(array: Singles) -> dict[str, Any]:
    """Return an array's shape, and its numbers (little-endian, 32 bits) in base 64.

    Examples
    --------
    >>> packed(np.array([1.0, -2.0], dtype=np.float32))
    {'shape': [2], 'float32': 'AACAPwAAAMA='}
    """
    numbers = np.ascontiguousarray(array, dtype="<f4").tobytes()
    return {"shape": list(array.shape), "float32": base64.b64encode(numbers).decode("ascii")}


def unpacked(values: dict[str, Any]) -> Singles:
    """Return the array that :func:`packed` described.

    Raises
    ------
    DataError
        If the numbers are not as many as the shape says, or not all finite.
    """
    try:
        numbers = np.frombuffer(base64.b64decode(values["float32"], validate=True), dtype="<f4")
        array: Singles = numbers.astype(np.float32).reshape([int(one) for one in values["shape"]])
    except (KeyError, TypeError, ValueError):
        raise DataError("The model's file holds weights that cannot be read") from None
    if not np.isfinite(array).all():
        raise DataError("The model's file holds weights that are no finite numbers")
    return array
