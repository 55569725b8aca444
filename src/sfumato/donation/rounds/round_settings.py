"""What a server needs to run rounds: settings that all three have alike, and keys of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfumato.donation.protecting import SigningKey
from sfumato.settings import Settings

__all__ = ["RoundKeys", "RoundSettings"]


class RoundSettings(Settings):
    """How a round is run; the same at all three servers.

    Parameters
    ----------
    qid_open
        Open the exact quasi-identifiers of the shuffled records to the servers, and recode in the
        clear: the simpler protocol, for comparison. Whoever is unique in them is seen to take part.
    audited
        Prove every gate and product of the recoding and of the labelling before what comes of it is
        opened; most of what a round costs for many cells.
    """

    qid_open: bool = False
    audited: bool = True


@dataclass(frozen=True)
class RoundKeys:
    """What a server needs beside the key that opens reports; nothing of it prints.

    Parameters
    ----------
    signer
        Its signing key.
    verification_part
        Its part, 32 bytes, of the key of the checks.
    """

    signer: SigningKey = field(repr=False)
    verification_part: bytes = field(repr=False)
