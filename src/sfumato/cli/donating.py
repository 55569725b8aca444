"""What `sfumato donate` does: read, speak to the servers, write, say what came out."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.atomic import write_whole
from sfumato.errors import EngineError, PlanError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from sfumato.cli.console import Console
    from sfumato.donation.clients import DonationFile, ServerStatus, TaskServers
    from sfumato.donation.messages import Receipt, SignedTask
    from sfumato.donation.simulation import SimulatedRound
    from sfumato.evaluation.anonify.settings import AnonifySettings
    from sfumato.progress import Progress
    from sfumato.release.donated import DonatedRelease
    from sfumato.table import Schema, Source

__all__ = [
    "close_round",
    "collect_release",
    "make_researcher",
    "simulate",
    "submit_by_form",
    "submit_record",
    "tell_status",
]

_CARDS = 3
_SIMULATED = "This is a simulation: all servers and donors were on one machine."


def submit_record(
    console: Console,
    task_file: Path,
    record: Path | None,
    *,
    cards: Path | None,
    receipts: Path,
    token: Path | None,
) -> None:
    """Donate the record of a file, or send again what an earlier try could not.

    Parameters
    ----------
    record
        JSON or CSV; None to finish what the file of receipts holds.
    receipts
        Where the sealed report, then its receipts are kept.
    token
        What the registrar signed, where the task has one.
    """
    from sfumato.donation.clients import DonationFile, answers_row, read_answers

    servers = _servers(task_file, cards)
    known = DonationFile.read(receipts)
    if known is not None:
        known.unsent(servers.task)  # complete, or of another task: told before anything is read
        console.say(f"an earlier try left its sealed report in {receipts}: that one is sent")
        given = _delivered(servers, receipts, known)
        console.result(*_receipt_words(servers.signed, given, receipts))
        return
    if record is None:
        raise PlanError("give the file of the record, or --form to answer the questions on a page")
    row = answers_row(servers.task, read_answers(record))
    console.say(_told_before(servers))
    given = _donated(servers, receipts, row, _token(token))
    console.result(*_receipt_words(servers.signed, given, receipts))


def submit_by_form(
    console: Console,
    task_file: Path,
    *,
    cards: Path | None,
    receipts: Path,
    token: Path | None,
    browser: bool,
) -> None:
    """Show the form page on this machine and donate what is answered there."""
    from sfumato.donation.clients import DonationFile, Donor
    from sfumato.donation.form import FormServer

    servers = _servers(task_file, cards)
    known = DonationFile.read(receipts)
    if known is not None:
        known.unsent(servers.task)
        raise PlanError(
            f"{receipts} holds a report that was not sent to all servers: run `submit` without "
            "--form to finish that donation"
        )
    signed = _token(token)
    Donor(servers).open_round()  # a server that is away is told before anything is asked

    def donate(row: pl.DataFrame) -> tuple[Receipt, ...]:
        return _donated(servers, receipts, row, signed)

    with FormServer(servers.task, donate) as form:
        console.say(f"the form: {form.url}")
        console.say("it is on this machine alone; Ctrl-C ends it without a donation")
        if browser:
            import webbrowser

            webbrowser.open(form.url)
        given = form.serve()
    console.result(*_receipt_words(servers.signed, given, receipts))


def close_round(
    console: Console, task_file: Path, keys: Path, *, cards: Path | None, number: int | None
) -> None:
    """Order all three servers to close a round."""
    from sfumato.donation.clients import Researcher, ResearcherKeys

    servers = _servers(task_file, cards)
    found = Researcher(servers, ResearcherKeys.read(keys)).close(number)
    values = {"servers": [_status_values(status) for status in found]}
    console.result(values, [status.describe() for status in found])


def tell_status(console: Console, task_file: Path, *, cards: Path | None) -> None:
    """Say how far each server is; one that does not answer does not hide the others."""
    from sfumato.donation.clients import ServerLost, ServerRefused

    servers = _servers(task_file, cards, patience=0.0)
    values: list[dict[str, Any]] = []
    words = []
    for server in range(len(servers)):
        try:
            status = servers.status(server)
        except (ServerLost, ServerRefused) as error:
            values.append({"server": server, "error": str(error)})
            words.append(str(error))
        else:
            values.append(_status_values(status))
            words.append(status.describe())
    console.result({"task": servers.signed.task_id.hex(), "servers": values}, words)


def collect_release(
    console: Console,
    task_file: Path,
    keys: Path,
    out: Path,
    *,
    cards: Path | None,
    number: int | None,
    wait: float,
) -> None:
    """Fetch the bundles of a round and write the release folder.

    Parameters
    ----------
    number
        The round; the one that was ordered last by default.
    wait
        For how many seconds the servers are waited for.
    """
    from sfumato.donation.clients import Researcher, ResearcherKeys
    from sfumato.release.donated import DonatedRelease
    from sfumato.release.folders import refuse_foreign

    refuse_foreign(out.absolute())
    servers = _servers(task_file, cards)
    own = ResearcherKeys.read(keys)
    researcher = Researcher(servers, own)
    if number is None:
        number = researcher.latest_round()  # of two servers at least
    if wait > 0:
        with console.progress() as progress:
            researcher.wait(number, wait, progress)
    collected = researcher.collect(number)
    for note in collected.notes:
        console.say(note)
    release = DonatedRelease.of(
        servers.signed, collected.bundles, own.envelope, notes=collected.notes
    )
    release.write(out)
    console.result({"folder": str(out), **_release_values(release)}, _release_words(release, out))


def simulate(
    console: Console,
    where: Source,
    schema_file: Path,
    asked: Mapping[str, Any],
    out: Path,
    *,
    assessment: Mapping[str, Any],
    assess: bool,
    folder: Path | None,
) -> None:
    """Run a whole round on this machine and write its release.

    Parameters
    ----------
    asked
        Of :class:`SimulationSettings`.
    assessment
        Of Anonify's four assessments.
    assess
        Whether they are made.
    folder
        Where the servers' folders are left; None to remove them.
    """
    from sfumato.cli.reading import read
    from sfumato.donation.simulation import SimulationSettings, simulate_round
    from sfumato.evaluation.anonify.settings import AnonifySettings
    from sfumato.release.donated import DonatedRelease
    from sfumato.release.folders import refuse_foreign
    from sfumato.table import Schema

    settings = SimulationSettings.of(asked)
    deleted = {"distribution_delete": settings.deletion_share} if settings.deletion_share else {}
    study_settings = AnonifySettings.of({**deleted, **assessment})
    refuse_foreign(out.absolute())
    schema = Schema.read(schema_file)
    table = read(console, where, schema)
    schema = schema.check(table)
    with console.progress() as progress:
        found = simulate_round(table, schema, settings, folder=folder, progress=progress)
        release = DonatedRelease.of(
            found.signed,
            found.bundles,
            found.envelope,
            schema=schema,
            notes=(
                "This is a simulation: all servers and donors were on one machine.",
                *found.notes,
            ),
        )
        beside = {}
        if assess:
            beside = _assessed(found, release, schema, study_settings, progress)
    release.write(out, beside)
    for note in found.notes:
        console.say(note)
    values = {
        "folder": str(out),
        **_release_values(release),
        "figures": found.figures.to_dict(),
    }
    words = [*_release_words(release, out), *found.figures.describe()]
    console.result(values, words)


def make_researcher(console: Console, folder: Path, name: str) -> None:
    """Make a researcher's keys and say what the servers must know of them."""
    import tomlkit

    from sfumato.donation.clients import ResearcherKeys

    keys = ResearcherKeys.generate()
    keys.write(folder)
    party = keys.party(name).model_dump(mode="json")
    closing = keys.signer.verifying_key.hex()
    path = folder / "researcher.toml"
    try:
        write_whole(path, tomlkit.dumps({"researcher": party}))
    except OSError as error:
        raise EngineError(f"{path}: {(error.strerror or 'refused').lower()}") from None
    words = [
        f"keys: {folder} (keep it; without it no bundle opens)",
        f"for the task: the table in {path}, which is public",
        f"your verifying key, to be compared by another way: {closing}",
    ]
    console.result({"closing_key": closing, "researcher": party}, words)


# -- parts ---------------------------------------------------------------------------------------


def _servers(task_file: Path, cards: Path | None, *, patience: float = 30.0) -> TaskServers:
    """Return ways to a task's servers, known by the certificates of their cards."""
    from sfumato.donation.clients import TaskServers
    from sfumato.donation.messages import SignedTask

    signed = SignedTask.read(task_file)
    certificates: Sequence[str | None] = (None,) * _CARDS
    if cards is not None:
        from sfumato.donation.organisation import ServerCard

        found = [ServerCard.read(cards / f"{index}.toml") for index in range(_CARDS)]
        for card, party in zip(found, signed.configuration.servers, strict=True):
            if card.party != party:
                raise PlanError(f"{cards}: the task does not name the server of {card.name}'s card")
        certificates = [card.certificate for card in found]
    return TaskServers.connect(signed, certificates, patience=patience)


def _token(path: Path | None) -> tuple[bytes, bytes] | None:
    """Return the report's number and the registrar's signature of it."""
    if path is None:
        return None
    try:
        values = json.loads(path.read_text("utf-8"))
        return bytes.fromhex(values["report_id"]), bytes.fromhex(values["token"])
    except OSError as error:
        raise PlanError(f"{path}: {(error.strerror or 'unreadable').lower()}") from None
    except (ValueError, KeyError, TypeError):
        raise PlanError(f"{path}: a token is JSON with report_id and token, in hex") from None


def _told_before(servers: TaskServers) -> str:
    coarse = ", ".join(q.column for q in servers.task.form if q.shared == "coarse")
    exact = ", ".join(q.column for q in servers.task.form if q.shared == "exact")
    return f"shared only in a coarse form: {coarse}; shared exactly, if it is drawn: {exact}"


def _donated(
    servers: TaskServers, receipts: Path, row: pl.DataFrame, token: tuple[bytes, bytes] | None
) -> tuple[Receipt, ...]:
    """Donate a row; if an earlier try left a sealed report, that one, so that one counts."""
    from sfumato.donation.clients import DonationFile, Donor, make_donations

    file = DonationFile.read(receipts)
    if file is None:
        number = Donor(servers).open_round()
        (report,) = make_donations(servers.task, row, number, token=token)
        file = DonationFile.pending(servers.task, report)
        file.write(receipts)
    return _delivered(servers, receipts, file)


def _delivered(servers: TaskServers, receipts: Path, file: DonationFile) -> tuple[Receipt, ...]:
    """Send a sealed report to all three servers and keep their receipts."""
    from sfumato.donation.clients import Donor, ServerRefused
    from sfumato.donation.messages import RefusalKind

    try:
        given = Donor(servers).send(file.unsent(servers.task))
    except ServerRefused as error:
        if error.code != RefusalKind.ROUND:
            raise
        # a server that had stored it would have known it: it is in no round of all three
        receipts.unlink(missing_ok=True)
        raise ProtocolError(
            "the round was closed before all three servers had the report, so it does not count; a "
            "task has one round: ask the organisations for their next task"
        ) from None
    file.done(given).write(receipts)
    return given


def _receipt_words(
    signed: SignedTask, given: Sequence[Receipt], receipts: Path
) -> tuple[dict[str, Any], list[str]]:
    values = {
        "task": signed.task_id.hex(),
        "receipts": str(receipts),
        "servers": [receipt.server for receipt in given],
        "round": given[0].round_number,
    }
    words = [
        "donated: all three servers have your report, and none of them can read it",
        f"receipts: {receipts} (they prove that the servers took it)",
    ]
    return values, words


def _status_values(status: ServerStatus) -> dict[str, Any]:
    return asdict(status)


def _assessed(
    found: SimulatedRound,
    release: DonatedRelease,
    schema: Schema,
    settings: AnonifySettings,
    progress: Progress,
) -> dict[str, str]:
    """Return the files of Anonify's assessments of the rows as the servers recoded them."""
    from sfumato.release.anonify import STUDY_FILE, anonify_study
    from sfumato.release.report.anonify_report import render_anonify

    asked = schema.select(found.donated.columns)
    study = anonify_study(
        found.donated,
        release.recode(found.donated),
        asked,
        settings=settings,
        progress=progress,
    )
    told = (
        "The classes are those that three servers found without seeing a record; the rows that "
        "they released are one more sample, whose risk and certainty stand in report.html."
    )
    study = replace(study, notes=(told, *study.notes))
    record = json.dumps(study.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)
    return {STUDY_FILE: record + "\n", "assessment.html": render_anonify(study)}


def _release_values(release: DonatedRelease) -> dict[str, Any]:
    return {
        "records": release.manifest.records,
        "rows": release.data.height,
        "classes": release.classes.height,
        "smallest_class": release.smallest_class,
        "smallest_class_of_the_file": release.smallest_rows,
        "impossible": release.impossible,
        "thinned": release.thinned,
        "suppressed": release.manifest.suppressed,
        "information_loss": release.loss,
        "risk_and_certainty": release.risk.to_dict(),
        "certificate": release.certificate.to_dict(),
    }


def _release_words(release: DonatedRelease, out: Path) -> list[str]:
    figures, manifest = release.risk.with_suppressed, release.manifest
    counts = (
        f"{release.data.height:,} rows released of {manifest.records:,} donations; "
        f"{release.classes.height:,} classes, the smallest of {release.smallest_class:,} donors "
        f"and of {release.smallest_rows:,} rows in the file; "
        f"{manifest.suppressed:,} donors are in no released class"
    )
    loss = (
        f"information loss (NCP): {100 * release.loss:.3f} %; average risk "
        f"{100 * figures.average_risk:.4f} %; average certainty "
        f"{100 * figures.average_certainty:.3f} %"
    )
    words = [counts, loss]
    if release.impossible:
        words.append(f"{release.impossible:,} rows are left out: their answers are impossible")
    if release.thinned:
        words.append(f"{release.thinned:,} more rows are left out: too few of their class are left")
    words += [f"promised: {promise.sentence}" for promise in release.certificate.promises]
    return [*words, f"release: {out}"]
