"""Point functions: right everywhere, the same on every path, refused when they are malformed."""

import hashlib
import secrets
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.donation.functions import (
    Checks,
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
    write,
)
from sfumato.donation.functions.fixed_key_hash import fixed_keys
from sfumato.donation.functions.generation import RANDOMNESS_BYTES
from sfumato.donation.functions.processor import widths
from sfumato.donation.functions.verification import digest_of_labels, proofs_of
from sfumato.errors import EngineError, ProtocolError

VERIFICATION_KEY = VerificationKey(bytes(range(32)))
NONCE = bytes(range(16))
compiled = pytest.mark.skipif(not widths(), reason="this processor has no AES instructions")


def pair(function, position, payload, nonce=NONCE, randomness=None):
    drawn = randomness or system_randomness()
    return generate(function, position, payload, nonce=nonce, randomness=drawn)


def payload_of(kind, seed):
    return {"bit": 1, "u32": seed % 2**32, "u64": seed % 2**64, "count": 1}.get(
        kind, seed.to_bytes(16, "big")
    )


def added(kind, first, second):
    return first ^ second if kind in {"bit", "block"} else first + second


def at(function, values, position):
    """The payload at a position, as `generate` takes it."""
    if function.payload == "bit":
        return int(values[position // 8] >> (position % 8) & 1)
    if function.payload == "block":
        return values[position].tobytes()
    return int(values[position])


# --- right everywhere ---------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["bit", "u32", "u64", "block"]),
    st.integers(1, 12),
    st.integers(0, 2**128 - 1),
    st.binary(min_size=RANDOMNESS_BYTES, max_size=RANDOMNESS_BYTES),
    st.data(),
)
def test_shares_give_the_payload_in_its_place_and_nothing_elsewhere(
    kind, bits, seed, randomness, data
):
    function = PointFunction(bits, kind)
    position = data.draw(st.integers(0, function.size - 1))
    payload = payload_of(kind, seed)
    keys = pair(function, position, payload, randomness=randomness)
    values = added(kind, *(evaluate(key, path="numpy") for key in keys))
    assert at(function, values, position) == payload
    if kind == "bit":
        assert np.unpackbits(values).sum() == 1
    else:
        assert np.count_nonzero(values.reshape(len(values), -1).any(axis=1)) == (
            payload not in {0, bytes(16)}
        )


@settings(deadline=None, max_examples=10)
@given(st.integers(3, 12), st.integers(1, 100), st.data())
def test_records_and_counts_come_to_their_places(bits, length, data):
    record, count = PointFunction(bits, "record", length), PointFunction(bits, "count")
    places = data.draw(st.lists(st.integers(0, record.size - 1), min_size=1, max_size=4))
    texts = [secrets.token_bytes(length) for _ in places]
    records = [pair(record, place, text) for place, text in zip(places, texts, strict=True)]
    counts = [pair(count, place, 1) for place in places]
    tables, totals = [], []
    for party in (0, 1):
        table = empty_table(record)
        checks = write([keys[party] for keys in records], table, VERIFICATION_KEY, path="numpy")
        tables.append(table[:, :length])
        totals.append(checks.totals)
    wanted = np.zeros((record.size, length), np.uint8)
    for place, text in zip(places, texts, strict=True):
        wanted[place] ^= np.frombuffer(text, np.uint8)
    assert np.array_equal(tables[0] ^ tables[1], wanted)
    assert [total.tobytes() for total in totals[0] ^ totals[1]] == texts
    shares = [empty_table(count) for _ in (0, 1)]
    for party, share in enumerate(shares):
        accumulate([keys[party] for keys in counts], share, VERIFICATION_KEY, path="numpy")
    assert np.array_equal(shares[0] + shares[1], np.bincount(places, minlength=count.size))


def plain_row(key, row):
    """One row by one walk down the tree, in Python's own numbers: an oracle with no array."""
    function = key.public.function
    encryptors = [
        Cipher(algorithms.AES(part), modes.ECB()).encryptor()
        for part in fixed_keys(function, key.public.nonce)
    ]
    whole, low = (1 << 128) - 1, (1 << 64) - 1

    def image(label):
        high = label >> 64
        return high | (high ^ (label & low)) << 64

    def permuted(use, number):
        return int.from_bytes(
            encryptors[use].update((number & whole).to_bytes(16, "little")), "little"
        )

    corrections = key.public.encoded[5:]
    label = int.from_bytes(key.secret, "little")
    for level, branch in enumerate(function.branches(row)):
        correction = int.from_bytes(corrections[16 * level : 16 * level + 16], "little")
        child = permuted(0, image(label)) ^ image(label)
        child ^= correction if label & 1 else 0
        label = child ^ label if branch else child
    blocks = function.row_bytes // 16
    output = b"".join(
        (permuted(1, image(label) ^ block) ^ image(label)).to_bytes(16, "little")
        for block in range(blocks)
    )
    tag = [permuted(use, image(label)) ^ image(label) for use in (2, 3)]
    return label & 1, output, tag


def test_a_walk_down_the_tree_gives_the_same_rows():
    function = PointFunction(14, "block")
    key = pair(function, 12_345, bytes(range(16)))[1]
    values = evaluate(key, path="numpy")
    for row in (0, 1, 2, 1023, 1024, 2049, 3086, function.rows - 1):
        control, output, _ = plain_row(key, row)
        expected = np.frombuffer(output, np.uint8).copy()
        if control:
            expected ^= np.frombuffer(key.public.encoded[-64:], np.uint8)
        assert values[4 * row : 4 * row + 4].tobytes() == expected.tobytes()


def test_a_proof_is_the_compression_of_corrected_tags():
    function = PointFunction(3, "record", 5)
    key = pair(function, 6, b"hello")[0]
    words = VERIFICATION_KEY.words(8)
    check = [int.from_bytes(key.public.encoded[53 + start :][:16], "little") for start in (0, 16)]
    message = [[], []]
    for row in range(8):
        control, _, tag = plain_row(key, row)
        for half in (0, 1):
            message[half].append(tag[half] ^ (check[half] if control else 0))
    flat = [
        number >> (32 * part) & 0xFFFFFFFF
        for half in message
        for number in half
        for part in range(4)
    ]
    sums = []
    for index in (0, 1):
        stream = words[index:].view(np.uint32).tolist()
        total = 0
        for place in range(0, len(flat), 2):
            first = (flat[place] + stream[place]) % 2**32
            total += first * ((flat[place + 1] + stream[place + 1]) % 2**32)
        sums.append(total % 2**64)
    expected = proofs_of(
        [key],
        np.array([sums], np.uint64),
        [digest_of_labels(np.zeros((0, 2), np.uint64))],
        VERIFICATION_KEY,
    )
    for path in ("numpy", "auto"):
        checks = write([key], empty_table(function), VERIFICATION_KEY, path=path)
        assert np.array_equal(checks.proofs, expected)


# --- the same on every path ---------------------------------------------------------------------


@compiled
@pytest.mark.parametrize("bits", [1, 9, 12])
@pytest.mark.parametrize(
    "kind",
    # Numbers are two more compiled variants, of seconds each where nothing is compiled yet.
    ["bit", "block", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("u32", "u64"))],
)
def test_both_paths_give_the_same_shares(kind, bits):
    function = PointFunction(bits, kind)
    for key in pair(function, function.size // 3, payload_of(kind, 2**127 + 5)):
        numpy = evaluate(key, path="numpy")
        assert numpy.tobytes() == evaluate(key, path="compiled").tobytes()


def random_marks(rows):
    return np.random.default_rng(rows).integers(0, 1 << 32, rows, np.uint32)


def both_tables(function, keys, path, width=None):
    """A table that is not empty, and the checks, on one path."""
    table = empty_table(function)
    table[:] = np.arange(table.size).reshape(table.shape) % 251
    if width is None:
        if function.payload == "count":
            checks = accumulate(
                keys, table, VERIFICATION_KEY, marks=random_marks(len(table)), path=path
            )
        else:
            checks = write(keys, table, VERIFICATION_KEY, path=path)
        return table, checks.proofs, checks.totals, checks.marks
    from sfumato.donation.functions import compiled_evaluation

    marked = np.zeros(0, np.uint32)
    if function.payload == "count":
        *found, marked = compiled_evaluation.add_counts(
            keys, table, VERIFICATION_KEY, random_marks(len(table)), width, remove=False
        )
    else:
        found = compiled_evaluation.add_records(keys, table, VERIFICATION_KEY, width)
    sums, totals, beyond = found
    return table, proofs_of(keys, sums, beyond, VERIFICATION_KEY), totals, marked


@compiled
@settings(deadline=None, max_examples=12)
@given(st.integers(3, 12), st.integers(1, 300), st.integers(1, 3), st.integers(0, 1))
def test_both_paths_give_the_same_tables_and_proofs(bits, length, count, party):
    for function, payload in (
        (PointFunction(bits, "record", length), secrets.token_bytes(length)),
        (PointFunction(bits, "count"), 1),
    ):
        keys = [pair(function, place, payload)[party] for place in range(count)]
        for numpy, fast in zip(
            both_tables(function, keys, "numpy"),
            both_tables(function, keys, "compiled"),
            strict=True,
        ):
            assert numpy.tobytes() == fast.tobytes()


@compiled
@pytest.mark.slow
def test_every_width_of_vectors_gives_the_same():
    for function, payload in (
        (PointFunction(11, "record", 128), bytes(range(128))),
        (PointFunction(11, "count"), 1),
    ):
        keys = [pair(function, place, payload)[1] for place in (0, 77, 2047)]
        found = [both_tables(function, keys, "compiled", width) for width in widths()]
        for other in found[1:]:
            for first, second in zip(found[0], other, strict=True):
                assert first.tobytes() == second.tobytes()


@compiled
@pytest.mark.slow
def test_a_second_process_loads_what_the_first_compiled():
    program = (
        "from sfumato.donation.functions import *\n"
        "from sfumato.donation.functions import tree_kernels\n"
        "family = PointFunction(10, 'block')\n"
        "keys = generate(family, 3, bytes(16), nonce=bytes(16), randomness=bytes(range(32)))\n"
        "evaluate(keys[0], path='compiled')\n"
        "statistics = tree_kernels.row_subtrees.stats\n"
        "print(sum(statistics.cache_hits.values()), sum(statistics.cache_misses.values()))\n"
    )
    command = [sys.executable, "-c", program]
    subprocess.run(command, check=True, capture_output=True)
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["1", "0"]


def test_a_processor_without_the_instructions_takes_numpy(monkeypatch):
    from llvmlite import binding

    monkeypatch.setattr(binding, "get_host_cpu_features", dict)
    widths.cache_clear()
    try:
        function = PointFunction(5, "block")
        keys = pair(function, 7, bytes(range(16)))
        shares = [evaluate(key) for key in keys]
        assert (shares[0] ^ shares[1])[7].tobytes() == bytes(range(16))
        with pytest.raises(EngineError, match="AES"):
            evaluate(keys[0], path="compiled")
    finally:
        widths.cache_clear()


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({}, ()),
        ({"vaes": True, "avx2": True, "avx512f": True}, ()),
        ({"aes": True, "vaes": False, "avx2": True, "avx512f": True}, (1,)),
        ({"aes": True, "vaes": True, "avx2": True, "avx512f": False}, (1, 2)),
        ({"aes": True, "vaes": True, "avx2": True, "avx512f": True}, (1, 2, 4)),
    ],
)
def test_only_what_the_processor_has_is_compiled(monkeypatch, features, expected):
    from llvmlite import binding

    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: features)
    widths.cache_clear()
    try:
        assert widths() == expected
    finally:
        widths.cache_clear()


# --- malformed keys -----------------------------------------------------------------------------

COUNT, RECORD = PointFunction(8, "count"), PointFunction(8, "record", 24)


def flipped(raw, place, bit=0):
    changed = bytearray(raw)
    changed[place] ^= 1 << bit
    return bytes(changed)


def with_public(keys, encoded):
    public = replace(keys[0].public, encoded=encoded)
    return tuple(replace(key, public=public) for key in keys)


def judged(function, reports, verification_key=VERIFICATION_KEY):
    """What the two servers say to some reports."""
    found = []
    add = accumulate if function.payload == "count" else write
    for party in (0, 1):
        keys = [keys[party] for keys in reports]
        found.append(add(keys, empty_table(function), verification_key))
    return verdicts(*found)


def honest(function, count):
    payload = 1 if function.payload == "count" else bytes(range(function.length))
    return [
        pair(function, secrets.randbelow(function.size), payload, nonce=secrets.token_bytes(16))
        for _ in range(count)
    ]


def levels(function, place):
    return 5 + 16 * place


MALFORMED = {
    "a bit of the first level": lambda f, k: with_public(k, flipped(k[0].public.encoded, 5, 3)),
    "a bit of a middle level": lambda f, k: with_public(
        k, flipped(k[0].public.encoded, levels(f, f.depth // 2) + 9, 7)
    ),
    "a bit of the last level": lambda f, k: with_public(
        k, flipped(k[0].public.encoded, levels(f, f.depth - 1) + 4)
    ),
    "a control bit": lambda f, k: with_public(k, flipped(k[0].public.encoded, levels(f, 2))),
    "a bit of the tag's correction": lambda f, k: with_public(
        k, flipped(k[0].public.encoded, levels(f, f.depth) + 31, 5)
    ),
    "another root": lambda f, k: (replace(k[0], secret=flipped(k[0].secret, 15)), k[1]),
    "no correction at all": lambda f, k: with_public(k, f.header + bytes(f.public_bytes - 5)),
    "another public share at one server": lambda f, k: (
        k[0],
        replace(k[1], public=honest(f, 1)[0][0].public),
    ),
    "another nonce at one server": lambda f, k: (
        k[0],
        replace(k[1], public=replace(k[1].public, nonce=bytes(16))),
    ),
    "keys of two reports": lambda f, k: (k[0], honest(f, 1)[0][1]),
    "levels in another order": lambda f, k: with_public(
        k,
        k[0].public.encoded[:5]
        + k[0].public.encoded[21:37]
        + k[0].public.encoded[5:21]
        + k[0].public.encoded[37:],
    ),
    "roots that are equal but for the party": lambda f, k: (
        k[0],
        replace(k[1], secret=flipped(k[0].secret, 0)),
    ),
}


@pytest.mark.parametrize("function", [COUNT, RECORD], ids=lambda function: function.payload)
@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_keys_are_refused(kind, function):
    reports = [MALFORMED[kind](function, keys) for keys in honest(function, 8)]
    assert not judged(function, reports).any()


@pytest.mark.parametrize("function", [COUNT, RECORD], ids=lambda function: function.payload)
def test_every_flipped_bit_is_refused(function):
    [keys] = honest(function, 1)
    end = function.public_bytes - (0 if function.payload == "count" else function.length)
    encoded = keys[0].public.encoded
    reports = [
        with_public(keys, flipped(encoded, place, bit))
        for place in range(5, end)
        for bit in (0, 3, 7)
    ]
    assert not judged(function, reports).any()


@pytest.mark.parametrize("amount", [2, 3, 2**31, 2**32 - 1])
def test_a_count_that_is_not_one_is_refused_by_the_sum(amount):
    [keys] = honest(COUNT, 1)
    place = levels(COUNT, COUNT.depth)
    encoded = keys[0].public.encoded
    before = int.from_bytes(encoded[place : place + 4], "little")
    reports = []
    for sign in (1, -1):  # which of the two parties corrects is not to be told from the key
        after = (before + sign * (amount - 1)) % 2**32
        reports.append(
            with_public(keys, encoded[:place] + after.to_bytes(4, "little") + encoded[place + 4 :])
        )
    assert not judged(COUNT, reports).any()
    checks = [
        accumulate([keys[party] for keys in reports], empty_table(COUNT), VERIFICATION_KEY)
        for party in (0, 1)
    ]
    assert amount in (checks[0].totals + checks[1].totals).tolist()


def test_two_places_are_refused_however_they_are_corrected():
    """A last level that is wrong makes both children differ; the donor corrects for either."""
    [keys] = honest(RECORD, 1)
    encoded = flipped(keys[0].public.encoded, levels(RECORD, RECORD.depth - 1) + 3)
    forged = with_public(keys, encoded)
    rows = [[plain_row(key, row) for row in range(RECORD.rows)] for key in forged]
    differing = [row for row in range(RECORD.rows) if rows[0][row][2] != rows[1][row][2]]
    assert len(differing) == 2
    start = levels(RECORD, RECORD.depth)
    reports = []
    for row in differing:
        tag = b"".join(
            (rows[0][row][2][half] ^ rows[1][row][2][half]).to_bytes(16, "little")
            for half in (0, 1)
        )
        reports.append(with_public(forged, encoded[:start] + tag + encoded[start + 32 :]))
    assert not judged(RECORD, reports).any()


def test_another_record_in_the_same_place_is_still_a_point_function():
    [keys] = honest(RECORD, 1)
    changed = with_public(keys, flipped(keys[0].public.encoded, RECORD.public_bytes - 1))
    assert judged(RECORD, [changed]).all()


@pytest.mark.parametrize("function", [COUNT, RECORD], ids=lambda function: function.payload)
def test_honest_keys_are_never_refused(function):
    assert judged(function, honest(function, 600)).all()


@pytest.mark.slow
@pytest.mark.parametrize("function", [COUNT, RECORD], ids=lambda function: function.payload)
def test_ten_thousand_honest_keys_are_never_refused(function):
    assert judged(function, honest(function, 10_000)).all()


def test_servers_with_different_verification_keys_refuse_everything():
    [keys] = honest(COUNT, 1)
    found = [
        accumulate([key], empty_table(COUNT), VerificationKey(bytes([party]) * 32))
        for party, key in enumerate(keys)
    ]
    assert not verdicts(*found).any()


def test_what_was_refused_is_taken_off():
    reports = honest(COUNT, 3)
    table = empty_table(COUNT)
    accumulate([keys[1] for keys in reports], table, VERIFICATION_KEY)
    assert table.any()
    for path in ("numpy", "auto"):
        again = table.copy()
        keys = [keys[1] for keys in reports]
        accumulate(keys, again, VERIFICATION_KEY, remove=True, path=path)
        assert not again.any()
    records = honest(RECORD, 2)
    written = empty_table(RECORD)
    for _ in range(2):
        write([keys[0] for keys in records], written, VERIFICATION_KEY)
    assert not written.any()


# --- bytes, arguments, secrets ------------------------------------------------------------------


@pytest.mark.parametrize("function", [COUNT, RECORD, PointFunction(12, "bit")], ids=str)
def test_bytes_that_are_no_public_share_are_refused(function):
    payload = 1 if function.payload in {"count", "bit"} else bytes(24)
    encoded = pair(function, 3, payload)[0].public.encoded
    assert PublicShare(function, NONCE, encoded).encoded == encoded
    for raw in (b"", encoded[:-1], encoded + b"\0", *(flipped(encoded, byte) for byte in range(5))):
        with pytest.raises(ProtocolError, match="public share"):
            PublicShare(function, NONCE, raw)
    for nonce in (b"", bytes(15), bytes(65)):
        with pytest.raises(ProtocolError, match="nonce"):
            PublicShare(function, nonce, encoded)
    others = (PointFunction(function.domain_bits + 1, function.payload, function.length),)
    for other in others:
        with pytest.raises(ProtocolError, match="public share"):
            PublicShare(other, NONCE, encoded)


def test_keys_of_the_other_party_or_another_length_are_refused():
    first, second = pair(COUNT, 3, 1)
    for party, secret in ((0, second.secret), (1, first.secret)):
        with pytest.raises(ProtocolError, match="party"):
            PartyKey(first.public, party, secret)
    for secret in (b"", first.secret[:-1], first.secret + b"\0"):
        with pytest.raises(ProtocolError, match="bytes"):
            PartyKey(first.public, 0, secret)
    with pytest.raises(ProtocolError, match="parties 0 and 1"):
        PartyKey(first.public, 2, first.secret)


@pytest.mark.parametrize(
    ("bits", "kind", "length"),
    [
        (0, "bit", 16),
        (33, "bit", 16),
        (2, "count", 16),
        (8, "record", 0),
        (8, "record", 2**15 + 1),
        (8, "block", 8),
        (8, "byte", 16),
    ],
)
def test_families_out_of_range_are_refused(bits, kind, length):
    with pytest.raises(ProtocolError):
        PointFunction(bits, kind, length)


def test_arguments_out_of_range_are_refused_and_not_repeated():
    for position, payload in ((-1, 1), (256, 1), (3, 2), (3, 0), (3, b"1")):
        with pytest.raises(ProtocolError) as refused:
            pair(COUNT, position, payload)
        assert "256" not in str(refused.value)
    with pytest.raises(ProtocolError, match="24 bytes"):
        pair(RECORD, 3, b"short")
    with pytest.raises(ProtocolError, match="unsigned number of 32 bits"):
        pair(PointFunction(8, "u32"), 3, 2**32)
    with pytest.raises(ProtocolError, match="randomness"):
        generate(COUNT, 3, 1, nonce=NONCE, randomness=bytes(31))
    with pytest.raises(ProtocolError, match="verification key"):
        VerificationKey(b"short")


def test_tables_and_keys_that_do_not_fit_are_refused():
    count, record = pair(COUNT, 3, 1), pair(RECORD, 3, bytes(24))
    with pytest.raises(ProtocolError, match="more than one family or party"):
        accumulate(count, empty_table(COUNT), VERIFICATION_KEY)
    with pytest.raises(ProtocolError, match="payload is 'record'"):
        accumulate(record[:1], empty_table(COUNT), VERIFICATION_KEY)
    with pytest.raises(ProtocolError, match="shape"):
        accumulate(count[:1], np.zeros(255, np.uint32), VERIFICATION_KEY)
    with pytest.raises(ProtocolError, match="type int64"):
        accumulate(count[:1], np.zeros(256, np.int64), VERIFICATION_KEY)
    with pytest.raises(ProtocolError, match="contiguous"):
        accumulate(count[:1], np.zeros(512, np.uint32)[::2], VERIFICATION_KEY)
    for marks in (np.zeros(255, np.uint32), np.zeros(256, np.int64), np.zeros(512, np.uint32)[::2]):
        with pytest.raises(ProtocolError, match="as many as the table's rows, 256, of type uint32"):
            accumulate(count[:1], empty_table(COUNT), VERIFICATION_KEY, marks=marks)
    with pytest.raises(ProtocolError, match="verifiable"):
        evaluate(count[0])
    with pytest.raises(ProtocolError, match="no table"):
        empty_table(PointFunction(8, "bit"))
    one = Checks(np.zeros((1, 32), np.uint8), *[np.zeros(1, np.uint32)] * 2)
    with pytest.raises(ProtocolError, match="different numbers"):
        verdicts(one, Checks(np.zeros((2, 32), np.uint8), *[np.zeros(2, np.uint32)] * 2))
    with pytest.raises(ProtocolError, match="different numbers"):
        verdicts(one, replace(one, marks=np.zeros(2, np.uint32)))


def test_no_key_at_all_changes_nothing():
    table = empty_table(COUNT)
    checks = accumulate([], table, VERIFICATION_KEY)
    assert verdicts(checks, checks).shape == (0,)
    assert write([], empty_table(RECORD), VERIFICATION_KEY).proofs.shape == (0, 32)


def test_nothing_secret_is_printed():
    keys = pair(RECORD, 3, b"a secret of 24 bytes ...")
    shown = repr(keys) + repr(VERIFICATION_KEY) + repr(keys[0].public)
    for secret in (keys[0].secret, keys[1].secret, VERIFICATION_KEY.secret, keys[0].public.encoded):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


def test_the_same_randomness_gives_the_same_bytes():
    """A golden key: a change of it is a change of the format, and needs another version byte."""
    keys = pair(COUNT, 200, 1, randomness=bytes(range(32)))
    assert keys[0].secret.hex() == "000102030405060708090a0b0c0d0e0f"
    assert keys[1].secret.hex() == "11101010101010101010101010101010"
    assert keys[0].public.encoded[:5].hex() == "0105080010"
    assert hashlib.sha256(keys[0].public.encoded).hexdigest()[:16] == "029663c9b3edfc9c"


@pytest.mark.parametrize("function", [COUNT, RECORD], ids=lambda function: function.payload)
def test_one_key_looks_the_same_whatever_the_position(function):
    """Mean bits of one party's key: a rough look for what a proof says is uniform."""
    payload = 1 if function.payload == "count" else bytes(24)
    for position in (0, function.size - 1):
        raw = [
            pair(function, position, payload, nonce=secrets.token_bytes(16))[0] for _ in range(150)
        ]
        bits = np.unpackbits(
            np.array([list(key.public.encoded[5:] + key.secret) for key in raw], np.uint8), axis=1
        )
        means = bits.mean(axis=0)
        fixed = means == 0  # the lowest bit of party 0's root
        assert fixed.sum() == 1
        # Six standard errors of a mean of 150 fair bits, in some 2,000 places.
        assert np.abs(means[~fixed] - 0.5).max() < 6 * 0.5 / np.sqrt(150)


def test_positions_are_cut_into_branches_that_are_all_different():
    function = PointFunction(12, "count")
    paths = {tuple(function.branches(row)) for row in range(function.size)}
    assert len(paths) == function.size
    assert function.top == 2
