"""Who is attacked: random people, and the most isolated ones, chosen before anything is asked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.vulnerable import rarest
from sfumato.evaluation.trained_models.rows import People, isolation
from sfumato.evaluation.trained_models.settings import ModelAttacks

__all__ = ["attacked_people", "groups_of"]

Integers = npt.NDArray[np.int64]


def attacked_people(people: People, most: int, *, seed: int) -> Integers:
    """Return row numbers of at most so many members and so many controls, drawn at random."""
    random = np.random.default_rng(seed)
    drawn = []
    for who in (people.member, ~people.member):
        rows = np.flatnonzero(who)
        few = rows if len(rows) <= most else random.choice(rows, most, replace=False)
        drawn.append(np.sort(few))
    return np.concatenate(drawn)


def groups_of(people: People, attacks: ModelAttacks, *, seed: int) -> dict[str, Integers]:
    """Return the groups that are judged by the end of their keys: all, and the most isolated.

    Parameters
    ----------
    people
        Those attacked.
    attacks
        With ``vulnerable``.
    seed
        Of the people that distances are measured to.
    """
    groups = {"": np.arange(len(people))}
    if attacks.vulnerable:
        rarity = isolation(people, seed=seed)
        groups["/vulnerable"] = rarest(rarity, attacks.vulnerable)
    return groups
