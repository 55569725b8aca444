"""The audit of AND gates: honest gates pass, any flipped one is found by both honest servers."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from tests.donation.test_sharing import honest_errors, lying

from sfumato.donation.sharing import (
    ArithmeticShares,
    BooleanShares,
    Party,
    at_least,
    conjunction,
    open_to_all,
    outcomes_of_three,
    run_three,
    split,
    unslice_shares,
    verify_gates,
)
from sfumato.errors import InternalError

COUNTS = split(ArithmeticShares, np.arange(1000, dtype=np.uint32), os.urandom)


def compare(party: Party) -> np.ndarray:
    """Compare, audit, and only then open."""
    bits = at_least(party, COUNTS[party.index], 250, 10)
    verify_gates(party, os.urandom)
    return open_to_all(party, unslice_shares(bits))


def test_honest_gates_pass_and_are_forgotten():
    words = split(BooleanShares, np.arange(10_000, dtype=np.uint64), os.urandom)
    octets = split(BooleanShares, np.arange(13, dtype=np.uint8), os.urandom)

    def work(party: Party) -> Any:
        for shares in (words, octets):
            conjunction(party, shares[party.index], shares[party.index])
        return verify_gates(party, os.urandom), verify_gates(party, os.urandom), compare(party)

    for first, second, bits in run_three(work, audited=True):
        assert first == 64 * 10_002
        assert second == 0
        assert np.array_equal(bits, np.arange(1000) >= 250)


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("gate", [0, 3])
def test_a_flipped_gate_is_found_before_anything_is_opened(liar, gate):
    def work(party: Party) -> Any:
        return compare(lying(party, liar, "AND", skip=gate, consistently=True))

    for error in honest_errors(outcomes_of_three(work, audited=True), liar):
        assert "result of an AND gate was changed" in str(error)

    # the same lie without the audit goes through: this is what the audit is for
    def unaudited(party: Party) -> Any:
        own = lying(party, liar, "AND", skip=gate, consistently=True)
        bits = at_least(own, COUNTS[party.index], 250, 10)
        return open_to_all(own, unslice_shares(bits))

    assert all(isinstance(one, np.ndarray) for one in outcomes_of_three(unaudited))

    # and a liar that forgets its own lie is caught as well
    def careless(party: Party) -> Any:
        return compare(lying(party, liar, "AND", skip=gate))

    honest_errors(outcomes_of_three(careless, audited=True), liar)


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("step", ["audit: commit", "audit: open", "open to all"])
def test_lies_in_the_audit_itself_are_found(liar, step):
    outcomes = outcomes_of_three(lambda party: compare(lying(party, liar, step)), audited=True)
    honest = [one for server, one in enumerate(outcomes) if server != liar]
    assert any(isinstance(one, Exception) for one in honest)
    if step == "audit: commit":
        honest_errors(outcomes, liar)


def test_gates_must_be_kept():
    with pytest.raises(InternalError, match="audited=True"):
        run_three(lambda party: verify_gates(party, os.urandom))
