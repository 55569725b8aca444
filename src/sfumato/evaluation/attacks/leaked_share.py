"""How many released rows are copies of members: an estimate with an interval.

Each released row is set beside members and controls: how much of what it matches are members, over
what it would be by chance? A fresh row gives nothing on average, whatever it looks like, since
members and controls could be exchanged. What a copy gives is learnt by planting copies. Rows that
match nobody well carry mostly noise; they count for less, by strength of their best match.

References
----------
I. P. Fellegi, A. B. Sunter, JASA 64 (1969), section 4; A. C. Aitken, "On least squares and linear
combinations of observations", Proceedings of the Royal Society of Edinburgh 55 (1936), for the
weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.planted_copies import planted_copies
from sfumato.evaluation.estimates import NORMAL_95

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.matching import Matched, Matcher
    from sfumato.evaluation.attacks.tables import AttackTables

__all__ = ["LeakedShare", "leaked_share"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_PLANTED = 2_000
_BINS = 5  # few, as the noise of each is learnt from few rows


@dataclass(frozen=True)
class LeakedShare:
    """Share of the released rows that are copies of members.

    Parameters
    ----------
    value
        0 to 1, as they are or changed.
    interval
        95 %, normal.
    verbatim, changed
        The two parts before they were cut off at 0.
    """

    value: float
    interval: tuple[float, float]
    verbatim: float
    changed: float


def leaked_share(
    tables: AttackTables, matcher: Matcher, matched: Matched, *, seed: int
) -> LeakedShare:
    """Estimate the share of released rows that are copies of members.

    Parameters
    ----------
    tables
        At least one member, one control and one released row.
    matcher, matched
        The people, and the release matched with them.
    seed
        Of the planted copies.

    Notes
    -----
    Rows that somebody has as they are and all other rows are estimated apart. Changed copies are
    taken to be such as :func:`~sfumato.evaluation.attacks.planted_copies.planted_copies` makes.
    """
    times, rows = matched.times, matched.times.sum()
    held = matched.verbatim.sum(axis=1) > 0
    share = tables.n_members / len(tables.member)
    same = _contrast(matched.verbatim, tables) * share
    of_same = held * times
    verbatim = float((same * of_same).sum() / rows)
    variance = float((np.square(same) * of_same).sum() + 1) / rows**2
    changed, spread = _changed(tables, matcher, matched, ~held, seed)
    value = max(verbatim, 0.0) + max(changed, 0.0)
    reach = NORMAL_95 * math.sqrt(variance + spread)
    return LeakedShare(
        min(1.0, value),
        (max(0.0, value - reach), min(1.0, value + reach)),
        verbatim,
        changed,
    )


def _contrast(evidence: Floats, tables: AttackTables) -> Floats:
    """Return how far members exceed controls in what each row matches; 0 on average by chance."""
    whole = evidence.sum(axis=1)
    gap = evidence[:, 0] / tables.n_members - evidence[:, 1] / tables.n_controls
    return np.where(whole > 0, gap * len(tables.member) / np.maximum(whole, 1e-300), 0.0)


def _changed(
    tables: AttackTables,
    matcher: Matcher,
    matched: Matched,
    used: npt.NDArray[np.bool_],
    seed: int,
) -> tuple[float, float]:
    """Return the share of changed copies and its variance."""
    random = np.random.default_rng(seed)
    people = len(tables.member)
    source = random.choice(people, min(_PLANTED, people), replace=False)
    shown = planted_copies(tables, source, "noisy", seed=seed + 1)
    starts, persons, ratios = matcher.match_each(shown)
    row = np.repeat(np.arange(len(source)), np.diff(starts))
    strength: Floats = np.bincount(row, ratios, minlength=len(source)).astype(np.float64)
    own = np.bincount(row, ratios * (persons == source[row]), minlength=len(source))
    # what a copy of a member gives: its source's part, as the source is surely a member
    gives = np.where(strength > 0, own / np.maximum(strength, 1e-300), 0.0)
    gives *= people / tables.n_members
    edges: Floats = np.quantile(strength, np.linspace(0, 1, _BINS + 1)[1:-1])
    expected = np.bincount(_bin(edges, strength), gives, minlength=_BINS) / len(source)
    total = matched.evidence.sum(axis=1)
    contrast, times = _contrast(matched.evidence, tables), matched.times * used
    place = _bin(edges, total)
    seen = np.bincount(place, contrast * times, minlength=_BINS)
    noise = np.bincount(place, np.square(contrast) * times, minlength=_BINS) + 1.0
    precision = float((np.square(expected) / noise).sum())
    if precision <= 0:
        return 0.0, 1.0
    rows = matched.times.sum()
    return (
        float((expected * seen / noise).sum() / precision / rows),
        1 / precision / rows**2,
    )


def _bin(edges: Floats, values: Floats) -> Integers:
    return np.searchsorted(edges, values, side="right").astype(np.int64)
