"""Small cells against counts by hand, and hidden cells against every solution."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import PlanError, SchemaError
from sfumato.evaluation.derivable_cells import derivable_cells
from sfumato.evaluation.small_cells import count_small_cells, small_cell_figures

VALUES = st.sampled_from(["a", "b", "*", None])
ROWS = st.lists(
    st.tuples(VALUES, st.sampled_from(["x", "y", "z", "*"]), st.integers(0, 2)),
    min_size=1,
    max_size=60,
)


def frame_of(rows):
    schema = {"q": pl.String, "r": pl.String, "s": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


@given(rows=ROWS, below=st.integers(2, 12))
@settings(deadline=None)
def test_equals_a_count_by_hand(rows, below):
    found = count_small_cells(frame_of(rows), sets=[["q", "r", "s"]], below=below)
    sets = [(0,), (1,), (2,), *combinations(range(3), 2), (0, 1, 2)]
    assert [one.columns for one in found] == [tuple("qrs"[i] for i in one) for one in sets]
    for one, places in zip(found, sets, strict=True):
        counts = Counter(tuple(row[i] for i in places) for row in rows)
        shown = {cell: n for cell, n in counts.items() if "*" not in cell}
        assert one.cells == len(shown)
        assert one.small == sum(n < below for n in shown.values())
        # behind a star is what a margin has more than the other cells of its line
        differences = Counter()
        for cell, n in counts.items():
            if "*" in cell:
                stars = tuple(i for i, value in enumerate(cell) if value == "*")
                differences[cell] = n
                if len(stars) == 1 and len(cell) > 1:
                    line = [
                        m
                        for other, m in counts.items()
                        if all(other[i] == cell[i] for i in range(len(cell)) if i not in stars)
                    ]
                    others = sum(line) - n
                    assert sum(line) - others == differences[cell]
        assert one.hidden == sum(n < below for n in differences.values())


def test_figures_by_hand():
    rows = [("f", "flu")] * 12 + [("m", "flu")] * 3 + [("m", "gout")] * 15 + [("*", "gout")] * 2
    table = pl.DataFrame(rows, schema=["sex", "ill"], orient="row")
    figures = small_cell_figures(count_small_cells(table))
    assert {key: one.value for key, one in figures.items()} == {
        "cells_below_11": 1,  # m x flu
        "cells_below_11/one_way": 0,
        "cells_below_11/two_way": 1,
        "cells_below_11/by_differencing": 2,  # sex = *, and * x gout
        # m x flu is 15 with flu less 12 women, * x gout is 17 with gout less 15 men: they must be
        # left out with another
        "cells_below_11/uncovered": 2,
    }
    assert figures["cells_below_11"].meaning.endswith("Most in: sex x ill.")
    for figure in figures.values():
        assert "gout" not in figure.meaning
        assert "flu" not in figure.meaning


def test_people_are_counted():
    table = pl.DataFrame({"id": [1] * 12, "ill": ["flu"] * 12})
    assert count_small_cells(table)[1].small == 0
    (ill,) = count_small_cells(table, person="id")
    assert ill.small == 1


def test_wrong_input_is_refused():
    table = pl.DataFrame({"age": [1], "sex": ["f"]})
    with pytest.raises(SchemaError, match="Did you mean 'age'"):
        count_small_cells(table, ["agee"])
    for sets in ([["age", "age"]], [[]], [["age", "sex", "a", "b", "c"]]):
        with pytest.raises(PlanError, match="1 to 4 different columns"):
            count_small_cells(table, sets=sets)
    with pytest.raises(PlanError, match="2 or more"):
        count_small_cells(table, below=1)
    with pytest.raises(PlanError, match="sums along axis"):
        derivable_cells(np.ones((2, 2)), (np.ones(3), np.ones(2)))


def test_an_empty_table_has_no_small_cells():
    table = pl.DataFrame({"age": pl.Series([], dtype=pl.String), "sex": []})
    assert all(one.cells == 0 for one in count_small_cells(table))
    assert small_cell_figures(count_small_cells(table))["cells_below_11"].value == 0


def brute(hidden, margins):
    """Which hidden cells are the same in all integer changes that keep the shown margins."""
    cells = list(zip(*np.nonzero(hidden), strict=True))
    moved = np.zeros(hidden.shape, dtype=bool)
    for change in product((-1, 0, 1), repeat=len(cells)):
        table = np.zeros(hidden.shape)
        for cell, by in zip(cells, change, strict=True):
            table[cell] = by
        if all(
            (table.sum(axis=axis)[np.asarray(shown)] == 0).all()
            for axis, shown in enumerate(margins)
        ):
            moved |= table != 0
    return hidden & ~moved


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_two_way_cells_are_derivable_where_no_other_table_fits(data):
    shape = (3, 3)
    bits = st.lists(st.booleans(), min_size=9, max_size=9)
    hidden = np.array(data.draw(bits)).reshape(shape)
    if hidden.sum() > 7:
        hidden[0] = False
    sides = st.lists(st.booleans(), min_size=3, max_size=3)
    margins = tuple(np.array(data.draw(sides)) for _ in range(2))
    # of a two-way table's margins the changes of -1, 0 and 1 reach all others
    assert (derivable_cells(hidden, margins) == brute(hidden, margins)).all()


def test_of_a_three_way_cube_one_number_is_free():
    cube = np.ones((2, 2, 2), dtype=bool)
    assert not derivable_cells(cube).any()
    cube[0, 0, 0] = False
    assert derivable_cells(cube).sum() == 7
    # a line of one axis is known from its total if one cell is hidden
    assert derivable_cells(np.array([True, False])).tolist() == [True, False]
    assert not derivable_cells(np.array([True, True])).any()
