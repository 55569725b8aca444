"""SHUFFLED: from accepted reports to shared records in an order that no server knows.

Only the bytes that hold answers are shared on; the padding, which made all reports equally long, is
left behind, with whatever a donor has put there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sfumato.donation.messages import ServerShares, share_components
from sfumato.donation.records import RecordCodec
from sfumato.donation.sharing import BooleanShares

__all__ = ["mixed_codec", "shared_records"]

_WORD = 8


def mixed_codec(codec: RecordCodec) -> RecordCodec:
    """Return the codec of records without padding beyond a whole word."""
    return replace(codec, record_bytes=-(-codec.used_bytes // _WORD) * _WORD)


def shared_records(reports: Sequence[ServerShares], codec: RecordCodec) -> BooleanShares:
    """Return this server's shares of the records, in the order of the reports.

    Parameters
    ----------
    reports
        What the server has learnt from each.
    codec
        What :func:`mixed_codec` gives.
    """
    first, second = share_components(reports)
    return BooleanShares(_cut(first, codec), _cut(second, codec))


def _cut(part: npt.NDArray[np.uint8], codec: RecordCodec) -> npt.NDArray[np.uint8]:
    words = np.zeros((len(part), codec.record_bytes), np.uint8)
    words[:, : codec.used_bytes] = part[:, : codec.used_bytes]
    return words
