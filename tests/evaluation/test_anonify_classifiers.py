"""The eight classifiers: who is trained on whom, and what the two conventions count."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split

from sfumato.evaluation.anonify import CLASSIFIERS, AnonifySettings, Spread, Version, learn
from sfumato.evaluation.anonify.classifiers import classifier, published_scores
from sfumato.evaluation.anonify.settings import CLASSIFIER_NAMES

ROWS = 200
IDS = np.arange(ROWS, dtype=float)
CODES = (np.arange(ROWS) % 4 == 0).astype(np.int64)


class Witness(ClassifierMixin, BaseEstimator):
    """Notes whose rows it saw; the first column of the input is the person's number."""

    seen: ClassVar[list[tuple[np.ndarray, np.ndarray]]] = []

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.trained = X
        return self

    def predict_proba(self, X):
        Witness.seen.append((self.trained, X))
        return np.tile([0.6, 0.4], (len(X), 1))


@pytest.fixture
def witness(monkeypatch):
    Witness.seen = []
    monkeypatch.setattr("sfumato.evaluation.anonify.learning.classifier", lambda name: Witness())
    return Witness


def versions():
    real = Version("original", np.column_stack([IDS, IDS % 7]), CODES)
    order = np.random.default_rng(5).permutation(ROWS)
    matrix = np.column_stack([IDS[order], np.where(IDS[order] < 50, np.nan, IDS[order] % 7)])
    kept = (np.arange(ROWS) % 2 == 0, np.arange(ROWS) % 3 == 0)
    mine = order.copy()
    released = Version("anonymized", matrix, CODES[order], mine=mine)
    sampled = Version("50 % deleted", matrix, CODES[order], kept, mine)
    return real, released, sampled


def run(*given, classifiers=("naive-bayes",), runs=2, **asked):
    settings = AnonifySettings(classifiers=classifiers, runs=runs, **asked)
    return learn(given, settings, ("no", "yes"), 1, "ill")


def test_the_honest_convention_never_trains_on_test_people(witness):
    scores = run(*versions())
    expected = train_test_split(np.arange(ROWS), test_size=0.25, random_state=35)
    honest = witness.seen[4:]  # published: original, anonymized, two samples
    assert len(honest) == 4
    for trained, tested in honest:
        assert tested[:, 0].tolist() == IDS[expected[1]].tolist()  # the same people every time
        assert tested[:, 1].tolist() == (IDS[expected[1]] % 7).tolist()  # with their real cells
        assert not set(trained[:, 0]) & set(tested[:, 0])
    whole, released = honest[0][0], honest[1][0]
    assert whole[:, 0].tolist() == IDS[expected[0]].tolist()
    assert released[:, 0].tolist() == whole[:, 0].tolist()
    # what was left open is the mean of the training rows, not 0
    gaps = released[:, 0] < 50
    assert np.allclose(released[gaps, 1], released[~gaps, 1].mean())
    sampled = {one.version: one for one in scores if one.convention == "honest"}["50 % deleted"]
    assert sampled.runs == 2
    assert sampled.rows_test == 50


def test_the_published_convention_splits_each_version_by_itself(witness):
    run(*versions())
    matrix = np.nan_to_num(versions()[1].matrix)
    train, test = train_test_split(matrix, test_size=0.25, random_state=35)
    assert (witness.seen[1][0] == train).all()
    assert (witness.seen[1][1] == test).all()  # tested on its own rows, gaps as 0
    kept = matrix[versions()[2].samples[1]]
    train, test = train_test_split(kept, test_size=0.25, random_state=35)
    assert (witness.seen[3][0] == train).all()
    assert (witness.seen[3][1] == test).all()


def test_rows_of_unknown_people_are_not_trained_on(witness):
    real, released, _ = versions()
    mine = released.mine.copy()
    mine[:30] = -1
    unknown = set(released.matrix[:30, 0])
    scores = run(real, Version("anonymized", released.matrix, released.codes, mine=mine))
    assert not unknown & set(witness.seen[-1][0][:, 0])
    assert "30 released rows of unknown people" in scores[-1].notes[0]


def test_without_a_pairing_there_is_no_honest_score(witness):
    real, released, _ = versions()
    blind = Version("anonymized", released.matrix, released.codes, because="rows are alike")
    found = {(one.version, one.convention): one for one in run(real, blind)}
    assert found["anonymized", "honest"].because == "rows are alike"
    assert found["anonymized", "honest"].scores == {}
    tested = train_test_split(released.codes, test_size=0.25, random_state=35)[1]
    accuracy = found["anonymized", "published"].scores["accuracy"].median
    assert accuracy == pytest.approx(1 - tested.mean())


def test_weighted_averages_by_hand():
    actual = np.array([0] * 8 + [1] * 2)
    chosen = np.array([0] * 7 + [1] + [1, 0])
    found = published_scores(actual, chosen)
    assert found["accuracy"] == pytest.approx(0.8)
    assert found["recall"] == pytest.approx(0.8)  # the weighted recall is the accuracy
    assert found["precision"] == pytest.approx(0.8 * 7 / 8 + 0.2 * 1 / 2)
    f1 = 0.8 * (2 * 7 / (2 * 7 + 1 + 1)) + 0.2 * (2 * 1 / (2 * 1 + 1 + 1))
    assert found["f1"] == pytest.approx(f1)


def test_the_positive_class_and_the_majority_stand_beside_accuracy(witness):
    (original,) = [one for one in run(versions()[0]) if one.convention == "honest"]
    scores = {name: spread.median for name, spread in original.scores.items()}
    tested = train_test_split(CODES, test_size=0.25, random_state=35)[1]
    # everybody is called "no"
    assert scores["accuracy"] == scores["majority_accuracy"] == pytest.approx(1 - tested.mean())
    assert scores["f1"] == 0
    assert scores["auc"] == 0.5


def test_the_same_seed_gives_the_same_scores():
    names = ("decision-tree", "random-forest", "adaboost", "bagging")
    real = versions()[0]
    again = [run(real, classifiers=names, seed=3) for _ in range(2)]
    assert [one.to_dict() for one in again[0]] == [one.to_dict() for one in again[1]]


def test_all_eight_have_scikit_learns_defaults():
    assert tuple(CLASSIFIERS) == CLASSIFIER_NAMES
    for name, (_, _, kind) in CLASSIFIERS.items():
        estimator = classifier(name)
        assert type(estimator).__name__ == kind
        assert estimator.get_params() == type(estimator)().get_params()


def test_a_support_vector_machine_is_left_out_of_many_rows():
    scores = run(versions()[0], classifiers=("svm",), most_rows_svm=100)
    assert all("square" in one.because for one in scores)
    assert all(not one.because for one in run(versions()[0], classifiers=("svm",)))


def test_one_class_alone_cannot_be_learned():
    real = Version("original", np.column_stack([IDS]), np.zeros(ROWS, dtype=np.int64))
    assert all("one class" in one.because for one in run(real))


def test_the_spread_of_runs():
    spread = Spread.of([0.3, 0.1, 0.2, 0.9], [(0.0, 0.3), (0.0, 0.1), (0.1, 0.3), (0.8, 1.0)])
    assert (spread.median, spread.mean) == (pytest.approx(0.25), pytest.approx(0.375))
    assert (spread.lowest, spread.highest) == (0.1, 0.9)
    assert spread.interval == (0.1, 0.3)
