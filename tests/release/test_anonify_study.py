"""Anonify's study as a whole: what it joins, what it says, and what it refuses."""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sfumato.errors import DataError, SchemaError
from sfumato.evaluation.anonify import AnonifySettings
from sfumato.release.anonify import AnonifyStudy, anonify_study
from sfumato.table import Hierarchy, Schema

AGES = Hierarchy.mapping({str(age): f"{age // 10 * 10}-{age // 10 * 10 + 10}" for age in range(60)})
SCHEMA = Schema(
    identifiers=["name"],
    quasi_identifiers={"age": AGES, "sex": None},
    sensitive=["glucose"],
    target="ill",
)
ROWS = 240
REAL = pl.DataFrame(
    {
        "name": [f"CANARY{row}" for row in range(ROWS)],
        "age": [(row * 7) % 60 for row in range(ROWS)],
        "sex": ["fm"[row % 2] for row in range(ROWS)],
        "glucose": [80.0 + (row * 13) % 90 + (row % 5) / 10 for row in range(ROWS)],
        "ill": [int((row * 7) % 60 > 40 and row % 3 > 0) for row in range(ROWS)],
    }
)
# ages below 10 are suppressed with the sex, the others are decades; rows in reverse order
YOUNG = pl.col("age") < 10
RELEASED = REAL.select(
    age=pl.when(YOUNG)
    .then(pl.lit("*"))
    .otherwise(pl.format("{}-{}", pl.col("age") // 10 * 10, pl.col("age") // 10 * 10 + 10)),
    sex=pl.when(YOUNG).then(pl.lit("*")).otherwise("sex"),
    glucose="glucose",
    ill="ill",
).reverse()
ASKED = AnonifySettings(
    delete=[0.3],
    runs=2,
    bins={"age": [0, 10, 20, 30, 40, 50, 60]},
    classifiers=["naive-bayes", "decision-tree"],
)


def study(released: pl.DataFrame = RELEASED, schema: Schema = SCHEMA, **asked: Any) -> AnonifyStudy:
    return anonify_study(REAL, released, schema, **{"settings": ASKED, **asked})


@pytest.fixture(scope="module")
def found() -> AnonifyStudy:
    return study()


def test_the_table_and_its_loss(found: AnonifyStudy) -> None:
    suppressed = REAL.filter(YOUNG).height
    sizes = RELEASED.group_by("age", "sex").len()["len"].to_list()
    assert found.table.classes == len(sizes)
    assert found.table.smallest_class == min(sizes)
    assert found.table.suppressed == suppressed
    # by hand: a decade is 10 of 60 leaves, * is 1; of the sex only * leaves anything open
    share = suppressed / ROWS
    age = share + (1 - share) * 10 / 60
    assert found.loss is not None
    assert found.loss.value == pytest.approx((age + share) / 2)


def test_risk_and_certainty_by_hand(found: AnonifyStudy) -> None:
    sizes = RELEASED.group_by("age", "sex").len()["len"].to_list()
    left = [size - ceil(3 * size / 10) for size in sizes]
    risk = found.risks["30 % deleted"].with_suppressed
    average = sum(n / s for n, s in zip(left, sizes, strict=True)) / ROWS
    assert risk.average_risk == pytest.approx(average)
    assert risk.average_certainty == pytest.approx(sum(left) / ROWS)
    assert risk.highest_risk == pytest.approx(1 / min(sizes))
    assert found.risks["anonymized"].with_suppressed.average_certainty == 1


def test_distributions_by_hand(found: AnonifyStudy) -> None:
    tables = {(one.quasi_identifier, one.sensitive): one for one in found.distributions}
    assert set(tables) == {
        (name, sensitive) for name in ("age", "sex") for sensitive in ("glucose", "ill")
    }
    by_age = tables["age", "ill"]
    expected = [
        REAL.filter(pl.col("age") // 10 == decade, pl.col("ill") == 1).height for decade in range(6)
    ]
    assert list(by_age.original[1]) == expected
    assert list(by_age.anonymized[1]) == [0, *expected[1:]]
    assert by_age.left_out_anonymized == found.table.suppressed
    means = tables["sex", "glucose"]
    assert means.kind == "mean"
    girls = REAL.filter(pl.col("sex") == "f")["glucose"].mean()
    assert means.original[0][0] == pytest.approx(girls)


def test_every_classifier_stands_in_both_conventions(found: AnonifyStudy) -> None:
    keys = {(one.classifier, one.version, one.convention) for one in found.scores}
    assert len(keys) == len(found.scores) == 2 * 3 * 2
    honest = [one for one in found.scores if one.convention == "honest"]
    assert {one.rows_test for one in honest} == {60}
    assert {
        set(one.scores) == {"accuracy", "majority_accuracy", "f1", "auc"} for one in honest
    } == {True}
    assert any("another order" in note for note in found.notes)


def test_the_record_and_the_report_are_whole(found: AnonifyStudy, tmp_path: Path) -> None:
    report = found.save(tmp_path / "out").read_text()
    record = json.loads((tmp_path / "out" / "anonify.json").read_text())
    assert record == json.loads(json.dumps(found.to_dict()))
    assert record["information_loss"]["measure"] == "ncp"
    for word in ("Information loss", "Risk and certainty", "decision-tree", "30 % deleted"):
        assert word in report
    assert "CANARY" not in report + json.dumps(record)
    assert report.count("<svg") >= 8
    assert "<script" not in report
    # what a chart shows is told in words, too
    assert "Medians over the runs." in report


def test_without_a_target_nothing_is_trained(tmp_path: Path) -> None:
    schema = Schema(
        identifiers=["name"], quasi_identifiers=["age", "sex"], sensitive=["glucose"], rest="other"
    )
    found = study(schema=schema)
    assert found.scores == ()
    assert "nothing was trained" in found.save(tmp_path).read_text()


def test_what_no_bin_contains_is_told() -> None:
    wide = RELEASED.with_columns(age=pl.lit("0-60"))
    found = study(wide, settings=ASKED.model_copy(update={"classifiers": ("naive-bayes",)}))
    assert any("in no bin" in note for note in found.notes)


def test_a_loss_that_cannot_be_computed_is_told(tmp_path: Path) -> None:
    strange = RELEASED.with_columns(sex=pl.lit("somebody"))
    found = study(strange)
    assert found.loss is None
    assert found.loss_because
    assert "Not computed" in found.save(tmp_path).read_text()
    # a row with such a cell can be nobody's
    assert any("can be no real row" in note for note in found.notes)


@pytest.mark.parametrize(
    ("released", "asked", "error", "word"),
    [
        (RELEASED.drop("sex"), {}, DataError, "no column 'sex'"),
        (RELEASED.drop("ill"), {}, DataError, "'ill' to learn"),
        (RELEASED, {"target": "well"}, SchemaError, "'well'"),
        (RELEASED, {"schema": Schema(rest="other")}, SchemaError, "has none"),
        (
            RELEASED,
            {"settings": AnonifySettings(runs=1, bins={"aeg": [0, 1]})},
            SchemaError,
            "Did you mean 'age'",
        ),
        (
            RELEASED,
            {"settings": AnonifySettings(runs=1, bins={"sex": [0, 1]})},
            SchemaError,
            "edges are for numbers",
        ),
        (
            RELEASED.with_columns(ill=pl.when(pl.col("ill") == 0).then("ill")),
            {},
            DataError,
            "missing in some rows",
        ),
    ],
)
def test_what_cannot_be_studied_is_refused(released, asked, error, word):
    with pytest.raises(error, match=word):
        study(released, **asked)
