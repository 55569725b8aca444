"""Train the classifiers on versions of a table, in the published convention or the honest one.

Published: each version is split into training and test rows of its own, so that it is tested on
anonymized rows, and ``*`` among numbers is 0. Honest: test people are set aside first, no version
is trained on a row of theirs, all are tested on the same real rows, and ``*`` is the training mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.anonify.classifiers import (
    DRAWING,
    ClassifierScores,
    Spread,
    classifier,
    honest_scores,
    published_scores,
)
from sfumato.evaluation.anonify.settings import AnonifySettings
from sfumato.evaluation.metrics import Prediction
from sfumato.evaluation.models import fit
from sfumato.progress import Progress, silent

__all__ = ["Version", "learn", "split_rows"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_Trained = dict[str, tuple[float, tuple[float, float] | None]]


@dataclass(frozen=True, eq=False)
class Version:
    """One version of the table, as numbers.

    Parameters
    ----------
    name
        What it is called.
    matrix, codes
        Rows as numbers, NaN where one is left open, shape (n, columns); code of each row's class.
    samples
        For a sampled version which rows each sample keeps, shape (n,) each; empty: all rows.
    mine
        Row of the real table of each row, shape (n,), -1 where it is not known; None where the
        rows could not be paired.
    because
        Why ``mine`` is None.
    """

    name: str
    matrix: Floats
    codes: Integers
    samples: tuple[Flags, ...] = ()
    mine: Integers | None = None
    because: str = ""


@dataclass(frozen=True, eq=False)
class _Task:
    """Training and test rows of one run."""

    train: tuple[Floats, Integers]
    test: tuple[Floats, Integers]
    notes: tuple[str, ...] = field(default=())


def split_rows(rows: int, settings: AnonifySettings) -> tuple[Integers, Integers]:
    """Return the training and the test rows of a table of so many rows, as the paper splits it."""
    from sklearn.model_selection import train_test_split

    train, test = train_test_split(
        np.arange(rows), test_size=settings.test_share, random_state=settings.split_seed
    )
    return np.asarray(train), np.asarray(test)


def learn(
    versions: Sequence[Version],
    settings: AnonifySettings,
    classes: tuple[str, ...],
    positive: int | None,
    target: str,
    *,
    progress: Progress = silent,
) -> tuple[ClassifierScores, ...]:
    """Train every classifier on every version in both conventions.

    Parameters
    ----------
    versions
        The real table first; its rows are what the honest convention tests on.
    settings
        Classifiers, runs, the split, and the seed.
    classes, positive, target
        Names of the target's classes, the code of the one looked for (None with more than two),
        and the column's name.
    """
    found = []
    total = len(versions) * len(settings.classifiers) * 2
    done = 0
    for convention in ("published", "honest"):
        for version in versions:
            runs = len(version.samples) or settings.runs
            obstacle = version.because if convention == "honest" else ""
            tasks = (
                []
                if obstacle
                else [
                    _published(version, run, settings)
                    if convention == "published"
                    else _honest(version, versions[0], run, settings)
                    for run in range(len(version.samples) or 1)
                ]
            )
            for name in settings.classifiers:
                progress("training the classifiers", done, total)
                done += 1
                scores, notes = [], list(tasks[0].notes if tasks else ())
                because = obstacle or _obstacle(name, tasks, settings)
                if not because:
                    again = runs if name in DRAWING or len(tasks) > 1 else 1
                    for run in range(again):
                        task = tasks[run % len(tasks)]
                        scored, said = _train(
                            name, task, settings.seed + run, classes, positive, target, convention
                        )
                        scores.append(scored)
                        notes += said
                found.append(
                    ClassifierScores(
                        classifier=name,
                        version=version.name,
                        convention=convention,
                        scores=_spreads(scores),
                        runs=len(scores),
                        rows_train=len(tasks[-1].train[1]) if tasks else 0,
                        rows_test=len(tasks[-1].test[1]) if tasks else 0,
                        notes=tuple(dict.fromkeys(notes)),
                        because=because,
                    )
                )
    progress("training the classifiers", total, total)
    return tuple(found)


def _published(version: Version, run: int, settings: AnonifySettings) -> _Task:
    rows = (
        np.flatnonzero(version.samples[run]) if version.samples else np.arange(len(version.codes))
    )
    train, test = (rows[part] for part in split_rows(len(rows), settings))
    matrix = np.nan_to_num(version.matrix, nan=0.0)
    return _Task((matrix[train], version.codes[train]), (matrix[test], version.codes[test]))


def _honest(version: Version, real: Version, run: int, settings: AnonifySettings) -> _Task:
    train_people, test_people = split_rows(len(real.codes), settings)
    place = np.full(len(real.codes), -1)  # among the training people, in the order of the split
    place[train_people] = np.arange(len(train_people))
    mine = np.arange(len(real.codes)) if version.mine is None else version.mine
    place_of_row = np.where(mine >= 0, place[np.maximum(mine, 0)], -1)
    if version.samples:
        place_of_row = np.where(version.samples[run], place_of_row, -1)
    used = np.argsort(place_of_row, kind="stable")[int((place_of_row < 0).sum()) :]
    unknown = int((mine < 0).sum())
    notes = (f"{unknown:,} released rows of unknown people were not trained on",) if unknown else ()
    train, codes = version.matrix[used], version.codes[used]
    there = ~np.isnan(train)
    counts = np.maximum(there.sum(axis=0), 1)
    means = np.where(there, train, 0.0).sum(axis=0) / counts

    def filled(matrix: Floats) -> Floats:
        return np.where(np.isnan(matrix), means, matrix)

    return _Task(
        (filled(train), codes), (filled(real.matrix[test_people]), real.codes[test_people]), notes
    )


def _obstacle(name: str, tasks: Sequence[_Task], settings: AnonifySettings) -> str:
    for task in tasks:
        if len(np.unique(task.train[1])) < 2:
            return "all training rows are of one class: there is nothing to learn"
        if not len(task.test[1]):
            return "there are no test rows"
        if name == "svm" and len(task.train[1]) > settings.most_rows_svm:
            return (
                f"its time grows with the square of the {len(task.train[1]):,} training rows; "
                "most_rows_svm allows more"
            )
        if name == "k-nearest-neighbours" and len(task.train[1]) < 5:
            return "there are fewer than five training rows"
    return ""


def _train(
    name: str,
    task: _Task,
    seed: int,
    classes: tuple[str, ...],
    positive: int | None,
    target: str,
    convention: str,
) -> tuple[_Trained, tuple[str, ...]]:
    empty = (task.train[0][:0], task.train[1][:0])
    fitted = fit(classifier(name), task.train, empty, seed=seed, task=name, progress=silent)
    answer = fitted.answer(task.test[0], len(classes), positive)
    if convention == "published":
        scores = published_scores(task.test[1], answer.chosen)
        return {key: (value, None) for key, value in scores.items()}, fitted.notes
    counts = np.bincount(task.train[1], minlength=len(classes))
    prediction = Prediction(
        target=target,
        classes=classes,
        positive=positive,
        actual=task.test[1],
        ranking=answer.ranking,
        are_probabilities=answer.are_probabilities,
        chosen=answer.chosen,
        training_shares=counts / counts.sum(),
    )
    return honest_scores(prediction), fitted.notes


def _spreads(runs: Sequence[_Trained]) -> dict[str, Spread]:
    if not runs:
        return {}
    names = [name for name in runs[0] if all(name in run for run in runs)]
    return {
        name: Spread.of([run[name][0] for run in runs], [run[name][1] for run in runs])
        for name in names
    }
