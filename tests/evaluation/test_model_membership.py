"""Membership inference against trained models: oracles, calibration, power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from sfumato.evaluation.outcomes import Outcome
from sfumato.evaluation.trained_models import ModelAttacks, evaluate_model
from sfumato.evaluation.trained_models.answers import Answers, Subject, ask
from sfumato.evaluation.trained_models.answers_attacks import LOSS, black_box_figures
from sfumato.evaluation.trained_models.privacy_risk import calibration_error, risk_figures
from sfumato.evaluation.trained_models.rows import People, isolation
from sfumato.evaluation.trained_models.score_figures import score_figures
from sfumato.evaluation.trained_models.shadow_training import (
    Shadows,
    likelihood_ratios,
    risk_scores,
    tail_scores,
)

MEMBERSHIP = ("loss", "label_only", "black_box", "shadow_models", "privacy_risk", "shapley")
QUICK = ModelAttacks(only=MEMBERSHIP, shadows=8, queries=4, trees=20, resamples=99)


def noisy_people(rows, seed):
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 5))
    return X, (X[:, 0] + random.normal(size=rows) > 0).astype(int)


def halves(rows, seed):
    X, y = noisy_people(rows, seed)
    return (X[: rows // 2], y[: rows // 2]), (X[rows // 2 :], y[rows // 2 :])


def test_the_area_is_that_of_another_implementation():
    members, control = halves(400, 1)
    model = LogisticRegression().fit(*members)
    found = evaluate_model(model, members, control, attacks=ModelAttacks(only=("loss",)))
    X, y = np.concatenate([members[0], control[0]]), np.concatenate([members[1], control[1]])
    loss = -np.log(model.predict_proba(X)[np.arange(400), y])
    expected = roc_auc_score(np.arange(400) < 200, -loss)
    figure = found.figures["membership/loss/auc"]
    assert figure.value == pytest.approx(expected, abs=1e-9)
    assert figure.interval[0] < figure.value < figure.interval[1]
    assert figure.baseline == 0.5


def test_entropy_and_logit_are_those_of_the_papers():
    said = np.array([[0.7, 0.2, 0.1], [0.05, 0.05, 0.9], [0.3, 0.3, 0.4]])
    answers = Answers(said, np.array([0, 1, -1]), np.array([True, False, False]))
    entropy = [
        -(1 - row[truth]) * np.log(row[truth])
        - sum(row[c] * np.log(1 - row[c]) for c in range(3) if c != truth)
        for row, truth in zip(said[:2], (0, 1), strict=True)
    ]
    np.testing.assert_allclose(answers.modified_entropy()[:2], entropy)
    np.testing.assert_allclose(answers.logit()[:2], [np.log(7 / 3), np.log(1 / 19)])
    np.testing.assert_allclose(answers.loss(), -np.log([0.7, 0.05, 1e-5]))
    assert answers.modified_entropy()[2] > answers.modified_entropy()[1]


def test_likelihood_ratios_are_those_of_normal_laws():
    random = np.random.default_rng(3)
    shadows, people = 200, 4
    inside = np.stack([random.permutation(shadows) < shadows // 2 for _ in range(people)], axis=1)
    logits = random.normal(size=(shadows, people)) * 2 + 3 * inside
    logit = np.array([4.0, 0.0, 2.0, -1.0])
    made = Shadows(logits, np.abs(logits), inside)
    expected = [
        norm.logpdf(logit[p], logits[inside[:, p], p].mean(), 2)
        - norm.logpdf(logit[p], logits[~inside[:, p], p].mean(), 2)
        for p in range(people)
    ]
    np.testing.assert_allclose(likelihood_ratios(made, logit), expected, atol=0.5)
    tails = [(logit[p] - logits[~inside[:, p], p].mean()) / 2 for p in range(people)]
    np.testing.assert_allclose(tail_scores(made, logit), tails, atol=0.25)


def test_the_risk_score_is_the_share_of_shadows_with_such_an_entropy():
    random = np.random.default_rng(5)
    inside = np.repeat([True, False], 50)[:, None] * np.ones((1, 40), bool)
    entropies = np.exp(random.normal(size=(100, 40)) - 2 * inside)
    truth = np.arange(40) % 2
    entropy = np.exp(random.normal(size=40))
    found = risk_scores(Shadows(entropies, entropies, inside), entropy, truth, 4, by_class=True)
    logs = np.log(entropies)
    edges = np.linspace(logs.min(), logs.max() + 1e-9, 5)
    for person in range(40):
        low = np.searchsorted(edges, np.log(entropy[person]), side="right") - 1
        there = (logs >= edges[low]) & (logs < edges[low + 1]) & (truth == truth[person])
        n_in, n_out = (there & inside).sum() + 1, (there & ~inside).sum() + 1
        assert found[person] == pytest.approx(n_in / (n_in + n_out))


def test_a_calibrated_score_has_no_more_error_than_one_that_is():
    random = np.random.default_rng(6)
    score = random.random(4000)
    member = random.random(4000) < score
    groups = {"": np.arange(4000)}
    figures = risk_figures(score, member, groups, risky=0.8, resamples=99, seed=0)
    figure = figures["privacy_risk/calibration"]
    assert figure.value == pytest.approx(figure.baseline, abs=0.02)
    boasting = risk_figures(score, member[::-1].copy(), groups, risky=0.8, resamples=99, seed=0)
    assert boasting["privacy_risk/calibration"].interval[0] > 0.1
    ones = np.ones((1, 4))
    exact = calibration_error(np.array([0.05, 0.05, 0.95, 0.95]), np.array([0, 0, 1, 1]) > 0, ones)
    assert exact[0] == pytest.approx(0.05)


@pytest.mark.parametrize("ties", [False, True])
def test_p_values_are_uniform_where_labels_are_dealt_by_chance(ties):
    random = np.random.default_rng(8)
    score = random.integers(0, 3, 300).astype(float) if ties else random.normal(size=300)
    groups = {"": np.arange(300)}
    found = []
    for _ in range(120):
        member = random.permutation(300) < 120
        figures = score_figures(LOSS, score, member, groups, false_positives=(), seed=1)
        found.append([figures[f"membership/loss/{end}"].p_value for end in ("top", "auc")])
    for p_values in np.array(found).T:
        assert (p_values <= 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)
        # never too small, whatever ties there are
        assert kstest(p_values, "uniform", alternative="greater").pvalue > 0.001
    if not ties:
        assert kstest(np.array(found)[:, 1], "uniform").pvalue > 0.001


def test_an_overfitted_tree_is_caught_by_every_attack():
    members, control = halves(600, 2)
    model = DecisionTreeClassifier(random_state=0).fit(*members)
    found = evaluate_model(model, members, control, attacks=QUICK)
    said = found.outcomes()
    for key in (
        *("membership/loss/auc", "membership/correct", "membership/label_only/top"),
        *("membership/black_box/accuracy", "membership/shadow_models/auc"),
        *("membership/shadow_models_offline/auc", "shapley/positive"),
    ):
        assert said[key] == Outcome.EVIDENCE, key
    assert found.verdict == Outcome.EVIDENCE
    gap = found.figures["membership/correct"]
    assert gap.value == 1.0
    assert gap.control == pytest.approx(model.score(*control))
    sure = found.figures["membership/shadow_models/auc"]
    assert sure.value > found.figures["membership/loss/auc"].value
    rate = found.figures["membership/shadow_models/tpr_at_1_percent"]
    assert rate.interval[0] > 0.01
    assert "1,000 are needed" in found.figures["membership/loss/tpr_at_0.1_percent"].because


def test_nothing_is_found_of_people_whom_the_model_never_saw():
    members, control = halves(600, 3)
    model = DecisionTreeClassifier(random_state=0).fit(*noisy_people(300, 99))
    found = evaluate_model(model, members, control, attacks=QUICK, population=noisy_people(300, 7))
    assert Outcome.EVIDENCE not in found.outcomes().values()
    for key in ("loss/auc", "shadow_models/auc", "shadow_models_offline/auc", "label_only/auc"):
        low, high = found.figures[f"membership/{key}"].interval
        assert low < 0.5 < high, key


def test_a_forest_that_learned_who_is_a_member_is_judged_on_others():
    random = np.random.default_rng(0)
    member = np.arange(800) < 400
    outputs = np.column_stack([random.random(800) + member, np.zeros(800)])
    answers = Answers(outputs, np.zeros(800, dtype=int), member)
    found = black_box_figures(answers, member, ModelAttacks(trees=20), seed=1)
    accuracy = found["membership/black_box/accuracy"]
    assert accuracy.value > 0.95
    assert accuracy.attacks == 400
    by_chance = black_box_figures(
        answers, random.permutation(member), ModelAttacks(trees=20), seed=1
    )
    assert by_chance["membership/black_box/accuracy"].value == pytest.approx(0.5, abs=0.08)
    recall, precision = (found[f"membership/black_box/{end}"] for end in ("recall", "precision"))
    false = recall.control
    assert accuracy.value == pytest.approx((recall.value + 1 - false) / 2)
    assert precision.value == pytest.approx(recall.value / (recall.value + false))


def test_who_stands_apart_is_told_whatever_the_order_of_rows():
    X, y = noisy_people(100, 4)
    X[17] += 50
    far = isolation(People(X, y, np.arange(100) < 50), seed=0)
    assert far.argmax() == 17
    order = np.random.default_rng(1).permutation(100)
    again = isolation(People(X[order], y[order], np.arange(100) < 50), seed=3)
    np.testing.assert_allclose(again, far[order])


def test_classes_that_a_shadow_never_saw_get_no_probability():
    X = np.arange(6.0)[:, None]
    subject = Subject.of(DecisionTreeClassifier().fit(X, list("aabbcc")), np.array(list("aabbcc")))
    other = DecisionTreeClassifier().fit(X[:4], list("aabb"))
    found = ask(subject, X, np.array(list("aabbcd")), other)
    assert found.truth.tolist() == [0, 0, 1, 1, 2, -1]
    assert found.of_truth.tolist() == [1, 1, 1, 1, 0, 0]
    assert found.correct.tolist() == [True, True, True, True, False, False]


@pytest.mark.slow
@pytest.mark.long
def test_the_shadow_attack_keeps_its_level():
    """Labels dealt anew over people whom the model never saw, 80 times, the whole attack."""
    model = LogisticRegression().fit(*noisy_people(200, 1))
    X, y = noisy_people(160, 2)
    attacks = ModelAttacks(only=("shadow_models", "privacy_risk"), shadows=4, resamples=99)
    p_values = []
    for trial in range(80):
        order = np.random.default_rng(trial).permutation(160)
        one, other = order[:80], order[80:]
        found = evaluate_model(
            model, (X[one], y[one]), (X[other], y[other]), attacks=attacks, seed=trial
        )
        p_values.append(found.figures["membership/shadow_models/auc"].p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 80)
    assert kstest(p_values, "uniform").pvalue > 0.001


@pytest.mark.slow
def test_processes_do_not_change_the_result():
    members, control = halves(200, 2)
    model = DecisionTreeClassifier().fit(*members)
    found = [
        evaluate_model(
            model,
            members,
            control,
            attacks=ModelAttacks(only=("shadow_models",), shadows=4, jobs=jobs),
        )
        for jobs in (1, 2)
    ]
    assert found[0].scores.equals(found[1].scores)
    assert found[0].figures == found[1].figures
