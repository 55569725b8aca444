"""Promises against a table of the population, or an estimate of it."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import PlanError, SchemaError
from sfumato.privacy import DeltaPresence, EquivalenceClasses, KMap
from sfumato.privacy.population import smallest_sample_size

RELEASE = pl.DataFrame({"age": ["20-30", "20-30", "*", None], "sex": ["f", "f", "m", "m"]})
PEOPLE = pl.DataFrame(
    {
        "id": range(8),
        "sex": ["f", "f", "f", "m", "m", "m", "f", "m"],
        "age": ["20-30", "20-30", "20-30", "*", "*", None, "30-40", "30-40"],
    }
)


pairs = st.tuples(st.sampled_from([20, 30, 40, None]), st.sampled_from("fm"))


@pytest.fixture(params=["population.csv", "population.parquet"])
def population(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    if path.suffix == ".csv":
        PEOPLE.write_csv(path)
    else:
        PEOPLE.write_parquet(path)
    return path


def test_people_are_counted_by_the_quasi_identifiers(population: Path) -> None:
    classes = EquivalenceClasses.of(RELEASE, ["age", "sex"])
    assert KMap(3, population).kept(classes).tolist() == [True, False, False]
    assert KMap(2, population).kept(classes).tolist() == [True, True, False]
    # shares 2 of 3, 1 of 2, 1 of 1
    assert DeltaPresence(0, 2 / 3, population).kept(classes).tolist() == [True, True, False]
    assert DeltaPresence(0.6, 1, population).kept(classes).tolist() == [True, False, True]
    assert DeltaPresence(0, 1, population).holds(classes)


def test_with_a_lower_limit_everybody_must_match(population: Path) -> None:
    classes = EquivalenceClasses.of(RELEASE, ["age", "sex"])
    # all shares are at least 0.5, but two people are surely not in the release
    assert DeltaPresence(0.5, 1, population).kept(classes).all()
    assert not DeltaPresence(0.5, 1, population).holds(classes)
    more = pl.concat([RELEASE, PEOPLE[6:].select("age", "sex")])
    assert DeltaPresence(0.5, 1, population).holds(EquivalenceClasses.of(more, ["age", "sex"]))


def test_a_row_that_the_population_lacks_keeps_nothing(population: Path) -> None:
    strange = EquivalenceClasses.of(pl.DataFrame({"age": ["90"], "sex": ["f"]}), ["age", "sex"])
    assert not KMap(2, population).kept(strange).any()
    assert not DeltaPresence(0, 1, population).kept(strange).any()
    # more rows than people: not a part of this population
    twice = EquivalenceClasses.of(pl.concat([RELEASE, RELEASE]), ["age", "sex"])
    assert DeltaPresence(0, 1, population).kept(twice).tolist() == [False, True, False]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from([20, 30, None]), st.sampled_from("fm")), max_size=30),
    st.lists(
        st.tuples(st.sampled_from([20, 30, 40, None]), st.sampled_from("fm")),
        min_size=1,
        max_size=9,
    ),
)
def test_counts_are_those_of_a_counter(
    tmp_path_factory: pytest.TempPathFactory, rows: list, others: list
) -> None:
    schema = {"age": pl.Int64, "sex": pl.String}
    path = tmp_path_factory.mktemp("population") / "people.parquet"
    everybody = rows + others
    # a population that holds its numbers in another type
    people = pl.DataFrame(everybody, schema=schema, orient="row")
    people.cast({"age": pl.Float32}).write_parquet(path)
    classes = EquivalenceClasses.of(pl.DataFrame(rows, schema=schema, orient="row"), ["age", "sex"])
    keys = classes.keys
    assert keys is not None
    counted, released = Counter(everybody), Counter(rows)
    for k in (2, 4):
        assert KMap(k, path).kept(classes).tolist() == [counted[key] >= k for key in keys.rows()]
    shares = [released[key] / counted[key] for key in keys.rows()]
    assert DeltaPresence(0.3, 0.7, path).kept(classes).tolist() == [
        0.3 - 1e-12 <= share <= 0.7 + 1e-12 for share in shares
    ]
    given_counts = EquivalenceClasses.from_counts(
        classes.sizes, population=[counted[key] for key in keys.rows()]
    )
    assert KMap(3).kept(given_counts).tolist() == KMap(3, path).kept(classes).tolist()
    known = EquivalenceClasses.from_counts(classes.sizes, keys=keys)
    assert KMap(3, path).kept(known).tolist() == KMap(3, path).kept(classes).tolist()


def test_what_is_missing_is_said(population: Path) -> None:
    classes = EquivalenceClasses.of(RELEASE, ["age", "sex"])
    with pytest.raises(PlanError, match="k-map needs 'population'"):
        KMap(2).kept(classes)
    with pytest.raises(PlanError, match=r"needs to know the quasi-identifiers"):
        KMap(2, population).kept(EquivalenceClasses.from_counts([3]))
    other = EquivalenceClasses.of(RELEASE.rename({"age": "agee"}), ["agee", "sex"])
    with pytest.raises(SchemaError, match=r"population has no column 'agee'.*Did you mean 'age'"):
        KMap(2, population).kept(other)


def test_settings_that_contradict_are_refused(population: Path) -> None:
    with pytest.raises(PlanError, match="not both"):
        KMap(2, population, "poisson", 1000)
    with pytest.raises(PlanError, match="needs the population_size"):
        KMap(2, estimate="poisson")
    with pytest.raises(PlanError, match="needs the population_size"):
        KMap(2, population_size=1000)
    with pytest.raises(PlanError, match="delta_min must not be above"):
        DeltaPresence(0.5, 0.4)
    assert KMap(2, population).to_dict()["population"] == str(population)


# -- estimates -------------------------------------------------------------------------------


def poisson_tail(size: int, mean: float) -> float:
    below = sum(math.exp(-mean) * mean**j / math.factorial(j) for j in range(size))
    return 1 - below


@settings(deadline=None)
@given(st.integers(2, 40), st.floats(0.001, 1), st.sampled_from([0.001, 0.01, 0.05, 0.3]))
def test_the_size_asked_for_is_the_least_rare_one(k: int, fraction: float, allowed: float) -> None:
    for estimate in ("poisson", "zero-truncated-poisson"):
        size = smallest_sample_size(k, fraction, estimate, allowed)
        seen = 1 - math.exp(-k * fraction) if estimate == "zero-truncated-poisson" else 1.0
        tails = [poisson_tail(m, k * fraction) / seen for m in range(1, k + 1)]
        rare = [m for m, tail in enumerate(tails, start=1) if tail <= allowed]
        near = [tail for tail in tails if abs(tail - allowed) < 1e-9]
        assert near or size == (rare[0] if rare else k)


def test_classes_of_few_people_seldom_pass_the_estimate() -> None:
    # A population of classes of exactly k people, sampled: how many pass as more?
    generator = np.random.default_rng(8)
    k, fraction, allowed = 10, 0.1, 0.05
    drawn = generator.binomial(k, fraction, 200_000)
    for estimate in ("poisson", "zero-truncated-poisson"):
        size = smallest_sample_size(k, fraction, estimate, allowed)
        seen = drawn if estimate == "poisson" else drawn[drawn > 0]
        assert (seen >= size).mean() <= allowed
        # and one row less would let too many through: the limit is not idle
        assert (seen >= size - 1).mean() > allowed


def test_the_estimate_needs_the_sample_and_the_population() -> None:
    classes = EquivalenceClasses.from_counts([1, 3, 6, 90])
    criterion = KMap(10, estimate="poisson", population_size=1000, significance=0.05)
    # mean 10 * 100 / 1000 = 1: P(X >= 4) = 0.019, P(X >= 3) = 0.080
    assert criterion.smallest_size(100) == 4
    assert criterion.kept(classes).tolist() == [False, False, True, True]
    # a sample of everybody: k people leave k rows
    whole = KMap(10, estimate="poisson", population_size=100)
    assert whole.kept(classes).tolist() == [False, False, False, True]
    assert "probability of at most 0.05" in criterion.describe()
