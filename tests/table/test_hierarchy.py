"""Hierarchies: every constructor, what they refuse, and the ladder that they number."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import HierarchyError
from sfumato.table import Hierarchy, Ladder, preset_names
from sfumato.table.hierarchies.icd10 import icd10_categories

REAL = Path(__file__).parents[1] / "data" / "hierarchies"
quickly = settings(deadline=None, max_examples=60)


def climb(hierarchy: Hierarchy, values: list[object]) -> list[tuple[str | None, ...]]:
    """Return the labels of each value above itself and below the top."""
    column = pl.Series("column", values, strict=False)
    levels = [hierarchy.generalize(column, level) for level in range(1, hierarchy.height)]
    return list(zip(*levels, strict=True))


# -- the ladder ------------------------------------------------------------------------------


@st.composite
def trees(draw: st.DrawFn) -> Hierarchy:
    """Draw a hierarchy of 1 to 30 values and 1 to 4 levels, its lines in any order."""
    height = draw(st.integers(1, 4))
    count = draw(st.integers(1, 30))
    numeric = draw(st.booleans())
    groups = [draw(st.integers(0, 5)) for _ in range(count)]
    lines = []
    for leaf, group in enumerate(groups):
        above, parents = group, []
        for level in range(1, height):
            parents.append(f"{level}:{above}")
            above //= 2
        lines.append([str(leaf) if numeric else f"v{leaf}", *parents, "*"])
    return Hierarchy.lines(draw(st.permutations(lines)))


RULES = [
    Hierarchy.bands([5, 10, 20], top=90),
    Hierarchy.bands([0.1, 0.5], origin=0.05, top=None),
    Hierarchy.bands([5, 10], top=85, bottom=18),
    Hierarchy.intervals([18.5, 25, 30, 35, 40], levels=2),
    Hierarchy.intervals([-10, 0, 10], closed="right", levels=[[0]]),
    Hierarchy.flat(),
]
NUMBERS = st.lists(
    st.none() | st.integers(-200, 200).map(float) | st.floats(-200, 200), min_size=1, max_size=40
)


def assert_depth_first(ladder: Ladder) -> None:
    """Every group at every level is a run of leaves, within one group of the level above."""
    for level in range(ladder.height + 1):
        groups = ladder.levels[level]
        assert len(groups) == ladder.n_leaves
        steps = np.diff(groups)
        assert ((steps == 0) | (steps == 1)).all()
        assert groups[0] == 0
        assert groups[-1] == len(ladder.labels[level]) - 1
        assert ladder.sizes[level].tolist() == np.bincount(groups).tolist()
        assert ladder.sizes[level].sum() == ladder.n_leaves
        first, last = ladder.bounds(level)
        for group in range(len(first)):
            assert (groups[first[group] : last[group] + 1] == group).all()
    for below, above in zip(ladder.levels, ladder.levels[1:], strict=False):
        parents = {(group, parent) for group, parent in zip(below, above, strict=True)}
        assert len(parents) == len(set(below.tolist()))
    assert ladder.labels[-1] == ("*",)


@quickly
@given(trees(), st.data())
def test_a_listed_ladder_is_depth_first(hierarchy: Hierarchy, data: st.DataObject) -> None:
    cells = st.none() | st.sampled_from(hierarchy.leaves)
    column = pl.Series("c", data.draw(st.lists(cells, max_size=20)), dtype=pl.String)
    ladder = hierarchy.ladder(column)
    assert_depth_first(ladder)
    assert ladder.domain_size == len(hierarchy.leaves)
    assert_labels_agree(hierarchy, ladder, column)


@quickly
@given(st.sampled_from(RULES), NUMBERS)
def test_a_ladder_by_rule_is_depth_first(hierarchy: Hierarchy, numbers: list[float | None]) -> None:
    column = pl.Series("c", numbers, dtype=pl.Float64)
    ladder = hierarchy.ladder(column)
    assert_depth_first(ladder)
    assert_labels_agree(hierarchy, ladder, column)
    found = ladder.numbers()
    if found is not None and ladder.domain_size:
        leaves = found[: ladder.domain_size]
        assert (np.diff(leaves) > 0).all()


def assert_labels_agree(hierarchy: Hierarchy, ladder: Ladder, column: pl.Series) -> None:
    codes = ladder.codes(column)
    for level in range(hierarchy.height + 1):
        generalized = hierarchy.generalize(column, level)
        assert generalized.name == "c"
        assert generalized.dtype == pl.String
        assert ladder.decode(codes, level).equals(generalized)
        if level < hierarchy.height:
            assert generalized.null_count() == column.null_count()
        else:
            assert (generalized == "*").all()


@quickly
@given(trees())
def test_a_listed_hierarchy_is_what_its_lines_say(hierarchy: Hierarchy) -> None:
    for line in hierarchy.recipe["lines"]:
        for level, label in enumerate(line):
            assert hierarchy.generalize(pl.Series([line[0]]), level).to_list() == [label]


def test_a_missing_cell_is_the_last_leaf_below_the_top_only() -> None:
    hierarchy = Hierarchy.mapping({"a": "g", "b": "g"})
    ladder = hierarchy.ladder(pl.Series("c", ["a", None]))
    assert ladder.labels == (("a", "b", "(missing)"), ("g", "(missing)"), ("*",))
    assert [groups.tolist() for groups in ladder.levels] == [[0, 1, 2], [0, 0, 1], [0, 0, 0]]
    assert [sizes.tolist() for sizes in ladder.sizes] == [[1, 1, 1], [2, 1], [3]]
    assert ladder.domain_size == 2


def test_all_cells_missing() -> None:
    for hierarchy in (Hierarchy.flat(), Hierarchy.mapping({"a": "g"})):
        column = pl.Series("c", [None, None], dtype=pl.String)
        ladder = hierarchy.ladder(column)
        assert ladder.codes(column).tolist() == [ladder.n_leaves - 1] * 2


def test_ladders_cannot_be_changed() -> None:
    ladder = Hierarchy.flat().ladder(pl.Series("c", [1, 2]))
    with pytest.raises(ValueError, match="read-only"):
        ladder.levels[0][0] = 1


# -- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(REAL.glob("*.csv")), ids=lambda path: path.stem)
def test_real_files_are_read(path: Path) -> None:
    hierarchy = Hierarchy.read(path)
    lines = [line.split(";") for line in path.read_text("utf-8").splitlines()]
    assert sorted(hierarchy.leaves) == sorted(line[0] for line in lines)
    assert hierarchy.height == len(lines[0]) - 1
    column = pl.Series("c", [line[0] for line in lines])
    for level in range(hierarchy.height + 1):
        assert hierarchy.generalize(column, level).to_list() == [line[level] for line in lines]
    assert_depth_first(hierarchy.ladder(column))


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "ages.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ages.csv is empty"),
        ("\n\n", "ages.csv is empty"),
        ("1;a;*\n2;*\n", "line 2: 2 entries, but line 1 has 3"),
        ("1;a;*\n\n2;b\n", "line 3: 2 entries, but line 1 has 3"),
        ("1;a;*\n2;;*\n", "line 2: entry 2 is empty"),
        ("1;a;*\n;a;*\n", "line 2: entry 1 is empty"),
        ("1;a;*\n2;a;b\n", "line 2: ends in 'b': the last entry must be '[*]'"),
        ("1;a;*\n2;b;*\n1;b;*\n", "line 3: the value '1' stands twice, and line 1 has other"),
        (
            "1;a;x;*\n2;a;y;*\n",
            "line 2: the group 'a' of level 1 lies in 'y', but on line 1 in 'x'",
        ),
        ("1\n2\n", "line 1: only one entry"),
        ('1;a;*\n"2;a;*\n', "line 2: unexpected end of data"),
        ("1;a;*\n2;b\u00e4;*\n".encode("latin-1"), "line 2: not UTF-8"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(HierarchyError, match=message) as error:
        Hierarchy.read(write(tmp_path, text))
    assert "ages.csv" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "1;a;*\n2;b;*\n",
        "\ufeff1;a;*\r\n2;b;*\r\n\r\n",
        "1,a,*\n2,b,*",
        "1\ta\t*\n2\tb\t*\n",
        ' 1 ; a ; * \n"2";b;*\n1;a;*\n',
    ],
)
def test_the_usual_ways_to_write_a_file_are_read(tmp_path: Path, text: str) -> None:
    hierarchy = Hierarchy.read(write(tmp_path, text))
    assert hierarchy.recipe == {"lines": [["1", "a", "*"], ["2", "b", "*"]]}


def test_a_delimiter_within_quotes_and_one_that_is_said(tmp_path: Path) -> None:
    hierarchy = Hierarchy.read(write(tmp_path, '"No, never";none;*\n"a;b";some;*\n'))
    assert hierarchy.leaves == ("No, never", "a;b")
    said = Hierarchy.read(write(tmp_path, "a;b,c,*"), delimiter=",")
    assert said.leaves == ("a;b",)
    assert Hierarchy.from_dict(said.to_dict(tmp_path), tmp_path) == said


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HierarchyError, match=r"cannot read .*absent\.csv: no such file"):
        Hierarchy.read(tmp_path / "absent.csv")


# -- how a cell finds its line ----------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([80, 2], dtype=pl.Int64),
        pl.Series([80, 2], dtype=pl.UInt8),
        pl.Series([80.0, 2.0]),
        pl.Series([80.0, 2.0], dtype=pl.Float32),
        pl.Series(["80", "2.00"]),
        pl.Series(["80.0", "2"]),
        pl.Series(["80.0", "2"], dtype=pl.Categorical),
    ],
)
def test_numbers_match_by_value(values: pl.Series) -> None:
    hierarchy = Hierarchy.mapping({"80.0": "old", "2": "young"})
    assert hierarchy.generalize(values, 1).to_list() == ["old", "young"]
    assert hierarchy.generalize(values, 0).to_list() == ["80.0", "2"]


def test_decimal_keys_of_a_32_bit_column_match() -> None:
    hierarchy = Hierarchy.mapping({"25.190": "a", "0.1": "b"})
    values = pl.Series([25.19, 0.1], dtype=pl.Float32)
    assert hierarchy.generalize(values, 1).to_list() == ["a", "b"]


def test_codes_with_leading_zeros_are_texts() -> None:
    hierarchy = Hierarchy.mapping({"007": "agent", "8": "clerk"})
    assert hierarchy.generalize(pl.Series(["007"]), 1).to_list() == ["agent"]
    for value in ("7", "08"):
        with pytest.raises(HierarchyError):
            hierarchy.generalize(pl.Series([value]), 1)


def test_texts_of_one_number_stay_apart() -> None:
    hierarchy = Hierarchy.mapping({"1.1": "first", "1.10": "tenth"})
    assert hierarchy.generalize(pl.Series(["1.10", "1.1"]), 1).to_list() == ["tenth", "first"]


def test_great_integers_match_exactly() -> None:
    great = 2**60
    hierarchy = Hierarchy.mapping({str(great): "even", str(great + 1): "odd"})
    assert hierarchy.generalize(pl.Series([great + 1, great]), 1).to_list() == ["odd", "even"]
    with pytest.raises(HierarchyError):
        hierarchy.generalize(pl.Series([great + 2]), 1)


@pytest.mark.parametrize("keys", [("true", "false"), ("True", "False"), ("1", "0"), (True, False)])
def test_truth_values_match(keys: tuple[object, object]) -> None:
    hierarchy = Hierarchy.mapping({keys[0]: "yes", keys[1]: "no"})
    assert hierarchy.generalize(pl.Series([False, True]), 1).to_list() == ["no", "yes"]


def test_a_value_that_is_not_held_is_counted_and_never_shown() -> None:
    hierarchy = Hierarchy.mapping({"Poor": "Bad", "Good": "Fine"})
    column = pl.Series("health", ["Poor", None, "canary-1", " poor", "canary-1"])
    with pytest.raises(HierarchyError) as error:
        hierarchy.generalize(column, 1)
    message = str(error.value)
    assert "column 'health': 3 rows hold 2 different values" in message
    assert "first in row 3" in message
    assert "the mapping, such as <the value>;<Bad or Fine ...>;*" in message
    assert "1 of them differ by blanks or letter case only" in message
    assert "canary" not in message
    with pytest.raises(HierarchyError, match="3 rows"):
        hierarchy.ladder(column)


def test_no_such_level() -> None:
    with pytest.raises(HierarchyError, match=r"column 'c': no level 3: .* levels 0 to 1"):
        Hierarchy.flat().generalize(pl.Series("c", [1]), 3)


# -- intervals and bands ----------------------------------------------------------------------


def test_who_bmi_is_closed_on_the_left() -> None:
    values = [18.49, 18.5, 24.99, 25, 29.99, 30, 35, 39.99, 40, 97.65]
    assert [labels[0] for labels in climb(Hierarchy.preset("who-bmi"), values)] == [
        "<18.5",
        "[18.5, 25)",
        "[18.5, 25)",
        "[25, 30)",
        "[25, 30)",
        "[30, 35)",
        "[35, 40)",
        "[35, 40)",
        ">=40",
        ">=40",
    ]


def test_the_groups_of_the_heart_study_are_closed_on_the_right() -> None:
    bmi = Hierarchy.preset("bmi-group-right-closed")
    values = [12.02, 18.5, 18.51, 25, 25.01, 30, 30.01, 40, 40.01, 97.65, 100]
    assert [label for (label,) in climb(bmi, values)] == (
        ["Underweight"] * 2
        + ["Normal"] * 2
        + ["Overweight"] * 2
        + ["Obese"] * 2
        + ["ExtremelyObese"] * 3
    )
    height = Hierarchy.preset("height-group")
    values = [0.91, 1.5, 1.51, 1.6, 1.61, 1.7, 1.71, 1.85, 1.86, 2.41, 3]
    assert [label for (label,) in climb(height, values)] == (
        ["VeryShort"] * 2 + ["Short"] * 2 + ["Medium"] * 2 + ["Tall"] * 2 + ["VeryTall"] * 3
    )


@pytest.mark.parametrize("value", [0.0, -1.0, 3.01, 170.0])
def test_a_value_beyond_closed_ends_is_refused(value: float) -> None:
    with pytest.raises(HierarchyError, match="only numbers from 0 to 3 are held"):
        Hierarchy.preset("height-group").generalize(pl.Series("h", [1.7, value]), 1)


def test_ages_have_one_group_of_90_and_over() -> None:
    ages = Hierarchy.preset("age-5-10-20-90")
    assert climb(ages, [0, 4, 5, 89, 89.9, 90, 115]) == [
        ("[0, 5)", "[0, 10)", "[0, 20)"),
        ("[0, 5)", "[0, 10)", "[0, 20)"),
        ("[5, 10)", "[0, 10)", "[0, 20)"),
        ("[85, 90)", "[80, 90)", "[80, 90)"),
        ("[85, 90)", "[80, 90)", "[80, 90)"),
        (">=90", ">=90", ">=90"),
        (">=90", ">=90", ">=90"),
    ]


def test_bands_below_a_bottom_are_one_group() -> None:
    bands = Hierarchy.bands([5, 10], top=83, bottom=18)
    assert climb(bands, [3, 17.9, 18, 19.9, 20, 82, 83]) == [
        ("<18", "<18"),
        ("<18", "<18"),
        ("[18, 20)", "[18, 20)"),
        ("[18, 20)", "[18, 20)"),
        ("[20, 25)", "[20, 30)"),
        ("[80, 83)", "[80, 83)"),
        (">=83", ">=83"),
    ]


@quickly
@given(st.integers(-400, 400), st.sampled_from([0.1, 0.3, 0.05, 7, 1e-3]))
def test_the_end_of_a_band_belongs_to_the_next(step: int, width: float) -> None:
    from fractions import Fraction

    exact = Fraction(repr(width))
    low, high = float(step * exact), float((step + 1) * exact)
    bands = Hierarchy.bands([width], top=None)
    (label,) = bands.generalize(pl.Series([low]), 1)
    assert label.startswith("[")
    assert [float(end) for end in label.strip("[)").split(", ")] == [low, high]


def test_levels_merge_neighbours() -> None:
    merged = Hierarchy.intervals([10, 20, 30, 40], levels=3)
    assert climb(merged, [5, 15, 25, 35, 45]) == [
        ("<10", "<20", "<40"),
        ("[10, 20)", "<20", "<40"),
        ("[20, 30)", "[20, 40)", "<40"),
        ("[30, 40)", "[20, 40)", "<40"),
        (">=40", ">=40", ">=40"),
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hierarchy.intervals([]), "needs at least 1 bounds"),
        (lambda: Hierarchy.intervals([1], open_ended=False), "needs at least 2 bounds"),
        (lambda: Hierarchy.intervals([2, 1]), "must rise"),
        (lambda: Hierarchy.intervals([1, 1]), "must rise"),
        (lambda: Hierarchy.intervals([1, float("inf")]), "must be finite"),
        (lambda: Hierarchy.intervals([1, 2], closed="both"), "closed must be 'left' or 'right'"),
        (lambda: Hierarchy.intervals([1, 2], labels=["a"]), "3 intervals, but 1 labels"),
        (lambda: Hierarchy.intervals([1], labels=["a", "a"]), "a label stands twice"),
        (lambda: Hierarchy.intervals([1, 2], levels=[[3]]), "bound 3 of level 2 is not among"),
        (
            lambda: Hierarchy.intervals([1, 2, 3], levels=[[1, 2]], open_ended=False),
            "level 2 must begin and end where level 1 does",
        ),
        (lambda: Hierarchy.intervals(["x"]), "needs numbers"),
        (lambda: Hierarchy.bands([]), "at least one positive"),
        (lambda: Hierarchy.bands([0]), "at least one positive"),
        (lambda: Hierarchy.bands([5, 12]), "12 is not a multiple of 5"),
        (lambda: Hierarchy.bands([5], top=10, bottom=20), "bottom must be below top"),
        (lambda: Hierarchy.prefix([1, 3]), "must fall"),
        (lambda: Hierarchy.prefix([2, 0]), "at least 1"),
        (lambda: Hierarchy.dates(["year", "month"]), "from fine to coarse"),
        (lambda: Hierarchy.dates(["yaer"]), "unknown level 'yaer'. Did you mean 'year'"),
        (lambda: Hierarchy.postcode("XX"), "no system 'XX'"),
        (lambda: Hierarchy.preset("who-bmy"), "no preset 'who-bmy'. Did you mean 'who-bmi'"),
        (lambda: Hierarchy.ordered([]), "at least one value"),
        (lambda: Hierarchy.ordered(["a"], ["a"]), "a value stands twice"),
        (lambda: Hierarchy.ordered(["a"], ["b"], labels=["x", "x"]), "a label stands twice"),
        (lambda: Hierarchy.ordered(["a"], labels=["x", "y"]), "1 groups, but 2 labels"),
        (lambda: Hierarchy.mapping({}), "the mapping is empty"),
        (lambda: Hierarchy.mapping({None: "a"}), "holds no missing value"),
        (lambda: Hierarchy.mapping({"a": ["x", "t"], "b": ["x", "u"]}), "entry 2: the group 'x'"),
    ],
)
def test_settings_that_cannot_be_are_refused(make: object, message: str) -> None:
    with pytest.raises(HierarchyError) as error:
        make()
    assert message in str(error.value)


@pytest.mark.parametrize("hierarchy", RULES[:5])
def test_numbers_need_numbers(hierarchy: Hierarchy) -> None:
    with pytest.raises(HierarchyError, match=r"1 row holds a value .* first in row 2"):
        hierarchy.generalize(pl.Series("age", ["34", "canary"]), 1)


# -- codes and dates ---------------------------------------------------------------------------


def test_icd10_codes() -> None:
    assert climb(Hierarchy.icd10(), ["E11.9", "i214", "I21", "Y05.1", "H59", "H60", "C4A.0"]) == [
        ("E11", "E10-E14", "E00-E90"),
        ("I21", "I20-I25", "I00-I99"),
        ("I21", "I20-I25", "I00-I99"),
        ("Y05", "X85-Y09", "V01-Y98"),
        ("H59", "H55-H59", "H00-H59"),
        ("H60", "H60-H62", "H60-H95"),
        ("C4A", "C43-C44", "C00-D48"),
    ]
    for stranger in ("E38", "diabetes", "E1", "11.9"):
        with pytest.raises(HierarchyError, match="WHO edition of 2019"):
            Hierarchy.icd10().generalize(pl.Series([stranger]), 1)


def test_icd10_has_22_chapters_of_disjoint_blocks() -> None:
    table = icd10_categories()
    assert table["category"].is_unique().all()
    assert table["chapter"].n_unique() == 22
    assert table["block"].n_unique() == 263
    assert table.unique(["block", "chapter"]).height == 263
    whole = table.filter(pl.col("category").str.contains(r"^[A-Z]\d\d$"))
    for category, chapter in whole.select("category", "chapter").iter_rows():
        first, last = chapter.split("-")
        # national categories (D49, V00, Y99) may stand just beyond the end of their chapter
        assert first <= category <= last or category in {"D49", "D90", "K94", "K95", "V00", "Y99"}


def test_atc_codes() -> None:
    assert climb(Hierarchy.atc(), ["A10BA02", "c07ab02", "A10B"]) == [
        ("A10BA", "A10B", "A10", "A"),
        ("C07AB", "C07A", "C07", "C"),
        ("A10B", "A10B", "A10", "A"),
    ]
    with pytest.raises(HierarchyError, match="ATC code"):
        Hierarchy.atc().generalize(pl.Series(["E10BA02"]), 1)


def test_prefixes() -> None:
    assert climb(Hierarchy.prefix([3, 1]), ["02139", "9"]) == [("021*", "0*"), ("9*", "9*")]


def test_postcodes_as_texts_and_as_numbers() -> None:
    us = Hierarchy.postcode("US")
    expected = [("02139", "021**", "0****"), ("10001", "100**", "1****")]
    assert climb(us, ["02139-4307", "10001"]) == expected
    assert climb(us, [2139, 10001]) == expected
    assert climb(us, [2139.0, 10001.0]) == expected
    column = pl.Series("zip", [2139, 10001, 2139])
    assert us.ladder(column).codes(column).tolist() == [0, 1, 0]
    assert climb(Hierarchy.postcode("GB"), ["sw1a 1aa", "M1 1AE"]) == [("SW1A", "SW"), ("M1", "M")]
    assert climb(Hierarchy.postcode("DE"), ["10115"]) == [("101**", "10***", "1****")]


@pytest.mark.parametrize(
    "value",
    [date(2021, 3, 4), datetime(2021, 3, 4, 10, 30), "2021-03-04", "2021-03-04T10:30:00Z"],  # noqa: DTZ001
)
def test_dates(value: object) -> None:
    every = Hierarchy.dates(
        ["day", "month", "quarter", "half-year", "year", "five-years", "decade"]
    )
    assert climb(every, [value]) == [
        ("2021-03-04", "2021-03", "2021-Q1", "2021-H1", "2021", "2020-2024", "2020s")
    ]


@quickly
@given(st.lists(st.dates(), min_size=1, max_size=20))
def test_date_ladders_are_depth_first(days: list[date]) -> None:
    hierarchy = Hierarchy.dates(["month", "quarter", "half-year", "year", "five-years", "decade"])
    column = pl.Series("c", days)
    assert_depth_first(hierarchy.ladder(column))
    years = hierarchy.generalize(column, 4)
    assert years.to_list() == [str(day.year) for day in days]


@pytest.mark.parametrize("value", ["2021-02-30", "04.03.2021", "2021", "2021-03-04 later"])
def test_what_is_no_date_is_refused(value: str) -> None:
    with pytest.raises(HierarchyError, match="cells must be dates"):
        Hierarchy.dates().generalize(pl.Series([value]), 1)


# -- lists, presets ----------------------------------------------------------------------------


def test_ordered_groups_keep_their_order_and_name_themselves() -> None:
    health = Hierarchy.ordered(["Poor", "Fair"], ["Good"], ["Very good", "Excellent"])
    assert health.leaves == ("Poor", "Fair", "Good", "Very good", "Excellent")
    assert climb(health, ["Fair", "Good", "Excellent"]) == [
        ("Poor to Fair",),
        ("Good",),
        ("Very good to Excellent",),
    ]
    named = Hierarchy.ordered(["Poor", "Fair"], ["Good"], labels=["Bad", "Medium"])
    assert climb(named, ["Fair", "Good"]) == [("Bad",), ("Medium",)]


def test_mapping_to_several_levels() -> None:
    hierarchy = Hierarchy.mapping({1: ["a", "x"], 2: ["b", "x", "*"]})
    assert climb(hierarchy, [1, 2]) == [("a", "x"), ("b", "x")]


# The exact maps of the heart study.
GROUPS = {
    "us-census-region": {"Maine": "Northeast", "Ohio": "Midwest", "Texas": "South"}
    | {"District of Columbia": "South", "Hawaii": "West", "Guam": "Territories"},
    "brfss-age-group": {
        "Age 18 to 24": "Young Adult",
        "Age 30 to 34": "Young Adult",
        "Age 35 to 39": "Adult",
        "Age 45 to 49": "Adult",
        "Age 50 to 54": "Middle-aged",
        "Age 60 to 64": "Middle-aged",
        "Age 65 to 69": "Senior",
        "Age 80 or older": "Senior",
    },
    "brfss-general-health": {
        "Poor": "Bad",
        "Fair": "Bad",
        "Good": "Medium",
        "Very good": "High",
        "Excellent": "High",
    },
    "brfss-diabetes": {
        "No": "NoDiabetes",
        "No, pre-diabetes or borderline diabetes": "Prediabetic",
        "Yes": "Diabetic",
        "Yes, but only during pregnancy (female)": "Diabetic",
    },
    "brfss-smoker": {
        "Never smoked": "Never",
        "Former smoker": "Former",
        "Current smoker - now smokes every day": "Current",
        "Current smoker - now smokes some days": "Current",
    },
    "brfss-e-cigarette": {
        "Never used e-cigarettes in my entire life": "Never",
        "Not at all (right now)": "FormerOrNone",
        "Use them some days": "Current",
        "Use them every day": "Current",
    },
    "brfss-race": {
        "White only, Non-Hispanic": "White",
        "Hispanic": "Hispanic",
        "Black only, Non-Hispanic": "NonWhiteOther",
        "Other race only, Non-Hispanic": "NonWhiteOther",
        "Multiracial, Non-Hispanic": "NonWhiteOther",
    },
    "brfss-tetanus": {
        "No, did not receive any tetanus shot in the past 10 years": "NoShot10Years",
        "Yes, received tetanus shot but not sure what type": "VaccinatedUnknownType",
        "Yes, received Tdap": "VaccinatedKnownType",
        "Yes, received tetanus shot, but not Tdap": "VaccinatedKnownType",
    },
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_maps_of_the_heart_study(name: str) -> None:
    expected = GROUPS[name]
    hierarchy = Hierarchy.preset(name)
    assert dict(zip(expected, climb(hierarchy, list(expected)), strict=True)) == {
        value: (group,) for value, group in expected.items()
    }
    if name != "us-census-region":
        assert set(hierarchy.leaves) <= set(expected) or name == "brfss-age-group"


def test_the_census_regions_are_complete() -> None:
    states = Hierarchy.preset("us-census-region")
    regions = states.generalize(pl.Series("State", states.leaves), 1)
    assert dict(regions.value_counts().iter_rows()) == {
        "Northeast": 9,
        "Midwest": 12,
        "South": 17,
        "West": 13,
        "Territories": 3,
    }


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_works_and_describes_itself(name: str) -> None:
    hierarchy = Hierarchy.preset(name)
    assert Hierarchy.from_dict(hierarchy.to_dict()) == hierarchy
    assert hierarchy.to_dict() == {"preset": name}
    preview = hierarchy.preview(4)
    assert preview.width == hierarchy.height + 1
    assert 0 < preview.height <= 4
    assert set(preview[f"level {hierarchy.height}"]) == {"*"}
    assert hierarchy.describe().endswith(f"level {hierarchy.height} is '*'")


@pytest.mark.parametrize(
    "hierarchy",
    [
        *RULES,
        Hierarchy.intervals([0, 1, 2], "right", ["a", "b"], [[0, 2]], open_ended=False),
        Hierarchy.prefix([3, 1]),
        Hierarchy.icd10(),
        Hierarchy.atc(),
        Hierarchy.postcode("NL"),
        Hierarchy.dates(),
        Hierarchy.ordered(["a", "b"], ["c"], labels=["x", "y"]),
        Hierarchy.mapping({"a": ["b", "c"]}),
        Hierarchy.preset("brfss-race"),
    ],
)
def test_plain_values_make_the_same_hierarchy(hierarchy: Hierarchy) -> None:
    again = Hierarchy.from_dict(hierarchy.to_dict())
    assert again == hierarchy
    assert hash(again) == hash(hierarchy)
    assert again.preview().equals(hierarchy.preview())


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({}, "none of the kinds"),
        ({"interval": [1]}, "Did you mean 'intervals'"),
        ({"file": "a.csv", "bands": [1]}, "both 'file' and 'bands'"),
        ({"bands": [5], "closed": "left"}, "unknown setting 'closed' beside 'bands'"),
        ({"intervals": "18, 30"}, "intervals must be a list of rising numbers"),
        ({"intervals": [1], "closed": "both"}, "closed must be 'left' or 'right'"),
        ({"flat": False}, "flat must be true"),
        ({"mapping": {"a": 1}}, "mapping must be a table"),
        ("age.csv", "a hierarchy is a table"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(recipe: object, message: str) -> None:
    with pytest.raises(HierarchyError) as error:
        Hierarchy.from_dict(recipe)
    assert message in str(error.value)


def test_a_file_is_named_from_the_schema_s_folder(tmp_path: Path) -> None:
    path = write(tmp_path, "1;a;*\n2;b;*\n")
    hierarchy = Hierarchy.read(path)
    (tmp_path / "schemas").mkdir()
    recipe = hierarchy.to_dict(base=tmp_path / "schemas")
    assert recipe == {"file": "../ages.csv"}
    assert Hierarchy.from_dict(recipe, tmp_path / "schemas") == hierarchy
    assert Hierarchy.from_dict(hierarchy.to_dict()) == hierarchy
    assert str(tmp_path) not in repr(hierarchy) + hierarchy.describe()
