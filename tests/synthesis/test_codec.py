import json
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from sfumato.errors import DataError
from sfumato.synthesis.codec import Codec, ColumnGrid, read_table
from sfumato.synthesis.margins import NumberMargin
from sfumato.synthesis.trees import Trees
from sfumato.table import Column, Hierarchy, Schema

REST = Schema(rest="other")


def fit(table, schema=REST, *, minimum=5, cells=1000, rare="drop"):
    return Codec.fit(
        read_table(table, schema, minimum=minimum, rare=rare), minimum=minimum, cells=cells
    )


@pytest.fixture(scope="module")
def mixed():
    random = np.random.default_rng(0)
    n = 2_000
    bmi = np.where(random.random(n) < 0.255, 27.32, random.normal(27, 5, n).round(2))
    income = np.exp(random.normal(10, 1.5, n)).astype(np.int64)
    lab = [
        None if u < 0.2 else "*" if u < 0.3 else str(round(v, 1))
        for u, v in zip(random.random(n), random.normal(50, 20, n), strict=True)
    ]
    return pl.DataFrame(
        {
            "bmi": bmi,
            "income": income,
            "lab": lab,
            "fives": pl.Series(5 * random.integers(0, 20, n), dtype=pl.Int16),
            "flag": random.random(n) < 0.5,
            "word": random.choice(["a", "b", "c"], n),
            "day": pl.Series([date(2020, 1, 1 + int(v)) for v in random.integers(0, 28, n)]),
            "at": pl.Series(
                [datetime(2020, 1, 1, int(v), tzinfo=UTC) for v in random.integers(0, 24, n)]
            ),
        }
    )


def test_what_is_decoded_is_a_valid_value_of_the_column(mixed):
    codec, codes = fit(mixed)
    within = np.random.default_rng(1).random(codes.shape)
    back = codec.decode(codes, within)
    assert back.schema == mixed.schema
    assert (back["fives"] % 5 == 0).all()
    assert back["word"].is_in(["a", "b", "c"]).all()
    assert_frame_equal(
        back.select("flag", "word", "day", "at", "fives"),
        mixed.select("flag", "word", "day", "at", "fives"),
    )
    for name in ("bmi", "income"):
        assert mixed[name].min() <= back[name].min() <= back[name].max() <= mixed[name].max()
    assert (back["bmi"].round(2) == back["bmi"]).all()
    for empty in (pl.col("lab").is_null(), pl.col("lab") == "*"):
        assert back.select(empty).equals(mixed.select(empty))


def test_an_atom_has_a_cell_of_its_own_and_only_it_decodes_to_it(mixed):
    codec, codes = fit(mixed)
    grid = codec.grids[0]
    cell = int(np.flatnonzero(grid.atoms & (grid.centres == 27.32))[0])
    assert ((codes[:, 0] == cell) == (mixed["bmi"] == 27.32).to_numpy()).all()
    assert grid.margin.probability[cell] == pytest.approx((mixed["bmi"] == 27.32).mean())


@pytest.mark.parametrize("minimum", [5, 25])
def test_no_cell_tells_of_fewer_people_than_the_minimum(mixed, minimum):
    codec, codes = fit(mixed, minimum=minimum)
    for place, grid in enumerate(codec.grids):
        counts = np.bincount(codes[:, place], minlength=grid.cells)
        assert counts.min() >= minimum, grid.name


def test_a_person_with_many_rows_is_one_person():
    table = pl.DataFrame(
        {
            "who": [*range(40), *([99] * 60)],
            "word": [*(["common"] * 40), *(["hers"] * 60)],
            "number": [*range(40), *([1000] * 60)],
        }
    )
    schema = Schema(person="who", rest="other")
    codec, codes = fit(table, schema)
    assert codec.names == ("word", "number")
    assert codec.grids[0].labels == ("common",)
    assert (codes[40:, 0] == -1).all()
    assert codec.grids[1].margin.high.max() < 1000
    by_rows, _ = fit(table.drop("who"))
    assert "hers" in by_rows.grids[0].labels


def test_new_rows_are_encoded_as_the_fitted_ones(mixed):
    codec, codes = fit(mixed)
    again = codec.encode(mixed)
    atoms = [codec.names.index(name) for name in ("flag", "word", "day", "at", "fives")]
    assert (again[:, atoms] == codes[:, atoms]).all()
    # A number at the edge of a stretch may go to the nearer neighbour.
    assert (np.abs(again - codes) <= 1).all()
    assert (again == codes).mean() > 0.98
    other = mixed[:1].with_columns(word=pl.lit("new"), bmi=pl.lit(500.0))
    strange = codec.encode(other)[0]
    assert strange[codec.names.index("word")] == -1
    assert strange[0] == codec.grids[0].values - 1


def test_the_codec_survives_its_dictionary(mixed):
    import json

    codec, codes = fit(mixed)
    again = Codec.from_dict(json.loads(json.dumps(codec.to_dict())))
    within = np.full(codes.shape, 0.3)
    assert_frame_equal(again.decode(codes, within), codec.decode(codes, within))
    assert again.sizes == codec.sizes


def test_one_value_is_encoded_or_refused_without_repeating_it(mixed):
    codec, _ = fit(mixed)
    grids = dict(zip(codec.names, codec.grids, strict=True))
    assert grids["word"].encode_value("b") == grids["word"].labels.index("b")
    assert grids["lab"].encode_value(None) == grids["lab"].values
    assert grids["lab"].encode_value("*") == grids["lab"].values + 1
    assert grids["day"].encode_value(date(2020, 1, 3)) == 2
    for name, value in [("word", "secret"), ("word", None), ("income", 10**12), ("bmi", None)]:
        with pytest.raises(DataError, match=f"'{name}' was not learned") as caught:
            grids[name].encode_value(value)
        assert str(value) not in str(caught.value) or value is None
    with pytest.raises(DataError, match="of another type"):
        grids["income"].encode_value("many")
    with pytest.raises(DataError, match="of another type"):
        grids["fives"].encode_value(2.5)


def test_an_empty_column_is_one_cell():
    table = pl.DataFrame({"none": pl.Series([None] * 20, dtype=pl.String), "x": [1, 2] * 10})
    codec, codes = fit(table)
    assert codec.sizes == (1, 2)
    assert codec.decode(codes, np.zeros(codes.shape)).equals(table)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(-50, 50), min_size=10, max_size=200),
    st.integers(2, 8),
    st.integers(10, 40),
)
def test_integers_stay_whole_and_within_their_bounds(values, minimum, cells):
    table = pl.DataFrame({"x": pl.Series(values, dtype=pl.Int64)})
    codec, codes = fit(table, minimum=minimum, cells=cells)
    low, high = (codec.decode(codes, np.full(codes.shape, end))["x"] for end in (0.0, 1.0))
    assert low.dtype == pl.Int64
    assert min(values) <= low.min()
    assert high.max() <= max(values)
    assert np.bincount(codes[:, 0]).min() >= min(minimum, len(values))


def test_a_value_between_the_cells_is_in_none_of_them():
    margin = NumberMargin(
        np.array([0.5, 0.5]), np.array([1.0, 10.0]), np.array([1.0, 20.0]), decimals=0
    )
    values = np.array([1.0, 5.0, 10.0, 15.0, 25.0])
    assert margin.cells_of(values).tolist() == [0, -1, 1, 1, -1]
    assert margin.cells_of(values, nearest=True).tolist() == [0, 0, 1, 1, 1]


def test_a_grid_tells_kind_order_and_labels(mixed):
    codec, _ = fit(mixed)
    grids = dict(zip(codec.names, codec.grids, strict=True))
    assert isinstance(grids["bmi"], ColumnGrid)
    assert [grids[name].kind for name in ("bmi", "word")] == ["number", "category"]
    assert [grids[name].ordered for name in ("bmi", "word")] == [True, False]
    assert grids["word"].labels == ("a", "b", "c")
    assert grids["lab"].cells == grids["lab"].values + 2
    assert (np.diff(grids["income"].centres) > 0).all()


def test_a_declared_order_is_the_order_of_the_cells():
    table = pl.DataFrame(
        {"health": ["Poor", "Good", "Fair", None] * 20, "grade": [3, 1, 2, 1] * 20},
        schema={"health": pl.String, "grade": pl.Int64},
    )
    declared = Schema.of(
        {
            "health": Column("other", hierarchy=Hierarchy.ordered(["Poor", "Fair"], ["Good"])),
            "grade": Column("other", "category", Hierarchy.ordered([3], [2], [1])),
        }
    )
    read = read_table(table, declared, minimum=5)
    codec, codes = Codec.fit(read, minimum=5)
    health, grade = codec.grids
    assert health.ordered
    assert health.labels == ("Poor", "Fair", "Good")
    assert grade.labels == (3, 2, 1)
    assert codes[:4].tolist() == [[0, 0], [2, 2], [1, 1], [3, 2]]
    assert_frame_equal(codec.decode(codes, np.zeros(codes.shape)), table)
    again = Codec.from_dict(json.loads(json.dumps(codec.to_dict())))
    assert again.grids[0].ordered
    assert again.encode(table).tolist() == codes.tolist()
    # An order that does not place every value, and groups without one, are no order.
    for hierarchy in (
        Hierarchy.ordered(["Poor"], ["Good"]),
        Hierarchy.mapping({"Poor": "Bad", "Fair": "Bad", "Good": "Fine"}),
    ):
        schema = Schema.of({"health": Column("other", hierarchy=hierarchy)})
        grid = Codec.fit(read_table(table[:, :1], schema, minimum=5), minimum=5)[0].grids[0]
        assert not grid.ordered
        assert grid.labels == ("Fair", "Good", "Poor")


def test_given_values_are_written_as_they_were_given():
    """A cell may hold many numbers: what is asked for is not another one of them."""
    random = np.random.default_rng(0)
    table = pl.DataFrame(
        {"bmi": random.normal(27, 5, 500).round(2), "kind": random.choice(["a", "b"], 500)}
    )
    codec, codes = fit(table, minimum=50)
    drawn = codec.decode(codes, random.random(codes.shape))
    written = codec.with_given(drawn, {"bmi": 26.13})
    assert written["bmi"].unique().to_list() == [26.13]
    assert_frame_equal(written.drop("bmi"), drawn.drop("bmi"))
    for said in ({}, {"bmi": None}, {"kind": "*"}):
        assert_frame_equal(codec.with_given(drawn, said), drawn)


def test_a_tree_draws_the_number_that_was_given():
    random = np.random.default_rng(1)
    table = pl.DataFrame({"x": random.normal(0, 9, 800).round(2), "y": random.integers(0, 2, 800)})
    rows = Trees(minimum=50).fit(table, REST).sample(300, seed=1, given={"x": 1.23})
    assert rows["x"].unique().to_list() == [1.23]


@pytest.mark.parametrize(
    ("values", "schema", "kind"),
    [
        ([0, 1, 2] * 40, Schema(target="y", rest="other"), "category"),
        ([0, 1, None] * 40, Schema(target="y", rest="other"), "category"),
        ([0, 1, 2] * 40, Schema(rest="other"), "number"),
        ([0, 1, 2] * 40, Schema(target="y", types={"y": "integer"}, rest="other"), "number"),
        ([0.0, 1.5, 2.0] * 40, Schema(target="y", rest="other"), "number"),
        (list(range(30)) * 4, Schema(target="y", rest="other"), "number"),  # many: an amount
        ([*[0] * 40, *range(1, 19), *[1] * 4], Schema(target="y", rest="other"), "category"),
        ([0, 0, *range(1, 19)], Schema(target="y", rest="other"), "number"),  # of few people each
    ],
)
def test_whole_numbers_of_the_target_name_classes(values, schema, kind):
    table = pl.DataFrame({"x": range(len(values)), "y": values}, strict=False)
    read = read_table(table, schema, minimum=10)
    assert [one.coding.kind for one in read.columns] == ["number", kind]
    assert read.schema == schema.check(table)
