"""Anonify's distribution tables and pairing of rows, on a small table written as ARX writes it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sfumato.errors import PlanError, SchemaError
from sfumato.evaluation.anonify import AnonifySettings, bins_of, distributions, pair_rows
from sfumato.evaluation.anonify.bins import Bins, category_labels
from sfumato.evaluation.anonify.study_encoding import StudyEncoding
from sfumato.table import Hierarchy

REAL = pl.DataFrame(
    {
        "sex": ["F", "F", "F", "M", "M", "M", "O", "F"],
        "age": [3.0, 18.0, 25.0, 39.0, 40.0, 61.0, 79.0, 80.0],
        "glucose": [100, 120, 140, 160, 90, 110, 130, 150],
        "ill": [0, 0, 1, 1, 0, 1, 0, 1],
    }
)
# as ARX writes it: exact values, intervals and * in one column, rows in another order
ARX = pl.DataFrame(
    {
        "sex": ["*", "F", "F", "M", "M", "*", "F", "M"],
        "age": ["*", "80.0", "0-20", "20-40", "40-60", "60-80", "20-60", "60-65"],
        "glucose": [120, 150, 100, 160, 90, 130, 140, 110],
        "ill": [0, 1, 0, 1, 0, 0, 1, 1],
    }
)
AGE = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)


# -- bins ----------------------------------------------------------------------------------------


def test_a_value_is_in_the_bin_that_contains_it():
    bins = Bins("age", tuple("abcde"), AGE)
    texts = ["0-20", "20.0", "19.99", "20-40", "15-25", "*", None, "100", "80.0", "-5", "[60, 80)"]
    assert bins.of(pl.Series(texts)).tolist() == [0, 1, 0, 1, -1, -1, -1, -1, 4, -1, 3]
    assert bins.of(pl.Series([0, 20, 99, 100, None])).tolist() == [0, 1, 4, -1, -1]


def test_categories_are_bins_of_their_own():
    bins = bins_of(REAL["sex"])
    assert bins.labels == ("F", "M", "O")
    assert bins.of(ARX["sex"]).tolist() == [-1, 0, 0, 1, 1, -1, 0, 1]


def test_round_bins_are_those_of_the_paper():
    assert bins_of(REAL["age"]).edges == AGE


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
@example([0.0, 7.3e-239])
@example([0.0, 5e-324])
@example([1e6, 1e6 - 1e-9])
@example([0.1, 0.3])
@settings(max_examples=300, deadline=None)
def test_default_bins_hold_every_number(numbers):
    bins = bins_of(pl.Series("x", numbers))
    assert (bins.of(pl.Series(numbers)) >= 0).all()
    assert len(bins.labels) <= 8


def test_whole_numbers_read_the_same_whatever_their_type():
    labels = category_labels(pl.Series([1.0, 0.5, None, -3.0])).to_list()
    assert labels == ["1", "0.5", None, "-3"]
    assert category_labels(pl.Series([1, 0])).to_list() == ["1", "0"]
    assert category_labels(pl.Series([True, False])).to_list() == ["1", "0"]


def test_bins_that_cannot_be_are_refused():
    with pytest.raises(SchemaError, match="edges are for numbers"):
        bins_of(REAL["sex"], (0.0, 1.0))
    with pytest.raises(SchemaError, match="60 values"):
        bins_of(pl.Series("town", [f"t{place}" for place in range(60)]))


# -- distributions: counted by hand ---------------------------------------------------------------


def table(quasi_identifier, sensitive, kept=None):
    bins = {"sex": bins_of(REAL["sex"]), "age": bins_of(REAL["age"], AGE)}
    rows = [np.ones(8, dtype=bool)] if kept is None else [np.array(one) for one in kept]
    # glucose is averaged only with more than ten distinct values
    spread = pl.DataFrame({"glucose": [float(place) for place in range(11)]})
    real, released = REAL, ARX
    if sensitive == "glucose":
        filler = {"sex": ["none"] * 11, "age": [500.0] * 11, "ill": [0] * 11}
        real = pl.concat(
            [
                REAL.cast({"glucose": pl.Float64}),
                spread.with_columns(
                    **{name: pl.Series(values) for name, values in filler.items()}
                ).select(REAL.columns),
            ]
        )
        released = ARX.cast({"glucose": pl.Float64})
    (found,) = distributions(real, released, [bins[quasi_identifier]], [sensitive], rows)
    return found


def test_counts_by_bin():
    found = table("sex", "ill")
    assert found.kind == "count"
    assert found.values == ("0", "1")
    assert found.original == ((2.0, 1.0, 1.0), (2.0, 2.0, 0.0))
    assert found.anonymized == ((1.0, 1.0, 0.0), (2.0, 2.0, 0.0))
    assert (found.left_out_original, found.left_out_anonymized) == (0, 2)


def test_means_by_bin():
    found = table("age", "glucose")
    assert found.kind == "mean"
    assert found.original == ((110.0, 150.0, 90.0, 120.0, 150.0),)
    assert found.anonymized == ((100.0, 160.0, 90.0, 120.0, 150.0),)
    assert (found.left_out_original, found.left_out_anonymized) == (11, 2)


def test_the_mean_over_samples_leaves_out_bins_that_a_sample_lacks():
    first = [True] * 8
    second = [True, True, False, True, False, False, True, True]
    found = table("age", "glucose", [first, second])
    assert found.sampled == ((100.0, 160.0, 90.0, 115.0, 150.0),)
    assert found.sampled_lowest == ((100.0, 160.0, 90.0, 110.0, 150.0),)
    assert found.sampled_highest == ((100.0, 160.0, 90.0, 120.0, 150.0),)
    counts = table("sex", "ill", [first, second])
    assert counts.sampled == ((0.5, 0.5, 0.0), (2.0, 2.0, 0.0))
    none = table("age", "glucose", [[False] * 8])
    assert none.sampled == ((None,) * 5,)


# -- cells as numbers ----------------------------------------------------------------------------


def test_the_published_encoding():
    codes = {"sex": {"F": 0, "M": 1, "*": 2, "O": 3}}
    encoding = StudyEncoding.of(["sex", "age"], (REAL, ARX), codes)
    found = encoding.matrix(ARX)
    assert found[:, 0].tolist() == [2, 0, 0, 1, 1, 2, 0, 1]
    assert found[1:, 1].tolist() == [80.0, 10.0, 30.0, 50.0, 70.0, 40.0, 62.5]
    assert np.isnan(found[0, 1])
    assert encoding.matrix(REAL)[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 3, 0]


def test_values_without_a_code_get_the_next_free_numbers():
    town = pl.DataFrame({"town": ["b", "a", "*", "c", None]})
    encoding = StudyEncoding.of(["town"], (town,), {"town": {"c": 1}})
    assert encoding.codes["town"] == {"c": 1, "": 0, "a": 2, "b": 3, "*": 4}
    assert encoding.matrix(town)[:, 0].tolist() == [3, 2, 4, 1, 0]


# -- whose row -----------------------------------------------------------------------------------


def test_rows_of_arx_find_their_people():
    found = pair_rows(REAL, ARX, ["sex", "age"], {})
    assert (found.by, found.unpaired) == ("content", 0)
    assert found.of_released.tolist() == [1, 7, 0, 3, 4, 6, 2, 5]


def test_rows_in_the_same_order_are_told_by_it():
    same = REAL.with_columns(age=pl.Series(["*"] * 8), sex=pl.Series(["*"] * 8))
    assert pair_rows(REAL, same, ["sex", "age"], {}).by == "position"


def test_a_changed_cell_leaves_a_row_unpaired():
    changed = ARX.with_columns(glucose=ARX["glucose"] + pl.Series([0] * 7 + [1]))
    found = pair_rows(REAL, changed, ["sex", "age"], {})
    assert found.unpaired == 1
    assert found.of_released[7] == -1


def test_labels_are_looked_up_in_the_hierarchy():
    towns = pl.DataFrame({"town": ["a", "b", "c"], "number": [1, 1, 1]})
    tree = Hierarchy.mapping({"a": "north", "b": "north", "c": "south"})
    released = pl.DataFrame({"town": ["south", "north", "north"], "number": [1, 1, 1]})
    found = pair_rows(towns, released, ["town"], {"town": tree})
    assert found.unpaired == 0
    assert found.of_released[0] == 2
    assert pair_rows(towns, released, ["town"], {}).unpaired == 3


WIDTHS = st.sampled_from([1, 5, 20, 0])


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from("fm"), st.integers(0, 2), WIDTHS, WIDTHS),
        min_size=1,
        max_size=40,
    ),
    order=st.randoms(use_true_random=False),
    dropped=st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_every_row_of_a_true_release_is_paired(rows, order, dropped):
    real = pl.DataFrame(
        {
            "age": [row[0] for row in rows],
            "sex": [row[1] for row in rows],
            "ill": [row[2] for row in rows],
        }
    )

    def label(age, width):
        if width == 0:
            return "*"
        return str(age) if width == 1 else f"{age // width * width}-{age // width * width + width}"

    released = [(label(row[0], row[3]), row[1] if row[4] else "*", row[2]) for row in rows]
    places = list(range(len(rows)))
    order.shuffle(places)
    places = places[: max(1, len(places) - dropped)]
    shown = pl.DataFrame(
        [released[place] for place in places], schema=["age", "sex", "ill"], orient="row"
    )
    found = pair_rows(real, shown, ["age", "sex"], {})
    assert found.unpaired == 0
    assert len(set(found.of_released.tolist())) == len(places)
    for row, mine in zip(shown.rows(), found.of_released.tolist(), strict=True):
        age, sex, ill = real.row(mine)
        assert ill == row[2]
        assert row[1] in (sex, "*")
        if "-" in row[0]:
            low, high = row[0].split("-")
            assert int(low) <= age <= int(high)
        else:
            assert row[0] in (str(age), "*")


def test_too_many_alike_are_not_guessed(monkeypatch):
    monkeypatch.setattr("sfumato.evaluation.anonify.whose._MOST_PAIRS", 3)
    found = pair_rows(REAL, ARX, ["sex", "age"], {})
    assert "alike" in found.because
    assert found.unpaired == 8


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"delete": [0.0]}, "greater than 0"),
        ({"delete": [1.0]}, "less than 1"),
        ({"delete": [0.3, 0.3]}, "twice"),
        ({"runs": 0}, "greater than or equal to 1"),
        ({"bins": {"age": [3, 2]}}, "bins.age"),
        ({"bins": {"age": [3]}}, "two or more"),
        ({"classifiers": ["svn"]}, "Did you mean 'svm'"),
        ({"codes": {"sex": {"F": 0, "M": 0}}}, "codes.sex"),
        ({"seeds": 3}, "unknown setting"),
    ],
)
def test_wrong_settings_are_refused(asked, word):
    with pytest.raises(PlanError, match=word):
        AnonifySettings(**asked)
