"""One whole round on this machine: keys, three server processes, donors, and what comes of it."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field

from sfumato.donation.clients.connection import ServerLost
from sfumato.donation.clients.donor import Donor
from sfumato.donation.clients.researcher import Researcher, ResearcherKeys
from sfumato.donation.messages import LDiversityRule, SignedTask
from sfumato.donation.messages.task import donors_for_rows
from sfumato.donation.protecting import EnvelopeKey, Kem
from sfumato.donation.records import RecordCodec
from sfumato.donation.rounds import RoundSettings, count_layout
from sfumato.donation.rounds.mailboxes import mailbox_layout
from sfumato.donation.simulation.donor_pool import donate_all
from sfumato.donation.simulation.leaving import ended_in_order
from sfumato.donation.simulation.local_servers import LocalServers
from sfumato.donation.simulation.table_questions import TableQuestions, questions_of_table
from sfumato.errors import DataError, PlanError
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Schema

__all__ = ["SimulatedRound", "SimulationFigures", "SimulationSettings", "simulate_round"]

_ROUND = 0


class SimulationSettings(Settings):
    """What is simulated.

    Parameters
    ----------
    k
        How many look alike at least.
    k_of
        ``"donors"``: k donors of a class before the deletion; ``"file"``: k rows of the released
        file, for which a class needs more donors.
    deletion_share
        Share of every class that is removed by chance, 0 to below 1.
    mode
        ``"shuffle"`` or ``"dpf"``, as in a task.
    donors
        How many rows donate, the first ones; all by default.
    n_min
        How many donations a round needs at least; 1,000 or ten times k by default.
    qid_open
        Let the servers see exact quasi-identifiers, for comparison.
    l_diversity
        A rule on sensitive answers, or None.
    kem
        How reports are sealed.
    processes
        Processes that donate.
    round_seconds
        How long the servers' round may take.
    """

    k: Annotated[int, Field(ge=2)]
    k_of: Literal["donors", "file"] = "donors"
    deletion_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    mode: Literal["shuffle", "dpf"] = "shuffle"
    donors: Annotated[int, Field(ge=1)] | None = None
    n_min: Annotated[int, Field(ge=1)] | None = None
    qid_open: bool = False
    l_diversity: LDiversityRule | None = None
    kem: Kem = "x25519"
    processes: Annotated[int, Field(ge=1)] = 1
    round_seconds: Annotated[float, Field(gt=0)] = 3600.0

    @property
    def donors_alike(self) -> int:
        """How many donors a class needs."""
        if self.k_of == "donors":
            return self.k
        return donors_for_rows(self.k, Decimal(str(self.deletion_share)))

    @property
    def least_donors(self) -> int:
        """How many donations a round needs."""
        return self.n_min or max(1000, 10 * self.donors_alike)


@dataclass(frozen=True)
class SimulationFigures:
    """What the round took.

    Parameters
    ----------
    donors
        Donors.
    upload_bytes
        Of one report; a donor sends it to each of the three servers.
    donor_cpu_seconds
        Of one donor: making, sealing and sending.
    server_cpu_seconds
        Of each server, its start included; None where the system does not say.
    donating_seconds, round_seconds
        On the clock: until all had donated, and from the order to close until the bundles.
    server_written_bytes
        What each server wrote in the round, nearly all of it to the two others; the rest to its
        disk. None where the system does not say.
    bundle_bytes
        Of each server's bundle for the researcher.
    """

    donors: int
    upload_bytes: int
    donor_cpu_seconds: float
    server_cpu_seconds: tuple[float | None, ...]
    donating_seconds: float
    round_seconds: float
    server_written_bytes: tuple[int | None, ...]
    bundle_bytes: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        return asdict(self)

    def describe(self) -> list[str]:
        """Return the figures in words."""
        servers = ", ".join(
            "unknown" if seconds is None else f"{seconds:.1f} s"
            for seconds in self.server_cpu_seconds
        )
        sent = (
            f"{self.donors:,} donors sent {self.upload_bytes:,} bytes to each of three servers; "
            f"{1000 * self.donor_cpu_seconds:.2f} ms of a processor each"
        )
        clock = (
            f"on the clock: donating {self.donating_seconds:.1f} s, the round "
            f"{self.round_seconds:.1f} s"
        )
        return [sent, f"processor time of the servers: {servers}", clock]


@dataclass(frozen=True, eq=False)
class SimulatedRound:
    """What came of a simulation.

    Parameters
    ----------
    signed
        The task.
    bundles
        Of the three servers.
    envelope
        The researcher's key, which opens them.
    donated
        The rows that were donated, with the columns that were asked for.
    questions
        What was asked.
    figures
        What it took.
    notes
        What is to be known of it, a sentence each.
    """

    signed: SignedTask
    bundles: tuple[bytes, ...] = field(repr=False)
    envelope: EnvelopeKey = field(repr=False)
    donated: pl.DataFrame
    questions: TableQuestions
    figures: SimulationFigures
    notes: tuple[str, ...]


def simulate_round(
    table: pl.DataFrame,
    schema: Schema,
    settings: SimulationSettings,
    *,
    folder: Path | None = None,
    progress: Progress = silent,
) -> SimulatedRound:
    """Run a round with three real server processes and a donor for each row of a table.

    Parameters
    ----------
    table, schema
        The donors' rows, and what their columns are.
    settings
        What is simulated.
    folder
        Where the servers' folders are made and left; without it they are removed at the end.
    progress
        Told how far it is.

    Raises
    ------
    SchemaError, DataError, PlanError
        If no task can be made of the table.
    ProtocolError, EngineError
        If the round does not end in a release.
    """
    rows, notes = _donors(table, schema, settings)
    questions = questions_of_table(rows, schema)
    with ended_in_order(), ExitStack() as stack:
        place = folder
        if place is None:
            place = Path(tempfile.mkdtemp(prefix="sfumato-donation-"))
            stack.callback(shutil.rmtree, place, ignore_errors=True)
        return _run(rows, questions, settings, (*questions.describe(), *notes), place, progress)


def _donors(
    table: pl.DataFrame, schema: Schema, settings: SimulationSettings
) -> tuple[pl.DataFrame, list[str]]:
    """Return a row for each donor, and what is to be said of it."""
    notes, rows = [], table
    person = schema.person
    if person is not None and person in table.columns:
        rows = table.unique(person, keep="first", maintain_order=True)
        if rows.height < table.height:
            notes.append(
                f"{table.height:,} rows are of {rows.height:,} persons; a person donates once, the "
                "first row"
            )
    if settings.donors is not None:
        if settings.donors > rows.height:
            raise DataError(
                f"donors: {settings.donors:,} are asked for, and the table has {rows.height:,}"
            )
        rows = rows.head(settings.donors)
    least = settings.least_donors
    if rows.height < least:
        raise PlanError(
            f"n_min: a round needs {least:,} donors, and there are {rows.height:,}: lower k, or "
            "n_min for a trial"
        )
    return rows, notes


def _run(
    rows: pl.DataFrame,
    questions: TableQuestions,
    settings: SimulationSettings,
    notes: tuple[str, ...],
    place: Path,
    progress: Progress,
) -> SimulatedRound:
    keys = ResearcherKeys.generate(settings.kem)
    rounds = RoundSettings(qid_open=settings.qid_open)
    servers = LocalServers(place, keys.signer.verifying_key, rounds, timeout=settings.round_seconds)
    signed = servers.agree_on(_task_values(rows.height, questions, settings, keys))

    def watched(task: str, done: float, total: float) -> None:
        servers.check()  # a round waits for a server that has ended, and here none comes back
        progress(task, done, total)

    asked = rows.select(questions.columns)
    signed.configuration.codec.encode(asked)  # an answer that does not fit is told at once
    progress("starting three servers", 0, 1)
    with servers, ExitStack() as stack:
        progress("starting three servers", 1, 1)
        ways = servers.connect(timeout=settings.round_seconds)
        # before the servers end: they wait long for who does not say goodbye
        stack.callback(ways.close_connections)
        start = time.monotonic()
        try:
            number = Donor(ways).open_round()
            donors = donate_all(
                signed,
                servers.certificates,
                asked,
                number,
                processes=settings.processes,
                progress=progress,
            )
            donated = time.monotonic()
            before = servers.written_bytes()
            researcher = Researcher(ways, keys)
            researcher.close(number)
            researcher.wait(number, settings.round_seconds, watched)
            written = servers.written_bytes()
            collected = researcher.collect(number)
        except ServerLost:
            servers.check()  # says why, if a process has ended
            raise
        ended = time.monotonic()
    figures = SimulationFigures(
        donors=donors.donors,
        upload_bytes=signed.configuration.layout.report_bytes,
        donor_cpu_seconds=donors.cpu_seconds / donors.donors,
        server_cpu_seconds=tuple(servers.cpu_seconds),
        donating_seconds=donated - start,
        round_seconds=ended - donated,
        server_written_bytes=tuple(
            None if last is None or first is None else last - first
            for first, last in zip(before, written, strict=True)
        ),
        bundle_bytes=tuple(len(bundle) for bundle in collected.bundles),
    )
    return SimulatedRound(
        signed,
        collected.bundles,
        keys.envelope,
        asked,
        questions,
        figures,
        (*notes, *collected.notes),
    )


def _task_values(
    donors: int, questions: TableQuestions, settings: SimulationSettings, keys: ResearcherKeys
) -> dict[str, Any]:
    now = datetime.now(UTC)
    length = questions.record_bytes
    codec = RecordCodec.of(questions.quasi_identifiers, questions.sensitive, length)
    most = max(donors, settings.least_donors)
    return {
        "title": "Simulated donation",
        "purpose": "A simulation: all three servers and all donors are on one machine.",
        "quasi_identifiers": questions.quasi_identifiers,
        "sensitive": questions.sensitive,
        "record_bytes": length,
        "k": settings.donors_alike,
        "k_of_file": settings.k if settings.k_of == "file" else None,
        "deletion_share": settings.deletion_share,
        "l_diversity": settings.l_diversity,
        "mode": settings.mode,
        "n_min": settings.n_min,
        "n_max": most,
        "opens": now - timedelta(minutes=5),
        "closes": now + timedelta(days=1),
        "erased_by": now + timedelta(days=2),
        "histogram": count_layout(codec),
        "mailbox": mailbox_layout(codec, most) if settings.mode == "dpf" else None,
        "researcher": keys.party("Researcher"),
    }
