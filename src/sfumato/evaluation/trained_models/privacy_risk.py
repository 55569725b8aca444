"""Privacy-risk scores in sum: how many people are at risk, and whether the score is calibrated.

References
----------
L. Song, P. Mittal, "Systematic evaluation of privacy risks of machine learning models" (USENIX
Security 2021), sections 5 and 6.3; M. P. Naeini et al., "Obtaining well calibrated probabilities
using Bayesian binning" (AAAI 2015): the expected calibration error.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.exchangeability import excess
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.trained_models.score_figures import around_control

__all__ = ["calibration_error", "risk_figures"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SOURCE = "Song & Mittal 2021 (USENIX Security), section 5"
_BINS = 10
_TAILS = (2.5, 97.5)


def risk_figures(
    score: Floats,
    member: Flags,
    groups: dict[str, Integers],
    *,
    risky: float,
    resamples: int,
    seed: int,
) -> dict[str, Figure]:
    """Return what the scores say of each group, and how well they are calibrated.

    Parameters
    ----------
    score
        Probability that each person was a member, shape (n,).
    member
        Who was, shape (n,).
    groups
        Row numbers by the end of the key.
    risky
        Score from which a person is at risk.
    resamples
        Bootstrap samples.
    seed
        Of every random step.
    """
    found = {
        f"privacy_risk{ending}/at_risk": _at_risk(score[rows], member[rows], ending, risky, seed)
        for ending, rows in groups.items()
    }
    found["privacy_risk/calibration"] = _calibration(score, member, resamples, seed)
    return found


def calibration_error(score: Floats, member: Flags, weight: Floats) -> Floats:
    """Return the expected calibration error for each set of weights, shape (sets,).

    Parameters
    ----------
    score
        Probabilities, shape (n,).
    member
        What they are of, shape (n,) or (sets, n).
    weight
        Of each person, shape (sets, n), at least 0.

    Notes
    -----
    Ten bins of equal width; members and controls weigh the same in sum, as the score supposes.
    """
    place = np.minimum((score * _BINS).astype(np.int64), _BINS - 1)
    inside = np.eye(_BINS)[place]
    hit = np.broadcast_to(member, weight.shape)
    for_members = np.where(hit, weight, 0.0)
    for_others = weight - for_members
    for_members = for_members / np.maximum(for_members.sum(axis=1, keepdims=True), 1e-12) / 2
    for_others = for_others / np.maximum(for_others.sum(axis=1, keepdims=True), 1e-12) / 2
    gap = for_members @ inside - ((for_members + for_others) * score) @ inside
    return np.asarray(np.abs(gap).sum(axis=1), dtype=np.float64)


def _at_risk(score: Floats, member: Flags, ending: str, risky: float, seed: int) -> Figure:
    whose = ", the most isolated people" if ending else ""
    name = f"members at risk by the privacy-risk score{whose}"
    if member.all() or not member.any():
        return Figure.not_computed(
            name,
            "there are no members or no controls among these people",
            unit="share",
            direction="lower is better",
            source=_SOURCE,
        )
    found = excess(score[member] >= risky, score[~member] >= risky, seed=seed)
    return Figure(
        name=name,
        value=found.members,
        unit="share",
        direction="lower is better",
        meaning=(
            f"For so many of {found.n_members:,} members the model's answer is at least "
            f"{risky:.0%} likely to be that of a model that learned from them, as shadow models "
            "tell, if being in and not being in are as likely beforehand. The control is the same "
            f"share of {found.n_controls:,} people that the model never saw."
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
        not_shown="Risk that shows only against models trained without this very person.",
    )


def _calibration(score: Floats, member: Flags, resamples: int, seed: int) -> Figure:
    random = np.random.default_rng(seed)
    people = len(score)
    value = float(calibration_error(score, member, np.ones((1, people)))[0])
    drawn, alike = [], []
    for _ in range(resamples):
        weight = np.bincount(random.integers(people, size=people), minlength=people)
        drawn.append(calibration_error(score, member, weight[None].astype(np.float64))[0])
        right = random.random(people) < score
        alike.append(calibration_error(score, right, np.ones((1, people)))[0])
    # the error of few people is above that of many: what the bootstrap adds is taken off
    centre = float(np.mean(drawn)) - value
    low, high = np.percentile(drawn, _TAILS) - centre
    return Figure(
        name="calibration error of the privacy-risk score",
        value=value,
        unit="share",
        direction="lower is better",
        meaning=(
            "How far, on average over ten bins, the score is from the share of people with such a "
            "score who were members. The baseline is what a calibrated score of so many people has."
        ),
        source="Naeini et al. 2015 (AAAI); Song & Mittal 2021 (USENIX Security), section 6.3",
        interval=(max(0.0, float(low)), float(min(1.0, high))),
        interval_method=f"bootstrap of the people ({resamples:,}), 95 %",
        baseline=float(np.mean(alike)),
        attacks=people,
        not_shown="Whether single scores are right.",
    )
