"""Tables that hold the first rows of a domain only, and results that are written over."""

import secrets
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.donation.functions import (
    PartyKey,
    PointFunction,
    PublicShare,
    VerificationKey,
    accumulate,
    empty_table,
    evaluate,
    generate,
    system_randomness,
    verdicts,
)
from sfumato.donation.functions.fixed_key_hash import FixedKeyHash, correct, fixed_keys, sigma
from sfumato.donation.functions.processor import widths
from sfumato.errors import ProtocolError

VERIFICATION_KEY = VerificationKey(bytes(range(32)))
NONCE = bytes(range(16))
DOMAIN = PointFunction(12, "count")  # four subtrees
PATHS = ["numpy", *(["compiled"] if widths() else [])]


def pair(position, function=DOMAIN, payload=1):
    return generate(function, position, payload, nonce=NONCE, randomness=system_randomness())


def counted(pairs, path, positions):
    """Both servers' tables, and their verdicts."""
    tables, checks = [], []
    for party in (0, 1):
        table = empty_table(DOMAIN, positions)
        checks.append(
            accumulate([keys[party] for keys in pairs], table, VERIFICATION_KEY, path=path)
        )
        tables.append(table)
    return tables[0] + tables[1], verdicts(*checks)


def test_a_table_has_whole_subtrees():
    assert [len(empty_table(DOMAIN, used)) for used in (1, 1024, 1025, 3000, 4096)] == [
        1024,
        1024,
        2048,
        3072,
        4096,
    ]
    assert len(empty_table(PointFunction(4, "count"), 3)) == 16
    for used in (0, 4097):
        with pytest.raises(ProtocolError, match="positions"):
            empty_table(DOMAIN, used)
    with pytest.raises(ProtocolError, match="multiple of 1024"):
        accumulate([pair(0)[0]], np.zeros(1000, np.uint32), VERIFICATION_KEY)


@pytest.mark.parametrize("path", PATHS)
def test_what_lies_in_the_table_is_counted_and_what_lies_beyond_refused(path):
    places = [0, 5, 1023, 1024, 2047, 2048, 3071, 3072, 4095]
    table, accepted = counted([pair(place) for place in places], path, 2500)
    inside = [place for place in places if place < 3072]
    assert accepted.tolist() == [place < 3072 for place in places]
    assert np.array_equal(table, np.bincount(inside, minlength=3072))


@pytest.mark.skipif(len(PATHS) == 1, reason="this processor has no AES instructions")
def test_both_paths_prove_the_same():
    for key in pair(1500):
        marks = np.random.default_rng(2).integers(0, 1 << 32, 2048, np.uint32)
        found = [
            accumulate([key], empty_table(DOMAIN, 2000), VERIFICATION_KEY, marks=marks, path=path)
            for path in PATHS
        ]
        assert np.array_equal(found[0].proofs, found[1].proofs)
        assert np.array_equal(found[0].totals, found[1].totals)
        assert np.array_equal(found[0].marks, found[1].marks)


@pytest.mark.parametrize("path", PATHS)
@settings(deadline=None, max_examples=12)
@given(st.integers(1, 4), st.lists(st.integers(0, 1023), min_size=1, max_size=3), st.booleans())
def test_two_servers_share_the_mark_of_a_position_and_nothing_else(path, subtrees, places, remove):
    marks = np.random.default_rng(places).integers(0, 1 << 32, 1024 * subtrees, np.uint32)
    places = [place + 1024 * (place % subtrees) for place in places]
    pairs = [pair(place) for place in places]
    shares = []
    for party in (0, 1):
        keys = [each[party] for each in pairs]
        table = empty_table(DOMAIN, len(marks))
        found = accumulate(keys, table, VERIFICATION_KEY, marks=marks, remove=remove, path=path)
        shares.append(found.marks)
        # what each server makes alone, of the counts that one key has added
        for key, share in zip(keys, found.marks, strict=True):
            own = empty_table(DOMAIN, len(marks))
            unmarked = accumulate([key], own, VERIFICATION_KEY, path=path)
            assert np.bitwise_xor.reduce(marks[own % 2 == 1]) == share
            assert not unmarked.marks.any()
    assert np.array_equal(shares[0] ^ shares[1], marks[places])
    assert (shares[0] != 0).all()  # one server alone does not see it


@pytest.mark.parametrize("path", PATHS)
def test_marks_that_differ_are_refused(path):
    """Each server adds its share of what the mark should be; here one of them adds all of it."""
    places = [0, 5, 1023, 1024, 2500, 3071]
    pairs = [pair(place) for place in places]
    marks = np.random.default_rng(1).integers(0, 1 << 32, 3072, np.uint32)
    mine, theirs = (
        accumulate(
            [keys[party] for keys in pairs],
            empty_table(DOMAIN, 2500),
            VERIFICATION_KEY,
            marks=marks,
            path=path,
        )
        for party in (0, 1)
    )
    assert not verdicts(mine, theirs).any()
    wanted = mine.marks ^ marks[places]
    assert verdicts(replace(mine, marks=wanted), theirs).all()
    wanted[2] ^= 1 << 31
    assert np.flatnonzero(~verdicts(replace(mine, marks=wanted), theirs)).tolist() == [2]


def forged(row, spoiled):
    """Keys that are a point in the table, and more in a subtree beyond it.

    `spoiled` is XORed to the correction of the last level above the subtrees, and all that follows
    is made to fit, as a donor could.
    """
    keys = pair(row)
    hashes = [FixedKeyHash(key) for key in fixed_keys(DOMAIN, NONCE)]
    encoded = bytearray(keys[0].public.encoded)
    labels = np.stack([np.frombuffer(key.secret, "<u8") for key in keys]).astype(np.uint64)
    for level, branch in enumerate(DOMAIN.branches(row)):
        start = 5 + 16 * level
        hashed = hashes[0](sigma(labels))
        if level == DOMAIN.top - 1:
            correction = np.frombuffer(bytes(encoded[start : start + 16]), "<u8") ^ spoiled
        elif level >= DOMAIN.top:
            correction = hashed[0] ^ hashed[1]
            if not branch:
                correction = correction ^ labels[0] ^ labels[1]
        else:
            correction = np.frombuffer(bytes(encoded[start : start + 16]), "<u8")
        encoded[start : start + 16] = correction.astype("<u8").tobytes()
        correct(hashed, labels, correction)
        labels = hashed ^ labels if branch else hashed
    tags = [hashes[use](sigma(labels)) for use in (2, 3)]
    check = b"".join((tag[0] ^ tag[1]).tobytes() for tag in tags)
    first, second = (int(tags[0][party, 0]) & 0xFFFFFFFF for party in (0, 1))
    number = 1 - first + second if labels[0, 0] & np.uint64(1) else first - second - 1
    start = 5 + 16 * DOMAIN.depth
    encoded[start : start + 32] = (number % 2**32).to_bytes(4, "little") + check[4:]
    public = PublicShare(DOMAIN, NONCE, bytes(encoded))
    return tuple(PartyKey(public, key.party, key.secret) for key in keys)


@pytest.mark.parametrize("path", PATHS)
def test_a_key_that_differs_beyond_the_table_is_refused(path):
    """Row 7 lies in subtree 0, whose sibling at the last level above is subtree 2."""
    honest = forged(7, np.zeros(2, np.uint64))
    assert counted([honest], path, 2048)[1].all()
    for spoiled in ([2, 0], [0, 1], [1 << 40, 1 << 63]):
        table, accepted = counted([forged(7, np.array(spoiled, np.uint64))], path, 2048)
        # What is in the table looks right, so it is the subtrees' roots that tell.
        assert table[7] == 1
        assert table.sum() == 1
        assert not accepted.any()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["bit", "block"])
def test_a_result_is_written_over(kind, path):
    function = PointFunction(11, kind)
    payload = 1 if kind == "bit" else secrets.token_bytes(16)
    first, second = pair(3, function, payload), pair(900, function, payload)
    wanted = evaluate(second[0], path=path).copy()
    out = evaluate(first[0], path=path)
    again = evaluate(second[0], out=out, path=path)
    assert np.array_equal(again, wanted)
    assert np.shares_memory(again, out)
    with pytest.raises(ProtocolError, match="out is no result"):
        evaluate(first[0], out=np.zeros(5, np.uint8), path=path)
