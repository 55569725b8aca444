"""Whole rounds of three servers: the release is right, and the same in both ways of recoding."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.donation.rounds import (
    PARTS,
    Killed,
    Servers,
    donations,
    people,
    round_task,
)
from tests.donation.tasks import key_pair

from sfumato.donation.messages import Freeze, LDiversityRule, make_report
from sfumato.donation.protecting import EnvelopeKey, SigningKey
from sfumato.donation.recoding import RecodingTree, Region
from sfumato.donation.rounds import (
    Deviation,
    Manifest,
    RoundSettings,
    RoundState,
    SignedManifest,
    classing,
    combine_bundles,
    count_keys,
    labelling,
    open_bundle,
    settling,
)
from sfumato.donation.rounds import round as round_module
from sfumato.donation.rounds.closing import CloseRequest
from sfumato.donation.rounds.freezing import agree_on_reports
from sfumato.donation.rounds.greeting import Greeting
from sfumato.donation.rounds.vault import Vault
from sfumato.donation.sharing import open_to_all
from sfumato.errors import PlanError, ProtocolError

TABLE = people(60)


@pytest.fixture(scope="module")
def task() -> tuple[Any, EnvelopeKey, list[bytes]]:
    parties, researcher = round_task()
    return parties, researcher, donations(parties, TABLE)


@pytest.fixture(scope="module")
def finished(task: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Servers]]:
    """A round in each way, to its end."""
    parties, _, reports = task
    done = {}
    for qid_open in (False, True):
        folder = tmp_path_factory.mktemp("round")
        servers = Servers(folder, parties, RoundSettings(qid_open=qid_open)).start()
        servers.take(reports)
        assert servers.run() == [RoundState.ERASED] * 3
        done[qid_open] = servers
    yield done
    for servers in done.values():
        servers.stop()


def check_release(servers: Servers, researcher: EnvelopeKey, table: pl.DataFrame) -> Manifest:
    """Check that what is released is a sample of the donors, as large as it must be."""
    task = servers.parties.task
    bundles = servers.bundles()
    released, manifest = combine_bundles(task, bundles, researcher)
    assert released.height == manifest.rows
    assert combine_bundles(task, bundles[1:], researcher)[0].equals(released)
    joined = released.join(table, on="glucose", how="inner", suffix=" given")
    assert joined.height == released.height
    assert joined["glucose"].is_unique().all()
    assert joined["smoking"].equals(joined["smoking given"], check_names=False)
    tree = manifest.tree(task)
    leaves = task.codec.leaves(
        pl.DataFrame({"age": joined["age given"], "sex": joined["sex given"]})
    )
    owners = tree.owners()[leaves]
    labels = tree.labels()
    assert [labels[owner] for owner in owners] == list(joined.select("age", "sex").iter_rows())
    everybody = Counter(tree.owners()[task.codec.leaves(table)].tolist())
    sampled = Counter(owners.tolist())
    share = Fraction(task.deletion_share)
    for number, size in enumerate(manifest.class_sizes):
        true = everybody.get(number, 0)
        if size is not None:
            assert size == true >= task.k
        assert sampled[number] == (0 if size is None else true - -(-true * share // 1))
    assert manifest.suppressed == table.height - sum(s for s in manifest.class_sizes if s)
    return manifest


@pytest.mark.parametrize("qid_open", [False, True])
def test_a_round_releases_a_sample_of_its_donors(task, finished, qid_open):
    servers = finished[qid_open]
    manifest = check_release(servers, task[1], TABLE)
    assert manifest.records == 60
    assert manifest.dropped == 0
    assert manifest.qid_open == qid_open
    assert manifest.rows > 20


def test_shared_and_open_quasi_identifiers_give_the_same_classes(task, finished):
    manifests = [
        combine_bundles(task[0].task, finished[way].bundles(), task[1])[1] for way in (False, True)
    ]
    assert manifests[0].recoding == manifests[1].recoding
    assert manifests[0].class_sizes == manifests[1].class_sizes
    assert manifests[0].classes_hash != manifests[1].classes_hash


def test_after_the_round_nothing_is_left_but_bundle_and_journal(finished):
    servers = finished[False]
    for index in range(3):
        folder = servers.folder / str(index)
        assert sorted(path.name for path in (folder / "round-0").iterdir()) == ["bundle", "journal"]
        assert not list((folder / "reports").glob("round-0*"))
        text = (folder / "round-0" / "journal").read_text()
        states = [json.loads(line.split(" ", 1)[1])["state"] for line in text.splitlines()]
        assert states == [state.value for state in RoundState if state not in {"OPEN", "ABORTED"}]


def test_a_finished_round_is_met_and_stays_as_it_is(task, finished):
    servers = finished[True]
    before = servers.bundles()
    servers.restart()
    assert servers.run() == [RoundState.ERASED] * 3
    assert servers.bundles() == before


def test_the_researcher_alone_opens_a_bundle_and_changes_are_noticed(task, finished):
    parties, researcher, _ = task
    bundles = finished[False].bundles()
    with pytest.raises(ProtocolError, match="does not open"):
        open_bundle(parties.task, bundles[0], EnvelopeKey.generate())
    for place in range(0, len(bundles[0]), max(1, len(bundles[0]) // 150)):
        changed = bytearray(bundles[0])
        changed[place] ^= 1
        with pytest.raises(ProtocolError):
            open_bundle(parties.task, bytes(changed), researcher)
    for wrong in ([bundles[0]], [bundles[0], bundles[0]], []):
        with pytest.raises(ProtocolError, match="two different servers"):
            combine_bundles(parties.task, wrong, researcher)
    other = finished[True].bundles()
    with pytest.raises(ProtocolError, match="different releases"):
        combine_bundles(parties.task, [bundles[0], other[1]], researcher)


def test_a_manifest_needs_all_signatures(task, finished):
    parties = task[0]
    signed = finished[False].rounds[0].signed
    assert signed is not None
    values = signed.to_dict()
    assert SignedManifest.from_dict(parties.task, values).manifest == signed.manifest
    assert Manifest.from_bytes(signed.manifest.to_bytes()).digest == signed.manifest.digest
    values["signatures"][1] = values["signatures"][0]
    with pytest.raises(ProtocolError, match="release manifest"):
        SignedManifest.from_dict(parties.task, values)
    for wrong in ({}, [], {"manifest": "{}", "signatures": []}, None):
        with pytest.raises(ProtocolError, match="release manifest"):
            SignedManifest.from_dict(parties.task, wrong)


def broken(parties: Any, kind: str, table: pl.DataFrame, place: int) -> list[bytes]:
    """Return the parts that each server is given of one dishonest report."""
    task = parties.task
    record, cell = task.codec.encode(table)[0].tobytes(), int(task.codec.cells(table)[0])
    report_id = bytes([1 + place]) * 16
    keys = count_keys(task, report_id, cell, lambda count: bytes([7]) * count)
    if kind == "vote":
        keys = key_pair(task.histogram)
    elif kind == "two votes":
        other = count_keys(task, report_id, cell + 1, lambda count: bytes([9]) * count)
        keys = (keys[0], other[0][:16] + keys[1][16:])
    elif kind == "party":
        keys = (keys[1], keys[0])
    elif kind == "header":
        keys = (keys[0][:-1] + b"x", keys[1][:-1] + b"x")
    report = make_report(task, 0, record, report_id=report_id, histogram_keys=keys).data
    if kind != "two reports":
        return [report] * 3
    second = make_report(task, 0, bytes(len(record)), report_id=report_id, histogram_keys=keys).data
    return [report, report, second]


def test_dishonest_donors_are_dropped_alone(task, tmp_path):
    parties, researcher, reports = task
    servers = Servers(tmp_path, parties, RoundSettings(audited=False)).start()
    servers.take(reports)
    kinds = ["vote", "two votes", "party", "header", "two reports"]
    for place, kind in enumerate(kinds):
        for index, report in enumerate(broken(parties, kind, people(1, 5), place)):
            servers.ingests[index].take([report])
    assert servers.run() == [RoundState.ERASED] * 3
    manifest = check_release(servers, researcher, TABLE)
    assert (manifest.records, manifest.dropped) == (60, 5)
    servers.stop()


def test_a_report_that_one_server_misses_is_not_counted(task, tmp_path):
    parties, researcher, reports = task
    servers = Servers(tmp_path, parties, RoundSettings(qid_open=True)).start()
    servers.take(reports)
    extra = donations(parties, people(2, 9))
    servers.ingests[0].take(extra)
    servers.ingests[2].take(extra[:1])
    assert servers.run() == [RoundState.ERASED] * 3
    assert check_release(servers, researcher, TABLE).dropped == 0
    servers.stop()


def test_an_answer_that_does_not_exist_spoils_its_own_row_alone(tmp_path):
    parties, researcher = round_task(deletion_share=0)
    servers = Servers(tmp_path, parties, RoundSettings(qid_open=True)).start()
    reports = donations(parties, TABLE)
    record = bytearray(parties.task.codec.encode(TABLE[:1])[0].tobytes())
    record[parties.task.codec.sensitive_block.start] = 77  # smoking has two answers
    cell = int(parties.task.codec.cells(TABLE)[0])
    report_id = bytes(range(1, 17))
    keys = count_keys(parties.task, report_id, cell, np.random.default_rng(1).bytes)
    reports[0] = make_report(
        parties.task, 0, bytes(record), report_id=report_id, histogram_keys=keys
    ).data
    servers.take(reports)
    assert servers.run() == [RoundState.ERASED] * 3
    released, _ = combine_bundles(parties.task, servers.bundles(), researcher)
    assert released["smoking"].null_count() <= 1
    assert released["glucose"].null_count() == 0
    assert released.filter(pl.col("glucose") == 80)["smoking"].to_list() in ([None], [])
    servers.stop()


def test_classes_with_one_answer_are_not_released(tmp_path):
    table = TABLE.with_columns(
        smoking=pl.when(pl.col("sex") == "Male").then(pl.lit("never")).otherwise("smoking")
    )
    rule = LDiversityRule(column="smoking", l=2)
    parties, researcher = round_task(l_diversity=rule)
    servers = Servers(tmp_path, parties).start()
    servers.take(donations(parties, table))
    assert servers.run() == [RoundState.ERASED] * 3
    released, manifest = combine_bundles(parties.task, servers.bundles(), researcher)
    assert set(released["sex"]) == {"Female"}
    assert None in manifest.class_sizes
    servers.stop()


def test_a_histogram_laid_out_otherwise_is_refused():
    parties, _ = round_task()
    other = round_task(histogram=parties.task.histogram.model_copy(update={"key_bytes": 300}))[0]
    with pytest.raises(PlanError, match="histogram of 64 cells"):
        count_keys(other.task, bytes(16), 0, lambda count: bytes(count))


def test_orders_are_the_researchers_and_of_now():
    key, stranger = SigningKey.generate(), SigningKey.generate()
    order = CloseRequest.sign(key, bytes(32), 3, 1000)
    read = CloseRequest.from_json(order.to_json(), bytes(32))
    assert read == order
    read.check(key.verifying_key, 1100, 3600)
    with pytest.raises(ProtocolError, match="signed more than 3600 seconds"):
        read.check(key.verifying_key, 9000, 3600)
    with pytest.raises(ProtocolError, match="changed, or signed by another"):
        read.check(stranger.verifying_key, 1100, 3600)
    with pytest.raises(ProtocolError, match="changed, or signed by another"):
        CloseRequest.from_json(order.to_json(), bytes([1]) * 32).check(key.verifying_key, 1e3, 9)
    for wrong in (
        b"",
        b"[]",
        b"{}",
        b'{"round": true, "time": 1, "signature": ""}',
        b'{"round": 1, "time": 1.5, "signature": ""}',
        b'{"round": 1, "time": 1, "signature": 3}',
        b'{"round": 1, "time": 1, "signature": "zz"}',
    ):
        with pytest.raises(ProtocolError, match="close: "):
            CloseRequest.from_json(wrong, bytes(32))


@pytest.mark.parametrize("data", [b"[" * 4000, b'{"a":' * 4000, b"[]", b"1", b"\xff", b""])
def test_what_is_nested_or_none_is_malformed_and_no_more(data):
    """Else who sends it would end the thread that reads it."""
    for read in (
        lambda: CloseRequest.from_json(data, bytes(32)),
        lambda: Greeting.from_bytes(data, 1),
        lambda: Manifest.from_bytes(data),
        lambda: settling._read(data, 1),
    ):
        with pytest.raises(ProtocolError):
            read()


def test_an_erasure_that_was_interrupted_leaves_no_key_of_zeros(tmp_path, monkeypatch):
    vault = Vault(tmp_path, b"context", np.random.default_rng(1).bytes)
    vault.put("prepared", b"shares")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda *_, **__: raise_killed())
        with pytest.raises(Killed):
            vault.erase()
    assert (tmp_path / "round.key").read_bytes() == bytes(32)
    again = Vault(tmp_path, b"context", np.random.default_rng(2).bytes)
    assert again.get("prepared") is None  # and no error that would hold up the round for ever
    again.put("prepared", b"other")
    assert any((tmp_path / "round.key").read_bytes())
    assert again.get("prepared") == b"other"
    again.erase()
    assert not list(tmp_path.iterdir())


def raise_killed() -> None:
    raise Killed


def test_a_second_round_of_a_task_is_refused():
    """The key of the checks is known after the first one."""
    parties, _ = round_task()
    ids = np.zeros((0, 16), np.uint8)
    freeze = Freeze.sign(parties.signers[0], parties.task.task_id, 1, 0, ids)
    with pytest.raises(Deviation, match="one round"):
        agree_on_reports(None, parties.task, freeze, None)


def test_what_is_secret_is_not_printed(finished):
    servers = finished[False]
    text = repr(servers.rounds[0]) + repr(servers.rounds[0]._keys)
    text = re.sub("0x[0-9a-f]+", "", text)  # an address may hold any digits
    assert PARTS[0].hex() not in text
    assert "signer" not in text
    assert isinstance(servers.folder, Path)


def test_a_bent_recoding_opens_no_label_of_a_small_class(task, tmp_path, monkeypatch):
    """A server has led all three to a recoding in which every exact combination is a class."""
    parties, _, reports = task
    codec = parties.task.codec
    domain = classing.domain_of(codec)
    regions = [Region((0,) * 2, (age, sex)) for age, sex in np.ndindex(*domain.shape)]
    bent = RecodingTree(domain, tuple(regions))
    sizes = np.bincount(codec.cells(TABLE), minlength=domain.n_cells)
    assert (sizes > 0).sum() > 20
    opened = []

    def seen(party: Any, values: Any) -> Any:
        found = open_to_all(party, values)
        opened.append(found.reshape(-1))
        return found

    monkeypatch.setattr(round_module, "recode_counts", lambda *_: bent)
    monkeypatch.setattr(labelling, "open_to_all", seen)
    servers = Servers(tmp_path, parties, RoundSettings(audited=False)).start()
    servers.take(reports)
    servers.run()
    servers.stop()
    flags, labels = opened[:3], opened[3:]
    assert len(labels) == 3
    for found in flags:
        assert found.tolist() == (sizes >= parties.task.k).tolist()
    large = np.flatnonzero(sizes >= parties.task.k) + 1
    for found in labels:
        assert set(found.tolist()) <= {0, *large.tolist()}
