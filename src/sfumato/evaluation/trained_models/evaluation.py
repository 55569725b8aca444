"""All that is asked of a trained model, in one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.evaluation.attacks.suite import adjusted
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.trained_models import shadow_training as shadows_of
from sfumato.evaluation.trained_models.answers import Answers, Subject, ask, cannot_copy
from sfumato.evaluation.trained_models.answers_attacks import (
    LABEL_ONLY,
    LOSS,
    black_box_figures,
    correct_figure,
    robustness,
)
from sfumato.evaluation.trained_models.attribute import attribute_figures, guessed
from sfumato.evaluation.trained_models.groups import attacked_people, groups_of
from sfumato.evaluation.trained_models.minimization import minimization_figures, minimized
from sfumato.evaluation.trained_models.privacy_risk import risk_figures
from sfumato.evaluation.trained_models.results import ModelEvaluation
from sfumato.evaluation.trained_models.rows import (
    People,
    codes_of,
    joined,
    place_of,
    rows_of,
    taken,
)
from sfumato.evaluation.trained_models.score_figures import Attempt, score_figures, unscored
from sfumato.evaluation.trained_models.settings import PARTS, ModelAttacks, Part
from sfumato.evaluation.trained_models.shapley import cross_valued, shapley_figures
from sfumato.progress import Progress, silent

__all__ = ["evaluate_model"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_NOT_CLASSES = "the model answers with numbers, not with classes"


def evaluate_model(
    model: Any,
    members: tuple[Any, Any],
    control: tuple[Any, Any],
    *,
    population: tuple[Any, Any] | None = None,
    learner: Any = None,
    attacks: ModelAttacks | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> ModelEvaluation:
    """Ask what a trained model gives away of the people it learned from.

    Parameters
    ----------
    model
        A fitted estimator with ``predict``, and ``predict_proba`` where it has one: scikit-learn's,
        or one that looks like it.
    members
        The rows that it was trained on and their true answers, (X, y); X is what the model takes:
        an array, a pandas or a Polars frame.
    control
        The like of people whom the model never saw, drawn as the members were: if they could not
        have been exchanged with members beforehand, no test says anything.
    population
        The like of still other people. Shadow models without the person are then trained on them.
    learner
        The unfitted estimator, where ``model`` itself cannot be cloned. What prepared the rows
        should be part of it.
    attacks
        What is asked, and how thoroughly.
    seed
        Of every random step.
    progress
        Told how far the work is.

    Raises
    ------
    DataError
        If tables are empty or do not fit each other.
    PlanError
        If the model cannot predict, or a secret is no column.

    Notes
    -----
    Every score of a person depends on the person, the model and all people, never on who is a
    member, so that the tests are exact: if the model had learned from nobody here, p would be
    uniform. All tests share an error of 5 % (Holm).

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> tree = DecisionTreeClassifier(random_state=0).fit(X[:280], y[:280])
    >>> found = evaluate_model(
    ...     tree, (X[:280], y[:280]), (X[280:], y[280:]), attacks=ModelAttacks(only=("loss",))
    ... )
    >>> found.figures["membership/loss/auc"].value > 0.5
    True
    """
    attacks = ModelAttacks() if attacks is None else attacks
    people = People.of(members, control)
    subject = Subject.of(model, people.y)
    others = None
    if population is not None:
        others = rows_of(population, "population")
        joined(people.some(np.arange(1)).X, taken(others[0], np.arange(1)))  # of one kind
    for secret in attacks.secrets:
        place_of(people.X, secret)
    rows = attacked_people(people, attacks.most, seed=_own(seed, "people"))
    attacked = people.some(rows)
    work = _Work(
        subject,
        people,
        attacked,
        rows,
        ask(subject, attacked.X, attacked.y),
        groups_of(attacked, attacks, seed=_own(seed, "groups")),
        others,
        subject.model if learner is None else learner,
        attacks,
        seed,
        progress,
        {},
    )
    found: dict[str, Figure] = {}
    asked = [part for part in PARTS if attacks.asks(part)]
    for place, part in enumerate(asked):
        progress("attacking the model", place, len(asked))
        found |= _PARTS[part](work, _own(seed, part))
    progress("attacking the model", len(asked), len(asked))
    mine = attacked.member
    return ModelEvaluation(
        model=type(model).__name__,
        task="classification" if subject.classifies else "regression",
        figures=adjusted(found),
        members=int(mine.sum()),
        controls=int((~mine).sum()),
        seed=seed,
        settings=attacks.model_dump(mode="json"),
        scores=pl.DataFrame(
            {"row": rows[mine], **{name: of[mine] for name, of in work.scores.items()}}
        ),
    )


@dataclass(frozen=True, eq=False)
class _Work:
    """What all parts work on; ``scores`` is filled as they go."""

    subject: Subject
    people: People
    attacked: People
    rows: Integers
    answers: Answers
    groups: dict[str, Integers]
    population: tuple[Any, npt.NDArray[Any]] | None
    learner: Any
    attacks: ModelAttacks
    seed: int
    progress: Progress
    scores: dict[str, Floats]

    def figures(self, attempt: Attempt, score: Floats, seed: int) -> dict[str, Figure]:
        return score_figures(
            attempt,
            score,
            self.attacked.member,
            self.groups,
            false_positives=self.attacks.false_positives,
            seed=seed,
        )


def _own(seed: int, name: str) -> int:
    """Return the seed of a part, which follows from that of all and from its name."""
    return int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1)[0])


def _loss(work: _Work, seed: int) -> dict[str, Figure]:
    return work.figures(LOSS, -work.answers.loss(), seed)


def _label_only(work: _Work, seed: int) -> dict[str, Figure]:
    if not work.subject.classifies:
        return unscored(LABEL_ONLY, _NOT_CLASSES)
    score = robustness(work.subject, work.attacked, work.attacks, seed=seed, progress=work.progress)
    correct = correct_figure(work.answers, work.attacked.member, seed=seed)
    return {"membership/correct": correct, **work.figures(LABEL_ONLY, score, seed)}


def _black_box(work: _Work, seed: int) -> dict[str, Figure]:
    return black_box_figures(work.answers, work.attacked.member, work.attacks, seed=seed)


def _trained(work: _Work) -> shadows_of.Shadows:
    """Train shadows on halves of members and controls; the same for all parts that need them."""
    return shadows_of.Shadows.train(
        work.subject,
        work.learner,
        (work.people.X, work.people.y),
        work.attacked,
        work.rows,
        work.attacks,
        seed=_own(work.seed, "shadows"),
        progress=work.progress,
    )


def _shadow_models(work: _Work, seed: int) -> dict[str, Figure]:
    because = _no_shadows(work)
    if because:
        return unscored(shadows_of.ONLINE, because) | unscored(shadows_of.OFFLINE, because)
    logit = work.answers.logit()
    trained = without = _trained(work)
    if work.population is not None and len(work.population[1]) >= _FEWEST:
        without = shadows_of.Shadows.train(
            work.subject,
            work.learner,
            work.population,
            work.attacked,
            None,
            work.attacks,
            seed=seed,
            progress=work.progress,
        )
    ratio = shadows_of.likelihood_ratios(trained, logit)
    work.scores["likelihood_ratio"] = ratio
    found = work.figures(shadows_of.ONLINE, ratio, seed)
    found |= work.figures(shadows_of.OFFLINE, shadows_of.tail_scores(without, logit), seed)
    if work.attacks.asks("privacy_risk"):
        found |= _risks(work, trained, _own(work.seed, "privacy_risk"))
    return found


def _privacy_risk(work: _Work, seed: int) -> dict[str, Figure]:
    because = _no_shadows(work)
    if because:
        return {
            "privacy_risk/at_risk": Figure.not_computed(
                "members at risk by the privacy-risk score",
                because,
                unit="share",
                direction="lower is better",
                source="Song & Mittal 2021 (USENIX Security), section 5",
            )
        }
    if work.attacks.asks("shadow_models"):
        return {}  # made with them
    return _risks(work, _trained(work), seed)


def _risks(work: _Work, trained: shadows_of.Shadows, seed: int) -> dict[str, Figure]:
    score = shadows_of.risk_scores(
        trained,
        work.answers.modified_entropy(),
        work.attacked.y,
        work.attacks.bins,
        by_class=work.subject.classifies,
    )
    work.scores["privacy_risk"] = score
    return risk_figures(
        score,
        work.attacked.member,
        work.groups,
        risky=work.attacks.risky,
        resamples=work.attacks.resamples,
        seed=seed,
    )


def _attribute(work: _Work, seed: int) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for secret in work.attacks.secrets:
        guesses = guessed(
            work.subject,
            work.answers,
            work.attacked,
            place_of(work.attacked.X, secret),
            work.attacks,
            seed=seed,
        )
        found |= attribute_figures(str(secret), guesses, work.attacked.member, seed=seed)
    return found


def _shapley(work: _Work, seed: int) -> dict[str, Figure]:
    because = "" if work.subject.classifies else _NOT_CLASSES
    if len(work.attacked) < _FEWEST:
        because = "there are too few people"
    if because:
        return {
            "shapley/positive": Figure.not_computed(
                "members whose row adds to what the model's outputs tell of others",
                because,
                unit="share",
                direction="closer to the baseline is better",
                source="Duddu et al. 2021, arXiv 2112.02230",
            )
        }
    value = cross_valued(
        work.answers.outputs,
        codes_of(work.attacked.y),
        neighbours=work.attacks.neighbours,
        seed=seed,
    )
    work.scores["shapley"] = value
    return shapley_figures(value, work.attacked.member, work.groups, seed=seed)


def _minimization(work: _Work, seed: int) -> dict[str, Figure]:
    found = minimized(work.subject, work.attacked, work.attacks, seed=seed)
    return minimization_figures(found, resamples=work.attacks.resamples, seed=seed)


_FEWEST = 4


def _no_shadows(work: _Work) -> str:
    if len(work.people) < _FEWEST:
        return "there are too few people to train on halves of them"
    return cannot_copy(work.learner)


_PARTS: dict[Part, Callable[[_Work, int], dict[str, Figure]]] = {
    "loss": _loss,
    "label_only": _label_only,
    "black_box": _black_box,
    "shadow_models": _shadow_models,
    "privacy_risk": _privacy_risk,
    "attribute": _attribute,
    "shapley": _shapley,
    "minimization": _minimization,
}
