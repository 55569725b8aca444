"""OLA: the minimal generalizations and six metrics, against brute force and k-AnonML."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache
from itertools import product
from pathlib import Path

import polars as pl
import pytest

from sfumato.anonymization.lattice.full_domain import FullDomain
from sfumato.anonymization.lattice.full_domain_recoding import FullDomainRecoding
from sfumato.anonymization.lattice.ola import OLA
from sfumato.errors import GuaranteeNotMet, PlanError
from sfumato.privacy import KAnonymity
from sfumato.release import verify
from sfumato.table import Hierarchy, Schema

DATA = Path(__file__).parents[1] / "data"
COLUMNS = [
    "sex",
    "age",
    "race",
    "marital-status",
    "education",
    "native-country",
    "workclass",
    "occupation",
]
SMALL = ["sex", "age", "race", "workclass"]


@cache
def adult() -> pl.DataFrame:
    return pl.read_csv(DATA / "adult_kanonml.csv.gz", separator=";").drop("ID")


@cache
def schema(columns: tuple[str, ...] = tuple(COLUMNS)) -> Schema:
    folder = DATA / "hierarchies"
    hierarchies = {name: Hierarchy.read(folder / f"adult_hierarchy_{name}.csv") for name in columns}
    return Schema(quasi_identifiers=hierarchies, rest="other")


@pytest.mark.parametrize(
    ("k", "limit", "classes", "suppressed"),
    [
        # k-AnonML (snapshot 160b63e, 2023-10) on the same table, metric gweight
        (5, 0.0, 30, 0),
        (10, 0.0, 30, 0),
        (50, 0.0, 12, 0),
        (250, 0.0, 12, 0),
        (10, 0.05, 281, 1452),
        (50, 0.05, 66, 1497),
        (250, 0.05, 21, 534),
    ],
)
def test_what_k_anonml_finds(k, limit, classes, suppressed):
    recoding = OLA(k=k, suppression_limit=limit).fit(adult(), schema())
    assert len(recoding.large.kept) == classes
    assert recoding.suppressed_rows == suppressed
    assert recoding.given_up == 0


# -- brute force on four columns -------------------------------------------------------------------


@cache
def every_node(k: int, most: int) -> dict[tuple[int, ...], Counter]:
    """Return the class sizes of each node that suffices."""
    table = adult()
    hierarchies = schema(tuple(SMALL)).hierarchies
    labels = {
        (name, level): one.generalize(table[name].alias(name), level)
        for name, one in hierarchies.items()
        for level in range(one.height + 1)
    }
    found = {}
    for levels in product(*(range(hierarchies[name].height + 1) for name in SMALL)):
        columns = [labels[pair] for pair in zip(SMALL, levels, strict=True)]
        sizes = Counter(pl.DataFrame(columns).rows())
        if sum(size for size in sizes.values() if size < k) <= most:
            found[levels] = sizes
    return found


def entropy(levels: tuple[int, ...]) -> float:
    bits = 0.0
    for name, level in zip(SMALL, levels, strict=True):
        exact = adult()[name]
        general = schema(tuple(SMALL)).hierarchies[name].generalize(exact, level)
        own, of = Counter(exact), Counter(general)
        for (value, group), rows in Counter(zip(exact, general, strict=True)).items():
            bits -= rows * math.log2(own[value] / of[group])
    return bits


def measured(metric: str, levels: tuple[int, ...], sizes: Counter, k: int) -> float:
    kept = [size for size in sizes.values() if size >= k]
    if metric in ("none", "gweight"):
        return sum(levels)
    if metric == "prec":
        tops = [one.height for one in schema(tuple(SMALL)).hierarchies.values()]
        return sum(level / top for level, top in zip(levels, tops, strict=True)) / len(tops)
    if metric == "aecs":
        return sum(kept) / len(kept)
    if metric == "dm":
        rows = sum(sizes.values())
        return sum(size * size for size in kept) + (rows - sum(kept)) * rows
    return entropy(levels)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["none", "gweight", "prec", "aecs", "dm", "ent"])
@pytest.mark.parametrize(("k", "limit"), [(20, 0.0), (20, 0.02), (300, 0.1)])
def test_the_best_minimal_node_by_each_metric(metric, k, limit):
    enough = every_node(k, int(limit * adult().height))
    minimal = {
        levels
        for levels in enough
        if not any(
            other != levels and all(a <= b for a, b in zip(other, levels, strict=True))
            for other in enough
        )
    }
    values = {levels: measured(metric, levels, enough[levels], k) for levels in minimal}
    expected = min(minimal, key=lambda levels: (round(values[levels], 6), sum(levels), levels))
    technique = OLA(k=k, suppression_limit=limit, metric=metric, suppressed="drop")
    recoding = technique.fit(adult(), schema(tuple(SMALL)))
    names = [name for name in adult().columns if name in SMALL]
    found = tuple(recoding.levels[name] for name in SMALL)
    assert found == expected
    assert recoding.found.value == pytest.approx(values[expected], rel=1e-9)
    places = [names.index(name) for name in SMALL]
    assert {tuple(of[place] for place in places) for of in recoding.found.minimal} == minimal


# -- as a technique --------------------------------------------------------------------------------


def test_every_minimal_one_is_given_and_keeps_k():
    table = adult().head(3000)
    technique = OLA(k=25, suppression_limit=0.03, metric="none")
    every = technique.fit_all(table, schema(tuple(SMALL)))
    assert len(every) > 1
    assert [tuple(one.levels.values()) for one in every] == list(every[0].found.minimal)
    assert every[0] == technique.fit(table, schema(tuple(SMALL)))
    for recoding in every:
        released = recoding.apply(table)
        assert verify(released, recoding.released_schema(), [KAnonymity(25)]).passed
        assert FullDomainRecoding.from_dict(recoding.to_dict()) == recoding
    # not bound to minimal levels, the optimum is at least as good
    best = FullDomain(k=25, suppression_limit=0.03).fit(table, schema(tuple(SMALL)))
    for recoding in every:
        fixed = {"minimum_levels": recoding.levels, "maximum_levels": recoding.levels}
        same = FullDomain(k=25, suppression_limit=0.03, **fixed).fit(table, schema(tuple(SMALL)))
        assert same.levels == recoding.levels
        assert best.found.value <= same.found.value + 1e-12


def test_one_without_room_to_hide_the_suppressed_is_passed_over():
    # exact towns suffice if one row is suppressed, but alone it would stand out
    table = pl.DataFrame({"town": ["Lyon"] * 20 + ["Nice"] * 8 + ["Lille"]})
    whose = Schema(quasi_identifiers=["town"])
    dropped = OLA(k=5, suppression_limit=0.05, suppressed="drop").fit(table, whose)
    assert dropped.levels == {"town": 0}
    star = OLA(k=5, suppression_limit=0.05).fit(table, whose)
    assert star.levels == {"town": 1}
    assert star.suppressed_rows == 0


def test_what_cannot_be_is_refused():
    table = pl.DataFrame({"town": ["Lyon", "Nice", "Lille"]})
    whose = Schema(quasi_identifiers=["town"])
    with pytest.raises(PlanError, match="k = 5 is more than the table has: 3 rows"):
        OLA(k=5).fit(table, whose)
    with pytest.raises(GuaranteeNotMet, match="allow more suppression"):
        OLA(k=2, maximum_levels={"town": 0}).fit(table, whose)
    with pytest.raises(PlanError, match="metric"):
        OLA(metric="weight")
