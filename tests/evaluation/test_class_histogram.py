"""Class sizes in the bins where policies draw their lines."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import DataError, SchemaError
from sfumato.evaluation.class_sizes import POLICY_SIZES, class_histogram


def test_bins_by_hand():
    sizes = {"a": 1, "b": 2, "c": 4, "d": 5, "e": 10, "f": 11, "g": 19, "h": 20, "i": 1000, "*": 3}
    table = pl.DataFrame({"q": [name for name, size in sizes.items() for _ in range(size)]})
    found = class_histogram(table, ["q"])
    assert [(one.label, one.classes, one.members) for one in found.bins] == [
        ("1", 1, 1),
        ("2", 1, 2),
        ("3 to 4", 2, 7),
        ("5 to 10", 2, 15),
        ("11 to 19", 2, 30),
        ("20 to 49", 1, 20),
        ("50 to 99", 0, 0),
        ("100 to 999", 0, 0),
        ("1,000 or more", 1, 1000),
    ]
    suppressed = found.bins[2]
    assert (suppressed.classes_without_suppressed, suppressed.members_without_suppressed) == (1, 4)
    assert found.suppressed == 3
    assert "0.09" in found.bins[4].policy
    assert found.to_dict()["unit"] == "rows"


def test_people_are_counted_where_they_are_known():
    table = pl.DataFrame({"q": ["a", "a", "a"], "id": [1, 1, 2]})
    found = class_histogram(table, ["q"], person="id")
    assert (found.unit, found.bins[1].members) == ("people", 2)


def test_wrong_input_is_refused():
    table = pl.DataFrame({"q": ["a"]})
    with pytest.raises(SchemaError, match="Did you mean 'q'"):
        class_histogram(table, ["qq"])
    with pytest.raises(SchemaError, match="at least one"):
        class_histogram(table, [])
    with pytest.raises(DataError, match="no rows"):
        class_histogram(table[:0], ["q"])


@given(st.lists(st.sampled_from(["a", "b", "c", "*", None]), min_size=1, max_size=60))
@settings(deadline=None, max_examples=50)
def test_every_row_is_in_one_bin(rows):
    found = class_histogram(pl.DataFrame({"q": rows}, schema={"q": pl.String}), ["q"])
    sizes = Counter(rows)
    assert sum(one.members for one in found.bins) == len(rows)
    assert sum(one.members_without_suppressed for one in found.bins) == len(rows) - sizes["*"]
    assert sum(one.classes for one in found.bins) == len(sizes)
    for one in found.bins:
        inside = [n for n in sizes.values() if n >= one.low and n <= (one.high or n)]
        assert one.classes == len(inside)
    assert [one.low for one in found.bins] == list(POLICY_SIZES)
