"""Numbers for people, and the three ways in which a risk may be read."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.evaluation import Figure
from sfumato.release.report.readings import WIDE_INTERVAL, reading
from sfumato.release.report.wording import (
    amount,
    breakable,
    bytes_of,
    duration,
    interval,
    listing,
    number,
    score,
    share,
    shorten,
)

SHARES = st.floats(0, 1)


def value_of(text: str) -> float:
    mantissa, _, power = text.replace(",", "").replace("−", "-").partition(" × 10")
    exponent = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or "0"
    return float(mantissa) * 10.0 ** int(exponent)


@given(st.floats(-1e12, 1e12).filter(lambda value: value == 0 or abs(value) > 1e-200))
def test_a_number_keeps_three_significant_digits(value: float):
    assert value_of(number(value)) == pytest.approx(value, rel=0.00501)


@given(st.integers(-(10**14), 10**14))
def test_whole_numbers_are_written_in_full(value: int):
    assert value_of(number(value)) == value


@given(SHARES)
def test_a_share_is_never_rounded_to_a_false_zero_or_all(value: float):
    text = share(value)
    assert (text == "0%") == (value == 0)
    assert (text == "100%") == (100 * value == 100)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9994, "99.9%"),
        (0.9996, ">99.9%"),
        (0.09994, "9.99%"),
        (0.09996, "10.0%"),
        (-0.000333, "−0.0333%"),
        (float("nan"), "not a number"),
        (None, "not computed"),
        (2.5, "250%"),
    ],
)
def test_shares_at_the_edges(value, text: str):
    assert share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (999.5, "1,000"),
        (99.95, "100"),
        (9.995, "9.99"),
        (9.996, "10.0"),
        (12345.6, "12,346"),
        (float("inf"), "unbounded"),
        (1e18, "1.00 × 10¹⁸"),
        (-0.5, "−0.500"),
    ],
)
def test_numbers_at_the_edges(value, text: str):
    assert number(value) == text


def test_units_agree_with_the_number():
    assert amount(1, "people") == "1 person"
    assert amount(1, "classes") == "1 class"
    assert amount(11, "people") == "11 people"
    assert amount(0.00001, "correlation") == "<0.001"
    assert amount(None, "rows") == "not computed"
    assert interval((3, 8), "rows") == "3 to 8"
    assert score(None) == "not computed"
    assert duration(None) == "not computed"
    assert bytes_of(900) == "900 bytes"
    assert listing([]) == ""


@given(st.text(max_size=300), st.integers(3, 80))
def test_a_shortened_text_is_no_longer_than_asked(text: str, most: int):
    assert len(shorten(text, most)) == min(len(text), most)


@given(st.text(alphabet="aB_<>&\"'-. ", max_size=50))
def test_a_breakable_name_is_escaped_and_loses_nothing(name: str):
    markup = str(breakable(name))
    assert "<" not in markup.replace("<wbr>", "")
    assert breakable(name).striptags() == " ".join(name.split()) or "<" in name


def risk(
    value=0.2,
    bounds=None,
    *,
    control=None,
    baseline=None,
    unit="share",
    direction="lower is better",
    method="Wilson",
):
    return Figure(
        "risk",
        value,
        unit,
        direction,
        "A risk.",
        "Somebody",
        interval=bounds,
        interval_method=method,
        control=control,
        baseline=baseline,
    )


@pytest.mark.parametrize(
    ("figure", "outcome"),
    [
        (risk(0.0, (0.0, 0.42), control=0.0), "not enough"),
        (risk(0.2, (0.18, 0.22), control=0.1), "beyond"),
        (risk(0.2, (0.05, 0.6), control=0.01), "beyond"),
        (risk(0.1, (0.08, 0.12), control=0.1), "none seen"),
        (risk(0.1, (0.08, 0.12), baseline=0.1), "none seen"),
        (risk(0.1, (0.08, 0.12), control=0.1, baseline=0.01), "none seen"),
        (risk(0.1, (0.08, 0.12)), "no interval"),
        (risk(0.3, (0.1, 0.5)), "not enough"),
        (risk(0.3), "no interval"),
        (risk(0.3, method="exact: counted"), "exact"),
        (risk(3, unit="rows"), "exact"),
        (
            risk(
                0.01,
                (0.009, 0.011),
                control=0.05,
                unit="mean difference",
                direction="higher is better",
            ),
            "beyond",
        ),
        (
            risk(
                0.05,
                (0.04, 0.06),
                control=0.05,
                unit="mean difference",
                direction="higher is better",
            ),
            "none seen",
        ),
        (
            risk(0.4, (0.38, 0.42), baseline=0.5, direction="closer to the baseline is better"),
            "none seen",
        ),
        (
            risk(0.6, (0.58, 0.62), baseline=0.5, direction="closer to the baseline is better"),
            "beyond",
        ),
    ],
)
def test_how_a_figure_may_be_read(figure: Figure, outcome: str):
    assert reading(figure).outcome == outcome


def test_a_figure_that_was_not_computed_says_why_and_never_reads_as_safe():
    figure = Figure.not_computed(
        "risk", "there is no control", unit="share", direction="lower is better", source="x"
    )
    read = reading(figure)
    assert read.outcome == "not computed"
    assert "there is no control" in read.sentence


def test_what_could_have_been_missed_is_said_in_percentage_points():
    read = reading(risk(0.1, (0.08, 0.12), control=0.1))
    assert read.sentence == (
        "No more than people who are not in the release would give; up to 2.00 percentage points "
        "more cannot be ruled out."
    )


def test_rows_that_are_peoples_own_are_near_them_by_construction():
    figure = risk(0.9, (0.88, 0.92), baseline=0.5)
    assert reading(figure, rows_are_people=True).outcome == "expected"
    assert reading(figure, rows_are_people=False).outcome == "beyond"


@pytest.mark.parametrize(
    ("p_value", "adjusted", "detectable", "outcome"),
    [
        (0.001, 0.02, 0.01, "evidence"),
        (0.001, None, 0.01, "evidence"),
        # one of many tests, and by chance alone
        (0.02, 0.6, 0.01, "none seen"),
        (0.4, 1.0, 0.01, "none seen"),
        # a test that would not have noticed a leak tells nothing
        (0.4, 1.0, 0.3, "not enough"),
        (0.4, 1.0, None, "not enough"),
    ],
)
def test_a_tested_figure_has_three_outcomes(p_value, adjusted, detectable, outcome):
    figure = replace(
        risk(0.11, (0.08, 0.14), control=0.1),
        p_value=p_value,
        adjusted=adjusted,
        detectable=detectable,
    )
    assert reading(figure).outcome == outcome


@given(SHARES, SHARES, SHARES)
def test_an_interval_beyond_its_control_is_never_passed_over(
    one: float, two: float, control: float
):
    low, high = sorted((one, two))
    read = reading(risk((low + high) / 2, (low, high), control=control))
    if low > control:
        assert read.outcome == "beyond"
    elif high - low > WIDE_INTERVAL:
        assert read.outcome == "not enough"
    else:
        assert read.outcome == "none seen"
