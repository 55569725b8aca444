"""The compiled loop of private training: each row's slope, clipped to integers, and their sum.

A row is worked on by itself, from its encoding to its integers, so that what it adds to the sum
depends on the row, its own latent noise and the network alone: products of whole matrices round by
how many rows there are, and one person more would move what the others add.
"""

# numba's decorator gives no types
# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["clipped_sum"]

Array = npt.NDArray[Any]

_LARGEST_LOG = np.float32(8.0)  # of a latent variance: beyond, exp overflows to nothing useful
_LARGEST_SQUARE = 1e30


@njit(cache=True)
def _forward(inputs: Any, matrix: Any, out: Any) -> None:
    """Put the product of a row and a matrix into a row; the matrix's last row is added."""
    rows, columns = matrix.shape
    for j in range(columns):
        out[j] = matrix[rows - 1, j]
    for i in range(rows - 1):
        value = inputs[i]
        if value != 0:
            for j in range(columns):
                out[j] += value * matrix[i, j]


@njit(cache=True)
def _backward(outer: Any, turned: Any, out: Any) -> None:
    """Put the product of a row and a matrix, given turned and without its last row, into a row."""
    rows, columns = turned.shape
    for j in range(columns):
        out[j] = 0
    for i in range(rows):
        value = outer[i]
        if value != 0:
            for j in range(columns):
                out[j] += value * turned[i, j]


@njit(cache=True)
def _cut(values: Any) -> None:
    for j in range(values.size):
        values[j] = max(values[j], np.float32(0))


@njit(cache=True)
def _where(values: Any, slope: Any) -> None:
    """Put a slope to 0 where values were cut off."""
    for j in range(values.size):
        if values[j] <= 0:
            slope[j] = 0


@njit(cache=True)
def _squared(values: Any) -> Any:
    total = 0.0
    for j in range(values.size):
        total += np.float64(values[j]) * np.float64(values[j])
    return total


@njit(cache=True)
def _add_row(total: Any, place: Any, outer: Any, factor: Any, most: Any, sign: Any) -> Any:
    """Add a row, in whole units, to the sum; return its squared length, exact."""
    squared = np.int64(0)
    for j in range(outer.size):
        unit = np.int64(np.int32(min(max(np.rint(factor * outer[j]), -most), most)))
        squared += unit * unit
        total[place + j] += sign * unit
    return squared


@njit(cache=True)
def _add(total: Any, begin: Any, inputs: Any, outer: Any, factor: Any, most: Any, sign: Any) -> Any:
    """Add a layer's slope, in whole units, to the sum; return its squared length, exact."""
    squared = np.int64(0)
    for i in range(inputs.size):
        if inputs[i] != 0:
            place = begin + i * outer.size
            squared += _add_row(total, place, outer, factor * inputs[i], most, sign)
    place = begin + inputs.size * outer.size
    return squared + _add_row(total, place, outer, factor, most, sign)


@njit(cache=True)
def clipped_sum(
    codes: Array,
    noise: Array,
    starts: Array,
    sizes: Array,
    embedding: Array,
    encoded: Array,
    inner: Array,
    middle: Array,
    outer: Array,
    weight: float,
    clip: float,
    bound: int,
    total: Array,
) -> int:
    """Add each row's clipped slope of the evidence bound to a sum of integers.

    Parameters
    ----------
    codes
        The cell of each row in each column, shape (rows, columns), int64; a cell that is none of
        the column's is neither read nor learned.
    noise
        Latent noise of each row, shape (rows, latent), float32.
    starts, sizes
        First cell and number of cells of each column.
    embedding, encoded, inner, middle, outer
        The layers, float32, each with a last row that is added without an input: cells to a hidden
        layer, that to means and logarithms of variances; latent points to a hidden layer, that to
        another, that to cells.
    weight
        Of the divergence from the prior.
    clip
        Length to which a row's slope is clipped.
    bound
        The integer that stands for ``clip``: no row adds a vector longer than this. Below 2**21,
        as are the numbers of the network.
    total
        The sum, shape (parameters,), int64; it is added to.

    Returns
    -------
    int
        Number of rows that added nothing, as their slope was no number or too long.
    """
    latent, hidden = noise.shape[1], embedding.shape[1]
    behind, last, cells = inner.shape[1], middle.shape[1], outer.shape[1]
    turned_outer = outer[:-1].T.copy()
    turned_middle = middle[:-1].T.copy()
    turned_inner = inner[:-1].T.copy()
    turned_encoded = encoded[:-1].T.copy()
    # rounding moves each number by a half at most
    room = bound - 1.0 - 0.5 * np.sqrt(total.size)
    limit = np.int64(bound) * np.int64(bound)
    most = np.float32(bound)
    first = np.empty(hidden, np.float32)
    moments = np.empty(2 * latent, np.float32)
    point = np.empty(latent, np.float32)
    second = np.empty(behind, np.float32)
    third = np.empty(last, np.float32)
    logs = np.empty(cells, np.float32)
    d_third = np.empty(last, np.float32)
    d_second = np.empty(behind, np.float32)
    d_point = np.empty(latent, np.float32)
    d_moments = np.empty(2 * latent, np.float32)
    d_first = np.empty(hidden, np.float32)
    left_out = 0
    for row in range(len(codes)):
        first[:] = embedding[-1]
        known = 1
        for column in range(len(sizes)):
            code = codes[row, column]
            if 0 <= code < sizes[column]:
                known += 1
                place = starts[column] + code
                for j in range(hidden):
                    first[j] += embedding[place, j]
        _cut(first)
        _forward(first, encoded, moments)
        for j in range(latent):
            log = min(max(moments[latent + j], -_LARGEST_LOG), _LARGEST_LOG)
            point[j] = moments[j] + np.exp(np.float32(0.5) * log) * noise[row, j]
        _forward(point, inner, second)
        _cut(second)
        _forward(second, middle, third)
        _cut(third)
        _forward(third, outer, logs)
        # from here on logs holds the slope along itself: shares less what the row has
        for column in range(len(sizes)):
            begin, size = starts[column], sizes[column]
            code = codes[row, column]
            if not 0 <= code < size:
                logs[begin : begin + size] = 0
                continue
            top = logs[begin]
            for j in range(begin, begin + size):
                top = max(top, logs[j])
            whole = np.float32(0)
            for j in range(begin, begin + size):
                logs[j] = np.exp(logs[j] - top)
                whole += logs[j]
            for j in range(begin, begin + size):
                logs[j] /= whole
            logs[begin + code] -= 1
        _backward(logs, turned_outer, d_third)
        _where(third, d_third)
        _backward(d_third, turned_middle, d_second)
        _where(second, d_second)
        _backward(d_second, turned_inner, d_point)
        for j in range(latent):
            log = moments[latent + j]
            kept = min(max(log, -_LARGEST_LOG), _LARGEST_LOG)
            spread = np.exp(np.float32(0.5) * kept)
            d_moments[j] = d_point[j] + weight * moments[j]
            d_log = d_point[j] * np.float32(0.5) * spread * noise[row, j]
            d_log += weight * np.float32(0.5) * (spread * spread - 1)
            # beyond the cut the variance stays, but for the way back
            d_moments[latent + j] = d_log if log == kept or d_log * log > 0 else np.float32(0)
        _backward(d_moments, turned_encoded, d_first)
        _where(first, d_first)
        squared = known * _squared(d_first)
        squared += (1 + _squared(first)) * _squared(d_moments)
        squared += (1 + _squared(point)) * _squared(d_second)
        squared += (1 + _squared(second)) * _squared(d_third)
        squared += (1 + _squared(third)) * _squared(logs)
        parts = _squared(first) + _squared(point) + _squared(second) + _squared(third)
        parts += _squared(d_first) + _squared(d_moments) + _squared(d_second)
        parts += _squared(d_third) + _squared(logs)
        # no number, or so large that a product could leave single precision
        if not (parts < _LARGEST_SQUARE and squared < _LARGEST_SQUARE):
            left_out += 1
            continue
        factor = np.float32(room / max(np.sqrt(squared), clip))
        # whatever was rounded above: the integers themselves are measured, and taken back if longer
        sign = np.int64(1)
        for _turn in range(2):
            exact = np.int64(0)
            for column in range(len(sizes)):
                code = codes[row, column]
                if 0 <= code < sizes[column]:
                    place = (starts[column] + code) * hidden
                    exact += _add_row(total, place, d_first, factor, most, sign)
            begin = (len(embedding) - 1) * hidden
            exact += _add_row(total, begin, d_first, factor, most, sign)
            begin += hidden
            exact += _add(total, begin, first, d_moments, factor, most, sign)
            begin += encoded.size
            exact += _add(total, begin, point, d_second, factor, most, sign)
            begin += inner.size
            exact += _add(total, begin, second, d_third, factor, most, sign)
            begin += middle.size
            exact += _add(total, begin, third, logs, factor, most, sign)
            if exact <= limit or sign < 0:
                break
            sign = np.int64(-1)
            left_out += 1
    return left_out
