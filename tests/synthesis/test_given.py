"""Rows of the copula with given values, against plain rejection as the oracle."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from sfumato.errors import DataError
from sfumato.synthesis import GaussianCopula
from sfumato.synthesis.conditioning import ConfinedNormal
from sfumato.table import Schema


@settings(deadline=None, max_examples=15)
@given(st.floats(-0.95, 0.95), st.floats(0.02, 0.6), st.floats(0.02, 0.6))
def test_what_is_kept_has_the_probability_of_the_rectangle(correlation, first, second):
    matrix = np.array([[1, correlation], [correlation, 1]])
    confined = ConfinedNormal.of(
        np.linalg.cholesky(matrix), {0: (0.1, 0.1 + first), 1: (0.3, 0.3 + second)}
    )
    uniform = np.random.default_rng(0).random((40_000, 2))
    rows, chance = confined.draw(uniform)
    ends = norm.ppf([[0.1, 0.3], [0.1 + first, 0.3 + second]])
    assert (rows >= ends[0] - 1e-9).all()
    assert (rows <= ends[1] + 1e-9).all()
    assert chance.max() <= 1
    exact = multivariate_normal([0, 0], matrix).cdf(ends[1], lower_limit=ends[0])
    assert confined.weight * chance.mean() == pytest.approx(exact, rel=0.05, abs=2e-4)


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(1)
    n = 5_000
    x = random.normal(size=n)
    sick = random.random(n) < 1 / (1 + np.exp(-x))
    lab = [
        None if s and u < 0.5 else round(v, 1)
        for s, u, v in zip(sick, random.random(n), x + random.normal(size=n), strict=True)
    ]
    return pl.DataFrame(
        {
            "x": x.round(1),
            "sick": sick,
            "lab": lab,
            "site": random.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
        }
    )


@pytest.mark.parametrize("target", [None, "sick"])
@pytest.mark.parametrize(
    "fixed",
    [
        {"sick": True},
        {"lab": None},
        {"site": "c", "sick": False},
        {"sick": True, "x": 0.5},
        {"lab": None, "sick": True, "site": "a"},
    ],
)
def test_given_rows_are_the_models_own_rows_with_those_values(table, fixed, target):
    schema = Schema(target=target, rest="other")
    model = GaussianCopula(cells=30).fit(table, schema)
    drawn = model.sample(4_000, seed=1, given=fixed)
    plain = model.sample(100_000, seed=2)
    for name, value in fixed.items():
        assert drawn[name].eq_missing(pl.Series([value], dtype=drawn[name].dtype)).all()
        near = pl.col(name).is_null() if value is None else pl.col(name) == value
        if name == "x":  # the cell around it
            near = (pl.col(name) - value).abs() <= 0.1
        plain = plain.filter(near)
    for name in {"x", "lab"} - set(fixed):
        error = 5 * plain[name].std() * np.sqrt(1 / 4_000 + 1 / plain.height)
        slack = 0.03 if "x" in fixed else 0.0
        assert drawn[name].mean() == pytest.approx(plain[name].mean(), abs=error + slack)
    for name in {"sick"} - set(fixed):
        assert drawn[name].mean() == pytest.approx(
            plain[name].mean(), abs=5 * 0.5 * np.sqrt(1 / 4_000 + 1 / plain.height)
        )
    assert drawn[:100].equals(model.sample(100, seed=1, given=fixed))


def test_what_was_not_learned_cannot_be_given(table):
    model = GaussianCopula().fit(table, Schema(rest="other"))
    for fixed, message in [
        ({"site": "d"}, "was not learned"),
        ({"site": None}, "was not learned"),
        ({"x": 99.0}, "was not learned"),
        ({"y": 1}, "no column 'y'"),
        ({"site": 3}, "another type"),
    ]:
        with pytest.raises(DataError, match=message):
            model.sample(10, seed=1, given=fixed)
