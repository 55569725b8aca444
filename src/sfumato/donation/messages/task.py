"""All that donors and servers agree on before the first donation; its hash names the task."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from sfumato.donation.messages.layout import ReportLayout
from sfumato.donation.messages.parties import RegistrarParty, ResearcherParty, ServerParty
from sfumato.donation.protecting.tokens import token_bytes
from sfumato.donation.records import (
    FormQuestion,
    QuasiIdentifierQuestion,
    RecordCodec,
    SensitiveQuestion,
    form_questions,
)
from sfumato.donation.records.numbers import DecimalNumber
from sfumato.errors import PlanError
from sfumato.settings import Settings
from sfumato.table import Column, Role, Schema

__all__ = ["FunctionKeyLayout", "LDiversityRule", "TaskConfiguration", "donors_for_rows"]

_SEPARATOR = b"sfumato donation v1 task\0"
_Count = Annotated[int, Field(ge=1, le=2**31)]


def _whole_seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


_Moment = Annotated[AwareDatetime, AfterValidator(_whole_seconds)]


class FunctionKeyLayout(Settings):
    """How the key pairs of a distributed point function are written.

    The two keys of a pair differ in their first bytes (the root label) and have the rest, the
    correction words, in common; these are sent once, in the open, as the public share of a report.
    To who has neither seed they are random bytes.

    Parameters
    ----------
    key_bytes
        Length of one whole key.
    private_bytes
        How many of its first bytes are one server's own; ``key_bytes`` if nothing is shared.
    """

    key_bytes: Annotated[int, Field(ge=1, le=65_536)] = 240
    private_bytes: Annotated[int, Field(ge=1, le=65_536)] = 16

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.private_bytes > self.key_bytes:
            raise ValueError("private_bytes must be at most key_bytes")
        return self

    @property
    def public_bytes(self) -> int:
        """How many bytes the two keys of a pair have in common."""
        return self.key_bytes - self.private_bytes


def donors_for_rows(rows: int, deletion_share: Decimal | Fraction) -> int:
    """Return how many donors a class needs so that so many rows of it are left.

    Of n donors n - ceil(p n) = floor((1 - p) n) are kept, so the least n is ceil(rows / (1 - p)).

    Parameters
    ----------
    rows
        1 or more.
    deletion_share
        p, from 0 to below 1, exactly.
    """
    return math.ceil(rows / (1 - Fraction(deletion_share)))


class LDiversityRule(Settings):
    """Classes with fewer than ``l`` different answers to a sensitive question are not released.

    Parameters
    ----------
    column
        The sensitive question.
    l
        2 or more.
    """

    column: str
    l: Annotated[int, Field(ge=2)]  # noqa: E741 - the criterion's own letter


class TaskConfiguration(Settings):
    """One donation task; frozen, and named by the hash of its canonical bytes.

    Parameters
    ----------
    title, purpose
        What the donor is told.
    quasi_identifiers, sensitive
        The questions, in the order of the record.
    record_bytes
        L, the length of a record; the same for every donor.
    k
        How many donors look alike at least: classes of fewer are not released.
    k_of_file
        How many rows of the released file look alike at least, after the deletion; 2 or more. It
        asks for a ``k`` of :func:`donors_for_rows`. None: the file is as it comes of ``k``.
    deletion_share
        The share p of every class that is removed by chance: ceil(p n) of n rows; 0 to below 1.
    l_diversity
        A rule on sensitive answers, or None.
    mode
        ``"shuffle"`` or ``"dpf"``.
    n_min, n_max
        How many donations a round holds at least and at most; ``n_min`` is max(1000, 10 k) unless
        said.
    opens, closes, erased_by
        When donations are taken from and until, and when the servers have forgotten the rest.
        They stop a server from taking reports; a round is named by a signed freeze, not by clocks.
    receipt_bucket_seconds
        To how many seconds the time of a receipt is rounded down.
    histogram
        The key pair that counts a donation in its cell, or None for no histogram.
    mailbox
        In the mode ``"dpf"`` the key pairs that write the record.
    mailbox_tables
        In the mode ``"dpf"`` into how many sub-tables it is written.
    servers
        The three servers, in the order of the protocol.
    researcher
        Who receives the sensitive answers.
    registrar
        Who signs tokens, or None: then nothing but its number keeps a person from donating twice.

    Raises
    ------
    PlanError
        If settings contradict each other.
    """

    version: Literal[1] = 1
    title: Annotated[str, Field(min_length=1, max_length=200)]
    purpose: Annotated[str, Field(max_length=10_000)] = ""
    quasi_identifiers: Annotated[tuple[QuasiIdentifierQuestion, ...], Field(min_length=1)]
    sensitive: tuple[SensitiveQuestion, ...]
    record_bytes: Annotated[int, Field(ge=1, le=65_536)] = 256
    k: Annotated[int, Field(ge=2, le=1_000_000)]
    k_of_file: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    deletion_share: Annotated[DecimalNumber, Field(ge=0, lt=1)]
    l_diversity: LDiversityRule | None = None
    mode: Literal["shuffle", "dpf"] = "shuffle"
    n_min: _Count
    n_max: _Count = 1_000_000
    opens: _Moment
    closes: _Moment
    erased_by: _Moment
    receipt_bucket_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    histogram: FunctionKeyLayout | None = FunctionKeyLayout()
    mailbox: FunctionKeyLayout | None = None
    mailbox_tables: Annotated[int, Field(ge=1, le=16)] = 3
    servers: tuple[ServerParty, ServerParty, ServerParty]
    researcher: ResearcherParty
    registrar: RegistrarParty | None = None

    @model_validator(mode="before")
    @classmethod
    def _least_round(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("n_min") is None:
            k = values.get("k")
            return {**values, "n_min": max(1000, 10 * k) if isinstance(k, int) else 1000}
        return values

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        columns = [q.column for q in (*self.quasi_identifiers, *self.sensitive)]
        if len(set(columns)) < len(columns):
            raise ValueError("two questions have the same column")
        if self.n_max < self.n_min:
            raise ValueError(f"n_max ({self.n_max}) must be at least n_min ({self.n_min})")
        if self.n_min < self.k:
            raise ValueError(f"n_min ({self.n_min}) must be at least k ({self.k})")
        if self.k_of_file is not None:
            needed = donors_for_rows(self.k_of_file, self.deletion_share)
            if self.k < needed:
                raise ValueError(
                    f"k_of_file: {self.k_of_file} rows of a class are left of {needed} donors: k "
                    f"must be that at least (got {self.k})"
                )
        if not self.opens < self.closes < self.erased_by:
            raise ValueError("opens, closes and erased_by must follow each other")
        if (self.mailbox is not None) != (self.mode == "dpf"):
            raise ValueError('mailbox must be said in the mode "dpf" and in no other')
        rule = self.l_diversity
        if rule is not None and rule.column not in [q.column for q in self.sensitive]:
            raise ValueError(f"l_diversity: {rule.column!r} is no sensitive question")
        for what, keys in (
            ("verifying_key", {server.verifying_key for server in self.servers}),
            ("envelope key", {server.envelope.public_key for server in self.servers}),
        ):
            if len(keys) < 3:
                raise ValueError(f"two servers have the same {what}: they must be independent")
        try:
            _ = self.codec
        except PlanError as error:
            raise ValueError(str(error)) from None
        return self

    # -- what follows from it ----------------------------------------------------------------

    @cached_property
    def codec(self) -> RecordCodec:
        """How a row of answers is written."""
        return RecordCodec.of(self.quasi_identifiers, self.sensitive, self.record_bytes)

    @cached_property
    def layout(self) -> ReportLayout:
        """Where everything stands in a report of this task."""
        histogram, mailbox = self.histogram, self.mailbox
        counted = (histogram.private_bytes, histogram.public_bytes) if histogram else (0, 0)
        if mailbox is None:
            seeds = 2 * 16
            parts = (seeds + counted[0], seeds + counted[0], seeds)
            public = self.record_bytes + counted[1]
        else:
            written = self.mailbox_tables * mailbox.private_bytes + counted[0]
            parts = (written, written, 0)
            public = self.mailbox_tables * mailbox.public_bytes + counted[1]
        return ReportLayout(
            self.task_id,
            token_bytes(self.registrar.public_key) if self.registrar else 0,
            public,
            parts,
            tuple(server.envelope.kem for server in self.servers),
            tuple(server.envelope.config_id for server in self.servers),
        )

    @property
    def table_schema(self) -> Schema:
        """The schema of the released table."""
        columns = {
            q.column: Column(Role.QUASI_IDENTIFIER, hierarchy=q.hierarchy, note=q.label)
            for q in self.quasi_identifiers
        }
        columns |= {q.column: Column(Role.SENSITIVE, note=q.label) for q in self.sensitive}
        return Schema.of(columns)

    @property
    def form(self) -> tuple[FormQuestion, ...]:
        """The questions as a form shows them."""
        return form_questions(self.quasi_identifiers, self.sensitive, self.k)

    # -- its bytes and its name --------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain JSON values; what is None is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    @cached_property
    def canonical_bytes(self) -> bytes:
        """The configuration as JSON: sorted keys, no blanks, UTF-8."""
        return json.dumps(
            self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()

    @cached_property
    def task_id(self) -> bytes:
        """SHA-256 of the canonical bytes, 32 bytes."""
        return hashlib.sha256(_SEPARATOR + self.canonical_bytes).digest()

    def __hash__(self) -> int:
        return hash(self.task_id)
