"""`sample`, `assess` and what `anonymize` takes of other tools: files, names, one clear line."""

from __future__ import annotations

import json
from math import ceil
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from tests.cli.conftest import CANARIES
from tests.cli.test_bad_input import one_clear_line

from sfumato.cli.other_configurations import Ranges
from sfumato.cli.sampling import percent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Sfumato = Callable[..., Outcome]

# as ARX writes: exact ages and intervals mixed, a suppressed class, semicolons
CLASSES = [("F", "20-30", 20), ("M", "20-30", 13), ("F", "38.0", 10), ("*", "*", 3)]
CONFIG = {
    "id": "arx_test",
    "input": "arx.csv",
    "qids": ["sex", "age"],
    "deletion_percentage": 0.3,
    "num_experiments": 2,
}


@pytest.fixture
def arx(tmp_path: Path) -> Path:
    rows = [
        (sex, age, f"{place}.50", "never" if place % 3 else "")
        for sex, age, size in CLASSES
        for place in range(size)
    ]
    text = "sex;age;weight;smoking\n" + "".join(";".join(row) + "\n" for row in rows)
    (tmp_path / "arx.csv").write_text(text)
    return tmp_path / "arx.csv"


@pytest.fixture
def roles(tmp_path: Path) -> Path:
    path = tmp_path / "roles.toml"
    path.write_text(
        'rest = "other"\n[columns.sex]\nrole = "quasi-identifier"\n'
        '[columns.age]\nrole = "quasi-identifier"\n'
    )
    return path


def write_config(folder: Path, **changes: Any) -> Path:
    values = {**CONFIG, **changes}
    path = folder / "conf.json"
    path.write_text(json.dumps({name: one for name, one in values.items() if one is not None}))
    return path


def sizes(path: Path) -> dict[tuple[Any, ...], int]:
    table = pl.read_csv(path, infer_schema=False)
    return {(sex, age): size for sex, age, size in table.group_by("sex", "age").len().rows()}


def left(delete: float) -> dict[tuple[Any, ...], int]:
    return {(sex, age): size - ceil(round(delete * 100) * size / 100) for sex, age, size in CLASSES}


def test_a_file_of_anonify_gives_the_files_that_anonify_gives(
    sfumato: Sfumato, arx: Path, tmp_path: Path
) -> None:
    # from another working folder: the input is looked for beside the file
    (tmp_path / "elsewhere").mkdir()
    moved = arx.rename(tmp_path / "elsewhere" / "arx.csv")
    outcome = sfumato("sample", write_config(moved.parent), "--out", "out", "--json")
    assert outcome.code == 0, outcome.err
    names = sorted(path.name for path in (tmp_path / "out").glob("*.csv"))
    assert names == ["arx_test_sampled_p30_t0.csv", "arx_test_sampled_p30_t1.csv"]
    first, second = (tmp_path / "out" / name for name in names)
    assert sizes(first) == sizes(second) == left(0.3)
    assert first.read_bytes() != second.read_bytes()
    # rows are handed on as they are written, in their order
    source = [line.replace(";", ",") for line in moved.read_text().splitlines()]
    lines = first.read_text().splitlines()
    assert lines[0] == source[0]
    places = [source.index(line) for line in lines]
    assert places == sorted(places)


def test_the_summary_says_what_became_of_the_classes(
    sfumato: Sfumato, arx: Path, tmp_path: Path
) -> None:
    outcome = sfumato("sample", write_config(tmp_path), "--out", "out", "--json")
    written = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {**written, "folder": str(tmp_path / "out")} == outcome.json
    run = written["runs"][1]
    counts = run["counts"]
    after = left(0.3)
    assert run["file"] == "arx_test_sampled_p30_t1.csv"
    assert (counts["rows_before"], counts["rows_after"]) == (46, sum(after.values()))
    assert (counts["classes_before"], counts["classes_after"]) == (4, 4)
    assert (counts["smallest_before"], counts["smallest_after"]) == (3, 2)
    assert counts["smallest_before_without_suppressed"] == 10
    assert counts["smallest_after_without_suppressed"] == 7
    risk = run["risk_and_certainty"]
    average = sum(after[sex, age] / size for sex, age, size in CLASSES) / 46
    assert risk["with_suppressed"]["average_risk"] == pytest.approx(average)
    assert risk["with_suppressed"]["highest_risk"] == pytest.approx(1 / 3)
    assert risk["without_suppressed"]["highest_risk"] == pytest.approx(1 / 10)


def test_the_same_command_gives_the_same_bytes(
    sfumato: Sfumato, arx: Path, roles: Path, tmp_path: Path
) -> None:
    def draw(out: str, *words: object) -> bytes:
        given = ("sample", arx, "--schema", roles, "--delete", 0.29, "--out", out, *words)
        assert sfumato(*given).code == 0
        return (tmp_path / out / "arx_sampled_p29_t0.csv").read_bytes()

    assert draw("one") == draw("two") == draw("one")
    assert draw("three", "--seed", 1) != draw("one")
    assert sizes(tmp_path / "one" / "arx_sampled_p29_t0.csv") == left(0.29)


def test_small_classes_are_kept_or_dropped_as_said(
    sfumato: Sfumato, arx: Path, roles: Path, tmp_path: Path
) -> None:
    words = ("sample", arx, "--schema", roles, "--delete", 0.5, "--k", 8)
    for mode, expected in (
        ("report", [2 - 1, 5, 6, 10]),
        ("keep", [3, 8, 8, 10]),
        ("drop", [10]),
    ):
        assert sfumato(*words, "--keep-k", mode, "--out", mode).code == 0
        assert sorted(sizes(tmp_path / mode / "arx_sampled_p50_t0.csv").values()) == expected
    assert "3 classes are smaller than k = 8" in sfumato(*words, "--out", "again").out
    assert sfumato(*words, "--suppressed", "drop", "--out", "last").code == 0
    assert ("*", "*") not in sizes(tmp_path / "last" / "arx_sampled_p50_t0.csv")


def test_persons_are_sampled_whole_and_never_named(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    twice = pl.concat([pl.read_csv(patients)] * 2)
    twice.write_csv(patients)
    outcome = sfumato("sample", patients, "--schema", schema, "--delete", 0.25, "--out", "out")
    assert outcome.code == 0, outcome.err
    shown = outcome.out + outcome.err
    shown += "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert not [canary for canary in CANARIES if canary in shown]
    assert "name" not in pl.read_csv(tmp_path / "out" / "patients_sampled_p25_t0.csv").columns
    counts = json.loads((tmp_path / "out" / "summary.json").read_text())["runs"][0]["counts"]
    assert counts["counts_persons"]
    assert counts["smallest_before"] < 400 / 24 * 2  # counted in persons, not in their rows


@pytest.mark.parametrize(
    ("share", "written"),
    [
        (0.3, "30"),
        (0.29, "29"),
        (0.07, "7"),
        (0.125, "12.5"),
        (1.0, "100"),
        (0.0, "0"),
        (1e-4, "0.01"),
    ],
)
def test_a_share_in_percent(share: float, written: str) -> None:
    assert percent(share) == written


def test_the_older_name_of_the_share(sfumato: Sfumato, arx: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, deletion_percentage=None, sampling_percentage=0.29)
    assert sfumato("sample", config, "--out", "out").code == 0
    assert (tmp_path / "out" / "arx_test_sampled_p29_t1.csv").exists()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"id": None}, "'id' is required"),
        ({"id": 3}, "id"),
        ({"id": "a/b"}, "file names"),
        ({"input": None}, "'input' is required"),
        ({"input": ["arx.csv"]}, "input"),
        ({"input": "nobody.csv"}, "no such file"),
        ({"qids": None}, "'qids' is required"),
        ({"qids": "sex"}, "list"),
        ({"qids": []}, "qids"),
        ({"qids": [1]}, "qids"),
        ({"qids": ["sex", "sex"]}, "twice"),
        ({"qids": ["sex", "agee"]}, "Did you mean 'age'"),
        ({"deletion_percentage": None}, "'deletion_percentage' is required"),
        ({"deletion_percentage": "0.3"}, "number"),
        ({"deletion_percentage": True}, "number"),
        ({"deletion_percentage": 1.2}, "less than or equal to 1"),
        ({"deletion_percentage": -0.1}, "greater than or equal to 0"),
        ({"deletion_percentage": 1}, "leaves no row"),
        ({"sampling_percentage": 0.3}, "same"),
        ({"num_experiments": None}, "'num_experiments' is required"),
        ({"num_experiments": 0}, "greater than or equal to 1"),
        ({"num_experiments": 1.5}, "integer"),
        ({"num_experiment": 2}, "Did you mean 'num_experiments'"),
    ],
)
def test_a_wrong_file_gives_one_clear_line(
    changes: dict[str, Any], word: str, sfumato: Sfumato, arx: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, **changes)
    before = set(tmp_path.iterdir())
    one_clear_line(sfumato("sample", config, "--out", "out"), word)
    assert set(tmp_path.iterdir()) == before, "something half-written was left"


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"{", "not JSON"), (b"[]", "object"), (b"\xff\xfe{}", "UTF-8"), (b"", "not JSON")],
)
def test_a_file_that_is_no_configuration(
    content: bytes, word: str, sfumato: Sfumato, tmp_path: Path
) -> None:
    (tmp_path / "conf.json").write_bytes(content)
    one_clear_line(sfumato("sample", "conf.json"), "conf.json", word)
    one_clear_line(sfumato("anonymize", "conf.json"), "conf.json", word)


def test_options_that_contradict_a_file_or_are_lacking(
    sfumato: Sfumato, arx: Path, roles: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path)
    one_clear_line(sfumato("sample", "nobody.json"), "no such file")
    one_clear_line(sfumato("sample", config, "--delete", 0.3), "--delete")
    one_clear_line(sfumato("sample", config, "--schema", roles), "--schema")
    one_clear_line(sfumato("sample", arx, "--delete", 0.3), "--schema")
    one_clear_line(sfumato("sample", arx, "--schema", roles), "--delete")
    words = ("sample", arx, "--schema", roles, "--delete")
    one_clear_line(sfumato(*words, 1.5), "delete", "1")
    one_clear_line(sfumato(*words, 0.3, "--keep-k", "keep"), "needs k")
    one_clear_line(sfumato(*words, 0.3, "--keep-k", "some", "--k", 5), "keep_k")
    (tmp_path / "sampled").mkdir()
    (tmp_path / "sampled" / "mine.txt").write_text("not to be touched")
    one_clear_line(sfumato(*words, 0.3), "not written by sfumato")


# -- anonymize: k-AnonML's ranges, Anonify's older file, criteria --------------------------------


def test_ranges_make_a_release_for_each_combination(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    outcome = sfumato(
        "anonymize", patients, "--schema", schema, "--start-k", 5, "--stop-k", 15, "--step-k", 10,
        "--start-s", 3, "--out", "out", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    rows = {row["folder"]: row for row in outcome.json["releases"]}
    assert list(rows) == ["k5_s3", "k15_s3"]
    for name, row in rows.items():
        released = pl.read_csv(tmp_path / "out" / name / "data.csv")
        counted = released.group_by("age", "sex").len()["len"]
        assert (row["classes"], row["smallest_class"]) == (len(counted), counted.min())
        assert row["smallest_class"] >= row["k"]
        assert row["suppressed"] == 0
        steps = json.loads((tmp_path / "out" / name / "certificate.json").read_text())["steps"]
        assert steps[0]["settings"]["suppression_limit"] == 0.03
    assert 0 == rows["k5_s3"]["ncp"] < rows["k15_s3"]["ncp"] < 1


def test_every_k_meets_every_suppression() -> None:
    ranges = Ranges.of(2, 8, 3, 0, 10, 5)
    found = [(name, k, s) for name, k, s in ranges.combinations(None)]
    assert found == [(f"k{k}_s{s}", k, s) for k in (2, 5, 8) for s in (0, 5, 10)]
    assert list(Ranges.of(None, 3, None, None, None, None).combinations(None)) == [
        ("k2", 2, None),
        ("k3", 3, None),
    ]
    assert list(Ranges.of(None, None, None, None, 4, None).combinations(7)) == [
        ("k7_s3", 7, 3),
        ("k7_s4", 7, 4),
    ]
    assert Ranges.of(None, None, 50, None, None, None).k == (2, 52)
    assert not Ranges.of(None, None, None, None, None, None)


def test_a_combination_that_cannot_be_kept_is_told_and_the_others_are_made(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    (tmp_path / "rules.toml").write_text('suppressed = "drop"\n')
    outcome = sfumato(
        "anonymize", patients, "--schema", schema, "--technique", "rules", "--settings",
        "rules.toml", "--start-k", 3, "--stop-k", 300, "--step-k", 297, "--out", "out", "--json",
    )  # fmt: skip
    assert outcome.code == 1, outcome.err
    made, refused = outcome.json["releases"]
    assert made["made"]
    assert not refused["made"]
    assert "k = 300" in refused["because"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["k3"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--start-k", 1), "at least 2"),
        (("--start-k", 5, "--stop-k", 4), "below 5"),
        (("--start-k", 101), "below 101"),
        (("--stop-k", 4, "--step-k", 0), "--step-k must be at least 1"),
        (("--k", 5, "--start-s", -1), "at least 0"),
        (("--k", 5, "--stop-s", 2), "below 3"),
        (("--k", 5, "--stop-s", 101), "at most 100"),
        (("--k", 5, "--stop-k", 7), "twice"),
        (("--stop-s", 7, "--suppression-limit", 0.1), "twice"),
        (("--k", 5, "--metric", "gweight"), "metric"),
        (("--k", 5, "--criterion", "l-diversity:column=diagnosis"), "'l' is required"),
        (("--k", 5, "--criterion", "m-diversity:column=diagnosis"), "m-diversity"),
        (("--k", 5, "--criterion", "nonsense=3"), "criterion"),
        (("--technique", "clean", "--criterion", "k-anonymity:k=3"), "no criteria"),
        (("--technique", "copula", "--start-k", 3, "--stop-k", 3), "copula"),
    ],
)
def test_a_wrong_range_or_criterion_gives_one_clear_line(
    words: tuple[object, ...], said: str, sfumato: Sfumato, schema: Path, patients: Path
) -> None:
    one_clear_line(sfumato("anonymize", patients, "--schema", schema, *words), said)


def test_a_schema_is_needed_for_a_table(sfumato: Sfumato, patients: Path) -> None:
    one_clear_line(sfumato("anonymize", patients, "--k", 5), "--schema")


ANONYMIZATION = {
    "dataset": "small",
    "algo_conf": {"k": [3, 6], "algo": ["mondrian"]},
    "dataset_conf": {"batch_size": [0], "attrs": [[]]},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Folders as Anonify's older front end wants them."""
    data = tmp_path / "project" / "datasets" / "small"
    trees = tmp_path / "project" / "generalization" / "hierarchies" / "small"
    data.mkdir(parents=True)
    trees.mkdir(parents=True)
    rows = "".join(f"{n};{20 + n % 6};{'fm'[n % 2]};{n % 3}\n" for n in range(60))
    (data / "small.csv").write_text(f"ID;age;sex;ill\n{rows}")
    ages = "".join(f"{n};{'20-22' if n < 23 else '23-25'};*\n" for n in range(20, 26))
    (trees / "small_hierarchy_age.csv").write_text(ages)
    (trees / "small_hierarchy_sex.csv").write_text("f;*\nm;*\n")
    (tmp_path / "project" / "conf.json").write_text(json.dumps(ANONYMIZATION))
    return tmp_path / "project"


def test_a_file_of_anonify_makes_every_algorithm_with_every_k(
    sfumato: Sfumato, project: Path, tmp_path: Path
) -> None:
    outcome = sfumato("anonymize", project / "conf.json", "--out", "out", "--json")
    assert outcome.code == 0, outcome.err
    rows = outcome.json["releases"]
    assert [row["folder"] for row in rows] == ["mondrian_k3", "mondrian_k6"]
    for row in rows:
        assert row["smallest_class"] >= row["k"]
        columns = pl.read_csv(tmp_path / "out" / row["folder"] / "data.csv").columns
        assert columns == ["age", "sex", "ill"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"dataset": None}, "'dataset' is required"),
        ({"dataset": "other"}, "no such file"),
        ({"algo_conf": None}, "'algo_conf' is required"),
        ({"algo_conf": {"k": [1], "algo": "oka"}}, "greater than or equal to 2"),
        ({"algo_conf": {"k": "5", "algo": "mondrian"}}, "integer"),
        ({"algo_conf": {"k": 5, "algo": "mondrain"}}, "Did you mean 'mondrian'"),
        ({"dataset_conf": {"batch_size": [100], "attrs": [[]]}}, "batch_size"),
        ({"dataset_conf": {"batch_size": [0], "attrs": [["age"]]}}, "attrs"),
        ({"qids": ["aeg"]}, "Did you mean 'age'"),
        ({"qids": ["ill"]}, "small_hierarchy_ill.csv"),
        ({"hierarchies": "nowhere"}, "no quasi-identifier is known"),
        ({"input": "nobody.csv"}, "nobody.csv"),
        ({"seed": 3}, "unknown setting 'seed'"),
    ],
)
def test_a_wrong_anonymization_file_gives_one_clear_line(
    changes: dict[str, Any], word: str, sfumato: Sfumato, project: Path
) -> None:
    values = {**ANONYMIZATION, **changes}
    given = {name: one for name, one in values.items() if one is not None}
    (project / "conf.json").write_text(json.dumps(given))
    one_clear_line(sfumato("anonymize", project / "conf.json", "--out", "out"), word)


def test_an_anonymization_file_says_it_all(sfumato: Sfumato, project: Path) -> None:
    one_clear_line(sfumato("anonymize", project / "conf.json", "--k", 5), "--k")
    one_clear_line(sfumato("anonymize", project / "conf.json", "--stop-k", 5), "ranges")


# -- assess --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_assessment_ends_with_a_report(
    sfumato: Sfumato, schema: Path, patients: Path, tmp_path: Path
) -> None:
    assert sfumato("anonymize", patients, "--schema", schema, "--k", 20, "--out", "one").code == 0
    (tmp_path / "study.toml").write_text('classifiers = ["naive-bayes", "decision-tree"]\n')
    words = (
        "assess", patients, "one/data.csv", "--schema", schema, "--delete", 0.5, "--runs", 2,
        "--settings", "study.toml",
    )  # fmt: skip
    outcome = sfumato(*words, "--out", "judged", "--json")
    assert outcome.code == 0, outcome.err
    found = outcome.json
    assert found == json.loads((tmp_path / "judged" / "anonify.json").read_text())
    assert list(found["risk_and_certainty"]) == ["anonymized", "50 % deleted"]
    scores = {(s["version"], s["classifier"], s["convention"]): s for s in found["classifiers"]}
    assert len(scores) == 3 * 2 * 2
    assert scores["50 % deleted", "decision-tree", "honest"]["runs"] == 2
    tested = {s["rows_test"] for key, s in scores.items() if key[2] == "honest"}
    assert tested == {100}
    report = (tmp_path / "judged" / "report.html").read_text()
    for word in ("Risk and certainty", "decision-tree", "50 % deleted", "As published", "Honest"):
        assert word in report
    assert "http" not in report.replace("http://www.w3.org", "").replace('http-equiv="', "")
    assert "<script" not in report
    shown = outcome.out + outcome.err + report
    assert not [canary for canary in CANARIES if canary in shown]
    again = sfumato(*words, "--out", "again", "--json")
    for name in set(found) - {"risk_and_certainty"}:
        assert again.json[name] == found[name]
    for version, risk in found["risk_and_certainty"].items():
        same = again.json["risk_and_certainty"][version]["with_suppressed"]
        assert same == pytest.approx(risk["with_suppressed"], rel=1e-12)
    assert (tmp_path / "again" / "report.html").read_text() == report


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "dead"), "dead"),
        (("--delete", 1.5), "delete"),
        (("--set", "bins={age=[3,2]}"), "bins.age"),
        (("--set", "bins={aeg=[2,3]}"), "Did you mean 'age'"),
        (("--set", 'classifiers=["svn"]'), "svm"),
        (("--set", "depth=3"), "unknown setting"),
    ],
)
def test_a_wrong_assessment_gives_one_clear_line(
    words: tuple[object, ...], said: str, sfumato: Sfumato, schema: Path, patients: Path
) -> None:
    given = ("assess", patients, patients, "--schema", schema, "--runs", 1, *words)
    one_clear_line(sfumato(*given), said)
