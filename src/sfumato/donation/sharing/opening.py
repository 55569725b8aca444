"""Opening shared values, with a second copy of what each server lacks.

The component that a server lacks is held by both others: one sends it, the other its SHA-256. If
the two do not agree, one of them lies (an honest majority cannot tell which: the message names
both) and nothing is opened. So one corrupt server cannot change what an honest one reads, but for a
collision of SHA-256. Neither message says more than the value that is opened.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import numpy.typing as npt

from sfumato.donation.sharing.channels import octets
from sfumato.donation.sharing.party import Party
from sfumato.donation.sharing.shares import Shares
from sfumato.errors import ProtocolError

__all__ = ["OpeningByParts", "open_to_all", "open_to_one"]

Words = npt.NDArray[Any]


def open_to_all(party: Party, shares: Shares) -> Words:
    """Open a shared array to all three servers.

    Parameters
    ----------
    party
        The server.
    shares
        Its shares.

    Returns
    -------
    The secret array.

    Raises
    ------
    ProtocolError
        If the two copies of the component that this server lacks differ, or a peer is gone.
    """
    party.begin("open to all")
    party.channels.send(party.previous, _digest(shares.second))
    missing = party.exchange(shares.first, party.next, party.previous)
    return _checked(party, shares, missing)


def open_to_one(party: Party, shares: Shares, receiver: int) -> Words | None:
    """Open a shared array to one server.

    Parameters
    ----------
    party
        The server.
    shares
        Its shares.
    receiver
        Index of the server that learns the secret.

    Returns
    -------
    The secret array at the receiver, None at the others.

    Raises
    ------
    ProtocolError
        At the receiver, if the two copies of the component that it lacks differ, or a peer is gone.
    """
    party.begin(f"open to server {receiver}")
    if party.next == receiver:
        party.send_array(shares.first, receiver)
        return None
    if party.previous == receiver:
        party.channels.send(receiver, _digest(shares.second))
        return None
    missing = party.receive_array(party.previous, shares.shape, shares.dtype)
    return _checked(party, shares, missing)


class OpeningByParts:
    """Opening in parts, of which both copies are compared at the end.

    What was opened may be used for nothing that others see before :meth:`compare`.

    Parameters
    ----------
    party
        The server.
    """

    def __init__(self, party: Party) -> None:
        self._party = party
        self._promised, self._received = hashlib.sha256(), hashlib.sha256()

    def open(self, shares: Shares) -> Words:
        """Return a part of the secret."""
        missing = self._party.exchange(shares.first, self._party.next, self._party.previous)
        self._promised.update(octets(shares.second))
        self._received.update(octets(missing))
        plus = type(shares).plus
        return plus(plus(shares.first, shares.second), missing)

    def compare(self) -> None:
        """Compare both copies of all that this server was sent.

        Raises
        ------
        ProtocolError
            If they differ, or a peer is gone.
        """
        channels, party = self._party.channels, self._party
        channels.send(party.previous, self._promised.digest())
        if not hmac.compare_digest(bytes(channels.receive(party.next)), self._received.digest()):
            raise ProtocolError(
                f"step {channels.step!r}: the shares sent by server {party.previous} and their "
                f"digest sent by server {party.next} differ: one of the two lies"
            )


def _checked(party: Party, shares: Shares, missing: Words) -> Words:
    """Return the secret if the digest from the next server fits the component received."""
    if not hmac.compare_digest(bytes(party.channels.receive(party.next)), _digest(missing)):
        raise ProtocolError(
            f"step {party.channels.step!r}: the share sent by server {party.previous} and its "
            f"digest sent by server {party.next} differ: one of the two lies, so nothing is opened"
        )
    return type(shares).plus(type(shares).plus(shares.first, shares.second), missing)


def _digest(component: Words) -> bytes:
    label = f"sfumato opening 1, {component.dtype.name}, {component.shape}".encode()
    running = hashlib.sha256(label)
    running.update(octets(component))
    return running.digest()
