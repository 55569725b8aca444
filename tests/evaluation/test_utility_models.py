from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import linregress
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score, root_mean_squared_error

from sfumato.errors import PlanError
from sfumato.evaluation.metrics import Prediction
from sfumato.evaluation.utility import UtilityTables
from sfumato.evaluation.utility.design import Formula, read_formula
from sfumato.evaluation.utility.fairness import fairness_gaps
from sfumato.evaluation.utility.generalized_linear import (
    fit_least_squares,
    fit_logistic,
    independent_columns,
)
from sfumato.evaluation.utility.gower import gower_distances, gower_rows
from sfumato.evaluation.utility.neighbours import neighbour_coverage, neighbour_shares
from sfumato.evaluation.utility.number_learning import number_scores
from sfumato.evaluation.utility.paired_learning import PairedLearning, learn_in_pairs
from sfumato.evaluation.utility.propensity import Propensity, propensity_scores
from sfumato.evaluation.utility.regression import (
    Regression,
    interval_overlap,
    regression_agreement,
)
from sfumato.table import Schema

DATA = Path(__file__).parents[1] / "data"
REST = Schema(rest="other")


def tables(released, real, control=None, schema=REST, **options):
    return UtilityTables.of(released, real, control, schema, **options)


def people(n, seed, shift=0.0):
    random = np.random.default_rng(seed)
    x = random.normal(size=n) + shift
    group = random.choice(["a", "b"], n)
    chance = 1 / (1 + np.exp(-(x + (group == "a") - 0.5)))
    ill = np.where(random.random(n) < chance, "yes", "no")
    return pl.DataFrame({"x": x, "group": group, "z": random.normal(size=n), "ill": ill})


# --- regression ------------------------------------------------------------------------------


def test_a_two_by_two_table_gives_woolfs_odds_ratio():
    # Woolf 1955: log (ad / bc) with variance 1/a + 1/b + 1/c + 1/d
    a, b, c, d = 30, 70, 12, 88
    table = pl.DataFrame(
        {
            "exposed": ["1"] * (a + b) + ["0"] * (c + d),
            "ill": ["yes"] * a + ["no"] * b + ["yes"] * c + ["no"] * d,
        }
    )
    # the reference is the commonest value: one row more of the unexposed, unknown otherwise
    table = pl.concat([table, pl.DataFrame({"exposed": ["0"], "ill": [None]}, schema=table.schema)])
    found = regression_agreement(tables(table, table), read_formula("ill ~ exposed"))
    (term,) = found.terms
    odds, low, high = term.real.odds_ratio
    spread = np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    assert odds == pytest.approx(a * d / (b * c))
    assert low == pytest.approx(a * d / (b * c) * np.exp(-1.959964 * spread))
    assert high == pytest.approx(a * d / (b * c) * np.exp(1.959964 * spread))
    assert (term.level, term.reference, found.positive, found.kind) == ("1", "0", "yes", "logistic")
    assert found.left_out == (1, 1)
    assert found.figures["regression/interval_overlap"].value == pytest.approx(1.0)


def test_finneys_vasoconstriction():
    # Finney, Biometrika 34 (1947); Pregibon, Annals of Statistics 9 (1981), section 2: logistic
    # regression on log volume and log rate gives -2.875, 5.179, 4.562 and deviance 29.23
    volume = [
        3.7,
        3.5,
        1.25,
        0.75,
        0.8,
        0.7,
        0.6,
        1.1,
        0.9,
        0.9,
        0.8,
        0.55,
        0.6,
        1.4,
        0.75,
        2.3,
        3.2,
        0.85,
        1.7,
        1.8,
        0.4,
        0.95,
        1.35,
        1.5,
        1.6,
        0.6,
        1.8,
        0.95,
        1.9,
        1.6,
        2.7,
        2.35,
        1.1,
        1.1,
        1.2,
        0.8,
        0.95,
        0.75,
        1.3,
    ]
    rate = [
        0.825,
        1.09,
        2.5,
        1.5,
        3.2,
        3.5,
        0.75,
        1.7,
        0.75,
        0.45,
        0.57,
        2.75,
        3.0,
        2.33,
        3.75,
        1.64,
        1.6,
        1.415,
        1.06,
        1.8,
        2.0,
        1.36,
        1.35,
        1.36,
        1.78,
        1.5,
        1.5,
        1.9,
        0.95,
        0.4,
        0.75,
        0.03,
        1.83,
        2.2,
        2.0,
        3.33,
        1.9,
        1.9,
        1.625,
    ]
    response = [
        1,
        1,
        1,
        1,
        1,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        1,
        1,
        1,
        1,
        1,
        0,
        1,
        0,
        0,
        0,
        0,
        1,
        0,
        1,
        0,
        1,
        0,
        1,
        0,
        0,
        1,
        1,
        1,
        0,
        0,
        1,
    ]
    X = np.column_stack([np.ones(39), np.log(volume), np.log(rate)])
    y = np.array(response, dtype=float)
    fit = fit_logistic(X, y)
    deviance = -2 * np.log(np.where(y == 1, fit.fitted, 1 - fit.fitted)).sum()
    assert deviance == pytest.approx(29.23, abs=0.01)
    assert fit.coefficients == pytest.approx([-2.875, 5.179, 4.562], abs=0.002)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx([1.321, 1.865, 1.838], abs=0.002)


def test_logistic_regression_agrees_with_scikit_learn():
    random = np.random.default_rng(0)
    X = np.column_stack([np.ones(500), random.normal(size=(500, 4))])
    y = (random.random(500) < 1 / (1 + np.exp(-X @ [0.3, 1, -1, 0, 2]))).astype(float)
    other = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(X[:, 1:], y)
    fit = fit_logistic(X, y)
    assert fit.coefficients[1:] == pytest.approx(other.coef_[0], abs=1e-4)
    assert fit.converged
    assert not fit.separated


def test_least_squares_agrees_with_scipy():
    random = np.random.default_rng(0)
    x = random.normal(1e6, 3, 60)
    y = 2 * x + random.normal(size=60)
    table = pl.DataFrame({"x": x, "y": y})
    found = regression_agreement(tables(table, table), Formula("y", ("x",)))
    other = linregress(x, y)
    (term,) = found.terms
    assert found.kind == "linear"
    assert term.real.value == pytest.approx(other.slope)
    assert term.real.high - term.real.value == pytest.approx(2.0017 * other.stderr, rel=1e-3)
    X = np.column_stack([np.ones(60), x - x.mean()])
    assert fit_least_squares(X, y).freedom == 58


def test_collinear_columns_are_told_and_the_others_stay():
    random = np.random.default_rng(0)
    X = np.column_stack([np.ones(50), random.normal(size=(50, 2)), np.zeros(50)])
    X = np.column_stack([X, X[:, 1] - 2 * X[:, 2] + 3])
    assert independent_columns(X).tolist() == [True, True, True, False, False]
    table = people(400, 1).with_columns(twice=pl.col("x") * 2, same=pl.lit(1.0))
    found = regression_agreement(tables(table, table), Formula("ill", ("x", "twice", "same", "z")))
    because = {term.column: term.real.because for term in found.terms}
    assert because["x"] == because["z"] == ""
    assert "collinear" in because["twice"]
    assert "vary" in because["same"]


@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_separation_is_found(gap):
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    x = x + np.sign(x) * gap
    table = pl.DataFrame({"x": x, "ill": np.where(x > 0, "yes", "no")})
    found = regression_agreement(
        tables(people(200, 1).select("x", "ill"), table), Formula("ill", ("x",))
    )
    assert "separation" in found.terms[0].real.because
    assert "separation" in found.figures["regression/interval_overlap"].because


def test_quasi_separation_along_a_number_is_found():
    x = np.concatenate([np.zeros(50), np.zeros(50), np.ones(30)])
    y = np.concatenate([np.zeros(50), np.ones(50), np.ones(30)])
    assert fit_logistic(np.column_stack([np.ones(130), x]), y).separated


def test_a_category_of_one_outcome_is_left_out_by_itself():
    table = people(300, 2)
    sure = pl.DataFrame(
        {"x": [0.0] * 20, "group": ["c"] * 20, "z": [0.0] * 20, "ill": ["yes"] * 20}
    )
    found = regression_agreement(
        tables(table, pl.concat([table, sure])), Formula("ill", ("x", "group"))
    )
    by_level = {term.level: term for term in found.terms}
    assert "one outcome" in by_level["c"].real.because
    assert by_level["c"].released.because == "no row has the category"
    assert by_level[""].real.value == pytest.approx(by_level[""].released.value)
    assert Regression.from_dict(found.to_dict()) == found


def test_the_real_coefficients_cover_the_truth_and_a_shuffled_release_is_seen():
    real, control = people(3_000, 3), people(3_000, 4)
    released = real.with_columns(pl.col("ill").shuffle(seed=1))
    found = regression_agreement(tables(released, real, control), Formula("ill", ("x", "group")))
    (slope, _) = found.terms
    assert slope.real.low < 1.0 < slope.real.high
    assert slope.overlap == 0.0
    assert found.figures["regression/interval_overlap"].value < 0.2
    assert found.figures["regression/interval_overlap"].control > 0.5
    assert found.figures["regression/significance_agreement"].value == 0.0


def test_overlap_by_hand():
    assert interval_overlap((0, 1), (2, 3)) == 0.0
    assert interval_overlap((0, 4), (1, 3)) == pytest.approx(0.5 * (0.5 + 1))
    assert interval_overlap((1, 1), (0, 2)) == 1.0


@pytest.mark.parametrize(
    "text", ["y", "y ~", "~ x", "y ~ x +", "y ~ x + x", "y ~ y", "y ~ log(x)", "y ~ x x + (z"]
)
def test_what_is_no_formula_is_an_error_that_names_it(text):
    def asked():
        return regression_agreement(tables(people(50, 0), people(50, 1)), read_formula(text))

    with pytest.raises(PlanError, match="formula"):
        asked()


def test_formulas_are_read():
    formula = read_formula("`blood type` ~ age + C(stage) + C(`a b`)")
    assert formula == Formula("blood type", ("age", "stage", "a b"), frozenset({"stage", "a b"}))
    assert str(formula) == "`blood type` ~ age + C(stage) + C(`a b`)"


def test_a_target_of_many_classes_is_not_computed():
    table = pl.DataFrame({"c": ["a", "b", "c"] * 20, "x": np.arange(60.0)})
    found = regression_agreement(tables(table, table), Formula("c", ("x",)))
    assert "3 classes" in found.figures["regression/sign_agreement"].because


# --- propensity ------------------------------------------------------------------------------


def test_the_ratio_of_a_perfect_release_is_one_on_average():
    # for independent samples the expectation of pMSE is (k - 1) c (1 - c) / N
    ratios = []
    for seed in range(40):
        found = propensity_scores(
            tables(people(200, 2 * seed + 100), people(300, 2 * seed + 101)),
            ("logistic-regression",),
        )
        ratios.append(found.scores[0].ratio.value)
    # a chi-squared of 4 degrees of freedom over 4: its mean of 40 has a standard error of 0.11
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.3)


def test_pmse_by_hand_for_one_category():
    # within each category the guess is the share of released rows
    real = pl.DataFrame({"a": ["x"] * 30 + ["y"] * 10})
    released = pl.DataFrame({"a": ["x"] * 10 + ["y"] * 30})
    score = propensity_scores(tables(released, real), ("logistic-regression",)).scores[0]
    assert score.error.value == pytest.approx(0.25**2)
    assert score.ratio.value == pytest.approx(0.0625 / (1 * 0.25 / 80))


@pytest.mark.parametrize(
    "model",
    [
        "logistic-regression",
        "decision-tree",
        pytest.param("gradient-boosting", marks=pytest.mark.slow),
    ],
)
def test_a_shifted_release_is_told_and_a_fresh_one_is_not(model):
    real, control = people(600, 5), people(600, 6)
    shifted = propensity_scores(tables(people(600, 7, shift=1.5), real, control), (model,))
    fresh = propensity_scores(tables(people(600, 8), real, control), (model,))
    assert shifted.scores[0].auc.interval[0] > 0.75
    assert shifted.scores[0].ratio.value > 3
    # AUC of N(0,1) against N(1.5,1): 0.856
    assert shifted.scores[0].auc.value == pytest.approx(0.856, abs=0.05)
    assert fresh.scores[0].auc.value == pytest.approx(0.5, abs=0.07)
    assert fresh.scores[0].auc.control == pytest.approx(0.5, abs=0.07)
    assert fresh.scores[0].ratio.value < 2.5
    assert Propensity.from_dict(fresh.to_dict()) == fresh


def test_copies_of_real_rows_do_not_mislead_the_area():
    real, control = people(400, 9), people(400, 10)
    noisy = real.with_columns(pl.col("z") + 1e-6)
    for model in ("logistic-regression", "gradient-boosting"):
        score = propensity_scores(tables(noisy, real, control), (model,)).scores[0]
        assert score.auc.value == pytest.approx(score.auc.control, abs=0.02)
        assert score.auc.value > 0.42


def test_too_few_rows_or_nothing_that_varies():
    few = propensity_scores(tables(people(3, 0), people(30, 1)))
    assert all(figure.value is None for figure in few.figures.values())
    same = pl.DataFrame({"a": ["x"] * 30})
    figures = propensity_scores(
        tables(same, same), ("logistic-regression", "decision-tree")
    ).figures
    assert "varies" in figures["propensity/logistic-regression/ratio"].because
    assert figures["propensity/decision-tree/auc"].value == 0.5


# --- neighbours ------------------------------------------------------------------------------


def brute(real, other, k):
    """Naeem et al. 2020, section 3, from the definition, with balls that hold their rims."""

    def apart(first, second):
        return np.array(
            [[sum(p != q for p, q in zip(a, b, strict=True)) for b in second] for a in first]
        )

    def reach(rows):
        distances = apart(rows, rows).astype(float)
        np.fill_diagonal(distances, np.inf)
        return np.sort(distances, axis=1)[:, k - 1]

    across = apart(real, other)
    inside = across <= reach(real)[:, None]
    return (
        inside.any(axis=0).mean(),
        inside.sum() / k / len(other),
        (across <= reach(other)[None, :]).any(axis=1).mean(),
        inside.any(axis=1).mean(),
    )


@pytest.mark.parametrize("seed", range(5))
def test_precision_density_recall_and_coverage_by_brute_force(seed):
    random = np.random.default_rng(seed)
    rows = [
        [tuple(random.choice(["a", "b", "c", "*", None], 4).tolist()) for _ in range(n)]
        for n in (12, 12)
    ]
    real, other = (
        pl.DataFrame(part, schema=dict.fromkeys("pqrs", pl.String), orient="row") for part in rows
    )
    encoded = gower_rows(tables(other, real).columns)
    found = neighbour_shares(encoded[0], encoded[1], 3)
    shown = found.precision, found.density, found.recall, found.coverage
    assert shown == pytest.approx(brute(*rows, 3))


def test_gowers_distance_of_numbers_and_missing_cells():
    real = pl.DataFrame({"x": [0.0, 10.0, None], "c": ["a", "b", None]})
    other = pl.DataFrame({"x": [5.0, 40.0, None], "c": ["a", "a", "new"]})
    rows = gower_rows(tables(other, real).columns)
    assert gower_distances(rows[0], rows[1]).tolist() == [[0.5, 1, 2], [1.5, 2, 2], [2, 2, 1]]
    assert gower_distances(rows[1], rows[1])[1, 2] == 2.0


def test_a_release_of_one_kind_covers_little_and_copies_cover_all():
    real, control = people(500, 11), people(500, 12)
    narrow = people(500, 13).with_columns(x=pl.lit(0.0), z=pl.lit(0.0))
    found = neighbour_coverage(tables(narrow, real, control), most=300)
    assert found.rows == 300
    assert found.figures["coverage/coverage"].value < 0.5
    assert found.figures["coverage/coverage"].control > 0.85
    copies = neighbour_coverage(tables(real, real, control), most=500)
    assert copies.figures["coverage/coverage"].value == 1.0
    few = neighbour_coverage(tables(real[:4], real, control))
    assert few.figures["coverage/density"].value is None


# --- learning --------------------------------------------------------------------------------


def learned(released, real, test, **options):
    options = {"target": "ill", "models": ("logistic-regression",), **options}
    return learn_in_pairs(released, real, test, REST, **options)


def test_as_many_real_rows_teach_the_control():
    real, test = people(800, 14), people(800, 15)
    noise = real.with_columns(pl.col("ill").shuffle(seed=1))[:300]
    found = learned(noise, real, test)
    assert (found.rows_train, found.rows_test) == (300, 800)
    (score,) = [one for one in found.scores if one.score == "auc"]
    assert score.real.value > 0.7
    assert score.released.control == score.real.value
    assert score.difference.value == pytest.approx(score.released.value - score.real.value)
    assert score.difference.interval[1] < 0
    assert PairedLearning.from_dict(found.to_dict()) == found


def test_the_same_rows_teach_the_same():
    real, test = people(300, 16), people(300, 17)
    found = learned(real, real, test, models=("gradient-boosting",))
    for score in found.scores:
        assert score.difference.value == 0.0
        assert score.difference.interval == (0.0, 0.0)


def test_numbers_are_learned_too():
    random = np.random.default_rng(0)

    def rows(n):
        x = random.normal(size=n)
        return pl.DataFrame({"x": x, "y": 3 * x + random.normal(size=n)})

    real, test = rows(400), rows(400)
    shuffled = real.with_columns(pl.col("y").shuffle(seed=1))
    found = learned(
        shuffled, real, test, target="y", models=("logistic-regression", "svm", "gradient-boosting")
    )
    figures = found.figures
    # 9 of 10 parts of the variance of 3 x + e are those of 3 x
    assert figures["learning/linear-regression/r2/released"].control == pytest.approx(0.9, abs=0.03)
    assert abs(figures["learning/linear-regression/r2/released"].value) < 0.2
    assert figures["learning/linear-regression/r2/difference"].interval[1] < -0.7
    assert figures["learning/gradient-boosting/rmse/difference"].interval[0] > 0.5
    assert "predicts no numbers" in figures["learning/svm/r2/difference"].because


def test_number_scores_agree_with_scikit_learn_and_their_errors_with_the_bootstrap():
    random = np.random.default_rng(0)
    actual = random.normal(size=300)
    predicted = actual + random.normal(size=300) * 0.5
    found = number_scores(actual, predicted)
    assert found["r2"].value == pytest.approx(r2_score(actual, predicted))
    assert found["rmse"].value == pytest.approx(root_mean_squared_error(actual, predicted))
    assert found["mae"].value == pytest.approx(mean_absolute_error(actual, predicted))
    drawn = {name: [] for name in found}
    for _ in range(400):
        rows = random.integers(0, 300, 300)
        for name, score in number_scores(actual[rows], predicted[rows]).items():
            drawn[name].append(score.value)
    for name, score in found.items():
        assert score.standard_error == pytest.approx(np.std(drawn[name]), rel=0.15)
    assert isinstance(number_scores(np.ones(5), np.ones(5))["r2"], str)


@pytest.mark.parametrize(
    ("options", "because"),
    [
        ({"target": None}, "no target"),
        ({"test": None}, "no control rows"),
        ({"test_as_released": people(5, 0)}, "not the same rows"),
        ({"target": "zz"}, "no target 'zz'"),
        ({"released": people(5, 0)}, "fewer than 10"),
    ],
)
def test_what_cannot_be_learned_says_why(options, because):
    options = {"released": people(50, 0), "real": people(50, 1), "test": people(50, 2), **options}
    found = learned(**options)
    assert because in found.figures["learning/difference"].because


def test_a_release_of_one_class_teaches_nothing_and_says_so():
    one = people(50, 0).with_columns(ill=pl.lit("no"))
    figures = learned(one, people(50, 1), people(50, 2)).figures
    assert "one class" in figures["learning/logistic-regression/auc/released"].because
    assert figures["learning/logistic-regression/auc/difference"].value is None


# --- fairness --------------------------------------------------------------------------------


def prediction(actual, probability):
    ranking = np.column_stack([1 - probability, probability])
    return Prediction(
        "ill", ("no", "yes"), 1, actual, ranking, True, ranking.argmax(axis=1), np.array([0.5, 0.5])
    )


def test_gaps_between_groups_by_hand():
    random = np.random.default_rng(0)
    n = 400
    group, actual = random.integers(0, 2, n), random.integers(0, 2, n)
    fair = np.clip(actual * 0.4 + 0.3 + random.normal(size=n) * 0.2, 0.01, 0.99)
    unfair = np.clip(fair + 0.3 * group, 0.01, 0.99)
    found = {
        one.measure: one
        for one in fairness_gaps(
            prediction(actual, unfair),
            prediction(actual, fair),
            group,
            ("a", "b"),
            model="m",
            column="g",
        )
    }

    def rate(probability, rows):
        return (probability[rows] > 0.5).mean()

    parity = [abs(rate(p, group == 1) - rate(p, group == 0)) for p in (unfair, fair)]
    assert found["demographic_parity"].released == pytest.approx(parity[0])
    assert found["demographic_parity"].real == pytest.approx(parity[1])
    odds = [
        max(
            abs(rate(p, (group == 1) & (actual == k)) - rate(p, (group == 0) & (actual == k)))
            for k in (0, 1)
        )
        for p in (unfair, fair)
    ]
    assert found["equalized_odds"].released == pytest.approx(odds[0])
    assert found["equalized_odds"].real == pytest.approx(odds[1])
    areas = [
        [roc_auc_score(actual[group == g], p[group == g]) for g in (0, 1)] for p in (unfair, fair)
    ]
    assert found["auc"].released == pytest.approx(abs(areas[0][0] - areas[0][1]))
    assert found["auc"].real == pytest.approx(abs(areas[1][0] - areas[1][1]))
    assert found["demographic_parity"].difference.interval[0] > 0.1
    assert found["demographic_parity"].widest == ("b", "a")


def test_groups_too_small_to_say():
    actual = np.tile([0, 1], 40)
    model = prediction(actual, np.linspace(0.1, 0.9, 80))
    group = np.where(np.arange(80) < 70, 0, 1)
    for gap in fairness_gaps(model, model, group, ("a", "b"), model="m", column="g"):
        assert "fewer than two groups" in gap.difference.because


def test_many_categories_do_not_let_a_model_tell_people_from_people():
    # an order of categories by how common they are in one table would
    random = np.random.default_rng(0)

    def rows():
        return pl.DataFrame({f"c{i}": random.integers(0, 60, 800).astype(str) for i in range(6)})

    score = propensity_scores(tables(rows(), rows(), rows()), ("gradient-boosting",)).scores[0]
    low, high = score.auc.interval
    assert low < 0.5 < high
    assert score.auc.control == pytest.approx(0.5, abs=0.05)


def test_of_many_rows_a_tenth_tells_where_to_begin():
    table = people(120_000, 1)
    X = np.column_stack([np.ones(120_000), table["x"], table["z"]])
    y = (table["ill"] == "yes").to_numpy().astype(float)
    fit = fit_logistic(X, y)
    # at the maximum the score is 0
    assert X.T @ (y - fit.fitted) == pytest.approx(np.zeros(3), abs=1e-3)
    assert fit.converged
