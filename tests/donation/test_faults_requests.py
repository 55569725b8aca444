"""Requests that come too often, too slowly or strangely; and limits as they stand in a file."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.donation.tasks import Parties, make_parties

from sfumato.donation.clients import DonationFile, HttpConnection
from sfumato.donation.messages import Receipt
from sfumato.donation.messages.report import MEDIA_TYPE
from sfumato.donation.organisation import Organisation, ServerSettings
from sfumato.donation.serving import DonationApplication, Ingest, Limits
from sfumato.donation.serving.limits import AddressLimits
from sfumato.donation.storage import open_store
from sfumato.errors import PlanError, ProtocolError


@pytest.fixture(scope="module")
def parties() -> Parties:
    return make_parties(tokens=False)


@pytest.mark.parametrize("none", [None, "none", 0])
def test_no_limit_can_be_written_and_is_read_again(tmp_path: Path, none: Any) -> None:
    limits = Limits(requests_per_second=none)
    assert AddressLimits(limits).wait("192.0.2.1", 0.0) == 0
    made = Organisation.create(tmp_path / "a", ServerSettings(index=0, name="A", limits=limits))
    text = (tmp_path / "a" / "server.toml").read_text()
    assert tomllib.loads(text)["limits"]["requests_per_second"] == 0
    assert made.settings.limits == limits
    again = AddressLimits(Organisation(tmp_path / "a").settings.limits)
    assert not any(again.wait("192.0.2.1", 0.0) for _ in range(1000))
    (tmp_path / "a" / "server.toml").write_text(
        'index = 0\nname = "A"\n[limits]\nrequests_per_second = "none"\n'
    )
    assert Organisation(tmp_path / "a").settings.limits == limits


@pytest.mark.parametrize("wrong", [-1, "many", float("inf"), float("nan")])
def test_what_is_no_limit_is_refused(wrong: Any) -> None:
    with pytest.raises(PlanError, match="requests_per_second"):
        Limits(requests_per_second=wrong)


@given(low=st.integers(0, 2**64 - 1), other=st.integers(0, 2**64 - 1))
@settings(deadline=None, max_examples=30)
def test_a_network_of_ipv6_is_one_address(low: int, other: int) -> None:
    from ipaddress import IPv6Address

    limits = AddressLimits(Limits(requests_per_second=0.1, burst=1))
    base = 0x20010DB8 << 96
    assert limits.wait(str(IPv6Address(base + low)), 0.0) == 0
    assert limits.wait(str(IPv6Address(base + other)), 0.0) > 0
    assert limits.wait(str(IPv6Address(base + (1 << 64) + low)), 0.0) == 0
    # one of IPv4 is the same however it is written, and no network
    assert limits.wait("::ffff:192.0.2.1", 0.0) == 0
    assert limits.wait("192.0.2.1", 0.0) > 0
    assert limits.wait("::ffff:192.0.2.2", 0.0) == 0


def test_a_head_without_a_body_is_not_waited_for(parties: Parties, tmp_path: Path) -> None:
    store = open_store(tmp_path, parties.task.task_id)
    ingest = Ingest(parties.signed, 0, parties.envelopes[0], parties.signers[0], store)
    application = DonationApplication(ingest, Limits(body_seconds=0.02))
    path = f"/v1/tasks/{parties.task.task_id.hex()}/reports/{'ab' * 16}"
    size = str(parties.task.layout.report_bytes).encode()
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", size)]
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()  # nothing ever comes

    async def send(message: Any) -> None:
        sent.append(message)

    async def work() -> None:
        scope = {"type": "http", "method": "PUT", "path": path, "headers": headers, "client": None}
        await asyncio.wait_for(application(scope, receive, send), 5)

    asyncio.run(work())
    assert sent[0]["status"] == 408
    assert b"request-timeout" in sent[1]["body"]
    store.close()


@pytest.mark.parametrize(("said", "seconds"), [("²", None), ("7", 7.0), ("soon", None), ("", None)])
def test_a_time_that_is_none_is_not_waited_for(monkeypatch, said: str, seconds: Any) -> None:
    class Response:
        status = 429

        def read(self, _length: int) -> bytes:
            return b""

        def getheader(self, _name: str, _default: str) -> str:
            return said

    way = HttpConnection("0", "http://127.0.0.1:1", patience=0)
    monkeypatch.setattr(way._connection, "request", lambda *_: None)
    monkeypatch.setattr(way._connection, "getresponse", Response)
    assert way.request("GET", "/").retry_after == seconds


def test_receipts_are_one_of_each_server(parties: Parties) -> None:
    given_by = [
        Receipt.sign(key, parties.task.task_id, server, [(bytes(range(16)), 0, 0)])[0]
        for server, key in enumerate(parties.signers)
    ]
    file = DonationFile(parties.task.task_id)
    assert file.done(tuple(given_by)).checked_receipts(parties.task) == tuple(given_by)
    for some in (given_by[:2], [given_by[0]] * 3):
        with pytest.raises(ProtocolError, match="one of each of the three servers"):
            file.done(tuple(some)).checked_receipts(parties.task)
