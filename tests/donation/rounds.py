"""Three servers of one task in one process, for the tests of rounds."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tests.donation.tasks import QUESTIONS, Parties, make_parties

from sfumato.donation.messages import EnvelopeConfiguration, make_report
from sfumato.donation.protecting import EnvelopeKey
from sfumato.donation.records import QuasiIdentifierQuestion, RecordCodec
from sfumato.donation.rounds import (
    Round,
    RoundKeys,
    RoundSettings,
    RoundState,
    count_keys,
    count_layout,
)
from sfumato.donation.rounds.journal import Journal
from sfumato.donation.rounds.mailboxes import mailbox_keys, mailbox_layout
from sfumato.donation.serving import Ingest
from sfumato.donation.sharing import MemoryChannels
from sfumato.donation.storage import open_store

QUASI_IDENTIFIERS = [
    QuasiIdentifierQuestion(
        column="age",
        label="How old are you?",
        hierarchy={"bands": [4, 8]},
        range={"minimum": 20, "maximum": 35},
    ),
    QUESTIONS["quasi_identifiers"][1],
]
PARTS = [bytes([place]) for place in range(3)]


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


def round_task(**changes: Any) -> tuple[Parties, EnvelopeKey]:
    """Return a task whose histogram fits its questions, and the researcher's key."""
    researcher = EnvelopeKey.generate()
    codec = RecordCodec.of(QUASI_IDENTIFIERS, QUESTIONS["sensitive"], 32)
    values = {
        "quasi_identifiers": QUASI_IDENTIFIERS,
        "record_bytes": 32,
        "mailbox": mailbox_layout(codec, 128) if changes.get("mode") == "dpf" else None,
        "histogram": count_layout(codec),
        "researcher": {
            "name": "Researcher",
            "envelope": EnvelopeConfiguration.of_key(9, researcher),
        },
    }
    parties = make_parties(tokens=False, **(values | changes))
    return parties, researcher


def donations(parties: Parties, table: pl.DataFrame) -> list[bytes]:
    task = parties.task
    records, cells = task.codec.encode(table), task.codec.cells(table)
    reports = []
    for record, cell in zip(records, cells, strict=True):
        report_id = os.urandom(16)
        keys = count_keys(task, report_id, int(cell), os.urandom) if task.histogram else None
        boxes: tuple[Any, ...] = ()
        content = record.tobytes()
        if task.mode == "dpf":
            boxes, content = mailbox_keys(task, report_id, content, os.urandom), b""
        reports.append(
            make_report(
                task,
                0,
                content,
                report_id=report_id,
                histogram_keys=keys,
                mailbox_keys=boxes,
            ).data
        )
    return reports


class Killed(BaseException):
    """The process is gone."""


def unaltered(index: int, channels: Any) -> Any:
    return channels


@dataclass
class Servers:
    """Three servers, each with its folder, that can be stopped and started again."""

    folder: Path
    parties: Parties
    settings: RoundSettings = field(default_factory=RoundSettings)
    attempt: int = 0
    ingests: list[Ingest] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    alter: Callable[[int, Any], Any] = unaltered

    def start(self) -> Servers:
        for index in range(3):
            store = open_store(self.folder / str(index) / "reports", self.parties.task.task_id)
            ingest = Ingest(
                self.parties.signed,
                index,
                self.parties.envelopes[index],
                self.parties.signers[index],
                store,
            )
            self.ingests.append(ingest)
            self.rounds.append(self.new_round(index))
        return self

    def new_round(self, index: int) -> Round:
        keys = RoundKeys(self.parties.signers[index], PARTS[index])
        folder = self.folder / str(index) / "round-0"
        return Round(self.ingests[index], 0, folder, keys, self.settings)

    def stop(self) -> None:
        for ingest in self.ingests:
            ingest.store.close()
        self.ingests, self.rounds = [], []

    def restart(self) -> None:
        self.stop()
        self.start()

    def take(self, reports: list[bytes]) -> None:
        for ingest in self.ingests:
            ingest.take(reports)

    def run(self, timeout: float = 60.0) -> list[Any]:
        """Run one attempt; return each server's state, or what it raised."""
        self.attempt += 1
        channels = MemoryChannels.three(timeout=timeout, number=self.attempt)
        outcomes: list[Any] = [None] * 3

        def work(index: int) -> None:
            own = self.alter(index, channels[index])
            try:
                outcomes[index] = self.rounds[index].run(own, self.attempt)
            except BaseException as error:  # noqa: BLE001 - also the test's own
                outcomes[index] = error
            finally:
                channels[index].close()

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, range(3)))
        return outcomes

    def bundles(self) -> list[bytes]:
        return [each.bundle for each in self.rounds if each.bundle is not None]


def killed_at(
    monkeypatch: Any, servers: Servers, index: int, state: RoundState, when: str
) -> list[Any]:
    """Run a round in which one server is killed before or after it has written a state."""
    append = Journal.append
    victim = servers.rounds[index]._journal

    def killed(self: Journal, line: Any) -> None:
        mine = self is victim and line["state"] == state
        if mine and when == "before":
            raise Killed
        append(self, line)
        if mine:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", killed)
        outcomes = servers.run()
    assert isinstance(outcomes[index], Killed)
    return outcomes
