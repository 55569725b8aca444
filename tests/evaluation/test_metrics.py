import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as sk

from sfumato.evaluation.curves import calibration, precision_recall_curve, roc_curve
from sfumato.evaluation.estimates import (
    Estimate,
    area_under_roc,
    average_precision,
    ratio,
    wilson,
)
from sfumato.evaluation.metrics import SCORES, Prediction, estimates, figures


def prediction(actual: np.ndarray, score: np.ndarray, threshold: float = 0.5) -> Prediction:
    """Return predictions of two classes by a score of the second."""
    return Prediction(
        target="ill",
        classes=("no", "yes"),
        positive=1,
        actual=actual.astype(int),
        ranking=np.stack([1 - score, score], axis=1),
        are_probabilities=True,
        chosen=(score > threshold).astype(int),
        training_shares=np.array([0.8, 0.2]),
    )


def noisy(n: int, seed: int, share: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Return who is positive, and a score with ties that knows something of it."""
    random = np.random.default_rng(seed)
    positive = random.random(n) < share
    score = np.round(1 / (1 + np.exp(-(random.normal(size=n) + 1.5 * positive - 1))), 2)
    return positive, score


def value(estimate: Estimate | str | None) -> float:
    assert isinstance(estimate, Estimate)
    return estimate.value


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(2, 40))
    positive = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    positive[0], positive[1] = True, False
    score = np.array(draw(st.lists(st.integers(0, 10), min_size=n, max_size=n))) / 10
    return positive, score


@settings(max_examples=40)
@given(scored())
def test_binary_scores_are_those_of_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    positive, score = case
    given_ = prediction(positive, score)
    found = estimates(given_)
    y, chosen = given_.actual, given_.chosen
    assert value(found["accuracy"]) == pytest.approx(sk.accuracy_score(y, chosen))
    assert value(found["balanced_accuracy"]) == pytest.approx(sk.balanced_accuracy_score(y, chosen))
    assert value(found["recall"]) == pytest.approx(sk.recall_score(y, chosen))
    assert value(found["f1"]) == pytest.approx(sk.f1_score(y, chosen))
    assert value(found["auc"]) == pytest.approx(sk.roc_auc_score(y, score))
    assert value(found["average_precision"]) == pytest.approx(sk.average_precision_score(y, score))
    assert value(found["brier"]) == pytest.approx(sk.brier_score_loss(y, score))
    assert value(found["majority_accuracy"]) == pytest.approx((y == 0).mean())
    if chosen.any():
        assert value(found["precision"]) == pytest.approx(sk.precision_score(y, chosen))
    else:
        assert found["precision"] == "no test row is predicted so (ill = yes)"


@given(scored())
def test_influences_sum_to_nothing_and_intervals_hold_the_score(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    for name, estimate in estimates(prediction(*case)).items():
        if isinstance(estimate, str):
            continue
        assert abs(estimate.influence.mean()) < 1e-9, name
        low, high = estimate.interval()
        assert 0 <= low <= estimate.value + 1e-12, name
        assert estimate.value - 1e-12 <= high <= 1, name
        assert high > low, name


def test_scores_of_many_classes_are_macro_averages() -> None:
    random = np.random.default_rng(4)
    y = random.integers(0, 4, 500)
    ranking = random.dirichlet(np.ones(4), 500) + 0.3 * np.eye(4)[y]
    ranking /= ranking.sum(axis=1, keepdims=True)
    chosen = ranking.argmax(axis=1)
    shares = np.bincount(y) / 500
    found = estimates(Prediction("c", tuple("abcd"), None, y, ranking, True, chosen, shares))
    truth = np.eye(4)[y]
    expected = {
        "accuracy": sk.accuracy_score(y, chosen),
        "balanced_accuracy": sk.balanced_accuracy_score(y, chosen),
        "precision": sk.precision_score(y, chosen, average="macro"),
        "recall": sk.recall_score(y, chosen, average="macro"),
        "f1": sk.f1_score(y, chosen, average="macro"),
        "auc": sk.roc_auc_score(y, ranking, multi_class="ovr", average="macro"),
        "average_precision": sk.average_precision_score(truth, ranking, average="macro"),
        "brier": np.square(ranking - truth).sum(axis=1).mean() / 2,
    }
    for name, wanted in expected.items():
        assert value(found[name]) == pytest.approx(wanted), name


def test_delong_is_what_its_paper_defines() -> None:
    positive, score = noisy(150, seed=1)
    found = area_under_roc(positive, score)
    assert found is not None
    wins = np.where(
        score[positive][:, None] == score[~positive][None, :],
        0.5,
        score[positive][:, None] > score[~positive][None, :],
    )
    variance = wins.mean(axis=1).var(ddof=1) / positive.sum()
    variance += wins.mean(axis=0).var(ddof=1) / (~positive).sum()
    assert found.value == pytest.approx(wins.mean())
    assert found.standard_error == pytest.approx(np.sqrt(variance))


def test_standard_errors_are_those_of_the_bootstrap() -> None:
    positive, score = noisy(2000, seed=2)
    found = estimates(prediction(positive, score))
    random = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {name: [] for name in SCORES}
    for _ in range(400):
        rows = random.integers(0, 2000, 2000)
        for name, estimate in estimates(prediction(positive[rows], score[rows])).items():
            drawn[name].append(value(estimate))
    for name, estimate in found.items():
        assert isinstance(estimate, Estimate)
        # 400 draws leave the bootstrap's own standard error uncertain by 3.5 %.
        assert estimate.standard_error == pytest.approx(np.std(drawn[name]), rel=0.13), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["auc", "average_precision", "f1", "balanced_accuracy"])
def test_intervals_hold_the_truth_in_95_of_100_samples(name: str) -> None:
    truth = value(estimates(prediction(*noisy(400_000, seed=9)))[name])
    held = 0
    for seed in range(300):
        estimate = estimates(prediction(*noisy(400, seed=seed)))[name]
        assert isinstance(estimate, Estimate)
        low, high = estimate.interval()
        held += low <= truth <= high
    assert 0.915 <= held / 300 <= 0.985


@given(st.integers(1, 500), st.data())
def test_wilson_is_that_of_scipy(rows: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, rows))
    expected = binomtest(hits, rows).proportion_ci(method="wilson")
    assert wilson(hits, rows) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_perfect_score_of_few_rows_is_not_called_certain() -> None:
    positive = np.array([True] * 5 + [False] * 50)
    estimate = area_under_roc(positive, positive.astype(float))
    assert estimate is not None
    assert estimate.value == 1.0
    low, high = estimate.interval()
    assert high == 1.0
    assert low == pytest.approx(wilson(5, 5)[0])
    assert low < 0.6


def test_what_cannot_be_scored_says_why() -> None:
    found = figures(prediction(np.zeros(20), np.linspace(0, 1, 20)))
    for name in ("auc", "average_precision", "balanced_accuracy"):
        assert not found[name].computed
        assert found[name].because == "all test rows are of one class"
    assert found["recall"].because == "no test row is so (ill = yes)"
    assert found["accuracy"].computed
    assert area_under_roc(np.ones(3, bool), np.ones(3)) is None
    assert average_precision(np.zeros(3, bool), np.ones(3)) is None
    assert ratio(np.zeros(3), np.zeros(3)) is None


def test_every_figure_stands_beside_what_a_guess_reaches() -> None:
    positive, score = noisy(500, seed=3)
    found = figures(prediction(positive, score))
    prevalence = positive.mean()
    assert found["accuracy"].baseline == found["majority_accuracy"].value
    assert found["accuracy"].baseline == pytest.approx(1 - prevalence)
    assert found["auc"].baseline == 0.5
    assert found["average_precision"].baseline == pytest.approx(prevalence)
    everyone = sk.f1_score(positive, np.ones(500))
    assert found["f1"].baseline == pytest.approx(everyone)
    assert found["brier"].baseline == pytest.approx(np.square(0.2 - positive).mean())
    assert found["precision"].meaning == (
        "Of the test rows predicted as ill = yes, the share that are."
    )
    for figure in found.values():
        assert figure.interval is not None
        assert figure.interval_method


def test_a_ranking_without_probabilities_has_no_brier_score() -> None:
    positive, score = noisy(50, seed=5)
    given_ = prediction(positive, score)
    ranked = Prediction(
        "ill",
        given_.classes,
        1,
        given_.actual,
        given_.ranking,
        False,
        given_.chosen,
        given_.training_shares,
    )
    assert estimates(ranked)["brier"] == "the model ranks rows and gives no probabilities"


@settings(max_examples=30)
@given(scored())
def test_short_curves_are_exact(case: tuple[np.ndarray, np.ndarray]) -> None:
    positive, score = case
    roc = roc_curve("yes", positive, score)
    wrong, found, _ = sk.roc_curve(positive, score, drop_intermediate=False)
    np.testing.assert_allclose(roc.x, wrong)
    np.testing.assert_allclose(roc.y, found)
    drawn = precision_recall_curve("yes", positive, score)
    precision, recall, thresholds = sk.precision_recall_curve(positive, score)
    np.testing.assert_allclose(drawn.x, recall[:-1][::-1])
    np.testing.assert_allclose(drawn.y, precision[:-1][::-1])
    np.testing.assert_allclose(drawn.thresholds, thresholds[::-1])


def test_long_curves_are_thinned_and_stay_true() -> None:
    random = np.random.default_rng(0)
    positive = random.random(20_000) < 0.05
    score = random.normal(size=20_000) + 2.0 * positive
    roc = roc_curve("yes", positive, score)
    assert 90 <= len(roc.x) <= 100
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    assert sk.auc(roc.x, roc.y) == pytest.approx(sk.roc_auc_score(positive, score), abs=2e-3)
    drawn = precision_recall_curve("yes", positive, score)
    assert 90 <= len(drawn.x) <= 100
    assert drawn.x[-1] == 1.0
    step = np.array(drawn.thresholds[50])
    chosen = score >= step
    assert drawn.y[50] == pytest.approx(sk.precision_score(positive, chosen))
    assert drawn.x[50] == pytest.approx(sk.recall_score(positive, chosen))


def test_calibration_counts_every_row_once() -> None:
    positive, score = noisy(3000, seed=8)
    bins = calibration(positive, score)
    assert len(bins) <= 10
    assert sum(part.rows for part in bins) == 3000
    assert sum(part.observed * part.rows for part in bins) == pytest.approx(positive.sum())
    assert sum(part.predicted * part.rows for part in bins) == pytest.approx(score.sum())
    assert [part.predicted for part in bins] == sorted(part.predicted for part in bins)
    assert len(calibration(positive, np.full(3000, 0.5))) == 1
