from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.evaluation import attackers, class_risks
from sfumato.evaluation.compatible_rows import compatible_counts, compatible_of_some
from sfumato.privacy import EquivalenceClasses

VALUES = st.sampled_from(["a", "b", "*", None])
ROWS = st.lists(st.tuples(VALUES, st.sampled_from(["x", "y", "*"])), min_size=1, max_size=30)


def values(risks):
    return {key: figure.value for key, figure in risks.items()}


def test_figures_by_hand():
    # Classes of 4, 3, 1 and two suppressed rows.
    ages = ["20-30"] * 4 + ["30-40"] * 3 + ["90+"] + ["*"] * 2
    sexes = ["f"] * 4 + ["m"] * 3 + ["m"] + ["*"] * 2
    risks = class_risks(pl.DataFrame({"age": ages, "sex": sexes}), ["age", "sex"], threshold=0.3)
    assert values(risks) == {
        "smallest_class": 1,
        "smallest_class_without_suppressed": 1,
        "classes": 4,
        "suppressed": 0.2,
        "unique": 0.1,
        "prosecutor_highest": 1.0,
        "prosecutor_average": pytest.approx(0.4),
        "at_risk": pytest.approx(0.6),
        "marketer": pytest.approx(0.3),
        # the two suppressed rows match all, and all match them
        "wildcard_smallest": 3,
        "wildcard_highest": pytest.approx(1 / 3),
        "wildcard_average": pytest.approx((4 / 6 + 3 / 5 + 1 / 3 + 2 / 10) / 10),
        "wildcard_at_risk": pytest.approx(0.1),
        "below_2": pytest.approx(0.1),
        "below_3": pytest.approx(0.1),
        **dict.fromkeys(
            ["below_5", "below_11", "below_20", "below_50", "below_100", "below_1000"],
            pytest.approx(0.8),
        ),
    }


def test_the_suppressed_class_counts_and_is_told_apart():
    table = pl.DataFrame({"age": ["20-30"] * 10 + ["*"] * 3})
    risks = class_risks(table, ["age"])
    assert risks["smallest_class"].value == 3
    assert risks["smallest_class_without_suppressed"].value == 10
    assert risks["prosecutor_highest"].value == pytest.approx(1 / 3)
    assert risks["at_risk"].value == pytest.approx(3 / 13)


def test_a_row_suppressed_in_part_is_not_suppressed():
    table = pl.DataFrame({"age": ["*", "*", "20"], "sex": ["f", "*", "f"]})
    assert class_risks(table, ["age", "sex"])["suppressed"].value == pytest.approx(1 / 3)


def test_the_threshold_itself_is_not_above_it():
    table = pl.DataFrame({"age": [1] * 5 + [2] * 4})
    assert class_risks(table, ["age"], threshold=0.2)["at_risk"].value == pytest.approx(4 / 9)
    assert class_risks(table, ["age"], threshold=0.25)["at_risk"].value == 0
    assert "fewer than 5 rows" in class_risks(table, ["age"], threshold=0.2)["at_risk"].meaning
    # 1/49 times 49 is not 1 in floating point.
    many = pl.DataFrame({"age": [1] * 49})
    assert class_risks(many, ["age"], threshold=1 / 49)["at_risk"].value == 0


def test_a_missing_value_is_a_value():
    table = pl.DataFrame({"age": [30, 30, None]})
    assert class_risks(table, ["age"])["unique"].value == pytest.approx(1 / 3)


def test_many_rows_of_one_person_are_one_person():
    table = pl.DataFrame({"id": ["a", "a", "a", "b"], "age": [30, 30, 30, 40]})
    assert class_risks(table, ["age"])["unique"].value == 0.25
    risks = class_risks(table, ["age"], person="id")
    assert risks["unique"].value == 1.0
    assert risks["smallest_class"].value == 1
    assert "people" in risks["at_risk"].meaning


def test_everything_suppressed_is_said():
    risks = class_risks(pl.DataFrame({"age": ["*"] * 5}), ["age"])
    assert risks["smallest_class"].value == 5
    assert risks["marketer"].value == 0
    without = risks["smallest_class_without_suppressed"]
    assert not without.computed
    assert "suppressed" in without.because


@pytest.mark.parametrize(
    ("table", "columns", "because"),
    [
        (pl.DataFrame({"age": [1]}), [], "no quasi-identifiers"),
        (pl.DataFrame({"age": []}), ["age"], "no rows"),
    ],
)
def test_what_cannot_be_computed_says_why(table, columns, because):
    risks = class_risks(table, columns)
    assert len(risks) == 9
    assert all(not figure.computed and because in figure.because for figure in risks.values())


def test_the_journalist_looks_in_the_population():
    released = pl.DataFrame({"age": ["20-30"] * 2 + ["30-40"] + ["*"]})
    population = pl.DataFrame({"age": ["20-30"] * 4 + ["30-40"] * 2 + ["90+"] * 4})
    risks = values(class_risks(released, ["age"], population=population, threshold=0.3))
    # the suppressed row could be any of the ten
    assert risks["journalist_highest"] == 1 / 2
    assert risks["journalist_average"] == pytest.approx((1 / 4 + 1 / 4 + 1 / 2 + 1 / 10) / 4)
    assert risks["journalist_at_risk"] == 1 / 4
    assert risks["marketer"] == pytest.approx((1 / 4 + 1 / 4 + 1 / 2) / 4)
    assert risks["prosecutor_highest"] == 1  # who knows that the person is there finds it
    # as a class of its own, where the population was suppressed before it was sampled
    starred = pl.concat([population, pl.DataFrame({"age": ["*"] * 5})])
    risks = values(class_risks(released, ["age"], population=starred))
    assert risks["journalist_average"] == pytest.approx((1 / 4 + 1 / 4 + 1 / 2 + 1 / 5) / 4)


def test_the_journalist_counts_people():
    released = pl.DataFrame({"age": [30, 30, 40], "id": ["a", "a", "b"]})
    population = pl.DataFrame({"age": [30, 30, 30, 40], "id": ["a", "a", "c", "b"]})
    risks = values(class_risks(released, ["age"], person="id", population=population))
    assert risks["journalist_highest"] == 1
    assert risks["journalist_average"] == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)


def test_a_population_without_the_released_people_is_refused():
    released = pl.DataFrame({"age": [30, 30, 40]})
    with pytest.raises(DataError, match="2 released rows"):
        class_risks(released, ["age"], population=pl.DataFrame({"age": [30, 40]}))
    with pytest.raises(DataError, match="1 released rows"):
        class_risks(released, ["age"], population=pl.DataFrame({"age": [30, 30]}))
    with pytest.raises(SchemaError, match="population has no column 'age'"):
        class_risks(released, ["age"], population=pl.DataFrame({"old": [30]}))


def test_a_table_without_a_hidden_cell_has_no_wildcards():
    assert not [key for key in class_risks(pl.DataFrame({"age": [1]}), ["age"]) if "wild" in key]


@given(rows=ROWS)
@settings(deadline=None, max_examples=50)
def test_wildcards_equal_a_comparison_of_all_pairs(rows):
    table = pl.DataFrame(rows, schema={"q": pl.String, "r": pl.String}, orient="row")
    risks = values(class_risks(table, ["q", "r"]))
    wild = {None, "*"}
    matches = [
        sum(
            all(a == b or a in wild or b in wild for a, b in zip(one, other, strict=True))
            for other in rows
        )
        for one in rows
    ]
    if any(cell in wild for row in rows for cell in row):
        assert risks["wildcard_smallest"] == min(matches)
        assert risks["wildcard_average"] == pytest.approx(sum(1 / m for m in matches) / len(rows))
    else:
        assert "wildcard_smallest" not in risks


@given(rows=ROWS)
@settings(deadline=None, max_examples=30)
def test_the_release_as_its_own_population_is_the_prosecutors_case(rows):
    table = pl.DataFrame(rows, schema={"q": pl.String, "r": pl.String}, orient="row")
    risks = values(class_risks(table, ["q", "r"], population=table))
    for figure in ("highest", "average"):
        assert risks[f"journalist_{figure}"] == pytest.approx(risks[f"prosecutor_{figure}"])


def test_wrong_input_is_refused():
    table = pl.DataFrame({"age": [1, 2]})
    with pytest.raises(SchemaError, match="Did you mean 'age'"):
        class_risks(table, ["agee"])
    with pytest.raises(PlanError, match="threshold"):
        class_risks(table, ["age"], threshold=0)


@given(rows=ROWS, threshold=st.sampled_from([0.05, 0.2, 0.5, 1.0]))
@settings(deadline=None)
def test_equals_a_count_by_hand(rows, threshold):
    table = pl.DataFrame(rows, schema={"q": pl.String, "r": pl.String}, orient="row")
    risks = values(class_risks(table, ["q", "r"], threshold=threshold))
    counts = Counter(rows)
    sizes = [counts[row] for row in rows]
    kept = [size for size, row in zip(sizes, rows, strict=True) if row != ("*", "*")]
    n = len(rows)
    assert risks["smallest_class"] == min(sizes)
    assert risks["smallest_class_without_suppressed"] == (min(kept) if kept else None)
    assert risks["classes"] == len(counts)
    assert risks["unique"] == pytest.approx(sum(size == 1 for size in sizes) / n)
    assert risks["prosecutor_highest"] == pytest.approx(1 / min(sizes))
    assert risks["prosecutor_average"] == pytest.approx(len(counts) / n)
    assert risks["at_risk"] == pytest.approx(sum(threshold * size < 1 for size in sizes) / n)
    assert risks["marketer"] == pytest.approx(sum(1 / size for size in kept) / n)


def test_every_figure_can_be_read():
    for figure in class_risks(pl.DataFrame({"age": [1, 1, 2]}), ["age"]).values():
        assert figure.meaning
        assert figure.source
        assert figure.interval is None
        assert "exact" in figure.interval_method


def all_pairs(codes, wild, weights):
    same = (codes[:, None] == codes[None]) | wild[:, None] | wild[None]
    return same.all(axis=2) @ weights, same.all(axis=2)


@pytest.mark.parametrize("width", [3, 2**22])
@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=40)
def test_compatible_combinations_equal_all_pairs(width, seed):
    # four columns of 2**22 values do not fit into one key
    random = np.random.default_rng(seed)
    codes = random.choice([0, 1, width - 1], (40, 4))
    wild = random.random((40, 4)) < random.choice([0.05, 0.3])
    codes, first = np.unique(np.where(wild, width, codes), axis=0, return_index=True)
    wild = wild[first]
    weights = random.integers(1, 9, len(codes))
    counts, pairs = all_pairs(codes, wild, weights)
    assert (compatible_counts(codes, wild, weights) == counts).all()
    for one, found in enumerate(compatible_of_some(codes, wild, np.arange(len(codes)))):
        assert sorted(found) == np.flatnonzero(pairs[one]).tolist()


def hidden_in_many_ways(rows):
    random = np.random.default_rng(2)
    cells = random.integers(0, 3, (rows, 4)).astype(str)
    cells[random.random((rows, 4)) < 0.2] = "*"
    return pl.DataFrame(cells, schema=list("abcd")).with_columns(id=random.integers(0, 900, rows))


@pytest.mark.parametrize("person", [None, "id"])
def test_a_sample_stands_for_all_rows_where_they_are_too_many(monkeypatch, person):
    table, quasi = hidden_in_many_ways(3000), list("abcd")
    whole = class_risks(table, quasi, person=person)
    monkeypatch.setattr(attackers, "too_many", lambda wild: True)
    some = class_risks(table, quasi, person=person)
    for key in ("wildcard_average", "wildcard_at_risk"):
        low, high = some[key].interval
        assert low <= whole[key].value <= high
        assert "random sample of 1,000 rows" in some[key].interval_method
        assert whole[key].interval is None
    # the extremes of a sample are not those of the table
    assert not some["wildcard_smallest"].computed
    assert "no row of it was alone" in some["wildcard_highest"].because
    # and where all rows are drawn, all are counted
    few = table[:800]
    exact = attackers.wildcard_matches(few, quasi, person=person)
    monkeypatch.undo()
    every = attackers.wildcard_matches(few, quasi, person=person)
    assert sorted(exact.matches) == sorted(every.matches)
    assert not exact.exact
    assert every.exact


def test_a_row_alone_in_the_sample_is_the_smallest_class(monkeypatch):
    monkeypatch.setattr(attackers, "too_many", lambda wild: True)
    table = pl.DataFrame({"a": ["x", "y", "y"], "b": ["1", "*", "2"]})
    risks = class_risks(table, ["a", "b"])
    assert risks["wildcard_smallest"].value == 1
    assert risks["wildcard_highest"].value == 1


def test_classes_that_are_made_already_give_the_same_figures():
    table = hidden_in_many_ways(200)
    classes = EquivalenceClasses.of(table, ["a", "b"])
    assert class_risks(table, ["a", "b"], classes=classes) == class_risks(table, ["a", "b"])
