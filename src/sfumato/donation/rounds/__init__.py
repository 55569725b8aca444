"""The rounds of a donation task, as three servers run them together.

A :class:`Round` is one server's side: it takes the frozen reports through all states of
:class:`RoundState`, with the two others, and can be stopped at any place. What it hands to the
researcher is a bundle; :func:`combine_bundles` makes the released table of two or three of them.
"""

from __future__ import annotations

from sfumato.donation.rounds.bundle import Bundle, combine_bundles, open_bundle
from sfumato.donation.rounds.function_keys import count_function, count_keys, count_layout
from sfumato.donation.rounds.manifest import Manifest, SignedManifest
from sfumato.donation.rounds.round import Round
from sfumato.donation.rounds.round_settings import RoundKeys, RoundSettings
from sfumato.donation.rounds.states import Deviation, Interrupted, RoundState, TooFewDonors

__all__ = [
    "Bundle",
    "Deviation",
    "Interrupted",
    "Manifest",
    "Round",
    "RoundKeys",
    "RoundSettings",
    "RoundState",
    "SignedManifest",
    "TooFewDonors",
    "combine_bundles",
    "count_function",
    "count_keys",
    "count_layout",
    "open_bundle",
]
