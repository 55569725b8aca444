"""Every public mechanism on neighbouring tables: no output gives one away, and the bound is near.

The noise here comes from the operating system, but for what needs the same draw twice; the limits
leave a right mechanism a chance of failure under one in ten thousand.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfumato.evaluation.audit import audit_mechanism, distinguishing_outputs
from sfumato.privacy.differential import (
    Budget,
    DiscreteGaussian,
    DiscreteLaplace,
    ExponentialMechanism,
    Geometric,
    Ledger,
    NoisyHistogram,
    NoisyQuantile,
    NoisySum,
    PermuteAndFlip,
    RandomizedResponse,
    RandomWords,
    ReportNoisyMax,
    SparseVector,
    ThresholdedHistogram,
    bounded_rows,
)

DELTA = 1e-5
EPSILON = 1


def gaussian() -> DiscreteGaussian:
    return DiscreteGaussian(sigma_squared=Budget(epsilon=EPSILON, delta=DELTA).gaussian_sigma())


def vectorised(mechanism, shape=()):
    """Return a mechanism on counts that draws all runs at once."""

    def run(data, runs, seed):
        values = np.broadcast_to(np.asarray(data, np.int64), (runs, *shape))
        return mechanism.release(values, RandomWords(insecure_seed=seed))

    return run


def one_by_one(mechanism):
    def run(data, seed):
        return mechanism.release(data, RandomWords(insecure_seed=seed))

    return run


ADDITIVE = {
    "laplace": DiscreteLaplace(scale=10),
    "laplace of an odd scale": DiscreteLaplace(scale="31415/926"),
    "geometric": Geometric(epsilon="0.1"),
    "gaussian": DiscreteGaussian(sigma_squared=100),
    "small gaussian": DiscreteGaussian(sigma_squared="1/3"),
}


@pytest.mark.parametrize("name", ADDITIVE)
def test_no_output_is_impossible_on_the_other_table(name):
    """The floating-point test: 4 to 9 % of draws with noise in floating point."""
    run = vectorised(ADDITIVE[name])
    assert distinguishing_outputs(run, (0, 1), 50_000, seed=1, batch=True) == (0.0, 0.0)


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
def test_no_sum_is_impossible_on_the_other_table(noise):
    """A sum on a grid of tenths, told in floating point."""
    mechanism = NoisySum(lower=0, upper=1, grid="1/1024", noise=noise, scale=10)

    def run(data, seed):
        return float(mechanism.release(np.array(data), RandomWords(insecure_seed=seed)))

    shares = distinguishing_outputs(run, ([0.0], [0.0, 1.0]), 2000, seed=2, answers=(0.0, 1.0))
    assert shares == (0.0, 0.0)


@pytest.mark.parametrize(
    "mechanism",
    [
        NoisyHistogram(cells=2, noise=DiscreteLaplace(scale=10)),
        NoisyHistogram(cells=2, noise=DiscreteGaussian(sigma_squared=100)),
    ],
)
def test_no_histogram_is_impossible_on_the_other_table(mechanism):
    pair = ([0, 1, 1], [0, 0, 1, 1])
    shares = distinguishing_outputs(
        one_by_one(mechanism), pair, 2000, seed=3, answers=((1, 2), (2, 2))
    )
    assert shares == (0.0, 0.0)


@pytest.mark.parametrize(
    ("mechanism", "first", "second", "support"),
    [
        (ExponentialMechanism(epsilon=1), [0, 1, 2], [1, 0, 2], {0, 1, 2}),
        (PermuteAndFlip(epsilon=1), [0, 1, 2], [1, 0, 2], {0, 1, 2}),
        (ReportNoisyMax(epsilon=1), [0, 1, 2], [1, 0, 2], {0, 1, 2}),
        (RandomizedResponse(epsilon=1, categories=3), 0, 2, {0, 1, 2}),
        (
            NoisyQuantile(rank="1/2", lower=0, upper=2, step=1, epsilon=1),
            [0, 1],
            [0, 1, 2],
            {0, 1, 2},
        ),
        (SparseVector(threshold=0, epsilon=1), [0], [1], {0, 1}),
    ],
)
def test_choices_give_every_answer_on_either_table(mechanism, first, second, support):
    """The counterpart of the floating-point test where answers are places, not numbers."""

    def answers(data):
        words = RandomWords()
        found = (mechanism.release(data, words) for _ in range(400))
        return {len(one) if isinstance(mechanism, SparseVector) else int(one) for one in found}

    assert answers(first) == answers(second) == support


def near(audit, epsilon: float) -> None:
    """Hold a bound below the promise and above a third of it."""
    assert audit.verdict != "violation", audit.describe()
    assert epsilon / 3 < audit.lower_bound <= epsilon, audit.describe()


@pytest.mark.parametrize(
    "mechanism", [DiscreteLaplace(scale=1), Geometric(epsilon=1), RandomizedResponse(epsilon=1)]
)
def test_pure_noise_is_about_as_private_as_it_says(mechanism):
    near(
        audit_mechanism(
            vectorised(mechanism), EPSILON, neighbours=(0, 1), runs=50_000, seed=4, batch=True
        ),
        EPSILON,
    )


def test_gaussian_noise_is_about_as_private_as_it_says():
    near(
        audit_mechanism(
            vectorised(gaussian()),
            EPSILON,
            DELTA,
            neighbours=(0, 1),
            runs=60_000,
            seed=5,
            batch=True,
            gaussian=True,
        ),
        EPSILON,
    )


def test_half_the_noise_is_found_out():
    """The audit is no check that cannot fail."""
    for mechanism, delta, is_gaussian in (
        (DiscreteLaplace(scale="1/2"), 0.0, False),
        (DiscreteGaussian(sigma_squared=gaussian().sigma_squared / 4), DELTA, True),
    ):
        audit = audit_mechanism(
            vectorised(mechanism),
            EPSILON,
            delta,
            neighbours=(0, 1),
            runs=60_000,
            seed=6,
            batch=True,
            gaussian=is_gaussian,
        )
        assert audit.verdict == "violation"


def test_a_histogram_is_about_as_private_as_it_says():
    noise = DiscreteLaplace(scale=1)

    def run(data, runs, seed):
        counts = np.bincount(data, minlength=3)
        return noise.release(np.broadcast_to(counts, (runs, 3)), RandomWords(insecure_seed=seed))

    mechanism = NoisyHistogram(cells=3, noise=noise)
    assert mechanism.cost.epsilon == EPSILON
    near(
        audit_mechanism(
            run, EPSILON, neighbours=([0, 1], [0, 1, 2]), runs=50_000, seed=7, batch=True
        ),
        EPSILON,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mechanism", "first", "second"),
    [
        # scores that move against each other by the whole sensitivity
        (ExponentialMechanism(epsilon=1), [0] * 5 + [1], [1] * 5 + [0]),
        (PermuteAndFlip(epsilon=1), [0] * 5 + [1], [1] * 5 + [0]),
        (ReportNoisyMax(epsilon=1), [0] * 5 + [1], [1] * 5 + [0]),
        (NoisyHistogram(cells=2, noise=DiscreteLaplace(scale=1)), [0], [0, 1]),
        (RandomizedResponse(epsilon=1, categories=4), [0], [3]),
    ],
)
def test_choices_are_about_as_private_as_they_say(mechanism, first, second):
    audit = audit_mechanism(
        one_by_one(mechanism), EPSILON, neighbours=(first, second), runs=8000, seed=8
    )
    near(audit, EPSILON)


@pytest.mark.slow
def test_sparse_vector_keeps_its_promise():
    mechanism = SparseVector(threshold=0, epsilon=1)
    audit = audit_mechanism(
        lambda data, seed: len(mechanism.release(data, RandomWords(insecure_seed=seed))),
        EPSILON,
        neighbours=([0] * 4, [-1] * 4),
        runs=8000,
        seed=9,
    )
    assert audit.verdict != "violation"
    assert 0.05 < audit.lower_bound <= EPSILON


def test_a_category_of_one_person_is_hardly_ever_told():
    noise = DiscreteLaplace(scale=1)
    mechanism = ThresholdedHistogram(noise=noise, delta="0.01")
    words = RandomWords(insecure_seed=10)
    told = sum("x" in mechanism.release(["x"], words) for _ in range(4000))
    right = math.exp(-(mechanism.threshold - 1)) / (1 + math.exp(-1))
    assert right <= 0.01
    assert abs(told - 4000 * right) < 4 * math.sqrt(4000 * right)


def test_one_row_more_changes_nothing_but_what_went_through_the_ledger():
    """With the same words, answers on two tables differ by the difference of the counts alone."""
    outputs = []
    for rows in ([0, 1, 1], [0, 1, 1, 1]):
        ledger = Ledger(Budget(epsilon=1), RandomWords(insecure_seed=11))
        histogram = NoisyHistogram(cells=3, noise=DiscreteLaplace(scale=1))
        outputs.append((ledger.run("cells", histogram, rows), ledger.to_dict()))
    assert (outputs[1][0] - outputs[0][0]).tolist() == [0, 1, 0]
    assert outputs[0][1] == outputs[1][1]


def test_rows_of_one_person_are_chosen_without_regard_to_others():
    kept = [bounded_rows(np.array([7, 7, 7, 7]), 1, RandomWords()).argmax() for _ in range(400)]
    assert set(kept) == {0, 1, 2, 3}
