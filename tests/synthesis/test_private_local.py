import math

import numpy as np
import polars as pl
import pytest

from sfumato.errors import PlanError, SchemaError
from sfumato.privacy.differential import Budget
from sfumato.synthesis.private import LocalLatentFactor
from sfumato.synthesis.private.local_factor import _estimated
from sfumato.table import Schema

REST = Schema(rest="other")
DOMAIN = {"age": (0, 99, 1), "ward": ["a", "b", "c"], "ill": [False, True]}


def people(n):
    random = np.random.default_rng(0)
    age = random.integers(0, 100, n)
    return pl.DataFrame(
        {
            "age": age,
            "ward": random.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
            "ill": random.random(n) < np.where(age > 60, 0.8, 0.1),
        }
    )


def local(**settings):
    given = {
        "budget": Budget(epsilon=9, neighbours="replace"),
        "domain": DOMAIN,
        "insecure_seed": 1,
    }
    return LocalLatentFactor(**{**given, **settings})


def test_a_model_of_randomized_answers_keeps_the_ties():
    table = people(20_000)
    model = local().fit(table, REST)
    sample = model.sample(20_000, seed=1)
    assert sample.schema == table.schema
    assert (sample["ward"] == "a").mean() == pytest.approx(0.6, abs=0.03)
    old = sample.filter(pl.col("age") > 65)["ill"].drop_nulls().mean()
    young = sample.filter(pl.col("age") < 55)["ill"].drop_nulls().mean()
    assert old == pytest.approx(0.8, abs=0.1)
    assert young == pytest.approx(0.1, abs=0.1)
    assert model.account.spent.amount == pytest.approx(9)
    assert [charge.cost.epsilon for charge in model.account.charges] == [3, 3, 3]


def test_pairs_are_estimated_without_bias():
    """The mean of estimates over many randomizations is the true table of pairs."""
    from sfumato.privacy.differential import RandomizedResponse, RandomWords

    random = np.random.default_rng(2)
    first = random.integers(0, 3, 500)
    second = (first + (random.random(500) < 0.3)) % 4
    mechanisms = [RandomizedResponse(epsilon=1, categories=k) for k in (3, 4)]
    words, runs = RandomWords(insecure_seed=3), 400
    found = np.array(
        [
            _estimated(
                [m.release(c, words) for m, c in zip(mechanisms, (first, second), strict=True)],
                mechanisms,
            ).pairs[:3, 3:]
            for _ in range(runs)
        ]
    )
    truth = np.zeros((3, 4))
    np.add.at(truth, (first, second), 1 / 500)
    error = found.std(axis=0) / math.sqrt(runs)
    assert (np.abs(found.mean(axis=0) - truth) < 4.5 * error).all()
    assert found.sum(axis=(1, 2)) == pytest.approx(1)


def test_what_randomized_response_cannot_promise_is_refused():
    with pytest.raises(PlanError, match="neighbours"):
        local(budget=Budget(epsilon=1))
    with pytest.raises(PlanError, match="no delta"):
        local(budget=Budget(epsilon=1, delta="1e-6", neighbours="replace"))
    with pytest.raises(PlanError, match="no person column"):
        local().fit(people(10), Schema(person="ward", rest="other"))
    with pytest.raises(SchemaError, match="'age': what it can hold"):
        local(domain={}).fit(people(10), REST)
