"""What guesses of a secret say: of members, of people who are in no release, and of the population.

References
----------
P. Francis, D. Wagner, "Towards better attribute inference vulnerability measures", arXiv 2507.01710
(2025), sections 3 and 4; R. A. Fisher, "The Design of Experiments" (1935).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.estimates import NORMAL_95
from sfumato.evaluation.exchangeability import excess, top_excess
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.intervals import difference_of_shares

__all__ = ["Guesses", "attribute_figures"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_ALC = "Francis & Wagner 2025, arXiv 2507.01710"
_SCIENCE = (
    "What is inferred equally well of people who are not in the release is knowledge about the "
    "population and no leak."
)


@dataclass(frozen=True, eq=False)
class Guesses:
    """What was guessed of each person attacked, by the release and by the population baseline.

    Parameters
    ----------
    right, baseline_right
        Whether the likeliest value is the true one, shape (people,).
    sure, baseline_sure
        Probability given to it, 0 to 1.
    gain
        Probability that the release gives to the true value less that of the baseline, -1 to 1,
        in hundredths.
    has_rare, claims_rare
        Whether the person has, and is said to have, a value that few have.
    learned_from
        Released rows that the learner was trained on.
    """

    right: Flags
    sure: Floats
    baseline_right: Flags
    baseline_sure: Floats
    gain: Floats
    has_rare: Flags
    claims_rare: Flags
    learned_from: int


def attribute_figures(
    key: str,
    guesses: Guesses,
    member: Flags,
    *,
    recall: Sequence[float],
    rare: float,
    seed: int,
) -> dict[str, Figure]:
    """Return what guesses of one secret say.

    Parameters
    ----------
    key
        What the figures' keys begin with.
    guesses
        Of the people attacked.
    member
        Whether each is a member, shape (people,); at least one member and one control.
    recall
        Shares of the people whom the attacker answers for, above 0, up to 1.
    rare
        Values that at most this share of people have count as rare.
    seed
        Of the tests' draws and of the order of guesses that are equally sure.
    """
    figures = {
        key: _right_figure(guesses, member, seed),
        f"{key}/most_told": _most_told(guesses, member, seed),
        f"{key}/rare_values": _rare_figure(guesses, member, rare),
    }
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(member))
    for share in recall:
        named = f"{share * 100:g}".replace(".", "_")
        figures[f"{key}/precision_gain_at_{named}_percent"] = _gain_figure(
            guesses, member, share, shuffled
        )
    return figures


def _right_figure(guesses: Guesses, member: Flags, seed: int) -> Figure:
    found = excess(guesses.right[member], guesses.right[~member], seed=seed)
    return Figure(
        name="secrets inferred rightly",
        value=found.members,
        unit="share",
        direction="lower is better",
        meaning=(
            f"A learner trained on {guesses.learned_from:,} released rows guesses the secret of so "
            f"many of {found.n_members:,} members rightly; the control is how many of "
            f"{found.n_controls:,} people who are not in the release, the baseline what the same "
            f"learner guesses of the members from other real people. {_SCIENCE}"
        ),
        source=f"{_ALC}, section 3; Francis & Wagner 2024, arXiv 2403.06595; Fisher 1935",
        interval=_around(found.controls, found.interval),
        interval_method="Newcombe's of the excess over the control, 95 %; p by Fisher's exact test",
        baseline=float(guesses.baseline_right[member].mean()),
        control=found.controls,
        p_value=found.p_value,
        upper=found.upper,
        detectable=found.detectable,
        attacks=len(member),
        not_shown=(
            "What another learner, or one who knows other things of a person, would infer; that "
            "guesses are good is no leak, that they are better for members is."
        ),
    )


def _most_told(guesses: Guesses, member: Flags, seed: int) -> Figure:
    found = top_excess(guesses.gain[member], guesses.gain[~member], seed=seed)
    return Figure(
        name="members among those of whose secret the release tells most",
        value=found.members / found.depth,
        unit="share",
        direction="closer to the baseline is better",
        meaning=(
            f"People in the order of how much likelier the release makes their true secret than "
            f"other real people do: of the first {found.depth:,} of {len(member):,}, "
            f"{found.members:,} are members; {found.expected:,.1f} are expected by chance. So many "
            "were looked at as show the strongest excess, and the test allows for that choice."
        ),
        source=f"{_ALC}, section 4 (baseline without the target); Fisher 1935",
        baseline=float(member.mean()),
        p_value=found.p_value,
        detectable=found.detectable,
        attacks=len(member),
        not_shown="Whether the attacker can tell which of the guesses are the good ones.",
    )


def _rare_figure(guesses: Guesses, member: Flags, rare: float) -> Figure:
    name = "rare values inferred rightly (recall)"
    source = f"{_ALC}, section 3"
    ours, others = guesses.has_rare & member, guesses.has_rare & ~member
    n, m = int(ours.sum()), int(others.sum())
    if not n or not m:
        return Figure.not_computed(
            name,
            f"no value that at most {rare:.0%} of people have is had by members and by controls",
            unit="share",
            direction="lower is better",
            source=source,
        )
    hits, hits_of_others = int(guesses.right[ours].sum()), int(guesses.right[others].sum())
    claims = guesses.claims_rare & member
    claimed = int(claims.sum())
    precision = f"{(guesses.right & claims).sum() / claimed:.1%} are right" if claimed else "none"
    return Figure(
        name=name,
        value=hits / n,
        unit="share",
        direction="lower is better",
        meaning=(
            f"Of {n:,} members with a value that at most {rare:.0%} of people have, so many have "
            f"it guessed rightly; the control is how many of {m:,} such people who are not in the "
            f"release. Of {claimed:,} guesses that a member has such a value, {precision} "
            f"(precision). {_SCIENCE}"
        ),
        source=source,
        interval=_around(hits_of_others / m, difference_of_shares(hits, n, hits_of_others, m)),
        interval_method="Newcombe's of the excess over the control, 95 %",
        baseline=float(guesses.baseline_right[ours].mean()),
        control=hits_of_others / m,
        attacks=n + m,
        not_shown="Each rare value by itself: all of them are counted together.",
    )


def _around(control: float, interval: tuple[float, float]) -> tuple[float, float]:
    """Return the interval of the members' share, given that of its excess over the control."""
    low, high = interval
    return max(0.0, float(control + low)), min(1.0, float(control + high))


def _gain_figure(guesses: Guesses, member: Flags, share: float, shuffled: Integers) -> Figure:
    gain, interval, precise, usual, answered = _gain(guesses, member, share, shuffled)
    others, _, _, _, _ = _gain(guesses, ~member, share, shuffled)
    return Figure(
        name=f"precision gained over the population, at recall {share:g}",
        value=gain,
        unit="share",
        direction="lower is better",
        meaning=(
            f"Answering for the {answered:,} members it is surest of, the attacker is right for "
            f"{precise:.1%}; the same learner trained on as many real people without them, for "
            f"{usual:.1%} of those it is surest of. The control is the same gain for people the "
            f"release never saw. {_SCIENCE}"
        ),
        source=f"{_ALC}, section 3",
        interval=interval,
        interval_method="normal, 95 %, paired over people",
        baseline=0.0,
        control=others,
        attacks=answered,
        not_shown=(
            "That a gain is a leak: only what members have in excess of controls is one, and it is "
            "tested apart."
        ),
    )


def _gain(
    guesses: Guesses, who: Flags, share: float, shuffled: Integers
) -> tuple[float, tuple[float, float], float, float, int]:
    """Return the gain, its interval, both precisions and the number of people answered for."""
    rows = shuffled[who[shuffled]]  # in an order that is drawn, so that ties have no order
    answered = max(1, math.ceil(share * len(rows)))
    parts, precisions = [], []
    for right, sure in (
        (guesses.right, guesses.sure),
        (guesses.baseline_right, guesses.baseline_sure),
    ):
        first = np.argsort(-sure[rows], kind="stable")[:answered]
        precision = float(right[rows][first].mean())
        part = np.zeros(len(rows))
        part[first] = (right[rows][first] - precision) / answered
        parts.append(part)
        precisions.append(precision)
    gain = precisions[0] - precisions[1]
    # a precision of 0 or 1 has a spread of its own: half a person more or less
    spread = math.sqrt(float(np.square(parts[0] - parts[1]).sum()) + 0.25 / answered**2)
    low, high = max(-1.0, gain - NORMAL_95 * spread), min(1.0, gain + NORMAL_95 * spread)
    return gain, (low, high), precisions[0], precisions[1], answered
