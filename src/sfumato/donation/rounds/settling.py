"""SAMPLED: three servers agree on the bytes of one manifest, and sign them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sfumato.donation.messages import TaskConfiguration
from sfumato.donation.protecting import SigningKey
from sfumato.donation.rounds.bundle import ReleasedShares, hash_of_component
from sfumato.donation.rounds.exchanging import json_object, tell_both
from sfumato.donation.rounds.manifest import Manifest, SignedManifest
from sfumato.donation.rounds.states import Deviation, Interrupted
from sfumato.donation.sharing import Party
from sfumato.errors import ProtocolError

__all__ = ["Settlement", "compare_samples", "settle", "sign_together"]


@dataclass(frozen=True)
class Settlement:
    """What the three have to put together for a manifest.

    Parameters
    ----------
    share_hashes
        Salted hash of each component of the released rows.
    transcripts
        For each ordered pair of servers a hash of what the first sent to the second.
    """

    share_hashes: tuple[bytes, bytes, bytes]
    transcripts: dict[str, bytes]


def settle(party: Party, task_id: bytes, shares: ReleasedShares) -> Settlement:
    """Compare the hashes of shares and of channels, of each of which two servers know.

    Raises
    ------
    Deviation
        If two that must be equal are not.
    """
    sent, received = {}, {}
    for peer in (party.previous, party.next):
        sent[peer], received[peer] = party.channels.transcript(peer)
    own = [
        hash_of_component(task_id, (party.index + place) % 3, salt, values)
        for place, salt, values in zip(range(2), shares.salts, shares.components, strict=True)
    ]
    message = {
        "shares": [one.hex() for one in own],
        "sent": {str(peer): digest.hex() for peer, digest in sent.items()},
    }
    said = {
        server: _read(data, server)
        for server, data in tell_both(party, "settle", json.dumps(message).encode()).items()
    }
    hashes = []
    for component in range(3):
        first, second = said[component][0][0], said[(component + 2) % 3][0][1]
        if first != second:
            raise Deviation(
                f"settle: servers {component} and {(component + 2) % 3} do not hold the same "
                f"component {component} of the sampled rows: one of the two lies"
            )
        hashes.append(first)
    for peer, digest in received.items():
        if said[peer][1].get(party.index) != digest:
            raise Deviation(f"settle: server {peer} has not sent what arrived here")
    transcripts = {
        f"{server}-{to}": digest for server in range(3) for to, digest in said[server][1].items()
    }
    return Settlement((hashes[0], hashes[1], hashes[2]), transcripts)


def compare_samples(party: Party, manifest: Manifest) -> None:
    """Make sure that all three mean the same sample, before any of them keeps or signs it.

    Raises
    ------
    Deviation
        If one does not.
    """
    said = tell_both(party, "compare samples", manifest.digest)
    for server, digest in said.items():
        if digest != manifest.digest:
            raise Deviation(f"sample: server {server} has another sample, or counts otherwise")


def sign_together(
    party: Party, task: TaskConfiguration, manifest: Manifest, key: SigningKey
) -> SignedManifest:
    """Exchange signatures of a manifest whose rows are on this server's disk.

    Once a server has signed it keeps its shares, whatever it hears: the others may have all three
    signatures, and release.

    Raises
    ------
    Interrupted
        If a peer does not sign the same.
    """
    said = tell_both(party, "sign the sample", SignedManifest.signature(manifest, key))
    try:
        return SignedManifest(task, manifest, tuple(said[server] for server in range(3)))
    except ProtocolError as error:
        raise Interrupted(f"sample: {error}") from None


def _read(data: bytes, server: int) -> tuple[list[bytes], dict[int, bytes]]:
    try:
        values = json_object(data)
        shares = [bytes.fromhex(text) for text in values["shares"]]
        sent = {int(peer): bytes.fromhex(text) for peer, text in values["sent"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Deviation(f"settle: server {server} sent something else") from None
    if len(shares) != 2 or set(sent) != {0, 1, 2} - {server}:
        raise Deviation(f"settle: server {server} sent something else")
    return shares, sent
