"""How the error of all tests of an evaluation is shared out, before any is made.

A handful of copied people cannot give a p-value that is small enough to be one of fifty tests. So
the tests that look for copies get most of the error, whole copies half of it, and what a planted
leak must reach to be noticed is what it must reach in the evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ERROR_SHARES", "weights_of"]

#: Share of the error of all tests that each of these gets; the others share what is left.
ERROR_SHARES = {
    "copies/exact": 1 / 2,
    "copies/all_but_one": 1 / 8,
    "membership/matching/top": 1 / 8,
    "membership/matching/vulnerable/top": 1 / 8,
}


def weights_of(keys: Iterable[str]) -> dict[str, float]:
    """Return the weight of each test, in sum 1; a share that no test takes goes to the others.

    Parameters
    ----------
    keys
        Of the figures that are tested.
    """
    tested = list(keys)
    named = {key: ERROR_SHARES[key] for key in tested if key in ERROR_SHARES}
    others = [key for key in tested if key not in named]
    left = 1 - sum(named.values())
    if not others:
        return {key: share / (1 - left) for key, share in named.items()}
    return {**named, **dict.fromkeys(others, left / len(others))}
