"""`sfumato donate`: the people's side, from a task file to a release folder."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from tests.cli.conftest import HEART
from tests.donation.in_process import InProcess, clients_task, people

from sfumato.cli import donating
from sfumato.cli.donation_commands import donate
from sfumato.donation.clients import (
    DonationFile,
    Donor,
    ResearcherKeys,
    ServerLost,
    answers_row,
    make_donations,
)
from sfumato.donation.clients.connection import Answer
from sfumato.donation.messages import TaskConfiguration
from sfumato.donation.simulation import LocalServers
from sfumato.release import verify

K, DONORS = 5, 40
CANARY = "CANARY77"
RECORD = {"age": 31, "sex": "Male", "smoking": "never", "glucose": 120}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Three servers in this process, to which every command speaks."""
    with InProcess(tmp_path / "servers", k=K, n_min=10) as world:
        world.parties.signed.write(tmp_path / "task.toml")
        world.keys.write(tmp_path / "keys")
        monkeypatch.setattr(donating, "_servers", lambda *_a, **_k: world.servers)
        monkeypatch.setattr("sfumato.cli.app.app", donate)
        yield world


@pytest.fixture
def command(sfumato: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The sub-application alone, inside the outermost edge."""
    monkeypatch.setattr("sfumato.cli.app.app", donate)
    return sfumato


def test_records_are_donated_and_released(world, command, tmp_path: Path):
    table = people(DONORS)
    donor = Donor(world.servers)
    for report in make_donations(world.task, table[1:], 0):
        donor.send(report)
    (tmp_path / "record.json").write_text(json.dumps(table.row(0, named=True)))
    receipts = tmp_path / "receipts.json"
    done = command("submit", "task.toml", "record.json", "--receipts", receipts, "--json")
    assert (done.code, done.json["servers"]) == (0, [0, 1, 2])
    again = command("submit", "task.toml", "record.json", "--receipts", receipts)
    assert again.code == 2
    assert "a person donates once" in again.err
    before = command("status", "task.toml", "--json").json["servers"]
    assert [status["state"] for status in before] == ["OPEN"] * 3
    early = command("collect", "task.toml", "--keys", "keys")
    assert early.code == 2
    assert "two of three bundles are needed, and 0" in early.err
    assert command("close", "task.toml", "--keys", "keys").code == 0
    done = command(
        "collect", "task.toml", "--keys", "keys", "--wait", "60", "--out", "out", "--json"
    )
    assert done.code == 0, done.err
    assert done.json["records"] == DONORS
    assert done.json["smallest_class"] >= K
    assert done.json["risk_and_certainty"]["with_suppressed"]["highest_certainty"] <= 0.5
    assert verify(tmp_path / "out").passed
    world.connections[2].failures = [ServerLost("server 2 does not answer")]
    after = command("status", "task.toml")
    assert after.code == 0
    assert "server 0: round 0 ERASED" in after.out
    assert "server 2 does not answer" in after.out


def test_a_break_in_the_middle_leaves_one_donation(world, command, tmp_path: Path):
    (tmp_path / "record.json").write_text(json.dumps(RECORD))
    put = world.connections[2].request
    calls = []

    def broken(method: str, *rest: Any) -> Any:
        calls.append(method)
        if method == "PUT" and calls.count("PUT") == 1:
            raise ServerLost("server 2 does not answer: try again later")
        return put(method, *rest)

    world.connections[2].request = broken
    first = command("submit", "task.toml", "record.json")
    assert first.code == 2
    assert first.lines == ["sfumato: server 2 does not answer: try again later"]
    (tmp_path / "record.json").unlink()  # the answers are not needed again
    second = command("submit", "task.toml")
    assert second.code == 0, second.err
    sent = [path for way in world.connections for method, path, _ in way.sent if method == "PUT"]
    assert len(set(sent)) == 1
    assert [store.count(0) for store in world.stores] == [1, 1, 1]


def test_a_report_for_a_round_that_was_closed_meanwhile_is_made_anew(
    world, command, tmp_path: Path
):
    (tmp_path / "record.json").write_text(json.dumps(RECORD))
    closed = {"code": "other-round", "detail": "the round is closed"}
    ask = world.connections[1].request
    refused: list[str] = []

    def late(method: str, path: str, *rest: Any) -> Answer:
        if method == "PUT" and not refused:
            refused.append(path)
            return Answer(409, json.dumps(closed).encode())
        return ask(method, path, *rest)

    world.connections[1].request = late
    told = command("submit", "task.toml", "record.json")
    assert told.code == 2
    assert "a task has one round" in told.err
    assert not (tmp_path / "donation-receipts.json").exists()
    assert command("submit", "task.toml", "record.json").code == 0
    assert [store.count(0) for store in world.stores] == [2, 1, 2]  # one is held by all three


class FilledForm:
    """A form that somebody fills in at once."""

    url = "http://127.0.0.1:1/secret/"

    def __init__(self, task: Any, send: Any) -> None:
        self.task, self.send = task, send

    def __enter__(self) -> FilledForm:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def serve(self) -> Any:
        texts = {name: str(answer) for name, answer in RECORD.items()}
        return self.send(answers_row(self.task, texts))


def test_a_form_donates_from_this_machine(world, command, monkeypatch, tmp_path: Path):
    monkeypatch.setattr("sfumato.donation.form.FormServer", FilledForm)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    done = command("submit", "task.toml", "--form")
    assert done.code == 0, done.err
    assert opened == [FilledForm.url]
    assert "none of them can read it" in done.out
    file = DonationFile.read(tmp_path / "donation-receipts.json")
    assert len(file.checked_receipts(world.task)) == 3
    assert [store.count(0) for store in world.stores] == [1, 1, 1]
    again = command("submit", "task.toml", "--form", "--no-browser")
    assert again.code == 2
    assert "a person donates once" in again.err


def test_wrong_records_are_told_by_question_and_never_by_answer(world, command, tmp_path: Path):
    (tmp_path / "record.json").write_text(json.dumps({**RECORD, "smoking": CANARY, "age": 7.5}))
    wrong = command("submit", "task.toml", "record.json")
    assert wrong.code == 2
    assert wrong.lines == [
        (
            "sfumato: age: choose a number from 20 to 35 in steps of 1; smoking: choose one of "
            "'never', 'current'"
        )
    ]
    assert CANARY not in wrong.err + wrong.out
    assert not (tmp_path / "donation-receipts.json").exists()
    both = command("submit", "task.toml", "record.json", "--form")
    assert both.code == 2
    none = command("submit", "task.toml")
    assert none.code == 2
    assert "give the file of the record, or --form" in none.err


def test_a_task_that_is_none_is_told(command, tmp_path: Path):
    (tmp_path / "task.toml").write_text("title = 1")
    for words in (["status", "task.toml"], ["close", "task.toml", "--keys", "keys"]):
        told = command(*words)
        assert told.code == 2
        assert "task configuration" in told.err


def test_servers_are_known_by_their_cards(command, tmp_path: Path):
    keys = ResearcherKeys.generate()
    names = set(TaskConfiguration.model_fields) - {"servers"}
    task = clients_task()[0].task
    values = {name: getattr(task, name) for name in names}
    for place in ("one", "other"):
        servers = LocalServers(tmp_path / place, keys.signer.verifying_key)
        servers.agree_on(values)
    place = Path("one", "server-0")
    down = command("status", place / "task.toml", "--cards", place / "cards", "--json")
    assert down.code == 0, down.err
    for server, told in enumerate(down.json["servers"]):
        assert told["error"].startswith(f"server {server} (Organisation {server}) does not answer")
    cards = Path("other", "server-0", "cards")
    wrong = command("status", place / "task.toml", "--cards", cards)
    assert wrong.code == 2
    assert "the task does not name the server of Organisation 0's card" in wrong.err


def test_the_researchers_keys_are_made_once(command, tmp_path: Path):
    made = command("keys", "mine", "--name", "Dr. R", "--json")
    assert made.code == 0
    assert made.json["researcher"]["name"] == "Dr. R"
    assert len(bytes.fromhex(made.json["closing_key"])) == 32
    assert command("keys", "mine", "--name", "Dr. R").code == 2


def test_every_option_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "donation.md").read_text("utf-8")
    said = set(re.findall(r"`(--?[a-z-]+)`", page))
    group = typer.main.get_command(donate)
    options = {
        name: {option for one in each.params for option in (*one.opts, *one.secondary_opts)}
        for name, each in group.commands.items()
    }
    assert {"submit", "close", "status", "collect", "simulate", "server", "keys"} <= set(options)
    known = {option for some in options.values() for option in some if option.startswith("--")}
    assert known <= said
    assert {option for option in said if option.startswith("--")} <= known
    for line in re.findall(r"^sfumato donate (.+)$", page, re.MULTILINE):
        name, *words = shlex.split(line)
        group.commands[name].make_context(name, words)


@pytest.mark.slow
def test_a_whole_donation_with_three_real_servers(command, tmp_path: Path):
    rows = pl.read_parquet(HEART).head(120)
    rows.select("PatientID", "Sex", "AgeCategory", "SmokerStatus", "HadAngina").write_csv(
        tmp_path / "heart.csv"
    )
    (tmp_path / "schema.toml").write_text(
        'person = "PatientID"\ntarget = "HadAngina"\nrest = "other"\n'
        '[columns.PatientID]\nrole = "identifier"\n'
        '[columns.Sex]\nrole = "quasi-identifier"\n'
        '[columns.AgeCategory]\nrole = "quasi-identifier"\n'
        'hierarchy = { preset = "brfss-age-group" }\n'
        '[columns.HadAngina]\nrole = "sensitive"\n'
    )
    classifiers = 'classifiers=["naive-bayes"]'
    words = ["simulate", "heart.csv", "--schema", "schema.toml", "--k", 10, "--n-min", 100]
    done = command(
        *words, "--runs", 1, "--processes", 1, "--set", classifiers, "--out", "out", "--json"
    )
    assert done.code == 0, done.err
    values = done.json
    assert values["records"] == 120
    assert values["smallest_class"] >= 10
    assert values["figures"]["upload_bytes"] <= 1200
    found = verify(tmp_path / "out")
    assert found.passed
    assert found["SF015"].status == "passed"
    study = json.loads((tmp_path / "out" / "anonify.json").read_text())
    assert study["information_loss"]["value"] == pytest.approx(values["information_loss"], rel=1e-9)
    assert {one["classifier"] for one in study["classifiers"]} == {"naive-bayes"}
    for name in ("assessment.html", "report.html"):
        assert "<script" not in (tmp_path / "out" / name).read_text()
