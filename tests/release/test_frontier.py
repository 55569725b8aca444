"""Risk against use: who dominates whom, which limits are kept, and what may be recommended."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.evaluation import Figure
from sfumato.release.bounds import Candidate, reach
from sfumato.release.frontier import draw_frontier
from sfumato.release.frontier_plan import FrontierPlan
from sfumato.release.report.frontier_chart import family_charts, frontier_chart, placed_labels
from sfumato.release.report.frontier_figures import difference_text, figure_text


def exact(value, name="prosecutor risk, highest", direction="lower is better", unit="share"):
    return Figure(name, value, unit, direction, "", "", interval_method="exact")


def attack(value, upper, control=0.0, unit="share", **more):
    return Figure(
        "attack", value, unit, "lower is better", "", "", control=control, upper=upper, **more
    )


def auc(value, reach=0.01):
    between = (value - reach, value + reach)
    return Figure("AUC", value, "share", "higher is better", "", "", interval=between)


def absent(because="too few people"):
    return Figure.not_computed(
        "attack", because, unit="share", direction="lower is better", source=""
    )


def candidate(name, risks, use=0.8, *, synthetic=False, verified=True, utility=None):
    utility = {"auc/mlp/honest": auc(use)} if utility is None else utility
    return Candidate(name, "mondrian", synthetic, verified, risks, utility)


def drawn(candidates, **plan):
    return draw_frontier(candidates, FrontierPlan(**plan))


# -- a figure as far as the data let it be -------------------------------------------------------


def test_an_attack_is_its_excess_over_control_up_to_its_bound():
    found = reach("inference/age", attack(0.30, 0.12, control=0.25))
    assert found.point == pytest.approx(0.05)
    assert (found.bound, found.badness, found.excess) == (0.12, 0.12, True)


def test_a_figure_of_which_more_is_better_is_worst_at_its_lower_end():
    found = reach("auc/mlp/honest", auc(0.8))
    assert found.bound == pytest.approx(0.79)
    assert found.badness == pytest.approx(-0.79)


@pytest.mark.parametrize(
    ("value", "interval", "expected"),
    [(0.6, (0.55, 0.65), (0.1, 0.05, 0.15)), (0.45, (0.4, 0.55), (0.05, 0.0, 0.1))],
)
def test_a_figure_that_should_be_near_its_baseline_is_how_far_it_is(value, interval, expected):
    direction = "closer to the baseline is better"
    figure = Figure("n", value, "share", direction, "", "", interval=interval, baseline=0.5)
    found = reach("nearer_to_train", figure)
    assert (found.point, found.low, found.high) == pytest.approx(expected)
    assert found.lower_is_better


def test_what_was_not_computed_has_no_reach():
    assert reach("inference/age", absent()) is None


# -- limits --------------------------------------------------------------------------------------


def status(candidate_, key, limit):
    (place,) = drawn([candidate_], limits={key: limit}).places
    return place.checks[0].status


@pytest.mark.parametrize(
    ("figure", "limit", "expected"),
    [
        (exact(0.09), 0.09, "kept"),
        (exact(0.0901), 0.09, "broken"),
        (attack(0.02, 0.04), 0.05, "kept"),
        (attack(0.02, 0.06), 0.05, "not enough data"),
        (attack(0.07, 0.09), 0.05, "not enough data"),
        (attack(0.07, 0.09, p_value=0.001), 0.05, "broken"),
        (attack(0.01, 0.02, p_value=0.001), 0.05, "kept"),
        (attack(0.0, 0.02, detectable=0.2), 0.05, "not enough data"),
        (attack(0.30, 0.04, control=0.29), 0.05, "kept"),
        (attack(0.0, math.inf), 0.05, "not enough data"),
        (absent(), 0.05, "not measured"),
    ],
)
def test_a_limit_is_kept_only_if_the_worse_end_keeps_it(figure, limit, expected):
    assert status(candidate("a", {"my_own": figure}), "my_own", limit) == expected


def test_where_more_is_better_the_limit_is_the_least():
    one = candidate("a", {"smallest_class": exact(11, direction="higher is better", unit="rows")})
    assert status(one, "smallest_class", 11) == "kept"
    assert status(one, "smallest_class", 12) == "broken"
    assert status(one, "auc/mlp/honest", 0.78) == "kept"
    assert status(one, "auc/mlp/honest", 0.795) == "not enough data"
    assert status(one, "auc/mlp/honest", 0.82) == "broken"


def test_a_limit_on_a_family_holds_for_its_worst_figure():
    risks = {
        "inference/age": attack(0.01, 0.02),
        "inference/sex": attack(0.01, 0.08),
        "attribute_inference/sex": attack(0.0, 0.01),
        "inference/people": attack(90, 95, unit="people"),
    }
    (place,) = drawn([candidate("a", risks)], limits={"inference": 0.05}).places
    assert place.checks[0].status == "not enough data"
    assert place.checks[0].worst.key == "inference/sex"
    assert status(candidate("a", risks), "inference/age", 0.05) == "kept"


def test_what_a_release_cannot_have_neither_keeps_nor_breaks_a_limit():
    drawn_rows = candidate("a", {"prosecutor_highest": absent()}, synthetic=True)
    assert status(drawn_rows, "prosecutor_highest", 0.09) == "does not apply"
    recoded = candidate("a", {"exact_copies": exact(1.0), "leaked_share": attack(1.0, 1.0)})
    for key in ("exact_copies", "leaked_share", "copies"):
        assert status(recoded, key, 0.01) == "does not apply"
    # ... and what keeps no limit of risk at all is not recommended
    found = drawn([drawn_rows], limits={"prosecutor_highest": 0.09, "auc/mlp/honest": 0.5})
    assert found.recommended is None
    assert found["a"].used == math.inf


# -- what is recommended -------------------------------------------------------------------------

LIMITS = {"prosecutor_highest": 0.1, "linkability": 0.05}


def of(name, use, prosecutor=0.05, upper=0.02, **more):
    risks = {"prosecutor_highest": exact(prosecutor), "linkability": attack(0.0, upper)}
    return candidate(name, risks, use, **more)


def test_the_most_useful_of_those_that_keep_the_limits_is_recommended():
    found = drawn(
        [
            of("best", 0.95, prosecutor=0.5),
            of("open", 0.93, upper=0.2),
            of("broken promise", 0.92, verified=False),
            of("second", 0.85),
            of("first", 0.90),
            of("drawn", 0.80, synthetic=True),
        ],
        limits=LIMITS,
    )
    assert found.recommended.name == "first"
    assert [place.name for place in found.ranking] == ["first", "second", "drawn"]
    assert found.nearest is None
    assert found["open"].breaks is False
    assert found["best"].breaks
    assert found["broken promise"].breaks


def test_of_equal_use_the_one_of_less_risk_is_recommended():
    found = drawn([of("a", 0.9, upper=0.04), of("b", 0.9, upper=0.03)], limits=LIMITS)
    assert found.recommended.name == "b"


def test_without_limits_nothing_is_recommended():
    found = drawn([of("a", 0.9)])
    assert found.recommended is None
    assert found.nearest is None


def test_if_none_keeps_them_the_one_that_passes_them_least_is_named():
    found = drawn(
        [of("a", 0.9, prosecutor=0.3), of("b", 0.8, prosecutor=0.11), of("c", 0.7, upper=0.06)],
        limits=LIMITS,
    )
    assert found.recommended is None
    assert found.nearest.name == "b"
    assert found["b"].used == pytest.approx(1.1)
    assert found["c"].used == pytest.approx(1.2)


def test_less_risk_for_use_that_cannot_be_told_apart_speaks_against_the_recommendation():
    plan = FrontierPlan(limits=LIMITS)
    candidates = [
        of("a", 0.900, upper=0.04),
        of("b", 0.895),
        of("c", 0.70),
        of("d", 0.89, upper=0.05),
    ]
    found = draw_frontier(candidates, plan)
    assert [place.name for place in found.as_good] == ["b"]


# -- the axes ------------------------------------------------------------------------------------


def test_the_default_axis_is_the_largest_bound_and_names_its_figure():
    risks = {
        "singling_out/univariate": attack(0.1, 0.2),
        "inference/age": attack(0.0, 0.3),
        "marketer": exact(0.25),
        "prosecutor_highest": exact(1.0),
        "leaked_share": attack(1.0, 1.0),
    }
    both = [candidate("a", risks), candidate("b", risks, synthetic=True)]
    found = drawn(both)
    assert (found["a"].risk.key, found["a"].risk.bound) == ("inference/age", 0.3)
    assert (found["b"].risk.key, found["b"].risk.bound) == ("inference/age", 0.3)
    found = drawn(both, risk="largest")
    assert (found["a"].risk.key, found["a"].risk.bound) == ("inference/age", 0.3)
    assert (found["b"].risk.key, found["b"].risk.bound) == ("leaked_share", 1.0)


def test_without_attacks_drawn_rows_are_placed_by_their_copies_and_others_by_linkage():
    copies = Figure(
        "exact copies", 0.01, "share", "lower is better", "", "",
        interval=(0.0, 0.03), baseline=0.0, p_value=0.2,
    )  # fmt: skip
    risks = {"exact_copies": copies, "marketer": exact(0.25)}
    found = drawn([candidate("a", risks), candidate("b", risks, synthetic=True)])
    assert (found["a"].risk.key, found["a"].risk.bound) == ("marketer", 0.25)
    assert (found["b"].risk.key, found["b"].risk.bound) == ("exact_copies", 0.03)
    assert status(candidate("b", risks, synthetic=True), "copies", 0.03) == "kept"


def test_a_family_that_was_not_measured_leaves_a_release_without_a_place():
    whole = candidate("a", {"linkability": attack(0, 0.1), "marketer": exact(0.1)})
    lacking = candidate("b", {"linkability": absent("there are no control rows")}, synthetic=True)
    found = drawn([whole, lacking])
    assert found["b"].risk is None
    assert found["b"].unplaced == "linkability was not computed: there are no control rows"
    assert not found["b"].on_front
    assert found["a"].dominated_by == ()


def test_the_axis_of_limits_is_the_largest_share_of_a_limit_used_up():
    found = drawn([of("a", 0.9, prosecutor=0.05, upper=0.04)], limits=LIMITS, risk="limits")
    assert found["a"].risk.bound == pytest.approx(0.8)
    assert found["a"].risk.point == pytest.approx(0.0)
    assert found["a"].risk.unit == "of the limit"


def test_without_a_model_use_is_how_little_the_distributions_differ():
    def one(name, distance):
        figure = exact(distance, "total variation")
        risks = {"marketer": exact(0.1)}
        return candidate(name, risks, utility={"mean_total_variation": figure})

    found = drawn([one("far", 0.3), one("near", 0.1)], limits={"marketer": 0.2})
    assert found.utility_key == "mean_total_variation"
    assert found.recommended.name == "near"
    assert found["far"].dominated_by == ("near",)


def test_figures_in_different_units_have_no_common_axis():
    risks = {"marketer": exact(0.1), "classes": exact(7, unit="classes")}
    found = drawn([candidate("a", risks)], risk=("marketer", "classes"))
    assert "different units" in found["a"].unplaced


# -- dominance -----------------------------------------------------------------------------------

POINTS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=12
)


@settings(deadline=None)
@given(POINTS)
def test_dominance_is_what_comparing_each_two_gives(points):
    found = drawn(
        [
            candidate(f"r{i}", {"marketer": exact(risk / 10)}, use / 10, verified=verified)
            for i, (risk, use, verified) in enumerate(points)
        ],
        limits={"marketer": 1.0},
    )
    for i, (risk, use, _) in enumerate(points):
        better = {
            f"r{j}"
            for j, (other, more, verified) in enumerate(points)
            if verified and other <= risk and more >= use and (other < risk or more > use)
        }
        assert set(found[f"r{i}"].dominated_by) == better
    assert [place.name for place in found.front] == [
        f"r{i}"
        for i in sorted(
            (i for i in range(len(points)) if not found[f"r{i}"].dominated_by),
            key=lambda i: (points[i][0], -points[i][1]),
        )
    ]
    eligible = [use for _, use, verified in points if verified]
    best = found.recommended
    assert (best is None) == (not eligible)
    if best is not None:
        assert best.utility.point == max(eligible) / 10
        assert not best.dominated_by


@settings(deadline=None)
@given(POINTS, st.randoms(use_true_random=False))
def test_the_order_of_the_releases_does_not_matter_but_for_ties(points, random):
    candidates = [
        candidate(f"r{i}", {"marketer": exact((risk + i / 100) / 10)}, (use + i / 100) / 10)
        for i, (risk, use, _) in enumerate(points)
    ]
    shuffled = candidates.copy()
    random.shuffle(shuffled)
    one, other = (drawn(order, limits={"marketer": 0.4}) for order in (candidates, shuffled))
    assert {p.name for p in one.front} == {p.name for p in other.front}
    assert (one.recommended and one.recommended.name) == (
        other.recommended and other.recommended.name
    )


def test_dominated_within_the_intervals_is_told_from_beyond_them():
    def one(name, risk, use):
        return candidate(name, {"linkability": attack(*risk), "marketer": exact(0.0)}, use)

    found = drawn(
        [one("a", (0.01, 0.02), 0.9), one("b", (0.01, 0.03), 0.895), one("c", (0.3, 0.4), 0.7)]
    )
    assert (found["b"].dominated_by, found["b"].clearly) == (("a",), False)
    assert (found["c"].dominated_by[0], found["c"].clearly) == ("a", True)


def test_the_record_is_plain_json_even_where_a_bound_is_infinite():
    found = drawn(
        [candidate("a", {"linkability": attack(0.0, math.inf)})], limits={"linkability": 1}
    )
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["releases"]["a"]["limits"]["linkability"]["worst"]["high"] is None


# -- the picture ---------------------------------------------------------------------------------


def test_the_picture_says_in_words_what_it_shows_and_names_the_recommendation():
    found = drawn([of("a", 0.9), of("b", 0.8), of("c", 0.95, upper=0.4)], limits=LIMITS)
    chart = frontier_chart(found, {"mondrian": 0})
    assert "a: risk 0%, at most 2.00%, use 0.900" in chart.description
    assert "recommended" in chart.description.split(";")[0]
    assert "dominated" in chart.description.split(";")[1]
    assert "1  a" in chart.svg
    assert "limit: linkability" in chart.svg
    assert len(family_charts(found, {"mondrian": 0})) == 2  # linkability, prosecutor


def test_there_is_no_picture_where_nothing_has_a_place():
    assert frontier_chart(drawn([candidate("a", {})]), {"mondrian": 0}) is None


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 680), st.floats(0, 430)), min_size=1, max_size=6, unique=True)
)
def test_a_label_stands_near_its_point_and_inside_the_picture(points):
    labels = placed_labels(points, [f"{i}" for i in range(len(points))], 680, 430)
    for (x, y), label in zip(points, labels, strict=True):
        assert math.dist((x, y), (label.x, label.y)) < 50
        assert -8 <= label.x <= 690
        assert -8 <= label.y <= 438


def test_labels_of_neighbours_do_not_cover_each_other():
    points = [(300.0, 200.0), (306.0, 202.0), (296.0, 198.0)]
    labels = placed_labels(points, ["one", "two", "three"], 680, 430)
    boxes = [(one.x, one.y - 6.5, one.x + 6.3 * len(one.text), one.y + 6.5) for one in labels]
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_figures_are_told_with_the_end_that_counts():
    assert figure_text(reach("linkability", attack(0.02, 0.05))) == "2.00%, at most 5.00%"
    assert figure_text(reach("marketer", exact(0.25))) == "25.0%"
    assert figure_text(reach("auc/mlp/honest", auc(0.8))) == "0.800 (95% interval 0.790–0.810)"
    difference = Figure("d", 0.01, "share", "higher is better", "", "", interval=(-0.01, 0.03))
    assert "not beyond the noise" in difference_text(difference)
