"""The recount against the definitions in plain Python, row by row, on random tables."""

import math
from collections import Counter, defaultdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from sfumato.release import verify
from sfumato.release.recounts import Tally, judge
from sfumato.table import Schema

FEWER = settings(deadline=None, max_examples=40)

CELLS = st.sampled_from(["a", "b", "*", None])
LINES = [
    ["1", "low", "any", "*"],
    ["2", "low", "any", "*"],
    ["3", "high", "any", "*"],
    ["10", "high", "any", "*"],
    ["20", "far", "beyond", "*"],
]
VALUES = st.sampled_from(["1", "2", "3", "10", "20", None])
ROWS = st.lists(st.tuples(CELLS, CELLS, VALUES), min_size=1, max_size=24)
SCHEMA = Schema(quasi_identifiers=["x", "y"], sensitive=["s"])
ROUNDING = 1e-7


def frame(rows):
    return pl.DataFrame(rows, schema={"x": pl.String, "y": pl.String, "s": pl.String}, orient="row")


def counted(rows, **promise):
    tally = Tally.of(frame(rows), ["x", "y"], ["s"])
    return judge([promise], tally, {}, lambda path: None)[0]


def classes(rows, *, with_suppressed):
    """Return the sensitive values of each class."""
    found = defaultdict(list)
    for x, y, value in rows:
        if with_suppressed or (x, y) != ("*", "*"):
            found[x, y].append(value)
    return list(found.values())


def compare(rows, measure, kept, promise, *, worst=max):
    """Compare both counts with what a function of a class's values says."""
    found = counted(rows, **promise)
    for with_suppressed, outcome in (
        (False, found.without_suppressed),
        (True, found.with_suppressed),
    ):
        groups = classes(rows, with_suppressed=with_suppressed)
        if not groups:
            assert (found.status, outcome) == ("not applicable", None)
            continue
        measured = [measure(group) for group in groups]
        extreme = worst(measured)
        if math.isinf(extreme):
            assert outcome.worst is None
        else:
            assert outcome.worst == pytest.approx(extreme, abs=1e-9)
        verdicts = [kept(value, group) for value, group in zip(measured, groups, strict=True)]
        if None in verdicts:  # too near to the limit for a sum in another order to say
            continue
        failing = [group for group, good in zip(groups, verdicts, strict=True) if not good]
        assert outcome.failing_classes == len(failing)
        assert outcome.failing_rows == sum(map(len, failing))
        assert outcome.kept == (not failing)
        assert (outcome.classes, outcome.rows) == (len(groups), sum(map(len, groups)))


def at_most(limit):
    return lambda value, _: None if abs(value - limit) < ROUNDING else value < limit


def at_least(limit):
    return lambda value, _: None if abs(value - limit) < ROUNDING else value > limit


def shares(values):
    return {value: number / len(values) for value, number in Counter(values).items()}


@FEWER
@given(ROWS, st.integers(1, 5))
def test_distinct_values(rows, least):
    promise = {"kind": "l-diversity", "column": "s", "l": least}
    compare(rows, lambda g: len(set(g)), lambda v, _: v >= least, promise, worst=min)


def shannon(group):
    return math.exp(-sum(p * math.log(p) for p in shares(group).values()))


def grassberger(group):
    """By the definition with the digamma function, equation 29 of the paper."""
    from scipy.special import digamma

    def g(n):
        return digamma(n) + (-1) ** n / 2 * (digamma((n + 1) / 2) - digamma(n / 2))

    counts = Counter(group).values()
    return math.exp(math.log(len(group)) - sum(n * g(n) for n in counts) / len(group))


@pytest.mark.parametrize(
    ("estimator", "measure"), [("shannon", shannon), ("grassberger", grassberger)]
)
@FEWER
@given(ROWS, st.floats(1, 5))
def test_entropy(estimator, measure, rows, least):
    promise = {"kind": "l-diversity", "column": "s", "l": least, "variant": "entropy"}
    promise["estimator"] = estimator
    compare(rows, measure, at_least(least), promise, worst=min)


@FEWER
@given(ROWS, st.integers(1, 4), st.sampled_from([0.5, 1.0, 1.3, 2.0, 3.0]))
def test_recursive(rows, least, c):
    def ratio(group):
        counts = sorted(Counter(group).values(), reverse=True)
        rest = sum(counts[least - 1 :])
        return counts[0] / rest if rest else math.inf

    promise = {"kind": "l-diversity", "column": "s", "l": least, "variant": "recursive", "c": c}
    compare(rows, ratio, lambda v, _: v < c, promise)


def earth(group, rows, cost):
    """Return the earth mover's distance as the linear program that defines it."""
    whole, own = shares([row[2] for row in rows]), shares(group)
    values = list(whole)
    costs = [[cost(a, b) for b in values] for a in values]
    number = len(values)
    leaves = np.kron(np.eye(number), np.ones(number))
    arrives = np.kron(np.ones(number), np.eye(number))
    program = linprog(
        np.ravel(costs),
        A_eq=np.vstack([leaves, arrives]),
        b_eq=[*(own.get(v, 0.0) for v in values), *(whole[v] for v in values)],
    )
    assert program.success
    return program.fun


def equal(a, b):
    return float(a != b)


def steps(rows):
    present = {row[2] for row in rows}
    order = sorted(present - {None}, key=float) + [None] * (None in present)

    def cost(a, b):
        return abs(order.index(a) - order.index(b)) / max(len(order) - 1, 1)

    return cost


PATHS = {line[0]: line for line in LINES} | {None: [None, None, None, "*"]}


def climb(a, b):
    if a == b:
        return 0.0
    pairs = zip(PATHS[a], PATHS[b], strict=True)
    meets = [level for level, (one, other) in enumerate(pairs) if one == other is not None]
    return min(meets, default=3) / 3


@pytest.mark.slow
@pytest.mark.parametrize("distance", ["equal", "ordered", "hierarchical"])
@FEWER
@given(ROWS, st.sampled_from([0.1, 0.25, 1 / 3, 0.5]))
def test_t_closeness(distance, rows, t):
    cost = {"equal": equal, "ordered": steps(rows), "hierarchical": climb}[distance]
    promise = {"kind": "t-closeness", "column": "s", "t": t, "distance": distance}
    if distance == "hierarchical":
        promise["hierarchy"] = {"lines": LINES}
    compare(rows, lambda g: earth(g, rows, cost), at_most(t), promise)


@FEWER
@given(ROWS, st.sampled_from([0.5, 1.1, 2.2]))
def test_delta_disclosure(rows, delta):
    whole = shares([row[2] for row in rows])

    def measure(group):
        return max(abs(math.log2(share / whole[value])) for value, share in shares(group).items())

    promise = {"kind": "delta-disclosure", "column": "s", "delta": delta}
    compare(rows, measure, at_most(delta), promise)


@pytest.mark.parametrize("enhanced", [False, True])
@FEWER
@given(ROWS, st.sampled_from([0.3, 0.77, 1.9]))
def test_beta_likeness(enhanced, rows, beta):
    whole = shares([row[2] for row in rows])

    def gains(group):
        return {v: (share - whole[v]) / whole[v] for v, share in shares(group).items()}

    def kept(_, group):
        slack = [
            min(beta, -math.log(whole[v]) if enhanced else beta) - gain
            for v, gain in gains(group).items()
            if gain > ROUNDING
        ]
        return None if any(abs(s) < ROUNDING for s in slack) else all(s > 0 for s in slack)

    promise = {"kind": "beta-likeness", "column": "s", "beta": beta, "enhanced": enhanced}
    compare(rows, lambda g: max(0.0, *gains(g).values(), 0.0), kept, promise)


@FEWER
@given(ROWS, st.sampled_from([0.3, 0.55, 1.0]), st.integers(1, 4), st.booleans())
def test_alpha_k_anonymity(rows, alpha, k, some):
    guarded = {"1", "10"} if some else {"1", "2", "3", "10", "20", None}

    def measure(group):
        return max((share for v, share in shares(group).items() if v in guarded), default=0.0)

    def kept(share, group):
        near = abs(share - alpha) < ROUNDING and alpha < 1
        return None if near else share <= alpha and len(group) >= k

    promise = {"kind": "alpha-k-anonymity", "column": "s", "alpha": alpha, "k": k}
    promise |= {"values": ["1", "10"]} if some else {}
    compare(rows, measure, kept, promise)


@FEWER
@given(ROWS, st.integers(2, 5))
def test_k_anonymity(rows, k):
    promise = {"kind": "k-anonymity", "k": k}
    compare(rows, len, lambda v, _: v >= k, promise, worst=min)


@FEWER
@given(ROWS, st.sampled_from([0.2, 0.26, 0.34, 0.5]))
def test_risks(rows, limit):
    promise = {"kind": "highest-risk", "limit": limit}
    compare(rows, lambda g: 1 / len(g), lambda v, _: v <= limit, promise)
    average = counted(rows, kind="average-risk", limit=limit)
    alone = counted(rows, kind="sample-uniqueness", share=limit)
    strict = counted(rows, kind="strict-average-risk", average=0.5, highest=limit, at_risk=0.26)
    for with_suppressed in (False, True):
        groups = classes(rows, with_suppressed=with_suppressed)
        name = "with_suppressed" if with_suppressed else "without_suppressed"
        if not groups:
            assert getattr(average, name) is None
            continue
        people = sum(map(len, groups))
        mean = sum(1 / len(g) for g in groups for _ in g) / people
        ones = sum(len(g) == 1 for g in groups) / people
        above = sum(len(g) for g in groups if 1 / len(g) > limit) / people
        assert getattr(average, name).worst == pytest.approx(mean)
        assert getattr(alone, name).worst == pytest.approx(ones)
        if abs(mean - limit) > ROUNDING:
            assert getattr(average, name).kept == (mean < limit)
        assert getattr(alone, name).kept == (ones <= limit)
        if abs(mean - 0.5) > ROUNDING:
            assert getattr(strict, name).kept == (mean < 0.5 and above <= 0.26)


PEOPLE = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=40)


@FEWER
@given(rows=ROWS, people=PEOPLE)
def test_a_population(rows, people, tmp_path_factory):
    file = tmp_path_factory.mktemp("population") / "people.parquet"
    pl.DataFrame(people, schema={"y": pl.String, "x": pl.String}, orient="row").write_parquet(file)
    behind = Counter((x, y) for y, x in people)
    sizes = Counter((x, y) for x, y, _ in rows)
    matches = {key: len(people) if key == ("*", "*") else behind[key] for key in sizes}
    asked = [
        {"kind": "k-map", "k": 3},
        {"kind": "delta-presence", "delta_min": 0.0, "delta_max": 0.5},
        {"kind": "delta-presence", "delta_min": 0.2, "delta_max": 1.0},
    ]
    found = verify(frame(rows), SCHEMA, asked, population=file).criteria
    for with_suppressed in (False, True):
        name = "with_suppressed" if with_suppressed else "without_suppressed"
        keys = [key for key in sizes if with_suppressed or key != ("*", "*")]
        if not keys:
            continue
        k_map, presence, low = (getattr(one, name) for one in found)
        assert k_map.worst == min(matches[key] for key in keys)
        assert k_map.failing_classes == sum(matches[key] < 3 for key in keys)
        chance = {key: sizes[key] / matches[key] if matches[key] else math.inf for key in keys}
        assert presence.failing_classes == sum(chance[key] > 0.5 for key in keys)
        surely_not = any(key not in sizes for key in behind) and ("*", "*") not in sizes
        assert low.kept == (all(0.2 <= chance[key] <= 1 for key in keys) and not surely_not)


@FEWER
@given(ROWS, st.integers(0, 3))
def test_persons(rows, every):
    """A value counts once for each person of a class who has it, the nameless as one."""
    who = [None if n % 5 == 4 else n % (every + 2) for n in range(len(rows))]
    data = frame(rows).with_columns(pl.Series("who", who, dtype=pl.Int64))
    schema = Schema(quasi_identifiers=["x", "y"], sensitive=["s"], other=["who"], person="who")
    promise = {"kind": "alpha-k-anonymity", "column": "s", "k": 1, "alpha": 0.5}
    found = verify(data, schema, [promise, {"kind": "k-anonymity", "k": 2}]).criteria
    persons, having = defaultdict(set), defaultdict(set)
    for (x, y, value), person in zip(rows, who, strict=True):
        persons[x, y].add(person)
        having[x, y, value].add(person)
    share = max(len(having[x, y, v]) / len(persons[x, y]) for x, y, v in having)
    assert found[0].with_suppressed.worst == pytest.approx(share)
    assert found[1].with_suppressed.worst == min(map(len, persons.values()))
