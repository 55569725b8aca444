"""The two fields against Python's integers, and additive shares."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.donation.sharing import BooleanShares, reconstruct, run_three, split
from sfumato.donation.sharing.binary_field_kernels import (
    field_product,
    field_product_by_bits,
    row_tags,
)
from sfumato.donation.sharing.mersenne import (
    PRIME,
    add_modulo,
    draw_modulo,
    multiply_modulo,
    power_modulo,
    reduce_modulo,
    share_additively,
    subtract_modulo,
)
from sfumato.donation.sharing.shuffling import multiply_all

words = st.integers(0, 2**64 - 1)
edges = st.sampled_from([0, 1, 2, 7, 2**29, 2**32 - 1, 2**32, 2**60, PRIME - 1, PRIME - 2])
elements = st.integers(0, PRIME - 1) | edges


def carryless(a: int, b: int) -> int:
    """Product in GF(2^64), by the book."""
    product = 0
    for bit in range(64):
        if b >> bit & 1:
            product ^= a << bit
    for bit in range(127, 63, -1):
        if product >> bit & 1:
            product ^= (1 << 64 | 0x1B) << (bit - 64)
    return product


@given(words, words)
@settings(deadline=None, max_examples=40)
def test_products_of_the_binary_field(a, b):
    expected = carryless(a, b)
    assert int(field_product(np.uint64(a), np.uint64(b))) == expected
    assert int(field_product_by_bits(np.uint64(a), np.uint64(b))) == expected


def test_the_polynomial_is_irreducible():
    # Rabin's test: x^(2^64) = x, and x^(2^32) - x has no factor in common with it
    power, middle = 2, 0
    for step in range(64):
        power = carryless(power, power)
        if step == 31:
            middle = power
    assert power == 2
    a, b = 1 << 64 | 0x1B, middle ^ 2
    while b:
        while a.bit_length() >= b.bit_length():
            a ^= b << (a.bit_length() - b.bit_length())
        a, b = b, a
    assert a == 1


def test_tags_are_linear_and_as_by_the_book():
    rows = np.frombuffer(os.urandom(2 * 5 * 3 * 8), np.uint64).reshape(2, 5, 3)
    weights = np.frombuffer(os.urandom(24), np.uint64)
    tags = np.zeros((3, 5), np.uint64)
    for data, tag in zip((rows[0], rows[1], rows[0] ^ rows[1]), tags, strict=True):
        row_tags(data, weights, tag)
    assert np.array_equal(tags[0] ^ tags[1], tags[2])
    first = 0
    for word, weight in zip(rows[0, 0], weights, strict=True):
        first ^= carryless(int(word), int(weight))
    assert int(tags[0, 0]) == first


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
def test_shared_products(count):
    factors = np.frombuffer(os.urandom(16 * count), np.uint64).reshape(2, count)
    shares = split(BooleanShares, factors, os.urandom)
    whole = reconstruct(run_three(lambda party: multiply_all(party, shares[party.index])))
    for row in range(2):
        product = 1
        for factor in factors[row]:
            product = carryless(product, int(factor))
        assert int(whole[row, 0]) == product


@given(elements, elements)
@settings(deadline=None, max_examples=40)
def test_numbers_modulo_the_prime(a, b):
    x, y = np.array([a], np.uint64), np.array([b], np.uint64)
    assert int(add_modulo(x, y)[0]) == (a + b) % PRIME
    assert int(subtract_modulo(x, y)[0]) == (a - b) % PRIME
    assert int(multiply_modulo(x, y)[0]) == a * b % PRIME
    assert int(reduce_modulo(np.array([a + 7 * PRIME], np.uint64))[0]) == a
    assert int(power_modulo(x, 12345)[0]) == pow(a, 12345, PRIME)
    if a:
        assert int(multiply_modulo(x, power_modulo(x, PRIME - 2))[0]) == 1


def test_additive_shares_modulo_the_prime():
    numbers = draw_modulo(os.urandom, 50).reshape(5, 10)
    shares = share_additively(numbers, 3, os.urandom)
    assert np.array_equal(add_modulo(add_modulo(shares[0], shares[1]), shares[2]), numbers)
    script = iter([b"\xff" * 16, bytes(8) + b"\xff" * 8, (5).to_bytes(8, "little")])
    # the prime itself is drawn again: 2^61 - 1 is not a number under it
    assert draw_modulo(lambda count: next(script)[:count], 2).tolist() == [0, 5]
