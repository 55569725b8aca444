"""Population uniqueness: estimates from samples of populations whose uniques are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import PlanError
from sfumato.privacy import EquivalenceClasses, NoEstimate, PopulationUniqueness
from sfumato.privacy.super_population import (
    _pitman_parameters,
    _snb_uniques,
    dankar,
    pitman,
    shlosser,
    snb,
    zayatz,
)

PEOPLE = 40_000


def pitman_population(people: int, theta: float, alpha: float, seed: int) -> np.ndarray:
    """The class of each person, drawn one after the other (Pitman's two-parameter scheme)."""
    generator = np.random.default_rng(seed)
    of_person = np.zeros(people, dtype=np.int64)
    sizes = np.zeros(people, dtype=np.int64)
    number = 0
    draws = generator.random(people)
    for i in range(people):
        if draws[i] * (theta + i) < theta + alpha * number:
            of_person[i] = number
            sizes[number] = 1
            number += 1
            continue
        while True:
            one = of_person[generator.integers(i)]
            if generator.random() * sizes[one] < sizes[one] - alpha:
                break
        of_person[i] = one
        sizes[one] += 1
    return of_person


def sampled(of_person: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    drawn = generator.choice(len(of_person), int(fraction * len(of_person)), replace=False)
    sizes = np.bincount(of_person[drawn])
    return sizes[sizes > 0]


def uniques(of_person: np.ndarray) -> int:
    return int((np.bincount(of_person) == 1).sum())


@pytest.fixture(scope="module")
def pitmans() -> dict[tuple[float, float], np.ndarray]:
    return {key: pitman_population(PEOPLE, *key, seed=11) for key in ((50.0, 0.6), (200.0, 0.3))}


@pytest.fixture(scope="module")
def slides() -> dict[tuple[float, float], np.ndarray]:
    generator = np.random.default_rng(12)
    made = {}
    for alpha, beta in ((1.0, 0.2), (0.5, 0.05)):
        sizes = 1 + generator.negative_binomial(alpha, beta, 10_000)
        made[alpha, beta] = np.repeat(np.arange(10_000), sizes)
    return made


@pytest.mark.parametrize("key", [(50.0, 0.6), (200.0, 0.3)])
def test_pitman_finds_its_own_parameters_and_uniques(pitmans, key: tuple) -> None:
    population = pitmans[key]
    truth = uniques(population)
    found = []
    for seed in range(6):
        sample = sampled(population, 0.1, seed)
        theta, alpha = _pitman_parameters(sample)
        assert theta == pytest.approx(key[0], rel=0.5)
        assert alpha == pytest.approx(key[1], abs=0.08)
        found.append(pitman(sample, len(population)))
    assert np.mean(found) == pytest.approx(truth, rel=0.1)


def test_pitmans_expectation_is_that_of_many_populations() -> None:
    theta, alpha, people = 20.0, 0.4, 1500
    drawn = [uniques(pitman_population(people, theta, alpha, seed)) for seed in range(60)]
    expected = people * math.prod((theta + alpha + i - 1) / (theta + i) for i in range(1, people))
    error = np.std(drawn) / math.sqrt(len(drawn))
    assert abs(np.mean(drawn) - expected) < 3.5 * error
    # Hoshino's asymptotic form agrees
    form = math.exp(math.lgamma(theta + 1) - math.lgamma(theta + alpha)) * people**alpha
    assert form == pytest.approx(expected, rel=0.01)


def test_pitmans_likelihood_is_at_its_height() -> None:
    sample = np.repeat([1, 2, 3, 5, 9, 30], [60, 22, 11, 6, 4, 3])
    n, u = int(sample.sum()), len(sample)

    def log_likelihood(theta: float, alpha: float) -> float:
        # the sampling formula as its product, factor by factor
        total = sum(math.log(theta + i * alpha) for i in range(1, u))
        total -= sum(math.log(theta + i) for i in range(1, n))
        return total + sum(math.log(j - alpha) for size in sample for j in range(1, size))

    theta, alpha = _pitman_parameters(sample)
    best = log_likelihood(theta, alpha)
    for step in (0.999, 1.001):
        assert log_likelihood(theta * step, alpha) < best
        assert log_likelihood(theta, alpha * step) < best


def test_ewens_population_is_the_edge_of_pitmans() -> None:
    population = pitman_population(PEOPLE, 500.0, 0.0, seed=3)
    theta, alpha = _pitman_parameters(sampled(population, 0.2, 1))
    assert alpha < 0.05
    assert theta == pytest.approx(500, rel=0.15)


@pytest.mark.parametrize("key", [(1.0, 0.2), (0.5, 0.05)])
@pytest.mark.parametrize("fraction", [0.3, 0.6])
def test_snb_finds_the_uniques_of_its_own_population(slides, key: tuple, fraction: float) -> None:
    population = slides[key]
    truth = uniques(population)
    found = [snb(sampled(population, fraction, seed), len(population)) for seed in range(6)]
    assert np.mean(found) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize("key", [(1.0, 0.2), (0.5, 0.05)])
def test_the_snb_equations_alone_are_right_at_any_fraction(slides, key: tuple) -> None:
    # with the true number of classes in place of Shlosser's estimate
    population = slides[key]
    truth = uniques(population)
    for fraction in (0.1, 0.3, 0.6):
        samples = [sampled(population, fraction, seed) for seed in range(6)]
        found = [
            _snb_uniques(
                10_000, int((s == 1).sum()), int((s == 2).sum()), fraction, len(population)
            )
            for s in samples
        ]
        assert np.mean(found) == pytest.approx(truth, rel=0.12)


@pytest.mark.parametrize("key", [(1.0, 0.2), (0.5, 0.05)])
def test_shlosser_finds_the_number_of_classes(slides, key: tuple) -> None:
    population = slides[key]
    for fraction in (0.3, 0.6):
        found = [shlosser(sampled(population, fraction, seed), fraction) for seed in range(4)]
        assert np.mean(found) == pytest.approx(10_000, rel=0.06)


def test_zayatz_is_bayes_rule_by_hand() -> None:
    # 10 of 20 people: classes 1, 1, 2, 2, 4. P(one of two sampled) = 2 * 10 * 10 / (20 * 19) =
    # 10/19, of four: C(4,1) C(16,9) / C(20,10); of one: 1/2.
    sample = np.array([1, 1, 2, 2, 4])
    four = 4 * math.comb(16, 9) / math.comb(20, 10)
    chance = (2 * 0.5) / (2 * 0.5 + 2 * (10 / 19) + four)
    assert zayatz(sample, 20) == pytest.approx(2 * chance / 0.5, rel=1e-12)


def test_zayatz_is_right_where_the_sample_is_large(pitmans, slides) -> None:
    for population in (*pitmans.values(), *slides.values()):
        found = [zayatz(sampled(population, 0.8, seed), len(population)) for seed in range(4)]
        assert np.mean(found) == pytest.approx(uniques(population), rel=0.05)


def test_zayatz_is_too_high_where_the_sample_is_small(slides) -> None:
    for population in slides.values():
        assert zayatz(sampled(population, 0.05, 1), len(population)) > 2 * uniques(population)


def test_dankars_rule_decides_by_the_fraction(pitmans, slides) -> None:
    population = pitmans[50.0, 0.6]
    small, large = sampled(population, 0.05, 1), sampled(population, 0.5, 1)
    assert dankar(small, PEOPLE) == pitman(small, PEOPLE)
    assert dankar(large, PEOPLE) == min(zayatz(large, PEOPLE), snb(large, PEOPLE))
    slide = slides[1.0, 0.2]
    middle = sampled(slide, 0.3, 1)
    assert snb(middle, len(slide)) < zayatz(middle, len(slide))
    assert dankar(middle, len(slide)) == snb(middle, len(slide))


def test_dankars_rule_is_near_the_truth(pitmans, slides) -> None:
    # 20 % is what the populations of both models allow at the fractions that the rule is for
    for population in (*pitmans.values(), *slides.values()):
        people = len(population)
        fractions = (0.05, 0.3, 0.6) if population is pitmans.get((50.0, 0.6)) else (0.3, 0.6)
        for fraction in fractions:
            found = [dankar(sampled(population, fraction, seed), people) for seed in range(4)]
            assert np.mean(found) == pytest.approx(uniques(population), rel=0.2)


def test_without_a_solution_there_is_no_number() -> None:
    alone = np.ones(50, dtype=np.int64)
    with pytest.raises(NoEstimate, match="every row is unique"):
        pitman(alone, 1000)
    with pytest.raises(NoEstimate, match="no class has two rows"):
        snb(np.array([1, 1, 3, 3]), 20)
    # Dankar's rule falls back on Zayatz
    assert dankar(alone, 1000) == zayatz(alone, 1000) == pytest.approx(1000)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=30), st.integers(1, 50))
def test_estimates_lie_between_none_and_everybody(sizes: list[int], times: int) -> None:
    sample = np.array(sizes)
    people = int(sample.sum()) * times
    for estimate in (zayatz, pitman, snb, dankar):
        try:
            found = estimate(sample, people)
        except NoEstimate:
            assert estimate in (pitman, snb)
            continue
        assert 0 <= found <= people
        assert (found == 0) == (1 not in sizes)
        if times == 1 and estimate in (snb, zayatz):
            # the sample is the population
            assert found == pytest.approx(sizes.count(1))


# -- the criterion ---------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["zayatz", "pitman", "snb", "dankar"])
def test_unique_rows_are_given_up_until_the_estimate_is_low(slides, estimator: str) -> None:
    population = slides[0.5, 0.05]
    sample = sampled(population, 0.3, 2)
    classes = EquivalenceClasses.from_counts(sample)
    loose = PopulationUniqueness(0.5, len(population), estimator)
    assert loose.holds(classes)
    strict = PopulationUniqueness(0.005, len(population), estimator)
    kept = strict.kept(classes)
    assert not kept.all()
    assert kept[sample > 1].all()
    left = sample[kept]
    assert strict.holds(EquivalenceClasses.from_counts(left))
    # one more unique row would be too many
    assert strict.estimate(left) <= 0.005
    if (left == 1).any():
        assert strict.estimate(np.append(left, 1)) > 0.005
    assert PopulationUniqueness(0, len(population), estimator).kept(classes).tolist() == (
        (sample > 1).tolist()
    )


def test_what_cannot_be_estimated_is_not_kept() -> None:
    criterion = PopulationUniqueness(0.9, 1000, "pitman")
    alone = EquivalenceClasses.from_counts(np.ones(20, dtype=np.int64))
    assert not criterion.kept(alone).any()
    with pytest.raises(NoEstimate):
        criterion.estimate(alone.sizes)
    assert criterion.holds(EquivalenceClasses.from_counts([2, 2]))
    assert criterion.holds(EquivalenceClasses.from_counts([]))


def test_a_sample_larger_than_the_population_is_refused() -> None:
    with pytest.raises(PlanError, match="population_size is 5, but the table alone has 6"):
        PopulationUniqueness(0.1, 5).kept(EquivalenceClasses.from_counts([1, 5]))
