"""What a criterion says of its monotony holds: joining, growing and suppressing classes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sfumato.privacy import (
    AlphaKAnonymity,
    AverageRisk,
    BetaLikeness,
    CostBenefit,
    Criterion,
    DeltaDisclosure,
    DeltaPresence,
    DifferentialPrivacy,
    EquivalenceClasses,
    HighestRisk,
    KAnonymity,
    KMap,
    LDiversity,
    PopulationUniqueness,
    SampleUniqueness,
    StrictAverageRisk,
    TCloseness,
    ValueCounts,
    criterion_kinds,
)
from sfumato.table import Hierarchy

LABELS = pl.Series([1, 2, 3, 7])
CRITERIA = [
    KAnonymity(4),
    HighestRisk(0.3),
    DifferentialPrivacy(3.0, 0.4),
    KMap(8),
    KMap(12, estimate="poisson", population_size=400, significance=0.2),
    DeltaPresence(0.2, 0.6),
    LDiversity("s", 2),
    LDiversity("s", 2, "entropy"),
    LDiversity("s", 2, "entropy", estimator="grassberger"),
    LDiversity("s", 2, "recursive", 1.5),
    TCloseness("s", 0.25),
    TCloseness("s", 0.2, "ordered"),
    TCloseness("s", 0.25, "hierarchical", Hierarchy.bands([4]).to_dict()),
    DeltaDisclosure("s", 1.0),
    BetaLikeness("s", 0.6),
    BetaLikeness("s", 0.9, enhanced=True),
    AlphaKAnonymity(3, "s", 0.5),
    AlphaKAnonymity(3, "s", 0.3, (2,)),
    AverageRisk(0.3),
    StrictAverageRisk(0.4, 0.34, 0.2),
    SampleUniqueness(0.15),
    PopulationUniqueness(0.05, 400, "zayatz"),
    CostBenefit(),
    CostBenefit(no_attack=True, adversary_gain=20),
    CostBenefit("journalist", no_attack=True, adversary_gain=20, population_size=400),
]

class_counts = st.lists(
    st.tuples(*[st.integers(0, 6)] * len(LABELS)).filter(any), min_size=2, max_size=6
)


def classes_of(counts: np.ndarray, overall: np.ndarray) -> EquivalenceClasses:
    """Classes of a table with this overall; people and loss follow the classes when joined."""
    sizes = counts.sum(axis=1)
    return EquivalenceClasses.from_counts(
        sizes,
        sensitive={"s": ValueCounts.of_dense(counts, LABELS)},
        overall={"s": overall},
        population=sizes * 2 + counts[:, 0],
    )


def joined(counts: np.ndarray, groups: np.ndarray) -> np.ndarray:
    made = np.zeros((groups.max() + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(made, groups, counts)
    return made


def those(flag: str) -> pytest.MarkDecorator:
    """Run a test for each of the criteria that say so of themselves."""
    named = {f"{number}-{one.kind}": one for number, one in enumerate(CRITERIA)}
    chosen = {name: one for name, one in named.items() if getattr(one, flag)}
    return pytest.mark.parametrize("criterion", chosen.values(), ids=chosen.keys())


def groups_of(data, n_classes: int) -> np.ndarray:
    """Draw which classes are joined: a group for each, numbered without gaps."""
    drawn = data.draw(st.lists(st.integers(0, 2), min_size=n_classes, max_size=n_classes))
    return np.unique(drawn, return_inverse=True)[1]


def test_every_kind_is_looked_at() -> None:
    assert {one.kind for one in CRITERIA} == {
        kind for kind, one in criterion_kinds().items() if one.__module__.startswith("sfumato.")
    }


@those("monotone_generalization")
@settings(deadline=None, max_examples=40)
@given(drawn=class_counts, data=st.data())
def test_joined_classes_keep_what_their_parts_keep(criterion: Criterion, drawn, data) -> None:
    counts = np.array(drawn)
    groups = np.array(
        data.draw(st.lists(st.integers(0, 2), min_size=len(counts), max_size=len(counts)))
    )
    groups = np.unique(groups, return_inverse=True)[1]
    overall = counts.sum(axis=0)
    kept = criterion.kept(classes_of(counts, overall))
    if criterion.class_wise:
        # a group of classes that all keep the promise
        whole = np.array([kept[groups == one].all() for one in range(groups.max() + 1)])
        assert criterion.kept(classes_of(joined(counts, groups), overall))[whole].all()
    elif kept.all():
        assert criterion.holds(classes_of(joined(counts, groups), overall))


@those("monotone_growth")
@settings(deadline=None, max_examples=40)
@given(drawn=class_counts, data=st.data())
def test_grown_classes_keep_what_one_part_keeps(criterion: Criterion, drawn, data) -> None:
    assert criterion.monotone_generalization
    counts = np.array(drawn)
    groups = np.array(
        data.draw(st.lists(st.integers(0, 2), min_size=len(counts), max_size=len(counts)))
    )
    groups = np.unique(groups, return_inverse=True)[1]
    overall = counts.sum(axis=0)
    fine, coarse = classes_of(counts, overall), classes_of(joined(counts, groups), overall)
    kept, after = criterion.kept(fine), criterion.kept(coarse)
    if criterion.class_wise:
        some = np.array([kept[groups == one].any() for one in range(groups.max() + 1)])
        assert after[some].all()
    # a generalization never has to give up more rows
    assert coarse.sizes[after].sum() >= fine.sizes[kept].sum()


@those("monotone_suppression")
@settings(deadline=None, max_examples=40)
@given(drawn=class_counts, data=st.data())
def test_the_others_keep_it_when_classes_are_suppressed(criterion: Criterion, drawn, data) -> None:
    counts = np.array(drawn)
    left = np.array(data.draw(st.lists(st.booleans(), min_size=len(counts), max_size=len(counts))))
    assume(left.any())
    overall = counts.sum(axis=0)
    kept = criterion.kept(classes_of(counts, overall))
    after = criterion.kept(classes_of(counts[left], overall))
    assert after[kept[left]].all()


def test_what_is_not_called_monotone_is_not() -> None:
    """One counterexample each, so that the flags say no less than they can."""
    # joined to a class without it, a value becomes too rare: 3/8, 0, and 3/88 of 1/8
    disclosure = DeltaDisclosure("s", 1.8)
    counts, overall = np.array([[3, 5, 0, 0], [0, 40, 20, 20]]), np.array([10, 30, 20, 20])
    assert disclosure.kept(classes_of(counts, overall)).all()
    assert not disclosure.kept(classes_of(joined(counts, np.array([0, 0])), overall)).any()
    assert not disclosure.monotone_generalization
    # without its large class, a table looks more at risk
    large = EquivalenceClasses.from_counts([1, 99])
    small = EquivalenceClasses.from_counts([1])
    for criterion in (AverageRisk(0.1), SampleUniqueness(0.1), StrictAverageRisk(0.1, 0.5, 0.1)):
        assert criterion.holds(large)
        assert not criterion.holds(small)
        assert not criterion.monotone_suppression
    # a class may be spoilt by what joins it
    even, uniform = np.array([[2, 2, 0, 0]]), np.array([[30, 0, 0, 0]])
    for criterion in (LDiversity("s", 2, "entropy"), AlphaKAnonymity(3, "s", 0.5)):
        whole = (even + uniform).sum(axis=0)
        assert criterion.holds(classes_of(even, whole))
        assert not criterion.holds(classes_of(even + uniform, whole))
        assert not criterion.monotone_growth


@settings(deadline=None)
@given(
    *[st.tuples(*[st.integers(0, 9)] * 4).filter(any)] * 2,
    st.sampled_from(["equal", "ordered", "hierarchical"]),
)
def test_the_distance_of_closeness_is_convex(one, other, distance: str) -> None:
    from sfumato.privacy.closeness import equal_distance, hierarchical_distance, ordered_distance

    groups = (np.array([0, 2]), np.array([0]))
    measure = {
        "equal": equal_distance,
        "ordered": ordered_distance,
        "hierarchical": lambda counts, whole: hierarchical_distance(counts, whole, groups),
    }[distance]
    counts = np.array([one, other, np.add(one, other)])
    whole = np.array([5, 3, 2, 4])
    first, second, both = measure(counts, whole)
    share = sum(one) / (sum(one) + sum(other))
    assert both <= share * first + (1 - share) * second + 1e-12


def test_grassbergers_estimate_may_fall_when_classes_are_joined() -> None:
    criterion = LDiversity("s", 2, "entropy", estimator="grassberger")
    generator = np.random.default_rng(1)
    counts = generator.integers(0, 4, (4000, 2, 4))
    counts = counts[(counts.sum(axis=2) > 0).all(axis=1)]
    kept = [
        criterion.kept_counts(part.sum(axis=1), part, part.sum(axis=0))
        for part in (counts[:, 0], counts[:, 1], counts.sum(axis=1))
    ]
    assert (kept[0] & kept[1] & ~kept[2]).any()
    assert not criterion.monotone_generalization
