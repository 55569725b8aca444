"""The command that runs one organisation's donation server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["server"]


def server(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="The server's folder, as --init made it."),
    ],
    init: Annotated[
        bool,
        typer.Option(
            "--init", help="Make the folder with new keys and the card for the two others."
        ),
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", help="The organisation (with --init).")
    ] = None,
    index: Annotated[
        int | None,
        typer.Option("--index", metavar="0|1|2", help="Which of the three (with --init)."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Where donors reach it (with --init)."),
    ] = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="For donors (with --init).")
    ] = "127.0.0.1:8443",
    link: Annotated[
        str,
        typer.Option("--link", metavar="HOST:PORT", help="For the two others (with --init)."),
    ] = "127.0.0.1:8444",
) -> None:
    """Run one of the three servers of a donation task, or make its folder.

    The folder holds the server's keys, its settings (server.toml), the task signed by all three,
    the reports and the rounds. It runs until it is told to end, and goes on where it was.
    """
    if not init:
        from sfumato.donation.server_process import run_server

        run_server(folder)
        return
    from sfumato.donation.organisation import Organisation, ServerSettings
    from sfumato.errors import PlanError

    if name is None or index is None:
        raise PlanError("--init needs --name and --index: the organisation, and which of the three")
    host, port = _address(listen, "--listen")
    link_host, link_port = _address(link, "--link")
    settings = ServerSettings(
        name=name, index=index, host=host, port=port, link_host=link_host, link_port=link_port
    )
    made = Organisation.create(folder, settings, url=url)
    typer.echo(
        f"{made.folder / 'card.toml'}: give this card to the two others and to the researcher. "
        f"When all three have signed the task: sfumato donate task TASK --join {made.folder} "
        "--cards CARDS, with all three cards as 0.toml, 1.toml and 2.toml."
    )


def _address(text: str, option: str) -> tuple[str, int]:
    from sfumato.errors import PlanError

    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise PlanError(f"{option} must be HOST:PORT, such as 127.0.0.1:8443 (got {text!r})")
    return host, int(port)
