"""Three servers of one task in this process, spoken to as by HTTP, for the tests of clients."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import numpy as np
import polars as pl
from tests.donation.tasks import Parties, make_parties

from sfumato.donation.clients import Researcher, ResearcherKeys, TaskServers
from sfumato.donation.clients.connection import Answer, ServerLost
from sfumato.donation.messages import EnvelopeConfiguration
from sfumato.donation.protecting import EnvelopeKey, SigningKey
from sfumato.donation.records import (
    CategoryQuestion,
    NumberQuestion,
    QuasiIdentifierQuestion,
    RecordCodec,
)
from sfumato.donation.rounds import RoundKeys, RoundSettings, count_layout
from sfumato.donation.rounds.desk import RoundDesk
from sfumato.donation.rounds.rounds_endpoints import RoundsApplication
from sfumato.donation.serving import DonationApplication, Ingest
from sfumato.donation.sharing import Channels, MemoryChannels
from sfumato.donation.storage import open_store

QUASI_IDENTIFIERS = (
    QuasiIdentifierQuestion(
        column="age",
        label="How old are you?",
        hierarchy={"bands": [4, 8]},
        range={"minimum": 20, "maximum": 35},
    ),
    QuasiIdentifierQuestion(
        column="sex",
        label="Your sex?",
        hierarchy={"flat": True},
        choices=["Female", "Male", "Other"],
        missing=True,
    ),
)
SENSITIVE = (
    CategoryQuestion(column="smoking", label="Do you smoke?", choices=["never", "current"]),
    NumberQuestion(column="glucose", label="Glucose?", range={"minimum": 80, "maximum": 400}),
)
CODEC = RecordCodec.of(QUASI_IDENTIFIERS, SENSITIVE, 32)
PARTS = [bytes([place]) for place in range(3)]  # as make_parties commits to them


def people(count: int, seed: int = 1) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": random.integers(20, 36, count),
            "sex": random.choice(["Female", "Male"], count),
            "smoking": random.choice(["never", "current"], count),
            # each answer once: a row can be told in the release
            "glucose": 80 + np.arange(count),
        }
    )


def clients_task(**changes: Any) -> tuple[Parties, EnvelopeKey]:
    """Return a task with all its keys, and the researcher's."""
    researcher = EnvelopeKey.generate()
    envelope = EnvelopeConfiguration.of_key(9, researcher)
    values = {
        "quasi_identifiers": QUASI_IDENTIFIERS,
        "sensitive": SENSITIVE,
        "record_bytes": CODEC.record_bytes,
        "histogram": count_layout(CODEC),
        "researcher": {"name": "Researcher", "envelope": envelope},
    }
    return make_parties(tokens=False, **(values | changes)), researcher


class Meetings:
    """How three servers meet in memory."""

    def __init__(self) -> None:
        self.proposals = [0, 0, 0]
        self.attempt = 0
        self.channels: Any = None
        self.barrier = Barrier(3, action=self._open, timeout=20)

    def _open(self) -> None:
        self.attempt = max(self.attempt + 1, *self.proposals)
        self.channels = MemoryChannels.three(timeout=20, number=self.attempt)


@dataclass(frozen=True)
class Way:
    meetings: Meetings
    index: int

    def __call__(self, number: int, proposal: int) -> tuple[Channels, int]:
        self.meetings.proposals[self.index] = proposal
        self.meetings.barrier.wait()
        return self.meetings.channels[self.index], self.meetings.attempt

    def wait(self, failures: int) -> None:
        time.sleep(0.01)


@dataclass
class AsgiConnection:
    """Requests to an application; a list of failures comes first."""

    name: str
    application: Any
    failures: list[Answer | ServerLost] = field(default_factory=list)
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    lock: Any = field(default_factory=Lock)

    def request(
        self, method: str, path: str, body: bytes = b"", media: str | None = None
    ) -> Answer:
        self.sent.append((method, path, body))
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, ServerLost):
                raise failure
            return failure
        with self.lock:
            return self.loop.run_until_complete(self._ask(method, path, body, media))

    async def _ask(self, method: str, path: str, body: bytes, media: str | None) -> Answer:
        headers = [(b"content-length", str(len(body)).encode())]
        if media is not None:
            headers.append((b"content-type", media.encode()))
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": None}
        messages: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            messages.append(message)

        await self.application(scope, receive, send)
        return Answer(messages[0]["status"], messages[1]["body"])

    def close(self) -> None:
        pass

    def end(self) -> None:
        """Shut the application down, as its process would."""
        messages = ["lifespan.startup", "lifespan.shutdown"]

        async def receive() -> dict[str, Any]:
            return {"type": messages.pop(0)}

        async def send(_message: Any) -> None:
            pass

        self.loop.run_until_complete(self.application({"type": "lifespan"}, receive, send))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class InProcess:
    """Three servers with their rounds, and the researcher."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.parties: Parties
        self.parties, envelope = clients_task(**changes)
        self.keys = ResearcherKeys(SigningKey.generate(), envelope)
        meetings = Meetings()
        self.desks, self.stores, self.connections = [], [], []
        for index in range(3):
            store = open_store(folder / str(index), self.task.task_id)
            key: EnvelopeKey = self.parties.envelopes[index]
            signer = self.parties.signers[index]
            ingest = Ingest(self.parties.signed, index, key, signer, store)
            desk = RoundDesk(
                ingest,
                folder / f"rounds-{index}",
                RoundKeys(signer, PARTS[index]),
                RoundSettings(),
                Way(meetings, index),
                closing_key=self.keys.signer.verifying_key,
                most_attempts=2,
            )
            desk.start()
            application = RoundsApplication(DonationApplication(ingest), desk)
            self.connections.append(AsgiConnection(f"{index}", application))
            self.desks.append(desk)
            self.stores.append(store)
        self.servers = TaskServers(self.parties.signed, self.connections)
        self.researcher = Researcher(self.servers, self.keys)

    @property
    def task(self) -> Any:
        return self.parties.task

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_error: object) -> None:
        for desk in self.desks:
            desk.stop()
            desk._thread.join(10)
        for connection in self.connections:
            connection.end()
        for store in self.stores:
            store.close()
