"""Codes: the same rows as small integers, and distinct tuples counted once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import HierarchyError, SchemaError
from sfumato.table import Hierarchy, Schema, encode
from sfumato.table.counting import count_keys, count_tuples

quickly = settings(deadline=None, max_examples=60)
CELLS = {
    "text": st.sampled_from(["a", "b", "B", "", " a", "*", "ü", "(missing)"]),
    "integer": st.integers(-3, 3),
    "number": st.sampled_from([-1.5, 0.0, 0.1, 2.0, 1e300]),
    "boolean": st.booleans(),
}


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(0, 30))
    return pl.DataFrame(
        {
            name: draw(st.lists(st.none() | cells, min_size=rows, max_size=rows))
            for name, cells in CELLS.items()
        },
        schema={
            "text": pl.String,
            "integer": pl.Int64,
            "number": pl.Float64,
            "boolean": pl.Boolean,
        },
    )


@quickly
@given(tables())
def test_codes_say_the_same_as_the_cells(table: pl.DataFrame) -> None:
    coded = encode(table, list(CELLS))
    for ladder, codes, name in zip(coded.ladders, coded.codes, coded.columns, strict=True):
        assert codes.dtype == np.uint8
        column = table[name]
        assert ladder.decode(codes).equals(column.cast(pl.String))
        assert ladder.has_missing == (column.null_count() > 0)
        assert ladder.domain_size == column.drop_nulls().n_unique()
        if ladder.has_missing:
            last = codes[column.is_null().to_numpy()]
            assert (last == ladder.n_leaves - 1).all()


@quickly
@given(tables())
def test_tuples_are_counted_as_a_counter_counts(table: pl.DataFrame) -> None:
    coded = encode(table, list(CELLS))
    tuples = coded.tuples(inverse=True)
    rows = np.column_stack(coded.codes)
    found = {
        tuple(codes): count
        for codes, count in zip(tuples.codes.tolist(), tuples.counts.tolist(), strict=True)
    }
    assert found == dict(Counter(tuple(row) for row in rows.tolist()))
    assert len(found) == len(tuples)
    assert (tuples.codes[tuples.inverse] == rows).all()
    assert tuples.codes.tolist() == sorted(tuples.codes.tolist())
    assert tuples.counts.sum() == table.height
    without = coded.tuples()
    assert without.inverse is None
    assert (without.codes == tuples.codes).all()
    assert (without.counts == tuples.counts).all()


@quickly
@given(
    st.lists(st.tuples(*[st.integers(0, 1) | st.integers(2**32 - 3, 2**32 - 1)] * 5), max_size=25)
)
def test_keys_beyond_one_word_are_counted_exactly(rows: list[tuple[int, ...]]) -> None:
    columns = [np.array([row[i] for row in rows], dtype=np.uint32) for i in range(5)]
    counted = count_tuples(columns, [2**32] * 5, len(rows), inverse=True)
    found = {
        tuple(codes): count
        for codes, count in zip(counted.distinct.tolist(), counted.counts.tolist(), strict=True)
    }
    assert found == dict(Counter(rows))
    assert [tuple(counted.distinct[place]) for place in counted.inverse] == rows


@quickly
@given(st.lists(st.integers(0, 50), max_size=40), st.booleans())
def test_both_ways_of_counting_keys_agree(numbers: list[int], inverse: bool) -> None:
    keys = np.array(numbers, dtype=np.uint64)
    for few, many in zip(
        count_keys(keys, 51, inverse=inverse), count_keys(keys, 2**63, inverse=inverse), strict=True
    ):
        assert few is many is None or np.array_equal(few, many)


def test_no_column_is_one_tuple() -> None:
    tuples = encode(pl.DataFrame({"a": [1, 2, 3]}), []).tuples(inverse=True)
    assert tuples.codes.shape == (1, 0)
    assert tuples.counts.tolist() == [3]
    assert tuples.inverse.tolist() == [0, 0, 0]


def test_no_row_is_no_tuple() -> None:
    table = pl.DataFrame({"a": []}, schema={"a": pl.Int64})
    tuples = encode(table, ["a"]).tuples(inverse=True)
    assert tuples.codes.shape == (0, 1)
    assert len(tuples) == 0


def test_the_quasi_identifiers_of_a_schema_are_coded() -> None:
    table = pl.DataFrame(
        {"age": [34, 71, None, 34], "sex": ["f", "m", "f", "f"], "x": [1, 2, 3, 4]}
    )
    schema = Schema(quasi_identifiers={"age": Hierarchy.bands([10]), "sex": None}, rest="other")
    coded = encode(table, schema)
    assert coded.columns == ("age", "sex")
    assert coded.tuples().counts.tolist() == [2, 1, 1]
    assert coded.generalize([1, 1]).to_dict(as_series=False) == {
        "age": ["[30, 40)", "[70, 80)", None, "[30, 40)"],
        "sex": ["*"] * 4,
    }
    assert coded.generalize([2, 0])["age"].to_list() == ["*"] * 4


def test_leaf_numbers_take_the_smallest_type() -> None:
    for leaves, dtype in ((256, np.uint8), (257, np.uint16), (65_537, np.uint32)):
        column = pl.Series("n", range(leaves))
        ladder = Hierarchy.flat().ladder(column)
        codes = ladder.codes(column)
        assert codes.dtype == dtype == ladder.dtype
        assert (codes == np.arange(leaves)).all()


def test_other_rows_get_the_same_codes_or_an_error() -> None:
    ladder = Hierarchy.flat().ladder(pl.Series("age", [20, 30, 40]))
    assert ladder.codes(pl.Series("age", [40.0, 20.0])).tolist() == [2, 0]
    with pytest.raises(HierarchyError, match=r"'age': 2 rows \(first: row 2\)") as error:
        ladder.codes(pl.Series("age", [20, 77123, 77123]))
    assert "77123" not in str(error.value)
    with pytest.raises(HierarchyError, match=r"1 cells are missing \(first in row 1\)"):
        ladder.codes(pl.Series("age", [None, 20]))


def test_an_absent_column_is_named() -> None:
    with pytest.raises(SchemaError, match=r"no column 'Age'\. Did you mean 'age'\?"):
        encode(pl.DataFrame({"age": [1]}), ["Age"])


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["b", "a"]), pl.String])
def test_category_columns_are_texts(dtype: pl.DataType) -> None:
    column = pl.Series("c", ["b", "a", None, "b"], dtype=dtype)
    ladder = Hierarchy.flat().ladder(column)
    assert ladder.labels[0] == ("a", "b", "(missing)")
    assert ladder.codes(column).tolist() == [1, 0, 2, 1]
