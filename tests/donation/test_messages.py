"""Task, report, receipt and freeze: whole round trips, and every malformed kind by its name."""

import hashlib
import json
import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from tests.donation.tasks import Parties, key_pair, make_parties

from sfumato.donation.functions import PointFunction
from sfumato.donation.messages import (
    Freeze,
    Receipt,
    Refusal,
    RefusalKind,
    Report,
    ServerShares,
    SignedTask,
    TaskConfiguration,
    common_ids,
    make_report,
    merkle_path,
    merkle_root,
    open_report,
    root_of_path,
    share_components,
)
from sfumato.donation.protecting import SigningKey, check_token, seal
from sfumato.donation.rounds.function_keys import key_layout
from sfumato.errors import PlanError, ProtocolError


@pytest.fixture(scope="module")
def parties() -> Parties:
    return make_parties()


def opened(parties: Parties, data: bytes) -> list[ServerShares]:
    report = Report.from_bytes(data, parties.task.layout)
    return [open_report(parties.task, report, s, parties.envelopes[s]) for s in range(3)]


# ---------------------------------------------------------------- the task


def test_a_task_survives_toml_and_json(parties: Parties, tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    parties.signed.write(path)
    for read in (SignedTask.read(path), SignedTask.from_bytes(parties.signed.to_bytes())):
        assert read.task_id == parties.task.task_id
        assert read.configuration.canonical_bytes == parties.task.canonical_bytes
        assert read.configuration == parties.task
    assert json.loads(parties.task.canonical_bytes)["deletion_share"] == 0.5


def test_the_least_round_follows_from_k() -> None:
    values = {"n_min": None}
    assert make_parties(tokens=False, k=50, **values).task.n_min == 1000
    assert make_parties(tokens=False, k=250, **values).task.n_min == 2500


def test_a_tampered_task_is_refused(parties: Parties, tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    parties.signed.write(path)
    text = path.read_text()
    changes = [
        ("k = 5", "k = 2"),
        ("deletion_share = 0.5", "deletion_share = 0.25"),
        ("How old are you?", "What is your name?"),
        ("n_min = 5", "n_min = 500"),
        (parties.task.servers[0].envelope.public_key.hex(), "ab" * 32),
        (parties.signed.signatures[2].hex(), parties.signed.signatures[1].hex()),
    ]
    for old, new in changes:
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(ProtocolError, match="changed, or signed by another"):
            SignedTask.read(path)
    two = parties.signed.signatures[:2]
    with pytest.raises(ProtocolError, match="signatures of all 3 servers"):
        SignedTask(parties.task, two)


def test_a_task_signed_by_strangers_is_noticed(parties: Parties) -> None:
    keys = [signer.verifying_key for signer in parties.signers]
    assert parties.signed.check_keys(keys) is parties.signed
    with pytest.raises(ProtocolError, match="other servers"):
        make_parties(tokens=False).signed.check_keys(keys)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"configuration":{},"signatures":[]}',
        b'{"configuration":[],"signatures":[]}',
        b'{"configuration":{},"signatures":[1]}',
        b'{"configuration":{},"signatures":["zz"]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_task_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="task configuration"):
        SignedTask.from_bytes(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_max": 4}, "n_max"),
        ({"n_min": 4}, "at least k"),
        ({"k": 1}, "k"),
        ({"deletion_share": 1}, "deletion_share"),
        ({"mode": "dpf"}, "mailbox"),
        ({"record_bytes": 2}, "need 5 bytes"),
        ({"l_diversity": {"column": "age", "l": 2}}, "no sensitive question"),
        ({"closes": "2020-01-01T00:00:00Z"}, "follow each other"),
        ({"opens": "2020-01-01T00:00:00"}, "opens"),
        ({"histogram": {"key_bytes": 3, "private_bytes": 4}}, "at most key_bytes"),
        ({"registrar": {"name": "x", "public_key": "00"}}, "public key"),
        ({"kay": 5}, "kay"),
    ],
)
def test_settings_that_contradict_each_other(changes: dict, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        make_parties(tokens=False, **changes)


def test_two_servers_with_one_key_are_no_two_servers(parties: Parties) -> None:
    servers = [parties.task.servers[0], parties.task.servers[1], parties.task.servers[1]]
    with pytest.raises(PlanError, match="two servers have the same"):
        make_parties(tokens=False, servers=servers)


def test_the_released_table_has_the_schema_of_the_questions(parties: Parties) -> None:
    schema = parties.task.table_schema
    assert schema.quasi_identifiers == ("age", "sex")
    assert schema.sensitive == ("smoking", "glucose")
    assert [question.column for question in parties.task.form] == list(schema)


# ---------------------------------------------------------------- the report


def test_three_components_give_the_record(parties: Parties) -> None:
    table = pl.DataFrame(
        {
            "age": [34, 90, 0],
            "sex": ["Male", None, "Other"],
            "smoking": ["never", "current", "never"],
            "glucose": [80, 400, 123],
        }
    )
    records = parties.task.codec.encode(table)
    reports = [parties.report(record=record.tobytes()) for record in records]
    shares = [opened(parties, report) for report in reports]
    first, second = zip(
        *(share_components([each[server] for each in shares]) for server in range(3)), strict=True
    )
    for server in range(3):  # each component is held by two servers, and they agree
        assert (second[server] == first[(server + 1) % 3]).all()
    assert (first[0] ^ first[1] ^ first[2] == records).all()
    assert parties.task.codec.decode(first[0] ^ first[1] ^ first[2]).equals(table)
    assert len({share.header_hash for share in shares[0]}) == 1


def test_function_keys_arrive_whole_and_where_they_belong(parties: Parties) -> None:
    keys = key_pair(parties.task.histogram)
    shares = opened(parties, parties.report(histogram_keys=keys))
    assert [share.histogram_key for share in shares] == [*keys, b""]


def test_mode_dpf_carries_three_mailbox_keys() -> None:
    layout = {"key_bytes": 528, "private_bytes": 16}
    parties = make_parties(tokens=False, mode="dpf", mailbox=layout)
    pairs = [key_pair(parties.task.mailbox) for _ in range(3)]
    shares = opened(parties, parties.report(mailbox_keys=pairs))
    for server in range(2):
        assert shares[server].mailbox_keys == tuple(pair[server] for pair in pairs)
        assert len(shares[server].histogram_key) == 240
    assert shares[2].mailbox_keys == ()
    # reference: at most 2.2 KB in this mode, without a registrar's token
    assert parties.task.layout.report_bytes == 2184


def test_mode_dpf_with_a_token_is_small_where_mailboxes_hold_what_is_answered() -> None:
    """Three tables of 2^16 rows, a count of 2^21 cells, RSA-2048: 2.2 KB up to 64 bytes."""
    counts = {"key_bytes": key_layout(PointFunction(21, "count")).key_bytes}
    for used in (5, 64):
        mailbox = key_layout(PointFunction(16, "record", 24 + used))  # id 16 and tag 8 before it
        task = make_parties(mode="dpf", mailbox=mailbox, histogram=counts).task
        assert task.layout.token_bytes == 256
        assert task.layout.report_bytes <= 2200


def test_the_upload_is_small(parties: Parties, capsys: pytest.CaptureFixture[str]) -> None:
    """L = 256, a histogram key of 240 bytes for each of two servers, and a blind token."""
    layout = parties.task.layout
    assert (parties.task.record_bytes, parties.task.histogram.key_bytes) == (256, 240)
    size = len(parties.report())
    with capsys.disabled():
        print(f"\nupload: {size} bytes, of these {layout.token_bytes} for the token")
    assert size == layout.report_bytes <= 1200


def test_a_hybrid_envelope_adds_what_it_must() -> None:
    parties = make_parties(kem="mlkem768-x25519")
    data = parties.report()
    assert len(data) == make_parties().task.layout.report_bytes + 3 * 1088
    opened(parties, data)


def test_reports_of_one_task_have_one_size_and_share_no_bytes(parties: Parties) -> None:
    record = bytes(256)
    first, second = (parties.report(record=record) for _ in range(2))
    assert len(first) == len(second)
    at = parties.task.layout
    for where in (at.id_at, at.token_at, at.commitments_at, at.public_at):
        assert first[where : where + 16] != second[where : where + 16]


def test_no_server_alone_has_the_record_and_no_header_helps(parties: Parties) -> None:
    """The commitments must not let a server test a guess of the record.

    Server i lacks one component. Knowing the record it can compute the component, but not the seed:
    whatever it hashes of what it can compute is not the third commitment.
    """
    record = parties.task.codec.encode(
        pl.DataFrame({"age": [1], "sex": ["Male"], "smoking": ["never"], "glucose": [80]})
    )[0].tobytes()
    data = parties.report(record=record)
    report = Report.from_bytes(data, parties.task.layout)
    for server, share in enumerate(opened(parties, data)):
        mine = share_components([share])
        missing = (server + 2) % 3
        lacking = (np.frombuffer(record, np.uint8) ^ mine[0][0] ^ mine[1][0]).tobytes()
        said = report.commitments[32 * missing : 32 * missing + 32]
        prefix = b"sfumato donation v1 commitment\0" + share.task_id + share.report_id
        for guess in (lacking, lacking[:16], record, record[:16]):
            assert hashlib.sha256(prefix + bytes([missing]) + guess).digest() != said
            assert hashlib.sha256(guess).digest() != said
        assert record not in (mine[0].tobytes(), mine[1].tobytes())
        assert share.correction != record


def spoiled(parties: Parties, kind: str) -> tuple[bytes, int]:
    """Return a report that is malformed in one way, and the server that must notice."""
    data = bytearray(parties.report())
    layout = parties.task.layout
    server = 0
    if kind == "too short":
        data = data[:-1]
    elif kind == "too long":
        data += b"\0"
    elif kind == "version":
        data[0] = 2
    elif kind == "task":
        data[5] ^= 1
    elif kind == "key configuration":
        data[layout.part_slices[1].start - 1] ^= 1
    elif kind == "zero number":
        data[layout.id_at : layout.token_at] = bytes(16)
    elif kind == "token":
        data[layout.token_at] ^= 1
    elif kind == "encapsulated key":
        data[layout.part_slices[0].start] ^= 1
    elif kind == "low-order key":
        part = layout.part_slices[0]
        data[part.start : part.start + 32] = bytes(32)
    elif kind == "ciphertext":
        data[layout.part_slices[2].stop - 1] ^= 1
        server = 2
    elif kind == "public share":
        data[layout.public_at] ^= 1
    elif kind == "round":
        data[36] ^= 1
    elif kind == "swapped parts":
        first, second = layout.part_slices[:2]
        data[first], data[second] = data[second], data[first]
    else:  # an honestly sealed part with a share that is not committed to
        assert kind == "commitment"
        data[layout.commitments_at + 32] ^= 1
        header = bytes(data[: layout.header_bytes])
        envelope = parties.task.servers[0].envelope
        part = bytes(layout.part_bytes[0])
        info = b"sfumato donation v1 report\0server 0\0" + header
        data[layout.part_slices[0]] = seal(envelope.kem, envelope.public_key, part, info)
    return bytes(data), server


KINDS = {
    "too short": RefusalKind.LENGTH,
    "too long": RefusalKind.LENGTH,
    "version": RefusalKind.VERSION,
    "task": RefusalKind.TASK,
    "key configuration": RefusalKind.KEY,
    "zero number": RefusalKind.REPORT_ID,
    "token": RefusalKind.TOKEN,
    "encapsulated key": RefusalKind.ENVELOPE,
    "low-order key": RefusalKind.ENVELOPE,
    "ciphertext": RefusalKind.ENVELOPE,
    "public share": RefusalKind.ENVELOPE,
    "round": RefusalKind.ENVELOPE,
    "swapped parts": RefusalKind.ENVELOPE,
    "commitment": RefusalKind.COMMITMENT,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_malformed_kind_is_refused_by_its_name(parties: Parties, kind: str) -> None:
    data, server = spoiled(parties, kind)
    with pytest.raises(ProtocolError) as caught:
        _check(parties, data, server)
    if kind != "token":  # the registrar's signature has its own check; serving names the kind
        assert isinstance(caught.value, Refusal)
        assert caught.value.kind == KINDS[kind]


def _check(parties: Parties, data: bytes, server: int) -> None:
    report = Report.from_bytes(data, parties.task.layout)
    key = parties.task.registrar.public_key
    check_token(key, parties.task.task_id, report.report_id, report.token)
    open_report(parties.task, report, server, parties.envelopes[server])


@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
@settings(max_examples=60)
def test_no_byte_can_be_changed(position: int, flip: int) -> None:
    parties, data = _one_report()
    position %= len(data)
    changed = bytearray(data)
    changed[position] ^= flip
    layout = parties.task.layout
    noticed = 0
    for server in range(3):
        own = layout.part_slices[server]
        others = position >= layout.header_bytes and not own.start - 1 <= position < own.stop
        try:
            report = Report.from_bytes(bytes(changed), layout)
            open_report(parties.task, report, server, parties.envelopes[server])
        except Refusal:
            noticed += 1
        else:
            assert others  # another server's part is opaque to this one
    assert noticed


_ONE: list = []


def _one_report() -> tuple[Parties, bytes]:
    if not _ONE:
        parties = make_parties(tokens=False)
        _ONE.append((parties, parties.report()))
    return _ONE[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"record": b"short"}, "256 bytes"),
        ({"round_number": 2**32}, "2\\^32"),
        ({"histogram_keys": None}, "needs 1 histogram key pairs"),
        ({"histogram_keys": (bytes(10), bytes(10))}, "has 240 bytes"),
        ({"histogram_keys": (bytes(240), b"\1" * 240)}, "agree from byte 16"),
        ({"mailbox_keys": [(b"", b"")]}, "needs 0 mailbox key pairs"),
        ({"token": bytes(3)}, "token of 0 bytes"),
        ({"report_id": bytes(16)}, "16 random bytes"),
    ],
)
def test_what_no_report_can_be_made_of(changes: dict, message: str) -> None:
    parties, _ = _one_report()
    values = {"record": bytes(256), "round_number": 0, "histogram_keys": (bytes(240),) * 2}
    values |= changes
    with pytest.raises(ProtocolError, match=message):
        make_report(parties.task, values.pop("round_number"), values.pop("record"), **values)


def test_a_report_of_chosen_randomness_is_reproducible_but_for_its_envelopes(
    parties: Parties,
) -> None:
    stream = hashlib.shake_256(b"seed").digest(1000)

    def make() -> bytes:
        at = 0

        def take(count: int) -> bytes:
            nonlocal at
            at += count
            return stream[at - count : at]

        plain, _ = _one_report()
        keys = (bytes(240), bytes(240))
        return make_report(plain.task, 0, bytes(256), histogram_keys=keys, random_bytes=take).data

    end = _one_report()[0].task.layout.header_bytes
    first, second = make(), make()
    assert first[:end] == second[:end]
    assert first[end:] != second[end:]


def test_shares_never_print(parties: Parties) -> None:
    data = parties.report()
    report = Report.from_bytes(data, parties.task.layout)
    shown = repr(report) + repr(opened(parties, data))
    for secret in (data[100:108], *opened(parties, data)[0].seeds):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown


# ---------------------------------------------------------------- the receipt


def test_a_receipt_names_report_round_server_and_time(parties: Parties) -> None:
    task, said = parties.task, (b"i" * 16, 7, 3600 * 1000)
    (made,) = Receipt.sign(parties.signers[1], task.task_id, 1, [said])
    data = made.to_bytes()
    assert len(data) == 287
    assert Receipt.from_bytes(data, task) == made
    assert (made.report_id, made.round_number, made.time_bucket) == said
    assert made.server == 1
    for position in (*range(0, 62, 3), *range(60, 287, 7)):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(ProtocolError):
            Receipt.from_bytes(bytes(changed), task)
    for position in (32, 200, 255):
        with pytest.raises(Refusal, match="no such place"):
            Receipt.from_bytes(data[:62] + bytes([position]) + data[63:], task)
    with pytest.raises(Refusal):
        Receipt.from_bytes(data[:-1], task)
    (forged,) = Receipt.sign(SigningKey.generate(), task.task_id, 1, [said])
    with pytest.raises(ProtocolError, match="signed by another"):
        Receipt.from_bytes(forged.to_bytes(), task)


def test_receipts_signed_together_hold_each_by_itself(parties: Parties) -> None:
    """By an oracle that knows nothing of the module: hashes from the entry up, then Ed25519."""
    task, key = parties.task, parties.signers[2]
    said = [(bytes([number]) * 16, number, 3600 * number) for number in range(1, 71)]
    receipts = Receipt.sign(key, task.task_id, 2, said)
    assert len({receipt.signature for receipt in receipts}) == 3  # of 32, 32 and 6
    for receipt, (report_id, number, bucket) in zip(receipts, said, strict=True):
        assert Receipt.from_bytes(receipt.to_bytes(), task) == receipt
        entry = b"\x01" + task.task_id + report_id + number.to_bytes(4) + b"\x02"
        entry += bucket.to_bytes(8)
        assert receipt.to_bytes().startswith(entry)
        node, place = sha256(b"\0" + entry).digest(), receipt.position
        for neighbour in receipt.path:
            pair = neighbour + node if place % 2 else node + neighbour
            node, place = sha256(b"\1" + pair).digest(), place // 2
        signed = b"sfumato donation v1 receipt\0\x01" + task.task_id + b"\x02" + node
        verifier = Ed25519PublicKey.from_public_bytes(key.verifying_key)
        verifier.verify(receipt.signature, signed)
    assert Receipt.sign(key, task.task_id, 2, []) == []
    first, other = receipts[0].to_bytes(), receipts[1].to_bytes()
    with pytest.raises(ProtocolError, match="signature"):  # a path proves its own entry only
        Receipt.from_bytes(first[:62] + other[62:], task)


@pytest.mark.parametrize("count", [1, 3, 32])
def test_a_receipt_does_not_tell_how_many_were_signed_with_it(parties: Parties, count: int) -> None:
    """Always as long, at places that are uniform, beside nodes that never come again."""
    key, task_id = parties.signers[0], parties.task.task_id
    others = [(bytes([number]) * 16, 0, 0) for number in range(2, count + 1)]
    rounds = [Receipt.sign(key, task_id, 0, [(b"i" * 16, 0, 0), *others]) for _ in range(256)]
    firsts = [receipts[0] for receipts in rounds]
    assert {len(receipt.to_bytes()) for receipt in firsts} == {287}
    places = np.bincount([receipt.position for receipt in firsts], minlength=32)
    assert chisquare(places).pvalue > 1e-6
    if count == 1:  # with others some nodes are hashes of the same entries every time
        assert len({node for receipt in firsts for node in receipt.path}) == 256 * 5


# ---------------------------------------------------------------- trees and freezes


@pytest.mark.parametrize(
    ("count", "root"),
    [
        # RFC 9162's tree is that of RFC 6962; roots of the reference entries of certificate
        # transparency's Merkle tree test (inputs "", 00, 10, 2021, 3031, 40414243, ...)
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_merkle_roots_are_the_published_ones(count: int, root: str) -> None:
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
    inputs.append("606162636465666768696a6b6c6d6e6f")
    entries = [bytes.fromhex(text) for text in inputs][:count]
    assert merkle_root(entries).hex() == root


@given(entries=st.lists(st.binary(max_size=4), min_size=1, max_size=33), data=st.data())
@settings(max_examples=60)
def test_a_path_leads_to_the_root_and_no_other_entry_does(entries: list, data) -> None:
    position = data.draw(st.integers(0, len(entries) - 1))
    path = merkle_path(entries, position)
    root = merkle_root(entries)
    assert root_of_path(entries[position], position, len(entries), path) == root
    assert root_of_path(entries[position] + b"x", position, len(entries), path) != root
    assert root_of_path(entries[position], position, len(entries), [*path, bytes(32)]) is None
    if path:
        assert root_of_path(entries[position], position, len(entries), path[1:]) is None


IDS = st.sets(st.binary(min_size=16, max_size=16).filter(any), max_size=40)


@given(ids=IDS)
@settings(max_examples=40)
def test_a_freeze_keeps_every_number(ids: set[bytes]) -> None:
    parties, _ = _one_report()
    array = np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 16)
    made = Freeze.sign(parties.signers[2], parties.task.task_id, 3, 2, array)
    read = Freeze.from_bytes(made.to_bytes(), parties.task)
    assert [row.tobytes() for row in read.ids] == sorted(ids)
    assert (read.round_number, read.server, read.root) == (3, 2, merkle_root(sorted(ids)))


def test_differences_save_bytes() -> None:
    parties, _ = _one_report()
    ids = np.random.default_rng(1).integers(0, 256, (20_000, 16), dtype=np.uint8)
    made = Freeze.sign(parties.signers[0], parties.task.task_id, 0, 0, ids).to_bytes()
    assert len(made) == 20_000 * 15 + 75 + 64
    assert (Freeze.from_bytes(made, parties.task).ids == ids[np.lexsort(ids.T[::-1])]).all()


def test_freezes_that_lie_are_refused() -> None:
    parties, _ = _one_report()
    ids = np.arange(160, dtype=np.uint8).reshape(10, 16)
    signer, task = parties.signers[0], parties.task
    data = Freeze.sign(signer, task.task_id, 0, 0, ids).to_bytes()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(ProtocolError):
            Freeze.from_bytes(bytes(changed), task)
    for end in (0, 10, len(data) - 1):
        with pytest.raises(Refusal):
            Freeze.from_bytes(data[:end], task)
    with pytest.raises(ProtocolError, match="stands twice"):
        Freeze.sign(signer, task.task_id, 0, 0, np.vstack([ids, ids[:1]]))


def test_the_accepted_reports_are_what_all_three_servers_hold() -> None:
    parties, _ = _one_report()
    ids = np.random.default_rng(2).integers(0, 256, (10, 16), dtype=np.uint8)

    def freezes(rounds=(0, 0, 0), held=(slice(0, 8), slice(1, 9), slice(2, 10))) -> list[Freeze]:
        return [
            Freeze.sign(parties.signers[s], parties.task.task_id, rounds[s], s, ids[held[s]])
            for s in range(3)
        ]

    accepted = common_ids(parties.task, freezes())
    assert [i.tobytes() for i in accepted] == sorted(i.tobytes() for i in ids[2:8])
    few = (slice(0, 8), slice(1, 9), slice(6, 10))
    with pytest.raises(ProtocolError, match=r"hold 2 reports, .* at least 5 \(n_min\)"):
        common_ids(parties.task, freezes(held=few))
    with pytest.raises(ProtocolError, match="different rounds"):
        common_ids(parties.task, freezes(rounds=(0, 1, 0)))
    with pytest.raises(ProtocolError, match="one of each"):
        common_ids(parties.task, freezes()[:2])


def test_refusal_kinds_are_codes() -> None:
    assert all(re.fullmatch("[a-z-]+", kind.value) for kind in RefusalKind)
    assert TaskConfiguration.model_config["frozen"]


@pytest.mark.slow
def test_ten_thousand_honest_reports_and_none_refused() -> None:
    parties = make_parties(tokens=False)
    for _ in range(10_000):
        report = Report.from_bytes(parties.report(), parties.task.layout)
        open_report(parties.task, report, 1, parties.envelopes[1])
