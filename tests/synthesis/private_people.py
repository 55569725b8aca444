"""People who are made up, for the tests of private synthesis: what they can hold is declared."""

import numpy as np
import polars as pl

from sfumato.privacy.differential.budget import Budget
from sfumato.table import Schema

DOMAIN = {"age": (0, 100, 1), "sex": ["F", "M"], "dose": (0, 20, 0.05), "ill": [False, True]}
SCHEMA = Schema(target="ill", rest="other")
BUDGET = Budget(epsilon=1, delta="1e-7")


def people(n=6000, seed=0):
    """Return people; the old are men and ill, two fifths have one dose, a tenth tell no age."""
    random = np.random.default_rng(seed)
    sex = random.random(n) < 0.4
    age = np.clip(np.rint(random.normal(45 + 15 * sex, 15, n)), 0, 100).astype(int)
    ill = random.random(n) < 1 / (1 + np.exp(-(age - 60) / 6))
    dose = np.where(random.random(n) < 0.4, 7.35, np.round(random.gamma(4, 2, n) / 0.05) * 0.05)
    return pl.DataFrame(
        {
            "age": age,
            "sex": np.where(sex, "M", "F"),
            "dose": np.clip(np.round(dose, 2), 0, 20),
            "ill": ill,
        }
    ).with_columns(age=pl.when(pl.Series(random.random(n) < 0.1)).then(None).otherwise("age"))


def independent_people(n, seed=0):
    """Return people whose columns have nothing to do with each other."""
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": random.integers(20, 80, n),
            "sex": random.choice(["F", "M"], n),
            "pay": np.where(random.random(n) < 0.3, 0, random.integers(0, 5001, n)),
            "ill": random.random(n) < 0.2,
        }
    )
