"""SafePub: the sampling rate and the class size against the theorem, computed another way."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import PlanError
from sfumato.privacy import DifferentialPrivacy, EquivalenceClasses, safepub_parameters


def exact_tail(n: int, beta: Fraction, gamma: float) -> float:
    """P(X > gamma n) of a binomial X, summed in whole numbers."""
    b, whole = beta.numerator, beta.denominator
    total = sum(
        math.comb(n, j) * b**j * (whole - b) ** (n - j)
        for j in range(math.floor(gamma * n) + 1, n + 1)
    )
    return float(Fraction(total, whole**n))


def delta_of(k: int, epsilon: float, most: int) -> float:
    """The delta of Li, Qardaji, Su 2012: the largest tail over n from ceil(k / gamma - 1) on."""
    beta = 1 - math.exp(-epsilon)
    gamma = (math.exp(epsilon) - 1 + beta) / math.exp(epsilon)
    rate = Fraction(beta).limit_denominator(10**6)
    first = max(math.ceil(k / gamma - 1), 1)
    return max(exact_tail(n, rate, gamma) for n in range(first, most))


@pytest.mark.parametrize(("epsilon", "delta"), [(1.0, 1e-3), (0.5, 1e-2), (2.0, 1e-3), (0.2, 1e-3)])
def test_k_is_the_least_that_the_theorem_allows(epsilon: float, delta: float) -> None:
    beta, k = safepub_parameters(epsilon, delta)
    assert beta == pytest.approx(1 - math.exp(-epsilon), rel=1e-14)
    gamma = 1 - math.exp(-2 * epsilon)
    # far enough for the tail to be below delta for good: Chernoff's bound
    divergence = gamma * math.log(gamma / beta) + (1 - gamma) * math.log((1 - gamma) / (1 - beta))
    most = math.ceil(math.log(1 / delta) / divergence) + 2
    assert delta_of(k, epsilon, most) <= delta
    assert delta_of(k - 1, epsilon, most) > delta


def test_the_inequality_of_privacy_holds_for_every_group() -> None:
    """What the theorem is for, checked without it.

    One group of the release has X of its n source rows, X binomial (n, beta), and is seen as X if
    X >= k, otherwise not at all. With one row more X' is binomial (n + 1, beta). The smallest
    delta for which the two are within exp(epsilon) is the sum of what exceeds it.
    """
    from scipy.stats import binom

    epsilon, delta = 1.0, 1e-5
    beta, k = safepub_parameters(epsilon, delta)
    worst = 0.0
    for n in range(1, 400):
        sizes = np.arange(k, n + 2)
        one = np.concatenate([[binom.cdf(k - 1, n, beta)], binom.pmf(sizes, n, beta)])
        two = np.concatenate([[binom.cdf(k - 1, n + 1, beta)], binom.pmf(sizes, n + 1, beta)])
        for a, b in ((one, two), (two, one)):
            worst = max(worst, float(np.maximum(a - math.exp(epsilon) * b, 0).sum()))
    assert worst <= delta
    # without the class size it would not be: the smallest classes give the row away
    bare = max(float(binom.pmf(n + 1, n + 1, beta)) for n in range(1, 20))
    assert bare > 1000 * delta


@settings(deadline=None, max_examples=40)
@given(st.floats(0.05, 4), st.floats(-9, -2))
def test_a_stronger_promise_asks_for_larger_classes_or_smaller_samples(
    epsilon: float, exponent: float
) -> None:
    beta, k = safepub_parameters(epsilon, 10**exponent)
    smaller, more = safepub_parameters(epsilon, 10 ** (exponent - 1))
    assert smaller == beta
    assert more >= k >= 1
    assert safepub_parameters(epsilon * 0.9, 10**exponent).beta < beta


def test_the_classes_of_the_sample_must_be_large_enough() -> None:
    promise = DifferentialPrivacy(1.0, 1e-6)
    classes = EquivalenceClasses.from_counts([promise.k - 1, promise.k])
    assert promise.kept(classes).tolist() == [False, True]
    assert promise.to_dict() == {"kind": "differential-privacy", "epsilon": 1.0, "delta": 1e-6}


def test_the_conditions_are_said() -> None:
    said = DifferentialPrivacy(1.0, 1e-6).describe()
    for part in ("0.6321", "without looking at the data", "secret randomness", "fewer than 74"):
        assert part in said


@pytest.mark.parametrize("epsilon", [1e-12, 40.0])
def test_what_no_table_could_keep_is_refused(epsilon: float) -> None:
    with pytest.raises(PlanError, match=r"usually between 0\.01 and 5"):
        safepub_parameters(epsilon, 1e-6)
