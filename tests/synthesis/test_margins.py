import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import InternalError
from sfumato.synthesis.margins import CategoryMargin, NumberMargin, fit_numbers, fit_parts

GRID = (np.arange(20_000) + 0.5) / 20_000


def fit(values, *, minimum=10, cells=1000, decimals=None, people=None, step=1):
    values = np.asarray(values, dtype=np.float64)
    weights = np.ones(values.size) if people is None else people
    return fit_numbers(values, weights, minimum=minimum, cells=cells, decimals=decimals, step=step)


def test_values_that_many_share_stay_as_they_are():
    margin, codes = fit(np.repeat([0.0, 1.0], [90, 10]), decimals=0)
    assert margin.low.tolist() == margin.high.tolist() == [0.0, 1.0]
    assert margin.probability.tolist() == [0.9, 0.1]
    assert np.bincount(codes).tolist() == [90, 10]
    assert (margin.draw(GRID) == 1.0).mean() == pytest.approx(0.1, abs=1e-3)


def test_a_lonely_extreme_is_never_handed_out():
    values = np.concatenate([np.random.default_rng(1).normal(170, 10, 5_000), [999.0]])
    margin, _ = fit(values)
    assert margin.draw(np.array([1.0 - 1e-12])).max() < 220


def test_a_few_people_between_atoms_join_the_nearer_one():
    margin, codes = fit(np.repeat([20.0, 31.0, 50.0], [40, 4, 40]), decimals=0)
    assert margin.low.tolist() == [20.0, 50.0]
    assert np.bincount(codes).tolist() == [44, 40]


def test_the_gap_beside_an_atom_stays_empty():
    rich = np.random.default_rng(2).uniform(5_000, 9_000, 3_000)
    margin, _ = fit(np.concatenate([np.zeros(7_000), rich]))
    drawn = margin.draw(GRID)
    assert (drawn == 0).mean() == pytest.approx(0.7, abs=1e-3)
    assert drawn[drawn > 0].min() >= 5_000


def test_the_distribution_is_kept():
    values = np.random.default_rng(3).lognormal(size=50_000)
    drawn = np.sort(fit(values)[0].draw(GRID))
    seen = np.sort(values)
    distance = np.abs(
        np.searchsorted(seen, drawn, side="right") / seen.size
        - np.arange(1, drawn.size + 1) / drawn.size
    ).max()
    assert distance < 0.002


def test_people_are_counted_not_rows():
    # One person with 30 rows of 7 is one person; ten people of 3 are ten.
    values = np.repeat([3.0, 7.0], [10, 30])
    people = np.concatenate([np.ones(10), np.full(30, 1 / 30)])
    margin, _ = fit(values, people=people, decimals=0)
    assert margin.low.tolist() == [3.0]


def test_whole_numbers_keep_their_step_and_decimals_their_resolution():
    random = np.random.default_rng(4)
    whole, _ = fit(random.integers(0, 500, 3_000) * 5, decimals=0, step=5)
    assert np.all(whole.draw(GRID) % 5 == 0)
    hundredths, _ = fit(np.round(random.normal(170, 10, 3_000), 2), decimals=2)
    drawn = hundredths.draw(GRID)
    assert np.array_equal(drawn, np.round(drawn, 2))


def test_too_few_people_are_our_own_mistake():
    with pytest.raises(InternalError):
        fit([1.0, 2.0], minimum=10)


@given(
    values=st.lists(st.integers(-50, 50), min_size=12, max_size=200),
    minimum=st.integers(2, 12),
    cells=st.integers(10, 60),
)
@settings(deadline=None)
def test_no_cell_tells_of_fewer_people_and_bounds_are_kept(values, minimum, cells):
    margin, codes = fit(values, minimum=minimum, cells=cells, decimals=0)
    assert margin.probability.sum() == pytest.approx(1.0)
    counts = np.bincount(codes, minlength=margin.low.size)
    assert counts.min() >= minimum
    assert np.allclose(counts / len(values), margin.probability)
    assert np.all(margin.low <= margin.high)
    assert np.all(margin.high[:-1] <= margin.low[1:])
    drawn = margin.draw(np.linspace(0, 1, 300))
    assert min(values) <= drawn.min() <= drawn.max() <= max(values)
    assert np.all(np.diff(drawn) >= 0)


def test_margins_survive_json():
    margin, _ = fit(np.random.default_rng(5).normal(size=500))
    again = NumberMargin.from_dict(margin.to_dict())
    assert np.array_equal(again.draw(GRID), margin.draw(GRID))
    parts = fit_parts(np.array([0, 2, 2, -1]), 4)
    assert parts.probability.tolist() == [1 / 3, 0.0, 2 / 3, 0.0]
    assert np.array_equal(CategoryMargin.from_dict(parts.to_dict()).draw(GRID), parts.draw(GRID))


def test_a_value_without_probability_is_never_drawn():
    margin = CategoryMargin(np.array([0.0, 0.5, 0.0, 0.5, 0.0]))
    assert set(margin.draw(np.array([0.0, 1e-300, 0.5, 0.999, 1.0])).tolist()) == {1, 3}
