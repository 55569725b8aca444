"""The interface of rounds: described as served, and strict with what comes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from tests.donation.in_process import InProcess, people
from tests.donation.test_serving_interface import explore, with_example

from sfumato.donation.clients import Donor, ServerStatus, make_donations
from sfumato.donation.clients.connection import Answer
from sfumato.donation.protecting import SigningKey
from sfumato.donation.rounds import RoundState
from sfumato.donation.rounds.closing import CloseRequest
from sfumato.donation.rounds.rounds_endpoints import RoundsApplication
from sfumato.donation.serving import DonationApplication, Limits
from sfumato.donation.serving.problems import PROBLEMS
from sfumato.errors import EngineError

NO_LIMIT = Limits(requests_per_second=0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """Servers with a finished round 0 and an open round 1."""
    with InProcess(tmp_path_factory.mktemp("servers"), k=6, n_min=20) as world:
        donor = Donor(world.servers)
        for report in make_donations(world.task, people(30), 0):
            donor.send(report)
        world.researcher.close(0)
        world.researcher.wait(0, 60, interval=0.05)
        yield world


def order(world: InProcess, number: int, key: SigningKey | None = None, at: float = 0) -> bytes:
    signer = key or world.keys.signer
    now = int(at or time.time())
    return CloseRequest.sign(signer, world.task.task_id, number, now).to_json()


def ask(world: InProcess, method: str, path: str, body: bytes = b"", server: int = 0) -> Answer:
    base = f"/v1/tasks/{world.task.task_id.hex()}"
    answer: Answer = world.connections[server].request(method, base + path, body)
    return answer


@pytest.mark.parametrize(
    ("examples", "phases"),
    [
        (1, ("examples", "coverage")),
        pytest.param(12, ("examples", "fuzzing", "stateful"), marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore")  # those of the tool and its client
def test_schemathesis_finds_nothing(world, examples: int, phases: tuple[str, ...]) -> None:
    desk = world.desks[0]
    application = RoundsApplication(DonationApplication(desk._ingest, NO_LIMIT), desk, NO_LIMIT)
    interface = json.loads(world.connections[0].request("GET", "/v1/openapi.json").body)
    (report,) = make_donations(world.task, people(1), 1)
    described = with_example(interface, report.report_id)
    if examples == 1:  # what HEAD answers is what GET does, without a body
        for methods in described["paths"].values():
            methods.pop("head", None)
    close = described["paths"]["/v1/tasks/{task}/close"]["post"]
    close["requestBody"]["content"]["application/json"]["example"] = json.loads(order(world, 0))
    answered, wrong = explore(application, described, report.data, examples=examples, phases=phases)
    assert not wrong, wrong[0]
    assert {name for name, _ in answered} == {
        f"{method.upper()} {path}"
        for path, methods in described["paths"].items()
        for method in methods
    } or "coverage" not in phases
    # by the valid order and the links the good answers were met too
    path = "/v1/tasks/{task}"
    assert ("PUT /v1/tasks/{task}/reports/{report}", 201) in answered
    assert (f"POST {path}/close", 200) in answered
    assert (f"GET {path}/rounds/{{number}}/bundle", 200) in answered


def test_whatever_is_no_order_is_refused_with_a_problem(world):
    signature = json.loads(order(world, 1))["signature"]
    nested = b"[" * 4000
    for body, code in (
        (nested, "malformed"),
        (b'{"round": 1, "time": 1e3, "signature": ""}', "malformed"),
        (b'{"round": true, "time": 1, "signature": ""}', "malformed"),
        (b'{"round": ' + b"9" * 4000 + b', "time": 1, "signature": ""}', "malformed"),
        (json.dumps({"round": 4294967296, "time": 1, "signature": ""}).encode(), "malformed"),
        (b'{"round": 1, "time": 1, "signature": "\xff"}', "malformed"),
        (b'{"round": 1, "time": 1, "signature": ""}', "order-refused"),
        (json.dumps({"round": 2, "time": 1, "signature": signature}).encode(), "order-refused"),
        (order(world, 1, SigningKey.generate()), "order-refused"),
        (bytes(4097), "too-large"),
    ):
        answer = ask(world, "POST", "/close", body)
        problem = json.loads(answer.body)
        assert (problem["code"], answer.status) == (code, PROBLEMS[code][0]), body[:60]
        assert problem["type"] == f"/v1/problems/{code}"
        known = world.connections[0].request("GET", problem["type"])
        assert json.loads(known.body)["title"] == problem["title"]
    assert world.desks[0]._ingest.store.round_number == 1
    assert ServerStatus.read(0, ask(world, "GET", "/rounds/1").body).state == RoundState.OPEN


def test_an_order_of_another_hour_by_this_servers_clock_is_refused(world):
    for skew in (-3700, 3700):
        answer = ask(world, "POST", "/close", order(world, 1, at=time.time() + skew))
        detail = json.loads(answer.body)["detail"]
        assert answer.status == 403
        assert "more than 3600 seconds from now by this server's clock: sign it again" in detail
    number = 2
    detail = json.loads(ask(world, "POST", "/close", order(world, number)).body)["detail"]
    assert detail == "close: round 2 is not open; 1 is"


def test_two_orders_at_once_are_one(tmp_path: Path):
    with InProcess(tmp_path, k=6, n_min=20) as world:
        for desk in world.desks:
            desk.stop()  # orders are taken, and nothing is done about them
        barrier, answers = Barrier(4), []
        requests = [CloseRequest.from_json(order(world, 0), world.task.task_id) for _ in range(4)]

        def close(request: CloseRequest) -> None:
            barrier.wait()
            answers.append(world.desks[0].close(request))

        threads = [Thread(target=close, args=(request,)) for request in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [False, False, False, True]
        assert len(list((tmp_path / "rounds-0").glob("close-*.json"))) == 1


def test_a_round_that_is_too_small_has_a_type_of_its_own(tmp_path: Path):
    with InProcess(tmp_path, k=6, n_min=20) as world:
        world.researcher.close(0)
        end = time.monotonic() + 30
        while not (status := json.loads(ask(world, "GET", "/rounds/0").body)).get("problem"):
            assert time.monotonic() < end
            time.sleep(0.02)
        assert status["problem"] == "/v1/problems/too-few-donors"
        assert "(n_min)" in status["error"]
        read = ServerStatus.read(0, json.dumps(status).encode())
        assert read.lacks_donors
        # by its type alone, in whatever words
        status["error"] = "zu wenige"
        assert ServerStatus.read(0, json.dumps(status).encode()).lacks_donors
        status |= {"error": "(n_min)", "problem": "/v1/problems/servers-away"}
        assert not ServerStatus.read(0, json.dumps(status).encode()).lacks_donors


def test_what_the_disk_says_is_not_told_to_everybody(tmp_path: Path, monkeypatch, caplog):
    with InProcess(tmp_path, k=6, n_min=20) as world:

        def full(*_arguments: Any) -> None:
            raise EngineError(f"{tmp_path}/rounds-0/journal: no space left on device")

        monkeypatch.setattr("sfumato.donation.rounds.round.Journal.append", full)
        donor = Donor(world.servers)
        for report in make_donations(world.task, people(25), 0):
            donor.send(report)
        world.researcher.close(0)
        end = time.monotonic() + 30
        while "not tried again" not in (status := ask(world, "GET", "/status").body.decode()):
            assert time.monotonic() < end
            time.sleep(0.02)
    assert str(tmp_path) not in status
    found = json.loads(status)
    assert found["problem"] == "/v1/problems/store-unavailable"
    assert "start it again once mended; not tried again after 2 attempts" in found["error"]
    assert "no space left on device" in caplog.text
