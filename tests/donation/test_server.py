"""One server: its folder, its HTTP interface, and three of them as real processes."""

from __future__ import annotations

import asyncio
import errno
import json
import stat
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.donation.processes import Processes
from tests.donation.rounds import donations, people, round_task
from tests.donation.tasks import make_parties

from sfumato.cli.donation_server import server as command
from sfumato.donation.links import LinkLost
from sfumato.donation.messages import Refusal, Report, open_report
from sfumato.donation.organisation import (
    ForgettingStore,
    Organisation,
    ServerCard,
    ServerSettings,
)
from sfumato.donation.protecting import SigningKey
from sfumato.donation.rounds import RoundSettings, RoundState, combine_bundles
from sfumato.donation.rounds.closing import CloseRequest
from sfumato.donation.rounds.journal import Journal
from sfumato.donation.server_process import DonationServer, _Meeting
from sfumato.donation.storage import open_store
from sfumato.errors import EngineError, PlanError, ProtocolError

TABLE = people(60)
OPEN = RoundSettings(qid_open=True, audited=False)


# ---------------------------------------------------------------- the folder


def test_a_folder_is_made_once_and_its_keys_are_the_owners_alone(tmp_path, capsys):
    folder = tmp_path / "server"
    command(folder, init=True, name="Clinic", index=1, listen="127.0.0.1:9000")
    assert "card.toml" in capsys.readouterr().out
    for path in (folder / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "keys").stat().st_mode) == 0o700
    organisation = Organisation(folder)
    card = organisation.card
    assert (card.index, card.name, card.url) == (1, "Clinic", "https://127.0.0.1:9000")
    assert card.verifying_key == organisation.signer.verifying_key
    assert card.envelope.public_key == organisation.task_keys.envelope.public_key
    secrets = [path.read_text() for path in (folder / "keys").iterdir()]
    public = (folder / "card.toml").read_text() + repr(organisation)
    assert not any(secret.split()[-1] in public for secret in secrets)
    (folder / "keys" / "envelope").rename(tmp_path / "away")
    with pytest.raises(PlanError, match="cannot be read"):  # lost, which is not erased
        _ = organisation.task_keys
    (tmp_path / "away").rename(folder / "keys" / "envelope")
    with pytest.raises(PlanError, match="never written over"):
        Organisation.create(folder, organisation.settings)
    with pytest.raises(PlanError, match="no task yet"):
        _ = organisation.task
    with pytest.raises(PlanError, match="--init"):
        Organisation(tmp_path)
    with pytest.raises(PlanError, match="--name and --index"):
        command(tmp_path / "other", init=True)
    with pytest.raises(PlanError, match="HOST:PORT"):
        command(tmp_path / "other", init=True, name="A", index=0, listen="9000")


def test_cards_are_those_of_the_tasks_servers(tmp_path):
    processes = Processes(tmp_path)
    parties, _ = round_task()
    own = processes.prepare_round(parties)
    cards = [each.card for each in processes.organisations]
    assert set(processes.organisations[0].peers()) == {1, 2}
    strange = ServerSettings(index=2, name="Stranger")
    stranger = Organisation.create(tmp_path / "stranger", strange)
    with pytest.raises(ProtocolError, match="names another server"):
        stranger.sign(own.task)
    with pytest.raises(ProtocolError, match="does not name the server"):
        stranger.join(processes.signed, [*cards[:2], stranger.card])
    with pytest.raises(ProtocolError, match="one of each"):
        stranger.join(processes.signed, cards[:2])
    with pytest.raises(PlanError, match="serves a task already"):
        processes.organisations[0].join(processes.signed, cards)
    path = tmp_path / "card.toml"
    path.write_text((tmp_path / "1" / "card.toml").read_text().replace("Organisation 1", "Other"))
    with pytest.raises(ProtocolError, match="changed, or signed by another"):
        ServerCard.read(path)
    assert make_parties(tokens=False).task.task_id != own.task.task_id


# ---------------------------------------------------------------- over HTTP, in this process


@pytest.fixture
def servers(tmp_path: Path) -> Any:
    """Three whole servers in this process, linked by TLS; and what is behind them."""
    processes = Processes(tmp_path)
    parties, researcher = round_task(n_min=40)
    own = processes.prepare_round(parties, rounds=OPEN)
    made = [DonationServer(each) for each in processes.organisations]
    for each in made:
        each.start()
    yield processes, own, researcher, made
    for each in made:
        each.stop()


def ask(server: DonationServer, method: str, path: str, body: bytes = b"") -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(server.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, path, content=body)

    return asyncio.run(call())


def until(server: DonationServer, path: str, wanted: Any) -> dict[str, Any]:
    end = time.monotonic() + 60
    while True:
        status = ask(server, "GET", path).json()
        if wanted(status):
            return status
        assert time.monotonic() < end, status
        time.sleep(0.05)


def test_orders_status_and_bundles(servers):
    processes, own, researcher, made = servers
    base = f"/v1/tasks/{own.task.task_id.hex()}"
    reports = donations(own, TABLE)
    for server in made:
        server.ingest.take(reports[:39])

    def order(key: SigningKey = processes.researcher, number: int = 0) -> list[httpx.Response]:
        body = CloseRequest.sign(key, own.task.task_id, number, int(time.time())).to_json()
        return [ask(server, "POST", f"{base}/close", body) for server in made]

    # not the researcher; a round that is not open; nonsense
    for answers in (order(SigningKey.generate()), order(number=5)):
        assert {answer.status_code for answer in answers} == {403}
        assert answers[0].json()["code"] == "order-refused"
    assert ask(made[0], "POST", f"{base}/close", b"{}").status_code == 400
    assert ask(made[0], "POST", f"{base}/close", bytes(5000)).status_code == 413
    assert ask(made[0], "GET", f"{base}/close").status_code == 405
    assert ask(made[0], "PUT", f"{base}/status").status_code == 405
    for path in (
        "/rounds/0/bundle",
        "/rounds/1",
        "/rounds/x",
        "/rounds/0/x",
        "/rounds/" + "9" * 30,
    ):
        assert ask(made[0], "GET", base + path).status_code == 404
    status = ask(made[0], "GET", f"{base}/status").json()
    assert (status["state"], status["round"], status["received"]) == ("OPEN", 0, 0)

    # too few: the round stays open, says so, and takes more
    assert {answer.status_code for answer in order()} == {202}
    status = until(made[1], f"{base}/status", lambda status: "n_min" in status.get("error", ""))
    assert status["state"] == "OPEN"
    for server in made:
        server.ingest.take(reports[39:])
    assert {answer.status_code for answer in order()} == {200}
    for server in made:
        status = until(server, f"{base}/status", lambda status: status["state"] == "ERASED")
        assert (status["received"], status["accepted"], status["open_round"]) == (60, 60, 1)
        assert "error" not in status
    assert ask(made[2], "GET", f"{base}/rounds/1").json()["state"] == "OPEN"
    bundles = [ask(server, "GET", f"{base}/rounds/0/bundle") for server in made]
    assert {answer.headers["content-type"] for answer in bundles} == {"application/octet-stream"}
    released, manifest = combine_bundles(own.task, [b.content for b in bundles], researcher)
    assert released.height == manifest.rows > 20
    assert ask(made[0], "HEAD", f"{base}/rounds/0/bundle").content == b""

    # what is not about rounds goes where it went, and all of it is described
    assert ask(made[0], "GET", base).status_code == 200
    assert ask(made[0], "GET", "/v1/health").json() == {"status": "ok"}
    metrics = ask(made[0], "GET", "/v1/metrics").text
    assert 'sfumato_donation_round_state{round="0",state="ERASED"} 1' in metrics
    assert "sfumato_donation_answers_total" in metrics
    interface = ask(made[0], "GET", "/v1/openapi.json").json()
    assert {path.rsplit("/", 1)[1] for path in interface["paths"]} >= {"close", "bundle", "status"}
    assert json.loads(made[0].application._interface) == interface


# ---------------------------------------------------------------- what is forgotten


def secrets_of(organisation: Organisation) -> list[bytes]:
    keys = organisation.task_keys
    return [keys.envelope.secret_bytes(), keys.verification_part]


def nothing_opens(
    organisation: Organisation, secrets: list[bytes], kept: list[bytes], task: Any
) -> None:
    """Check that no file of a server's folder holds a secret of its, nor a report."""
    index = organisation.settings.index
    for path in sorted(organisation.folder.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        for secret in secrets:
            assert secret not in data, path
            assert secret.hex().encode() not in data, path
        assert kept[0][-64:] not in data, path
        assert path.suffix not in {".key", ".sealed"}
    sealed, key = Report.from_bytes(kept[0], task.layout), organisation.task_keys.envelope
    with pytest.raises(Refusal, match="erased"):
        open_report(task, sealed, index, key)


def test_after_the_round_nothing_on_a_server_opens_a_report(servers):
    processes, own, _, made = servers
    base = f"/v1/tasks/{own.task.task_id.hex()}"
    reports = donations(own, TABLE)
    secrets = [secrets_of(each) for each in processes.organisations]
    opens_now = Report.from_bytes(reports[0], own.task.layout)
    open_report(own.task, opens_now, 0, processes.organisations[0].task_keys.envelope)
    for server in made:
        server.ingest.take(reports)
    body = CloseRequest.sign(processes.researcher, own.task.task_id, 0, int(time.time())).to_json()
    for server in made:
        ask(server, "POST", f"{base}/close", body)
    for server in made:
        until(server, f"{base}/status", lambda status: status["state"] == "ERASED")
    for server, organisation in zip(made, processes.organisations, strict=True):
        own_secrets = secrets[organisation.settings.index]
        nothing_opens(organisation, own_secrets, reports, own.task)
        late = server.ingest.take(reports[:1])  # a replay, of which somebody kept a copy
        assert isinstance(late[0], Refusal)
        assert server.ingest._envelope.secret_bytes() not in own_secrets
    # a server that is started again serves what is left, and takes no more
    made[0].stop()
    again = DonationServer(processes.organisations[0])
    made[0] = again
    assert ask(again, "GET", f"{base}/status").json()["state"] == "ERASED"
    assert ask(again, "GET", f"{base}/rounds/0/bundle").status_code == 200
    assert isinstance(again.ingest.take(reports[:1])[0], Refusal)


def test_a_round_that_is_cancelled_takes_its_keys_with_it(servers):
    processes, own, _, made = servers
    base = f"/v1/tasks/{own.task.task_id.hex()}"
    secrets = [secrets_of(each) for each in processes.organisations]
    reports = donations(own, TABLE)
    for number, server in enumerate(made):  # 20 in common, and the round needs 40
        server.ingest.take(reports[10 * number : 10 * number + 40])
    body = CloseRequest.sign(processes.researcher, own.task.task_id, 0, int(time.time())).to_json()
    for server in made:
        ask(server, "POST", f"{base}/close", body)
    for server in made:
        until(server, f"{base}/status", lambda status: status["state"] == "ABORTED")
    for server, organisation in zip(made, processes.organisations, strict=True):
        end = time.monotonic() + 20
        while not organisation.task_keys.are_erased:
            assert time.monotonic() < end
            time.sleep(0.02)
        server.stop()
        nothing_opens(organisation, secrets[organisation.settings.index], reports[20:], own.task)


def test_what_was_promised_to_be_forgotten_is_even_if_nobody_closes(tmp_path, monkeypatch):
    processes = Processes(tmp_path)
    parties, _ = round_task()
    own = processes.prepare_round(parties, rounds=OPEN)
    secrets = secrets_of(processes.organisations[1])
    server = DonationServer(processes.organisations[1])
    reports = donations(own, TABLE[:2])
    server.ingest.take(reports)
    assert all(
        isinstance(answer, Refusal)
        for answer in server.ingest.take([reports[0][:36] + b"\1" + reports[0][37:]])
    )
    monkeypatch.setattr(server, "_erased_by", time.time() - 1)
    server.start()
    server.stop()
    nothing_opens(processes.organisations[1], secrets, reports, own.task)


def test_keys_that_were_half_erased_are_erased_at_the_next_start(tmp_path, monkeypatch):
    processes = Processes(tmp_path)
    parties, _ = round_task()
    own = processes.prepare_round(parties, rounds=OPEN)
    keys, secrets = processes.organisations[0].task_keys, secrets_of(processes.organisations[0])
    store = ForgettingStore(open_store(tmp_path / "reports", own.task.task_id), keys)
    with monkeypatch.context() as patched:
        patched.setattr("sfumato.donation.organisation.task_keys.erase_file", raise_disk)
        with pytest.raises(EngineError, match="no space"):
            store.forget()
    store.close()
    assert (processes.organisations[0].folder / "keys" / "envelope").exists()
    DonationServer(processes.organisations[0]).stop()
    nothing_opens(processes.organisations[0], secrets, donations(own, TABLE[:1]), own.task)


def raise_disk(_path: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


# ---------------------------------------------------------------- real processes


def run_to_the_end(processes: Processes, researcher: Any, rows: int = 20) -> None:
    for index in range(3):
        processes.wait_for(RoundState.ERASED, index)
    task = processes.signed.configuration
    released, manifest = combine_bundles(task, processes.bundles(), researcher)
    assert released.height == manifest.rows > rows
    joined = released.join(TABLE, on="glucose", suffix=" given")
    assert joined["smoking"].equals(joined["smoking given"], check_names=False)


def test_a_release_is_finished_without_a_server_that_is_gone_for_good(tmp_path, monkeypatch):
    """Server 1 stops after it has signed; server 0 has all signatures; server 2 is gone."""
    processes = Processes(tmp_path)
    parties, researcher = round_task()
    own = processes.prepare_round(parties, rounds=OPEN)
    base = f"/v1/tasks/{own.task.task_id.hex()}"
    made = [DonationServer(each) for each in processes.organisations]
    reports = donations(own, TABLE)
    append = Journal.append

    def stopped(self: Journal, line: Any) -> None:
        if "/1/" in str(self._path) and line["state"] == "SAMPLED":
            made[1].desk.stop()
            raise EngineError("no space left on the disk")
        append(self, line)

    body = CloseRequest.sign(processes.researcher, own.task.task_id, 0, int(time.time())).to_json()
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", stopped)
        for server in made:
            server.ingest.take(reports)
            server.start()
            assert ask(server, "POST", f"{base}/close", body).status_code == 202
        until(made[0], f"{base}/status", lambda status: status["state"] == "ERASED")
        until(made[1], f"{base}/status", lambda status: "disk" in status.get("error", ""))
        made[1].stop()
        made[2].stop()
    bundle = ask(made[0], "GET", f"{base}/rounds/0/bundle").content
    monkeypatch.setattr(
        "sfumato.donation.server_process._Meeting.bundles_of_peers",
        lambda self, number: [b"nothing", bundle],
    )
    monkeypatch.setattr(
        "sfumato.donation.links.Switchboard.meet", lambda *_: raise_(LinkLost("nobody"))
    )
    again = DonationServer(processes.organisations[1])
    again.start()
    until(again, f"{base}/status", lambda status: status["state"] == "ERASED")
    bundles = [bundle, ask(again, "GET", f"{base}/rounds/0/bundle").content]
    released, manifest = combine_bundles(own.task, bundles, researcher)
    assert released.height == manifest.rows > 20
    again.stop()
    made[0].stop()


def raise_(error: Exception) -> Any:
    raise error


@pytest.mark.slow
def test_three_processes_release_and_survive_kill_9(tmp_path):
    """Kill each server at some edge of the round, start it again, and again; one release."""
    processes = Processes(tmp_path)
    parties, researcher = round_task()
    own = processes.prepare_round(parties, rounds=OPEN)
    edges = {0: "SHUFFLED:after", 1: "LABELLED:after", 2: "SAMPLED:before"}
    try:
        for index in range(3):
            processes.start(index, edges[index])
        for index in range(3):
            processes.wait_until_up(index)
        processes.send(donations(own, TABLE))
        assert {answer.status_code for answer in processes.order()} == {202}
        for index in range(3):
            processes.processes[index].wait(120)
            assert processes.processes[index].returncode == -9
            processes.processes[index].stderr.close()
            processes.start(index)
            processes.wait_until_up(index)
        run_to_the_end(processes, researcher)
        meeting: Any = _Meeting(None, processes.organisations[0])
        assert meeting.bundles_of_peers(0) == processes.bundles((1, 2))
    finally:
        processes.stop()
    assert [each.returncode for each in processes.processes.values()] == [0, 0, 0]
