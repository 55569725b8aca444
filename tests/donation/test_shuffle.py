"""The three-server shuffle: the same records in uniform order, and every kind of lie caught."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from tests.donation.test_sharing import honest_errors, lying

from sfumato.donation.sharing import (
    BooleanShares,
    KeyStream,
    Party,
    open_to_all,
    outcomes_of_three,
    reconstruct,
    run_three,
    shuffle,
    split,
)
from sfumato.donation.sharing.binary_field_kernels import row_tags
from sfumato.donation.sharing.permutation import draw_permutation
from sfumato.errors import PlanError, ProtocolError

RECORDS = np.random.default_rng(3).integers(0, 256, (20, 16), dtype=np.uint8)


@given(rows=st.integers(0, 90), octets=st.sampled_from([0, 8, 24]), wide=st.booleans())
@settings(deadline=None, max_examples=8)
def test_the_same_records_come_out_freshly_shared(rows, octets, wide):
    records = np.random.default_rng(rows).integers(0, 256, (rows, octets), dtype=np.uint8)
    records = records.view(np.uint64) if wide and octets else records
    shares = split(BooleanShares, records, os.urandom)

    def work(party: Party) -> Any:
        out = shuffle(party, shares[party.index], os.urandom)
        return out, open_to_all(party, out)

    results = run_three(work)
    out = [one for one, _ in results]
    opened = results[0][1]
    assert opened.dtype == records.dtype
    assert opened.shape == records.shape
    assert sorted(map(bytes, opened)) == sorted(map(bytes, records))
    assert np.array_equal(reconstruct(out), opened)
    if rows > 8 and octets:
        assert not np.array_equal(np.sort(out[0].first, 0), np.sort(shares[0].first, 0))
        assert not np.array_equal(opened, records)


def test_many_blocks_and_the_traffic():
    records = np.arange(90_000, dtype=np.uint64).reshape(-1, 2)  # 720 kB: three blocks
    shares = split(BooleanShares, records, os.urandom)

    def work(party: Party) -> Any:
        before = party.channels.traffic
        out = shuffle(party, shares[party.index], os.urandom)
        return out, party.channels.traffic - before

    results = run_three(work)
    opened = reconstruct([out for out, _ in results])
    assert not np.array_equal(opened, records)
    assert np.array_equal(opened[np.argsort(opened[:, 0])], records)
    for _, traffic in results:
        # two of three passes of records and salts, two trees of tags, a coin and an opening
        assert traffic.sent == 2 * 45_000 * 24 + 2 * 8 * 44_999 + 4 * 32 + 2 * 64 + 48
        assert traffic.rounds == 2 + 16 + 3


@pytest.mark.parametrize("shape", [(4, 7), (8,)])
def test_records_are_padded_by_their_owner(shape):
    shares = split(BooleanShares, np.zeros(shape, np.uint8), os.urandom)
    with pytest.raises(PlanError, match="multiple of 8"):
        run_three(lambda party: shuffle(party, shares[party.index], os.urandom))


class OtherOrder(KeyStream):
    """The stream of a server that orders its part otherwise than agreed."""

    def __init__(self, inner: KeyStream) -> None:
        self._inner = inner

    def begin(self, purpose: str) -> Any:
        return self._inner.begin(purpose)

    def draw(self, shape: Any, dtype: Any, purpose: str) -> np.ndarray:
        words = self._inner.draw(shape, dtype, purpose)
        return words[::-1].copy() if purpose == "permutation" else words


def two_rows(octets: np.ndarray) -> np.ndarray:
    """Put a record in the place of another: one is dropped, one doubled."""
    rows = octets.reshape(20, -1)
    rows[3] = rows[4]
    return octets


def exchanged(octets: np.ndarray) -> np.ndarray:
    rows = octets.reshape(20, -1)
    rows[[3, 4]] = rows[[4, 3]]
    return octets


def last_bit(octets: np.ndarray) -> np.ndarray:
    octets[-1] ^= 128
    return octets


def run_lied(lie: Any, records: np.ndarray = RECORDS) -> list[Any]:
    shares = split(BooleanShares, records, os.urandom)

    def work(party: Party) -> Any:
        own = lie(party)
        out = shuffle(own, shares[party.index], os.urandom)
        return open_to_all(own, out)

    return outcomes_of_three(work)


@pytest.mark.parametrize("leader", range(3))
@pytest.mark.parametrize("role", range(2))
@pytest.mark.parametrize("alter", [last_bit, two_rows, exchanged])
@pytest.mark.parametrize("salts", [False, True])
def test_altered_dropped_doubled_and_exchanged_records_are_caught(leader, role, alter, salts):
    liar = (leader + role) % 3
    step, which = f"shuffle, pass {leader}", {"alter": alter, "skip": int(salts)}
    outcomes = run_lied(lambda party: lying(party, liar, step, consistently=True, **which))
    for error in honest_errors(outcomes, liar):
        assert "not those that went in" in str(error)

    # What is sent wrong and used right in the next pass, of which the deceived server is no part,
    # changes nothing; else it is caught.
    outcomes = run_lied(lambda party: lying(party, liar, step, **which))
    if role == 1 and leader < 2:
        assert all(sorted(map(bytes, one)) == sorted(map(bytes, RECORDS)) for one in outcomes)
    else:
        honest_errors(outcomes, liar)


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("place", range(2))
@pytest.mark.parametrize("records", [RECORDS, np.zeros_like(RECORDS)])
def test_another_order_is_caught_even_of_equal_records(liar, place, records):
    def lie(party: Party) -> Party:
        if party.index != liar:
            return party
        streams = list(party.streams)
        streams[place] = OtherOrder(streams[place])
        return replace(party, streams=tuple(streams))

    for error in honest_errors(run_lied(lie, records), liar):
        assert "not those that went in" in str(error)


@pytest.mark.parametrize("liar", range(3))
def test_other_input_shares_are_caught(liar):
    """A server that starts from altered components: its neighbours hold the true ones."""
    shares = split(BooleanShares, RECORDS, os.urandom)

    def work(party: Party) -> Any:
        own = shares[party.index]
        if party.index == liar:
            own = BooleanShares(own.first ^ np.uint8(1), own.second)
        return open_to_all(party, shuffle(party, own, os.urandom))

    outcomes = outcomes_of_three(work)
    honest_errors(outcomes, liar)


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("skip", [0, 2, 4])
def test_lies_in_the_check_itself_are_caught(liar, skip):
    """Neither an honest shuffle with a forged product passes, nor a forged one with a forged."""
    which = {"skip": skip, "consistently": True}
    outcomes = run_lied(lambda party: lying(party, liar, "multiply tags", **which))
    for error in honest_errors(outcomes, liar):
        assert "not those that went in" in str(error)

    def both(party: Party) -> Party:
        own = lying(party, liar, f"shuffle, pass {liar}", consistently=True)
        return lying(own, liar, "multiply tags", **which)

    honest_errors(run_lied(both), liar)


def test_tags_of_a_difference_are_uniform():
    """The hash's part of the bound: over the coin, the tag of any one difference is uniform."""
    row = np.zeros((1, 2), np.uint64)
    row[0, 1] = 1 << 63
    low, high = [], []
    coin = KeyStream(b"coin")
    for _ in range(2560):
        tag = np.zeros(1, np.uint64)
        row_tags(row, coin.draw(2, np.uint64, "weights"), tag)
        low.append(int(tag[0]) & 15)
        high.append(int(tag[0]) >> 60)
    for part in (low, high):
        assert chisquare(np.bincount(part, minlength=16)).pvalue > 1e-4


@pytest.mark.parametrize("count", [2, 3, 4])
def test_permutations_are_uniform(count):
    stream = KeyStream(b"a fixed key: this test draws the same every time")
    orders = Counter(tuple(draw_permutation(stream, count).tolist()) for _ in range(4800))
    assert len(orders) == len(list(itertools.permutations(range(count))))
    assert chisquare(list(orders.values())).pvalue > 1e-4


@pytest.mark.parametrize("bits", [4, 12, 40, 64])
def test_the_order_is_that_of_the_words(bits):
    """Words that differ only where their places are marked are sorted as a whole."""
    for count in (1, 2, 100, 1000):
        words = np.random.default_rng(bits).choice(1 << min(bits, 62), count).astype(np.uint64)
        words = np.unique(words << np.uint64(64 - bits) if bits == 12 else words)[::-1].copy()
        scripted = type("Script", (KeyStream,), {"draw": lambda *_, words=words: words})
        found = draw_permutation(scripted(b""), len(words))
        assert found.tolist() == np.argsort(words).tolist()
        assert found.dtype == np.intp


def test_every_record_goes_everywhere_alike():
    stream = KeyStream(b"another fixed key")
    places = np.zeros((8, 8))
    for _ in range(3200):
        places[np.arange(8), draw_permutation(stream, 8)] += 1
    # rows and columns sum to the same: 49 free cells
    statistic = ((places - 400) ** 2 / 400).sum() * 7 / 8
    assert 20 < statistic < 95  # chi-square of 49: below 1e-4 on either side


def test_equal_words_are_drawn_again():
    class Script(KeyStream):
        words = iter([[5, 1, 5], [3, 2, 9]])

        def draw(self, shape: Any, dtype: Any, purpose: str) -> np.ndarray:
            return np.array(next(self.words), dtype)

    assert draw_permutation(Script(b""), 3).tolist() == [1, 0, 2]


def test_nothing_comes_out_when_a_server_stops():
    def work(party: Party) -> Any:
        if party.index == 2:
            return None
        shares = split(BooleanShares, RECORDS, os.urandom)
        return shuffle(party, shares[party.index], os.urandom)

    outcomes = outcomes_of_three(work, timeout=5)
    assert all(isinstance(one, ProtocolError) for one in outcomes[:2])
