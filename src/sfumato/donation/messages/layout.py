"""Where everything stands in a report; all lengths follow from the task."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sfumato.donation.protecting.envelopes import TAG_BYTES, Kem, enc_bytes

__all__ = ["COMMITMENT_BYTES", "ID_BYTES", "VERSION", "ReportLayout"]

VERSION = 1
ID_BYTES = 16
COMMITMENT_BYTES = 32
_ROUND_BYTES = 4
_TASK_BYTES = 32


@dataclass(frozen=True)
class ReportLayout:
    """The fixed places of a report's fields.

    ::

        version 1 | task 32 | round 4 | number 16 | token | 3 commitments of 32 | public share
        3 times: key configuration 1 | encapsulated key | ciphertext

    No length is written: a report of a task has one size, so its size tells nothing, and there is
    no second way to write it.

    Parameters
    ----------
    task_id
        The task.
    token_bytes
        Length of a token, 0 if the task has no registrar.
    public_bytes
        Length of the public share.
    part_bytes
        For each server the length of its part before it is sealed.
    kems
        For each server how its part is sealed.
    config_ids
        For each server the number of its key configuration.
    """

    task_id: bytes
    token_bytes: int
    public_bytes: int
    part_bytes: tuple[int, ...]
    kems: tuple[Kem, ...]
    config_ids: tuple[int, ...]

    @cached_property
    def id_at(self) -> int:
        """Where the report's number begins."""
        return 1 + _TASK_BYTES + _ROUND_BYTES

    @cached_property
    def token_at(self) -> int:
        """Where the token begins."""
        return self.id_at + ID_BYTES

    @cached_property
    def commitments_at(self) -> int:
        """Where the commitments begin."""
        return self.token_at + self.token_bytes

    @cached_property
    def public_at(self) -> int:
        """Where the public share begins."""
        return self.commitments_at + 3 * COMMITMENT_BYTES

    @cached_property
    def header_bytes(self) -> int:
        """How many bytes every part is bound to: all before the parts."""
        return self.public_at + self.public_bytes

    @cached_property
    def part_slices(self) -> tuple[slice, ...]:
        """For each server its encapsulated key and ciphertext, without the configuration's byte."""
        slices = []
        start = self.header_bytes
        for kem, plain in zip(self.kems, self.part_bytes, strict=True):
            stop = start + 1 + enc_bytes(kem) + plain + TAG_BYTES
            slices.append(slice(start + 1, stop))
            start = stop
        return tuple(slices)

    @cached_property
    def report_bytes(self) -> int:
        """Length of a report."""
        return int(self.part_slices[-1].stop)
