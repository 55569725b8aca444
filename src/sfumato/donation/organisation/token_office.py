"""Tokens over files: the registrar's folder, the request that it is sent, and its answer.

::

    donor       draws a report's number, blinds it       request.json, request.json.secret
    registrar   knows the person, signs once for each    answer.json
    donor       takes the blinding off                   token.json

The registrar sees neither the number nor the token (:mod:`~..protecting.tokens`); the secret file
never leaves the donor.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

from sfumato.atomic import sync_folder, whole_file, write_whole
from sfumato.donation.messages import RegistrarParty, TaskConfiguration
from sfumato.donation.protecting import Registrar, TokenDesk, TokenRequest
from sfumato.errors import EngineError, PlanError, ProtocolError

__all__ = ["TokenOffice", "ask_for_token", "finish_token"]

_KEY, _PARTY, _PERSONS = "key", "registrar.toml", "persons.sqlite"


class TokenOffice:
    """A registrar's folder: its key for one task, and for whom it has signed.

    Parameters
    ----------
    folder
        As :meth:`create` made it.

    Raises
    ------
    PlanError
        If it is none.
    ProtocolError
        If its key is malformed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._registrar = Registrar((folder / _KEY).read_bytes())
        except OSError:
            raise PlanError(f"{folder}: no registrar's key there; make one by --init") from None

    @classmethod
    def create(cls, folder: Path, name: str) -> Self:
        """Make the folder with a new key, and ``registrar.toml``, which a draft may name.

        Parameters
        ----------
        folder
            Must not hold a key yet.
        name
            The organisation.

        Raises
        ------
        EngineError
            If there is one, or the folder cannot be written.
        """
        import tomlkit

        registrar = Registrar.generate()
        party = RegistrarParty(name=name, public_key=registrar.public_key)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(folder / _KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(registrar.secret_bytes())
                file.flush()
                os.fsync(file.fileno())
            sync_folder(folder)
            write_whole(
                folder / _PARTY, tomlkit.dumps({"registrar": party.model_dump(mode="json")})
            )
        except OSError as error:
            reason = (error.strerror or "refused").lower()
            raise EngineError(f"{folder}: {reason}; keys are never written over") from None
        return cls(folder)

    @property
    def party_file(self) -> Path:
        """What the task's draft is given; public."""
        return self._folder / _PARTY

    def issue(self, task: TaskConfiguration, request: Path, person: str, answer: Path) -> None:
        """Sign a request for a person, once; the same request may be repeated.

        Parameters
        ----------
        task
            The task.
        request
            What the donor sent.
        person
            What names the person with the registrar. A keyed hash of it is kept.
        answer
            Where the answer is written.

        Raises
        ------
        ProtocolError
            If the task has another registrar, the request is of another task, or the person has
            had another request signed.
        """
        if task.registrar is None or task.registrar.public_key != self._registrar.public_key:
            raise ProtocolError("token: the task does not name the key of this registrar")
        values = _read(request, "a request", "task", "blinded")
        if values["task"] != task.task_id:
            raise ProtocolError("token: the request is for another task")
        desk = TokenDesk(self._registrar, self._folder / _PERSONS)
        signature = desk.issue(person, values["blinded"])
        _write(answer, {"blind_signature": signature})


def ask_for_token(task: TaskConfiguration, request: Path) -> Path:
    """Write a request for the registrar and, beside it, what only the donor may know.

    Returns
    -------
    Path
        The secret file.

    Raises
    ------
    PlanError
        If the task has no registrar, or there is a request already.
    EngineError
        If a file cannot be written.
    """
    if task.registrar is None:
        raise PlanError("token: the task has no registrar, and asks for no token")
    secret = _secret_of(request)
    if secret.exists():
        raise PlanError(f"{secret} is there already: send that request, or name another file")
    made = TokenRequest.make(task.registrar.public_key, task.task_id)
    inverse = made.inverse.to_bytes(-(-made.inverse.bit_length() // 8), "big")
    _write(
        secret,
        {"task": made.task_id, "report_id": made.report_id, "inverse": inverse},
        mode=0o600,
    )
    _write(request, {"task": made.task_id, "blinded": made.blinded})
    return secret


def finish_token(task: TaskConfiguration, request: Path, answer: Path, token: Path) -> None:
    """Make a token of the registrar's answer, check it, and write it.

    Parameters
    ----------
    task
        The task.
    request
        As :func:`ask_for_token` wrote it; the secret file is beside it.
    answer
        What the registrar sent.
    token
        Where the token is written, open to its owner alone.

    Raises
    ------
    PlanError
        If a file is missing or malformed.
    ProtocolError
        If the registrar did not sign this request, or it is for another task.
    """
    if task.registrar is None:
        raise PlanError("token: the task has no registrar, and asks for no token")
    blinded = _read(request, "a request", "task", "blinded")["blinded"]
    kept = _read(_secret_of(request), "the secret of a request", "task", "report_id", "inverse")
    if kept["task"] != task.task_id:
        raise ProtocolError("token: the request is for another task")
    signature = _read(answer, "a registrar's answer", "blind_signature")["blind_signature"]
    made = TokenRequest(
        task.registrar.public_key,
        kept["task"],
        kept["report_id"],
        blinded,
        int.from_bytes(kept["inverse"], "big"),
    )
    signed = made.finish(signature)
    _write(token, {"report_id": kept["report_id"], "token": signed}, mode=0o600)


def _secret_of(request: Path) -> Path:
    return request.with_name(f"{request.name}.secret")


def _write(path: Path, values: dict[str, bytes], mode: int = 0o644) -> None:
    text = json.dumps({name: value.hex() for name, value in values.items()}, indent=1) + "\n"
    try:
        with whole_file(path) as file:
            os.fchmod(file.fileno(), mode)
            file.write(text.encode())
    except OSError as error:
        raise EngineError(f"{path}: {(error.strerror or 'refused').lower()}") from None


def _read(path: Path, what: str, *names: str) -> dict[str, bytes]:
    try:
        values: Any = json.loads(path.read_text("utf-8"))
        found = {name: bytes.fromhex(values[name]) for name in names}
    except OSError as error:
        raise PlanError(f"{path}: {(error.strerror or 'unreadable').lower()}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PlanError(f"{path} is not {what}: JSON with {', '.join(names)}, in hex") from None
    if set(values) != set(names):
        raise PlanError(f"{path} is not {what}: JSON with {', '.join(names)}, and no more")
    return found
