"""Bad input: one clear line, exit code 2, nothing half-written, input untouched, no cell shown."""

from __future__ import annotations

import gzip
import sqlite3
from typing import TYPE_CHECKING

import polars as pl
import pytest
from tests.cli.conftest import CANARIES, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Sfumato = Callable[..., Outcome]

HEAD = "name,age,sex,weight,diagnosis,died\n"
ROWS = "".join(
    f"{canary},{20 + row % 50},{'FM'[row % 2]},{60 + row % 7}.5,flu,{row % 2}\n"
    for row, canary in enumerate(CANARIES[:60])
)

# name of the case -> (file name, its bytes, a word the one line must hold)
BAD_FILES = {
    "empty file": ("data.csv", b"", "empty"),
    "only a header": ("data.csv", HEAD.encode(), "row"),
    "a column twice": (
        "data.csv",
        b"name,age,age,weight,diagnosis,died\nCANARY0001X,1,2,3.5,flu,0\n",
        "age",
    ),
    "a column without a name": (
        "data.csv",
        b"name,,sex,weight,diagnosis,died\nCANARY0001X,1,F,3.5,flu,0\n",
        "name",
    ),
    "another delimiter in it": (
        "data.csv",
        (HEAD + ROWS).replace(",", "\x1f").encode(),
        "delimiter",
    ),
    "a row with too many cells": (
        "data.csv",
        (HEAD + ROWS + "CANARY0100X,30,F,60.5,flu,0,more,more\n" + ROWS).encode(),
        "61",
    ),
    "bytes that are no text": ("data.csv", bytes(range(256)) * 40, "data.csv"),
    "a picture named csv": ("data.csv", b"\x89PNG\r\n\x1a\n" + bytes(2000), "data.csv"),
    "a gzip cut short": ("data.csv.gz", gzip.compress((HEAD + ROWS).encode())[:200], "gz"),
    "a gzip that is none": ("data.csv.gz", (HEAD + ROWS).encode(), "gz"),
    "a Parquet file cut short": ("data.parquet", b"PAR1" + bytes(50), "parquet"),
    "an Excel file that is none": ("data.xlsx", b"not a workbook", "xlsx"),
    "an unknown kind of file": ("data.docx", b"words", "docx"),
    "an infinite number": (
        "data.csv",
        (HEAD + ROWS + "CANARY0100X,30,F,inf,flu,0\n").encode(),
        "weight",
    ),
    "a minus infinite number": (
        "data.csv",
        (HEAD + ROWS + "CANARY0100X,30,F,-inf,flu,0\n").encode(),
        "weight",
    ),
}


def one_clear_line(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 2, outcome
    assert len(outcome.lines) == 1, outcome.err
    assert "Traceback" not in outcome.err
    assert "defect" not in outcome.err
    for word in words:
        assert word.lower() in outcome.err.lower(), outcome.err
    shown = outcome.out + outcome.err
    assert not [canary for canary in CANARIES if canary in shown]


@pytest.mark.parametrize("case", BAD_FILES)
@pytest.mark.parametrize("command", ["profile", "anonymize"])
def test_a_bad_file_gives_one_clear_line(
    case: str, command: str, sfumato: Sfumato, schema: Path, tmp_path: Path
) -> None:
    name, content, word = BAD_FILES[case]
    data = tmp_path / name
    data.write_bytes(content)
    before = set(tmp_path.iterdir())
    words = (
        ("profile", data, "--out", "profile.html")
        if command == "profile"
        else ("anonymize", data, "--schema", schema, "--k", 2, "--out", "release")
    )
    one_clear_line(sfumato(*words), word)
    assert set(tmp_path.iterdir()) == before, "something half-written was left"
    assert data.read_bytes() == content, "the input was touched"


def anonymize(sfumato: Sfumato, data: Path, schema: Path, *words: object) -> Outcome:
    return sfumato("anonymize", data, "--schema", schema, "--out", "release", *words)


def test_a_file_that_is_not_there(sfumato: Sfumato, schema: Path, tmp_path: Path) -> None:
    one_clear_line(anonymize(sfumato, tmp_path / "nobody.csv", schema, "--k", 2), "nobody.csv")


def test_a_folder_in_place_of_a_file(sfumato: Sfumato, schema: Path, tmp_path: Path) -> None:
    one_clear_line(anonymize(sfumato, tmp_path, schema, "--k", 2), "folder")


def test_the_wrong_delimiter_given(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    one_clear_line(anonymize(sfumato, patients, schema, "--k", 2, "--delimiter", ";"), "delimiter")


def test_an_encoding_that_does_not_fit(sfumato: Sfumato, schema: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes((HEAD + ROWS).replace("flu", "Grippe für").encode("latin-1"))
    one_clear_line(anonymize(sfumato, data, schema, "--k", 2, "--encoding", "utf-8"), "utf-8")


def test_an_encoding_that_does_not_exist(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    one_clear_line(anonymize(sfumato, patients, schema, "--k", 2, "--encoding", "utf-99"), "utf-99")


def test_a_single_row(sfumato: Sfumato, schema: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text(HEAD + "CANARY0001X,30,F,60.5,flu,0\n")
    one_clear_line(anonymize(sfumato, data, schema, "--k", 2), "k")


def test_k_above_the_table(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    outcome = anonymize(sfumato, patients, schema, "--k", 401)
    one_clear_line(outcome, "401", "400")


def test_a_k_that_protects_nobody(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    outcome = anonymize(sfumato, patients, schema, "--k", 1)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


def test_a_column_that_is_all_missing(sfumato: Sfumato, schema: Path, tmp_path: Path) -> None:
    """Not an error for k-anonymity (missing is a value); a synthesizer must manage or say why."""
    data = tmp_path / "data.csv"
    data.write_text(HEAD + ROWS.replace(",flu,", ",,"))
    assert anonymize(sfumato, data, schema, "--k", 2).code == 0
    outcome = sfumato("synthesize", data, "--schema", schema, "--out", "synthetic")
    if outcome.code != 0:
        one_clear_line(outcome, "diagnosis")


def test_a_value_that_the_hierarchy_lacks(sfumato: Sfumato, tmp_path: Path, patients: Path) -> None:
    (tmp_path / "sex.csv").write_text("F;*\n")
    schema = tmp_path / "schema.toml"
    schema.write_text(
        SCHEMA.replace(
            '[columns.sex]\nrole = "quasi-identifier"',
            '[columns.sex]\nrole = "quasi-identifier"\nhierarchy = { file = "sex.csv" }',
        )
    )
    one_clear_line(anonymize(sfumato, patients, schema, "--k", 2), "sex", "200")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("F;*\nM;person;*\n", "line 2"),
        ("F;woman;*\nF;person;*\nM;man;*\n", "line 2"),
        ("F;*\nM;all\n", "*"),
        ("", "empty"),
    ],
)
def test_a_malformed_hierarchy(
    content: str, word: str, sfumato: Sfumato, tmp_path: Path, patients: Path
) -> None:
    (tmp_path / "sex.csv").write_text(content)
    schema = tmp_path / "schema.toml"
    schema.write_text(
        SCHEMA.replace(
            '[columns.sex]\nrole = "quasi-identifier"',
            '[columns.sex]\nrole = "quasi-identifier"\nhierarchy = { file = "sex.csv" }',
        )
    )
    one_clear_line(anonymize(sfumato, patients, schema, "--k", 2), "sex.csv", word)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[columns.weight]", "[columns.wieght]"), ("wieght", "weight")),
        (('[columns.weight]\nrole = "other"\n', ""), ("weight", "role")),
        (('role = "other"', 'role = "othr"'), ("othr",)),
        (('person = "name"', 'person = "nobody"'), ("nobody",)),
        (('target = "died"', 'target = "dead"'), ("dead",)),
        (("[columns.sex]", "[columns.sex"), ("line",)),
        (('closed = "left"', 'closed = "both"'), ("closed",)),
        (("intervals = [30, 45, 60]", "intervals = [30, 30, 20]"), ("age",)),
        (('intervals = [30, 45, 60], closed = "left"', 'preset = "ages"'), ("ages",)),
    ],
)
def test_a_schema_that_does_not_fit(
    change: tuple[str, str],
    words: tuple[str, ...],
    sfumato: Sfumato,
    tmp_path: Path,
    patients: Path,
) -> None:
    schema = tmp_path / "schema.toml"
    assert change[0] in SCHEMA
    schema.write_text(SCHEMA.replace(*change))
    one_clear_line(anonymize(sfumato, patients, schema, "--k", 2), *words)


def test_a_schema_that_is_not_there(sfumato: Sfumato, tmp_path: Path, patients: Path) -> None:
    one_clear_line(anonymize(sfumato, patients, tmp_path / "no.toml", "--k", 2), "no.toml")


def test_an_unknown_technique(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    outcome = anonymize(sfumato, patients, schema, "--technique", "mondrain", "--k", 2)
    one_clear_line(outcome, "mondrain", "mondrian")


def test_an_unknown_setting(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    one_clear_line(anonymize(sfumato, patients, schema, "--k", 2, "--set", "kk=3"), "kk")
    one_clear_line(anonymize(sfumato, patients, schema, "--k", 2, "--set", "nonsense"), "--set")


def test_a_technique_of_the_other_kind(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    one_clear_line(anonymize(sfumato, patients, schema, "--technique", "copula"), "synthesize")
    outcome = sfumato("synthesize", patients, "--schema", schema, "--technique", "mondrian")
    one_clear_line(outcome, "anonymize")


def test_a_rule_that_cannot_be(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    for number, (rule, word) in enumerate(
        [
            ('weight = { noise = "gaussian", scale = -1 }', "scale"),
            ('weight = { noise = "cauchy", scale = 1 }', "noise"),
            ("age = { generalize = 9 }", "9"),
            ("height = { suppress = true }", "height"),
            ('diagnosis = { noise = "gaussian", scale = 1 }', "diagnosis"),
            ("diagnosis = { pram = 1.5 }", "pram"),
            ('name = { pseudonym = { key_file = "no.key" } }', "no.key"),
            ("age = { blur = 3 }", "blur"),
        ]
    ):
        rules = tmp_path / f"rules{number}.toml"
        rules.write_text(f"[columns]\n{rule}\n")
        outcome = anonymize(sfumato, patients, schema, "--technique", "rules", "--settings", rules)
        one_clear_line(outcome, word)


def test_a_million_distinct_values(sfumato: Sfumato, schema: Path, tmp_path: Path) -> None:
    """A category with as many values as people is a name: refused as a thing to learn from."""
    rows = 1_000_000
    data = tmp_path / "data.parquet"
    pl.DataFrame({"row": range(rows)}).select(
        name=pl.format("CANARY{}", "row"),
        age=20 + pl.col("row") % 60,
        sex=pl.when(pl.col("row") % 2 == 0).then(pl.lit("F")).otherwise(pl.lit("M")),
        weight=50 + pl.col("row") % 37 / 2,
        diagnosis=pl.format("CANARY{}X", "row"),
        died=pl.col("row") % 2,
    ).write_parquet(data)
    outcome = sfumato("synthesize", data, "--schema", schema, "--out", "synthetic")
    one_clear_line(outcome, "diagnosis")
    assert "CANARY" not in outcome.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('name = "one"', 'nmae = "one"'), ("line", "nmae")),
        (('technique = "mondrian"', 'technique = "mondrain"'), ("line", "mondrian")),
        (("k = 3", "k = 1"), ("line", "k")),
        (("k = 3", 'k = "three"'), ("line", "k")),
        (("k = 3", "kk = 3"), ("line", "kk")),
        (("control = 0.2", "control = 0.9"), ("line", "control")),
        (('path = "patients.csv"', 'path = "nobody.csv"'), ("nobody.csv",)),
        (('schema = "schema.toml"', 'schema = "no.toml"'), ("no.toml",)),
        (('protocols = ["honest"]', 'protocols = ["honst"]'), ("line", "honst")),
        (('models = ["naive-bayes"]', 'models = ["oracle"]'), ("oracle",)),
        (("[source]", "[sauce]"), ("line", "sauce")),
        (('of = "one"', 'of = "three"'), ("line", "three")),
        (("k = 3", "k = = 3"), ("line",)),
    ],
)
def test_a_plan_that_cannot_be(
    change: tuple[str, str],
    words: tuple[str, ...],
    sfumato: Sfumato,
    schema: Path,
    patients: Path,
    tmp_path: Path,
) -> None:
    text = """
name = "study"
seed = 1
control = 0.2
schema = "schema.toml"
[source]
path = "patients.csv"
[[release]]
name = "one"
technique = "mondrian"
k = 3
[[release]]
name = "two"
technique = "copula"
of = "one"
[evaluation.learning]
models = ["naive-bayes"]
protocols = ["honest"]
"""
    assert change[0] in text
    plan = tmp_path / "plan.toml"
    plan.write_text(text.replace(*change))
    one_clear_line(sfumato("run", plan, "--out", "study"), *words)
    assert not (tmp_path / "study" / "one").exists() or "oracle" in words


def test_a_query_that_writes(sfumato: Sfumato, schema: Path, tmp_path: Path) -> None:
    database = tmp_path / "hospital.db"
    with sqlite3.connect(database) as connection:
        connection.execute("create table patients (name text)")
        connection.execute("insert into patients values ('CANARY0001X')")
    before = database.read_bytes()
    url = f"sqlite:///{database}"
    one_clear_line(sfumato("profile", url, "--query", "delete from patients"), "select")
    one_clear_line(sfumato("profile", url, "--query", "select * from nobody"), "nobody")
    one_clear_line(
        sfumato("profile", f"sqlite:///{tmp_path}/no.db", "--query", "select 1"), "no.db"
    )
    one_clear_line(sfumato("profile", "oracle://host/db", "--query", "select 1"), "oracle")
    assert database.read_bytes() == before


def test_a_sheet_that_is_not_there(sfumato: Sfumato, schema: Path, tmp_path: Path) -> None:
    pl.DataFrame({"name": ["CANARY0001X"]}).write_excel(tmp_path / "book.xlsx")
    outcome = sfumato("profile", tmp_path / "book.xlsx", "--sheet", "Patients")
    one_clear_line(outcome, "Patients")


def test_the_output_is_a_file(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    (tmp_path / "release").write_text("mine")
    one_clear_line(anonymize(sfumato, patients, schema, "--k", 2), "release")
    assert (tmp_path / "release").read_text() == "mine"


def test_the_output_is_somebody_elses_folder(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "thesis.txt").write_text("mine")
    one_clear_line(anonymize(sfumato, patients, schema, "--k", 2), "release")
    assert (tmp_path / "release" / "thesis.txt").read_text() == "mine"


def test_a_full_disk(sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path) -> None:
    """Every write fails as on a full disk: one line, and the folder is not there."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        outcome = anonymize(sfumato, patients, schema, "--k", 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert outcome.code == 2, outcome
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "release").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"patients.csv", "schema.toml"}


def test_an_evaluation_of_another_table(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n3,4\n")
    outcome = sfumato("evaluate", patients, other, "--schema", schema, "--out", "judged")
    one_clear_line(outcome, "other.csv")


def test_a_target_that_is_not_there(sfumato: Sfumato, schema: Path, patients: Path) -> None:
    outcome = sfumato(
        "evaluate", patients, patients, "--schema", schema, "--target", "dead", "--out", "judged"
    )
    one_clear_line(outcome, "dead", "died")


def test_a_release_that_is_none(sfumato: Sfumato, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcome = sfumato("verify", tmp_path / "empty")
    assert (outcome.code, "SF001" in outcome.out) == (1, True), outcome
    one_clear_line(sfumato("verify", tmp_path / "nowhere"), "nowhere")
