"""How much of a processor a donation server needs for a report: whole over HTTP, and in parts.

A server process (uvicorn, TLS left out, a folder as store on the disk of ``--folder``) takes
reports from a client in this process over kept-alive connections of the loopback. Printed is the
CPU time of the *server* process a report, so the client costs nothing here; "checked" means that
the token was verified, the envelope opened, the commitments compared, the report synchronized to
the disk and the receipt signed. The parts are measured in this process, the HTTP part with an
application that only reads the body and answers::

    python benchmarks/ingest.py --reports 8000 --connections 64
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import multiprocessing
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_private_key

from sfumato.donation.messages import (
    EnvelopeConfiguration,
    Receipt,
    Report,
    SignedTask,
    TaskConfiguration,
    make_report,
)
from sfumato.donation.messages.receipt import RECEIPT_BYTES
from sfumato.donation.messages.report import check_report
from sfumato.donation.protecting import EnvelopeKey, Registrar, SigningKey, check_token
from sfumato.donation.records import CategoryQuestion, QuasiIdentifierQuestion
from sfumato.donation.serving import DonationApplication, Ingest, Limits
from sfumato.donation.serving.running import uvicorn_server
from sfumato.donation.storage import StoredReport, open_store

PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)


class World:
    """A task, its keys, and reports of honest donors."""

    def __init__(self, count: int, *, tokens: bool, kem: str) -> None:
        self.envelopes = [EnvelopeKey.generate(kem) for _ in range(3)]
        self.signers = [SigningKey.generate() for _ in range(3)]
        self.registrar = Registrar.generate() if tokens else None
        now = datetime.now(UTC)
        task: dict[str, Any] = {
            "title": "Benchmark",
            "quasi_identifiers": [
                QuasiIdentifierQuestion(
                    column="sex", label="Sex?", hierarchy={"flat": True}, choices=["a", "b"]
                )
            ],
            "sensitive": [CategoryQuestion(column="ill", label="Ill?", choices=["no", "yes"])],
            "k": 250,
            "deletion_share": 0.5,
            "opens": now - timedelta(hours=1),
            "closes": now + timedelta(days=1),
            "erased_by": now + timedelta(days=2),
            "servers": [
                {
                    "name": f"Server {place}",
                    "url": "http://127.0.0.1",
                    "verifying_key": self.signers[place].verifying_key,
                    "verify_key_commitment": bytes(32),
                    "envelope": EnvelopeConfiguration.of_key(place, self.envelopes[place]),
                }
                for place in range(3)
            ],
            "researcher": {
                "name": "Researcher",
                "envelope": EnvelopeConfiguration.of_key(9, EnvelopeKey.generate()),
            },
        }
        if self.registrar:
            self.signing = load_der_private_key(self.registrar.secret_bytes(), None)
            task["registrar"] = {"name": "Registrar", "public_key": self.registrar.public_key}
        self.task = TaskConfiguration(**task)
        self.signed = SignedTask(
            self.task, tuple(SignedTask.signature(self.task, key) for key in self.signers)
        )
        self.reports = [self.report() for _ in range(count)]

    def report(self) -> bytes:
        common = os.urandom(self.task.histogram.public_bytes)
        own = self.task.histogram.private_bytes
        more: dict[str, Any] = {"report_id": os.urandom(16)}
        if self.registrar:  # signed in the open: the same bytes as blindly, and much sooner
            message = self.task.task_id + more["report_id"]
            more["token"] = self.signing.sign(message, PSS, hashes.SHA384())
        keys = (os.urandom(own) + common, os.urandom(own) + common)
        record = os.urandom(self.task.record_bytes)
        return make_report(self.task, 0, record, histogram_keys=keys, **more).data


async def only_http(scope: dict[str, Any], receive: Callable, send: Callable) -> None:
    """Read a body and answer as many bytes as a receipt has."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    headers = [
        (b"content-type", b"a/b"),
        (b"content-length", b"%d" % RECEIPT_BYTES),
        (b"cache-control", b"none"),
    ]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(RECEIPT_BYTES)})


def run_server(pipe: Any, port: int, folder: str | None, keys: tuple[bytes, ...]) -> None:
    """Run in a process of its own; answers every message with the CPU time so far."""
    if folder is None:
        application: Any = only_http
    else:
        signed = SignedTask.from_bytes(keys[0])
        kem = signed.configuration.servers[0].envelope.kem
        store = open_store(folder, signed.task_id)
        ingest = Ingest(signed, 0, EnvelopeKey(kem, keys[1]), SigningKey(keys[2]), store)
        application = DonationApplication(ingest, Limits(requests_per_second=None))
    server = uvicorn_server(application, "127.0.0.1", port)

    def answer() -> None:
        while pipe.recv():
            pipe.send(time.process_time())
        server.should_exit = True

    threading.Thread(target=answer, daemon=True).start()
    server.run()


@contextmanager
def serving(folder: str | None, world: World) -> Iterator[tuple[int, Callable[[], float]]]:
    """Start a server process; gives its port and a function that tells its CPU time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ours, theirs = multiprocessing.Pipe()
    keys = (
        world.signed.to_bytes(),
        world.envelopes[0].secret_bytes(),
        world.signers[0].secret_bytes(),
    )
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=run_server, args=(theirs, port, folder, keys))
    process.start()
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            if not process.is_alive():
                raise
            time.sleep(0.05)

    def cpu() -> float:
        ours.send("go on")
        return ours.recv()

    try:
        yield port, cpu
    finally:
        ours.send("")
        process.join()


async def load(port: int, world: World, reports: list[bytes], connections: int) -> list[bytes]:
    """Send reports over kept-alive connections; returns the answers' bodies."""
    layout = world.task.layout
    queue = iter(reports)
    answers: list[bytes] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in queue:
            report_id = body[layout.id_at : layout.token_at].hex()
            writer.write(
                f"PUT /v1/tasks/{layout.task_id.hex()}/reports/{report_id} HTTP/1.1\r\n"
                "host: x\r\ncontent-type: application/sfumato-donation-report\r\n"
                f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 201 " in head.split(b"\r\n", 1)[0], head
            answers.append(await reader.readexactly(RECEIPT_BYTES))
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(client() for _ in range(connections)))
    return answers


def measure(folder: str | None, world: World, connections: int, repeat: int) -> list[float]:
    """Return CPU microseconds of the server a report, for each repetition."""
    with serving(folder, world) as (port, cpu):
        size = len(world.reports) // (repeat + 1)
        found = []
        for start in range(0, size * (repeat + 1), size):
            part = world.reports[start : start + size]
            before = cpu()
            answers = asyncio.run(load(port, world, part, connections))
            found.append((cpu() - before) / size * 1e6)
            if folder is not None:
                Receipt.from_bytes(answers[0], world.task)
    return found[1:]  # the first one warms up


def part(work: Callable[[Any], object], items: list[Any], repeat: int = 5) -> float:
    """Return the least CPU microseconds an item."""
    found = []
    for _ in range(repeat):
        before = time.process_time()
        for item in items:
            work(item)
        found.append((time.process_time() - before) / len(items) * 1e6)
    return min(found)  # what disturbs only adds


def parts(world: World, folder: Path, group: int) -> dict[str, float]:
    """Return CPU microseconds a report of each step, in this process."""
    task, layout = world.task, world.task.layout
    sample = world.reports[:1000]
    read = [Report.from_bytes(data, layout) for data in sample]
    found = {"read": part(lambda data: Report.from_bytes(data, layout), sample)}
    if world.registrar:
        key = world.registrar.public_key
        found["token"] = part(
            lambda report: check_token(key, task.task_id, report.report_id, report.token), read
        )
    found["open, compare commitments"] = part(
        lambda report: check_report(task, report, 0, world.envelopes[0]), read
    )
    found["hash"] = part(lambda data: hashlib.sha256(data).digest(), sample)
    store = open_store(folder, task.task_id)
    stored = [
        StoredReport(os.urandom(16), 0, hashlib.sha256(report.data).digest(), 0, report.data)
        for report in read * 5
    ]
    groups = [stored[start : start + group] for start in range(0, len(stored), group)]
    found[f"store, in groups of {group}"] = part(store.put, groups, 1) / group
    store.close()
    taken = [(report.report_id, 0, 0) for report in read]
    groups = [taken[start : start + group] for start in range(0, len(taken), group)]
    signer = world.signers[0]
    found["sign the receipts"] = part(
        lambda some: [one.to_bytes() for one in Receipt.sign(signer, task.task_id, 0, some)], groups
    ) * (len(groups) / len(taken))
    return found


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=int, default=8000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--kem", choices=["x25519", "mlkem768-x25519"], default="x25519")
    parser.add_argument("--no-tokens", action="store_true")
    parser.add_argument("--folder", default=None, help="on the disk to measure")
    asked = parser.parse_args()
    world = World(asked.reports, tokens=not asked.no_tokens, kem=asked.kem)
    found = ", ".join(name for name in ("httptools", "uvloop") if find_spec(name)) or "h11, asyncio"
    size = world.task.layout.report_bytes
    print(f"{asked.reports} reports of {size} bytes, {asked.connections} connections, {found}")
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        for step, cost in parts(world, folder / "parts", asked.connections).items():
            print(f"{step:40} {cost:8.1f} us CPU a report")
        for what, place in (("HTTP alone", None), ("whole", str(folder / "whole"))):
            costs = measure(place, world, asked.connections, asked.repeat)
            cost, least = statistics.median(costs), min(costs)
            print(
                f"{what:40} {cost:8.1f} us CPU a report: {1e6 / cost:6.0f} a second and core; "
                f"least of {len(costs)}: {least:.1f} us, {1e6 / least:.0f}"
            )


if __name__ == "__main__":
    main()
