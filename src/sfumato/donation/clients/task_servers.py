"""The three servers of a task, as donors and the researcher speak to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from sfumato.donation.clients.connection import (
    Answer,
    Connection,
    HttpConnection,
    ServerRefused,
    refusal,
)
from sfumato.donation.messages import Receipt, Report, SignedTask, TaskConfiguration
from sfumato.donation.messages.report import MEDIA_TYPE
from sfumato.donation.rounds.states import RoundState
from sfumato.donation.serving.problems import problem_type
from sfumato.errors import ProtocolError

__all__ = ["ServerStatus", "TaskServers"]

_DONE = frozenset({RoundState.RELEASED, RoundState.ERASED})
_MOST_WORDS = 300
_TOO_FEW = problem_type("too-few-donors")
_BESIDE_ROWS = 1 << 24


@dataclass(frozen=True)
class ServerStatus:
    """How far a server is.

    Parameters
    ----------
    server
        0, 1 or 2.
    round_number, state
        The round that was ordered last, or the open one, and its state.
    open_round
        The round for which reports are taken.
    received, accepted
        Reports of the round, and those that passed all checks; in hundreds while it is open.
    error, problem
        What went wrong, in words, and the type of the problem (RFC 9457); or empty texts.
    """

    server: int
    round_number: int
    state: str
    open_round: int
    received: int
    accepted: int
    error: str = ""
    problem: str = ""

    @property
    def is_released(self) -> bool:
        """Whether its bundle is there."""
        return self.state in _DONE

    @property
    def is_aborted(self) -> bool:
        """Whether the round will never be released."""
        return self.state == RoundState.ABORTED

    @property
    def lacks_donors(self) -> bool:
        """Whether an order to close it was refused, as it holds fewer than ``n_min`` reports."""
        return self.state == RoundState.OPEN and self.problem == _TOO_FEW

    @classmethod
    def read(cls, server: int, body: bytes) -> Self:
        """Read the answer of a server.

        Raises
        ------
        ProtocolError
            If it is none.
        """
        try:
            values: Any = json.loads(body)
            numbers = [values[name] for name in ("round", "received", "accepted")]
            numbers.append(values.get("open_round", values["round"]))
            state = values["state"]
            error, problem = values.get("error", ""), values.get("problem", "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ProtocolError(f"status of server {server}: malformed") from None
        whole = all(type(number) is int and number >= 0 for number in numbers)
        texts = isinstance(error, str) and isinstance(problem, str)
        if not whole or not texts or state not in tuple(RoundState):
            raise ProtocolError(f"status of server {server}: malformed")
        number, received, accepted, open_round = numbers
        shown = "".join(letter for letter in error if letter.isprintable())[:_MOST_WORDS]
        return cls(server, number, state, open_round, received, accepted, shown, problem)

    def describe(self) -> str:
        """Return the status in one line."""
        text = (
            f"server {self.server}: round {self.round_number} {self.state}, "
            f"{self.received:,} received"
        )
        if self.accepted:
            text += f", {self.accepted:,} accepted"
        return f"{text}; {self.error}" if self.error else text


class TaskServers:
    """The three servers of a task.

    Parameters
    ----------
    signed
        The task, signed by all three.
    connections
        A way to each, in the order of the task.
    """

    def __init__(self, signed: SignedTask, connections: Sequence[Connection]) -> None:
        if len(connections) != len(signed.configuration.servers):
            raise ProtocolError("servers: needs a way to each of the three")
        self.signed = signed
        self._connections = tuple(connections)
        self._path = f"/v1/tasks/{signed.task_id.hex()}"

    @classmethod
    def connect(
        cls,
        signed: SignedTask,
        certificates: Sequence[str | None] = (None, None, None),
        *,
        timeout: float = 60.0,
        patience: float = 30.0,
    ) -> Self:
        """Return ways by HTTPS; nothing is sent yet.

        Parameters
        ----------
        signed
            The task.
        certificates
            For each server the PEM that it is known by, or None for the system's authorities.
        timeout, patience
            As for :class:`HttpConnection`.
        """
        task = signed.configuration
        servers = task.servers
        # a bundle has a class and two shares for each row; all other answers are shorter
        most_bytes = _BESIDE_ROWS + task.n_max * (4 + 2 * sum(task.codec.sensitive_widths))
        return cls(
            signed,
            [
                HttpConnection(
                    f"{place} ({server.name})",
                    server.url,
                    certificate,
                    timeout=timeout,
                    patience=patience,
                    most_bytes=most_bytes,
                )
                for place, (server, certificate) in enumerate(
                    zip(servers, certificates, strict=True)
                )
            ],
        )

    @property
    def task(self) -> TaskConfiguration:
        """The configuration."""
        return self.signed.configuration

    def __len__(self) -> int:
        return len(self._connections)

    def close_connections(self) -> None:
        """Let go of all connections."""
        for connection in self._connections:
            connection.close()

    # -- what is asked -----------------------------------------------------------------------

    def check_task(self, server: int) -> None:
        """Ask a server for its task, and refuse one that serves another.

        Raises
        ------
        ProtocolError
            If it does.
        ServerLost
            If it does not answer.
        """
        answer = self._ask(server, "GET", "")
        if SignedTask.from_bytes(answer.body).task_id != self.signed.task_id:
            raise ProtocolError(f"server {server} serves another task than the one given")

    def put(self, server: int, report: Report) -> Receipt:
        """Send a report to one server and return the receipt, whose signature is checked.

        Raises
        ------
        ServerRefused
            If the server does not take it.
        ServerLost
            If it does not answer.
        ProtocolError
            If what it answers is no receipt of this report.
        """
        path = f"/reports/{report.report_id.hex()}"
        answer = self._ask(server, "PUT", path, report.data, MEDIA_TYPE)
        receipt = Receipt.from_bytes(answer.body, self.task)
        said = (receipt.server, receipt.report_id, receipt.round_number)
        if said != (server, report.report_id, report.round_number):
            raise ProtocolError(f"server {server} answered with the receipt of another report")
        return receipt

    def status(self, server: int) -> ServerStatus:
        """Return how far a server is; see :meth:`put` for what it raises."""
        return ServerStatus.read(server, self._ask(server, "GET", "/status").body)

    def statuses(self) -> tuple[ServerStatus, ...]:
        """Return how far each server is."""
        return tuple(self.status(server) for server in range(len(self)))

    def round_status(self, server: int, number: int) -> ServerStatus:
        """Return how far a server is with one round."""
        return ServerStatus.read(server, self._ask(server, "GET", f"/rounds/{number}").body)

    def order(self, server: int, order: bytes) -> ServerStatus:
        """Send a server the signed order to close a round."""
        answer = self._ask(server, "POST", "/close", order, "application/json")
        return ServerStatus.read(server, answer.body)

    def bundle(self, server: int, number: int) -> bytes | None:
        """Return a server's bundle of a round, or None if it has none."""
        try:
            return self._ask(server, "GET", f"/rounds/{number}/bundle").body
        except ServerRefused as error:
            if error.code == "not-found":
                return None
            raise

    def _ask(
        self, server: int, method: str, path: str, body: bytes = b"", media: str | None = None
    ) -> Answer:
        connection = self._connections[server]
        answer = connection.request(method, self._path + path, body, media)
        if answer.status not in {200, 201, 202}:
            raise refusal(connection.name, answer)
        return answer
