"""Secret sharing among three servers of which one may be corrupt.

Every server runs the same function ``f(party, ...)``; a :class:`Party` knows its index, its
:class:`Channels` to the two others and the keys it has in common with each. What is shared is
replicated: any two servers hold everything, one alone holds uniform words (:mod:`~.shares`, where
the convention stands). Each module carries the sketch of its proof.

=================  ==============================================================================
shares             :class:`BooleanShares`, :class:`ArithmeticShares`, :class:`FieldShares`,
                   :func:`split`, :func:`reconstruct`
between servers    :class:`Party`, :class:`FramedChannels` over a :class:`Link`, :func:`toss`,
                   :func:`compare_transcripts`
opening            :func:`open_to_all`, :func:`open_to_one`: two copies compared
gates              :func:`conjunction`, :func:`select`, :func:`invert`; audited by
                   :func:`verify_gates`
numbers            :class:`SlicedShares`, :func:`to_bits`, :func:`to_numbers`, :func:`at_least`,
                   :func:`less_than`, :func:`equal`, :func:`argmin`, :func:`lift`;
                   :func:`multiply`, audited by :func:`verify_products`; :func:`prove`: both audits
records            :func:`reshare`, :func:`shuffle`
=================  ==============================================================================
"""

from sfumato.donation.sharing.arithmetic import (
    add,
    bits_to_numbers,
    multiply,
    reshare,
    to_bits,
    to_numbers,
)
from sfumato.donation.sharing.auditing import verify_gates
from sfumato.donation.sharing.boolean import conjunction, invert, select
from sfumato.donation.sharing.channels import (
    FRAME_LIMIT,
    Channels,
    FramedChannels,
    Link,
    Traffic,
)
from sfumato.donation.sharing.comparison import argmin, at_least, equal, least, less_than
from sfumato.donation.sharing.lifting import Lifted, lift
from sfumato.donation.sharing.memory import MemoryChannels, outcomes_of_three, run_three
from sfumato.donation.sharing.opening import open_to_all, open_to_one
from sfumato.donation.sharing.party import Party, Randomness, compare_transcripts, toss
from sfumato.donation.sharing.products import prove, verify_products
from sfumato.donation.sharing.shares import (
    ArithmeticShares,
    BooleanShares,
    FieldShares,
    Shares,
    concatenate,
    reconstruct,
    split,
)
from sfumato.donation.sharing.shuffling import shuffle
from sfumato.donation.sharing.slicing import (
    SlicedShares,
    slice_numbers,
    slice_shares,
    unslice_numbers,
    unslice_shares,
)
from sfumato.donation.sharing.streams import KeyStream

__all__ = [
    "FRAME_LIMIT",
    "ArithmeticShares",
    "BooleanShares",
    "Channels",
    "FieldShares",
    "FramedChannels",
    "KeyStream",
    "Lifted",
    "Link",
    "MemoryChannels",
    "Party",
    "Randomness",
    "Shares",
    "SlicedShares",
    "Traffic",
    "add",
    "argmin",
    "at_least",
    "bits_to_numbers",
    "compare_transcripts",
    "concatenate",
    "conjunction",
    "equal",
    "invert",
    "least",
    "less_than",
    "lift",
    "multiply",
    "open_to_all",
    "open_to_one",
    "outcomes_of_three",
    "prove",
    "reconstruct",
    "reshare",
    "run_three",
    "select",
    "shuffle",
    "slice_numbers",
    "slice_shares",
    "split",
    "to_bits",
    "to_numbers",
    "toss",
    "unslice_numbers",
    "unslice_shares",
    "verify_gates",
    "verify_products",
]
