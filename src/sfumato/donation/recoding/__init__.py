"""Generalize so that every class holds k records, knowing nothing but how many each cell holds.

The counts may be shared among three servers: the same algorithm (:func:`recode`) runs on
:class:`ClearNumbers` and on :class:`SharedNumbers`, and what it opens on the way is its result, a
:class:`RecodingTree`, and nothing else.
"""

from sfumato.donation.recoding.cell_domain import CellDomain
from sfumato.donation.recoding.clear_numbers import ClearNumbers
from sfumato.donation.recoding.numbers import Numbers
from sfumato.donation.recoding.recoder import recode
from sfumato.donation.recoding.recoding_tree import RecodingTree, Region
from sfumato.donation.recoding.shared_numbers import SharedNumbers

__all__ = [
    "CellDomain",
    "ClearNumbers",
    "Numbers",
    "RecodingTree",
    "Region",
    "SharedNumbers",
    "recode",
]
