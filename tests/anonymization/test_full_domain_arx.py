"""ARX's optimum on Adult, to the last row: scores, levels, suppressed rows and classes.

The golden numbers are those of ARX 3.9.2 (commit aacd487f, core library), run on the same table
with the same hierarchies by optimal search (Flash), without attribute weights; "Loss" is its
utility measure of that name, by arithmetic and by geometric mean, "entropy" its non-uniform
entropy. Scores are given with the digits that ARX reports.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl
import pytest

from sfumato.anonymization.lattice.full_domain import FullDomain
from sfumato.anonymization.lattice.full_domain_recoding import FullDomainRecoding
from sfumato.privacy import LDiversity, TCloseness
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
    "salary-class",
]
L3 = LDiversity("occupation", 3)
T02 = TCloseness("occupation", 0.2)
T02_SALARY = TCloseness("salary-class", 0.2)


@cache
def adult() -> pl.DataFrame:
    return pl.read_csv(DATA / "adult_kanonml.csv.gz", separator=";").drop("ID")


@cache
def schema(sensitive: str | None) -> Schema:
    folder = DATA / "hierarchies"
    return Schema(
        quasi_identifiers={
            name: Hierarchy.read(folder / f"adult_hierarchy_{name}.csv")
            for name in COLUMNS
            if name != sensitive
        },
        sensitive=[] if sensitive is None else [sensitive],
    )


def fitted(loss: str, limit: float, criteria: tuple = (), gs: float = 0.5) -> FullDomainRecoding:
    sensitive = criteria[0].column if criteria else None
    technique = FullDomain(k=5, criteria=criteria, suppression_limit=limit, loss=loss, gs_factor=gs)
    return technique.fit(adult(), schema(sensitive))


def check(
    recoding: FullDomainRecoding, score: float, levels: str, suppressed: int, classes: int
) -> None:
    assert recoding.found.optimal
    assert recoding.found.value == pytest.approx(score, rel=1e-9)
    assert list(recoding.levels.values()) == [int(level) for level in levels.split()]
    assert recoding.suppressed_rows == suppressed
    assert len(recoding.large.kept) == classes


@pytest.mark.parametrize(
    ("loss", "limit", "score", "levels", "suppressed", "classes"),
    [
        ("geometric", 0.0, 0.5731509655590044, "0 4 1 1 3 2 2 1 0", 0, 24),
        ("geometric", 0.02, 0.3137130352819242, "0 3 0 2 2 1 1 2 0", 506, 222),
        ("geometric", 0.05, 0.2419323650662908, "0 3 0 0 2 1 1 2 0", 1346, 397),
        ("geometric", 1.0, 0.22041192847984292, "0 3 0 0 2 1 1 1 0", 2553, 602),
        ("arithmetic", 0.0, 0.6355438466888889, "0 4 1 1 3 2 2 1 0", 0, 24),
        ("arithmetic", 0.02, 0.35748248986666664, "0 3 0 2 2 1 1 2 0", 506, 222),
        ("arithmetic", 0.05, 0.26963466275555553, "0 3 0 0 2 1 1 2 0", 1346, 397),
        ("arithmetic", 1.0, 0.22770032318888891, "0 3 0 0 2 1 1 1 0", 2553, 602),
        ("entropy", 0.0, 407289.5388925293, "1 2 1 1 3 2 2 1 1", 0, 48),
        ("entropy", 0.02, 285604.749644758, "0 0 1 1 3 2 2 1 1", 309, 599),
        ("entropy", 0.05, 264341.93830412335, "0 0 1 1 2 2 2 1 1", 1285, 998),
        pytest.param(
            *("entropy", 1.0, 249855.10868148197, "0 0 1 1 3 2 2 0 0", 3659, 1623),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_k_anonymity(loss, limit, score, levels, suppressed, classes):
    check(fitted(loss, limit), score, levels, suppressed, classes)


@pytest.mark.parametrize(
    ("loss", "limit", "criteria", "score", "levels", "suppressed", "classes"),
    [
        ("geometric", 0.0, (L3, T02), 0.9183953641009659, "1 4 1 1 3 2 2 1", 0, 2),
        ("geometric", 0.05, (L3, T02), 0.8150031862123897, "1 4 1 1 3 1 2 1", 235, 6),
        pytest.param(
            *("geometric", 1.0, (L3, T02), 0.6041652321342552, "1 2 0 0 3 0 2 1", 8156, 23),
            marks=pytest.mark.slow,
        ),
        ("arithmetic", 0.0, (L3, T02), 0.9291451163625, "1 4 1 1 3 2 2 1", 0, 2),
        ("arithmetic", 0.05, (L3, T02), 0.8396944347625, "1 4 1 1 3 1 2 1", 235, 6),
        pytest.param(
            *("arithmetic", 1.0, (L3, T02), 0.6434940713999999, "1 2 0 0 3 0 2 1", 8156, 23),
            marks=pytest.mark.slow,
        ),
        ("arithmetic", 0.05, (L3,), 0.1798769039, "0 3 0 0 2 1 1 0", 1400, 387),
        ("arithmetic", 0.05, (T02,), 0.8396944347625, "1 4 1 1 3 1 2 1", 235, 6),
        ("arithmetic", 0.05, (T02_SALARY,), 0.5514460011, "0 4 0 2 3 0 1 2", 1022, 84),
        pytest.param(
            *("arithmetic", 1.0, (T02_SALARY,), 0.4973999377625, "0 4 0 2 3 0 0 1", 4443, 132),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_diversity_and_closeness(loss, limit, criteria, score, levels, suppressed, classes):
    check(fitted(loss, limit, criteria), score, levels, suppressed, classes)


def test_only_generalization_costs_at_a_factor_of_zero():
    # the global step of ARX's local recoding: nothing is generalized, as suppression is for free
    recoding = fitted("arithmetic", 0.99, (L3, T02), gs=0.0)
    assert recoding.found.value == pytest.approx(0.0113636363625, rel=1e-9)
    assert list(recoding.levels.values()) == [0, 2, 0, 0, 0, 0, 0, 0]


def test_starred_rows_cost_nothing_more_where_they_hide_each_other():
    technique = FullDomain(k=5, suppression_limit=0.05)
    star = technique.fit(adult(), schema(None))
    drop = FullDomain(k=5, suppression_limit=0.05, suppressed="drop").fit(adult(), schema(None))
    assert star.levels == drop.levels
    assert star.suppressed_rows == drop.suppressed_rows == 1346
    assert star.given_up == 0
    released = star.apply(adult())
    sizes = released.group_by(COLUMNS).len()["len"]
    assert sizes.min() == 5
    assert len(sizes) == 397 + 1
