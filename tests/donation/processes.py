"""Three real server processes on this machine, for slow tests."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from tests.donation.tasks import Parties

from sfumato.donation.messages import SignedTask, TaskConfiguration
from sfumato.donation.organisation import Organisation, ServerSettings
from sfumato.donation.protecting import SigningKey
from sfumato.donation.rounds import RoundSettings
from sfumato.donation.rounds.closing import CloseRequest
from sfumato.donation.serving import Limits

PROGRAM = """
import os, sys
from sfumato.donation.rounds.journal import Journal
edge = os.environ.get("KILL_AT", "")
if edge:
    state, _, when = edge.partition(":")
    append = Journal.append
    def killed(self, line):
        if when == "before" and line["state"] == state:
            os.kill(os.getpid(), 9)
        append(self, line)
        if when == "after" and line["state"] == state:
            os.kill(os.getpid(), 9)
    Journal.append = killed
from sfumato.donation.server_process import run_server
run_server(sys.argv[1])
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass
class Processes:
    """Three servers' folders and, while they run, their processes."""

    folder: Path
    researcher: SigningKey = field(default_factory=SigningKey.generate)
    organisations: list[Organisation] = field(default_factory=list)
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    signed: SignedTask | None = None

    def prepare(self, values: dict[str, Any], rounds: RoundSettings | None = None) -> None:
        ports = free_ports(6)
        for index in range(3):
            settings = ServerSettings(
                index=index,
                name=f"Organisation {index}",
                port=ports[index],
                link_port=ports[3 + index],
                closing_key=self.researcher.verifying_key,
                timeout_seconds=60,
                limits=Limits(requests_per_second=1e6, burst=1_000_000),
                rounds=rounds or RoundSettings(),
            )
            self.organisations.append(Organisation.create(self.folder / str(index), settings))
        cards = [each.card for each in self.organisations]
        now = datetime.now(UTC)
        task = TaskConfiguration(
            title="Blood sugar",
            opens=now - timedelta(hours=1),
            closes=now + timedelta(days=1),
            erased_by=now + timedelta(days=2),
            servers=[card.party for card in cards],
            **values,
        )
        signatures = tuple(each.sign(task) for each in self.organisations)
        self.signed = SignedTask(task, signatures)
        for each in self.organisations:
            each.join(self.signed, cards)

    def prepare_round(self, parties: Parties, **changes: Any) -> Parties:
        """Prepare a task with the questions of another one; return its parties."""
        task = parties.task
        values = {
            name: getattr(task, name)
            for name in (
                "quasi_identifiers",
                "sensitive",
                "record_bytes",
                "histogram",
                "researcher",
                "k",
                "deletion_share",
                "n_min",
                "mode",
                "mailbox",
            )
        }
        rounds = changes.pop("rounds", None)
        self.prepare(values | changes, rounds)
        return replace(parties, task=self.signed.configuration)

    def start(self, index: int, kill_at: str = "") -> None:
        folder = str(self.organisations[index].folder)
        environment = {**os.environ, "KILL_AT": kill_at, "OMP_NUM_THREADS": "1"}
        self.processes[index] = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, folder],
            env=environment,
            stderr=subprocess.PIPE,
        )

    def client(self, index: int) -> httpx.Client:
        organisation = self.organisations[index]
        context = ssl.create_default_context(cafile=str(organisation.certificate))
        task = self.signed.task_id.hex()
        base = f"https://127.0.0.1:{organisation.settings.port}/v1/tasks/{task}"
        return httpx.Client(base_url=base, verify=context, timeout=30)

    def wait_until_up(self, index: int, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        with self.client(index) as client:
            while True:
                try:
                    client.get("/status")
                except httpx.TransportError:
                    assert time.monotonic() < end, "the server has not started"
                    assert self.processes[index].poll() is None, self.processes[index].stderr.read()
                    time.sleep(0.2)
                else:
                    return

    def send(self, reports: list[bytes]) -> None:
        at = self.signed.configuration.layout.id_at
        for index in range(3):
            with self.client(index) as client:
                for data in reports:
                    answer = client.put(
                        f"/reports/{data[at : at + 16].hex()}",
                        content=data,
                        headers={"content-type": "application/sfumato-donation-report"},
                    )
                    assert answer.status_code in {200, 201}, answer.text

    def order(self, number: int = 0, key: SigningKey | None = None) -> list[httpx.Response]:
        signer = key or self.researcher
        request = CloseRequest.sign(signer, self.signed.task_id, number, int(time.time()))
        answers = []
        for index in range(3):
            with self.client(index) as client:
                answers.append(client.post("/close", content=request.to_json()))
        return answers

    def status(self, index: int) -> dict[str, Any]:
        with self.client(index) as client:
            return client.get("/status").json()

    def wait_for(self, state: str, index: int, seconds: float = 120.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while (status := self.status(index))["state"] != state:
            assert time.monotonic() < end, status
            time.sleep(0.2)
        return status

    def bundles(self, indices: tuple[int, ...] = (0, 1, 2), number: int = 0) -> list[bytes]:
        found = []
        for index in indices:
            with self.client(index) as client:
                answer = client.get(f"/rounds/{number}/bundle")
                assert answer.status_code == 200, answer.text
                found.append(answer.content)
        return found

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stderr.close()
