"""Point functions shared between two servers: a slot of a table or a cell of a histogram, hidden.

A donor makes two keys (:func:`generate`), one for each server. Each server evaluates its key on the
whole domain; the two results differ only in the donor's place, which neither server can tell.
:func:`evaluate` gives one key's shares; :func:`accumulate` adds many donors' counts to a histogram
and
:func:`write` many donors' records to a table, both with a check that a donor's keys are what they
should be: see :mod:`sfumato.donation.functions.verification` for what it proves, and
:mod:`sfumato.donation.functions.generation` for why a key tells nothing.
"""

from sfumato.donation.functions.evaluation import accumulate, empty_table, evaluate, write
from sfumato.donation.functions.generation import generate, system_randomness
from sfumato.donation.functions.keys import PartyKey, PublicShare
from sfumato.donation.functions.point_function import PointFunction
from sfumato.donation.functions.verification import Checks, VerificationKey, verdicts

__all__ = [
    "Checks",
    "PartyKey",
    "PointFunction",
    "PublicShare",
    "VerificationKey",
    "accumulate",
    "empty_table",
    "evaluate",
    "generate",
    "system_randomness",
    "verdicts",
    "write",
]
