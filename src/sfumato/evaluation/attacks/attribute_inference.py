"""Attribute inference: a learner trained on the release guesses what a person keeps to herself.

That smoking and lung disease go together is science: whoever learns it from a release can guess
better about everybody, in the data or not. What a release gives away of a *person* is only what is
guessed better of members than of people it never saw. So every person is attacked alike, and three
things are told apart: how well guesses fit members and controls (their difference is the leak, and
has an exact test), how much better they are than those of the same learner trained on real people
without the person attacked (the population baseline), and how this depends on how many people the
attacker dares to answer for.

The learner is a forest of extremely randomized trees grown to the last row: it answers a person
whose record it has seen with that record's secret, and all others with what people like them have.

References
----------
P. Francis, D. Wagner, "Towards better attribute inference vulnerability measures", arXiv 2507.01710
(2025), sections 3 and 4 (recall; a baseline trained on the real table without the target);
"Towards more accurate and useful data anonymity vulnerability measures", arXiv 2403.06595 (2024)
(non-members as baseline); P. Geurts, D. Ernst, L. Wehenkel, "Extremely randomized trees", Machine
Learning 63 (2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.attack_features import (
    Classes,
    LearnerTable,
    classes_of_secret,
    known_columns,
    secrets,
)
from sfumato.evaluation.attacks.attribute_figures import Guesses, attribute_figures
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.figures import Figure
from sfumato.progress import Progress, silent

__all__ = ["AttributeInference", "guess", "scores"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Singles = npt.NDArray[np.float32]

_KEY = "attribute_inference"
_NAME = "attribute inference by a trained attacker"
_ALC = "Francis & Wagner 2025, arXiv 2507.01710"
_STEPS = 100  # scores of the test are kept to hundredths, so that its draws are few
_RELEASED_FEWEST = 2
# at the least and at the most of each secret, and of all: many secrets cost about as much as few
_ROWS = (2_000, 10_000, 40_000)
_PEOPLE = (2_500, 10_000, 80_000)
_FILLING = 1 << 20  # a stream of random numbers that no secret has


class AttributeInference(Attack):
    """Infer secrets of people with a learner trained on the release.

    Parameters
    ----------
    columns
        The secrets; by default the schema's sensitive columns and the target.
    known
        What the attacker knows of a person; by default all other columns.
    rows
        Most rows that a forest is trained on, at least 2: fewer are faster and see fewer copies.
        By default 10,000 for up to four secrets; more secrets share 40,000 rows, at least 2,000
        each.
    trees
        Trees of a forest, at least 5.
    people
        Most members and most controls that are attacked, drawn at random. By default 10,000 for
        up to eight secrets; more secrets share 80,000, at least 2,500 each.
    recall
        Shares of the people whom the attacker answers for, surest first, each above 0 and up to 1.
    rare
        Values that at most this share of people have count as rare, 0 to 1.
    bins
        Classes that a number is guessed as, at least 2.
    values
        Most values of a secret that are told apart, the commonest, at least 2.

    Examples
    --------
    >>> AttributeInference(columns=("diagnosis",)).trees
    30
    """

    columns: tuple[str, ...] | None = None
    known: tuple[str, ...] | None = None
    rows: int | None = Field(default=None, ge=2)
    trees: int = Field(default=30, ge=5, le=1000)
    people: int | None = Field(default=None, ge=1)
    recall: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.01, 0.1, 1.0)
    rare: float = Field(default=0.1, ge=0, le=1)
    bins: int = Field(default=5, ge=2, le=50)
    values: int = Field(default=30, ge=2, le=100)

    knowledge: ClassVar[str] = (
        "Knows all of a person but one secret, has the release, and trains a learner on it; wants "
        "the secret."
    )

    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Attack members and controls; see :class:`Attack`."""
        names = secrets(tables, self.columns)
        if not names:
            because = "the schema names no sensitive column and no target, and no secret was chosen"
            return {_KEY: _none(because)}
        figures: dict[str, Figure] = {}
        attack = self.model_copy(update={"rows": self.rows or _each(_ROWS, len(names))})
        people = self.people or _each(_PEOPLE, len(names))
        table = None
        for done, name in enumerate(names):
            progress("inferring secrets", done, len(names))
            key = f"{_KEY}/{name}"
            because = _obstacle(tables, name)
            if because:
                figures[key] = _none(because)
                continue
            if table is None:
                table = LearnerTable.of(tables.columns, np.random.default_rng([seed, _FILLING]))
            random = np.random.default_rng([seed, done])
            rows = np.concatenate(
                [
                    _some(np.flatnonzero(who), people, random)
                    for who in (tables.member, ~tables.member)
                ]
            )
            guesses = guess(
                tables, name, attack, seed=int(random.integers(2**31)), rows=rows, table=table
            )
            if guesses is None:
                figures[key] = _none("too few released rows tell the secret")
                continue
            member = tables.member[rows]
            figures |= attribute_figures(
                key,
                guesses,
                member,
                recall=self.recall,
                rare=self.rare,
                seed=int(random.integers(2**31)),
            )
        progress("inferring secrets", len(names), len(names))
        return figures


def guess(
    tables: AttackTables,
    column: str,
    attack: AttributeInference,
    *,
    seed: int,
    rows: Integers | None = None,
    table: LearnerTable | None = None,
) -> Guesses | None:
    """Guess one secret of real people, blind to who is a member.

    Parameters
    ----------
    tables
        The release, its members and its controls.
    column
        The secret, a column of ``tables``.
    attack
        Its settings.
    seed
        Of every random step.
    rows
        Row numbers of the real people attacked, shape (people,); all by default.
    table
        The columns as a learner sees them, where several secrets are guessed; made by default.

    Returns
    -------
    Guesses or None
        None if fewer than two released rows tell the secret, or there is but one real person.

    Notes
    -----
    The baseline is trained on as many real rows as the attack: of people who are not attacked, or,
    where they are too few, of two halves of all drawn at random, each asked about the other one's
    people. So neither guess depends on the labels of those attacked, and exchanging them gives
    exact tests.
    """
    random = np.random.default_rng(seed)
    secret = classes_of_secret(tables.by_name[column], random, most=attack.values, bins=attack.bins)
    told = np.flatnonzero(secret.told)
    total = len(secret.real)
    if len(told) < _RELEASED_FEWEST or total < _RELEASED_FEWEST:
        return None
    if table is None:
        table = LearnerTable.of(tables.columns, random)
    known = [one.name for one in known_columns(tables, column, attack.known)]
    rows = np.arange(total) if rows is None else rows
    most = attack.rows or _each(_ROWS, 1)
    forest = _Forest(attack.trees, secret.count, int(random.integers(2**31)))
    trained = _some(told, most, random)
    shown, asked = table.known(known, released=trained, real=rows)
    by_release = forest.probabilities(shown, secret.released[trained], asked)
    size = min(most, len(told), max(1, total // 2))
    by_population = np.zeros_like(by_release)
    for mine, others in _taught_by_others(total, rows, size, random):
        taught = _some(others, size, random)
        _, teaching = table.known(known, released=trained[:0], real=taught)
        by_population[mine] = forest.probabilities(teaching, secret.real[taught], asked[mine])
    return _guesses(by_release, by_population, secret, rows, attack.rare, len(trained))


def _taught_by_others(
    total: int, rows: Integers, size: int, random: np.random.Generator
) -> list[tuple[Flags, Integers]]:
    """Return parts of the people attacked, and of whom the baseline may learn for each."""
    attacked = np.zeros(total, dtype=np.bool_)
    attacked[rows] = True
    if total - int(attacked.sum()) >= size:
        return [(np.ones(len(rows), dtype=np.bool_), np.flatnonzero(~attacked))]
    half = random.permutation(total) % 2
    return [(half[rows] == part, np.flatnonzero(half != part)) for part in (0, 1)]


def scores(
    tables: AttackTables, column: str, *, seed: int, attack: AttributeInference | None = None
) -> tuple[Floats, Floats]:
    """Return what the tests permute: whether each guess is right, and how much more was told.

    Parameters
    ----------
    tables, column, seed
        As in :func:`guess`.
    attack
        Its settings; the default ones if None. Everybody is attacked.

    Returns
    -------
    right, gain
        0 or 1, and -1 to 1, shape (N,) over the real rows; nan where nothing can be guessed.
    """
    attack = AttributeInference() if attack is None else attack
    guesses = guess(tables, column, attack, seed=seed)
    if guesses is None:
        nothing = np.full(len(tables.member), np.nan)
        return nothing, nothing
    return guesses.right.astype(np.float64), guesses.gain


def _guesses(
    by_release: Floats,
    by_population: Floats,
    secret: Classes,
    rows: Integers,
    rare: float,
    learned_from: int,
) -> Guesses:
    truth = secret.real[rows]
    every = np.arange(len(rows))
    often = np.bincount(secret.real, minlength=secret.count)
    few = often <= rare * len(secret.real)
    few[-1] = False  # the rest has no one name that could be guessed
    named = truth < secret.count - 1
    best, usual = by_release.argmax(axis=1), by_population.argmax(axis=1)
    more = by_release[every, truth] - by_population[every, truth]
    return Guesses(
        right=(best == truth) & named,
        sure=by_release[every, best],
        baseline_right=(usual == truth) & named,
        baseline_sure=by_population[every, usual],
        gain=np.where(named, np.rint(more * _STEPS) / _STEPS, 0.0),
        has_rare=few[truth],
        claims_rare=few[best],
        learned_from=learned_from,
    )


@dataclass(frozen=True)
class _Forest:
    trees: int
    classes: int
    seed: int

    def probabilities(self, known: Singles, secret: Integers, asked: Singles) -> Floats:
        """Return the probability of each class for each row asked, shape (asked, classes)."""
        from sklearn.ensemble import ExtraTreesClassifier

        answer = np.zeros((len(asked), self.classes))
        if not len(asked):
            return answer
        forest = ExtraTreesClassifier(self.trees, random_state=self.seed, n_jobs=1)
        forest.fit(known, secret)
        answer[:, forest.classes_] = forest.predict_proba(asked)
        return answer


def _each(budget: tuple[int, int, int], secrets: int) -> int:
    """Return the share of each secret in a budget (fewest, most, in all)."""
    fewest, most, in_all = budget
    return max(fewest, min(most, in_all // max(secrets, 1)))


def _some(rows: Integers, most: int, random: np.random.Generator) -> Integers:
    if len(rows) <= most:
        return rows
    return np.sort(random.choice(rows, most, replace=False))


def _obstacle(tables: AttackTables, name: str) -> str:
    if name not in tables.by_name:
        return f"column {name!r} is not in the release and the real rows in comparable form"
    if not tables.n_members or not tables.n_controls:
        return "there are no members or no controls to compare"
    return ""


def _none(because: str) -> Figure:
    return Figure.not_computed(
        _NAME, because, unit="share", direction="lower is better", source=_ALC
    )
