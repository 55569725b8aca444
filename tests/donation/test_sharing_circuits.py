"""Every circuit against plain NumPy, and order and argmin against MPyC."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.donation.sharing import (
    ArithmeticShares,
    BooleanShares,
    Party,
    SlicedShares,
    add,
    argmin,
    at_least,
    conjunction,
    equal,
    invert,
    least,
    less_than,
    multiply,
    open_to_all,
    run_three,
    select,
    slice_numbers,
    slice_shares,
    split,
    to_bits,
    to_numbers,
    unslice_numbers,
    unslice_shares,
)
from sfumato.errors import InternalError

widths = st.integers(1, 24)
counts = st.integers(1, 140)
seeds = st.integers(0, 2**32)
few = settings(deadline=None, max_examples=8)


def numbers(seed: int, width: int, shape: Any) -> np.ndarray:
    """Return numbers of many sizes: half of them under 4, so that equal ones occur."""
    generator = np.random.default_rng(seed)
    wide = generator.integers(0, 1 << width, shape, dtype=np.uint64)
    small = generator.integers(0, min(4, 1 << width), shape, dtype=np.uint64)
    return np.where(generator.random(shape) < 0.5, wide, small)


def opened(party: Party, sliced: SlicedShares) -> np.ndarray:
    return open_to_all(party, unslice_shares(sliced))


def same(work: Any, expected: Any) -> None:
    """Run as three servers; each must have opened what is expected."""
    for results in run_three(work):
        for got, wanted in zip(results, expected, strict=True):
            assert np.array_equal(got, wanted)


@given(seed=seeds, width=st.integers(1, 64), shape=st.tuples(st.integers(1, 3), counts))
@settings(deadline=None, max_examples=30)
def test_slicing_is_the_bits_and_comes_back(seed, width, shape):
    values = np.random.default_rng(seed).integers(0, 2**64, shape, np.uint64)
    planes = slice_numbers(values, width)
    assert planes.shape == (width, shape[0], -(-shape[1] // 64))
    kept = values & np.uint64((1 << width) - 1)
    assert np.array_equal(unslice_numbers(planes, shape[1]), kept)
    bits = np.unpackbits(planes.astype("<u8").view(np.uint8), axis=-1, bitorder="little")
    shifts = np.arange(width, dtype=np.uint64).reshape(-1, 1, 1)
    assert np.array_equal(bits[..., : shape[1]], (values >> shifts) & np.uint64(1))


@given(seed=seeds, shape=st.tuples(st.integers(1, 3), st.integers(1, 70)))
@few
def test_gates(seed, shape):
    x, y = np.random.default_rng(seed).integers(0, 2**64, (2, *shape), np.uint64)
    c = x[:1] ^ y[:1]  # broadcast
    mask = np.uint64(0xF0F0)
    shares = [split(BooleanShares, one, os.urandom) for one in (x, y, c)]

    def work(party: Party) -> Any:
        a, b, s = (one[party.index] for one in shares)
        public = party.known(BooleanShares, y)
        gates = (
            a ^ b,
            a ^ public,
            a & mask,
            invert(party, a),
            conjunction(party, a, b),
            conjunction(party, s, b),
            select(party, s, a, b),
        )
        return [open_to_all(party, gate) for gate in gates]

    chosen = (c & x) | (~c & y)
    same(work, [x ^ y, x ^ y, x & mask, ~x, x & y, c & y, chosen])


@given(seed=seeds, width=widths, count=counts, dtype=st.sampled_from([np.uint32, np.uint64]))
@few
def test_between_arithmetic_and_boolean(seed, width, count, dtype):
    values = numbers(seed, width, count)
    factors = numbers(seed + 1, width, count).astype(dtype)
    shares = split(ArithmeticShares, values.astype(dtype), os.urandom)
    others = split(ArithmeticShares, factors, os.urandom)

    def work(party: Party) -> Any:
        x, y = shares[party.index], others[party.index]
        sliced = to_bits(party, x, width)
        back = to_numbers(party, sliced, dtype)
        return [
            opened(party, sliced),
            open_to_all(party, back),
            open_to_all(party, multiply(party, x, y)),
            open_to_all(party, x + y - y * dtype(3)),
            open_to_all(party, x.sum()),
            opened(party, add(party, sliced, sliced)),
        ]

    plain = values.astype(dtype)
    whole = plain.sum(dtype=dtype)
    doubled = (2 * values) & np.uint64((1 << width) - 1)
    same(work, [values, plain, plain * factors, plain - 2 * factors, whole, doubled])


@given(seed=seeds, width=widths, count=counts)
@few
def test_order_and_equality(seed, width, count):
    x, y = numbers(seed, width, (2, count))
    arithmetic = [split(ArithmeticShares, one.astype(np.uint32), os.urandom) for one in (x, y)]
    boolean = [split(BooleanShares, one, os.urandom) for one in (x, y)]

    def work(party: Party) -> Any:
        a, b = (one[party.index] for one in arithmetic)
        c, d = (slice_shares(one[party.index], width) for one in boolean)
        bound = int(y[0])
        bits = (
            at_least(party, a, b, width),
            at_least(party, a, bound, width),
            at_least(party, a, y.astype(np.uint32), width),
            less_than(party, c, d),
            less_than(party, c, y),
            equal(party, c, d),
            equal(party, c, y),
        )
        return [opened(party, one) for one in bits]

    less, alike = x < y, x == y
    same(work, [~less, x >= y[0], ~less, less, less, alike, alike])


@given(seed=seeds, width=st.integers(1, 12), rows=st.integers(1, 3), count=st.integers(1, 200))
@few
def test_the_least_and_its_first_place(seed, width, rows, count):
    values = numbers(seed, width, (rows, count))
    shares = split(BooleanShares, values, os.urandom)

    def work(party: Party) -> Any:
        sliced = slice_shares(shares[party.index], width)
        place, lowest = argmin(party, sliced), least(party, sliced)
        return opened(party, place)[:, 0], opened(party, lowest)[:, 0]

    same(work, [values.argmin(axis=1), values.min(axis=1)])


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 128, 129])
def test_the_least_of_all_ones_is_a_real_place(count):
    values = np.full(count, 7, np.uint64)
    shares = split(BooleanShares, values, os.urandom)
    same(lambda party: [opened(party, argmin(party, slice_shares(shares[party.index], 3)))], [[0]])


def test_no_room_for_the_sign():
    shares = split(ArithmeticShares, np.zeros(2, np.uint32), os.urandom)
    with pytest.raises(InternalError, match="sign"):
        run_three(lambda party: at_least(party, shares[party.index], 1, 32))


def test_rounds_are_as_promised():
    shares = split(ArithmeticShares, np.zeros(100, np.uint32), os.urandom)

    def rounds(party: Party) -> list[int]:
        steps = [party.channels.traffic.rounds]
        x = shares[party.index]
        sliced = to_bits(party, x, 16)
        steps.append(party.channels.traffic.rounds)
        at_least(party, x, 5, 16)
        steps.append(party.channels.traffic.rounds)
        equal(party, sliced, sliced)
        steps.append(party.channels.traffic.rounds)
        to_numbers(party, sliced)
        return np.diff([*steps, party.channels.traffic.rounds]).tolist()

    assert run_three(rounds)[0] == [6, 6, 4, 2]


def test_order_and_argmin_agree_with_mpyc(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["test"])
    runtime = pytest.importorskip("mpyc.runtime").mpc
    kind = runtime.SecInt(20)
    x, y = numbers(5, 16, (2, 12))
    left, right = ([kind(int(one)) for one in values] for values in (x, y))
    secret = [a < b for a, b in zip(left, right, strict=True)]
    same_bits = [a == b for a, b in zip(left, right, strict=True)]
    less = runtime.run(runtime.output(secret))
    alike = runtime.run(runtime.output(same_bits))
    place, lowest = runtime.argmin(left)
    place, lowest = runtime.run(runtime.output(place)), runtime.run(runtime.output(lowest))
    shares = [split(BooleanShares, one, os.urandom) for one in (x, y)]

    def work(party: Party) -> Any:
        a, b = (slice_shares(one[party.index], 16) for one in shares)
        found = (less_than(party, a, b), equal(party, a, b), argmin(party, a), least(party, a))
        return [opened(party, one) for one in found]

    expected = [[int(one) for one in bits] for bits in (less, alike, [place], [lowest])]
    same(work, expected)
