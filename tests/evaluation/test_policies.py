"""Limits and what is said of them; what of an evaluation may leave the house."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import PlanError
from sfumato.evaluation import class_risks
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.measured_criteria import class_measures
from sfumato.evaluation.outward_figures import OUTWARD_RULES, outward, outward_counts
from sfumato.evaluation.policies import POLICIES, Policy, Verdict, judge, policies_of

LIMIT = Policy(name="own", source="our board", figure="linkability*", limit=0.01)


def attack(value, control, upper, detectable=0.005, p_value=0.4, **more):
    return Figure(
        "linkability", value, "share", "lower is better", "", "WP216", control=control,
        upper=upper, detectable=detectable, p_value=p_value, **more,
    )  # fmt: skip


def verdict(figure, policy=LIMIT, key="linkability"):
    (one,) = judge({key: figure}, [policy])
    return one.verdict


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        # what it may be is below, and it would have been seen
        (attack(0.052, 0.05, 0.009), Verdict.WITHIN),
        # a low value is not enough: it may be more
        (attack(0.05, 0.05, 0.03), Verdict.NOT_ENOUGH),
        # a low bound is not enough: an excess of the limit would have been overlooked
        (attack(0.05, 0.05, 0.009, detectable=0.2), Verdict.NOT_ENOUGH),
        # a high value by chance is not over the limit
        (attack(0.09, 0.05, 0.08), Verdict.NOT_ENOUGH),
        (attack(0.09, 0.05, 0.08, p_value=1e-4), Verdict.OVER),
        # adjusted for all figures it is no evidence
        (attack(0.09, 0.05, 0.08, p_value=1e-4, adjusted=0.3), Verdict.NOT_ENOUGH),
        (attack(0.09, 0.05, 0.08, interval=(0.07, 0.11)), Verdict.OVER),
        (attack(None, None, None, because="no controls"), Verdict.NOT_ENOUGH),
        # no control, no excess
        (attack(0.05, None, 0.009), Verdict.NOT_ENOUGH),
    ],
)
def test_a_test_is_within_a_limit_only_if_it_would_have_noticed(figure, expected):
    assert verdict(figure) == expected


def test_evidence_below_a_limit_is_told():
    (one,) = judge({"linkability": attack(0.056, 0.05, 0.009, p_value=1e-6)}, [LIMIT])
    assert one.verdict == Verdict.WITHIN
    assert "evidence of a leak" in one.sentence


def test_exact_and_estimated_figures():
    exact = Figure("k", 5.0, "people", "higher is better", "", "")
    least = Policy(name="k", source="x", figure="k", limit=5, direction="at least", unit="people")
    assert verdict(exact, least, "k") == Verdict.WITHIN
    assert verdict(exact, least.model_copy(update={"limit": 6.0}), "k") == Verdict.OVER
    share = Figure("u", 0.05, "share", "lower is better", "", "", interval=(0.02, 0.09))
    for limit, expected in (
        (0.09, Verdict.WITHIN),
        (0.06, Verdict.NOT_ENOUGH),
        (0.04, Verdict.NOT_ENOUGH),
        (0.01, Verdict.OVER),
    ):
        policy = Policy(name="u", source="x", figure="u", limit=limit)
        assert verdict(share, policy, "u") == expected
    # a tested figure without an interval has no least and no most
    bare = Figure("m", 0.02, "share", "lower is better", "", "", p_value=0.5)
    assert verdict(
        bare, Policy(name="m", source="x", figure="m", limit=0.5, compared="value"), "m"
    ) == (Verdict.NOT_ENOUGH)


@given(
    value=st.floats(0, 1),
    control=st.floats(0, 1),
    reach=st.floats(0, 0.3),
    detectable=st.floats(0, 0.5),
    p_value=st.floats(0, 1),
    limit=st.floats(0, 1),
)
def test_never_within_a_limit_that_could_be_broken(
    value, control, reach, detectable, p_value, limit
):
    excess = value - control
    figure = attack(value, control, excess + reach, detectable, p_value)
    policy = LIMIT.model_copy(update={"limit": limit})
    found = verdict(figure, policy)
    if found == Verdict.WITHIN:
        assert excess + reach <= limit + 1e-6
        assert detectable <= limit + 1e-6
    if found == Verdict.OVER:
        assert excess > limit
        assert p_value <= 0.05
    # a lower limit is never kept better
    lower = verdict(figure, policy.model_copy(update={"limit": limit / 2}))
    assert not (lower == Verdict.WITHIN and found != Verdict.WITHIN)


def test_the_known_policies_are_sourced_and_never_say_anonymous():
    risks = class_risks(pl.DataFrame({"age": ["20-30"] * 11 + ["30-40"] * 12}), ["age"])
    found = judge(risks, POLICIES.values())
    by_name = {one.policy.name: one for one in found}
    # a class of eleven is a risk of 1/11 = 0.0909, which is what 0.09 means
    assert by_name["ema-0070"].verdict == Verdict.WITHIN
    assert by_name["risk-0.05"].verdict == Verdict.OVER
    assert by_name["hipaa-expert"].verdict == Verdict.NOT_ENOUGH
    assert "no limit is set" in by_name["hipaa-expert"].sentence
    assert "no figure" in by_name["edpb-inference"].sentence
    for one in found:
        assert one.policy.source
        assert "anonymous" not in one.sentence
        assert json.loads(json.dumps(one.to_dict(), allow_nan=False))["verdict"] == one.verdict


def test_a_policy_is_about_each_figure_of_its_pattern():
    figures = {f"inference/{name}": attack(0.5, 0.5, 0.001) for name in ("sex", "b/c")}
    figures["linkability"] = attack(0.5, 0.5, 0.001)
    (policy,) = policies_of({"edpb-inference": 0.02})
    found = judge(figures, [policy])
    assert [one.figure for one in found] == ["inference/sex", "inference/b/c"]


def test_a_plan_asks_for_policies():
    asked = policies_of(
        {
            "ema-0070": True,
            "cms-cell-size": False,
            "edpb-singling-out": 0.02,
            "risk-0.2": {"figure": "wildcard_highest"},
            "ours": {"figure": "k", "limit": 7, "direction": "at least", "unit": "people"},
        }
    )
    assert [one.name for one in asked] == ["ema-0070", "edpb-singling-out", "risk-0.2", "ours"]
    assert asked[1].limit == 0.02
    assert asked[2].figure == "wildcard_highest"
    assert asked[2].limit == 0.2
    assert asked[3].source == "set by the user"
    assert Policy.of(asked[3].model_dump()) == asked[3]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ema-007": True}, "Did you mean 'ema-0070'"),
        ({"ema-0070": "yes"}, "a number or a table"),
        ({"ema-0070": 9}, "a share is at most 1"),
        ({"ours": {"limit": 1}}, "figure"),
        ({"ours": {"figure": "k", "limits": 1}}, "Did you mean 'limit'"),
        ({"ours": {"figure": "k", "limit": float("inf")}}, "limit"),
    ],
)
def test_a_wrong_policy_is_refused(asked, message):
    with pytest.raises(PlanError, match=message):
        policies_of(asked)


# -- outward ---------------------------------------------------------------------------------


def figure(value, unit="share", direction="lower is better", **more):
    return Figure("name", value, unit, direction, f"exactly {value}", "source", **more)


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("at_risk", figure(0.0), 0.01),
        ("at_risk", figure(0.003), 0.01),
        ("at_risk", figure(0.012), 0.02),
        ("at_risk", figure(0.051), 0.1),
        ("at_risk", figure(0.97), 1.0),
        ("smallest_class", figure(7, "people", "higher is better"), 5),
        ("smallest_class", figure(11, "people", "higher is better"), 11),
        ("smallest_class", figure(1, "people", "higher is better"), 1),
        ("prosecutor_highest", figure(1 / 7), 1 / 5),
        ("prosecutor_highest", figure(1 / 11), 1 / 11),
        ("copies", figure(0, "people"), 10),
        ("copies", figure(10, "people"), 10),
        ("copies", figure(11, "people"), 20),
        ("copies", figure(213, "people"), 500),
        ("beta/s", figure(3.2, "times"), 5),
        ("utility", figure(0.87, direction="higher is better"), 0.85),
    ],
)
def test_outward_values_are_steps_that_look_worse(key, given, expected):
    assert outward({key: given}, people=2000)[key].value == pytest.approx(expected)


FIGURES = st.builds(
    figure,
    st.one_of(st.floats(0, 1), st.integers(0, 3000).map(float)),
    st.sampled_from(["share", "people", "times", "bits", "rows"]),
    st.sampled_from(["lower is better", "higher is better"]),
    interval=st.one_of(st.none(), st.tuples(st.floats(-1, 0.4), st.floats(0.4, 1))),
    control=st.one_of(st.none(), st.floats(0, 1)),
    upper=st.one_of(st.none(), st.floats(-1, 1)),
    p_value=st.one_of(st.none(), st.floats(0, 1)),
)


@given(given_figure=FIGURES, people=st.sampled_from([5, 300, 50_000]))
def test_outward_twice_is_outward_once_and_never_looks_better(given_figure, people):
    once = outward({"x": given_figure}, people=people)["x"]
    assert outward({"x": once}, people=people)["x"] == once
    if given_figure.direction == "lower is better":
        assert once.value >= given_figure.value - 1e-9 or once.value == 1.0
    else:
        assert once.value <= given_figure.value + 1e-9
    if given_figure.interval is not None and given_figure.unit == "share":
        assert once.interval[0] <= given_figure.interval[0] + 1e-9
        assert once.interval[1] >= given_figure.interval[1] - 1e-9
    if given_figure.p_value is not None:
        assert once.p_value >= given_figure.p_value
    assert "exactly" not in once.meaning


def test_a_reason_stays_and_small_bars_go():
    absent = Figure.not_computed(
        "x", "no rows", unit="share", direction="lower is better", source=""
    )
    assert outward({"x": absent}, people=3)["x"] == absent
    assert outward_counts([0, 3, 10, 11, 19, 20, 347]) == (None, None, None, 11, 11, 20, 340)
    assert len(OUTWARD_RULES) == 6
    with pytest.raises(PlanError, match="at least 1 person"):
        outward({}, people=0)


def exact_answers(table, people):
    quasi = ["age", "sex"]
    figures = class_risks(table, quasi, population=people) | class_measures(table, quasi, ["ill"])
    copies = table.join(people, on=table.columns, how="semi", nulls_equal=True).height
    figures["copies"] = Figure("copies", float(copies), "rows", "lower is better", "", "")
    return figures


def test_a_guess_about_a_person_is_answered_the_same_whether_right_or_wrong():
    # The attacker of Ganev & De Cristofaro puts a guess about a person into a release of his own
    # and asks for the figures: with exact ones a right guess shows.
    ills = ["flu", "gout", "ague"]
    people = pl.DataFrame(
        {
            "age": [20 + i % 30 for i in range(900)],
            "sex": ["f" if i % 2 else "m" for i in range(900)],
            "ill": [ills[(i * i) % 3] for i in range(900)],
        }
    )
    # rows that he made up: nobody is 60 or older
    own = people[:300].with_columns(pl.col("ill") + "?")
    rng_rows = [(i * 37) % 900 for i in range(12)]
    told_exactly = told_outward = 0
    for row in rng_rows:
        person = people[row]
        answers = []
        for ill in ills:
            guess = person.with_columns(ill=pl.lit(ill))
            figures = exact_answers(pl.concat([own, guess]), people)
            shown = outward(figures, people=300)
            answers.append(
                (
                    {key: one.value for key, one in figures.items()},
                    {key: (one.value, one.meaning) for key, one in shown.items()},
                )
            )
        told_exactly += any(one[0] != answers[0][0] for one in answers)
        told_outward += any(one[1] != answers[0][1] for one in answers)
    assert told_exactly == len(rng_rows)
    assert told_outward == 0


@given(row=st.integers(0, 199), other=st.integers(0, 199))
@settings(deadline=None, max_examples=40)
def test_one_row_hardly_ever_moves_an_outward_figure(row, other):
    # classes of 40: far from every line, so that no exchange of one row crosses one
    table = pl.DataFrame(
        {
            "age": [f"{i % 5}0s" for i in range(200)],
            "ill": ["ab"[i % 2] for i in range(200)],
        }
    )
    changed = pl.concat([table[:row], table[other], table[row + 1 :]])
    first = outward(class_risks(table, ["age"]), people=200)
    second = outward(class_risks(changed, ["age"]), people=200)
    assert first == second
