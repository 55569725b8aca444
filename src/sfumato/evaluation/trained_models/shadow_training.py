"""Models trained anew with and without each person, and what they tell of the one that is judged.

Halves are drawn from members and controls alike and in pairs that complete each other, so that
each person is in exactly half of the shadows; a score so depends on the person, the model and all
people, never on labels, and exchanging labels gives exact tests.

References
----------
N. Carlini et al., "Membership inference attacks from first principles" (IEEE S&P 2022), sections V
and VI: the online attack, and the offline one that trains no model with the person; L. Song, P.
Mittal, "Systematic evaluation of privacy risks of machine learning models" (USENIX Security 2021),
section 5: the privacy-risk score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.trained_models.answers import Subject, again, ask
from sfumato.evaluation.trained_models.rows import People, taken
from sfumato.evaluation.trained_models.score_figures import Attempt
from sfumato.evaluation.trained_models.settings import ModelAttacks
from sfumato.evaluation.utility.threads import one_thread
from sfumato.progress import Progress

__all__ = ["OFFLINE", "ONLINE", "Shadows", "likelihood_ratios", "risk_scores", "tail_scores"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_PERSONAL = "What an attacker finds who has more shadows, or knows the training itself."
ONLINE = Attempt(
    key="membership/shadow_models",
    name="membership by shadow models with and without the person",
    told="whom the model looks most as if it had learned from",
    source="Carlini et al. 2022 (IEEE S&P), section V",
    not_shown=_PERSONAL,
)
OFFLINE = Attempt(
    key="membership/shadow_models_offline",
    name="membership by shadow models without the person",
    told="whom the model fits most beyond what models without them do",
    source="Carlini et al. 2022 (IEEE S&P), section VI",
    not_shown=_PERSONAL,
)
_PRIOR = 8.0  # shadows that the variance shared by all counts as, beside a person's own
_FLOOR = 1e-3  # least standard deviation of a logit
_DECIMALS = 6
_ADDED = 1.0  # to each count of a bin


@dataclass(frozen=True, eq=False)
class Shadows:
    """What shadow models say about the people attacked.

    Parameters
    ----------
    logits
        Confidence in the true answer, shape (shadows, people).
    entropies
        Modified entropy, shape (shadows, people).
    inside
        Whether the shadow learned from the person, shape (shadows, people).
    """

    logits: Floats
    entropies: Floats
    inside: Flags

    @classmethod
    def train(
        cls,
        subject: Subject,
        learner: Any,
        taught: tuple[Any, npt.NDArray[Any]],
        attacked: People,
        places: Integers | None,
        attacks: ModelAttacks,
        *,
        seed: int,
        progress: Progress,
    ) -> Shadows:
        """Train models on halves of the rows and ask them about the people attacked.

        Parameters
        ----------
        subject
            The model that is judged.
        learner
            The estimator that is copied and trained.
        taught
            Rows and answers that halves are drawn from.
        attacked
            Whom the shadows are asked about.
        places
            Their numbers among ``taught``; None if they are not among them.
        attacks
            With ``shadows`` and ``jobs``.
        seed
            Of the halves and the trainings.
        progress
            Told after each pair of shadows; at the end only where several processes train.
        """
        from sklearn.utils.parallel import Parallel, delayed

        X, y = taught
        total, pairs = len(y), attacks.shadows // 2
        random = np.random.default_rng(seed)
        halves = [random.permutation(total) < total // 2 for _ in range(pairs)]
        chosen = [part for half in halves for part in (half, ~half)]
        found = []
        batch = attacks.shadows if attacks.jobs > 1 else 2
        for start in range(0, attacks.shadows, batch):
            progress("training shadow models", start, attacks.shadows)
            found += Parallel(n_jobs=attacks.jobs)(
                delayed(_shadow)(subject, learner, X, y, chosen[one], attacked, seed + one)
                for one in range(start, start + batch)
            )
        progress("training shadow models", attacks.shadows, attacks.shadows)
        inside = np.zeros((attacks.shadows, len(attacked)), dtype=np.bool_)
        if places is not None:
            inside = np.stack([part[places] for part in chosen])
        return cls(
            np.stack([logit for logit, _ in found]),
            np.stack([entropy for _, entropy in found]),
            inside,
        )


def _shadow(
    subject: Subject,
    learner: Any,
    X: Any,
    y: npt.NDArray[Any],
    half: Flags,
    attacked: People,
    seed: int,
) -> tuple[Floats, Floats]:
    rows = np.flatnonzero(half)
    with one_thread():
        model = again(learner, taken(X, rows), y[rows], seed=seed)
        answers = ask(subject, attacked.X, attacked.y, model)
    return answers.logit(), answers.modified_entropy()


def _moments(logits: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each person, the latter pulled to everybody's."""
    count = weight.sum(axis=0)
    mean = (logits * weight).sum(axis=0) / np.maximum(count, 1)
    squares = (np.square(logits - mean) * weight).sum(axis=0)
    common = squares.sum() / max(float(np.maximum(count - 1, 0).sum()), 1.0)
    variance = (squares + _PRIOR * common) / (np.maximum(count - 1, 0) + _PRIOR)
    return mean, np.sqrt(np.maximum(variance, _FLOOR**2))


def likelihood_ratios(shadows: Shadows, logit: Floats) -> Floats:
    """Return the logarithm of how much likelier the model's confidence is if the person was in.

    Parameters
    ----------
    shadows
        Half of them with each person.
    logit
        Confidence of the model that is judged, shape (people,).
    """
    weight = shadows.inside.astype(np.float64)
    with_her, spread = _moments(shadows.logits, weight)
    without, other = _moments(shadows.logits, 1 - weight)
    inside = -np.square((logit - with_her) / spread) / 2 - np.log(spread)
    outside = -np.square((logit - without) / other) / 2 - np.log(other)
    return np.asarray((inside - outside).round(_DECIMALS), dtype=np.float64)


def tail_scores(shadows: Shadows, logit: Floats) -> Floats:
    """Return by how many standard deviations the model fits each person better than shadows do.

    Only shadows that did not learn from the person are looked at. It orders people as the
    probability of a smaller confidence does.
    """
    mean, spread = _moments(shadows.logits, 1 - shadows.inside.astype(np.float64))
    return np.asarray(((logit - mean) / spread).round(_DECIMALS), dtype=np.float64)


def risk_scores(
    shadows: Shadows, entropy: Floats, truth: npt.NDArray[Any], bins: int, *, by_class: bool
) -> Floats:
    """Return the probability that each person was a member, from shadows of all people.

    Parameters
    ----------
    shadows
        Half of them with each person.
    entropy
        Modified entropy of the model that is judged, shape (people,).
    truth
        The true class of each person: each class is counted by itself.
    bins
        Into which the logarithm of the entropy is put.
    by_class
        False for a regression, where all people are counted together.

    Notes
    -----
    A member is held as likely as not beforehand. One is added to each count, so that a bin that
    the shadows left empty says nothing.
    """
    logs = np.log(np.maximum(shadows.entropies, 1e-9))
    edges = np.linspace(logs.min(), logs.max() + 1e-9, bins + 1)[1:-1]
    place = np.searchsorted(edges, logs, side="right")
    group = np.unique(truth, return_inverse=True)[1].reshape(-1) if by_class else 0
    group = np.broadcast_to(group, logs.shape[1:])
    cell = group * bins + place
    size = (int(group.max()) + 1) * bins
    often_in = np.bincount(cell[shadows.inside], minlength=size) + _ADDED
    often_out = np.bincount(cell[~shadows.inside], minlength=size) + _ADDED
    # as many in as out, class by class: a person is in half of the shadows
    mine = group * bins + np.searchsorted(edges, np.log(np.maximum(entropy, 1e-9)), side="right")
    return np.asarray(often_in[mine] / (often_in[mine] + often_out[mine]), dtype=np.float64)
