"""The optimum over the lattice against every node measured in plain Python, by definition."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, get_args

import polars as pl
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sfumato.anonymization.lattice.choices import LatticeLoss
from sfumato.anonymization.lattice.full_domain_search import LatticeProblem, most_suppressed_rows
from sfumato.anonymization.lattice.heuristics import search_heuristically
from sfumato.anonymization.lattice.minimal import minimal_nodes
from sfumato.anonymization.lattice.node_counting import NodeCounter
from sfumato.anonymization.lattice.objectives import make_objective
from sfumato.anonymization.lattice.search import Found, NodeJudge, Stop, find_best
from sfumato.errors import PlanError
from sfumato.privacy import (
    AverageRisk,
    Criterion,
    DifferentialPrivacy,
    HighestRisk,
    KAnonymity,
    LDiversity,
    TCloseness,
)
from sfumato.table import Hierarchy, Schema

TOWNS = {
    "Lyon": ["Rhone", "South"],
    "Vienne": ["Rhone", "South"],
    "Nice": ["Riviera", "South"],
    "Lille": ["Nord", "North"],
    "Douai": ["Nord", "North"],
}
HIERARCHIES = {
    "place": Hierarchy.mapping(TOWNS),
    "age": Hierarchy.bands([10, 20], top=None),
    "sex": None,
}
SCHEMA = Schema(quasi_identifiers=HIERARCHIES, sensitive=["ill"], other=["id"])
PERSONS = Schema(quasi_identifiers=HIERARCHIES, sensitive=["ill"], identifiers=["id"], person="id")
COLUMNS = {"place": pl.String, "age": pl.Int64, "sex": pl.String, "ill": pl.String, "id": pl.Int64}
HEIGHTS = (3, 3, 1)
rows_of_people = st.lists(
    st.tuples(
        st.sampled_from([*TOWNS, None]),
        st.sampled_from([18, 20, 31, 45, None]),
        st.sampled_from(["f", "m"]),
        st.sampled_from(["flu", "gout", "cold"]),
        st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8]),
    ),
    min_size=3,
    max_size=40,
)
criteria_beyond_k = st.sampled_from(
    [
        (),
        (LDiversity("ill", 2),),
        (LDiversity("ill", 1.6, "entropy"),),
        (LDiversity("ill", 2, "recursive", 3),),
        (TCloseness("ill", 0.3),),
        (TCloseness("ill", 0.4, "ordered"), LDiversity("ill", 2)),
        (HighestRisk(0.34),),
        (AverageRisk(0.3),),
    ]
)


# -- the definitions, in plain Python ------------------------------------------------------------


def climb(column: int, value: Any, level: int) -> Any:
    if level == HEIGHTS[column]:
        return "*"
    if value is None or level == 0:
        return value
    if column == 0:
        return TOWNS[value][level - 1]
    width = 10 if level == 1 else 20
    return (width, value // width)


@dataclass
class Measured:
    value: float
    classes: int
    suppressed: int
    levels: tuple[int, ...]


class Oracle:
    """Every node of the lattice of some rows, by definition."""

    def __init__(self, rows: list, *, by_person: bool = False) -> None:
        self.rows = rows
        self.n = len(rows)
        self.by_person = by_person
        leaves = [set(TOWNS), {row[1] for row in rows}, {row[2] for row in rows}]
        self.domain = [len(values - {None}) for values in leaves]
        self.leaves = [
            values | {row[column] for row in rows} for column, values in enumerate(leaves)
        ]

    def classes(self, levels: tuple[int, ...]) -> dict[tuple, list]:
        found: dict[tuple, list] = defaultdict(list)
        for number, row in enumerate(self.rows):
            key = tuple(climb(column, row[column], level) for column, level in enumerate(levels))
            found[key].append((row[4] if self.by_person else number, row))
        return found

    def size(self, members: list) -> int:
        return len({person for person, _ in members})

    def place(self, members: list) -> list[int]:
        order = [[*TOWNS, None], [18, 20, 31, 45, None], ["f", "m"]]
        return [min(of.index(row[column]) for _, row in members) for column, of in enumerate(order)]

    def spread(self, members: list) -> Counter:
        return Counter(
            row[3] for _, row in {(person, row[3:4]): (0, row) for person, row in members}.values()
        )

    def share(self, column: int, key: Any, level: int) -> float:
        if level == HEIGHTS[column]:
            return 1.0
        return self.below(column, key, level) / max(self.domain[column], 1)

    def below(self, column: int, key: Any, level: int) -> int:
        return sum(climb(column, leaf, level) == key for leaf in self.leaves[column])

    # -- promises

    def keeps(self, criterion: Criterion, members: list) -> bool:
        counts = self.spread(members)
        total = sum(counts.values())
        if isinstance(criterion, KAnonymity):
            return self.size(members) >= criterion.k
        if isinstance(criterion, HighestRisk):
            return 1 / self.size(members) <= criterion.limit
        if isinstance(criterion, TCloseness):
            whole = self.spread([one for found in self.classes(HEIGHTS).values() for one in found])
            values = sorted(whole)
            differences = [
                counts[value] / total - whole[value] / sum(whole.values()) for value in values
            ]
            if criterion.distance == "equal":
                return sum(map(abs, differences)) / 2 <= criterion.t + 1e-12
            steps = [abs(sum(differences[: end + 1])) for end in range(len(values) - 1)]
            return sum(steps) / max(len(values) - 1, 1) <= criterion.t + 1e-12
        assert isinstance(criterion, LDiversity)
        if criterion.variant == "distinct":
            return len(counts) >= criterion.l
        if criterion.variant == "entropy":
            entropy = -sum(c / total * math.log(c / total) for c in counts.values())
            return entropy >= math.log(criterion.l) - 1e-12
        falling = sorted(counts.values(), reverse=True)
        assert criterion.c is not None
        return falling[0] < criterion.c * sum(falling[int(criterion.l) - 1 :])

    def kept(self, classes: dict[tuple, list], criteria: tuple[Criterion, ...]) -> set[tuple]:
        single = [one for one in criteria if not isinstance(one, AverageRisk)]
        kept = {
            key
            for key, members in classes.items()
            if all(self.keeps(one, members) for one in single)
        }
        for criterion in criteria:
            if isinstance(criterion, AverageRisk):
                # the smallest classes are given up first, of equal ones the last in their order
                order = sorted(
                    kept, key=lambda key: (-self.size(classes[key]), self.place(classes[key]))
                )
                while order:
                    people = sum(self.size(classes[key]) for key in order)
                    if len(order) / people <= criterion.limit + 1e-12:
                        break
                    order.pop()
                kept = set(order)
        return kept

    # -- measures

    def measure(
        self, loss: str, levels: tuple[int, ...], gs: float, weights: list[float], kept: set
    ) -> float:
        classes = self.classes(levels)
        released = [(key, key in kept, row) for key, of in classes.items() for _, row in of]
        general = 1.0 if gs <= 0.5 else 1 - 2 * (gs - 0.5)
        suppress = 2 * gs if gs < 0.5 else 1.0
        mean = [weight / sum(weights) for weight in weights]
        scaled = [weight / max(weights) for weight in weights]
        columns = range(3)
        if loss in ("arithmetic", "geometric", "sum", "max"):
            parts = []
            for column in columns:
                least = general * self.n / max(self.domain[column], 1)
                total = 0.0
                for key, is_kept, _ in released:
                    share = self.share(column, key[column], levels[column])
                    total += general * share if is_kept else share + suppress * (1 - share)
                if self.domain[column] <= 1:
                    parts.append(0.0)
                else:
                    parts.append(max((total - least) / (self.n - least), 0.0))
            if loss == "arithmetic":
                return sum(w * part for w, part in zip(mean, parts, strict=True))
            if loss == "geometric":
                return math.prod((part + 1) ** w for w, part in zip(mean, parts, strict=True)) - 1
            weighted = [w * part for w, part in zip(scaled, parts, strict=True)]
            return sum(weighted) if loss == "sum" else max(weighted)
        if loss in ("ncp", "precision"):
            total = 0.0
            for key, is_kept, _ in released:
                for column in columns:
                    share = self.share(column, key[column], levels[column])
                    if self.below(column, key[column], levels[column]) == 1:
                        share = 0.0
                    step = levels[column] / HEIGHTS[column]
                    cost = share if loss == "ncp" else step
                    total += mean[column] * (cost if is_kept else 1.0)
            return total / self.n
        if loss == "entropy":
            total = 0.0
            for column in columns:
                leaf = Counter(row[column] for _, _, row in released)
                group = Counter(key[column] for key, _, _ in released)
                starred = Counter(key[column] for key, is_kept, _ in released if not is_kept)
                for key, is_kept, row in released:
                    bits = -general * math.log2(leaf[row[column]] / group[key[column]])
                    if not is_kept:
                        share = starred[key[column]] / sum(starred.values())
                        bits -= suppress * math.log2(share)
                    total += scaled[column] * bits
            return total
        if loss == "height":
            return sum(w * level for w, level in zip(scaled, levels, strict=True))
        sizes = {key: len(members) for key, members in classes.items()}
        starred_rows = sum(size for key, size in sizes.items() if key not in kept)
        if loss == "discernibility":
            return sum(sizes[key] ** 2 for key in kept) + starred_rows * self.n
        if loss == "aecs":
            return self.n / (len(kept) + (starred_rows > 0))
        if loss == "ambiguity":
            every = math.prod(max(size, 1) for size in self.domain)
            shares = (
                math.prod(self.share(c, key[c], levels[c]) for c in columns) if is_kept else 1.0
                for key, is_kept, _ in released
            )
            return sum(shares) / self.n * every
        if loss == "kl":
            cells = math.prod(len(leaves) for leaves in self.leaves)
            own = Counter(row[:3] for _, _, row in released)
            total = 0.0
            for key, is_kept, row in released:
                area = math.prod(self.below(c, key[c], levels[c]) for c in columns)
                said = sizes[key] / area if is_kept else starred_rows / cells
                total += math.log2(own[row[:3]] / said)
            return total / self.n
        assert loss == "classification"
        wrong = starred_rows
        for key in kept:
            counts = self.spread(classes[key])
            wrong += sizes[key] - max(counts.values())
        return wrong / self.n

    def nodes(
        self,
        criteria: tuple[Criterion, ...],
        limit: float,
        loss: str = "arithmetic",
        gs: float = 0.5,
        weights: list[float] | None = None,
        allowed: Callable[[tuple[int, ...]], bool] = lambda _: True,
    ) -> list[Measured]:
        """Return the nodes that are allowed, the best first."""
        found = []
        for levels in filter(allowed, product(*(range(height + 1) for height in HEIGHTS))):
            classes = self.classes(levels)
            kept = self.kept(classes, criteria)
            suppressed = sum(len(members) for key, members in classes.items() if key not in kept)
            if kept and suppressed <= limit * self.n + 1e-9:
                value = self.measure(loss, levels, gs, weights or [1.0] * 3, kept)
                found.append(Measured(value, len(kept), suppressed, levels))
        if not found:
            return []
        least = min(node.value for node in found)
        return sorted(
            found,
            key=lambda node: (
                0.0
                if math.isclose(node.value, least, rel_tol=1e-10, abs_tol=1e-12)
                else node.value,
                -node.classes,
                sum(node.levels),
                node.levels,
            ),
        )


def problem_of(
    rows: list,
    criteria: tuple[Criterion, ...],
    limit: float,
    *,
    by_person: bool = False,
    **more: Any,
) -> LatticeProblem:
    table = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    schema = PERSONS if by_person else SCHEMA
    return LatticeProblem.of(table, schema, criteria, limit, "drop", counted=("ill",), **more)


def judge_of(problem: LatticeProblem, loss: LatticeLoss = "arithmetic", **more: Any) -> NodeJudge:
    objective = make_objective(loss, problem.tuples, target="ill", **more)
    return NodeJudge(
        problem.lattice,
        NodeCounter(problem.tuples),
        problem.promise,
        objective,
        problem.most_suppressed,
    )


def check(found: Found, expected: list[Measured]) -> None:
    if not expected:
        event("nothing is allowed")
        assert found.best is None
        return
    assert found.optimal
    assert found.best is not None
    assert found.best.value == pytest.approx(expected[0].value, rel=1e-9, abs=1e-11)
    assert found.best.levels == expected[0].levels
    assert found.best.suppressed_rows == expected[0].suppressed
    assert found.best.classes == expected[0].classes


# -- the optimum -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", get_args(LatticeLoss))
@settings(max_examples=10, deadline=None)
@given(
    rows=rows_of_people,
    k=st.integers(2, 5),
    limit=st.sampled_from([0.0, 0.1, 0.3, 1.0]),
    gs=st.sampled_from([0.0, 0.25, 0.5, 0.8]),
    weights=st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=3, max_size=3),
)
def test_optimum_of_every_measure_is_that_of_brute_force(loss, rows, k, limit, gs, weights):
    weights[0] = weights[0] or 1.0
    if k > len(rows):
        return
    problem = problem_of(rows, (KAnonymity(k),), limit)
    found = find_best(judge_of(problem, loss, gs_factor=gs, weights=weights))
    check(found, Oracle(rows).nodes((KAnonymity(k),), limit, loss, gs, weights))


@pytest.mark.parametrize("loss", ["arithmetic", "entropy", "discernibility"])
@pytest.mark.parametrize("by_person", [False, True])
@settings(max_examples=12, deadline=None)
@given(
    rows=rows_of_people,
    k=st.integers(2, 4),
    limit=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    criteria=criteria_beyond_k,
)
def test_optimum_of_every_criterion_is_that_of_brute_force(
    loss, by_person, rows, k, limit, criteria
):
    oracle = Oracle(rows, by_person=by_person)
    promised = (KAnonymity(k), *criteria)
    if k > len({row[4] for row in rows}):
        return
    if any(isinstance(one, HighestRisk) for one in criteria) and len({r[4] for r in rows}) < 3:
        return
    problem = problem_of(rows, promised, limit, by_person=by_person)
    check(find_best(judge_of(problem, loss)), oracle.nodes(promised, limit, loss))


@settings(max_examples=20, deadline=None)
@given(
    rows=rows_of_people,
    limit=st.sampled_from([0.0, 0.2, 1.0]),
    low=st.tuples(*(st.integers(0, height) for height in HEIGHTS)),
    high=st.tuples(*(st.integers(0, height) for height in HEIGHTS)),
)
def test_optimum_within_bounds_is_that_of_brute_force(rows, limit, low, high):
    low, high = tuple(map(min, low, high)), tuple(map(max, low, high))
    names = list(HIERARCHIES)
    bounds = {
        "minimum": dict(zip(names, low, strict=True)),
        "maximum": dict(zip(names, high, strict=True)),
    }
    problem = problem_of(rows, (KAnonymity(2),), limit, **bounds)
    expected = Oracle(rows).nodes(
        (KAnonymity(2),),
        limit,
        allowed=lambda levels: all(a <= b <= c for a, b, c in zip(low, levels, high, strict=True)),
    )
    check(find_best(judge_of(problem)), expected)


# -- bounds, heuristics, limits --------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    rows=rows_of_people,
    checks=st.integers(1, 20),
    heuristic=st.sampled_from(["top-down", "best-first", "genetic", None]),
    loss=st.sampled_from(["geometric", "entropy", "ambiguity"]),
)
def test_a_search_that_is_stopped_says_how_far_it_can_be(rows, checks, heuristic, loss):
    problem = problem_of(rows, (KAnonymity(2),), 0.3)
    judge = judge_of(problem, loss)
    if heuristic is not None:
        search_heuristically(heuristic, judge, Stop(checks), seed=3)
    found = find_best(judge, Stop(checks))
    expected = Oracle(rows).nodes((KAnonymity(2),), 0.3, loss)
    # one node more is parted before a search notices, each in two boxes
    assert found.checked <= checks + 4
    if found.best is None:
        assert not found.optimal or not expected
        return
    least = expected[0].value
    assert found.best.value >= least - 1e-9
    assert found.bound <= least + 1e-9
    if found.optimal:
        assert found.best.value == pytest.approx(least, abs=1e-11)
        assert found.gap == 0
    elif found.gap is not None:
        assert found.best.value <= least * (1 + found.gap) + 1e-9


@pytest.mark.parametrize("heuristic", ["top-down", "best-first", "genetic"])
@settings(max_examples=8, deadline=None)
@given(rows=rows_of_people)
def test_a_heuristic_with_time_finds_the_optimum_of_a_small_lattice(heuristic, rows):
    problem = problem_of(rows, (KAnonymity(2),), 1.0)
    judge = judge_of(problem)
    search_heuristically(heuristic, judge, Stop(10_000), seed=1)
    assert judge.best is not None
    least = Oracle(rows).nodes((KAnonymity(2),), 1.0)[0].value
    # with every suppression allowed the whole lattice is connected; chance may leave a node out
    slack = 1.2 if heuristic == "genetic" else 1.0
    assert judge.best.value <= least * slack + 1e-9


def test_time_runs_out():
    rows = [("Lyon", 18, "f", "flu", 1), ("Lille", 45, "m", "flu", 2)] * 3
    judge = judge_of(problem_of(rows, (KAnonymity(2),), 1.0))
    found = find_best(judge, Stop(seconds=1e-9))
    assert found.checked == 1
    assert not found.optimal


def test_progress_ends():
    rows = [("Lyon", 18, "f", "flu", 1), ("Lille", 45, "m", "flu", 2)] * 3
    told: list[tuple[float, float]] = []
    judge = judge_of(problem_of(rows, (KAnonymity(2),), 1.0))
    find_best(judge, progress=lambda _, done, total: told.append((done, total)))
    assert told[-1] == (1.0, 1.0)
    assert all(0 <= done <= total for done, total in told)


# -- minimal nodes ---------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(rows=rows_of_people, k=st.integers(2, 5), limit=st.sampled_from([0.0, 0.1, 0.3]))
def test_minimal_nodes_are_those_of_brute_force(rows, k, limit):
    if k > len(rows):
        return
    problem = problem_of(rows, (KAnonymity(k),), limit)
    judge = judge_of(problem, "height")
    found = [problem.lattice.levels(node) for node in minimal_nodes(judge)]
    enough = {node.levels for node in Oracle(rows).nodes((KAnonymity(k),), limit)}
    assert found == sorted(
        levels
        for levels in enough
        if not any(
            other != levels and all(a <= b for a, b in zip(other, levels, strict=True))
            for other in enough
        )
    )
    assert judge.checked <= problem.lattice.n_nodes


# -- what cannot be --------------------------------------------------------------------------------


def test_differential_privacy_is_refused():
    rows = [("Lyon", 18, "f", "flu", 1)] * 4
    with pytest.raises(PlanError, match="random sample"):
        problem_of(rows, (DifferentialPrivacy(epsilon=1.0, delta=1e-3),), 1.0)


@pytest.mark.parametrize(
    ("limit", "rows", "most"),
    [(0.05, 30162, 1508), (0.29, 100, 29), (0.1, 30, 3), (1.0, 7, 7), (0.0, 5, 0), (0.3, 10, 3)],
)
def test_rows_that_a_share_allows(limit, rows, most):
    assert most_suppressed_rows(limit, rows) == most


def test_a_class_that_loses_closeness_when_others_join_hides_no_finer_optimum():
    # Vienne has only flu. By town its 12 rows are suppressed; with Lyon it spoils 32, too many.
    towns = {"Nice": (50, 50), "Lyon": (10, 10), "Vienne": (12, 0)}
    rows = [
        (town, 18, "f", ill, 1)
        for town, counts in towns.items()
        for ill, count in zip(("flu", "gout"), counts, strict=True)
        for _ in range(count)
    ]
    promised = (KAnonymity(2), TCloseness("ill", 0.1))
    found = find_best(judge_of(problem_of(rows, promised, 0.1)))
    assert found.best is not None
    assert found.best.levels == (0, 0, 0)
    assert found.best.suppressed_rows == 12
    check(found, Oracle(rows).nodes(promised, 0.1))


def test_which_of_equal_classes_is_given_up_is_always_the_same():
    # three classes of risk 1/5, 1/2 and 1/2: one of the last two is enough to give up
    rows = [("Lyon", 18, "f", "flu", person) for person in range(1, 6)]
    rows += [("Lyon", 20, "f", "flu", person) for person in (6, 7)]
    rows += [("Lyon", 18, "m", "flu", person) for person in (8, 9)]
    promised = (KAnonymity(2), AverageRisk(0.3))
    for order in (rows, rows[::-1]):
        problem = problem_of(order, promised, 0.3)
        node = problem.counted((0, 0, 0))
        _, kept = problem.promise.judge(node)
        assert set(node.labels(kept.nonzero()[0]).rows()) == {
            ("Lyon", "18", "f"),
            ("Lyon", "18", "m"),
        }
