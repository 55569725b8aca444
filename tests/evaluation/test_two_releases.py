"""Two releases as frames: the same figures as of their tables, whatever shape they have."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import sfumato as sf
from sfumato.errors import DataError, SchemaError
from sfumato.evaluation.attacks.count_differences import differencing_figures
from sfumato.evaluation.attacks.intersection import intersection_figures
from sfumato.evaluation.attacks.tables import AttackTables

SCHEMA = sf.Schema(quasi_identifiers=["age", "sex", "region"], sensitive=["ill"], rest="other")


def people(size: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": random.integers(20, 80, size),
            "sex": random.choice(["f", "m"], size),
            "region": np.array(["a", "b", "c'", "*"])[random.integers(0, 4, size)],
            "ill": random.choice(["flu", "gout", "asthma", "cold"], size),
            "cost": random.normal(100, 20, size).round(1),
        }
    )


def banded(table: pl.DataFrame, width: int) -> pl.DataFrame:
    low = pl.col("age") // width * width
    return table.with_columns(age=pl.format("[{}, {}]", low, low + width - 1))


MEMBERS, CONTROLS = people(300, 1), people(150, 2)


def plain(figures: dict[str, sf.Figure]) -> dict[str, object]:
    return {key: figure.to_dict() for key, figure in figures.items()}


def test_frames_give_the_figures_of_the_tables():
    schema = SCHEMA.check(MEMBERS)
    frames = banded(MEMBERS, 20), MEMBERS.with_columns(region=pl.lit("*"))
    tables = [AttackTables.of(one, MEMBERS, CONTROLS, schema) for one in frames]
    found = sf.intersect(MEMBERS, *frames, SCHEMA, control=CONTROLS)
    assert plain(found) == plain(intersection_figures(*tables))
    certain = found["intersection/ill/certain"]
    assert certain.value > certain.control
    alone = [AttackTables.of(one, MEMBERS, None, schema) for one in frames]
    counted = sf.differencing(MEMBERS, *frames, SCHEMA, smallest=30)
    assert plain(counted) == plain(differencing_figures(*alone, smallest=30))


def test_frames_of_another_kind_and_order_give_the_same():
    frames = banded(MEMBERS, 20), MEMBERS.drop("age", "cost")
    found = sf.intersect(MEMBERS, *frames, SCHEMA, control=CONTROLS)
    shuffled = [
        one.sample(fraction=1.0, shuffle=True, seed=seed).select(reversed(one.columns)).to_pandas()
        for seed, one in enumerate((MEMBERS, *frames, CONTROLS))
    ]
    again = sf.intersect(*shuffled[:3], SCHEMA, control=shuffled[3])
    assert plain(again) == plain(found)


def test_releases_of_different_columns_are_laid_on_top_of_each_other():
    """By hand: ages leave two values, sexes leave two others, and one value is in both."""
    real = pl.DataFrame(
        {"age": [30, 30, 40, 40], "sex": ["f", "m", "f", "m"], "ill": ["a", "b", "b", "c"]}
    )
    schema = sf.Schema(quasi_identifiers=["age", "sex"], sensitive=["ill"])
    first, second = real.drop("sex"), real.drop("age")
    stranger = pl.DataFrame({"age": [30], "sex": ["f"], "ill": ["c"]})
    found = sf.intersect(real, first, second, schema, control=stranger)
    # (30, f): {a, b} and {a, b}; (30, m): {a, b} and {b, c}; (40, f): {b, c} and {a, b};
    # (40, m): {b, c} and {b, c}
    assert found["intersection/ill/certain"].value == 0.5
    assert found["intersection/ill/certain"].baseline == 0.0
    assert found["intersection/ill/candidates"].value == 1.5
    assert found["intersection/ill/candidates"].baseline == 2.0


def test_a_person_of_several_rows_is_one_person():
    real = MEMBERS.with_columns(pl.Series("who", np.arange(300) // 2))
    schema = sf.Schema(
        identifiers=["who"],
        quasi_identifiers=["age", "sex", "region"],
        sensitive=["ill"],
        person="who",
        rest="other",
    )
    releases = banded(MEMBERS, 20), MEMBERS.drop("age")
    found = sf.intersect(real, *releases, schema, control=CONTROLS)
    assert found["intersection/ill/candidates"].attacks == 150 + 150


def test_without_control_only_counts_are_compared():
    found = sf.intersect(MEMBERS, banded(MEMBERS, 20), MEMBERS.drop("age"), SCHEMA)
    assert "control" in found["intersection"].because
    assert found["differencing/cells"].computed


def test_what_cannot_be_intersected_is_refused():
    with pytest.raises(DataError, match="no column in common"):
        sf.intersect(MEMBERS, MEMBERS, pl.DataFrame({"x": [1]}), SCHEMA)
    with pytest.raises(DataError, match="bins"):
        sf.intersect(MEMBERS, MEMBERS, CONTROLS, SCHEMA, bins=1)
    with pytest.raises(DataError, match="smallest"):
        sf.differencing(MEMBERS, MEMBERS, CONTROLS, SCHEMA, smallest=1)
    with pytest.raises(SchemaError, match="Did you mean"):
        sf.intersect(MEMBERS, MEMBERS, CONTROLS, SCHEMA, sensitive=["il"])
