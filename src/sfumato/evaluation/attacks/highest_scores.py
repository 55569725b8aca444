"""An exact test that looks at the few highest scores, where a leak of a few people shows.

References
----------
I. R. Savage, "Contributions to the theory of rank order statistics: the two-sample case", Annals of
Mathematical Statistics 27 (1956): the weights; B. Phipson, G. K. Smyth, "Permutation p-values
should never be zero", SAGMB 9 (2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["HighestScores", "RankWeights", "highest_scores"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

SHARE = 0.005
_FEWEST = 30
_MOST = 500
_DRAWS = 9_999
_CELLS = 2_000_000  # drawn at a time


@dataclass(frozen=True)
class HighestScores:
    """How many more members than chance are among the highest scores, the higher the weightier.

    Parameters
    ----------
    p_value
        One-sided, exact.
    p_even
        The same with ties of the statistic broken at random: for checking the level only.
    depth
        So many of the highest scores were looked at.
    members
        Members among them.
    expected
        Members among them by chance.
    """

    p_value: float
    p_even: float
    depth: int
    members: int
    expected: float


@dataclass(frozen=True, eq=False)
class RankWeights:
    """Weights of the highest ranks, and what their sum over members is by chance.

    Parameters
    ----------
    weights
        Of each rank, falling, shape (depth,).
    null
        Sum over members of draws of labels, ascending, shape (draws,).
    """

    weights: Floats
    null: Floats

    @classmethod
    def of(cls, weights: Floats, members: int, people: int, *, seed: int) -> RankWeights:
        """Draw labels of the highest ranks without putting back.

        Parameters
        ----------
        weights
            Of the highest ranks, shape (depth,), at most as many as people.
        members, people
            How many there are.
        seed
            Of the draws.
        """
        random = np.random.default_rng(seed)
        depth = len(weights)
        counts = random.hypergeometric(members, people - members, depth, size=_DRAWS)
        sums = []
        for part in np.array_split(counts, max(1, _DRAWS * depth // _CELLS)):
            order = random.random((len(part), depth)).argsort(axis=1)
            sums.append(np.where(order < part[:, None], weights, 0.0).sum(axis=1))
        return cls(weights, np.sort(np.concatenate(sums)))

    def p_value(self, total: float) -> float:
        """Return the chance of a sum at least as high."""
        at_least = len(self.null) - int(np.searchsorted(self.null, total - 1e-9, side="left"))
        return (1 + at_least) / (len(self.null) + 1)


def depth_of(people: int) -> int:
    """Return how many of the highest scores are looked at: 0.5 %, at least 30, at most 500."""
    return int(min(max(_FEWEST, np.ceil(SHARE * people)), _MOST, max(people - 1, 1)))


def savage_weights(depth: int) -> Floats:
    """Return the weight of each of the highest ranks, shape (depth,)."""
    return np.asarray(np.log((depth + 1) / np.arange(1, depth + 1)), dtype=np.float64)


def highest_scores(scores: Floats, member: Flags, *, seed: int) -> HighestScores:
    """Test whether members are among the highest scores more often, and higher, than chance.

    Parameters
    ----------
    scores
        Of each person, higher for one more likely to be in the release, shape (N,).
    member
        Which people are members, shape (N,); at least one, and one control.
    seed
        Of the draws of labels.

    Notes
    -----
    The statistic is the sum of log((depth + 1) / rank) over the members among the highest scores.
    Equal scores share the mean of their weights, those below the depth counting as 0. Scores must
    not depend on labels.
    """
    people, members = len(scores), int(member.sum())
    depth = depth_of(people)
    last = np.partition(scores, people - depth)[people - depth]
    reached = np.flatnonzero(scores >= last)
    order = reached[np.argsort(-scores[reached], kind="stable")]
    ranked = scores[order]
    weights = np.zeros(len(order))
    weights[:depth] = savage_weights(depth)
    run = np.concatenate([[0], np.cumsum(ranked[1:] != ranked[:-1])])
    weights = (np.bincount(run, weights) / np.bincount(run))[run]
    law = RankWeights.of(weights, members, people, seed=seed)
    total = float(weights[member[order]].sum())
    more = len(law.null) - int(np.searchsorted(law.null, total + 1e-9, side="left"))
    p_value = law.p_value(total)
    same = p_value * (len(law.null) + 1) - more
    p_even = (more + np.random.default_rng([seed, 1]).random() * same) / (len(law.null) + 1)
    return HighestScores(
        p_value,
        float(p_even),
        len(order),
        int(member[order].sum()),
        len(order) * members / people,
    )
