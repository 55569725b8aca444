"""RELEASED: what a server hands to the researcher, and how three hand-overs become a table.

::

    "sfumato bundle 1" | server 1 | manifest 4 + n | signatures 3 x 64 | sealed 8 + n | signature 64

The manifest is public. The sealed part opens to the researcher alone and holds, for each released
row, its class and this server's two components of the sensitive block. Every component comes twice,
from its two holders, and both are compared with each other; and each is compared with its hash in
the manifest, which both its holders signed. So two bundles are enough to finish, with every
component checked by its hash and one of the three in both copies; with three bundles a
server that sends wrong shares is also outvoted and named.

The hashes are salted by a key that only the two holders of a component have: otherwise a server
could try all plausible tables against the hash of the component that it lacks.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.donation.messages import TaskConfiguration
from sfumato.donation.protecting import EnvelopeKey, SigningKey, check_signature, seal
from sfumato.donation.records import RecordCodec
from sfumato.donation.rounds.exchanging import digest_of
from sfumato.donation.rounds.manifest import Manifest, SignedManifest
from sfumato.donation.rounds.vault import join_parts, split_parts
from sfumato.errors import ProtocolError

__all__ = [
    "BUNDLE_MEDIA_TYPE",
    "SALT_BYTES",
    "Bundle",
    "ReleasedShares",
    "combine_bundles",
    "hash_of_classes",
    "hash_of_component",
    "open_bundle",
    "read_manifest",
    "seal_bundle",
]

BUNDLE_MEDIA_TYPE = "application/octet-stream"
SALT_BYTES = 32

_MAGIC = b"sfumato bundle 1"
_HEAD = struct.Struct(">16sBI")
_SIGNATURE = 64
_CONTEXT = "bundle"
_INFO = b"sfumato donation v1 bundle\0"

Block = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ReleasedShares:
    """One server's shares of the released rows; nothing of it prints.

    Parameters
    ----------
    classes
        The class of each row, shape (rows,).
    components
        Components ``server`` and ``server + 1`` of the sensitive block, each (rows, bytes).
    salts
        Of the two components' hashes.
    """

    classes: npt.NDArray[np.int32] = field(repr=False)
    components: tuple[Block, Block] = field(repr=False)
    salts: tuple[bytes, bytes] = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the shares as bytes."""
        octets = [part.tobytes() for part in self.components]
        return join_parts([self.classes.astype(">i4").tobytes(), *octets, *self.salts])

    @classmethod
    def from_bytes(cls, data: bytes, width: int) -> ReleasedShares:
        """Read shares of sensitive blocks of ``width`` bytes.

        Raises
        ------
        ProtocolError
            If they contradict each other.
        """
        parts = split_parts(data)
        if parts is None or len(parts) != 5 or len(parts[0]) % 4:
            raise ProtocolError("bundle: malformed shares")
        classes = np.frombuffer(parts[0], ">i4").astype(np.int32)
        if any(len(part) != len(classes) * width for part in parts[1:3]):
            raise ProtocolError("bundle: shares of another number of rows")
        first, second = (
            np.frombuffer(part, np.uint8).reshape(len(classes), width) for part in parts[1:3]
        )
        return cls(classes, (first, second), (parts[3], parts[4]))


@dataclass(frozen=True, eq=False)
class Bundle:
    """One server's opened bundle.

    Parameters
    ----------
    server
        Whose it is: 0, 1 or 2.
    signed
        The manifest, signed by all three.
    shares
        What was sealed.
    """

    server: int
    signed: SignedManifest
    shares: ReleasedShares = field(repr=False)

    @property
    def manifest(self) -> Manifest:
        """What is released."""
        return self.signed.manifest


def hash_of_classes(classes: npt.NDArray[np.int32]) -> bytes:
    """Return the hash of the classes of the released rows."""
    return digest_of("released classes", classes.astype(">i4").tobytes())


def hash_of_component(task_id: bytes, component: int, salt: bytes, values: Block) -> bytes:
    """Return the salted hash of one component of the released rows."""
    return digest_of("released component", task_id, bytes([component]), salt, values)


def seal_bundle(
    task: TaskConfiguration,
    server: int,
    signed: SignedManifest,
    shares: ReleasedShares,
    key: SigningKey,
) -> bytes:
    """Return a server's bundle.

    Parameters
    ----------
    task
        The task.
    server
        0, 1 or 2.
    signed
        The manifest, signed by all three.
    shares
        Of the released rows.
    key
        The server's.
    """
    manifest = signed.manifest.to_bytes()
    envelope = task.researcher.envelope
    info = _info(signed.manifest, server)
    sealed = seal(envelope.kem, envelope.public_key, shares.to_bytes(), info)
    data = b"".join(
        (
            _HEAD.pack(_MAGIC, server, len(manifest)),
            manifest,
            *signed.signatures,
            len(sealed).to_bytes(8, "big"),
            sealed,
        )
    )
    return data + key.sign(_CONTEXT, digest_of(_CONTEXT, data))


def read_manifest(task: TaskConfiguration, data: bytes) -> tuple[int, SignedManifest, bytes]:
    """Return whose a bundle is, its manifest and its sealed part, with all signatures checked.

    Raises
    ------
    ProtocolError
        If it is malformed or a signature does not hold.
    """
    if len(data) < _HEAD.size:
        raise ProtocolError("bundle: too short")
    magic, server, length = _HEAD.unpack_from(data)
    start = _HEAD.size + length
    stop = start + 3 * _SIGNATURE
    sealed = stop + 8
    if magic != _MAGIC or server > 2 or len(data) < sealed + _SIGNATURE:
        raise ProtocolError("bundle: not a bundle of version 1, or cut off")
    if len(data) != sealed + int.from_bytes(data[stop:sealed], "big") + _SIGNATURE:
        raise ProtocolError("bundle: its length does not fit")
    key = task.servers[server].verifying_key
    check_signature(key, _CONTEXT, digest_of(_CONTEXT, data[:-_SIGNATURE]), data[-_SIGNATURE:])
    signatures = tuple(data[place : place + _SIGNATURE] for place in range(start, stop, _SIGNATURE))
    manifest = Manifest.from_bytes(data[_HEAD.size : start])
    return server, SignedManifest(task, manifest, signatures), data[sealed:-_SIGNATURE]


def open_bundle(task: TaskConfiguration, data: bytes, private_key: EnvelopeKey) -> Bundle:
    """Open a bundle and check all of it that one bundle can show.

    Parameters
    ----------
    task
        The signed configuration.
    data
        As a server sent it.
    private_key
        The researcher's.

    Raises
    ------
    ProtocolError
        If it is malformed, not signed by the server and all three, sealed to another key, or its
        shares are not those whose hashes were signed.
    """
    server, signed, sealed = read_manifest(task, data)
    manifest = signed.manifest
    plain = private_key.open(sealed, _info(manifest, server))
    shares = ReleasedShares.from_bytes(plain, _width(task.codec))
    if len(shares.classes) != manifest.rows or not hmac.compare_digest(
        hash_of_classes(shares.classes), manifest.classes_hash
    ):
        raise ProtocolError(f"bundle: the classes of server {server} are not the signed ones")
    for place, salt, values in zip(range(2), shares.salts, shares.components, strict=True):
        component = (server + place) % 3
        found = hash_of_component(task.task_id, component, salt, values)
        if not hmac.compare_digest(found, manifest.share_hashes[component]):
            raise ProtocolError(
                f"bundle: component {component} of server {server} is not the one that it signed "
                "with the others: leave this bundle out, two of three are enough"
            )
    return Bundle(server, signed, shares)


def combine_bundles(
    task: TaskConfiguration, bundles: Sequence[bytes], private_key: EnvelopeKey
) -> tuple[pl.DataFrame, Manifest]:
    """Put the released table together.

    Parameters
    ----------
    task
        The signed configuration.
    bundles
        Of two or, better, all three servers, in any order.
    private_key
        The researcher's.

    Returns
    -------
    tuple
        The table: quasi-identifiers as the labels of their classes, sensitive answers exact; null
        where a donor had sent what is none of the possible answers. And the manifest.

    Raises
    ------
    ProtocolError
        If a bundle does not hold, they are of different releases, or the two copies of a share
        differ.
    """
    opened = {
        bundle.server: bundle for bundle in (open_bundle(task, b, private_key) for b in bundles)
    }
    if len(opened) < 2 or len(opened) != len(bundles):
        raise ProtocolError(
            "bundles: needs those of two different servers at least, each once (got "
            f"{len(bundles)})"
        )
    manifests = {bundle.manifest.digest for bundle in opened.values()}
    if len(manifests) > 1:
        raise ProtocolError("bundles: of different releases")
    copies: dict[int, Block] = {}
    for server, bundle in sorted(opened.items()):
        for place, values in enumerate(bundle.shares.components):
            component = (server + place) % 3
            if not np.array_equal(copies.setdefault(component, values), values):
                raise ProtocolError(f"bundles: the two copies of component {component} differ")
    block = copies[0] ^ copies[1] ^ copies[2]
    first = next(iter(opened.values()))
    return _table(task, first.manifest, first.shares.classes, block), first.manifest


def _table(
    task: TaskConfiguration, manifest: Manifest, classes: npt.NDArray[np.int32], block: Block
) -> pl.DataFrame:
    labels = manifest.tree(task).labels()
    if len(classes) and not 0 <= classes.min() <= classes.max() < len(labels):
        raise ProtocolError("bundles: a row is of a class that the recoding does not have")
    columns = [
        pl.Series(question.column, [label[axis] for label in labels], dtype=pl.String).gather(
            classes.astype(np.uint32)
        )
        for axis, question in enumerate(task.quasi_identifiers)
    ]
    return pl.DataFrame(columns).hstack(_answers(task.codec, block))


def _answers(codec: RecordCodec, block: Block) -> pl.DataFrame:
    """Return the sensitive answers; null where the code is that of no answer."""
    clean, strange = block.copy(), []
    offset = 0
    for question, width in zip(codec.sensitive, codec.sensitive_widths, strict=True):
        codes = np.zeros(len(block), dtype=np.int64)
        for octet in range(offset, offset + width):
            codes = codes << 8 | block[:, octet]
        wrong = codes >= question.n_codes
        clean[wrong, offset : offset + width] = 0
        strange.append(pl.Series(wrong))
        offset += width
    table = codec.decode_sensitive(clean)
    return table.with_columns(
        pl.when(wrong).then(None).otherwise(table[question.column]).alias(question.column)
        for question, wrong in zip(codec.sensitive, strange, strict=True)
    )


def _width(codec: RecordCodec) -> int:
    return sum(codec.sensitive_widths)


def _info(manifest: Manifest, server: int) -> bytes:
    return _INFO + bytes([server]) + manifest.digest
