"""A small task with all its parties, for the tests of the donation room."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from os import urandom
from typing import Any

from sfumato.donation.messages import (
    EnvelopeConfiguration,
    SignedTask,
    TaskConfiguration,
    make_report,
)
from sfumato.donation.protecting import EnvelopeKey, Registrar, SigningKey, TokenRequest
from sfumato.donation.records import CategoryQuestion, NumberQuestion, QuasiIdentifierQuestion

QUESTIONS: dict[str, Any] = {
    "quasi_identifiers": [
        QuasiIdentifierQuestion(
            column="age",
            label="How old are you?",
            hierarchy={"bands": [5, 10, 20], "top": 90},
            range={"minimum": 0, "maximum": 120},
        ),
        QuasiIdentifierQuestion(
            column="sex",
            label="Your sex?",
            hierarchy={"flat": True},
            choices=["Female", "Male", "Other"],
            missing=True,
        ),
    ],
    "sensitive": [
        CategoryQuestion(column="smoking", label="Do you smoke?", choices=["never", "current"]),
        NumberQuestion(column="glucose", label="Glucose?", range={"minimum": 80, "maximum": 400}),
    ],
}


@dataclass(frozen=True)
class Parties:
    """A task and all the private keys behind it."""

    task: TaskConfiguration
    signed: SignedTask
    envelopes: tuple[EnvelopeKey, ...]
    signers: tuple[SigningKey, ...]
    registrar: Registrar | None

    def report(self, round_number: int = 0, record: bytes | None = None, **changes: Any) -> bytes:
        """Return an honest donor's report."""
        task = self.task
        if record is None:
            record = urandom(task.record_bytes) if task.mode == "shuffle" else b""
        values: dict[str, Any] = {}
        if task.histogram:
            values["histogram_keys"] = key_pair(task.histogram)
        if task.mailbox:
            values["mailbox_keys"] = [key_pair(task.mailbox) for _ in range(task.mailbox_tables)]
        if self.registrar and "token" not in changes:
            request = TokenRequest.make(self.registrar.public_key, task.task_id)
            values["report_id"] = request.report_id
            values["token"] = request.finish(self.registrar.sign(request.blinded))
        return make_report(task, round_number, record, **(values | changes)).data


def key_pair(layout: Any) -> tuple[bytes, bytes]:
    """Return two keys that look like a point function's: own beginnings, one common rest."""
    common = urandom(layout.public_bytes)
    first, second = (urandom(layout.private_bytes) + common for _ in range(2))
    return first, second


@cache
def registrar() -> Registrar:
    return Registrar.generate()


def make_parties(*, kem: str = "x25519", tokens: bool = True, **changes: Any) -> Parties:
    """Return new keys and the task that names them."""
    envelopes = tuple(EnvelopeKey.generate(kem) for _ in range(3))
    signers = tuple(SigningKey.generate() for _ in range(3))
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        **QUESTIONS,
        "title": "Blood sugar",
        "k": 5,
        "deletion_share": 0.5,
        "n_min": 5,
        "opens": now - timedelta(hours=1),
        "closes": now + timedelta(days=1),
        "erased_by": now + timedelta(days=2),
        "servers": [
            {
                "name": f"Server {place}",
                "url": f"https://s{place}.example",
                "verifying_key": signers[place].verifying_key,
                "verify_key_commitment": sha256(bytes([place])).digest(),
                "envelope": EnvelopeConfiguration.of_key(place + 1, envelopes[place]),
            }
            for place in range(3)
        ],
        "researcher": {
            "name": "Researcher",
            "envelope": EnvelopeConfiguration.of_key(9, EnvelopeKey.generate()),
        },
    }
    if tokens:
        values["registrar"] = {"name": "Clinic", "public_key": registrar().public_key}
    task = TaskConfiguration(**(values | changes))
    signatures = tuple(SignedTask.signature(task, key) for key in signers)
    signed = SignedTask(task, signatures)
    return Parties(task, signed, envelopes, signers, registrar() if tokens else None)
