"""Membership from a model's answers alone: its loss, its labels, and a forest that learned both.

References
----------
S. Yeom et al. (IEEE CSF 2018), section 3, for the loss and for correctness (the gap attack); C. A.
Choquette-Choo et al., "Label-only membership inference attacks" (ICML 2021), section 4.2, for
robustness to noise of the inputs; R. Shokri et al. (IEEE S&P 2017), section V, for a learned
attack; A. Goldsteen et al., "Anonymizing machine learning models" (2021), section 5, for its use
against models whose training rows were anonymized.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.exchangeability import clopper_pearson, excess
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.trained_models.answers import Answers, Subject, ask
from sfumato.evaluation.trained_models.rows import (
    People,
    columns_of,
    is_number,
    put_numbers,
    put_rows,
)
from sfumato.evaluation.trained_models.score_figures import Attempt, around_control
from sfumato.evaluation.trained_models.settings import ModelAttacks
from sfumato.progress import Progress

__all__ = ["LABEL_ONLY", "LOSS", "black_box_figures", "correct_figure", "robustness"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LOSS = Attempt(
    key="membership/loss",
    name="membership by the model's loss",
    told="whose answers the model knows best",
    source="Yeom et al. 2018 (IEEE CSF), section 3",
    not_shown="What attackers find who weigh the loss against that of models without the person.",
)
LABEL_ONLY = Attempt(
    key="membership/label_only",
    name="membership by labels that withstand noise",
    told="whose label withstands noise best",
    source="Choquette-Choo et al. 2021 (ICML), section 4.2",
    not_shown="What attackers find who see probabilities.",
)
_BLACK_BOX = "Shokri et al. 2017 (IEEE S&P), section V; Goldsteen et al. 2021, section 5"
_MOST_DEALT = 0.5


def correct_figure(answers: Answers, member: Flags, *, seed: int) -> Figure:
    """Return how often members are classified rightly, against controls: the gap attack."""
    found = excess(answers.correct[member], answers.correct[~member], seed=seed)
    return Figure(
        name="members classified rightly",
        value=found.members,
        unit="share",
        direction="closer to the baseline is better",
        meaning=(
            f"The model is right for so many of {found.n_members:,} members; the control is for "
            f"how many of {found.n_controls:,} people that it never saw. Who guesses that those "
            "classified rightly are members gains half of the difference over chance."
        ),
        source="Yeom et al. 2018 (IEEE CSF), section 3",
        interval=around_control(found),
        interval_method="Newcombe's of the excess over the control, 95 %; p by Fisher's exact test",
        baseline=found.controls,
        control=found.controls,
        p_value=found.p_value,
        upper=found.upper,
        detectable=found.detectable,
        attacks=len(member),
        not_shown="Whose rows were kept: a model that is right for all may have kept some of them.",
    )


def robustness(
    subject: Subject, people: People, attacks: ModelAttacks, *, seed: int, progress: Progress
) -> Floats:
    """Return how well each person's label withstands noise of the inputs, 0 to 2, shape (n,).

    The share of noisy copies that get the true label, and 1 more if the row itself does.

    Parameters
    ----------
    subject, people
        The model, and whom it is asked about.
    attacks
        With ``queries`` and ``noise``.
    seed
        Of the noise.
    progress
        Told after each copy.
    """
    random = np.random.default_rng(seed)
    right = ask(subject, people.X, people.y).correct.astype(np.float64)
    withstood = np.zeros(len(people))
    numbers = [
        values.astype(np.float64) if is_number(values) else None for values in columns_of(people.X)
    ]
    for query in range(attacks.queries):
        progress("asking about noisy rows", query, attacks.queries)
        X = _noisy(people.X, numbers, attacks.noise, random)
        withstood += ask(subject, X, people.y).correct
    progress("asking about noisy rows", attacks.queries, attacks.queries)
    return right + withstood / attacks.queries


def _noisy(X: Any, numbers: list[Floats | None], noise: float, random: np.random.Generator) -> Any:
    rows = np.arange(X.shape[0])
    changed = X
    for column, values in enumerate(numbers):
        if values is None:
            dealt = random.random(len(rows)) < min(noise, _MOST_DEALT)
            source = np.where(dealt, random.integers(len(rows), size=len(rows)), rows)
            changed = put_rows(changed, column, X, source)
        else:
            spread = float(np.nanstd(values))
            moved = values + noise * spread * random.standard_normal(len(rows))
            changed = put_numbers(changed, column, moved)
    return changed


def black_box_figures(
    answers: Answers, member: Flags, attacks: ModelAttacks, *, seed: int
) -> dict[str, Figure]:
    """Return how well a forest tells members that learned from half of the people who is one.

    Members and controls are equally many, and so are they in the half that teaches and in the half
    that is judged. Its input is the model's output and the true answer.

    Parameters
    ----------
    answers
        Of the model about all people.
    member
        Who is one, shape (n,).
    attacks
        With ``trees``.
    seed
        Of the halves and of the forest.
    """
    from sklearn.ensemble import RandomForestClassifier

    names = {
        "accuracy": "membership by a forest that learned from others: accuracy",
        "precision": "membership by a forest that learned from others: precision",
        "recall": "membership by a forest that learned from others: recall",
    }
    key = "membership/black_box"
    random = np.random.default_rng(seed)
    both = [np.flatnonzero(member), np.flatnonzero(~member)]
    equal = min(len(rows) for rows in both) // 2 * 2
    if equal < 2:
        because = "two members and two controls at least are needed, to learn from and to judge"
        return {
            f"{key}/{name}": Figure.not_computed(
                title, because, unit="share", direction="lower is better", source=_BLACK_BOX
            )
            for name, title in names.items()
        }
    drawn = [random.choice(rows, equal, replace=False) for rows in both]
    taught = np.concatenate([rows[: equal // 2] for rows in drawn])
    judged = np.concatenate([rows[equal // 2 :] for rows in drawn])
    truth = answers.truth.astype(np.float64)
    seen = np.column_stack([answers.outputs, truth, answers.loss()])
    forest = RandomForestClassifier(attacks.trees, random_state=seed, n_jobs=1)
    forest.fit(seen[taught], member[taught])
    accused = forest.predict(seen[judged])
    who = member[judged]
    found = excess(accused[who], accused[~who], seed=seed)
    each = equal // 2
    hits = int(accused[who].sum())
    wrong = int(accused[~who].sum())
    right = hits + each - wrong
    low, high = found.interval
    about = (
        f"A forest of {attacks.trees} trees learned from the model's outputs and the true answers "
        f"of {each:,} members and {each:,} controls who is which; judged on as many others"
    )
    accuracy = _black_box_figure(
        names["accuracy"],
        right / (2 * each),
        f"{about}, it is right for so many; one half is chance.",
        (max(0.0, 0.5 + float(low) / 2), min(1.0, 0.5 + float(high) / 2)),
        2 * each,
    )
    precision = _black_box_figure(
        names["precision"],
        hits / (hits + wrong) if hits + wrong else None,
        f"{about}, so many of those it takes for members are; one half is chance.",
        clopper_pearson(hits, hits + wrong) if hits + wrong else None,
        hits + wrong,
    )
    recall = _black_box_figure(
        names["recall"],
        hits / each,
        f"{about}, it takes so many members for such; the control is of the others.",
        clopper_pearson(hits, each),
        each,
    )
    return {
        f"{key}/accuracy": replace(
            accuracy,
            interval_method="Newcombe's of the excess accused, halved, 95 %; p by Fisher's test",
            p_value=found.p_value,
            upper=found.upper / 2,
            detectable=found.detectable / 2,
        ),
        f"{key}/precision": precision,
        f"{key}/recall": replace(recall, baseline=wrong / each, control=wrong / each),
    }


def _black_box_figure(
    name: str,
    value: float | None,
    meaning: str,
    interval: tuple[float, float] | None,
    attacks: int,
) -> Figure:
    return Figure(
        name=name,
        value=value,
        unit="share",
        direction="lower is better",
        meaning=meaning,
        source=_BLACK_BOX,
        interval=interval,
        interval_method="Clopper-Pearson, 95 %",
        baseline=0.5,
        because="" if value is not None else "the forest accused nobody",
        attacks=attacks,
        not_shown="What attackers find who can train the model anew on people like these.",
    )
