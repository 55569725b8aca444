"""Small tables whose figures are worked out by hand or printed in the papers."""

import math

import numpy as np
import polars as pl
import pytest

from sfumato.release import verify
from sfumato.release.recounts.sizes import class_size_of_sampling
from sfumato.release.recounts.uniqueness import pitman, slide_negative_binomial, zayatz
from sfumato.table import Hierarchy, Schema

SCHEMA = Schema(quasi_identifiers=["group"], sensitive=["value"])


def table(*classes):
    """Make a table of classes, each a list of sensitive values."""
    rows = [(f"g{number}", value) for number, values in enumerate(classes) for value in values]
    return pl.DataFrame(rows, schema={"group": pl.String, "value": pl.String}, orient="row")


def count(data, **promise):
    return verify(data, SCHEMA, [promise]).criteria[0]


def worst(data, **promise):
    return count(data, **promise).without_suppressed.worst


def status(data, **promise):
    return count(data, **promise).status


# -- l-diversity ----------------------------------------------------------------------------


def test_distinct_values():
    data = table("aabbc", "ab")
    assert worst(data, kind="l-diversity", column="value", l=2) == 2
    assert status(data, kind="l-diversity", column="value", l=2) == "passed"
    assert status(data, kind="l-diversity", column="value", l=3) == "failed"


def test_a_missing_value_is_a_value():
    data = table(["a", None], ["b", "c"])
    assert status(data, kind="l-diversity", column="value", l=2) == "passed"
    assert status(data, kind="l-diversity", column="value", l=3) == "failed"


def test_entropy():
    """Shares 1/2, 1/4, 1/4 have the entropy 3/2 ln 2, that of 2 ** 1.5 equal values."""
    data = table("aabc")
    found = worst(data, kind="l-diversity", column="value", l=2, variant="entropy")
    assert found == pytest.approx(2**1.5)
    for least, outcome in ((2.8, "passed"), (2**1.5, "passed"), (2.9, "failed")):
        promise = {"kind": "l-diversity", "column": "value", "l": least, "variant": "entropy"}
        assert status(data, **promise) == outcome


def test_grassberger():
    """G(1) = -gamma - ln 2 and G(2) = G(3) = 2 - gamma - ln 2 (arXiv:physics/0307138)."""
    promise = {"kind": "l-diversity", "column": "value", "variant": "entropy"}
    promise |= {"estimator": "grassberger"}
    g1, g2 = -np.euler_gamma - math.log(2), 2 - np.euler_gamma - math.log(2)
    assert worst(table("abcd"), l=2, **promise) == pytest.approx(math.exp(math.log(4) - g1))
    expected = math.exp(math.log(6) - (3 * g2 + 2 * g2 + g1) / 6)
    assert worst(table("aaabbc"), l=2, **promise) == pytest.approx(expected)
    assert status(table("aaabbc"), l=expected - 1e-6, **promise) == "passed"
    assert status(table("aaabbc"), l=expected + 1e-6, **promise) == "failed"


def test_recursive():
    """Counts 4, 2, 1, 1 and l = 2: 4 < c (2 + 1 + 1); equal is not below."""
    promise = {"kind": "l-diversity", "column": "value", "l": 2, "variant": "recursive"}
    data = table("aaaabbcd")
    assert worst(data, c=2, **promise) == 1
    assert status(data, c=1.001, **promise) == "passed"
    assert status(data, c=1, **promise) == "failed"
    alone = count(table("aaa"), c=100, **promise)
    assert (alone.status, alone.without_suppressed.worst) == ("failed", None)


# -- t-closeness ----------------------------------------------------------------------------


def test_li_and_others_salaries():
    """Li et al. 2007, section 4.1.1: 0.375 for {3K, 4K, 5K} and 0.167 for {6K, 8K, 11K}."""
    data = table(["3", "4", "5"], ["6", "8", "11"], ["7", "9", "10"])
    promise = {"kind": "t-closeness", "column": "value", "distance": "ordered"}
    assert worst(data, t=0.375, **promise) == pytest.approx(0.375)
    assert status(data, t=0.375, **promise) == "passed"
    assert status(data, t=0.374, **promise) == "failed"
    # Table 5 of the paper is 0.167-close.
    other = table(["3", "5", "9"], ["6", "11", "8"], ["4", "7", "10"])
    assert worst(other, t=0.2, **promise) == pytest.approx(1 / 6)


def test_equal_distance():
    """Shares 1, 0 against 1/2, 1/2 are half apart."""
    promise = {"kind": "t-closeness", "column": "value"}
    assert worst(table("aa", "bb"), t=0.5, **promise) == pytest.approx(0.5)
    assert status(table("aa", "bb"), t=0.5, **promise) == "passed"
    assert status(table("aa", "bb"), t=0.49, **promise) == "failed"
    assert worst(table("ab", "ab"), t=0, **promise) == pytest.approx(0)


TREE = [
    ["flu", "infection", "lung", "*"],
    ["pneumonia", "infection", "lung", "*"],
    ["embolism", "vascular", "lung", "*"],
    ["gastritis", "stomach", "digestion", "*"],
]


@pytest.mark.parametrize(
    ("other", "apart"), [("pneumonia", 1 / 3), ("embolism", 2 / 3), ("gastritis", 1)]
)
def test_li_and_others_hierarchy(other, apart):
    """Li et al. 2007, section 4.1.2: flu is 1/3, 2/3 and 1 from these; half the earth goes."""
    data = table(["flu"] * 3, [other] * 3)
    promise = {"kind": "t-closeness", "column": "value", "distance": "hierarchical"}
    promise["hierarchy"] = {"lines": TREE}
    assert worst(data, t=0.5, **promise) == pytest.approx(apart / 2)
    assert status(data, t=apart / 2, **promise) == "passed"
    assert status(data, t=apart / 2 - 0.01, **promise) == "failed"


def test_the_hierarchy_may_be_the_schema_s():
    data = table(["flu"] * 3, ["pneumonia"] * 3)
    schema = Schema.from_dict(
        {
            "columns": {
                "group": {"role": "quasi-identifier"},
                "value": {"role": "sensitive", "hierarchy": {"lines": TREE}},
            }
        }
    )
    promise = {"kind": "t-closeness", "column": "value", "t": 0.2, "distance": "hierarchical"}
    assert verify(data, schema, [promise])["SF017"].status == "passed"
    found = verify(data, SCHEMA, [promise])
    assert (found["SF017"].status, found["SF012"].status) == ("not run", "not run")


@pytest.mark.parametrize("value", [None, "*"])
def test_a_missing_value_stands_alone_up_to_the_top(value):
    data = table(["flu"] * 3, [value] * 3)
    promise = {"kind": "t-closeness", "column": "value", "distance": "hierarchical", "t": 0.5}
    assert worst(data, hierarchy={"lines": TREE}, **promise) == pytest.approx(0.5)


def test_a_value_that_the_hierarchy_does_not_hold_is_never_a_pass():
    data = table(["flu"] * 3, ["canary-disease"] * 3)
    promise = {"kind": "t-closeness", "column": "value", "distance": "hierarchical", "t": 1}
    found = verify(data, SCHEMA, [promise | {"hierarchy": {"lines": TREE}}])
    assert (found["SF017"].status, found.passed) == ("not run", False)
    assert "canary" not in str(found.to_dict())


@pytest.mark.parametrize(
    "ordered",
    [
        ["2", "9", "10"],
        ["2.5", "1e1", "11"],
        ["-1", "0", "1"],
        ["2-5", "6-9", "10-20"],
        ["[2, 5)", "[5, 20)", ">=20"],
        ["<5", "5", "10"],
        ["2023-12-31", "2024-01-01", "2024-10-01"],
        ["a", "b", "c"],
        ["b", "c", None],
        ["9", "10", None],
    ],
)
def test_values_stand_in_their_natural_order(ordered):
    """The middle one of three, in half of the rows, is 1/4 from the whole; an end would be 3/8."""
    first, middle, last = ordered
    promise = {"kind": "t-closeness", "column": "value", "distance": "ordered", "t": 1}
    assert worst(table([last, first], [middle], [middle]), **promise) == pytest.approx(1 / 4)
    assert worst(table([last, middle], [first], [first]), **promise) == pytest.approx(3 / 8)


# -- delta-disclosure, beta-likeness, (alpha, k) ------------------------------------------------


def test_delta_disclosure():
    """Share 3/4 against 1/2 is log2(1.5), 1/4 against it one power of two: not below 1."""
    data = table("aaab", "abbb")
    assert worst(data, kind="delta-disclosure", column="value", delta=2) == pytest.approx(1)
    assert status(data, kind="delta-disclosure", column="value", delta=1.01) == "passed"
    assert status(data, kind="delta-disclosure", column="value", delta=1) == "failed"


def test_delta_disclosure_says_where_a_value_is_lacking():
    found = verify(
        table("aa", "ab"), SCHEMA, [{"kind": "delta-disclosure", "column": "value", "delta": 3}]
    )
    assert found["SF018"].status == "passed"
    assert "classes that lack a value of the table: 1" in found["SF018"].explanation


def test_beta_likeness():
    """b has 1/4 of the table and 1/2 of a class: it gains once its share."""
    data = table("aaaaaa", "abab"[:2])
    assert worst(data, kind="beta-likeness", column="value", beta=4) == pytest.approx(3)
    assert status(data, kind="beta-likeness", column="value", beta=3) == "passed"
    assert status(data, kind="beta-likeness", column="value", beta=2.9) == "failed"


def test_enhanced_beta_likeness():
    """Enhanced, b may gain -ln(1/8) = 2.08 times its share of 1/8, whatever beta."""
    data = table("aaaaaa", "ab")
    promise = {"kind": "beta-likeness", "column": "value", "beta": 3}
    assert status(data, **promise) == "passed"
    assert status(data, enhanced=True, **promise) == "failed"
    assert status(table("aaab", "aaab"), enhanced=True, **promise) == "passed"


def test_alpha_k_anonymity():
    data = table("abcd", "aabc")
    promise = {"kind": "alpha-k-anonymity", "column": "value"}
    assert worst(data, k=4, alpha=0.5, **promise) == 0.5
    assert status(data, k=4, alpha=0.5, **promise) == "passed"
    assert status(data, k=4, alpha=0.4, **promise) == "failed"
    assert status(data, k=5, alpha=0.5, **promise) == "failed"
    assert status(data, k=4, alpha=0.4, values=["b", "c"], **promise) == "passed"
    assert status(data, k=4, alpha=0.2, values=["b", "c"], **promise) == "failed"
    numbers = table("1123")
    assert status(numbers, k=2, alpha=0.4, values=[2, 3], **promise) == "passed"
    assert status(numbers, k=2, alpha=0.4, values=[1], **promise) == "failed"


# -- sizes ----------------------------------------------------------------------------------


def test_risks():
    """Classes of 2, 4 and 4: highest 1/2, on the average 3/10, a fifth of the people above 1/4."""
    data = table("aa", "aaaa", "aaaa")
    assert worst(data, kind="highest-risk", limit=0.5) == 0.5
    assert status(data, kind="highest-risk", limit=0.5) == "passed"
    assert status(data, kind="highest-risk", limit=0.49) == "failed"
    assert worst(data, kind="average-risk", limit=0.3) == 0.3
    assert status(data, kind="average-risk", limit=0.3) == "passed"
    assert status(data, kind="average-risk", limit=0.29) == "failed"
    strict = {"kind": "strict-average-risk", "average": 0.3, "highest": 0.25}
    assert status(data, at_risk=0.2, **strict) == "passed"
    assert status(data, at_risk=0.19, **strict) == "failed"
    assert status(data, **strict) == "failed"
    assert status(data, **{**strict, "average": 0.29, "at_risk": 1}) == "failed"


def test_uniqueness_in_the_sample():
    data = table("a", "b", "aa")
    assert worst(data, kind="sample-uniqueness", share=0.5) == 0.5
    assert status(data, kind="sample-uniqueness", share=0.5) == "passed"
    assert status(data, kind="sample-uniqueness", share=0.4) == "failed"


def test_zayatz_by_hand():
    """Sizes 1, 1, 2 of 4 from 8: chances of 1/2 and 40/70, a posterior of 7/11, 28/11 people."""
    assert zayatz(np.array([1, 1, 2]), 8) == pytest.approx(28 / 11)
    data = table("a", "b", "aa")
    promise = {"kind": "population-uniqueness", "population_size": 8, "estimator": "zayatz"}
    assert worst(data, share=1, **promise) == pytest.approx(28 / 88)
    assert status(data, share=0.32, **promise) == "passed"
    assert status(data, share=0.31, **promise) == "failed"


def test_without_a_unique_row_nobody_is_estimated_to_be_unique():
    promise = {"kind": "population-uniqueness", "share": 0, "population_size": 100}
    for estimator in ("dankar", "zayatz", "pitman", "snb"):
        assert status(table("aa", "aa"), estimator=estimator, **promise) == "passed"


def test_a_model_that_does_not_fit_is_never_a_pass():
    promise = {"kind": "population-uniqueness", "share": 1, "population_size": 100}
    for estimator in ("pitman", "snb"):
        assert status(table("a", "a", "a"), estimator=estimator, **promise) == "not run"
    assert status(table("a", "a", "a"), estimator="dankar", **promise) == "passed"
    too_few = promise | {"population_size": 2}
    assert status(table("a", "a", "a"), estimator="zayatz", **too_few) == "not run"


def seats(people, theta, alpha, seed):
    """Draw class sizes from Pitman's model, person by person."""
    chance = np.random.default_rng(seed)
    sizes = [1]
    for seated in range(1, people):
        weights = np.array([*(size - alpha for size in sizes), theta + alpha * len(sizes)])
        choice = chance.choice(len(weights), p=weights / (theta + seated))
        if choice == len(sizes):
            sizes.append(0)
        sizes[choice] += 1
    return np.array(sizes)


def drawn(sizes, people, seed):
    of_row = np.repeat(np.arange(len(sizes)), sizes)
    sample = np.random.default_rng(seed).choice(of_row, people, replace=False)
    return np.bincount(np.bincount(sample, minlength=len(sizes)))  # how many of each size


def sample_of(sizes, people, seed):
    counted = drawn(sizes, people, seed)
    return np.repeat(np.arange(1, len(counted)), counted[1:])


def test_pitman_finds_the_uniques_of_its_own_model():
    population = seats(4000, 30.0, 0.4, seed=1)
    estimates = [pitman(sample_of(population, 1000, seed), 4000) for seed in range(5)]
    assert np.mean(estimates) == pytest.approx((population == 1).sum(), rel=0.2)


def test_snb_finds_the_uniques_of_its_own_model():
    chance = np.random.default_rng(2)
    population = 1 + chance.negative_binomial(0.8, 0.25, 3000)
    people = int(population.sum())
    estimates = [
        slide_negative_binomial(sample_of(population, people // 3, seed), people)
        for seed in range(5)
    ]
    assert np.mean(estimates) == pytest.approx((population == 1).sum(), rel=0.2)


def tail(n, above, beta):
    """P(X > above) for a binomial X, term by term."""
    start = math.floor(above) + 1
    return sum(math.comb(n, j) * beta**j * (1 - beta) ** (n - j) for j in range(start, n + 1))


@pytest.mark.parametrize(("epsilon", "delta"), [(1.0, 1e-3), (1.0, 1e-6), (0.5, 1e-2), (2.0, 1e-3)])
def test_the_class_size_of_sampling_is_the_definition_s(epsilon, delta):
    """Li, Qardaji, Su 2012, theorem 5, tried for every k and n."""
    beta = 1 - math.exp(-epsilon)
    gamma = (math.exp(epsilon) - 1 + beta) / math.exp(epsilon)
    tails = {n: tail(n, gamma * n, beta) for n in range(1, 150)}
    assert max(tails[n] for n in range(130, 150)) < delta

    def spent(k):
        return max(tails[n] for n in range(max(math.ceil(k / gamma - 1), 1), 150))

    expected = next(k for k in range(1, 130) if spent(k) <= delta)
    assert class_size_of_sampling(epsilon, delta) == expected


def test_differential_privacy_needs_its_classes_and_nothing_untouched():
    k = class_size_of_sampling(1.0, 1e-2)
    promise = {"kind": "differential-privacy", "epsilon": 1.0, "delta": 1e-2}
    schema = Schema(quasi_identifiers=["group", "value"])
    enough = table("a" * k, "b" * k)
    found = verify(enough, schema, [promise])
    assert (found["SF025"].status, found["SF026"].status, found.passed) == (
        "passed",
        "not run",
        True,
    )
    assert verify(table("a" * k, "b" * (k - 1)), schema, [promise])["SF025"].status == "failed"
    untouched = verify(enough, SCHEMA, [promise])
    assert untouched["SF025"].status == "failed"
    assert "value" in untouched["SF025"].explanation
    starred = pl.concat([enough, pl.DataFrame({"group": ["*"] * k, "value": ["*"] * k})])
    assert verify(starred, schema, [promise])["SF014"].status == "failed"


# -- a population ------------------------------------------------------------------------------


@pytest.fixture
def register(tmp_path):
    """Six people like the first class, three like the second, one like none."""
    people = pl.DataFrame({"group": ["g0"] * 6 + ["g1"] * 3 + ["g2"]})
    people.write_csv(tmp_path / "register.csv", separator=";")
    return tmp_path / "register.csv"


def in_register(data, register, promise):
    return verify(data, SCHEMA, [promise], population=register).criteria[0]


def test_k_map(register):
    data = table("ab", "a")
    found = in_register(data, register, {"kind": "k-map", "k": 3})
    assert (found.status, found.without_suppressed.worst) == ("passed", 3)
    assert in_register(data, register, {"kind": "k-map", "k": 4}).status == "failed"
    stranger = table("ab", "a", "a", "b")  # nobody of the register is like g3
    assert in_register(stranger, register, {"kind": "k-map", "k": 2}).without_suppressed.worst == 0


def test_the_promise_may_name_the_population(register):
    promise = {"kind": "k-map", "k": 3, "population": str(register)}
    assert verify(table("ab", "a"), SCHEMA, [promise])["SF015"].status == "passed"
    gone = promise | {"population": "nowhere.csv"}
    found = verify(table("ab", "a"), SCHEMA, [gone])
    assert (found["SF015"].status, found["SF012"].status, found.passed) == (
        "not run",
        "not run",
        False,
    )


def test_a_population_without_the_columns_is_never_a_pass(tmp_path):
    pl.DataFrame({"other": ["g0"]}).write_csv(tmp_path / "p.csv")
    found = in_register(table("ab"), tmp_path / "p.csv", {"kind": "k-map", "k": 2})
    assert found.status == "not run"
    assert "group" in found.because


def test_k_map_by_an_estimate():
    """k = 4, a tenth sampled: P(X >= 3) = 0.0079 for a mean of 0.4, P(X >= 2) = 0.0616."""
    data = table("abc", "abcd", "abc")
    promise = {"kind": "k-map", "k": 4, "population_size": 100, "estimate": "poisson"}
    found = count(data, **promise)
    assert (found.status, found.without_suppressed.limit) == ("passed", 3)
    assert status(table("ab", "abcd", "abcd"), **promise) == "failed"
    # Given that one is sampled, P(X >= 3) = 0.0079 / 0.3297 = 0.024, above 0.01: all four.
    truncated = promise | {"estimate": "zero-truncated-poisson"}
    assert count(data, **truncated).without_suppressed.limit == 4
    lax = truncated | {"significance": 0.03}
    assert count(data, **lax).without_suppressed.limit == 3


def test_delta_presence(register):
    """Two of six and one of three: a third each."""
    data = table("ab", "a")
    promise = {"kind": "delta-presence", "delta_min": 0, "delta_max": 0.34}
    assert in_register(data, register, promise).status == "passed"
    assert in_register(data, register, promise | {"delta_max": 0.33}).status == "failed"
    # The one person who matches no class is surely not in the release.
    low = promise | {"delta_min": 0.3}
    assert in_register(data, register, low).status == "failed"
    assert in_register(table("ab", "a", "a"), register, low | {"delta_max": 1}).status == "passed"
    assert in_register(table("a", "a", "a"), register, low | {"delta_max": 1}).status == "failed"


def test_cost_and_benefit():
    """A gain of 12 and a cost of 4: a class of two is attacked, three is all the same, four not."""
    promise = {"kind": "cost-benefit", "adversary_gain": 12, "adversary_cost": 4}
    promise |= {"publisher_benefit": 10, "publisher_loss": 21}
    assert worst(table("ab", "abcd"), **promise) == pytest.approx(10 - 21 / 2)
    assert status(table("ab", "abcd"), **promise) == "failed"
    assert status(table("abc", "abcd"), **promise) == "passed"
    assert status(table("ab", "abcd"), **(promise | {"publisher_loss": 19})) == "passed"
    assert status(table("ab", "abcd"), **(promise | {"publisher_loss": 20})) == "failed"
    assert status(table("abcd", "abcd"), no_attack=True, **promise) == "passed"
    assert status(table("abc", "abcd"), no_attack=True, **promise) == "failed"


def test_cost_and_benefit_of_a_journalist(register):
    promise = {"kind": "cost-benefit", "attacker": "journalist", "no_attack": True}
    promise |= {"adversary_gain": 12, "adversary_cost": 5}
    data = table("a", "a")
    assert in_register(data, register, promise).status == "passed"
    assert in_register(data, register, promise | {"adversary_cost": 4}).status == "failed"
    assert verify(data, SCHEMA, [promise])["SF024"].status == "not run"
    assert status(data, **promise, population_size=6) == "passed"
    assert status(data, **promise, population_size=4) == "failed"


# -- suppressed rows, persons -----------------------------------------------------------------


def test_the_suppressed_rows_are_counted_with_and_without():
    """Two classes of a and b, and two suppressed rows of a: 1/10 from the table, and 4/10."""
    starred = pl.DataFrame({"group": ["*"] * 2, "value": ["a"] * 2})
    data = pl.concat([table("aabb", "aabb"), starred])
    promise = {"kind": "t-closeness", "column": "value", "t": 0.2}
    found = verify(data, SCHEMA, [promise, {"kind": "l-diversity", "column": "value", "l": 2}])
    closeness, diversity = found.criteria
    assert closeness.without_suppressed.worst == pytest.approx(0.1)
    assert closeness.with_suppressed.worst == pytest.approx(0.4)
    assert (closeness.with_suppressed.failing_classes, closeness.with_suppressed.failing_rows) == (
        1,
        2,
    )
    assert (diversity.without_suppressed.classes, diversity.with_suppressed.classes) == (2, 3)
    assert diversity.with_suppressed.worst == 1
    assert [found[code].status for code in ("SF016", "SF017", "SF014")] == [
        "passed",
        "passed",
        "failed",
    ]
    assert found.passed  # advice where others made the file


def test_a_file_of_suppressed_rows_only_has_no_class():
    data = pl.DataFrame({"group": ["*"] * 3, "value": ["a", "b", "c"]})
    found = verify(data, SCHEMA, [{"kind": "l-diversity", "column": "value", "l": 2}])
    assert found["SF016"].status == "not applicable"
    assert found["SF014"].status == "passed"


def test_values_are_counted_in_persons():
    """Nine rows of one ill person and one of a healthy one are a half each."""
    data = pl.DataFrame(
        {"group": ["g"] * 10, "value": ["ill"] * 9 + ["well"], "who": ["a"] * 9 + ["b"]}
    )
    schema = Schema(quasi_identifiers=["group"], sensitive=["value"], other=["who"], person="who")
    promise = {"kind": "alpha-k-anonymity", "column": "value", "k": 2, "alpha": 0.5}
    assert verify(data, schema, [promise])["SF020"].status == "passed"
    assert verify(data, SCHEMA, [promise])["SF020"].status == "failed"
    entropy = {"kind": "l-diversity", "column": "value", "l": 2, "variant": "entropy"}
    assert verify(data, schema, [entropy])["SF016"].status == "passed"
    assert verify(data, SCHEMA, [entropy])["SF016"].status == "failed"


def test_the_hierarchy_of_a_promise_may_be_made_by_a_rule():
    data = table(["1", "2"], ["11", "12"])
    recipe = Hierarchy.intervals([0, 10, 20]).to_dict()
    promise = {"kind": "t-closeness", "column": "value", "distance": "hierarchical", "t": 1}
    # below the top, half of the earth of each level goes to the other interval
    assert worst(data, hierarchy=recipe, **promise) == pytest.approx(0.5)
