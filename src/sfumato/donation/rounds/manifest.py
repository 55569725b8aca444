"""What a round gives to the public: everything about the release but its sensitive answers.

All three servers sign the same bytes. Their three signatures are at once the proof that the sample
was fixed: a server gives its own only when its shares of exactly these rows are on its disk.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError

from sfumato.donation.messages import TaskConfiguration
from sfumato.donation.messages.parties import Octets
from sfumato.donation.protecting import SigningKey, check_signature
from sfumato.donation.recoding import CellDomain, RecodingTree
from sfumato.donation.rounds.exchanging import digest_of, json_object
from sfumato.errors import PlanError, ProtocolError
from sfumato.settings import Settings

__all__ = ["Manifest", "SignedManifest"]

_CONTEXT = "release manifest"
_Hash = Annotated[Octets, Field(min_length=32, max_length=32)]
_Count = Annotated[int, Field(ge=0)]


class Manifest(Settings):
    """What is released, and from what.

    Parameters
    ----------
    task_id, round_number, attempt
        The round, and in which attempt its sample was fixed.
    mode, qid_open
        How records came, and whether the servers saw exact quasi-identifiers.
    k, deletion_share
        As the task says them.
    records
        How many donations were accepted.
    dropped
        How many that all servers held were refused, as their parts did not fit.
    lost
        In the mode ``"dpf"``, how many of the accepted ones were stuck in full or soiled mailboxes.
    suppressed
        How many of the rest are in no released class.
    rows
        How many rows are released.
    recoding
        The classes in their order (see :class:`~..recoding.RecodingTree`).
    class_sizes
        For each class how many records it held before the sampling; None if it is not released.
    classes_hash
        Of the class of each released row.
    share_hashes
        Of each of the three components of the sensitive block, with a salt.
    freezes
        What each server signed to hold, as hexadecimal digits.
    accepted_hash
        Of the numbers of the accepted reports.
    transcripts
        For each ordered pair of servers, such as ``"0-1"``, a hash of all that the first sent to
        the second.
    """

    version: Literal[1] = 1
    task_id: _Hash
    round_number: _Count
    attempt: _Count
    mode: Literal["shuffle", "dpf"]
    qid_open: bool
    k: _Count
    deletion_share: str
    records: _Count
    dropped: _Count
    lost: _Count
    suppressed: _Count
    rows: _Count
    recoding: dict[str, Any]
    class_sizes: tuple[int | None, ...]
    classes_hash: _Hash
    share_hashes: tuple[_Hash, _Hash, _Hash]
    freezes: tuple[Octets, Octets, Octets]
    accepted_hash: _Hash
    transcripts: dict[str, _Hash]

    def to_bytes(self) -> bytes:
        """Return the signed bytes: JSON with sorted keys and no blanks."""
        values = self.model_dump(mode="json")
        return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a manifest.

        Raises
        ------
        ProtocolError
            If it is none, or written otherwise than :meth:`to_bytes` writes it.
        """
        try:
            manifest = cls.of(json_object(data))
        except (ValueError, PlanError, ValidationError):
            raise ProtocolError("release manifest: malformed") from None
        if manifest.to_bytes() != data:
            raise ProtocolError("release manifest: malformed")
        return manifest

    @cached_property
    def digest(self) -> bytes:
        """Its name, 32 bytes."""
        return digest_of("manifest", self.to_bytes())

    def tree(self, task: TaskConfiguration) -> RecodingTree:
        """Return the recoding.

        Raises
        ------
        ProtocolError
            If it is none of the task's.
        """
        ladders = tuple(question.ladder for question in task.quasi_identifiers)
        return RecodingTree.from_dict(CellDomain(ladders), self.recoding)

    def __hash__(self) -> int:
        return hash(self.digest)


class SignedManifest:
    """A manifest with the signatures of all three servers.

    Parameters
    ----------
    task
        The task whose servers signed.
    manifest
        What they signed.
    signatures
        One of each server.

    Raises
    ------
    ProtocolError
        If a signature does not hold, or the manifest is of another task.
    """

    __slots__ = ("manifest", "signatures")

    def __init__(
        self, task: TaskConfiguration, manifest: Manifest, signatures: tuple[bytes, ...]
    ) -> None:
        if manifest.task_id != task.task_id:
            raise ProtocolError("release manifest: of another task")
        if len(signatures) != len(task.servers):
            raise ProtocolError("release manifest: needs the signatures of all three servers")
        data = manifest.to_bytes()
        for server, signature in zip(task.servers, signatures, strict=True):
            check_signature(server.verifying_key, _CONTEXT, data, signature)
        self.manifest = manifest
        self.signatures = signatures

    @staticmethod
    def signature(manifest: Manifest, key: SigningKey) -> bytes:
        """Return one server's signature."""
        return key.sign(_CONTEXT, manifest.to_bytes())

    def to_dict(self) -> dict[str, Any]:
        """Return manifest and signatures as JSON."""
        return {
            "manifest": self.manifest.to_bytes().decode(),
            "signatures": [signature.hex() for signature in self.signatures],
        }

    @classmethod
    def from_dict(cls, task: TaskConfiguration, values: Any) -> SignedManifest:
        """Read what :meth:`to_dict` gave, and check it.

        Raises
        ------
        ProtocolError
            If it is malformed or a signature does not hold.
        """
        try:
            data = values["manifest"].encode()
            signatures = tuple(bytes.fromhex(text) for text in values["signatures"])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ProtocolError("release manifest: malformed") from None
        return cls(task, Manifest.from_bytes(data), signatures)
