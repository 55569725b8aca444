"""Risk and certainty of a sample of an anonymized table: formulas of Anonify, by hand."""

from collections import Counter
from math import ceil

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import DataError, SchemaError
from sfumato.evaluation.certainty import sampling_risk

WHOLE = pl.DataFrame(
    {
        "age": ["20-30"] * 10 + ["30-40"] * 4 + ["*"] * 2,
        "sex": ["f"] * 10 + ["m"] * 4 + ["*"] * 2,
        "id": [f"p{row // 2}" for row in range(16)],
    }
)
QUASI = ["age", "sex"]


def kept(share):
    """Delete ceil(share * size) rows of each class, the first ones."""
    place = pl.int_range(pl.len()).over(QUASI)
    return WHOLE.filter(place >= (share * pl.len().over(QUASI)).ceil())


def test_nothing_deleted():
    found = sampling_risk(WHOLE, WHOLE, QUASI)
    both, shown = found.with_suppressed, found.without_suppressed
    assert both.average_risk == 3 / 16  # classes by rows
    assert both.least_risk == 1 / 10
    assert both.highest_risk == both.highest_risk_of_released == 1 / 2
    assert both.average_certainty == both.least_certainty == both.highest_certainty == 1
    assert shown.average_risk == 2 / 14
    assert shown.highest_risk == 1 / 4
    assert (both.people, both.released, both.classes, both.classes_released) == (16, 16, 3, 3)
    assert found.unit == "rows"


def test_half_deleted_by_hand():
    found = sampling_risk(WHOLE, kept(0.5), QUASI).with_suppressed
    assert found.average_risk == pytest.approx((5 / 10 + 2 / 4 + 1 / 2) / 16)
    assert found.average_risk_of_released == pytest.approx(1.5 / 8)
    assert found.least_risk == 0  # nobody is sure to be there
    assert found.highest_risk == 1 / 2
    assert found.average_certainty == 8 / 16
    assert found.least_certainty == found.highest_certainty == 1 / 2


def test_a_class_that_is_gone():
    found = sampling_risk(WHOLE, kept(0.6), QUASI).with_suppressed
    # 4 of 10, 1 of 4 and 0 of 2 are left; as published, the highest risk is of the population
    assert found.highest_risk == 1 / 2
    assert found.highest_risk_of_released == 1 / 4
    assert found.least_certainty == 0
    assert found.classes_released == 2
    nothing = sampling_risk(WHOLE, WHOLE[:0], QUASI).with_suppressed
    assert nothing.highest_risk == nothing.average_risk == nothing.highest_certainty == 0
    assert nothing.average_risk_of_released == 0


def test_people_instead_of_rows():
    found = sampling_risk(WHOLE, kept(0.5), QUASI, person="id")
    both = found.with_suppressed
    # 5, 2 and 1 people, of whom 3 (one with a single row), 1 and 1 are left
    assert found.unit == "people"
    assert (both.people, both.released) == (8, 5)
    assert both.average_risk == pytest.approx((3 / 5 + 1 / 2 + 1 / 1) / 8)
    assert both.least_certainty == 1 / 2


def test_everything_suppressed():
    starred = pl.DataFrame({"age": ["*"] * 3})
    assert sampling_risk(starred, starred, ["age"]).without_suppressed is None


def test_wrong_input_is_refused():
    with pytest.raises(DataError, match="1 classes of the release are larger"):
        sampling_risk(WHOLE[:9], WHOLE[:10], QUASI)
    with pytest.raises(DataError, match="not in it"):
        sampling_risk(WHOLE[:10], WHOLE[[12]], QUASI)
    with pytest.raises(DataError, match="no rows"):
        sampling_risk(WHOLE[:0], WHOLE[:0], QUASI)
    with pytest.raises(SchemaError, match="population has no column"):
        sampling_risk(WHOLE.drop("age"), WHOLE, QUASI)
    with pytest.raises(SchemaError, match="at least one"):
        sampling_risk(WHOLE, WHOLE, [])
    assert "with_suppressed" in sampling_risk(WHOLE, WHOLE, QUASI).to_dict()


ROWS = st.lists(st.sampled_from(["a", "b", None, "*"]), min_size=1, max_size=30)


@given(ROWS, st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0]))
@settings(deadline=None, max_examples=50)
def test_equals_the_published_formulas(rows, share):
    sizes = Counter(rows)
    left = {value: size - ceil(share * size) for value, size in sizes.items()}
    sample = [value for value, count in left.items() for _ in range(count)]
    table = pl.DataFrame({"q": rows}, schema={"q": pl.String})
    released = pl.DataFrame({"q": sample}, schema={"q": pl.String})
    found = sampling_risk(table, released, ["q"]).with_suppressed
    n = len(rows)
    certainty = [left[value] / sizes[value] for value in sizes]
    assert found.average_risk == pytest.approx(sum(certainty) / n)
    assert found.least_risk == (1 / max(sizes.values()) if min(certainty) == 1 else 0)
    assert found.highest_risk == (1 / min(sizes.values()) if sample else 0)
    assert found.average_certainty == pytest.approx(len(sample) / n)
    assert found.least_certainty == min(certainty)
    assert found.highest_certainty == max(certainty)
    if sample:
        per_row = [1 / sizes[value] for value in sample]
        assert found.average_risk_of_released == pytest.approx(sum(per_row) / len(sample))
        assert found.highest_risk_of_released == max(per_row)
