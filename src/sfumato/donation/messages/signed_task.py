"""A task configuration with the signatures of its three servers, as a message and as a file.

Until all three have signed it is a :class:`TaskProposal`, which goes from one organisation to the
next; nothing but a :class:`SignedTask` is ever acted on.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from sfumato.atomic import write_whole
from sfumato.donation.messages.task import TaskConfiguration
from sfumato.donation.protecting import SigningKey, check_signature
from sfumato.errors import EngineError, PlanError, ProtocolError

__all__ = ["SignedTask", "TaskProposal"]

_CONTEXT = "task configuration"


@dataclass(frozen=True)
class TaskProposal:
    """A configuration that some of the three servers have signed.

    Parameters
    ----------
    configuration
        The task.
    signatures
        In the servers' order; empty where one is missing. Those that are there hold.
    """

    configuration: TaskConfiguration
    signatures: tuple[bytes, ...] = (b"", b"", b"")

    def __post_init__(self) -> None:
        servers = self.configuration.servers
        if len(self.signatures) != len(servers):
            raise ProtocolError(
                f"task configuration: needs the signatures of all {len(servers)} servers (got "
                f"{len(self.signatures)})"
            )
        data = self.configuration.canonical_bytes
        for server, signature in zip(servers, self.signatures, strict=True):
            if signature:
                check_signature(server.verifying_key, _CONTEXT, data, signature)

    @property
    def missing(self) -> tuple[str, ...]:
        """The organisations that have not signed, by name."""
        servers = self.configuration.servers
        return tuple(
            server.name
            for server, signature in zip(servers, self.signatures, strict=True)
            if not signature
        )

    def signed(self, index: int, signature: bytes) -> Self:
        """Return the proposal with one more signature.

        Raises
        ------
        ProtocolError
            If it does not hold.
        """
        signatures = list(self.signatures)
        signatures[index] = signature
        return replace(self, signatures=tuple(signatures))

    def complete(self) -> SignedTask:
        """Return the task, if all three have signed.

        Raises
        ------
        ProtocolError
            If one has not.
        """
        return SignedTask(self.configuration, self.signatures)

    def write(self, path: str | Path) -> None:
        """Write the proposal as TOML; with all signatures it is the file of the signed task."""
        _write(path, self.configuration, self.signatures)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read what :meth:`write` wrote; see :meth:`SignedTask.read` for what it raises."""
        return cls(*_parts(_read(path)))


@dataclass(frozen=True)
class SignedTask:
    """A configuration that all three servers have signed.

    Made by one of the constructors, which refuse a configuration whose signatures do not hold.

    Parameters
    ----------
    configuration
        The task.
    signatures
        Of the canonical bytes, one of each server, in the servers' order.
    """

    configuration: TaskConfiguration
    signatures: tuple[bytes, ...]

    def __post_init__(self) -> None:
        missing = TaskProposal(self.configuration, self.signatures).missing
        if missing:
            raise ProtocolError(
                f"task configuration: not signed yet by {', '.join(missing)}: a task needs all "
                "three signatures"
            )

    @staticmethod
    def signature(configuration: TaskConfiguration, key: SigningKey) -> bytes:
        """Return one server's signature; each server makes its own and sends it to the others."""
        return key.sign(_CONTEXT, configuration.canonical_bytes)

    @property
    def task_id(self) -> bytes:
        """The name of the task, 32 bytes."""
        return self.configuration.task_id

    def check_keys(self, verifying_keys: Sequence[bytes]) -> Self:
        """Return the task if it is signed by the servers that are known by their keys.

        Without this the signatures only say that the three servers *named in the file* agree.

        Raises
        ------
        ProtocolError
            If the task names other servers.
        """
        named = [server.verifying_key for server in self.configuration.servers]
        if named != [bytes(key) for key in verifying_keys]:
            raise ProtocolError(
                "task configuration: signed by other servers than the ones given: ask the "
                "organisations for their verifying keys"
            )
        return self

    # -- as a message ------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """Return the task as JSON."""
        values = _to_dict(self.configuration, self.signatures)
        return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a task and check its signatures.

        Raises
        ------
        ProtocolError
            If it is malformed or a signature does not hold.
        """
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            raise ProtocolError("task configuration: not JSON") from None
        return cls(*_parts(values))

    # -- as a file ---------------------------------------------------------------------------

    def write(self, path: str | Path) -> None:
        """Write the task as TOML, whole or not at all.

        Raises
        ------
        EngineError
            If the file cannot be written.
        """
        _write(path, self.configuration, self.signatures)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a task that :meth:`write` wrote, and check its signatures.

        Raises
        ------
        PlanError
            If the file cannot be read or is no TOML.
        ProtocolError
            If the task is malformed or a signature does not hold.
        """
        return cls(*_parts(_read(path)))


def _to_dict(configuration: TaskConfiguration, signatures: Sequence[bytes]) -> dict[str, Any]:
    return {
        "signatures": [signature.hex() for signature in signatures],
        "configuration": configuration.to_dict(),
    }


def _parts(values: Any) -> tuple[TaskConfiguration, tuple[bytes, ...]]:
    if not isinstance(values, Mapping) or set(values) != {"configuration", "signatures"}:
        raise ProtocolError("task configuration: needs configuration and signatures, no more")
    configuration, signatures = values["configuration"], values["signatures"]
    if not isinstance(configuration, Mapping) or not isinstance(signatures, list):
        raise ProtocolError("task configuration: needs a table and a list of signatures")
    try:
        octets = tuple(bytes.fromhex(signature) for signature in signatures)
        return TaskConfiguration.of(configuration), octets
    except (TypeError, ValueError):
        raise ProtocolError("task configuration: signatures are hexadecimal digits") from None
    except PlanError as error:
        raise ProtocolError(f"task configuration: {error}") from None


def _write(path: str | Path, configuration: TaskConfiguration, signatures: Sequence[bytes]) -> None:
    import tomlkit

    try:
        write_whole(path, tomlkit.dumps(_to_dict(configuration, signatures)))
    except OSError as error:
        reason = (error.strerror or "the disk refused").lower()
        raise EngineError(f"cannot write the task {path}: {reason}") from None


def _read(path: str | Path) -> Any:
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        reason = (error.strerror or "it cannot be opened").lower()
        raise PlanError(f"cannot read the task {path}: {reason}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path} is not TOML in UTF-8: {error}") from None
