"""What a model helps to infer of a person's secret, beyond what other people tell.

The attacker knows all of a person but one column, and the true answer. A forest that learned from
other people imputes the column: that is the baseline, and no leak. The model is used in two ways:
its answers are known to the forest too, or it is asked about the person with each value that she
might have, and the value is taken for which the true answer is likeliest, weighed by the baseline.
Only what is inferred of members and not of controls is kept of single people.

References
----------
M. Fredrikson, S. Jha, T. Ristenpart, "Model inversion attacks that exploit confidence information"
(ACM CCS 2015), section 4; S. Mehnaz et al., "Are your sensitive attributes private?" (USENIX
Security 2022), section 4; B. Jayaraman, D. Evans, "Are attribute inference attacks just
imputation?" (ACM CCS 2022), for the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.exchangeability import clopper_pearson, excess
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.trained_models.answers import Answers, Subject, ask
from sfumato.evaluation.trained_models.rows import (
    People,
    codes_of,
    columns_of,
    is_number,
    put_rows,
    told_apart,
)
from sfumato.evaluation.trained_models.score_figures import around_control
from sfumato.evaluation.trained_models.settings import ModelAttacks

__all__ = ["Guessed", "attribute_figures", "guessed"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SOURCE = (
    "Fredrikson et al. 2015 (ACM CCS), section 4; Mehnaz et al. 2022 (USENIX Security); Jayaraman "
    "& Evans 2022 (ACM CCS)"
)
_MOST_VALUES = 10
_PARTS = 5  # of a number with more values
_FEWEST = 10  # members and controls with a value, for its recall
_LEAF = 3
_LEAST = 1e-6
_WAYS = {
    "predictions": "a forest that also knows the model's answers",
    "queries": "asking the model about each value that the person might have",
}


@dataclass(frozen=True, eq=False)
class Guessed:
    """Guesses of one secret.

    Parameters
    ----------
    truth
        Number of the true value of each person, shape (n,).
    baseline
        Guesses of the forest that knows no model, shape (n,).
    by
        Guesses by each way to use the model.
    """

    truth: Integers
    baseline: Integers
    by: dict[str, Integers]


def guessed(
    subject: Subject,
    answers: Answers,
    people: People,
    column: int,
    attacks: ModelAttacks,
    *,
    seed: int,
) -> Guessed:
    """Guess a column of each person, taught by the half of the people that she is not in.

    Parameters
    ----------
    subject, answers
        The model and what it says about the people.
    people
        Those attacked; who is a member plays no part.
    column
        Number of the secret column.
    attacks
        With ``trees``.
    seed
        Of the halves and of the forests.
    """
    truth, ends = _values(columns_of(people.X)[column])
    values = int(truth.max()) + 1
    known = np.delete(told_apart(people.X), column, axis=1)
    target = (
        people.y.astype(np.float64) if not subject.classifies else answers.truth.astype(np.float64)
    )
    known = np.column_stack([known, target])
    with_model = np.column_stack([known, answers.outputs])
    half = np.random.default_rng(seed).permutation(len(people)) < len(people) // 2
    baseline = np.zeros((len(people), values))
    informed = np.zeros((len(people), values))
    for part in (half, ~half):
        baseline[part] = _forest(known, truth, ~part, part, values, attacks.trees, seed)
        informed[part] = _forest(with_model, truth, ~part, part, values, attacks.trees, seed)
    likely = np.column_stack(
        [_likelihood(subject, answers, people, column, int(row)) for row in ends]
    )
    weighed = likely + np.log(np.maximum(baseline, _LEAST))
    return Guessed(
        truth,
        baseline.argmax(axis=1),
        {"predictions": informed.argmax(axis=1), "queries": weighed.argmax(axis=1)},
    )


def attribute_figures(
    name: str, guesses: Guessed, member: Flags, *, seed: int
) -> dict[str, Figure]:
    """Return how often a secret is inferred rightly, and what of it the model adds.

    Parameters
    ----------
    name
        Of the secret column.
    guesses
        Of the people attacked.
    member
        Who was trained on, shape (n,), at least one and one control.
    seed
        Of breaking ties.
    """
    found: dict[str, Figure] = {}
    base = guesses.baseline == guesses.truth
    for way, guess in guesses.by.items():
        key = f"attribute/{name}/{way}"
        right = guess == guesses.truth
        found[key] = _right(way, right, base, member, seed)
        found[f"{key}/advantage"] = _advantage(way, right, base, member)
        found |= _rare(key, way, guess, guesses, member)
    return found


def _values(values: npt.NDArray[Any]) -> tuple[Integers, Integers]:
    """Return each person's value, numbers of many values by fifths, and a row that has each."""
    codes = codes_of(values)
    if is_number(values) and int(codes.max()) >= _MOST_VALUES:
        numbers = values.astype(np.float64)
        edges = np.unique(np.nanquantile(numbers, np.arange(1, _PARTS) / _PARTS))
        parts = np.searchsorted(edges, numbers, side="right")
        codes = codes_of(np.where(np.isnan(numbers), len(edges) + 1, parts))
        middle = np.argsort(numbers, kind="stable")  # missing ones last, as in the codes
        ranked = codes[middle]
        starts = np.searchsorted(ranked, np.arange(int(codes.max()) + 1))
        stops = np.searchsorted(ranked, np.arange(int(codes.max()) + 1), side="right")
        return codes, middle[(starts + stops) // 2]
    return codes, np.unique(codes, return_index=True)[1]


def _forest(
    known: Floats,
    truth: Integers,
    taught: Flags,
    asked: Flags,
    values: int,
    trees: int,
    seed: int,
) -> Floats:
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(trees, min_samples_leaf=_LEAF, random_state=seed, n_jobs=1)
    forest.fit(known[taught], truth[taught])
    found = np.zeros((int(asked.sum()), values))
    found[:, forest.classes_] = forest.predict_proba(known[asked])
    return found


def _likelihood(
    subject: Subject, answers: Answers, people: People, column: int, row: int
) -> Floats:
    """Return the log likelihood of each true answer if the person had the value of a row."""
    source = np.full(len(people), row)
    asked = ask(subject, put_rows(people.X, column, people.X, source), people.y)
    if subject.classifies:
        return np.log(np.maximum(asked.of_truth, _LEAST))
    spread = max(float(np.sqrt(answers.loss().mean())), _LEAST)
    return -asked.loss() / (2 * spread**2)


def _right(way: str, right: Flags, base: Flags, member: Flags, seed: int) -> Figure:
    found = excess(right[member], right[~member], seed=seed)
    return Figure(
        name=f"secrets inferred rightly by {_WAYS[way]}",
        value=found.members,
        unit="share",
        direction="lower is better",
        meaning=(
            f"The secret of so many of {found.n_members:,} members is guessed rightly; the control "
            f"is of how many of {found.n_controls:,} people that the model never saw, the baseline "
            "what a forest guesses of the members from other people, without the model. What is "
            "inferred equally well of people that the model never saw is no leak of single rows."
        ),
        source=_SOURCE,
        interval=around_control(found),
        interval_method="Newcombe's of the excess over the control, 95 %; p by Fisher's exact test",
        baseline=float(base[member].mean()),
        control=found.controls,
        p_value=found.p_value,
        upper=found.upper,
        detectable=found.detectable,
        attacks=len(member),
        not_shown="What an attacker infers who knows less or more of the person.",
    )


def _advantage(way: str, right: Flags, base: Flags, member: Flags) -> Figure:
    gained = int((right & ~base)[member].sum())
    lost = int((base & ~right)[member].sum())
    people, both = int(member.sum()), gained + lost
    low, high = clopper_pearson(gained, both) if both else (0.5, 0.5)
    return Figure(
        name=f"advantage over imputation by {_WAYS[way]}",
        value=(gained - lost) / people,
        unit="share",
        direction="lower is better",
        meaning=(
            f"Of {people:,} members, {gained:,} are guessed rightly with the model only and "
            f"{lost:,} without it only; the value is the difference over all."
        ),
        source="Jayaraman & Evans 2022 (ACM CCS)",
        interval=((2 * low - 1) * both / people, (2 * high - 1) * both / people),
        interval_method="Clopper-Pearson among those guessed differently, 95 %",
        baseline=0.0,
        control=float(right[~member].mean() - base[~member].mean()),
        attacks=people,
        not_shown="Whether the advantage is of the members alone: compare with the control.",
    )


def _rare(
    key: str, way: str, guess: Integers, guesses: Guessed, member: Flags
) -> dict[str, Figure]:
    """Return precision and recall for the rarest value that enough people have."""
    values = int(guesses.truth.max()) + 1
    ours = np.bincount(guesses.truth[member], minlength=values)
    others = np.bincount(guesses.truth[~member], minlength=values)
    enough = np.flatnonzero((ours >= _FEWEST) & (others >= _FEWEST))
    titles = {
        "recall": f"members with the rarest value who are found by {_WAYS[way]} (recall)",
        "precision": f"claims of the rarest value that are right, by {_WAYS[way]} (precision)",
    }
    if not len(enough):
        because = f"no value is had by at least {_FEWEST} members and {_FEWEST} controls"
        return {
            f"{key}/{end}": Figure.not_computed(
                title, because, unit="share", direction="lower is better", source=_SOURCE
            )
            for end, title in titles.items()
        }
    rarest = enough[(ours + others)[enough].argmin()]
    has, said = guesses.truth == rarest, guess == rarest
    found = {}
    for end, of, hit, guessed_by_base in (
        ("recall", has, said & has, (guesses.baseline == rarest) & has),
        ("precision", said, said & has, None),
    ):
        n, m = int((of & member).sum()), int((of & ~member).sum())
        hits = int((hit & member).sum())
        if guessed_by_base is not None:
            reference: float | None = int((guessed_by_base & member).sum()) / n
        else:
            base = guesses.baseline == rarest
            claimed = int((base & member).sum())
            reference = int((base & has & member).sum()) / claimed if claimed else None
        found[f"{key}/{end}"] = Figure(
            name=titles[end],
            value=hits / n if n else None,
            unit="share",
            direction="lower is better",
            meaning=(
                f"{hits:,} of {n:,} members; the control is the same of {m:,} people that the "
                "model never saw, the baseline that of imputation from other people."
            ),
            source=_SOURCE,
            interval=clopper_pearson(hits, n) if n else None,
            interval_method="Clopper-Pearson, 95 %",
            baseline=reference,
            control=int((hit & ~member).sum()) / m if m else None,
            because="" if n else "nobody is said to have the value",
            attacks=n,
            not_shown="Other values of the secret.",
        )
    return found
