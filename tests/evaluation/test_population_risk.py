"""Population models against populations whose uniques are known, and against brute force."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from sfumato.errors import PlanError
from sfumato.evaluation.log_linear import log_linear
from sfumato.evaluation.matched_population import beta_binomial, counted, slide
from sfumato.evaluation.population_risk import POPULATION_MODELS, population_risks
from sfumato.privacy import CostBenefit, EquivalenceClasses, KMap
from sfumato.privacy.population import smallest_sample_size
from sfumato.privacy.super_population import (
    Histogram,
    _smooth_sums,
    dankar,
    one_sampled,
    pitman,
    snb,
    zayatz,
)


def slides(seed: int, classes: int, alpha: float, beta: float) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.repeat(np.arange(classes), 1 + generator.negative_binomial(alpha, beta, classes))


def drawn(population: np.ndarray, fraction: float, seed: int) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    rows = generator.choice(len(population), int(fraction * len(population)), replace=False)
    return pl.DataFrame({"q": population[rows]})


def shares(population: np.ndarray) -> tuple[float, dict[int, int]]:
    sizes = np.bincount(population)
    return float((sizes == 1).sum() / len(population)), dict(enumerate(sizes.tolist()))


# -- a population smaller than its sample ----------------------------------------------------


@pytest.mark.parametrize("estimate", [zayatz, pitman, snb, dankar])
def test_a_population_smaller_than_the_sample_is_refused(estimate):
    sizes = np.array([1, 1, 2, 2, 5])
    with pytest.raises(PlanError, match="10 people, but the table alone has 11"):
        estimate(sizes, 10)
    estimate(sizes, 11)
    assert estimate(Histogram.of(sizes), 40) == estimate(sizes, 40)


def test_criteria_refuse_it_too():
    classes = EquivalenceClasses.from_counts([4, 7])
    for criterion in (
        KMap(3, estimate="poisson", population_size=10),
        KMap(3, estimate="zero-truncated-poisson", population_size=10),
        CostBenefit("journalist", population_size=10),
    ):
        with pytest.raises(PlanError, match="population_size is 10, but the table alone has 11"):
            criterion.kept(classes)
    assert CostBenefit("journalist", population_size=11).kept(classes).shape == (2,)


def test_the_figures_refuse_it():
    with pytest.raises(PlanError, match="population_size is 3, but the release alone has 4"):
        population_risks(pl.DataFrame({"q": [1, 1, 2, 3]}), ["q"], 3)


# -- pieces against sums by brute force ------------------------------------------------------


@pytest.mark.parametrize(
    ("population", "n", "sizes"),
    [(20, 10, [1, 2, 4, 11, 12, 20]), (5000, 20, [1, 3, 900]), (9, 9, [1, 2]), (50, 49, [1, 2, 3])],
)
def test_one_of_a_class_is_sampled_by_the_hypergeometric_law(population, n, sizes):
    expected = [
        size * math.comb(population - size, n - 1) / math.comb(population, n) for size in sizes
    ]
    assert one_sampled(np.array(sizes), population, n) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("theta", "alpha", "last"), [(1e5, 0.9, 1), (1e5, 0.9, 50_000), (500.0, 1e-9, 4000)]
)
def test_smooth_sums_are_the_sums(theta, alpha, last):
    terms = [1 / (theta + alpha * i) for i in range(1, last + 1)]
    weighted = [i / (theta + alpha * i) for i in range(1, last + 1)]
    assert _smooth_sums(theta, alpha, last) == pytest.approx(
        (math.fsum(terms), math.fsum(weighted)), rel=1e-14
    )


@pytest.mark.parametrize("own", [0.05, 0.4, 1.0])
@pytest.mark.parametrize(("others", "more"), [(30.0, 200), (400.0, 3000), (3.0, 1)])
def test_matches_of_an_urn_are_those_of_its_distribution(own, others, more):
    from scipy.stats import betabinom

    x = np.arange(more + 1)
    expected = counted(x + 1, betabinom.pmf(x, more, own, others))
    assert beta_binomial(own, others, more) == pytest.approx(expected, rel=1e-6)
    assert beta_binomial(own, others, 0) == (1.0, 1.0)


@pytest.mark.parametrize(("alpha", "beta", "fraction"), [(1.0, 0.2, 0.3), (0.5, 0.01, 0.02)])
def test_matches_of_slides_are_bayes_rule(alpha, beta, fraction):
    from scipy.stats import nbinom

    size = np.arange(1, 40_000)
    weights = nbinom.pmf(size - 1, alpha, beta) * size * (1 - fraction) ** (size - 1)
    assert slide(alpha, beta, fraction) == pytest.approx(counted(size, weights), rel=1e-9)


# -- known truth -----------------------------------------------------------------------------


def test_the_chosen_model_finds_the_truth():
    population = slides(3, 4000, 1.0, 0.2)
    truth, sizes = shares(population)
    sample = drawn(population, 0.3, 1)
    found = population_risks(sample, ["q"], len(population), draws=40)
    chosen = found["population_unique"]
    assert "the slide negative binomial model" in chosen.meaning
    assert chosen.interval[0] <= truth <= chosen.interval[1]
    assert chosen.value == pytest.approx(truth, rel=0.3)
    alone = sample.group_by("q").len().filter(pl.col("len") == 1)["q"]
    correct = sum(1 / sizes[q] for q in alone)
    assert found["expected_correct_matches"].value == pytest.approx(correct, rel=0.1)
    assert set(POPULATION_MODELS) == {
        key.split("/")[1] for key in found if key.startswith("population_unique/")
    }


def test_benedetti_and_franconi_by_hand():
    found = population_risks(pl.DataFrame({"q": [1, 2, 3, 3]}), ["q"], 16, draws=20)
    # two uniques at a sampling fraction of 1/4: pi = 1/4 each, pi log(1 / pi) / (1 - pi)
    assert found["population_unique/benedetti-franconi"].value == pytest.approx(2 * 0.25 / 4)
    assert found["expected_correct_matches/benedetti-franconi"].value == pytest.approx(
        2 * math.log(4) / 3
    )


def independent(rows: int, seed: int) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            name: generator.choice(
                width, rows, p=np.arange(1, width + 1) / sum(range(1, width + 1))
            )
            for name, width in (("a", 12), ("b", 15), ("c", 20))
        }
    )


def test_a_log_linear_model_finds_the_truth_where_it_holds():
    population = independent(10_000, 4)
    sizes = population.group_by(["a", "b", "c"]).len()
    misses = []
    for seed in range(5):
        sample = population.sample(2000, seed=seed)
        alone = sample.group_by(["a", "b", "c"]).len().filter(pl.col("len") == 1).drop("len")
        people = alone.join(sizes, on=["a", "b", "c"])["len"].to_numpy()
        found = population_risks(sample, ["a", "b", "c"], 10_000, draws=20)
        unique = found["population_unique/log-linear"]
        misses.append(unique.value * 2000 - (people == 1).sum())
        assert found["expected_correct_matches/log-linear"].value == pytest.approx(
            (1 / people).sum(), rel=0.1
        )
        assert "main effects" in unique.meaning or "two-way" in unique.meaning
    assert abs(np.mean(misses)) < 25


def test_two_way_terms_are_chosen_where_they_hold():
    # b follows a: by main effects alone the common pairs would look rare, and the rare ones common
    generator = np.random.default_rng(8)
    a = generator.integers(0, 25, 40_000)
    b = np.where(generator.random(40_000) < 0.95, a, generator.integers(0, 25, 40_000))
    population = pl.DataFrame({"a": a, "b": b, "c": generator.integers(0, 20, 40_000)})
    sample = population.sample(4000, seed=1)
    classes = sample.group_by(["a", "b", "c"]).len()
    codes = [classes[name].to_numpy() for name in "abc"]
    fit = log_linear(codes, classes["len"].to_numpy().astype(np.int64), 0.1)
    assert fit.terms == "two-way interactions"
    assert abs(fit.misfit["two-way interactions"]) < abs(fit.misfit["main effects"])


def test_the_whole_population_is_counted_not_estimated():
    sample = pl.DataFrame({"q": [1, 2, 3, 3, 4, 4]})
    found = population_risks(sample, ["q"], 6, draws=20)
    for model in ("zayatz", "snb", "benedetti-franconi", "log-linear"):
        assert found[f"population_unique/{model}"].value == pytest.approx(2 / 6)
        assert found[f"expected_correct_matches/{model}"].value == pytest.approx(2)
        assert found[f"population_unique/{model}"].interval is None


@pytest.mark.parametrize("estimate", ["poisson", "zero-truncated-poisson"])
def test_k_map_is_the_largest_k_that_the_estimate_allows(estimate):
    sample = pl.DataFrame({"q": [1] * 4 + [2] * 30})
    k = int(population_risks(sample, ["q"], 340, draws=20)[f"k_map/{estimate}"].value)
    assert smallest_sample_size(k, 0.1, estimate, 0.01) <= 4
    assert smallest_sample_size(k + 1, 0.1, estimate, 0.01) > 4
    assert KMap(k, estimate=estimate, population_size=340).holds(
        EquivalenceClasses.from_counts([4, 30])
    )


def test_what_has_no_estimate_says_why():
    alone = population_risks(pl.DataFrame({"q": range(30)}), ["q"], 3000, draws=20)
    assert not alone["population_unique/pitman"].computed
    assert "every row is unique" in alone["population_unique/pitman"].because
    assert alone["population_unique"].value == alone["population_unique/zayatz"].value
    for table, quasi in (
        (pl.DataFrame({"q": ["*", "*"]}), ["q"]),
        (pl.DataFrame({"q": ["x"]}), []),
        (pl.DataFrame({"q": pl.Series([], dtype=pl.String)}), ["q"]),
    ):
        found = population_risks(table, quasi, 10)
        assert not any(one.computed for one in found.values())
        assert found["population_unique"].because
    nobody = population_risks(pl.DataFrame({"q": [1, 1, 2, 2]}), ["q"], 40, draws=20)
    assert nobody["population_unique"].value == 0
    assert nobody["expected_correct_matches"].value == 0


def test_suppressed_rows_are_left_out_and_the_seed_decides():
    sample = pl.DataFrame({"q": [*"aabbcde", "*"]})
    found = population_risks(sample, ["q"], 100, draws=20, seed=3)
    assert found == population_risks(sample, ["q"], 100, draws=20, seed=3)
    assert found["expected_correct_matches/zayatz"].attacks == 3


@pytest.mark.slow
def test_intervals_cover_the_truth():
    covered = []
    for seed in range(60):
        population = slides(seed, 3000, 1.0, 0.2)
        truth, _ = shares(population)
        sample = drawn(population, 0.3, seed)
        interval = population_risks(sample, ["q"], len(population), seed=seed)[
            "population_unique/snb"
        ].interval
        covered.append(interval[0] <= truth <= interval[1])
    # 113 of 120 in a longer run
    assert np.mean(covered) >= 0.88
