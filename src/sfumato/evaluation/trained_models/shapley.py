"""Whose row moved the model: exact Shapley values of a k-nearest-neighbours classifier.

The accuracy of a k-NN classifier that works on the model's outputs is shared out among the rows it
classifies by. A model that keeps a row answers it as its own label, so that the row helps to
classify others by what was kept of it (SHAPr). The values of all rows sum to the accuracy of the
k-NN classifier, so their sum says nothing of privacy: it is the single values, and their order,
that do.

Rows at the same distance, of which a tree's outputs give many, share what they would get on average
over all their orders; this too is exact.

References
----------
R. Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms" (VLDB 2019),
theorem 1; V. Duddu, S. Szyller, N. Asokan, "SHAPr: an efficient and versatile membership privacy
risk metric for machine learning" (arXiv 2112.02230), section 4.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.exchangeability import excess
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.trained_models.score_figures import around_control

__all__ = ["cross_valued", "nearest_shapley", "shapley_figures"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_CELLS = 1_000_000  # test rows times distinct outputs at a time
_DECIMALS = 9
_SOURCE = "Duddu et al. 2021, arXiv 2112.02230; Jia et al. 2019 (VLDB), theorem 1"


def nearest_shapley(
    points: Floats,
    labels: Integers,
    tested: Floats,
    tested_labels: Integers,
    *,
    neighbours: int,
) -> Floats:
    """Return the Shapley value of each row for the accuracy of a k-NN classifier, shape (n,).

    Parameters
    ----------
    points, labels
        Rows that are valued, shape (n, d), and their classes from 0, shape (n,).
    tested, tested_labels
        Rows that are classified, shape (m, d) and (m,); a class may be -1, which nobody has.
    neighbours
        Of the classifier, k, at least 1. Its utility for a row is the number of its k nearest
        rows that have its class, over k.

    Notes
    -----
    Rows are taken together where both point and class are equal, so the time is that of sorting
    distinct points once for each distinct tested row.
    """
    total = len(labels)
    classes = int(max(labels.max(), tested_labels.max())) + 1
    places, owner = np.unique(points, axis=0, return_inverse=True)
    owner = owner.reshape(-1)
    held = np.zeros((len(places), classes))
    np.add.at(held, (owner, labels), 1.0)
    asked, weight = np.unique(np.column_stack([tested, tested_labels]), axis=0, return_counts=True)
    seen, wanted = asked[:, :-1], asked[:, -1].astype(np.int64)
    # c(i) = min(k, i) / (k i) and, from the second place on, how much it falls
    order = np.arange(1, total + 1)
    share = np.minimum(neighbours, order) / (neighbours * order)
    fall = np.concatenate([[0.0], share[:-1] - share[1:]])
    sums = _Sums(
        share=np.concatenate([[0.0], np.cumsum(share)]),
        fall=np.concatenate([[0.0], np.cumsum(fall)]),
        moment=np.concatenate([[0.0], np.cumsum(fall * np.arange(total))]),
    )
    value = np.zeros((len(places), classes))
    for rows in np.array_split(np.arange(len(seen)), max(1, len(seen) * len(places) // _CELLS)):
        right, wrong = _of_tests(places, held, seen[rows], wanted[rows], sums)
        value += (weight[rows] @ wrong)[:, None]
        known = np.flatnonzero(wanted[rows] >= 0)
        gain = weight[rows][known, None] * (right - wrong)[known]
        np.add.at(value.T, wanted[rows][known], gain)
    return np.asarray(value[owner, labels] / len(tested_labels), dtype=np.float64)


class _Sums:
    """Running sums over places of c, of its falls, and of the falls times the place."""

    def __init__(self, share: Floats, fall: Floats, moment: Floats) -> None:
        self.share, self.fall, self.moment = share, fall, moment


def _of_tests(
    places: Floats, held: Floats, seen: Floats, wanted: Integers, sums: _Sums
) -> tuple[Floats, Floats]:
    """Return what each distinct point gets of each tested row if its class is right, or wrong."""
    apart = np.square(seen[:, None, :] - places).sum(axis=2).round(_DECIMALS)
    order = np.argsort(apart, axis=1, kind="stable")
    ranked = np.take_along_axis(apart, order, axis=1)
    tests, width = ranked.shape
    people = held.sum(axis=1)[order]
    hits = np.where(wanted[:, None] >= 0, held[order, np.maximum(wanted, 0)[:, None]], 0.0)
    # runs of equal distance, numbered over all tested rows
    first = np.ones((tests, width), dtype=np.bool_)
    first[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    run = np.cumsum(first.reshape(-1)) - 1
    size = np.bincount(run, people.reshape(-1))
    hit = np.bincount(run, hits.reshape(-1))
    test = np.flatnonzero(first.reshape(-1)) // width
    before = np.cumsum(size) - size
    before -= before[np.searchsorted(test, np.arange(tests))][test]
    low, high = before.astype(np.int64), (before + size).astype(np.int64)
    falls = sums.fall[high] - sums.fall[low]
    # what is lost to all later runs: each hit there by the mean fall of its run
    lost = hit / size * falls
    later = np.cumsum(lost[::-1])[::-1]
    ends = np.append(later, 0.0)[np.searchsorted(test, np.arange(tests), side="right")]
    later = later - ends[test] - lost
    mean = (sums.share[high] - sums.share[low]) / size
    # within a run: over all orders, (places before j in the run) times the fall at j
    inside = sums.moment[high] - sums.moment[low] - low * falls
    others = np.maximum(size - 1, 1)
    right = mean - (hit - 1) / others * inside / size - later
    wrong = -hit / others * inside / size - later
    right[size == 1] = (mean - later)[size == 1]
    wrong[size == 1] = -later[size == 1]
    back = np.empty((2, tests, width))
    rows = np.arange(tests)[:, None]
    back[0][rows, order] = right[run].reshape(tests, width)
    back[1][rows, order] = wrong[run].reshape(tests, width)
    return back[0], back[1]


def cross_valued(points: Floats, labels: Integers, *, neighbours: int, seed: int) -> Floats:
    """Return n times the value of each person, either half of the people classified by the other.

    Parameters
    ----------
    points, labels
        The model's outputs and the true classes from 0, of members and controls alike.
    neighbours
        Of the classifier.
    seed
        Of the halves, which no label decides.
    """
    half = np.random.default_rng(seed).permutation(len(labels)) < len(labels) // 2
    value = np.zeros(len(labels))
    for part in (half, ~half):
        found = nearest_shapley(
            points[part], labels[part], points[~part], labels[~part], neighbours=neighbours
        )
        value[part] = found * part.sum()
    return value.round(_DECIMALS)


def shapley_figures(
    value: Floats, member: Flags, groups: dict[str, Integers], *, seed: int
) -> dict[str, Figure]:
    """Return how many people have a value above 0 in each group, members against controls.

    Parameters
    ----------
    value
        Of each person, shape (n,).
    member
        Who was trained on, shape (n,).
    groups
        Row numbers by the end of the key.
    seed
        Of breaking ties.
    """
    return {
        f"shapley{ending}/positive": _positive(value[rows], member[rows], ending, seed)
        for ending, rows in groups.items()
    }


def _positive(value: Floats, member: Flags, ending: str, seed: int) -> Figure:
    whose = ", the most isolated people" if ending else ""
    name = f"members whose row adds to what the model's outputs tell of others{whose}"
    if member.all() or not member.any():
        return Figure.not_computed(
            name,
            "there are no members or no controls among these people",
            unit="share",
            direction="closer to the baseline is better",
            source=_SOURCE,
        )
    found = excess(value[member] > 0, value[~member] > 0, seed=seed)
    return Figure(
        name=name,
        value=found.members,
        unit="share",
        direction="closer to the baseline is better",
        meaning=(
            f"So many of {found.n_members:,} members have a Shapley value above 0 for classifying "
            "others by the model's outputs; the control is the same share of "
            f"{found.n_controls:,} people that the model never saw."
        ),
        source=_SOURCE,
        interval=around_control(found),
        interval_method="Newcombe's of the excess over the control, 95 %; p by Fisher's exact test",
        baseline=found.controls,
        control=found.controls,
        p_value=found.p_value,
        upper=found.upper,
        detectable=found.detectable,
        attacks=len(member),
        not_shown="Rows that the model kept although it answers all rows like them alike.",
    )
