"""The commands before a donation: a task that three organisations sign, and tokens for persons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.console import Console
from sfumato.cli.options import Json, Quiet

if TYPE_CHECKING:
    from sfumato.donation.messages import TaskConfiguration
    from sfumato.donation.messages.signed_task import TaskProposal

__all__ = ["task", "token"]


def task(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The draft (with --out), or the task so far (TOML)."),
    ],
    cards: Annotated[
        Path | None,
        typer.Option("--cards", metavar="FOLDER", help="The servers' cards, 0.toml to 2.toml."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Assemble the draft; write the task here."),
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option("--sign", metavar="FOLDER", help="Sign as the server of this folder."),
    ] = None,
    join: Annotated[
        Path | None,
        typer.Option(
            "--join",
            metavar="FOLDER",
            help="Put the task that all three signed, and the cards, into this server's folder.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Assemble a task from a draft and three cards, sign it, and put it in place.

    Says what is asked, how many must look alike, until when, and who has not signed. The file goes
    from one organisation to the next; each reads it and adds its signature.
    """
    from sfumato.donation.messages.signed_task import TaskProposal
    from sfumato.donation.organisation import Organisation
    from sfumato.donation.organisation.assembling import assemble_task, read_cards, read_draft
    from sfumato.errors import PlanError

    if out is not None:
        if sign is not None or join is not None or cards is None:
            raise PlanError("--out assembles a draft: give it with --cards, and sign afterwards")
        if out.exists():
            raise PlanError(f"{out} is there already: signatures in it would be lost")
        proposal = TaskProposal(assemble_task(read_draft(file), read_cards(cards)))
        proposal.write(out)
        where = out
    else:
        proposal, where = TaskProposal.read(file), file
        if sign is not None:
            signer = Organisation(sign)
            signature = signer.sign(proposal.configuration)
            proposal = proposal.signed(signer.settings.index, signature)
            proposal.write(file)
        if join is not None:
            if cards is None:
                raise PlanError("--join needs --cards: the cards go into the server's folder too")
            Organisation(join).join(proposal.complete(), read_cards(cards))
    console = Console(quiet=quiet, as_json=as_json)
    console.result(_values(proposal), [*_words(proposal), f"task: {where}"])


def token(
    file: Annotated[
        Path | None, typer.Argument(metavar="TASK", help="The task (TOML); not for --init.")
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option("--init", metavar="FOLDER", help="Registrar: make a key for a new task."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The registrar, as donors are told (with --init).")
    ] = None,
    ask: Annotated[
        Path | None,
        typer.Option("--ask", metavar="FILE", help="Donor: write a request for the registrar."),
    ] = None,
    issue: Annotated[
        Path | None,
        typer.Option("--issue", metavar="FILE", help="Registrar: sign this request."),
    ] = None,
    registrar: Annotated[
        Path | None,
        typer.Option("--registrar", metavar="FOLDER", help="As --init made it (with --issue)."),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option("--person", help="Whose request it is, such as a number (with --issue)."),
    ] = None,
    finish: Annotated[
        Path | None,
        typer.Option("--finish", metavar="FILE", help="Donor: make the token of this answer."),
    ] = None,
    request: Annotated[
        Path | None,
        typer.Option("--request", metavar="FILE", help="The request it answers (with --finish)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The answer, or the token, is written here."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Give each person one token, by which one person donates once, or ask for one.

    The registrar, who knows the persons, signs without seeing the token, and cannot tell later
    which report is whose.
    """
    from sfumato.donation.organisation.token_office import (
        TokenOffice,
        ask_for_token,
        finish_token,
    )
    from sfumato.errors import PlanError

    if sum(one is not None for one in (init, ask, issue, finish)) != 1:
        raise PlanError("give one of --init, --ask, --issue and --finish")
    console = Console(quiet=quiet, as_json=as_json)
    if init is not None:
        if name is None:
            raise PlanError("--init needs --name: the registrar, as donors are told")
        party = TokenOffice.create(init, name).party_file
        console.result({"registrar": str(party)}, [f"for the draft of the task: {party}, public"])
        return
    if file is None:
        raise PlanError("give the task: a token is for one task")
    configuration = _configuration(file)
    if ask is not None:
        secret = ask_for_token(configuration, ask)
        words = [f"for the registrar: {ask}", f"keep for yourself, show nobody: {secret}"]
        console.result({"request": str(ask), "secret": str(secret)}, words)
    elif issue is not None:
        if registrar is None or person is None or out is None:
            raise PlanError("--issue needs --registrar, --person and --out")
        TokenOffice(registrar).issue(configuration, issue, person, out)
        console.result({"answer": str(out)}, [f"for the donor: {out}"])
    elif finish is not None:
        if request is None or out is None:
            raise PlanError("--finish needs --request and --out")
        finish_token(configuration, request, finish, out)
        console.result({"token": str(out)}, [f"token: {out} (give it to `submit` by --token)"])


def _configuration(file: Path) -> TaskConfiguration:
    from sfumato.donation.messages import SignedTask

    return SignedTask.read(file).configuration


def _values(proposal: TaskProposal) -> dict[str, Any]:
    task = proposal.configuration
    return {
        "task": task.task_id.hex(),
        "title": task.title,
        "k": task.k,
        "k_of_file": task.k_of_file,
        "deletion_share": float(task.deletion_share),
        "report_bytes": task.layout.report_bytes,
        "servers": [server.name for server in task.servers],
        "missing_signatures": list(proposal.missing),
    }


def _words(proposal: TaskProposal) -> list[str]:
    task = proposal.configuration
    coarse = ", ".join(question.column for question in task.quasi_identifiers)
    exact = ", ".join(question.column for question in task.sensitive)
    alike = f"at least {task.k:,} donors look alike"
    if task.k_of_file is not None:
        alike += f", and {task.k_of_file:,} rows of the file"
    asked = (
        f"a round needs {task.n_min:,} donors; opens {task.opens:%Y-%m-%d %H:%M}, closes "
        f"{task.closes:%Y-%m-%d %H:%M}, erased by {task.erased_by:%Y-%m-%d %H:%M} (UTC)"
    )
    keys = [
        f"{server.name}: {server.url}, verifying key {server.verifying_key.hex()}"
        for server in task.servers
    ]
    closing = task.researcher.verifying_key
    known = closing.hex() if closing else "as each server's closing_key says"
    missing = proposal.missing
    return [
        f"{task.title} ({task.task_id.hex()})",
        f"shared in a coarse form: {coarse}; exactly, if drawn: {exact or 'nothing'}",
        f"{alike}; {100 * task.deletion_share:.4g} % of every class are deleted",
        asked,
        *keys,
        f"researcher: {task.researcher.name}, verifying key {known}",
        f"registrar: {task.registrar.name if task.registrar else 'none'}",
        f"signatures missing: {', '.join(missing)}" if missing else "signed by all three",
    ]
