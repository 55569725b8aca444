"""Products that are proved, the field's shares, and numbers that are lifted."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.donation.test_sharing import honest_errors, lying

from sfumato.donation.sharing import (
    ArithmeticShares,
    FieldShares,
    Party,
    SlicedShares,
    bits_to_numbers,
    lift,
    multiply,
    open_to_all,
    outcomes_of_three,
    reconstruct,
    run_three,
    slice_shares,
    split,
    to_numbers,
    verify_gates,
    verify_products,
)
from sfumato.donation.sharing.mersenne import PRIME, sum_modulo
from sfumato.donation.sharing.shares import BooleanShares
from sfumato.errors import InternalError, ProtocolError

GENERATOR = np.random.default_rng(0)
ONE, OTHER = (GENERATOR.integers(0, 1 << 20, (7, 30), np.uint64) for _ in range(2))
KINDS = (ArithmeticShares, FieldShares)
SHARED = {kind: [split(kind, values, os.urandom) for values in (ONE, OTHER)] for kind in KINDS}


def worked(party: Party, kind: type[Any]) -> np.ndarray:
    """Multiply twice, audit, and only then open."""
    x, y = (shares[party.index] for shares in SHARED[kind])
    product = multiply(party, multiply(party, x, y), y[:1])
    verify_products(party, os.urandom)
    return open_to_all(party, product)


@pytest.mark.parametrize("kind", KINDS)
def test_honest_products_pass_and_are_forgotten(kind):
    def work(party: Party) -> Any:
        found = worked(party, kind)
        assert party.products == []
        return found, verify_products(party, os.urandom)

    modulus = PRIME if kind is FieldShares else 2**64
    expected = ONE.astype(object) * OTHER.astype(object) * OTHER[:1].astype(object) % modulus
    for found, again in run_three(work, audited=True):
        assert (found.astype(object) == expected).all()
        assert again == 0


def plus_one(octets: np.ndarray) -> np.ndarray:
    octets.view("<u8")[3] += np.uint64(1)
    return octets


def plus_high(octets: np.ndarray) -> np.ndarray:
    octets.view("<u8")[3] += np.uint64(1 << 31)
    return octets


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("alter", [plus_one, plus_high])
def test_a_changed_product_is_found_before_anything_is_opened(kind, liar, alter):
    def work(party: Party) -> Any:
        return worked(lying(party, liar, "multiply", alter=alter, consistently=True), kind)

    for error in honest_errors(outcomes_of_three(work, audited=True), liar):
        assert "result of a product was changed" in str(error)

    # the same lie without the audit goes through: this is what the audit is for
    def unaudited(party: Party) -> Any:
        own = lying(party, liar, "multiply", alter=alter, consistently=True)
        x, y = (shares[party.index] for shares in SHARED[kind])
        return open_to_all(own, multiply(own, x, y))

    assert all(isinstance(one, np.ndarray) for one in outcomes_of_three(unaudited))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("step", ["audit of products: commit", "audit of products: open"])
def test_lies_in_the_audit_itself_are_found(kind, liar, step):
    outcomes = outcomes_of_three(lambda party: worked(lying(party, liar, step), kind), audited=True)
    honest = [one for server, one in enumerate(outcomes) if server != liar]
    assert any(isinstance(one, ProtocolError) for one in honest)
    if step.endswith("commit"):
        honest_errors(outcomes, liar)


def test_products_must_be_kept_and_of_64_bits():
    with pytest.raises(InternalError, match="audited=True"):
        run_three(lambda party: verify_products(party, os.urandom))
    narrow = split(ArithmeticShares, np.arange(4, dtype=np.uint32), os.urandom)

    def work(party: Party) -> None:
        multiply(party, narrow[party.index], narrow[party.index])
        verify_products(party, os.urandom)

    with pytest.raises(InternalError, match="64 bits"):
        run_three(work, audited=True)


@given(st.lists(st.integers(0, PRIME - 1), min_size=1, max_size=9))
@settings(deadline=None)
def test_sums_of_the_field_do_not_wrap(numbers):
    array = np.array(numbers * 9, np.uint64)
    assert int(sum_modulo(array)) == sum(numbers) * 9 % PRIME
    rows = sum_modulo(array.reshape(9, -1), axis=0)
    assert [int(value) for value in rows] == [value * 9 % PRIME for value in numbers]


def test_sums_of_many_of_the_greatest_numbers():
    array = np.full(1 << 12, PRIME - 1, np.uint64)
    assert int(sum_modulo(array)) == (PRIME - 1) * (1 << 12) % PRIME


@pytest.mark.parametrize("kind", KINDS)
def test_bits_become_numbers(kind):
    numbers = GENERATOR.integers(0, 1 << 40, 70, np.uint64)
    shares = split(BooleanShares, numbers, os.urandom)
    bits = split(BooleanShares, numbers, os.urandom)

    def work(party: Party) -> Any:
        sliced: SlicedShares = slice_shares(shares[party.index], 40)
        own = bits[party.index] & np.uint64(1)
        return (
            open_to_all(party, to_numbers(party, sliced, kind=kind)),
            open_to_all(party, bits_to_numbers(party, own.first, own.second, kind)),
        )

    for whole, single in run_three(work):
        assert np.array_equal(whole, numbers)
        assert np.array_equal(single, numbers & np.uint64(1))


def test_small_numbers_are_lifted_whatever_their_components():
    numbers = np.append(GENERATOR.integers(0, 1 << 17, 4999), (1 << 30) - 1).astype(np.uint32)
    shares = split(ArithmeticShares, numbers.reshape(50, 100), os.urandom)
    wraps = sum(part.astype(np.uint64) for part in (shares[0].first, shares[0].second))
    wraps = (wraps + shares[1].second) >> np.uint64(32)
    assert set(np.unique(wraps)) == {1, 2}

    def work(party: Party) -> Any:
        found = lift(party, shares[party.index])
        gates, products = verify_gates(party, os.urandom), verify_products(party, os.urandom)
        return found, gates, products

    outcomes = run_three(work, audited=True)
    for kind in range(2):
        found = reconstruct([outcome[0][kind] for outcome in outcomes])
        assert found.dtype == np.uint64
        assert np.array_equal(found, numbers.reshape(50, 100))
    assert outcomes[0][1] == 4 * 64 * -(-5000 // 64)
    assert outcomes[0][2] == 4 * 5000


def test_both_results_are_of_the_same_number_even_if_it_is_not_small():
    numbers = GENERATOR.integers(0, 1 << 32, 3000, np.uint64).astype(np.uint32)
    shares = split(ArithmeticShares, numbers, os.urandom)
    found = run_three(lambda party: lift(party, shares[party.index]))
    ring = reconstruct([one.ring for one in found]).astype(np.int64)
    field = reconstruct([one.field for one in found]).astype(np.int64)
    assert np.array_equal(ring % PRIME, field)
    assert np.array_equal(ring % (1 << 32), numbers)
    assert (np.abs(ring) < 1 << 34).all()


def test_only_numbers_of_32_bits_are_lifted():
    shares = split(ArithmeticShares, np.arange(4, dtype=np.uint64), os.urandom)
    with pytest.raises(InternalError, match="uint32"):
        run_three(lambda party: lift(party, shares[party.index]))
