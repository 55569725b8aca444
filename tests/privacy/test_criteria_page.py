"""The page on criteria says every kind, every setting, and the flags as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from sfumato.privacy import (
    CostBenefit,
    Criterion,
    DifferentialPrivacy,
    LDiversity,
    criterion_kinds,
    safepub_parameters,
)

PAGE = (Path(__file__).parents[2] / "docs" / "criteria.md").read_text("utf-8")
OURS = {
    kind: one for kind, one in criterion_kinds().items() if one.__module__.startswith("sfumato.")
}
ROWS = dict(re.findall(r"^\| \[`([a-z-]+)`\]\(#[a-z-]+\) \|(.*)\|$", PAGE, re.MULTILINE))


def section(kind: str) -> str:
    return PAGE.partition(f"\n## `{kind}`\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("kind", OURS)
def test_every_kind_and_every_setting_is_documented(kind: str) -> None:
    said = {term for row in re.findall(r"^\| (`.*?`) \|", section(kind), re.MULTILINE)
            for term in re.findall(r"`([^`]+)`", row)}  # fmt: skip
    assert set(OURS[kind].model_fields) == said
    assert f"`{OURS[kind].__name__}`" in ROWS[kind]


def test_no_kind_is_made_up() -> None:
    assert set(ROWS) == set(OURS)
    assert re.findall(r"^## `([a-z-]+)`$", PAGE, re.MULTILINE) == sorted(
        OURS, key=lambda kind: PAGE.index(f"\n## `{kind}`\n")
    )


def made(kind: str) -> Criterion:
    """Make any criterion of a kind: its flags depend on few settings."""
    values = {
        "k": 5, "column": "s", "l": 2, "t": 0.2, "delta": 0.5, "beta": 1, "alpha": 0.5,
        "limit": 0.2, "average": 0.2, "highest": 0.2, "share": 0.1, "population_size": 1000,
        "delta_min": 0, "delta_max": 0.5, "epsilon": 1,
    }  # fmt: skip
    required = [name for name, field in OURS[kind].model_fields.items() if field.is_required()]
    return OURS[kind](**{name: values[name] for name in required})


@pytest.mark.parametrize("kind", OURS)
def test_the_flags_of_the_table_are_those_of_the_criteria(kind: str) -> None:
    joining, growing, suppressing = (cell.strip() for cell in ROWS[kind].split("|")[-3:])
    criterion = made(kind)
    if kind == "cost-benefit":
        assert (joining, growing) == ("with `no_attack`", "with `no_attack`")
        assert not criterion.monotone_generalization
        assert CostBenefit(no_attack=True).monotone_growth
    elif kind == "l-diversity":
        assert (joining, growing) == ("yes; Grassberger no", "distinct only")
        assert criterion.monotone_growth
        assert not LDiversity("s", 2, "entropy").monotone_growth
        assert not LDiversity("s", 2, "recursive", 1).monotone_growth
    else:
        assert (joining == "yes") == criterion.monotone_generalization
        assert (growing == "yes") == criterion.monotone_growth
    assert (suppressing == "yes") == criterion.monotone_suppression


def test_the_examples_are_criteria() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        for one in tomllib.loads(block)["release"]["criteria"]:
            assert Criterion.from_dict(one).kind == one["kind"]


def test_the_parameters_of_differential_privacy_are_those_of_the_page() -> None:
    rows = re.findall(
        r"^\| ([\d.]+) \| ([\d.]+) \| (\d+) \| (\d+) \|$",
        section("differential-privacy"),
        re.MULTILINE,
    )
    assert len(rows) == 6
    for epsilon, beta, five, six in rows:
        assert safepub_parameters(float(epsilon), 1e-5).k == int(five)
        assert DifferentialPrivacy(float(epsilon), 1e-6).k == int(six)
        assert f"{safepub_parameters(float(epsilon), 1e-6).beta:.4f}" == beta
