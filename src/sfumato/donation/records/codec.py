"""Rows of answers as records of a fixed number of bytes, and back.

::

    quasi-identifier digits, bit by bit | sensitive block, byte by byte | zeros up to L bytes

The digits of all quasi-identifiers follow each other without a gap, filled up with zero bits to a
whole byte. In the sensitive block each answer is a whole number of 1 to 4 bytes, big endian, so
that the block of the sampled rows can be cut out of the shares as whole bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.donation.records.digits import DigitLayout
from sfumato.donation.records.questions import (
    CategoryQuestion,
    NumberQuestion,
    QuasiIdentifierQuestion,
)
from sfumato.errors import PlanError, ProtocolError, SchemaError, did_you_mean

__all__ = ["RecordCodec"]


@dataclass(frozen=True, eq=False)
class RecordCodec:
    """Turns rows into records and records into rows.

    Parameters
    ----------
    quasi_identifiers, sensitive
        The questions, in the order of the record.
    digits
        For each quasi-identifier its digits.
    record_bytes
        L, the length of a record.
    """

    quasi_identifiers: tuple[QuasiIdentifierQuestion, ...]
    sensitive: tuple[CategoryQuestion | NumberQuestion, ...]
    digits: tuple[DigitLayout, ...]
    record_bytes: int

    @classmethod
    def of(
        cls,
        quasi_identifiers: Sequence[QuasiIdentifierQuestion],
        sensitive: Sequence[CategoryQuestion | NumberQuestion],
        record_bytes: int = 256,
    ) -> Self:
        """Return the codec of questions.

        Raises
        ------
        PlanError
            If the answers do not fit into ``record_bytes``.
        """
        digits = tuple(DigitLayout.of(question.ladder) for question in quasi_identifiers)
        codec = cls(tuple(quasi_identifiers), tuple(sensitive), digits, record_bytes)
        if codec.used_bytes > record_bytes:
            raise PlanError(
                f"record_bytes: the answers need {codec.used_bytes} bytes (got {record_bytes}): "
                "set it at least to that"
            )
        return codec

    # -- where things stand ------------------------------------------------------------------

    @property
    def digit_offsets(self) -> tuple[int, ...]:
        """For each quasi-identifier the bit, from the record's start, of its first digit."""
        ends = np.cumsum([0, *(layout.bits for layout in self.digits)])
        return tuple(int(end) for end in ends[:-1])

    @property
    def digit_bits(self) -> int:
        """Bits of the digits of all quasi-identifiers."""
        return sum(layout.bits for layout in self.digits)

    @property
    def sensitive_block(self) -> slice:
        """The bytes of the sensitive block."""
        start = -(-self.digit_bits // 8)
        return slice(start, start + sum(self.sensitive_widths))

    @property
    def sensitive_widths(self) -> tuple[int, ...]:
        """For each sensitive question the bytes of its answer."""
        return tuple(-(-(q.n_codes - 1).bit_length() // 8) for q in self.sensitive)

    @property
    def used_bytes(self) -> int:
        """Bytes before the padding."""
        return int(self.sensitive_block.stop)

    @property
    def n_cells(self) -> int:
        """How many combinations of exact quasi-identifier answers there are."""
        return prod(question.ladder.n_leaves for question in self.quasi_identifiers)

    # -- rows to records ---------------------------------------------------------------------

    def leaves(self, table: pl.DataFrame) -> tuple[npt.NDArray[np.int64], ...]:
        """Return for each quasi-identifier the leaf number of each row.

        Raises
        ------
        SchemaError, DataError, HierarchyError
            If a column is absent, or an answer is none of the possible ones.
        """
        return tuple(q.codes(self._column(table, q.column)) for q in self.quasi_identifiers)

    def cells(self, table: pl.DataFrame) -> npt.NDArray[np.int64]:
        """Return the histogram cell of each row: leaf numbers in mixed radix, first one highest.

        Returns
        -------
        np.ndarray
            Shape (n,), from 0 to :attr:`n_cells` - 1.
        """
        cells = np.zeros(table.height, dtype=np.int64)
        for question, leaves in zip(self.quasi_identifiers, self.leaves(table), strict=True):
            cells = cells * question.ladder.n_leaves + leaves
        return cells

    def encode(self, table: pl.DataFrame) -> npt.NDArray[np.uint8]:
        """Return the records of a table, shape (n, L).

        Raises
        ------
        SchemaError, DataError, HierarchyError
            If a column is absent, or an answer is none of the possible ones; names column and row.
        """
        records = np.zeros((table.height, self.record_bytes), dtype=np.uint8)
        bits = [
            layout.encode(leaves)
            for layout, leaves in zip(self.digits, self.leaves(table), strict=True)
        ]
        if bits:
            packed = np.packbits(np.concatenate(bits, axis=1), axis=1)
            records[:, : packed.shape[1]] = packed
        offset = self.sensitive_block.start
        for question, width in zip(self.sensitive, self.sensitive_widths, strict=True):
            codes = question.codes(self._column(table, question.column))
            octets = codes.astype(">u4").view(np.uint8).reshape(-1, 4)
            records[:, offset : offset + width] = octets[:, 4 - width :]
            offset += width
        return records

    def _column(self, table: pl.DataFrame, name: str) -> pl.Series:
        if name not in table.columns:
            raise SchemaError(
                f"the table has no column {name!r}.{did_you_mean(name, table.columns)}"
            )
        return table[name]

    # -- records to rows ---------------------------------------------------------------------

    def decode(self, records: npt.NDArray[np.uint8]) -> pl.DataFrame:
        """Return the exact answers of records, shape (n, L).

        Raises
        ------
        ProtocolError
            If a record has another length, digits or a code of no answer, or padding that is not
            zero.
        """
        if records.ndim != 2 or records.shape[1] != self.record_bytes:
            raise ProtocolError(f"record: must have {self.record_bytes} bytes")
        if records[:, self.used_bytes :].any():
            raise ProtocolError("record: the padding must be zero")
        columns = []
        bits = np.unpackbits(records[:, : self.sensitive_block.start], axis=1)
        if bits[:, self.digit_bits :].any():
            raise ProtocolError("record: the bits after the digits must be zero")
        for question, layout, offset in zip(
            self.quasi_identifiers, self.digits, self.digit_offsets, strict=True
        ):
            columns.append(question.values(layout.decode(bits[:, offset : offset + layout.bits])))
        return pl.DataFrame(columns).hstack(self.decode_sensitive(records[:, self.sensitive_block]))

    def decode_sensitive(self, block: npt.NDArray[np.uint8]) -> pl.DataFrame:
        """Return the answers of sensitive blocks, shape (n, bytes of the block).

        Raises
        ------
        ProtocolError
            If a code belongs to no answer.
        """
        columns = []
        offset = 0
        for question, width in zip(self.sensitive, self.sensitive_widths, strict=True):
            codes = _whole_numbers(block[:, offset : offset + width])
            strange = codes >= question.n_codes
            if strange.any():
                raise ProtocolError(
                    f"record: the code of {question.column!r} belongs to no answer in "
                    f"{int(strange.sum())} of {len(codes)} records"
                )
            columns.append(question.values(codes))
            offset += width
        return pl.DataFrame(columns)


def _whole_numbers(octets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return big endian numbers of shape (n, width) as whole numbers (n,)."""
    weights = 256 ** np.arange(octets.shape[1] - 1, -1, -1, dtype=np.int64)
    numbers: npt.NDArray[np.int64] = octets.astype(np.int64) @ weights
    return numbers
