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
from sfumato.donation.sharing.shares import BooleanShares, Shares
from sfumato.errors import ProtocolError

__all__ = ["open_to_all", "open_to_one"]

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


def _checked(party: Party, shares: Shares, missing: Words) -> Words:
    """Return the secret if the digest from the next server fits the component received."""
    if not hmac.compare_digest(bytes(party.channels.receive(party.next)), _digest(missing)):
        raise ProtocolError(
            f"step {party.channels.step!r}: the share sent by server {party.previous} and its "
            f"digest sent by server {party.next} differ: one of the two lies, so nothing is opened"
        )
    whole: Words
    if isinstance(shares, BooleanShares):
        whole = shares.first ^ shares.second ^ missing
    else:
        whole = shares.first + shares.second + missing
    return whole


def _digest(component: Words) -> bytes:
    label = f"sfumato opening 1, {component.dtype.name}, {component.shape}".encode()
    running = hashlib.sha256(label)
    running.update(octets(component))
    return running.digest()
