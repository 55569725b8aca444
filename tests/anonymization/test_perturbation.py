"""Noise, swapping and PRAM: the right shape, reproducible, and not undone by the seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sfumato.anonymization import Rules, RulesRecoding
from sfumato.anonymization.perturbation import Swap, pram_matrix
from sfumato.anonymization.randomness import RandomStream
from sfumato.anonymization.rule import Place
from sfumato.errors import DataError, PlanError
from sfumato.table import Schema

SCHEMA = Schema(identifiers=["id"], quasi_identifiers=["x"], rest="other")


def fitted(
    values: Any, rule: Any, seed: int = 0, **more: Any
) -> tuple[RulesRecoding, pl.DataFrame]:
    table = pl.DataFrame({"id": range(len(values)), "x": values, **more})
    return Rules(columns={"x": rule}, seed=seed).fit(table, SCHEMA), table


# -- noise --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noise", "distribution"), [("gaussian", stats.norm), ("laplace", stats.laplace)]
)
def test_noise_has_its_distribution(noise: str, distribution: Any) -> None:
    values = np.round(np.random.default_rng(3).normal(80, 20, 20_000), 2)
    recoding, table = fitted(values, {"noise": noise, "scale": 0.8, "decimals": 9})
    moved = recoding.apply(table)["x"].to_numpy() - values
    assert stats.kstest(moved, distribution(0, 0.8).cdf).pvalue > 0.001
    assert abs(np.corrcoef(moved, values)[0, 1]) < 0.03


def test_the_same_table_gives_the_same_bytes_and_another_gives_other_noise() -> None:
    values = [float(value) for value in range(50)]
    rule = {"noise": "gaussian", "scale": 5}
    recoding, table = fitted(values, rule)
    released = recoding.apply(table)["x"]
    assert recoding.apply(table)["x"].equals(released)
    assert fitted(values, rule)[0].apply(table)["x"].equals(released)
    assert recoding.apply(table.select("x", "id"))["x"].equals(released)
    assert not fitted(values, rule, seed=1)[0].apply(table)["x"].equals(released)
    # one cell of any column differs: all the noise does
    other = table.with_columns(id=pl.when(pl.col("id") == 49).then(50).otherwise("id"))
    assert (recoding.apply(other)["x"] == released).mean() < 0.2
    # rows in the middle of others get noise of their own
    assert (recoding.apply(table[:25])["x"] == released[:25]).mean() < 0.2


def test_two_columns_and_two_steps_get_noise_of_their_own() -> None:
    values = [float(value) for value in range(200)]
    rule = {"noise": "gaussian", "scale": 1, "decimals": 9}
    table = pl.DataFrame({"x": values, "y": values})
    schema = Schema(quasi_identifiers=["x", "y"])
    released = Rules(columns={"x": rule, "y": [rule, rule]}).fit(table, schema).apply(table)
    moved = {name: released[name].to_numpy() - np.array(values) for name in "xy"}
    assert abs(np.corrcoef(moved["x"], moved["y"])[0, 1]) < 0.25
    assert 1.2 < moved["y"].std() / moved["x"].std() < 1.65  # sqrt 2


def test_who_knows_the_seed_cannot_subtract_the_noise() -> None:
    # The attacker has the plan (seed and all), the recoding, the release, and the whole table but
    # for one cell; he draws the noise with his best guess of it.
    values = np.round(np.random.default_rng(5).normal(80, 20, 300), 1)
    recoding, table = fitted(values, {"noise": "gaussian", "scale": 3}, seed=42)
    released = recoding.apply(table)["x"].to_numpy()
    guess = values.copy()
    guess[0] += 0.1
    drawn = recoding.apply(table.with_columns(x=pl.Series(guess)))["x"].to_numpy() - guess
    attacked = released - drawn
    # subtracting what he drew adds noise instead of taking it away
    assert np.std(attacked - values) > 1.25 * np.std(released - values)
    # an ordinary generator would have given everything away
    naive = np.random.default_rng(42).normal(0, 3, 300)
    assert (
        np.abs((values + naive) - np.random.default_rng(42).normal(0, 3, 300) - values).max() < 1e-9
    )


def test_noise_keeps_bounds_decimals_types_and_missing_cells() -> None:
    recoding, table = fitted(
        [0.25, 1.5, None, 9.75] * 50, {"noise": "gaussian", "scale": 4, "bounds": [0, 10]}
    )
    released = recoding.apply(table)["x"]
    assert released.dtype == pl.Float64
    assert released.is_null().equals(table["x"].is_null())
    assert released.min() >= 0
    assert released.max() <= 10
    assert released.round(2).equals(released)
    assert not released.round(1).equals(released)
    # folded back at the border, not heaped up there
    assert ((released == 0) | (released == 10)).sum() <= 2
    recoding, table = fitted([30, 40, None] * 20, {"noise": "laplace", "scale": 2})
    assert recoding.apply(table)["x"].dtype == pl.Int64
    assert recoding.apply(table)["x"].null_count() == 20
    recoding, _ = fitted([0.1 + 0.2, 1 / 3], {"noise": "laplace", "scale": 2})
    assert recoding.rules.columns["x"][0].decimals is None
    recoding, table = fitted(
        pl.Series([None, None], dtype=pl.Float64), {"noise": "laplace", "scale": 2}
    )
    assert recoding.apply(table)["x"].to_list() == [None, None]


def test_rows_of_one_person_can_be_moved_together() -> None:
    table = pl.DataFrame({"id": [1, 2, 1, 2, 1], "x": [50.0, 60.0, 50.0, 60.0, 51.0]})
    schema = Schema(person="id", quasi_identifiers=["x"])
    rule = {"noise": "gaussian", "scale": 5, "by_person": True}
    released = Rules(columns={"x": rule}).fit(table, schema).apply(table)["x"]
    moved = (released - table["x"]).round(6).to_list()
    assert moved[0] == moved[2] == moved[4] != moved[1] == moved[3]
    with pytest.raises(PlanError, match="needs to know whose row it is"):
        Rules(columns={"x": rule}).fit(table, SCHEMA)


# -- rank swapping ------------------------------------------------------------------------------


@given(
    st.lists(st.one_of(st.none(), st.integers(-50, 50)), min_size=2, max_size=60).filter(
        lambda values: sum(value is not None for value in values) != 1
    ),
    st.floats(0.01, 1),
)
def test_swapping_keeps_the_values_and_moves_them_a_little(values: list, share: float) -> None:
    series = pl.Series("x", values, dtype=pl.Int64)
    place = Place("x", SCHEMA, stream=RandomStream.of(0, b"swap"))
    swapped = Swap(swap=share).apply(series, place).to_list()
    assert Counter(swapped) == Counter(values)
    assert [value is None for value in swapped] == [value is None for value in values]
    present = sorted(value for value in values if value is not None)
    window = max(2, int(np.ceil(share * len(present))))
    for before, after in zip(values, swapped, strict=True):
        if before is not None:
            # the fewest ranks that lie between the two values, of all their ranks
            low, high = sorted((before, after))
            between = sum(low < value < high for value in present)
            assert between < window


def test_where_values_are_unique_nobody_keeps_their_own() -> None:
    for count in (2, 3, 4, 5, 7, 100, 1001):
        recoding, table = fitted(np.random.default_rng(1).permutation(count), {"swap": 0.02})
        swapped = recoding.apply(table)["x"]
        assert not (swapped == table["x"]).any()
        assert sorted(swapped) == list(range(count))


def test_swapping_keeps_the_relation_to_other_columns_roughly() -> None:
    values = np.random.default_rng(2).normal(size=5000)
    recoding, table = fitted(values, {"swap": 0.05}, y=2 * values)
    released = recoding.apply(table)
    assert 0.97 < np.corrcoef(released["x"], released["y"])[0, 1] < 0.9999


def test_a_lone_value_has_nobody_to_swap_with() -> None:
    with pytest.raises(DataError, match="column 'x' holds a single value"):
        fitted([None, 5, None], {"swap": 0.5})
    with pytest.raises(PlanError, match="needs numbers or dates"):
        fitted(["a", "b"], {"swap": 0.5})


# -- PRAM ---------------------------------------------------------------------------------------

SHARES = {"a": 0.6, "b": 0.3, "c": 0.1}


def letters(n: int) -> list[str]:
    return [name for name, share in SHARES.items() for _ in range(round(share * n))]


@pytest.mark.parametrize("invariant", [False, True])
def test_pram_draws_by_its_matrix(invariant: bool) -> None:
    n = 40_000
    recoding, table = fitted(letters(n), {"pram": 0.3, "invariant": invariant})
    released = recoding.apply(table)
    matrix = pram_matrix(0.3, np.array([0.6, 0.3, 0.1]), invariant=invariant)
    pairs = Counter(zip(table["x"], released["x"], strict=True))
    for i, old in enumerate(SHARES):
        expected = matrix[i] * n * SHARES[old]
        observed = [pairs[old, new] for new in SHARES]
        assert stats.chisquare(observed, expected).pvalue > 1e-5


@given(
    st.floats(0.001, 0.999),
    st.lists(st.floats(0.01, 1), min_size=2, max_size=6),
)
def test_the_invariant_matrix_is_a_transition_matrix_that_keeps_the_shares(
    replaced: float, weights: list[float]
) -> None:
    shares = np.array(weights) / sum(weights)
    plain = pram_matrix(replaced, shares, invariant=False)
    assert np.allclose(plain.sum(axis=1), 1)
    assert np.allclose(np.diag(plain), 1 - replaced)
    invariant = pram_matrix(replaced, shares, invariant=True)
    assert (invariant >= 0).all()
    assert np.allclose(invariant.sum(axis=1), 1)
    assert np.allclose(shares @ invariant, shares)


def test_the_invariant_matrix_of_two_categories_by_hand() -> None:
    # shares 3/4 and 1/4, replaced 1/5: P = [4/5 1/5; 1/5 4/5]; P gives 13/20 and 7/20;
    # back by Bayes' rule: Q = [12/13 1/13; 3/7 4/7]; R = P Q
    expected = [
        [4 / 5 * 12 / 13 + 1 / 5 * 3 / 7, 4 / 5 / 13 + 1 / 5 * 4 / 7],
        [1 / 5 * 12 / 13 + 4 / 5 * 3 / 7, 1 / 5 / 13 + 4 / 5 * 4 / 7],
    ]
    assert np.allclose(pram_matrix(0.2, np.array([0.75, 0.25]), invariant=True), expected)


@pytest.mark.parametrize("values", [[1, 2, 3, 2] * 20, [True, False] * 40, ["x", "y"] * 40])
def test_pram_keeps_types_and_missing_cells(values: list[Any]) -> None:
    recoding, table = fitted([*values, None], {"pram": 0.5, "invariant": True})
    released = recoding.apply(table)["x"]
    assert released.dtype == table["x"].dtype
    assert set(released) == set(table["x"])
    assert released.is_null().equals(table["x"].is_null())
    assert 0.2 < (released == table["x"]).mean() < 1


def test_a_category_never_seen_is_not_let_through() -> None:
    recoding, _ = fitted(letters(1000), {"pram": 0.01})
    new = pl.DataFrame({"id": range(500), "x": ["unheard-of"] * 500})
    drawn = Counter(recoding.apply(new)["x"])
    assert set(drawn) == set(SHARES)
    assert stats.chisquare([drawn[name] for name in SHARES], [300, 150, 50]).pvalue > 0.001


@pytest.mark.parametrize("invariant", [False, True])
def test_many_rows_of_one_person_do_not_give_the_category_away(invariant: bool) -> None:
    people, visits = 2_000, 15
    true = np.random.default_rng(5).choice(["f", "m"], people, p=[0.7, 0.3])
    table = pl.DataFrame({"who": np.repeat(range(people), visits), "x": np.repeat(true, visits)})
    schema = Schema(identifiers=["who"], quasi_identifiers=["x"], person="who")
    rule = {"pram": 0.3, "invariant": invariant}
    matrix = pram_matrix(
        0.3, np.array([(true == "f").mean(), (true == "m").mean()]), invariant=invariant
    )
    stays = float(sum(matrix[i, i] * (true == name).mean() for i, name in enumerate("fm")))

    alone = Rules(columns={"x": rule}).fit(table, schema)
    shown = alone.apply(table)["x"].to_numpy().reshape(people, visits)
    voted = np.where((shown == "m").mean(axis=1) > 0.5, "m", "f")
    assert (voted == true).mean() > stays + 0.05
    assert "a person's rows together can give it away" in alone.describe()[1].how

    together = Rules(columns={"x": {**rule, "by_person": True}}).fit(table, schema)
    shown = together.apply(table)["x"].to_numpy().reshape(people, visits)
    assert (shown == shown[:, :1]).all()
    assert abs((shown[:, 0] == true).mean() - stays) < 4 * np.sqrt(0.25 / people)
    assert "the same for all rows of a person" in together.describe()[1].how
    assert (
        RulesRecoding.from_dict(together.to_dict()).apply(table)["x"].to_list()
        == shown.ravel().tolist()
    )
    with pytest.raises(PlanError, match="whose row it is"):
        fitted(["a", "b"], {"pram": 0.3, "by_person": True})


@pytest.mark.parametrize(
    ("values", "rule", "message"),
    [
        ([1.5, 2.5], {"pram": 0.1}, "needs categories, but the column holds Float64"),
        (["a", "a"], {"pram": 0.1}, "needs 2 to 1000 categories, but the column holds 1"),
        ([f"{n}" for n in range(1001)], {"pram": 0.1}, "but the column holds 1001"),
        (["a"], {"noise": "gaussian", "scale": 1}, "noise needs numbers"),
    ],
)
def test_what_cannot_be_perturbed(values: list[Any], rule: Any, message: str) -> None:
    with pytest.raises(PlanError) as raised:
        fitted(values, rule)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"pram": 0}, "greater than 0"),
        ({"pram": 1}, "less than 1"),
        ({"pram": 0.1, "categories": ["a"]}, "together or not at all"),
        ({"pram": 0.1, "categories": ["a", "b"], "shares": [1, 1]}, "sum to 1"),
        ({"pram": 0.1, "categories": ["a"], "shares": [1]}, "at least 2"),
        ({"swap": 0}, "greater than 0"),
        ({"swap": 1.5}, "less than or equal to 1"),
        ({"noise": "uniform", "scale": 1}, "'gaussian' or 'laplace'"),
        ({"noise": "gaussian"}, "'scale' is required"),
        ({"noise": "gaussian", "scale": -1}, "greater than 0"),
        ({"noise": "gaussian", "scale": 1, "bounds": [5, 5]}, "bounds must rise"),
    ],
)
def test_settings_that_cannot_be(rule: Any, message: str) -> None:
    with pytest.raises(PlanError) as raised:
        Rules(columns={"x": rule})
    assert message in str(raised.value)


def test_swaps_are_drawn_anew_for_each_table() -> None:
    found = [fitted(range(start, start + 40), {"swap": 0.5}) for start in range(3)]
    moves = [(recoding.apply(table)["x"] - table["x"]).to_list() for recoding, table in found]
    assert all(first != second for first, second in pairwise(moves))
