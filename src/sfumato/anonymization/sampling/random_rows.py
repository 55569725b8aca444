"""Drawing without replacement: so many of each group, every choice equally likely."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.anonymization.randomness import RandomStream

__all__ = ["chosen_in_groups"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def chosen_in_groups(groups: Integers, wanted: Integers, stream: RandomStream) -> Flags:
    """Return which members are drawn: of each group as many as wanted, without replacement.

    Every member gets a random word; those with the smallest words of their group are drawn, so
    that each subset of the wanted size is equally likely.

    Parameters
    ----------
    groups
        Group of each member, shape (n,), 0 to g - 1.
    wanted
        How many to draw of each group, shape (g,), at most its members.
    stream
        Where the words come from.

    Notes
    -----
    A word has 64 bits of which the group's number takes the highest: with a million groups 44 are
    left for chance, and two members of a group have equal ones (the earlier is then drawn first)
    with a probability of about 1e-13 a pair.
    """
    if not len(groups):
        return np.zeros(0, dtype=np.bool_)
    bits = np.uint64(64 - max(1, int(len(wanted) - 1).bit_length()))
    keys = stream.words(len(groups))
    keys &= (np.uint64(1) << bits) - np.uint64(1)
    keys |= groups.astype(np.uint64) << bits
    sizes = np.bincount(groups, minlength=len(wanted))
    starts = np.cumsum(sizes) - sizes
    # The first key of each group that is not drawn; sorting keys alone is several times faster
    # than sorting members by them.
    ordered = np.sort(keys)
    limit = ordered[np.minimum(starts + wanted, len(keys) - 1)]
    chosen: Flags = (keys < limit[groups]) | (wanted == sizes)[groups]
    if int(chosen.sum()) != int(wanted.sum()):  # equal keys at a limit
        order = np.argsort(keys, kind="stable")
        rank = np.arange(len(groups)) - np.repeat(starts, sizes)
        chosen[:] = False
        chosen[order[rank < np.repeat(wanted, sizes)]] = True
    return chosen
