"""Counts are compared with the records before anything is computed of them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.donation.test_labelling import CODEC, DOMAIN, people
from tests.donation.test_sharing import honest_errors, lying

from sfumato.donation.recoding import SharedNumbers, recode
from sfumato.donation.rounds import proving
from sfumato.donation.rounds.proving import prove_counts
from sfumato.donation.sharing import (
    ArithmeticShares,
    BooleanShares,
    Party,
    outcomes_of_three,
    reconstruct,
    reshare,
    run_three,
    split,
)

TABLE = people(5, 300)
CELLS = CODEC.cells(TABLE)
COUNTS = np.bincount(CELLS, minlength=DOMAIN.n_cells).astype(np.uint32).reshape(DOMAIN.shape)
RECORDS = split(BooleanShares, CODEC.encode(TABLE), os.urandom)
MASK = np.random.default_rng(0).integers(0, 1 << 32, DOMAIN.shape, np.uint32)


def proved(party: Party, shift: np.ndarray | None = None, liar: int = 0) -> ArithmeticShares:
    """Share the counts as servers 0 and 1 do, the liar's part shifted, and prove them."""
    part = {0: MASK, 1: COUNTS - MASK}.get(party.index)
    if part is not None and shift is not None and party.index == liar:
        part = part + shift
    counts = reshare(party, ArithmeticShares, part, DOMAIN.shape, np.uint32)
    return prove_counts(party, counts, RECORDS[party.index], CODEC, os.urandom)


@pytest.mark.parametrize("audited", [False, True])
def test_honest_counts_pass_and_are_widened(audited, monkeypatch):
    monkeypatch.setattr(proving, "_BLOCK", 128)
    monkeypatch.setattr(proving, "_CELLS", 64)
    found = reconstruct(run_three(proved, audited=audited))
    assert found.dtype == np.uint64
    assert np.array_equal(found, COUNTS)


def shifts() -> dict[str, np.ndarray]:
    """Return what a server may add to its part of the counts."""
    nothing = np.zeros(DOMAIN.shape, np.uint32)
    one, moved, whole, high, far = (nothing.copy() for _ in range(5))
    one[0, 3] = 5
    moved[0, 3], moved[1, 30] = 1, (1 << 32) - 1
    whole[:] = 4  # every cell, so that each group is asked whether it is empty
    high[1, 2] = 1 << 31
    far[:, ::2], far[:, 1::2] = 9, (1 << 32) - 9  # it sums to nothing
    return {"one": one, "moved": moved, "whole": whole, "high": high, "far": far}


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize("shift", shifts())
def test_a_shifted_count_is_found_before_anything_is_opened(liar, shift):
    outcomes = outcomes_of_three(lambda party: proved(party, shifts()[shift], liar), audited=True)
    for error in honest_errors(outcomes, liar):
        assert "not those of the accepted reports" in str(error)


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("step", ["reshare", "AND", "multiply", "open to all"])
def test_lies_on_the_way_are_found(liar, step):
    if step == "reshare" and liar == 2:
        pytest.skip("server 2 sends nothing there")
    outcomes = outcomes_of_three(
        lambda party: proved(lying(party, liar, step, consistently=True)), audited=True
    )
    honest = [one for server, one in enumerate(outcomes) if server != liar]
    assert any(isinstance(one, Exception) for one in honest)
    if step != "open to all":
        honest_errors(outcomes, liar)


def test_a_record_that_answers_nothing_is_no_cell():
    records = CODEC.encode(TABLE)
    records[7, : CODEC.sensitive_block.start] = 255
    shares = split(BooleanShares, records, os.urandom)

    def work(party: Party) -> Any:
        part = {0: MASK, 1: COUNTS - MASK}.get(party.index)
        counts = reshare(party, ArithmeticShares, part, DOMAIN.shape, np.uint32)
        return prove_counts(party, counts, shares[party.index], CODEC, os.urandom)

    for outcome in outcomes_of_three(work):
        assert "not those of the accepted reports" in str(outcome)


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize(("step", "said"), [("AND", "AND gate"), ("multiply", "product")])
def test_a_lie_in_the_recoder_is_found_before_its_next_opening(liar, step, said):
    wide = split(ArithmeticShares, COUNTS.astype(np.uint64), os.urandom)
    opened: list[str] = []

    class Watched(SharedNumbers):
        def open(self, values: Any) -> Any:
            found = super().open(values)
            opened.append("opened")
            return found

    def work(party: Party) -> Any:
        own = lying(party, liar, step, consistently=True)
        return recode(Watched(own, os.urandom), wide[party.index], DOMAIN, records=300, k=9)

    for error in honest_errors(outcomes_of_three(work, audited=True), liar):
        assert said in str(error)
    assert not opened

    # without the proofs the lie is worked with
    def unproved(party: Party) -> Any:
        own = replace(lying(party, liar, step, consistently=True), gates=None, products=None)
        return recode(SharedNumbers(own, os.urandom), wide[party.index], DOMAIN, records=300, k=9)

    assert not any("changed" in str(one) for one in outcomes_of_three(unproved))
