"""Compiled arithmetic of GF(2^64), modulo x^64 + x^4 + x^3 + x + 1.

An element is a word of 64 bits, bit j the coefficient of x^j; addition is exclusive or, so shares
by exclusive or are shares in the field. Products use the processor's carry-less multiplication
(PCLMULQDQ) where it has it, else a loop over bits without branches; both give the same words.

Source of the polynomial: Seroussi, "Table of low-weight binary irreducible polynomials" (HP Labs
1998).
"""
# mypy: disable-error-code="import-untyped, untyped-decorator, no-any-return"

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import binding, ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = [
    "audit_crossed",
    "audit_masked",
    "audit_opened",
    "field_product",
    "field_product_by_bits",
    "replicated_products",
    "row_tags",
]

Words = npt.NDArray[np.uint64]

_ZERO, _ONE, _LAST = np.uint64(0), np.uint64(1), np.uint64(63)


@intrinsic
def _clmul(typing: Any, a: Any, b: Any) -> Any:
    """Carry-less product of two words by the processor: low and high word."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, octet = ir.IntType(64), ir.IntType(8)
        pair = ir.VectorType(word, 2)
        kind = ir.FunctionType(pair, [pair, pair, octet])
        module = builder.module
        name = "llvm.x86.pclmulqdq"
        function = module.globals.get(name) or ir.Function(module, kind, name)
        place = [ir.Constant(ir.IntType(32), at) for at in (0, 1)]
        nothing = ir.Constant(pair, [0, 0])
        left, right = (builder.insert_element(nothing, value, place[0]) for value in arguments)
        product = builder.call(function, [left, right, ir.Constant(octet, 0)])
        halves = [builder.extract_element(product, at) for at in place]
        return context.make_tuple(builder, signature.return_type, halves)

    return types.UniTuple(types.uint64, 2)(a, b), generate


@njit(cache=True)
def _clmul_by_bits(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Carry-less product of two words without the instruction; no branch on a bit."""
    low = a & (_ZERO - (b & _ONE))
    high = _ZERO
    for bit in range(1, 64):
        chosen = a & (_ZERO - ((b >> np.uint64(bit)) & _ONE))
        low ^= chosen << np.uint64(bit)
        high ^= chosen >> np.uint64(64 - bit)
    return low, high


if binding.get_host_cpu_features().get("pclmul", False):

    @njit(cache=True)
    def _product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
        return _clmul(a, b)

else:

    @njit(cache=True)
    def _product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
        return _clmul_by_bits(a, b)


@njit(cache=True)
def _reduced(low: np.uint64, high: np.uint64) -> np.uint64:
    """Return a polynomial of degree under 128 modulo the field's."""
    # x^64 = x^4 + x^3 + x + 1; what this pushes above bit 63 (four bits) is folded once more
    over = (high >> np.uint64(60)) ^ (high >> np.uint64(61)) ^ (high >> _LAST)
    high ^= over
    return low ^ high ^ (high << np.uint64(1)) ^ (high << np.uint64(3)) ^ (high << np.uint64(4))


@njit(cache=True)
def field_product(a: np.uint64, b: np.uint64) -> np.uint64:
    """Return the product of two elements."""
    low, high = _product(a, b)
    return _reduced(low, high)


@njit(cache=True)
def field_product_by_bits(a: np.uint64, b: np.uint64) -> np.uint64:
    """Return the product of two elements, without the instruction."""
    low, high = _clmul_by_bits(a, b)
    return _reduced(low, high)


@njit(cache=True, nogil=True)
def replicated_products(
    x_first: Words, x_second: Words, y_first: Words, y_second: Words, out: Words
) -> None:
    """Add ``x_i y_i + x_i y_(i+1) + x_(i+1) y_i`` to each word of ``out``."""
    for place in range(len(out)):
        low, high = _product(x_first[place], y_first[place] ^ y_second[place])
        lower, higher = _product(x_second[place], y_first[place])
        out[place] ^= _reduced(low ^ lower, high ^ higher)


@njit(cache=True, nogil=True)
def row_tags(rows: npt.NDArray[np.uint64], weights: Words, out: Words) -> None:
    """Add the sum of the products of a row's words and the weights to each word of ``out``."""
    for row in range(len(rows)):
        low = high = _ZERO
        for place in range(len(weights)):
            lower, higher = _product(rows[row, place], weights[place])
            low ^= lower
            high ^= higher
        out[row] ^= _reduced(low, high)


@njit(cache=True, nogil=True)
def audit_crossed(
    mask_first: npt.NDArray[np.uint64],
    mask_second: npt.NDArray[np.uint64],
    y_first: Words,
    y_second: Words,
) -> np.uint64:
    """Return this server's part of the sum over all gates of mask times bit of y."""
    total = _ZERO
    for word in range(len(y_first)):
        crossed, own = y_first[word] ^ y_second[word], y_first[word]
        for bit in range(64):
            place = np.uint64(bit)
            total ^= mask_first[word, bit] & (_ZERO - ((crossed >> place) & _ONE))
            total ^= mask_second[word, bit] & (_ZERO - ((own >> place) & _ONE))
    return total


@njit(cache=True, nogil=True)
def audit_masked(mask: npt.NDArray[np.uint64], weights: npt.NDArray[np.uint64], x: Words) -> None:
    """Add weight times bit of x to each mask."""
    for word in range(len(x)):
        for bit in range(64):
            chosen = _ZERO - ((x[word] >> np.uint64(bit)) & _ONE)
            mask[word, bit] ^= weights[word, bit] & chosen


@njit(cache=True, nogil=True)
def audit_opened(
    opened: npt.NDArray[np.uint64], weights: npt.NDArray[np.uint64], y: Words, z: Words
) -> np.uint64:
    """Return the sum over all gates of opened times bit of y and weight times bit of z."""
    total = _ZERO
    for word in range(len(y)):
        for bit in range(64):
            place = np.uint64(bit)
            total ^= opened[word, bit] & (_ZERO - ((y[word] >> place) & _ONE))
            total ^= weights[word, bit] & (_ZERO - ((z[word] >> place) & _ONE))
    return total
