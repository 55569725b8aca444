"""Promises of every kind in files and release folders: what is said, and what is never shown."""

import json
import subprocess
import sys

import polars as pl
import pytest

from sfumato.anonymization import Rules
from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.release import anonymize, verify
from sfumato.release.folders import sha256
from sfumato.release.recounts import KINDS, checked_promise, criterion_of_text
from sfumato.release.verification import Verification
from sfumato.table import Hierarchy, Schema

SCHEMA = Schema(quasi_identifiers=["age", "sex"], sensitive=["disease"])

# One of every kind, kept by the file of `classes_of` and, with the other settings, broken by it.
KEPT_AND_BROKEN = [
    ({"kind": "k-anonymity", "k": 4}, {"k": 5}),
    ({"kind": "k-map", "k": 8}, {"k": 9}),
    (
        {"kind": "k-map", "k": 4, "estimate": "poisson", "population_size": 80},
        {"k": 40},
    ),
    ({"kind": "l-diversity", "column": "disease", "l": 2}, {"l": 3}),
    ({"kind": "l-diversity", "column": "disease", "l": 1.9, "variant": "entropy"}, {"l": 2.1}),
    (
        {"kind": "l-diversity", "column": "disease", "l": 2, "variant": "recursive", "c": 1.5},
        {"c": 0.9},
    ),
    ({"kind": "t-closeness", "column": "disease", "t": 0.3}, {"t": 0.1}),
    ({"kind": "t-closeness", "column": "disease", "t": 0.3, "distance": "ordered"}, {"t": 0.05}),
    ({"kind": "delta-disclosure", "column": "disease", "delta": 2}, {"delta": 0.1}),
    ({"kind": "beta-likeness", "column": "disease", "beta": 2}, {"beta": 0.1}),
    ({"kind": "alpha-k-anonymity", "column": "disease", "k": 4, "alpha": 0.5}, {"alpha": 0.4}),
    ({"kind": "delta-presence", "delta_min": 0, "delta_max": 0.5}, {"delta_max": 0.4}),
    ({"kind": "highest-risk", "limit": 0.25}, {"limit": 0.2}),
    ({"kind": "average-risk", "limit": 0.25}, {"limit": 0.2}),
    (
        {"kind": "strict-average-risk", "average": 0.25, "highest": 0.25},
        {"highest": 0.2},
    ),
    ({"kind": "sample-uniqueness", "share": 0}, None),
    (
        {"kind": "population-uniqueness", "share": 0, "population_size": 100},
        None,
    ),
    ({"kind": "cost-benefit", "publisher_benefit": 100}, {"publisher_benefit": 10}),
    (
        {"kind": "cost-benefit", "attacker": "journalist", "no_attack": True, "adversary_cost": 40},
        {"adversary_cost": 30},
    ),
    ({"kind": "differential-privacy", "epsilon": 1, "delta": 0.3}, {"delta": 1e-6}),
]
CANARIES = ["canary-one", "canary-two", "canary-three"]


def classes_of(tmp_path):
    """Write four classes of four as another program would, and a register of twice as many."""
    ages = ["10-20", "20-30", "30-40", ">40"]
    pairs = [CANARIES[:2], CANARIES[1:], CANARIES[:2], CANARIES[1:]]
    rows = [
        f"{age};{sex};{disease}"
        for age, sex, pair in zip(ages, ["f", "", "canary-sex", "m"], pairs, strict=True)
        for disease in pair * 2
    ]
    (tmp_path / "theirs.csv").write_text("\n".join(["age;sex;disease", *rows]) + "\n")
    (tmp_path / "register.csv").write_text("\n".join(["age;sex;disease", *rows, *rows]) + "\n")
    return tmp_path / "theirs.csv"


@pytest.mark.parametrize(("kept", "change"), KEPT_AND_BROKEN)
def test_every_kind_has_a_kept_and_a_broken_example(tmp_path, kept, change):
    file = classes_of(tmp_path)
    schema = SCHEMA
    if kept["kind"] == "differential-privacy":
        cells = pl.read_csv(file, separator=";", infer_schema=False).drop("disease")
        cells.write_csv(file, separator=";")
        schema = Schema(quasi_identifiers=["age", "sex"])
    code = KINDS[kept["kind"]].code
    found = verify(file, schema, [kept], population=tmp_path / "register.csv")
    assert (found[code].status, found["SF012"].status, found.passed) == ("passed", "passed", True)
    if change is None:
        # No class of four is ever alone; one of one is.
        file.write_text(file.read_text() + "99;m;canary-one\n")
        broken = verify(file, schema, [kept], population=tmp_path / "register.csv")
    else:
        broken = verify(file, schema, [kept | change], population=tmp_path / "register.csv")
    assert (broken[code].status, broken.passed) == ("failed", False)
    for result in (found, broken):
        assert "canary" not in str(result.to_dict())
        assert Verification.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_no_kind_is_forgotten():
    assert {kept["kind"] for kept, _ in KEPT_AND_BROKEN} == set(KINDS)


def test_no_cell_is_shown_where_nothing_can_be_counted(tmp_path):
    file = classes_of(tmp_path)
    column = {"column": "disease", "t": 0.2, "distance": "hierarchical"}
    asked = [
        {"kind": "t-closeness", "hierarchy": {"lines": [["ill", "*"]]}, **column},
        {"kind": "t-closeness", "hierarchy": {"nonsense": True}, **column},
        {"kind": "k-map", "k": 2, "population": str(tmp_path / "nowhere.csv")},
        {"kind": "l-diversity", "column": "disease"},
        {"kind": "of-the-future"},
    ]
    found = verify(file, SCHEMA, asked)
    assert [one.status for one in found.criteria] == ["not run"] * 5
    assert not found.passed
    assert "canary" not in str(found.to_dict())
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_is_beyond_every_number_is_none(tmp_path):
    (tmp_path / "t.csv").write_text("age,sex,disease\n1,f,ill\n1,f,ill\n")
    promise = {"kind": "l-diversity", "column": "disease", "l": 2, "variant": "recursive", "c": 3}
    found = verify(tmp_path / "t.csv", SCHEMA, [promise])
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.criteria[0].without_suppressed.worst is None


def test_several_promises_of_a_family_have_one_finding(tmp_path):
    file = classes_of(tmp_path)
    asked = [
        {"kind": "highest-risk", "limit": 0.25},
        {"kind": "average-risk", "limit": 0.1},
        {"kind": "highest-risk", "limit": 1},
    ]
    found = verify(file, SCHEMA, asked)
    assert [one.status for one in found.criteria] == ["passed", "failed", "passed"]
    assert found["SF022"].status == "failed"
    assert found["SF022"].explanation.count("risk") >= 3


def test_a_population_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        verify(classes_of(tmp_path), SCHEMA, [], population=tmp_path / "absent.csv")


def test_a_column_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SchemaError, match="Did you mean 'disease'"):
        verify(
            classes_of(tmp_path), SCHEMA, [{"kind": "l-diversity", "column": "diseases", "l": 2}]
        )


# -- the settings of a promise ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "l-diversty"}, "Did you mean 'l-diversity'"),
        ({"kind": "l-diversity", "colum": "a", "l": 3}, "Did you mean 'column'"),
        ({"kind": "l-diversity", "l": 3}, "lacks its column"),
        ({"kind": "l-diversity", "column": "a", "l": 2.5}, "whole number"),
        ({"kind": "l-diversity", "column": "a", "l": True}, "at least 1"),
        ({"kind": "l-diversity", "column": "a", "l": 2, "variant": "recursive"}, "needs c"),
        ({"kind": "l-diversity", "column": "a", "l": 2, "variant": "best"}, "one of distinct"),
        ({"kind": "t-closeness", "column": "a", "t": 1.5}, "from 0 to 1"),
        ({"kind": "t-closeness", "column": "a", "t": float("nan")}, "from 0 to 1"),
        ({"kind": "beta-likeness", "column": "a", "beta": 0}, "above 0"),
        ({"kind": "beta-likeness", "column": "a", "beta": 1, "enhanced": "yes"}, "true or false"),
        ({"kind": "alpha-k-anonymity", "column": "a", "k": 2, "alpha": 1, "values": "x"}, "a list"),
        ({"kind": "delta-presence", "delta_min": 0.5, "delta_max": 0.1}, "above delta_max"),
        ({"kind": "k-map", "k": 5, "estimate": "poisson"}, "population_size"),
        ({"kind": "differential-privacy", "epsilon": 1, "delta": 1}, "below 1"),
        ({"kind": "k-anonymity", "k": 1}, "at least 2"),
    ],
)
def test_what_is_wrong_with_a_promise_is_said(values, said):
    with pytest.raises(PlanError, match=said):
        checked_promise(values)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("k-anonymity:k=5", {"kind": "k-anonymity", "k": 5}),
        (
            "l-diversity: column = occupation , l = 3",
            {"kind": "l-diversity", "column": "occupation", "l": 3},
        ),
        (
            'alpha-k-anonymity:column="a, b",values=["x,y", "z"],alpha=0.5',
            {"kind": "alpha-k-anonymity", "column": "a, b", "values": ["x,y", "z"], "alpha": 0.5},
        ),
        (
            "beta-likeness:column=a=b,beta=1.5,enhanced=true",
            {"kind": "beta-likeness", "column": "a=b", "beta": 1.5, "enhanced": True},
        ),
        ('{"kind": "k-anonymity", "k": 5}', {"kind": "k-anonymity", "k": 5}),
        ('{ kind = "k-anonymity", k = 5 }', {"kind": "k-anonymity", "k": 5}),
        ('kind = "k-anonymity"\nk = 5', {"kind": "k-anonymity", "k": 5}),
        (
            "t-closeness:column=a,t=0.2,distance=hierarchical,hierarchy={intervals = [1, 2]}",
            {
                "kind": "t-closeness",
                "column": "a",
                "t": 0.2,
                "distance": "hierarchical",
                "hierarchy": {"intervals": [1, 2]},
            },
        ),
    ],
)
def test_a_promise_may_be_spelt_in_many_ways(text, values):
    assert criterion_of_text(text) == values


@pytest.mark.parametrize("text", ["", ":k=5", "k-anonymity:5", "{k = 5}", "k=5", "a:=3"])
def test_what_spells_no_promise_is_an_error(text):
    with pytest.raises(PlanError, match="such as l-diversity:"):
        criterion_of_text(text)


# -- release folders ---------------------------------------------------------------------------

OURS = Schema(
    identifiers=["patient"],
    quasi_identifiers={
        "age": Hierarchy.intervals([0, 20, 40, 60, 80, 100]),
        "sex": None,
        "region": None,
    },
    sensitive=["pressure", "died"],
)


@pytest.fixture
def folder(table, tmp_path):
    rules = Rules(columns={"age": {"generalize": 1}}, k=12)
    return anonymize(table, OURS, rules).save(tmp_path / "release")


def certified(folder, *promises, settings=None):
    """Certify other promises, as a release of a technique with criteria would."""
    path = folder / "certificate.json"
    content = json.loads(path.read_text())
    content["promises"] = [
        {
            "kind": one["kind"],
            "settings": {k: v for k, v in one.items() if k != "kind"},
            "sentence": "",
        }
        for one in promises
    ]
    if settings is not None:
        content["steps"][-1] |= {"technique": "of-somebody", "settings": settings}
    content["files"] = {name: sha256(folder / name) for name in content["files"]}
    path.write_text(json.dumps(content))


K12 = {"kind": "k-anonymity", "k": 12}
TWO = {"kind": "l-diversity", "column": "died", "l": 2}


def test_a_release_is_held_to_every_promise_with_its_suppressed_rows(folder):
    certified(folder, K12, {"kind": "l-diversity", "column": "died", "l": 1})
    found = verify(folder)
    assert found.passed
    assert (found["SF014"].status, found["SF014"].blocking) == ("passed", True)
    data = pl.read_csv(folder / "data.csv", infer_schema=False)
    starred = pl.col("region") == "*"
    assert 0 < data.filter(starred).height < 100
    # All the suppressed people survived: only the class of the suppressed rows gives it away.
    half = (pl.int_range(pl.len()).over("age", "sex", "region") % 2).cast(pl.String)
    died = pl.when(starred).then(pl.lit("0")).otherwise(half).alias("died")
    data.with_columns(died).write_csv(folder / "data.csv")
    certified(folder, K12, {"kind": "alpha-k-anonymity", "k": 12, "column": "died", "alpha": 0.99})
    found = verify(folder)
    assert (found["SF020"].status, found["SF014"].status, found.passed) == (
        "passed",
        "failed",
        False,
    )


def test_what_it_was_made_with_must_be_promised_whatever_made_it(folder):
    made_with = {"k": 12, "criteria": [TWO]}
    certified(folder, K12, settings=made_with)
    assert verify(folder)["SF012"].status == "failed"
    assert "l-diversity" in verify(folder)["SF012"].explanation
    certified(folder, TWO, settings=made_with)
    assert "k = 12" in verify(folder)["SF012"].explanation
    certified(folder, K12, {**TWO, "variant": "distinct", "c": None}, settings=made_with)
    assert verify(folder)["SF012"].status == "passed"
    certified(folder, K12, {**TWO, "l": 1}, settings=made_with)
    assert verify(folder)["SF012"].status == "failed"


def test_criteria_that_are_no_criteria_are_never_a_pass(folder):
    certified(folder, K12, settings={"k": 12, "criteria": ["something"]})
    assert not verify(folder).passed


def test_a_population_may_lie_beside_the_certificate(folder):
    data = pl.read_csv(folder / "data.csv", infer_schema=False)
    data.write_csv(folder / "people.csv")
    certified(folder, K12, {"kind": "k-map", "k": 12, "population": "people.csv"})
    assert verify(folder)["SF015"].status == "passed"
    (folder / "people.csv").write_bytes(b"\x1f\x8bnot gzip")
    found = verify(folder)
    assert (found["SF015"].status, found.passed) == ("not run", False)


def test_to_verify_a_file_nothing_is_loaded_that_makes_or_promises(tmp_path):
    file = classes_of(tmp_path)
    SCHEMA.write(tmp_path / "schema.toml")
    program = (
        "import sys; from sfumato.release import verify; "
        "found = verify(sys.argv[1], sys.argv[2], [{'kind': 'k-anonymity', 'k': 4}, "
        "{'kind': 't-closeness', 'column': 'disease', 't': 0.3}]); assert found.passed; "
        "print([name for name in sys.modules if name.startswith("
        "('sfumato.privacy', 'sfumato.anonymization', 'sfumato.synthesis'))])"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program, str(file), str(tmp_path / "schema.toml")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert outcome.stdout.strip() == "[]"


# -- the command -----------------------------------------------------------------------------------


def command(capsys, *words):
    from sfumato.cli.edge import guarded

    code = guarded(["verify", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command_checks_criteria(tmp_path, capsys):
    file = classes_of(tmp_path)
    SCHEMA.write(tmp_path / "schema.toml")
    asked = ["--schema", tmp_path / "schema.toml", "--criterion", "l-diversity:column=disease,l=2"]
    code, out, _ = command(capsys, file, *asked, "--k", 4, "--json")
    values = json.loads(out)
    assert (code, values["passed"]) == (0, True)
    assert [one["promise"]["kind"] for one in values["criteria"]] == ["k-anonymity", "l-diversity"]
    diversity = values["criteria"][1]["without_suppressed"]
    assert (diversity["worst"], diversity["limit"], diversity["classes"]) == (2, 2, 4)
    assert (diversity["rows"], diversity["failing_classes"], diversity["failing_rows"]) == (
        16,
        0,
        0,
    )
    code, out, _ = command(capsys, file, *asked, "--criterion", "highest-risk:limit=0.2")
    assert code == 1
    assert "✗ SF022" in out
    assert "✓ SF016" in out
    assert "SF017" not in out  # nobody promised it
    register = ["--population", tmp_path / "register.csv", "--criterion", "k-map:k=8"]
    assert command(capsys, file, *asked, *register)[0] == 0
    assert command(capsys, file, *asked, *register[2:])[0] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("l-diversty:l=2", "Did you mean 'l-diversity'"),
        ("l-diversity:column=disease", "lacks its l"),
        ("l-diversity:column=illness,l=2", "has no column 'illness'"),
        ("nonsense", "no recount exists"),
    ],
)
def test_the_command_refuses_what_is_misspelt(tmp_path, capsys, text, said):
    file = classes_of(tmp_path)
    SCHEMA.write(tmp_path / "schema.toml")
    code, out, err = command(
        capsys, file, "--schema", tmp_path / "schema.toml", "--criterion", text
    )
    assert (code, out) == (2, "")
    assert said in err
