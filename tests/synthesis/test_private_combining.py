import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import invgamma, norm, t

from sfumato.synthesis.combining import combine


def test_without_variances_of_their_own_the_interval_is_that_of_a_t_distribution():
    estimates = [3.0, 4.0, 6.0, 5.0, 1.0]
    found = combine(estimates, [0.0] * 5, level=0.9)
    exact = t.ppf(0.95, 4) * np.sqrt((1 + 1 / 5) * np.var(estimates, ddof=1))
    assert found.high - found.value == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("within", [0.3, 1.0, 2.5])
def test_the_interval_holds_its_level_by_quadrature(within):
    estimates = np.sqrt(2) * np.array([-1.2, -0.4, 0.1, 1.9, -0.9, 0.5])
    found = combine(estimates, [within] * 6)
    between = invgamma(5 / 2, scale=5 * np.var(estimates, ddof=1) / 2)

    def inside(true):
        deviation = np.sqrt((1 + 1 / 6) * true - within)
        return (2 * norm.cdf((found.high - found.value) / deviation) - 1) * between.pdf(true)

    reached = quad(inside, within, np.inf)[0] / between.sf(within)
    assert reached == pytest.approx(0.95, abs=0.002)


@pytest.mark.parametrize(("noise", "repetitions"), [(0.0, 1000), (3.0, 600)])
def test_intervals_cover_what_they_say_and_not_more(noise, repetitions):
    # the estimate of the real table has variance 1 + noise, each release adds 1 of its own
    random = np.random.default_rng(int(noise))
    covered = 0
    for _ in range(repetitions):
        fitted = np.sqrt(1 + noise) * random.standard_normal()
        estimates = fitted + np.sqrt(2 + noise) * random.standard_normal(20)
        found = combine(estimates, np.ones(20))
        covered += found.low <= 0 <= found.high
    # three standard errors; the t distribution that was here covers 0.989 without noise
    error = np.sqrt(0.95 * 0.05 / repetitions)
    assert covered / repetitions == pytest.approx(0.95, abs=3 * error)


def test_tables_closer_together_than_chance_allows_do_not_give_nothing():
    found = combine([1.0] * 20, [0.04] * 20)
    assert found.standard_error == pytest.approx(0.2)
    assert 0.05 < found.high - 1 < 0.2
    near = combine(1 + 1e-9 * np.arange(20), [0.04] * 20)
    assert near.high - near.value == pytest.approx(found.high - 1, rel=0.01)
