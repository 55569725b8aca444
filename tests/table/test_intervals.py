"""Interval labels: written, and read back."""

from __future__ import annotations

from math import inf

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.table import interval_label, parse_intervals
from sfumato.table.hierarchies.intervals import number_text

quickly = settings(deadline=None, max_examples=60)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("[20, 30)", 20, 30),
        ("(18.5, 25]", 18.5, 25),
        ("<18.5", -inf, 18.5),
        (">=40", 40, inf),
        ("20-30", 20, 30),
        ("20 - 30", 20, 30),
        ("20 to 30", 20, 30),
        ("[70-80)", 70, 80),
        ("-5--1", -5, -1),
        ("-5-3", -5, 3),
        ("90+", 90, inf),
        ("45", 45, 45),
    ],
)
def test_the_labels_of_other_tools_are_read(text: str, low: float, high: float) -> None:
    found_low, found_high = parse_intervals(pl.Series([text]))
    assert (found_low[0], found_high[0]) == (low, high)


@pytest.mark.parametrize("text", ["*", "n/a", "Senior", "2020-01", "30-20", "", None, "1-2-3"])
def test_what_is_no_interval_is_nan(text: str | None) -> None:
    low, high = parse_intervals(pl.Series([text], dtype=pl.String))
    assert np.isnan(low[0])
    assert np.isnan(high[0])


@quickly
@given(st.tuples(NUMBERS, NUMBERS).filter(lambda ends: ends[0] < ends[1]))
def test_every_label_reads_back(ends: tuple[float, float]) -> None:
    pairs = [ends, (-inf, ends[1]), (ends[0], inf)]
    for closed in ("left", "right"):
        labels = pl.Series([interval_label(low, high, closed) for low, high in pairs])
        low, high = parse_intervals(labels)
        assert list(zip(low, high, strict=True)) == pairs


@quickly
@given(NUMBERS)
def test_a_number_is_written_so_that_it_reads_back(number: float) -> None:
    assert float(number_text(number)) == number
