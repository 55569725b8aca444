"""The commands of `sfumato donate`, and their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.console import Console
from sfumato.cli.donation_preparation import task as task_command
from sfumato.cli.donation_preparation import token as token_command
from sfumato.cli.donation_server import server
from sfumato.cli.options import (
    Data,
    Decimal,
    Delimiter,
    Encoding,
    Json,
    Missing,
    Out,
    Query,
    Quiet,
    SchemaFile,
    Set,
    SettingsFile,
    Sheet,
    source,
    technique_settings,
)

__all__ = ["donate"]

donate = typer.Typer(
    name="donate",
    no_args_is_help=True,
    help="Give a record to science so that nobody, not even a server, can tell that it is yours."
    "\n\nThree servers of different organisations mix the records as shares; what comes out is a "
    "k-anonymous sample. Two of the servers that act together could read everything.",
)

_ASSESSING = "Assessing"

Task = Annotated[
    Path, typer.Argument(metavar="TASK", help="The task, signed by all three servers (TOML).")
]
Cards = Annotated[
    Path | None,
    typer.Option(
        "--cards",
        metavar="FOLDER",
        help="The servers' cards, 0.toml to 2.toml: their certificates and no others are believed. "
        "Without it the system's authorities are.",
    ),
]
Receipts = Annotated[
    Path,
    typer.Option(
        "--receipts",
        metavar="FILE",
        help="Where the sealed report is kept until all servers have it, then their receipts.",
    ),
]
Keys = Annotated[
    Path, typer.Option("--keys", metavar="FOLDER", help="The researcher's keys, as `keys` made.")
]
Round = Annotated[
    int | None, typer.Option("--round", min=0, help="The round, if it is not the last one.")
]

donate.command()(server)
donate.command("task")(task_command)
donate.command("token")(token_command)


@donate.command()
def submit(
    task: Task,
    record: Annotated[
        Path | None,
        typer.Argument(
            metavar="RECORD", help="JSON object, or CSV of one row: an answer to each question."
        ),
    ] = None,
    form: Annotated[
        bool, typer.Option("--form", help="Answer the questions on a page of this machine.")
    ] = False,
    cards: Cards = None,
    receipts: Receipts = Path("donation-receipts.json"),
    token: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The registrar's token, where the task asks for one."),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the form in a browser.")
    ] = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Donate one record, from a file or from a form.

    The record is split and sealed on this machine; every server gets a part that tells nothing. Run
    it again after a break: the same sealed report is sent, and counts once.
    """
    from sfumato.cli import donating
    from sfumato.errors import PlanError

    if form and record is not None:
        raise PlanError("give a record or --form, not both")
    console = Console(quiet=quiet, as_json=as_json)
    if form:
        donating.submit_by_form(
            console, task, cards=cards, receipts=receipts, token=token, browser=browser
        )
    else:
        donating.submit_record(console, task, record, cards=cards, receipts=receipts, token=token)


@donate.command()
def keys(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the keys are made.")],
    name: Annotated[str, typer.Option("--name", help="The researcher, as donors are told.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a researcher's keys, and say what the task and the servers must know of them."""
    from sfumato.cli.donating import make_researcher

    make_researcher(Console(quiet=quiet, as_json=as_json), folder, name)


@donate.command()
def close(
    task: Task,
    keys: Keys,
    cards: Cards = None,
    number: Round = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Close a round: the servers take no more reports for it and make the release."""
    from sfumato.cli.donating import close_round

    console = Console(quiet=quiet, as_json=as_json)
    close_round(console, task, keys, cards=cards, number=number)


@donate.command()
def status(task: Task, cards: Cards = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Say how far each of the three servers is."""
    from sfumato.cli.donating import tell_status

    tell_status(Console(quiet=quiet, as_json=as_json), task, cards=cards)


@donate.command()
def collect(
    task: Task,
    keys: Keys,
    out: Out = Path("donated"),
    cards: Cards = None,
    number: Round = None,
    wait: Annotated[
        float, typer.Option(min=0, help="For how many seconds the round is waited for.")
    ] = 0.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch the servers' shares of a released round and write the release folder.

    Both copies of every share are compared, and with the hashes that all three servers signed; two
    servers are enough.
    """
    from sfumato.cli.donating import collect_release

    console = Console(quiet=quiet, as_json=as_json)
    collect_release(console, task, keys, out, cards=cards, number=number, wait=wait)


@donate.command()
def simulate(
    data: Data,
    schema: SchemaFile,
    k: Annotated[int, typer.Option(min=2, help="How many look alike at least.")] = 250,
    k_of: Annotated[
        str,
        typer.Option(help="donors (k of a class before the deletion) or file (k of its rows)."),
    ] = "donors",
    delete: Annotated[
        float, typer.Option(min=0, max=1, help="The share of every class that chance removes.")
    ] = 0.5,
    mode: Annotated[
        str, typer.Option(help="shuffle (cost grows with the donors) or dpf (mailboxes).")
    ] = "shuffle",
    donors: Annotated[
        int | None, typer.Option(min=1, help="So many rows donate, the first ones; all if unsaid.")
    ] = None,
    n_min: Annotated[
        int | None,
        typer.Option(min=1, help="Donors that a round needs; 1,000 or ten times k if not said."),
    ] = None,
    qid_open: Annotated[
        bool,
        typer.Option("--qid-open", help="Let the servers see exact quasi-identifiers: simpler."),
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Processes that donate.")] = 2,
    out: Out = Path("donated"),
    folder: Annotated[
        Path | None,
        typer.Option("--servers", metavar="FOLDER", help="Leave the servers' folders here."),
    ] = None,
    assess: Annotated[
        bool,
        typer.Option(
            "--assess/--no-assess",
            help="Redraw Anonify's four assessments (assessment.html).",
            rich_help_panel=_ASSESSING,
        ),
    ] = True,
    runs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Samples of each share; 10 if unsaid.", rich_help_panel=_ASSESSING
        ),
    ] = None,
    settings: SettingsFile = None,
    set_: Set = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    decimal: Decimal = None,
    missing: Missing = None,
    sheet: Sheet = None,
    query: Query = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a whole donation on this machine: three server processes, and a donor for each row.

    Ends with a release folder that `sfumato verify` recounts. --settings and --set are those of the
    assessment, as for `sfumato assess`.
    """
    from sfumato.cli import donating

    console = Console(quiet=quiet, as_json=as_json)
    assessment = technique_settings(console, settings, set_)
    if runs is not None:
        assessment["runs"] = runs
    where = source(
        data,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
        missing=missing,
        sheet=sheet,
        query=query,
    )
    asked = {
        "k": k,
        "k_of": k_of,
        "deletion_share": delete,
        "mode": mode,
        "donors": donors,
        "n_min": n_min,
        "qid_open": qid_open,
        "processes": processes,
    }
    donating.simulate(
        console, where, schema, asked, out, assessment=assessment, assess=assess, folder=folder
    )
