"""Copies in disguise are evidence of a leak, fresh people are not."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from sfumato.evaluation.attacks.copies import Copies
from sfumato.evaluation.attacks.membership_by_matching import MembershipByMatching
from sfumato.evaluation.attacks.singling_out import SinglingOut
from sfumato.evaluation.attacks.suite import adjusted
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.outcomes import Outcome, outcome
from sfumato.table import Schema

SCHEMA = Schema(rest="other")
NAMES = ["O'Hara", 'says "no"', "żółć", "a b; c", "*?", "plain"]


def people(count, seed):
    random = np.random.default_rng(seed)
    born = [
        date(1930, 1, 1) + timedelta(days=int(day)) for day in random.integers(0, 25_000, count)
    ]
    return pl.DataFrame(
        {
            "born": born,
            "weight": random.normal(70, 12, count).round(1),
            "place": random.choice(NAMES, count),
            "lab": random.normal(size=count),
            "ward": random.choice(list("abcdefgh"), count),
            "stay": random.integers(0, 60, count),
        }
    )


def judged(released, members, controls):
    """Return what the tests that look for copies say, all of them taken together."""
    tables = AttackTables.of(released, members, controls, SCHEMA, synthetic=True)
    figures = {}
    for attack in (Copies(), MembershipByMatching(plantings=0), SinglingOut(predicates=5_000)):
        figures |= attack.run(tables, seed=1)
    return {outcome(one) for one in adjusted(figures).values()}


MEMBERS, CONTROLS = people(600, 1), people(600, 2)


def holes(table, share):
    random = np.random.default_rng(5)
    return table.with_columns(
        pl.when(pl.Series(random.random(table.height) < share))
        .then(None)
        .otherwise(pl.col(name))
        .alias(name)
        for name in table.columns
    )


@pytest.mark.parametrize(
    ("released", "members", "controls"),
    [
        (MEMBERS.select(sorted(MEMBERS.columns, reverse=True)), MEMBERS, CONTROLS),
        (MEMBERS.sample(fraction=1, shuffle=True, seed=3), MEMBERS, CONTROLS),
        (
            MEMBERS.with_columns(pl.col("place", "ward").cast(pl.Categorical)),
            MEMBERS.with_columns(pl.col("weight").cast(pl.Float32)).cast({"weight": pl.Float64}),
            CONTROLS,
        ),
        (holes(MEMBERS, 0.6), holes(MEMBERS, 0.6), holes(CONTROLS, 0.6)),
        (MEMBERS, MEMBERS, people(30, 4)),
        (MEMBERS, MEMBERS, people(6_000, 5)),
        (MEMBERS.with_columns(pl.col("born").cast(pl.Datetime("us"))), MEMBERS, CONTROLS),
    ],
    ids=["columns", "rows", "types", "missing", "few controls", "many controls", "times"],
)
def test_a_copy_in_disguise_is_evidence(released, members, controls):
    if "weight" in members.columns and members.schema["weight"] != released.schema["weight"]:
        released = released.with_columns(pl.col("weight").cast(members.schema["weight"]))
    assert Outcome.EVIDENCE in judged(released, members, controls)


@pytest.mark.parametrize("seed", range(3))
def test_fresh_people_are_not_flagged(seed):
    found = judged(people(600, 100 + seed), people(600, 200 + seed), people(600, 300 + seed))
    assert Outcome.EVIDENCE not in found


def test_a_useless_release_with_copies_is_evidence():
    random = np.random.default_rng(9)
    useless = people(600, 7)
    useless = useless.with_columns(
        useless[name].sample(fraction=1, shuffle=True, seed=int(random.integers(99)))
        for name in useless.columns
    ).with_columns(lab=pl.Series(np.zeros(600)))
    leaking = pl.concat([useless[20:], MEMBERS[:20]])
    assert Outcome.EVIDENCE in judged(leaking, MEMBERS, CONTROLS)
