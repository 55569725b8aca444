"""The recount catches what is planted, and counts as a person with a pencil would."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.anonymization import Clean, Rules
from sfumato.errors import DataError, GuaranteeNotMet, SchemaError
from sfumato.privacy import KAnonymity
from sfumato.release import anonymize, verify
from sfumato.release.recount import CODES
from sfumato.release.verification import Verification
from sfumato.table import Hierarchy, Schema

SCHEMA = Schema(
    identifiers=["patient"],
    quasi_identifiers={
        "age": Hierarchy.intervals([0, 20, 40, 60, 80, 100]),
        "sex": None,
        "region": None,
    },
    sensitive=["pressure", "died"],
)
RULES = Rules(columns={"age": {"generalize": 1}}, k=12)


@pytest.fixture
def folder(table, tmp_path) -> Path:
    release = anonymize(table, SCHEMA, RULES)
    assert 0 < release.certificate.rows_suppressed < 100
    return release.save(tmp_path / "release")


def status(verification, *codes):
    return [verification[code].status for code in codes]


def recertify(folder, **changes):
    """Change the certificate as a forger would who also mends the hashes."""
    from sfumato.release.folders import sha256

    path = folder / "certificate.json"
    content = json.loads(path.read_text())
    content.update(changes)
    content["files"] = {name: sha256(folder / name) for name in content["files"]}
    path.write_text(json.dumps(content))


def edit(folder, change):
    lines = (folder / "data.csv").read_text().splitlines()
    (folder / "data.csv").write_text("\n".join(change(lines)) + "\n")


def test_a_release_as_it_was_written_passes(folder):
    found = verify(folder)
    assert found.passed
    assert all(one.status in ("passed", "not applicable") for one in found.findings)
    assert [one.code for one in found.findings] == list(CODES)
    found.demand()


def test_a_single_changed_byte_is_found(folder):
    edit(folder, lambda lines: [*lines[:-1], lines[-1][:-1] + "9"])
    found = verify(folder)
    assert found["SF002"].status == "failed"
    assert "data.csv" in found["SF002"].explanation
    with pytest.raises(GuaranteeNotMet, match="SF002"):
        found.demand()


def test_a_removed_row_is_found(folder):
    edit(folder, lambda lines: lines[:-1])
    recertify(folder)
    assert status(verify(folder), "SF002", "SF003") == ["passed", "failed"]


def test_a_class_below_k_is_found_even_if_the_hashes_are_mended(folder):
    def lonely(lines):
        row = next(n for n, line in enumerate(lines[1:], 1) if "*" not in line)
        cells = lines[row].split(",")
        position = lines[0].split(",").index("region")
        cells[position] = "nowhere else"
        return [*lines[:row], ",".join(cells), *lines[row + 1 :]]

    edit(folder, lonely)
    recertify(folder)
    found = verify(folder)
    assert found.smallest_class == 1
    assert status(found, "SF002", "SF009", "SF010", "SF011") == [
        "passed",
        "passed",
        "failed",
        "failed",
    ]


def test_a_row_that_lost_one_star_is_found(folder):
    def unstarred(lines):
        row = next(n for n, line in enumerate(lines) if "*,*,*" in line)
        return [*lines[:row], lines[row].replace("*,*,*", '"[20, 40)",*,*'), *lines[row + 1 :]]

    edit(folder, unstarred)
    recertify(folder)
    found = verify(folder)
    assert status(found, "SF009", "SF010") == ["failed", "failed"]


def test_a_column_that_slipped_in_is_found(folder):
    edit(folder, lambda lines: [lines[0] + ",ward", *[line + ",a" for line in lines[1:]]])
    recertify(folder)
    found = verify(folder)
    assert status(found, "SF004", "SF005") == ["failed", "passed"]
    assert "ward" in found["SF004"].explanation


def test_a_column_that_is_gone_is_found(folder):
    position = (folder / "data.csv").read_text().split("\n")[0].split(",").index("died")
    assert position == 4
    edit(folder, lambda lines: [line.rsplit(",", 1)[0] for line in lines])
    recertify(folder)
    assert verify(folder)["SF005"].status == "failed"


def test_an_identifier_in_the_file_is_found(folder):
    edit(folder, lambda lines: [lines[0] + ",patient", *[line + ",p" for line in lines[1:]]])
    recertify(folder)
    with_source_schema = verify(folder, SCHEMA)
    assert with_source_schema["SF006"].status == "failed"
    assert not with_source_schema.passed


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("ann.lee@example.org", True),
        ("call ann at x@y.example.com today", True),
        ("see www.example.org/ann", True),
        ("192.168.10.7", True),
        ("123-45-6789", True),
        ("+44 20 7946 0958", True),
        ("1999-12-31", False),
        ("120/80", False),
        ("[20, 40)", False),
        ("12.5.3", False),
        ("ann at home", False),
    ],
)
def test_cells_that_name_somebody_are_found_and_not_shown(cell, found):
    result = verify(pl.DataFrame({"note": ["fine", cell]}))
    assert result["SF007"].status == ("failed" if found else "passed")
    assert cell not in str(result.to_dict())


def test_a_record_number_is_advice():
    found = verify(pl.DataFrame({"n": [1, 2, 3], "x": [1, 1, 2]}))
    assert found["SF008"].status == "failed"
    assert "n" in found["SF008"].explanation
    assert found.passed


def test_a_folder_that_is_not_whole_runs_nothing(folder, tmp_path):
    (folder / "certificate.json").write_text("{}")
    found = verify(folder)
    assert found["SF001"].status == "failed"
    assert {one.status for one in found.findings[1:]} == {"not run"}
    assert not found.passed
    (folder / "certificate.json").unlink()
    assert not verify(folder).passed
    (tmp_path / "empty").mkdir()
    assert not verify(tmp_path / "empty").passed


def test_a_promise_of_an_unknown_kind_is_never_a_pass(folder):
    promises = [{"kind": "p-sensitivity", "settings": {"p": 2}, "sentence": "..."}]
    recertify(folder, promises=promises)
    found = verify(folder)
    assert found["SF012"].status == "not run"
    assert not found.passed


def test_a_promise_that_was_taken_out_or_lowered_is_missed(folder):
    recertify(folder, promises=[])
    found = verify(folder)
    assert found["SF012"].status == "failed"
    assert not found.passed
    lower = {"kind": "k-anonymity", "settings": {"k": 2}, "sentence": "..."}
    recertify(folder, promises=[lower])
    assert verify(folder)["SF012"].status == "failed"


@pytest.mark.parametrize("settings", [{}, {"k": 1}, {"k": True}, {"k": "5"}, {"k": None}])
def test_a_promise_without_a_k_is_never_a_pass(folder, settings):
    promise = {"kind": "k-anonymity", "settings": settings, "sentence": "..."}
    recertify(folder, promises=[promise])
    found = verify(folder)
    assert found["SF012"].status == "not run"
    assert not found.passed
    assert not verify(pl.DataFrame({"age": [1, 1]}), SCHEMA, [{"k": 2}]).passed


def test_a_quasi_identifier_stays_one_under_another_schema(folder):
    edit(folder, lambda lines: [lines[0], lines[1].replace("South", "Moon"), *lines[2:]])
    blind = Schema(rest="other")
    assert verify(folder).smallest_class == verify(folder, blind).smallest_class
    schema = (folder / "schema.toml").read_text()
    (folder / "schema.toml").write_text(schema.replace("quasi-identifier", "other"))
    recertify(folder)
    found = verify(folder)
    assert (found["SF001"].status, found.passed) == ("failed", False)


def test_a_schema_that_nobody_certified_is_not_believed(folder):
    content = json.loads((folder / "certificate.json").read_text())
    del content["files"]["schema.toml"]
    (folder / "certificate.json").write_text(json.dumps(content))
    found = verify(folder)
    assert (found["SF001"].status, found.passed) == ("failed", False)


@pytest.mark.parametrize("name", ["source.csv", "data.parquet", "notes"])
def test_what_nobody_certified_is_found_in_the_folder(folder, name):
    (folder / name).write_text("who,what")
    found = verify(folder)
    assert found["SF002"].status == "failed"
    assert name in found["SF002"].explanation


# -- files of others ------------------------------------------------------------------------


def others(tmp_path, suppressed=3, k=5):
    rows = (
        [["20-30", "f", "x"]] * k + [["30-40", "", "y"]] * (k + 2) + [["*", "*", "z"]] * suppressed
    )
    lines = ["age;sex;disease", *[";".join(row) for row in rows]]
    path = tmp_path / "others.csv.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


OTHERS = Schema(quasi_identifiers=["age", "sex"], sensitive=["disease"])


def test_a_file_of_another_program_is_counted_with_and_without_suppressed_rows(tmp_path):
    found = verify(others(tmp_path), OTHERS, [KAnonymity(5)])
    assert (found.smallest_class, found.smallest_class_with_suppressed) == (5, 3)
    assert found.suppressed_rows == 3
    assert status(found, "SF010", "SF011") == ["passed", "failed"]
    assert found.passed  # SF011 is advice where others made the file
    assert not verify(others(tmp_path), OTHERS, [KAnonymity(6)]).passed
    assert verify(others(tmp_path), OTHERS, [{"kind": "k-anonymity", "k": 5}]).passed


def test_the_schema_may_be_a_file(tmp_path):
    OTHERS.write(tmp_path / "schema.toml")
    path = others(tmp_path)
    assert verify(path, tmp_path / "schema.toml", [KAnonymity(5)]) == verify(
        str(path), OTHERS, [KAnonymity(5)]
    )


def test_the_role_of_all_the_rest_is_a_role(tmp_path):
    table = pl.DataFrame(
        {"disease": ["x"] * 6, "age": ["1", "2"] * 3, "sex": ["f"] * 3 + ["m"] * 3}
    )
    schema = Schema(sensitive=["disease"], rest="quasi-identifier")
    assert verify(table, schema).smallest_class == 1
    assert status(verify(table, schema, [KAnonymity(3)]), "SF010") == ["failed"]
    hidden = verify(table, Schema(sensitive=["disease"], rest="identifier"))
    assert hidden["SF006"].explanation == "released: age, sex"


def test_a_file_without_quasi_identifiers_keeps_no_promise(tmp_path):
    schema = Schema(other=["age", "sex", "disease"])
    found = verify(others(tmp_path), schema, [KAnonymity(5)])
    assert (found["SF010"].status, found.passed) == ("not run", False)


def test_a_release_that_leaves_all_quasi_identifiers_out_is_one_class(table, tmp_path):
    rules = Rules(columns={name: {"suppress": True} for name in ("age", "sex", "region")}, k=12)
    release = anonymize(table, SCHEMA, rules)
    assert release.verify().passed
    assert verify(release.save(tmp_path / "release"))["SF010"].status == "passed"


def test_a_promise_without_a_schema_is_refused(tmp_path):
    with pytest.raises(SchemaError, match="names the quasi-identifiers"):
        verify(others(tmp_path), None, [KAnonymity(5)])


@pytest.mark.parametrize("content", [b"", b"a,b\n1\n1,2,3\n", b"\x1f\x8bno gzip"])
def test_a_file_that_is_no_table_is_one_clear_error(tmp_path, content):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.csv"):
        verify(path, OTHERS)
    with pytest.raises(DataError, match="there is no such file"):
        verify(tmp_path / "absent.csv", OTHERS)


def test_texts_of_any_encoding_are_counted_apart(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("age,sex\n1,é\n1,é\n1,è\n".encode("latin-1"))
    assert verify(path, Schema(quasi_identifiers=["age", "sex"])).smallest_class == 1


def test_persons_are_counted_where_the_file_has_them():
    table = pl.DataFrame({"who": ["a"] * 6 + ["b"] * 6, "sex": ["f"] * 12})
    schema = Schema(quasi_identifiers=["sex"], other=["who"], person="who")
    found = verify(table, schema, [KAnonymity(3)])
    assert found.smallest_class == 2
    assert status(found, "SF010", "SF013") == ["failed", "passed"]


def test_several_rows_of_a_person_without_the_column_are_told(table, tmp_path):
    twice = pl.concat([table, table])
    schema = Schema.from_dict({**SCHEMA.to_dict(), "person": "patient"})
    release = anonymize(twice, schema, RULES)
    found = verify(release.save(tmp_path / "release"))
    assert found["SF013"].status == "not run"
    assert found.passed


CELLS = st.sampled_from(["a", "b", "*", None])


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=30))
def test_the_smallest_class_is_what_a_counter_says(rows):
    table = pl.DataFrame(rows, schema={"x": pl.String, "y": pl.String}, orient="row")
    found = verify(table, Schema(quasi_identifiers=["x", "y"]))
    kept = Counter(row for row in rows if row != ("*", "*"))
    assert found.smallest_class_with_suppressed == min(Counter(rows).values())
    assert found.smallest_class == (min(kept.values()) if kept else None)
    assert found.suppressed_rows == rows.count(("*", "*"))


def test_frames_of_every_kind_give_the_same():
    table = pl.DataFrame({"age": [1, 1, 2], "sex": ["f", "f", None]})
    schema = Schema(quasi_identifiers=["age", "sex"])
    expected = verify(table, schema)
    assert expected.smallest_class == 1
    assert verify(pd.DataFrame({"age": [1, 1, 2], "sex": ["f", "f", None]}), schema) == expected
    assert verify(table.to_arrow(), schema) == expected


def test_findings_survive_a_file():
    found = verify(pl.DataFrame({"n": [1, 2]}))
    assert Verification.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    with pytest.raises(KeyError):
        found["SF999"]


def test_the_clean_baseline_promises_nothing_and_passes(table, tmp_path):
    found = verify(anonymize(table, SCHEMA, Clean()).save(tmp_path / "clean"))
    assert status(found, "SF010", "SF011", "SF012") == ["not applicable"] * 3
    assert found.passed


def test_every_code_has_a_section_in_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "findings.md").read_text()
    sections = [line[3:].strip() for line in text.splitlines() if line.startswith("## SF")]
    advice = {"SF008", "SF013", "SF026", "SF028"}
    assert sections == [
        f"{code} {title}{' (advice)' if code in advice else ''}" for code, title in CODES.items()
    ]


def test_the_recount_imports_neither_what_promises_nor_what_makes():
    """Nor does anything that it imports inside the room."""
    import ast

    home = Path(__file__).parents[2] / "src" / "sfumato" / "release"
    named = ("verification", "recount", "subject", "cells", "certificate", "folders")
    modules = [*(home / f"{name}.py" for name in named), *(home / "recounts").glob("*.py")]
    assert len(modules) > len(named) + 5
    for module in modules:
        tree = ast.parse(module.read_text())
        names = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (
                [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            )
        }
        for name in names:
            assert not str(name).startswith(("sfumato.privacy", "sfumato.anonymization"))
