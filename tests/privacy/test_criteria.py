"""k-anonymity as a frozen value."""

from __future__ import annotations

import json
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import PlanError
from sfumato.privacy import Criterion, EquivalenceClasses, KAnonymity


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=20), st.integers(2, 6))
def test_a_class_keeps_the_promise_from_k_members_on(letters: list[str], k: int) -> None:
    classes = EquivalenceClasses.of(pl.DataFrame({"x": letters}), ["x"])
    kept = KAnonymity(k).kept(classes)
    counted = Counter(letters)
    assert [bool(kept[c]) for c in classes.of_row] == [counted[x] >= k for x in letters]
    assert KAnonymity(k).holds(classes) == (min(counted.values()) >= k)


def test_rows_of_one_person_do_not_hide_each_other() -> None:
    table = pl.DataFrame({"age": [30] * 5, "patient": ["p"] * 4 + ["q"]})
    assert KAnonymity(5).holds(EquivalenceClasses.of(table, ["age"]))
    assert not KAnonymity(3).holds(EquivalenceClasses.of(table, ["age"], person="patient"))


@given(st.integers(2, 10**9))
def test_the_promise_comes_back_from_json(k: int) -> None:
    promise = KAnonymity(k)
    assert Criterion.from_dict(json.loads(json.dumps(promise.to_dict()))) == promise
    assert promise == KAnonymity(k=k)
    assert str(k) in promise.describe()


@pytest.mark.parametrize("k", [1, 0, -5])
def test_k_below_two_is_no_promise(k: int) -> None:
    with pytest.raises(PlanError, match="greater than or equal to 2"):
        KAnonymity(k)


def test_k_is_required() -> None:
    with pytest.raises(PlanError, match="'k' is required"):
        KAnonymity()


def test_a_promise_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        KAnonymity(5).k = 2  # type: ignore[misc]


def test_an_unknown_promise_is_refused() -> None:
    with pytest.raises(
        PlanError, match=r"unknown criterion 'k-anonymty'.*Did you mean 'k-anonymity'"
    ):
        Criterion.from_dict({"kind": "k-anonymty", "k": 5})
    with pytest.raises(PlanError, match="unknown setting 'l'"):
        Criterion.from_dict({"kind": "k-anonymity", "k": 5, "l": 2})
