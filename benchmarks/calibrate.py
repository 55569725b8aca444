"""Are the attacks right? Their error without a leak, and how small a leak they see.

``levels``: on five data sets (mixed types, heavy ties, 30 % missing, 500 to 50,000 rows, members to
controls 1:1 to 20:1) who is a member is dealt anew ``--permutations`` times; printed is the share
of them in which each test rejects at 5 %, ties broken at random (it should lie within 3 and 7 %),
and the share in which any printed p-value does, for all tests together (Holm; at most 6 %).

``power``: fresh real people of the Adult table, some of them replaced by copies of members; printed
is the share of repetitions in which each test, and both together, reject at 5 %.

``leaked``: in such releases, the estimated share of copies over the true one, and how often it is
within a fifth. ``planted``: the declared minimum detectable leak, planted anew by ``leaky`` in
other people, and the share of ``--plantings`` in which it is noticed (it should be 0.8)::

    python benchmarks/calibrate.py --data FOLDER

``FOLDER`` holds the tables that ``read`` names.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

import sfumato as sf
from sfumato.evaluation.attacks import copies, inference, linkability, matching
from sfumato.evaluation.attacks import membership_by_distance as distance
from sfumato.evaluation.attacks.error_shares import ERROR_SHARES, weights_of
from sfumato.evaluation.attacks.highest_scores import highest_scores
from sfumato.evaluation.attacks.isolation_counts import recount
from sfumato.evaluation.attacks.leaked_share import leaked_share
from sfumato.evaluation.attacks.planting import minimum_detectable_leak
from sfumato.evaluation.attacks.singling_out import SinglingOut
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.exchangeability import excess, holm, top_excess

Test = Callable[[np.ndarray, int], tuple[float, float]]  # labels, seed -> (p_value, p_even)
QUASI = ("age", "sex", "race", "education", "marital-status", "occupation")
LEAKS = (
    ("none", 0.0),
    ("verbatim", 0.001),
    ("noisy", 0.01),
    ("noisy", 0.02),
    ("noisy outliers", 0.002),
    ("noisy outliers", 0.005),
)


def main() -> None:
    """Read the command line, run the sections."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=("levels", "power", "leaked", "planted"),
        default=["levels", "power", "leaked", "planted"],
    )
    parser.add_argument("--plantings", type=int, default=60, help="of the planted section")
    parser.add_argument("--permutations", type=int, default=400)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--people", type=int, default=6_000, help="of the power section")
    arguments = parser.parse_args()
    if "levels" in arguments.only:
        levels(arguments.data, arguments.permutations)
    if "power" in arguments.only:
        power(arguments.data, arguments.repetitions, arguments.people)
    if "leaked" in arguments.only:
        leaked(arguments.data, arguments.repetitions, arguments.people)
    if "planted" in arguments.only:
        planted(arguments.data, arguments.plantings)


def read(data: Path) -> dict[str, tuple[pl.DataFrame, int, float]]:
    """Return by name a table, how many people to take, and members to each control."""
    table = {
        name: sf.read(data / f"{file}.csv.gz")
        for name, file in (
            ("adult, mixed", "adult_uci_train"),
            ("nursery, ties", "nursery"),
            ("pima, 500 rows", "pima_diabetes"),
            ("support, missing", "support2"),
            ("diabetes, 50,000", "diabetes_prediction"),
        )
    }
    random = np.random.default_rng(1)
    support = table["support, missing"].select(pl.all().exclude("dzclass"))[:, :20]
    holes = {name: random.random(support.height) < 0.2 for name in support.columns}
    support = support.with_columns(
        pl.when(pl.Series(hole)).then(None).otherwise(pl.col(name)).alias(name)
        for name, hole in holes.items()
    )
    table["support, missing"] = support
    sizes = ((6_000, 4.0), (9_000, 1.0), (500, 1.0), (6_000, 20.0), (50_000, 10.0))
    return {
        name: (one, people, ratio)
        for (name, one), (people, ratio) in zip(table.items(), sizes, strict=True)
    }


def tests_of(tables: AttackTables) -> dict[str, Test]:
    """Return each test as a function of the labels, its scores computed once."""

    def hit(scores: np.ndarray) -> Test:
        rounded = np.round(np.asarray(scores, float) * 4) / 4

        def judge(member: np.ndarray, seed: int) -> tuple[float, float]:
            found = excess(rounded[member], rounded[~member], seed=seed)
            return found.p_value, found.p_even

        return judge

    def top(scores: np.ndarray) -> Test:
        def judge(member: np.ndarray, seed: int) -> tuple[float, float]:
            found = top_excess(scores[member], scores[~member], seed=seed)
            return found.p_value, found.p_even

        return judge

    def highest(scores: np.ndarray) -> Test:
        def judge(member: np.ndarray, seed: int) -> tuple[float, float]:
            found = highest_scores(scores, member, seed=seed)
            return found.p_value, found.p_even

        return judge

    found: dict[str, Test] = {
        f"copies/{kind}": hit(flags) for kind, flags in copies.hits(tables).items()
    }
    linked = linkability.scores(tables, (1, 10), seed=1)
    found |= {f"linkability/{k}": hit(linked[:, n]) for n, k in enumerate((1, 10))}
    names = [column.name for column in tables.columns][:4]
    for name, scores in inference.scores(tables, secrets=names).items():
        found[f"inference/{name}"] = hit(scores)
    found["membership/distance"] = top(distance.scores(tables, "distance"))
    found["membership/matching/top"] = highest(matching.scores(tables))
    isolated = SinglingOut(predicates=500, tries=20_000).isolated_people(tables, seed=1)
    again: dict[tuple[int, int], dict] = {}

    def singled(kind: str) -> Test:
        def judge(member: np.ndarray, seed: int) -> tuple[float, float]:
            key = id(member), seed
            if key not in again:
                again.clear()
                again[key] = recount(isolated, member, seed=seed, even=True)
            one = again[key][kind]
            return one.p_value, one.p_even

        return judge

    for kind in recount(isolated, tables.member, seed=0):
        found[f"singling_out/{kind}"] = singled(kind)
    return found


def levels(data: Path, permutations: int) -> None:
    """Deal the labels anew and count rejections."""
    outside = cells = 0
    for name, (table, people, ratio) in read(data).items():
        since = time.process_time()
        random = np.random.default_rng(7)
        rows = random.permutation(table.height)
        real, released = table[rows[:people]], table[rows[people : 2 * people]]
        released = released if released.height >= people // 3 else table[rows[people // 2 :]]
        members = round(people * ratio / (1 + ratio))
        schema = sf.Schema(rest="other")
        tables = AttackTables.of(released, real[:members], real[members:], schema)
        tests = tests_of(tables)
        p_values = np.empty((permutations, len(tests), 2))
        false_alarms = 0
        for turn in range(permutations):
            member = random.permutation(tables.member)
            for place, judge in enumerate(tests.values()):
                p_values[turn, place] = judge(member, turn)
            printed = dict(zip(tests, p_values[turn, :, 0], strict=True))
            together = holm(printed, weights_of(printed))
            false_alarms += min(together.values()) <= 0.05
        even = (p_values[:, :, 1] <= 0.05).mean(axis=0)
        outside += int(((even < 0.03) | (even > 0.07)).sum())
        cells += len(tests)
        print(
            f"\n{name}: {members:,} members, {people - members:,} controls, {len(tests)} tests, "
            f"{permutations} permutations, {time.process_time() - since:.0f} s CPU"
        )
        for key, share, printed in zip(
            tests, even, (p_values[:, :, 0] <= 0.05).mean(axis=0), strict=True
        ):
            mark = " *" if share < 0.03 or share > 0.07 else ""
            print(f"  {key:40}{share:8.3f}{printed:8.3f} as printed{mark}")
        print(
            f"  {'any, all tests together (Holm)':40}{false_alarms / permutations:8.3f}", flush=True
        )
    print(f"\n{outside} of {cells} levels lie outside 3 to 7 %")


def leaky(
    table: pl.DataFrame, kind: str, share: float, people: int, seed: int, again: int | None = None
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return a release with copies of members, the members, and as many controls.

    The people follow from ``seed``; so does who is copied, unless ``again`` is its seed.
    """
    random = np.random.default_rng(seed)
    rows = random.permutation(table.height)
    members, controls = table[rows[:people]], table[rows[people : 2 * people]]
    fresh = table[rows[2 * people : 3 * people]]
    count = round(share * people)
    if not count:
        return fresh, members, controls
    if again is not None:
        random = np.random.default_rng([seed, again])
    numbers = [name for name, kind_of in table.schema.items() if kind_of.is_numeric()]
    words = [name for name in table.columns if name not in numbers]
    chosen = random.choice(people, count, replace=False)
    if "outliers" in kind:
        chosen = isolated(members, numbers, words, random)
        # as planted: any of those who stand out most, or the very first where nothing else is drawn
        chosen = (
            chosen[:count]
            if again is None
            else random.choice(chosen[: 2 * count], count, replace=False)
        )
    copied = members[chosen]
    if "noisy" in kind:
        moved = {}
        for name in numbers:
            width = float(table[name].max()) - float(table[name].min())
            values = copied[name].to_numpy() + random.normal(0, 0.01 * width, count)
            whole = table.schema[name].is_integer()
            moved[name] = np.rint(values).astype(int) if whole else values
        redrawn = {name: copied[name].to_list() for name in words}
        for place in range(count):
            for name in random.choice(words, 2, replace=False):
                redrawn[name][place] = table[name][int(random.integers(table.height))]
        copied = pl.DataFrame({**moved, **redrawn}).select(table.columns).cast(dict(table.schema))
    return pl.concat([fresh[: people - count], copied]), members, controls


def isolated(
    members: pl.DataFrame, numbers: list[str], words: list[str], random: np.random.Generator
) -> np.ndarray:
    """Return the members by Gower's distance to the nearest of 1,500 others, the farthest first."""
    scaled = np.stack([members[name].to_numpy() for name in numbers], axis=1).astype(float)
    scaled /= np.maximum(np.ptp(scaled, axis=0), 1e-9)
    codes = np.stack(
        [members[name].cast(pl.String).rank("dense").fill_null(0).to_numpy() for name in words],
        axis=1,
    )
    others = random.choice(len(members), min(1_500, len(members)), replace=False)
    apart = np.zeros((len(members), len(others)))
    for column in range(scaled.shape[1]):
        apart += np.abs(scaled[:, [column]] - scaled[others, column])
    for column in range(codes.shape[1]):
        apart += codes[:, [column]] != codes[others, column]
    apart[others, np.arange(len(others))] = np.inf
    return np.argsort(-apart.min(axis=1))


def power(data: Path, repetitions: int, people: int) -> None:
    """Plant leaks and count how often they are found."""
    parts = [sf.read(data / f"adult_uci_{part}.csv.gz") for part in ("train", "test")]
    table = pl.concat(parts, how="vertical_relaxed").unique(maintain_order=True)
    schema = sf.Schema(quasi_identifiers=dict.fromkeys(QUASI), rest="other")
    print(f"\n{people:,} members, controls and released rows of Adult, {repetitions} repetitions")
    print(
        f"{'leak':24}{'copies':>8}{'matching':>10}{'of those apart':>16}{'any (x3)':>10}"
        f"{'CPU s':>8}"
    )
    for kind, share in LEAKS:
        since = time.process_time()
        found = []
        for seed in range(repetitions):
            tables = AttackTables.of(*leaky(table, kind, share, people, seed), schema)
            member = tables.member
            exact = copies.hits(tables)["exact"]
            score = matching.scores(tables)
            apart = the_isolated(tables)
            found.append(
                (
                    excess(exact[member], exact[~member], seed=seed).p_value,
                    highest_scores(score, member, seed=seed).p_value,
                    highest_scores(score[apart], member[apart], seed=seed).p_value,
                )
            )
        p_values = np.array(found)
        shares = (p_values <= 0.05).mean(axis=0)
        together = (3 * p_values.min(axis=1) <= 0.05).mean()
        print(
            f"{kind + f' {100 * share:g} %':24}{shares[0]:8.2f}{shares[1]:10.2f}{shares[2]:16.2f}"
            f"{together:10.2f}{(time.process_time() - since) / repetitions:8.1f}",
            flush=True,
        )


def leaked(data: Path, repetitions: int, people: int) -> None:
    """Estimate the share of copies and set it beside the truth."""
    table, schema = everybody(data)
    print(f"\n{people:,} members, controls and released rows of Adult, {repetitions} repetitions")
    print(f"{'leak':18}{'mean':>8}{'spread':>8}{'stated':>8}{'within 20 %':>13}")
    for kind in ("verbatim", "noisy"):
        for share in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2):
            found = []
            for seed in range(repetitions):
                tables = AttackTables.of(*leaky(table, kind, share, people, seed), schema)
                matcher = matching.Matcher.of(tables)
                one = leaked_share(tables, matcher, matcher.match(tables), seed=seed)
                found.append((one.value / share, (one.interval[1] - one.value) / 1.96 / share))
            value, stated = np.array(found).T
            near = int((np.abs(value - 1) <= 0.2).sum())
            print(
                f"{f'{kind} {100 * share:g} %':18}{value.mean():8.2f}{value.std():8.2f}"
                f"{stated.mean():8.2f}{near:10} of {repetitions}",
                flush=True,
            )


def planted(data: Path, plantings: int, people: int = 1_500) -> None:
    """Plant the declared leak anew and count how often it is noticed."""
    table, schema = everybody(data)
    fresh = AttackTables.of(*leaky(table, "none", 0.0, people, 10_000), schema)
    declared = minimum_detectable_leak(fresh, seed=1)
    print(f"\n{people:,} members, controls and released rows of Adult, {plantings} plantings")
    for kind, leak in (
        ("verbatim", "verbatim"),
        ("noisy", "noisy"),
        ("noisy outliers", "outliers"),
    ):
        copies_of = declared[leak].people
        if copies_of is None:
            print(f"  {leak}: nothing that was planted was noticed")
            continue
        noticed = 0
        for seed in range(plantings):
            # what is declared is declared for these very people
            parts = leaky(table, kind, copies_of / people, people, 10_000, again=seed)
            noticed += smallest_p_value(AttackTables.of(*parts, schema), seed) <= 0.05
        print(f"  {leak:10}{copies_of:6} people, noticed in {noticed / plantings:.2f}", flush=True)


def smallest_p_value(tables: AttackTables, seed: int) -> float:
    """Return the smallest p-value, over its share of the error, of the tests that seek copies."""
    score, apart, member = matching.scores(tables), the_isolated(tables), tables.member
    hits = copies.hits(tables)
    p_values = {
        "membership/matching/top": highest_scores(score, member, seed=seed).p_value,
        "membership/matching/vulnerable/top": highest_scores(
            score[apart], member[apart], seed=seed
        ).p_value,
    }
    for kind in ("exact", "all_but_one"):
        hit = hits[kind]
        p_values[f"copies/{kind}"] = excess(hit[member], hit[~member], seed=seed).p_value
    return min(p_value / ERROR_SHARES[key] for key, p_value in p_values.items())


def everybody(data: Path) -> tuple[pl.DataFrame, sf.Schema]:
    """Return the different rows of the Adult table and its schema."""
    parts = [sf.read(data / f"adult_uci_{part}.csv.gz") for part in ("train", "test")]
    table = pl.concat(parts, how="vertical_relaxed").unique(maintain_order=True)
    return table, sf.Schema(quasi_identifiers=dict.fromkeys(QUASI), rest="other")


def the_isolated(tables: AttackTables) -> np.ndarray:
    """Return the real rows that stand out most, as the attacks choose them."""
    from sfumato.evaluation.attacks.vulnerable import vulnerable

    return vulnerable(tables, 0.05)


if __name__ == "__main__":
    main()
