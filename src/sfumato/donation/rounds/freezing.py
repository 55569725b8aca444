"""FROZEN: the three servers agree which reports a round holds, and none says two things.

Each server signs the numbers of its reports (:class:`~..messages.Freeze`) and sends that to both
others; then each tells both which signed roots it has. A server that has signed two freezes of one
round is thereby found, and the two signatures are the evidence. What all three hold is the round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.donation.messages import Freeze, TaskConfiguration, common_ids
from sfumato.donation.protecting import check_signature
from sfumato.donation.rounds.exchanging import digest_of, tell_both
from sfumato.donation.rounds.states import Deviation
from sfumato.donation.sharing import Party
from sfumato.errors import ProtocolError

__all__ = ["FrozenRound", "agree_on_reports"]

_FIELDS = 75
_SIGNATURE = 64


@dataclass(frozen=True, eq=False)
class FrozenRound:
    """The reports of a round.

    Parameters
    ----------
    ids
        Numbers that all three servers hold, shape (n, 16), rising.
    roots
        For each server its signed words: all of its freeze but the numbers.
    counts
        For each server how many reports it had.
    """

    ids: npt.NDArray[np.uint8]
    roots: tuple[bytes, bytes, bytes]
    counts: tuple[int, int, int]

    @property
    def digest(self) -> bytes:
        """A hash of the signed words and of the common numbers."""
        return digest_of("frozen", *self.roots, self.ids)


def agree_on_reports(
    party: Party, task: TaskConfiguration, own: Freeze, known: list[bytes] | None
) -> FrozenRound:
    """Exchange freezes and return what is common.

    Parameters
    ----------
    party
        The server.
    task
        The task.
    own
        What this server has signed.
    known
        The signed words of an earlier attempt; the same are expected again.

    Raises
    ------
    Deviation
        If a freeze does not hold, a server signed two, or too few reports are common; or if it is
        not the task's first round.
    """
    if own.round_number > 0:
        raise Deviation(
            "freeze: a task has one round, as the key of its checks is opened in it, and reports "
            "could be made to fit a key that is known: begin another task"
        )
    said = tell_both(party, "freeze", own.to_bytes())
    freezes = []
    for server in range(3):
        try:
            freeze = Freeze.from_bytes(said[server], task)
        except ProtocolError as error:
            raise Deviation(f"server {server}: {error}") from None
        if freeze.server != server or freeze.round_number != own.round_number:
            raise Deviation(f"freeze: server {server} sent that of another server or round")
        freezes.append(freeze)
    roots = tuple(_signed_words(freeze) for freeze in freezes)
    for server in range(3):
        if known is not None:
            _same(task, server, roots[server], known[server])
    heard = tell_both(party, "compare freezes", b"".join(roots))
    size = len(roots[0])
    for peer in (party.previous, party.next):
        if len(heard[peer]) != 3 * size:
            raise Deviation(f"freeze: server {peer} compared something else than three freezes")
        for server in range(3):
            _same(task, server, roots[server], heard[peer][server * size : (server + 1) * size])
    try:
        ids = common_ids(task, freezes)
    except ProtocolError as error:
        raise Deviation(str(error)) from None
    counts = [len(freeze.ids) for freeze in freezes]
    return FrozenRound(ids, (roots[0], roots[1], roots[2]), (counts[0], counts[1], counts[2]))


def _signed_words(freeze: Freeze) -> bytes:
    data = freeze.to_bytes()
    # the numbers stand between the fields and the signature; the signed root and count fix them
    return data[:_FIELDS] + data[-_SIGNATURE:]


def _same(task: TaskConfiguration, server: int, mine: bytes, other: bytes) -> None:
    if mine == other:
        return
    evidence = {}
    try:
        check_signature(
            task.servers[server].verifying_key, "freeze", other[:-_SIGNATURE], other[-_SIGNATURE:]
        )
        evidence = {f"freeze-{server}-here": mine, f"freeze-{server}-there": other}
        message = f"freeze: server {server} signed two different ones for the same round"
    except ProtocolError:
        message = f"freeze: two servers do not agree on what server {server} signed, without proof"
    raise Deviation(message, evidence)
