"""From answers to a release folder, with three servers in this process."""

from __future__ import annotations

import json
import os
from pathlib import Path

import polars as pl
import pytest
from tests.donation.in_process import InProcess, people
from tests.donation.rounds import Servers, donations, round_task

from sfumato.donation.clients import Donor, make_donations
from sfumato.donation.clients.connection import Answer, ServerLost
from sfumato.donation.messages import make_report
from sfumato.donation.rounds import RoundSettings, RoundState, count_keys
from sfumato.errors import PlanError, ProtocolError
from sfumato.release import verify
from sfumato.release.certificate import Certificate
from sfumato.release.donated import DonatedRelease

K, DONORS = 6, 60


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A release of 60 honest donors and one whose answers are impossible, and what they gave."""
    given = people(DONORS)
    with InProcess(tmp_path_factory.mktemp("servers"), k=K, n_min=20) as world:
        task = world.task
        donor = Donor(world.servers)
        number = donor.open_round()
        # the codes of the sensitive answers are all ones, which is none of the possible ones
        codec = task.codec
        bad = codec.encode(given.head(1))[0].copy()
        bad[codec.sensitive_block] = 255
        report_id = bytes(range(16))
        cell = int(codec.cells(given.head(1))[0])
        keys = count_keys(task, report_id, cell, lambda n: bytes(n - 1) + b"\x07")
        impossible = make_report(
            task, number, bad.tobytes(), histogram_keys=keys, report_id=report_id
        )
        donor.send(impossible)
        world.researcher.close(number)
        with pytest.raises(ProtocolError, match=r"round 0 is not closed: .*\(n_min\)"):
            world.researcher.wait(number, 60, interval=0.1)
        for report in [*make_donations(task, given, number), impossible]:
            assert [receipt.server for receipt in donor.send(report)] == [0, 1, 2]
        states = world.researcher.close(number)
        assert len(states) == 3
        world.researcher.wait(number, 60, interval=0.1)
        collected = world.researcher.collect(number)
        assert collected.notes == ()
        world.connections[1].failures = [ServerLost("server 1 does not answer")]
        fewer = world.researcher.collect(number)
        assert len(fewer.bundles) == 2
        assert fewer.notes == ("server 1 does not answer",)
        world.connections[0].failures = [Answer(404, json.dumps(NOTHING).encode())]
        world.connections[1].failures = [ServerLost("server 1 does not answer")]
        with pytest.raises(ProtocolError, match="two of three bundles are needed, and 1"):
            world.researcher.collect(number)
        made = [
            DonatedRelease.of(world.parties.signed, some.bundles, world.keys.envelope)
            for some in (collected, fewer)
        ]
    return given, made


NOTHING = {"code": "not-found", "detail": "there is no bundle"}


def test_two_bundles_give_the_same_table_as_three(released):
    _, (whole, fewer) = released
    assert whole.data.equals(fewer.data)


def test_released_rows_are_donated_rows_in_their_class(released):
    given, (release, _) = released
    # every glucose was given once, so each row can be told by it
    joined = release.data.join(given, on="glucose", suffix="_given")
    assert joined.height == release.data.height
    assert joined["smoking"].equals(joined["smoking_given"])
    recoded = release.recode(given).join(release.data, on="glucose", suffix="_released")
    for name in ("age", "sex"):
        assert recoded[name].equals(recoded[f"{name}_released"])


def test_an_impossible_row_is_dropped_and_kills_nothing(released):
    _, (release, _) = released
    manifest = release.manifest
    assert manifest.records == DONORS + 1
    assert manifest.rows == release.data.height + release.impossible
    assert release.impossible <= 1
    assert release.data.null_count().sum_horizontal().item() == 0


def test_figures_follow_from_the_counts(released):
    _, (release, _) = released
    sizes = [size for size in release.manifest.class_sizes if size is not None]
    assert release.smallest_class == min(sizes) >= K
    assert release.donors.height == sum(sizes)
    figures = release.risk.with_suppressed
    assert figures.highest_certainty <= 0.5
    assert figures.people == sum(sizes)
    ladders = {q.column: q.ladder for q in release.configuration.quasi_identifiers}
    lost = 0.0
    for line in release.classes.iter_rows(named=True):
        shares = []
        for name, ladder in ladders.items():
            held = max(
                int(ladder.sizes[level][group])
                for level in range(ladder.height + 1)
                for group, label in enumerate(ladder.labels[level])
                if label == line[name]
            )
            shares.append(0.0 if held == 1 else held / ladder.domain_size)
        lost += line["donors"] * sum(shares) / len(shares)
    expected = (lost + release.manifest.suppressed) / release.manifest.records
    assert release.loss == pytest.approx(expected, rel=1e-12)


def test_the_folder_is_verified_and_holds_the_signed_manifest(released, tmp_path: Path):
    _, (release, _) = released
    folder = release.write(tmp_path / "out", {"more.html": "<p>more</p>"})
    found = verify(folder)
    assert found.passed
    assert found["SF015"].status == "passed"
    assert found["SF010"].status == "passed"
    certificate = Certificate.read(folder / "certificate.json")
    assert certificate.steps[0].settings["manifest"] == release.manifest.digest.hex()
    assert certificate.steps[0].settings["donors_alike"] == K
    assert {"data.csv", "donation.json", "donor-classes.csv", "more.html"} <= set(certificate.files)
    kept = json.loads((folder / "donation.json").read_text())
    assert kept["manifest"] == release.signed.to_dict()
    page = (folder / "report.html").read_text()
    assert "Two of the three servers" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_classes_beside_the_release_go_before_those_of_the_current_folder(
    released, tmp_path: Path, monkeypatch
):
    _, (release, _) = released
    folder = release.write(tmp_path / "out")
    (tmp_path / "donor-classes.csv").write_text("age,sex\n1,Other\n")
    monkeypatch.chdir(tmp_path)
    assert verify(folder).passed
    assert verify("out")["SF015"].status == "passed"


@pytest.mark.parametrize("change", ["row", "class"])
def test_a_changed_release_is_found(released, tmp_path: Path, change: str):
    _, (release, _) = released
    folder = release.write(tmp_path / "out")
    if change == "row":
        path = folder / "data.csv"
        pl.read_csv(path).head(release.data.height - 1).write_csv(path)
    else:
        path = folder / "donor-classes.csv"
        pl.read_csv(path).head(K).write_csv(path)
    found = verify(folder)
    assert not found.passed
    assert found["SF002"].status == "failed"


def test_a_folder_of_something_else_is_left_alone(released, tmp_path: Path):
    _, (release, _) = released
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(PlanError, match="was not written by sfumato"):
        release.write(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_file_is_k_anonymous_where_the_task_promises_it(tmp_path: Path):
    """Twelve donors leave six rows; the class that impossible rows have thinned is left out."""
    given = pl.DataFrame(
        {
            "age": [20] * 52,
            "sex": ["Female"] * 40 + ["Male"] * 12,
            "smoking": ["never"] * 52,
            "glucose": list(range(80, 132)),
        }
    )
    parties, researcher = round_task(k=12, k_of_file=6, n_min=50)
    task = parties.task
    reports = donations(parties, given[:45])
    codec = task.codec
    for place, row in enumerate(given[45:].iter_slices(1)):  # seven of the twelve men
        bad = codec.encode(row)[0].copy()
        bad[codec.sensitive_block] = 255
        report_id = bytes([place + 1]) * 16
        keys = count_keys(task, report_id, int(codec.cells(row)[0]), os.urandom)
        reports.append(
            make_report(task, 0, bad.tobytes(), histogram_keys=keys, report_id=report_id).data
        )
    servers = Servers(tmp_path / "servers", parties, RoundSettings(qid_open=True, audited=False))
    servers.start().take(reports)
    assert servers.run() == [RoundState.ERASED] * 3
    release = DonatedRelease.of(parties.signed, servers.bundles(), researcher)
    servers.stop()
    assert release.manifest.rows == 26
    assert release.impossible >= 1
    assert release.impossible + release.thinned == 6
    assert set(release.data["sex"]) == {"Female"}
    assert release.data.height == release.smallest_rows == 20
    promised = {promise.kind: promise.settings for promise in release.certificate.promises}
    assert promised["k-map"]["k"] == 12
    assert promised["k-anonymity"]["k"] == 6
    assert any("more rows are left out" in limit for limit in release.certificate.limits)
    folder = release.write(tmp_path / "out")
    found = verify(folder)
    assert found.passed
    assert found["SF010"].status == "passed"
    page = (folder / "report.html").read_text()
    assert "The file itself was to be 6-anonymous" in page
    # the smallest number of rows is recounted, not believed
    path = folder / "data.csv"
    pl.read_csv(path).head(5).write_csv(path)
    assert not verify(folder).passed
