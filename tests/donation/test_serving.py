"""The HTTP interface: what is taken, what is refused with which code, and what nobody is told."""

import asyncio
import hashlib
import http.client
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.donation.tasks import Parties, make_parties
from tests.donation.test_messages import KINDS, spoiled

from sfumato.donation.messages import Receipt, Refusal, RefusalKind, SignedTask, share_components
from sfumato.donation.messages.report import MEDIA_TYPE
from sfumato.donation.protecting import EnvelopeKey, SigningKey
from sfumato.donation.serving import DonationApplication, Ingest, Limits
from sfumato.donation.serving.counters import Counters
from sfumato.donation.serving.group_commit import GroupCommit
from sfumato.donation.serving.limits import AddressLimits
from sfumato.donation.serving.problems import PROBLEMS
from sfumato.donation.serving.running import uvicorn_server
from sfumato.donation.storage import Outcome, open_store
from sfumato.errors import EngineError, MissingExtra, ProtocolError

NO_LIMIT = Limits(requests_per_second=None)


@pytest.fixture(scope="module")
def parties() -> Parties:
    return make_parties()


@pytest.fixture
def ingest(parties: Parties, tmp_path: Path) -> Iterator[Ingest]:
    store = open_store(tmp_path / "store", parties.task.task_id)
    yield Ingest(parties.signed, 0, parties.envelopes[0], parties.signers[0], store)
    store.close()


class Client:
    """Speaks ASGI to an application, as a server would."""

    def __init__(self, application: DonationApplication, address: str = "192.0.2.1") -> None:
        self.application = application
        self.address = address

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        chunks: int = 1,
    ) -> tuple[int, dict[str, str], bytes]:
        sent: list[dict[str, Any]] = []
        size = max(1, -(-len(body) // chunks))
        parts = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
        messages = [
            {"type": "http.request", "body": part, "more_body": at < len(parts) - 1}
            for at, part in enumerate(parts)
        ]
        waiting = iter(messages)

        async def receive() -> dict[str, Any]:
            return next(waiting, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "client": (self.address, 1234),
            "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
        }
        await self.application(scope, receive, send)
        found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], found, sent[1]["body"]

    async def put(self, data: bytes, path: str | None = None, **changes: Any) -> Any:
        task = self.application.ingest.task
        report_id = data[task.layout.id_at : task.layout.token_at].hex()
        headers = {"content-type": MEDIA_TYPE, "content-length": str(len(data))}
        headers |= changes.pop("headers", {})
        path = path or f"/v1/tasks/{task.task_id.hex()}/reports/{report_id}"
        wanted = {key: value for key, value in headers.items() if value is not None}
        return await self.ask("PUT", path, data, wanted, **changes)


def problem(answer: tuple[int, dict[str, str], bytes]) -> str:
    status, headers, body = answer
    values = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    assert int(headers["content-length"]) == len(body)
    assert values["status"] == status == PROBLEMS[values["code"]][0]
    assert set(values) == {"type", "title", "status", "detail", "code"}
    assert values["type"].endswith(values["code"])
    return values["code"]


def said(receipt: Receipt) -> tuple[bytes, int, int, int]:
    """Return what a receipt says of its report, however often it was signed."""
    return receipt.report_id, receipt.round_number, receipt.server, receipt.time_bucket


# ---------------------------------------------------------------- taking


def test_a_report_is_taken_once_and_acknowledged_always(ingest: Ingest, parties: Parties) -> None:
    async def work() -> None:
        client = Client(DonationApplication(ingest))
        data = parties.report()
        status, headers, body = await client.put(data)
        assert (status, headers["content-type"]) == (201, "application/sfumato-donation-receipt")
        receipt = Receipt.from_bytes(body, parties.task)
        assert receipt.report_id == data[37:53]
        assert (receipt.server, receipt.round_number) == (0, 0)
        assert 0 <= time.time() - receipt.time_bucket < 3600 + 60
        status, _, body = await client.put(data, chunks=3)
        assert status == 200
        assert said(Receipt.from_bytes(body, parties.task)) == said(receipt)

    asyncio.run(work())
    assert ingest.store.count(0) == 1


def test_many_at_once_are_stored_in_groups(ingest: Ingest, parties: Parties) -> None:
    reports = [parties.report() for _ in range(12)]

    async def work() -> None:
        application = DonationApplication(ingest, NO_LIMIT)
        client = Client(application)
        answers = await asyncio.gather(*(client.put(data) for data in reports * 2))
        assert sorted(status for status, _, _ in answers) == [200] * 12 + [201] * 12
        receipts = [said(Receipt.from_bytes(body, parties.task)) for _, _, body in answers]
        assert receipts[:12] == receipts[12:]
        assert [report_id for report_id, *_ in receipts[:12]] == [data[37:53] for data in reports]
        assert application.counters._groups < 12

    asyncio.run(work())
    assert ingest.store.count(0) == 12


def test_a_group_is_signed_once_and_each_report_has_its_own_answer(
    ingest: Ingest, parties: Parties
) -> None:
    checked = [ingest.check(parties.report()) for _ in range(12)]
    other = replace(checked[3], body=b"other", digest=hashlib.sha256(b"other").digest())
    late = replace(checked[0], report_id=b"l" * 16, round_number=1)

    async def work() -> None:
        commit = GroupCommit(ingest, 100, Counters())
        (alone,) = await asyncio.gather(commit.put(checked[0]))
        assert alone.outcome is Outcome.STORED
        every = [*checked, other, late]
        taken = await asyncio.gather(*map(commit.put, every), return_exceptions=True)
        kinds = [answer.kind for answer in taken[12:]]
        assert kinds == [RefusalKind.CONFLICT, RefusalKind.ROUND]
        outcomes = [answer.outcome for answer in taken[:12]]
        assert outcomes == [Outcome.REPEATED, *[Outcome.STORED] * 11]
        receipts = [answer.receipt for answer in taken[:12]]
        assert len({receipt.signature for receipt in receipts}) <= 2
        for receipt, report in zip(receipts, checked, strict=True):
            read = Receipt.from_bytes(receipt.to_bytes(), parties.task)
            assert said(read) == (report.report_id, 0, 0, report.time_bucket)
        assert said(receipts[0]) == said(alone.receipt)
        await commit.close()

    asyncio.run(work())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("ciphertext",)])
def test_malformed_reports_are_refused_by_code(ingest: Ingest, parties: Parties, kind: str) -> None:
    data, _ = spoiled(parties, kind)
    code = asyncio.run(_code(ingest, data))
    if kind == "too long":
        assert code == "too-large"
    elif kind in {"zero number"}:
        assert code == RefusalKind.REPORT_ID
    else:
        assert code == KINDS[kind]
    assert ingest.store.count(0) == 0


async def _code(ingest: Ingest, data: bytes, path: str | None = None) -> str:
    return problem(await Client(DonationApplication(ingest)).put(data, path))


def test_another_report_under_a_number_spends_no_token_twice(
    ingest: Ingest, parties: Parties
) -> None:
    from sfumato.donation.protecting import TokenRequest

    request = TokenRequest.make(parties.registrar.public_key, parties.task.task_id)
    token = request.finish(parties.registrar.sign(request.blinded))
    first, second = (parties.report(report_id=request.report_id, token=token) for _ in range(2))
    path = f"/v1/tasks/{parties.task.task_id.hex()}/reports/{os.urandom(16).hex()}"

    async def work() -> None:
        client = Client(DonationApplication(ingest))
        assert (await client.put(first))[0] == 201
        assert problem(await client.put(second)) == "report-id-taken"
        assert (await client.put(first))[0] == 200
        assert problem(await client.put(first, path)) == "other-report-id"

    asyncio.run(work())


def test_a_report_of_another_task_or_round_is_refused(ingest: Ingest, parties: Parties) -> None:
    other = make_parties().report()
    path = f"/v1/tasks/{parties.task.task_id.hex()}/reports/{other[37:53].hex()}"
    assert asyncio.run(_code(ingest, other, path)) == "other-task"
    assert asyncio.run(_code(ingest, parties.report(1))) == "other-round"
    early, late = parties.report(), parties.report()
    assert isinstance(ingest.take([early])[0], Receipt)
    freeze = ingest.freeze(0)
    assert [i.tobytes() for i in freeze.ids] == [early[37:53]]
    assert asyncio.run(_code(ingest, late)) == "other-round"
    (again,) = ingest.take([early])
    assert isinstance(again, Receipt)  # what was acknowledged stays so
    assert isinstance(ingest.take([parties.report(1)])[0], Receipt)
    assert (ingest.freeze(0).ids == freeze.ids).all()
    assert len(ingest.freeze(1).ids) == 1


def test_deadlines_keep_reports_out(parties: Parties, tmp_path: Path) -> None:
    store = open_store(tmp_path, parties.task.task_id)
    now = [parties.task.opens.timestamp() - 1]
    keys = (parties.envelopes[0], parties.signers[0])
    ingest = Ingest(parties.signed, 0, *keys, store, lambda: now[0])
    data = parties.report()
    assert asyncio.run(_code(ingest, data)) == "outside-the-deadlines"
    now[0] = parties.task.opens.timestamp()
    assert isinstance(ingest.take([data])[0], Receipt)
    now[0] = parties.task.closes.timestamp()
    assert asyncio.run(_code(ingest, data)) == "outside-the-deadlines"
    store.close()


def test_a_full_round_is_told(tmp_path: Path) -> None:
    parties = make_parties(tokens=False, n_max=5)
    store = open_store(tmp_path, parties.task.task_id, parties.task.n_max)
    ingest = Ingest(parties.signed, 0, parties.envelopes[0], parties.signers[0], store)
    answers = ingest.take([parties.report() for _ in range(6)])
    assert [isinstance(answer, Receipt) for answer in answers] == [True] * 5 + [False]
    assert answers[5].kind == RefusalKind.FULL
    store.close()


def test_what_was_stored_opens_to_the_shares(ingest: Ingest, parties: Parties) -> None:
    records = [os.urandom(256) for _ in range(4)]
    reports = [parties.report(record=record) for record in records]
    answers = ingest.take([reports[0][:-1], *reports, reports[2]])
    assert isinstance(answers[0], Refusal)
    assert [isinstance(answer, Receipt) for answer in answers[1:]] == [True] * 5
    ingest.freeze(0)
    shares = list(ingest.shares(0))
    assert [share.report_id for share in shares] == sorted(data[37:53] for data in reports)
    first, second = share_components(shares)
    assert first.shape == second.shape == (4, 256)
    ingest.store.erase(0)
    with pytest.raises(ProtocolError, match="erased"):
        list(ingest.shares(0))


def test_nothing_readable_lies_on_the_disk(ingest: Ingest, parties: Parties, tmp_path) -> None:
    from sfumato.donation.messages import Report, open_report

    data = parties.report()
    ingest.take([data])
    report = Report.from_bytes(data, parties.task.layout)
    seeds = open_report(parties.task, report, 0, parties.envelopes[0]).seeds
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert data in stored
    assert not any(seed in stored for seed in seeds)


def test_keys_must_be_the_tasks(parties: Parties, tmp_path: Path) -> None:
    store = open_store(tmp_path, parties.task.task_id)
    for keys in (
        (parties.envelopes[1], parties.signers[0]),
        (parties.envelopes[0], SigningKey.generate()),
        (EnvelopeKey.generate(), parties.signers[0]),
    ):
        with pytest.raises(ProtocolError, match="not the one that the task names"):
            Ingest(parties.signed, 0, *keys, store)
    store.close()


# ---------------------------------------------------------------- refusing


def test_errors_before_the_body(ingest: Ingest, parties: Parties) -> None:
    data = parties.report()
    size = str(len(data))

    async def work() -> None:
        client = Client(DonationApplication(ingest, NO_LIMIT))
        path = f"/v1/tasks/{parties.task.task_id.hex()}"
        report = f"{path}/reports/{'ab' * 16}"
        for bad in (
            "/",
            "/v1",
            f"{report}0",
            report[:-1],
            report.upper(),
            f"{path}/reports/",
            f"/v1/tasks/{'00' * 32}",
            f"/v1/tasks/{'00' * 32}/reports/{'ab' * 16}",
            f"{path}/",
            "/v1/problems/nothing",
            f"{path}/reports/{'zz' * 16}",
        ):
            assert problem(await client.ask("GET", bad)) == "not-found"
            assert problem(await client.put(data, bad)) == "not-found"
        for method in ("GET", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            status, headers, _ = await client.ask(method, report)
            assert (status, headers["allow"]) == (405, "PUT")
        for known in (path, f"{path}/status", "/v1/health", "/v1/metrics"):
            status, headers, _ = await client.ask("PUT", known, data)
            assert (status, headers["allow"]) == (405, "GET, HEAD")
        for headers, code in (
            ({"content-length": None}, "length-required"),
            ({"content-length": "-1"}, "length-required"),
            ({"content-length": "many"}, "length-required"),
            ({"content-length": "9" * 5000}, "too-large"),
            ({"content-length": str(len(data) + 1)}, "too-large"),
            ({"content-type": "application/json"}, "unsupported-media-type"),
            ({"content-type": None}, "unsupported-media-type"),
            ({"content-encoding": "gzip"}, "unsupported-media-type"),
        ):
            assert problem(await client.put(data, headers=headers)) == code
        right = {"content-type": MEDIA_TYPE.upper(), "content-length": size}
        assert (await client.put(data, headers=right))[0] == 201

    asyncio.run(work())


def test_an_address_that_asks_too_often_waits(ingest: Ingest) -> None:
    limits = Limits(requests_per_second=0.5, burst=3)

    async def work() -> None:
        application = DonationApplication(ingest, limits)
        client = Client(application)
        statuses = [(await client.ask("GET", "/v1/health"))[0] for _ in range(5)]
        assert statuses == [200] * 3 + [429] * 2
        answer = await client.ask("GET", "/v1/health")
        assert problem(answer) == "too-many-requests"
        assert int(answer[1]["retry-after"]) in (2, 3)
        other = Client(application, "192.0.2.2")
        assert (await other.ask("GET", "/v1/health"))[0] == 200

    asyncio.run(work())


@given(gaps=st.lists(st.floats(0, 5), max_size=60))
@settings(max_examples=40)
def test_no_address_gets_more_than_its_rate(gaps: list[float]) -> None:
    limits = AddressLimits(Limits(requests_per_second=2, burst=4))
    now = 0.0
    granted: list[float] = []
    for gap in gaps:
        now += gap
        if limits.wait("a", now) == 0:
            granted.append(now)
    for first, start in enumerate(granted):
        for last in range(first, len(granted)):
            assert last - first + 1 <= 4 + 2 * (granted[last] - start) + 1e-6


def test_a_body_that_does_not_come_is_not_waited_for(ingest: Ingest, parties: Parties) -> None:
    application = DonationApplication(ingest, Limits(body_seconds=0.05))
    data = parties.report()

    async def ask(then: Any) -> list[Any]:
        first = [{"type": "http.request", "body": data[:10], "more_body": True}]
        sent: list[Any] = []

        async def receive() -> Any:
            return first.pop() if first else await then()

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"1160")]
        path = f"/v1/tasks/{parties.task.task_id.hex()}/reports/{data[37:53].hex()}"
        scope = {"type": "http", "method": "PUT", "path": path, "headers": headers}
        await application(scope, receive, send)
        return sent

    async def never() -> None:
        await asyncio.sleep(60)

    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    assert asyncio.run(ask(never))[0]["status"] == 408
    assert asyncio.run(ask(gone)) == []


def test_a_store_that_refuses_acknowledges_nothing(
    ingest: Ingest, parties: Parties, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ingest.store.put

    def refusing(_: Any) -> Any:
        raise EngineError("/secret/place: no space left on device")

    async def work() -> None:
        client = Client(DonationApplication(ingest))
        data = parties.report()
        monkeypatch.setattr(ingest.store, "put", refusing)
        answer = await client.put(data)
        assert problem(answer) == "store-unavailable"
        assert b"/secret/place" not in answer[2]
        assert "retry-after" in answer[1]
        assert problem(await client.ask("GET", "/v1/health")) == "store-unavailable"
        monkeypatch.setattr(ingest.store, "put", real)
        assert (await client.put(data))[0] == 201
        assert (await client.ask("GET", "/v1/health"))[0] == 200

    asyncio.run(work())


def test_a_busy_store_says_so(ingest: Ingest, parties: Parties) -> None:
    reports = [parties.report() for _ in range(6)]

    async def work() -> None:
        limits = Limits(requests_per_second=None, most_waiting=2)
        client = Client(DonationApplication(ingest, limits))
        answers = await asyncio.gather(*(client.put(data) for data in reports))
        codes = [problem(each) for each in answers if each[0] >= 400]
        assert codes == ["busy"] * 4
        assert sum(each[0] == 201 for each in answers) == 2

    asyncio.run(work())


# ---------------------------------------------------------------- telling


def test_what_a_server_tells(ingest: Ingest, parties: Parties) -> None:
    async def work() -> None:
        client = Client(DonationApplication(ingest, NO_LIMIT))
        path = f"/v1/tasks/{parties.task.task_id.hex()}"
        status, headers, body = await client.ask("GET", path)
        assert SignedTask.from_bytes(body).task_id == parties.task.task_id
        status, headers, nothing = await client.ask("HEAD", path)
        assert (status, nothing, int(headers["content-length"])) == (200, b"", len(body))
        for data in [parties.report() for _ in range(3)]:
            await client.put(data)
        _, _, body = await client.ask("GET", f"{path}/status")
        assert json.loads(body) == {
            "task_id": parties.task.task_id.hex(),
            "server": 0,
            "round": 0,
            "accepting": True,
            "donations": 0,
            "n_min": 5,
        }
        for code, (status, title) in PROBLEMS.items():
            answer = await client.ask("GET", f"/v1/problems/{code}")
            assert json.loads(answer[2]) == {"code": code, "status": status, "title": title}
        answer = await client.ask("GET", "/v1/openapi.json")
        interface = json.loads(answer[2])
        assert interface["openapi"] == "3.1.0"
        statuses = set(interface["paths"]["/v1/tasks/{task}/reports/{report}"]["put"]["responses"])
        assert statuses >= {str(status) for status, _ in PROBLEMS.values()} - {"405"}

    asyncio.run(work())


def test_metrics_and_status_show_no_single_donor(ingest: Ingest, parties: Parties) -> None:
    async def told(client: Client) -> bytes:
        path = f"/v1/tasks/{parties.task.task_id.hex()}/status"
        return b"".join(
            [(await client.ask("GET", where))[2] for where in (path, "/v1/health", "/v1/metrics")]
        )

    async def work() -> None:
        client = Client(DonationApplication(ingest, NO_LIMIT))
        data = parties.report()
        await client.put(data)
        before = await told(client)
        await client.put(parties.report())
        assert await told(client) == before
        for secret in (data[37:53].hex(), client.address, hashlib.sha256(data).hexdigest()):
            assert secret.encode() not in before

    asyncio.run(work())


def test_websockets_are_closed_and_lifespan_ends_well(ingest: Ingest, parties: Parties) -> None:
    application = DonationApplication(ingest)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def work() -> None:
        await application({"type": "websocket"}, None, send)
        messages = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> Any:
            return {"type": next(messages)}

        await application({"type": "lifespan"}, receive, send)

    asyncio.run(work())
    assert [message["type"] for message in sent] == [
        "websocket.close",
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


# ---------------------------------------------------------------- over the network


def test_uvicorn_serves_it(ingest: Ingest, parties: Parties) -> None:
    server = uvicorn_server(DonationApplication(ingest, NO_LIMIT), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        task = f"/v1/tasks/{parties.task.task_id.hex()}"
        headers = {"content-type": MEDIA_TYPE}
        for _ in range(3):
            data = parties.report()
            connection.request("PUT", f"{task}/reports/{data[37:53].hex()}", data, headers)
            answer = connection.getresponse()
            assert answer.status == 201
            Receipt.from_bytes(answer.read(), parties.task)
            assert answer.getheader("server") is None
        data = parties.report()
        for where, body in ((task, data), (f"{task}/reports/{'ab' * 16}", iter([data]))):
            connection.request("PUT", where, body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status in {405, 411}
        connection.close()
    finally:
        server.should_exit = True
        thread.join()
    assert ingest.store.count(0) == 3


def test_without_uvicorn_the_message_says_what_to_install(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sfumato\[donate\]'"):
        uvicorn_server(DonationApplication(ingest))
