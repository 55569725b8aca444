"""Two accounts of each promise, written apart: the one that makes releases, the one that verifies.

Neither imports the other; on random tables they must say the same of every class.
"""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.privacy import Criterion, EquivalenceClasses
from sfumato.release.recounts import KINDS, Tally, judge
from sfumato.release.recounts.populations import Population
from sfumato.release.recounts.sizes import class_size_of_sampling
from sfumato.release.recounts.uniqueness import pitman, slide_negative_binomial, zayatz
from sfumato.table import Hierarchy

COLUMNS = ["x", "y"]
TREE = {
    "lines": [
        ["1", "low", "any", "*"],
        ["2", "low", "any", "*"],
        ["3", "high", "any", "*"],
        ["10", "high", "any", "*"],
        ["20", "far", "beyond", "*"],
    ]
}
SHARES = st.sampled_from([0.05, 0.1, 0.15, 0.23, 0.31, 0.47, 0.77, 1.0])
COUNTS = st.integers(1, 5)


def promise(kind, **settings_of):
    return st.fixed_dictionaries({"kind": st.just(kind), **settings_of})


ABOUT_A_CLASS = st.one_of(
    promise("k-anonymity", k=st.integers(2, 6)),
    promise("l-diversity", column=st.just("s"), l=COUNTS),
    promise(
        "l-diversity",
        column=st.just("s"),
        l=st.floats(1, 4.5),
        variant=st.just("entropy"),
        estimator=st.sampled_from(["shannon", "grassberger"]),
    ),
    promise(
        "l-diversity",
        column=st.just("s"),
        l=COUNTS,
        variant=st.just("recursive"),
        c=st.sampled_from([0.3, 0.7, 1.0, 1.7, 2.0, 4.0]),
    ),
    promise(
        "t-closeness", column=st.just("s"), t=SHARES, distance=st.sampled_from(["equal", "ordered"])
    ),
    promise(
        "t-closeness",
        column=st.just("s"),
        t=SHARES,
        distance=st.just("hierarchical"),
        hierarchy=st.just(Hierarchy.from_dict(TREE).to_dict()),
    ),
    promise("delta-disclosure", column=st.just("s"), delta=st.sampled_from([0.5, 1.0, 1.7, 3.0])),
    promise(
        "beta-likeness",
        column=st.just("s"),
        beta=st.sampled_from([0.2, 0.5, 1.0, 2.3]),
        enhanced=st.booleans(),
    ),
    promise(
        "alpha-k-anonymity",
        k=COUNTS,
        column=st.just("s"),
        alpha=SHARES,
        values=st.sampled_from([None, ["1"], ["2", "10"], [20, 3]]),
    ),
    promise("highest-risk", limit=st.sampled_from([0.2, 0.21, 0.25, 1 / 3, 0.5, 1.0])),
    promise(
        "k-map",
        k=st.integers(2, 8),
        estimate=st.sampled_from(["poisson", "zero-truncated-poisson"]),
        population_size=st.sampled_from([40, 60, 200]),
        significance=st.sampled_from([0.01, 0.05, 0.2]),
    ),
    promise(
        "cost-benefit",
        attacker=st.just("prosecutor"),
        no_attack=st.booleans(),
        publisher_benefit=st.sampled_from([5.0, 50.0, 100.0]),
        publisher_loss=st.sampled_from([0.0, 100.0, 300.0]),
        adversary_gain=st.sampled_from([0.0, 12.0, 300.0]),
        adversary_cost=st.sampled_from([0.0, 4.0, 60.0]),
    ),
    promise(
        "cost-benefit",
        attacker=st.just("journalist"),
        no_attack=st.booleans(),
        publisher_benefit=st.just(50.0),
        publisher_loss=st.sampled_from([100.0, 300.0]),
        adversary_gain=st.sampled_from([12.0, 300.0]),
        adversary_cost=st.just(4.0),
        population_size=st.sampled_from([40, 97]),
    ),
    promise(
        "differential-privacy",
        epsilon=st.sampled_from([1.0, 2.0]),
        delta=st.sampled_from([0.5, 0.1]),
    ),
)
ABOUT_THE_TABLE = st.one_of(
    promise("average-risk", limit=SHARES),
    promise("strict-average-risk", average=SHARES, highest=SHARES, at_risk=SHARES),
    promise("sample-uniqueness", share=SHARES),
    promise(
        "population-uniqueness",
        share=SHARES,
        population_size=st.sampled_from([40, 60, 400]),
        estimator=st.just("zayatz"),
    ),
)

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "*", None]),
        st.sampled_from(["c", "*"]),
        st.sampled_from(["1", "2", "3", "10", "20", None]),
        st.sampled_from(["ann", "bob", "cem", None]),
    ),
    min_size=1,
    max_size=40,
)


def frame(rows):
    schema = {"x": pl.String, "y": pl.String, "s": pl.String, "who": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def stars(data):
    return data.select(pl.all_horizontal(pl.col(COLUMNS).eq_missing(pl.lit("*")))).to_series()


@settings(deadline=None, max_examples=120)
@given(rows=ROWS, asked=ABOUT_A_CLASS, person=st.sampled_from([None, "who"]))
def test_they_fail_the_same_classes(rows, asked, person):
    data = frame(rows)
    ours = judge([asked], Tally.of(data, COLUMNS, ["s"], person), {}, lambda path: None)[0]
    classes = EquivalenceClasses.of(data, COLUMNS, sensitive=["s"], person=person)
    kept = Criterion.from_dict(asked).kept(classes)
    if asked["kind"] == "differential-privacy":
        assert ours.with_suppressed.failing_classes == int((~kept).sum())
        return
    assert ours.with_suppressed.kept == bool(kept.all())
    assert ours.with_suppressed.failing_classes == int((~kept).sum())
    starred = np.unique(classes.of_row[stars(data).to_numpy()])
    others = np.delete(kept, starred)
    if len(others):
        assert ours.without_suppressed.failing_classes == int((~others).sum())
        assert ours.status == ("passed" if others.all() else "failed")
    else:
        assert ours.status == "not applicable"


@settings(deadline=None, max_examples=60)
@given(rows=ROWS, asked=ABOUT_THE_TABLE, person=st.sampled_from([None, "who"]))
def test_they_say_the_same_of_a_table(rows, asked, person):
    data = frame(rows)
    ours = judge([asked], Tally.of(data, COLUMNS, ["s"], person), {}, lambda path: None)[0]
    for part, outcome in (
        (data, ours.with_suppressed),
        (data.filter(~stars(data)), ours.without_suppressed),
    ):
        if part.is_empty():
            continue
        classes = EquivalenceClasses.of(part, COLUMNS, sensitive=["s"], person=person)
        assert outcome.kept == Criterion.from_dict(asked).holds(classes)


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["d", None])), min_size=1),
    people=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["d", None])), min_size=1),
    asked=st.one_of(
        promise("k-map", k=st.integers(2, 5)),
        promise(
            "delta-presence",
            delta_min=st.sampled_from([0.0, 0.1, 0.25]),
            delta_max=st.sampled_from([0.25, 0.5, 1.0]),
        ),
        promise(
            "cost-benefit",
            attacker=st.just("journalist"),
            no_attack=st.booleans(),
            publisher_benefit=st.just(60.0),
        ),
    ),
)
def test_they_find_the_same_people_in_a_population(rows, people, asked, tmp_path_factory):
    shape = {"x": pl.String, "y": pl.String}
    file = tmp_path_factory.mktemp("population") / "people.parquet"
    population = pl.DataFrame(people, schema=shape, orient="row")
    population.write_parquet(file)
    data = pl.DataFrame(rows, schema=shape, orient="row")
    asked = asked | {"population": str(file)}
    known = Population.of(population, COLUMNS, None)
    ours = judge([asked], Tally.of(data, COLUMNS), {}, lambda path: known)[0]
    criterion, classes = Criterion.from_dict(asked), EquivalenceClasses.of(data, COLUMNS)
    assert ours.with_suppressed.failing_classes == int((~criterion.kept(classes)).sum())
    assert ours.with_suppressed.kept == criterion.holds(classes)


def sample(people, shape, seed):
    """Return class sizes of a sample: many small classes, few large ones."""
    sizes = np.random.default_rng(seed).zipf(shape, people)
    return sizes[sizes <= 200]


@pytest.mark.parametrize("rate", [0.03, 0.1, 0.4, 0.8])
@pytest.mark.parametrize(("shape", "seed"), [(1.6, 1), (2.0, 2), (2.5, 3), (3.5, 4)])
def test_they_estimate_the_same_uniques(shape, seed, rate):
    from sfumato.privacy import super_population as other

    sizes = sample(400, shape, seed)
    people = int(sizes.sum() / rate) + 1
    assert zayatz(sizes, people) == pytest.approx(other.zayatz(sizes, people), rel=1e-6)
    for ours, theirs in ((pitman, other.pitman), (slide_negative_binomial, other.snb)):
        estimate = ours(sizes, people)
        try:
            expected = theirs(sizes, people)
        except other.NoEstimate:
            assert estimate is None
            continue
        assert estimate is not None
        assert min(estimate, people) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-9])
def test_they_need_the_same_class_size_for_differential_privacy(epsilon, delta):
    from sfumato.privacy import DifferentialPrivacy

    assert class_size_of_sampling(epsilon, delta) == DifferentialPrivacy(epsilon, delta).k


def kinds(criterion=Criterion):
    for child in criterion.__subclasses__():
        yield from kinds(child)
        if child.__module__.startswith("sfumato.") and "kind" in child.__dict__:
            yield child.kind, set(child.model_fields)


def test_every_kind_of_promise_has_a_recount_of_all_its_settings():
    made = dict(kinds())
    assert set(made) == set(KINDS)
    for kind, names in made.items():
        assert names == set(KINDS[kind].settings), kind
