"""The schema: roles said and never guessed, its TOML, its errors."""

from __future__ import annotations

import string
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfumato.errors import EngineError, HierarchyError, SchemaError
from sfumato.table import Column, Hierarchy, Role, Schema

TABLE = pl.DataFrame(
    {"PatientID": [1, 2], "age": [34, 71], "sex": ["f", "m"], "died": [0, 1], "note": ["", ""]}
)


def example() -> Schema:
    return Schema(
        identifiers=["PatientID"],
        quasi_identifiers={"age": Hierarchy.bands([5, 10]), "sex": None},
        sensitive=["died"],
        target="died",
        person="PatientID",
        missing=["", "NA"],
        types={"age": "integer", "note": "text"},
        rest="other",
    )


def test_roles_types_and_hierarchies() -> None:
    schema = example()
    assert schema.identifiers == ("PatientID",)
    assert schema.quasi_identifiers == ("age", "sex")
    assert schema.sensitive == ("died",)
    assert schema.other == ("note",)
    assert schema.target == "died"
    assert schema.person == "PatientID"
    assert schema.missing == ("", "NA")
    assert schema.types == {"age": "integer", "note": "text"}
    assert schema.hierarchies == {"age": Hierarchy.bands([5, 10])}
    assert schema.rest is Role.OTHER
    assert "age" in schema
    assert "Age" not in schema


def test_a_target_keeps_the_role_that_was_said() -> None:
    assert example().columns["died"].role is Role.SENSITIVE
    alone = Schema(target="died")
    assert alone.columns["died"].role is Role.TARGET
    assert Schema(person="id").identifiers == ("id",)
    assert Schema(quasi_identifiers=["a", "b"]).quasi_identifiers == ("a", "b")


def test_check_gives_every_column_a_role_in_the_table_s_order() -> None:
    checked = example().check(TABLE)
    assert list(checked) == TABLE.columns
    assert checked.check(TABLE) == checked
    without_rest = Schema.of({**checked.columns}, target="died", person="PatientID")
    assert without_rest.check(TABLE).columns == checked.columns


def test_there_is_no_silent_default_role() -> None:
    schema = Schema(identifiers=["PatientID"], quasi_identifiers=["age"])
    with pytest.raises(SchemaError, match="3 of 5 columns have no role: 'sex', 'died', 'note'"):
        schema.check(TABLE)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (Schema(quasi_identifiers=["Age"], rest="other"), "no column 'Age'. Did you mean 'age'?"),
        (Schema(person="patientid", rest="other"), "no column 'patientid'. Did you mean 'Patient"),
        (Schema(target="dead", rest="other"), "no column 'dead'."),
    ],
)
def test_an_absent_column_is_named(schema: Schema, message: str) -> None:
    with pytest.raises(SchemaError) as error:
        schema.check(TABLE)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Schema(identifiers=["a"], sensitive=["a"]),
            "column 'a' has two roles, identifier and sensitive",
        ),
        (lambda: Schema(identifiers=["a", "a"]), "identifiers: column 'a' stands twice"),
        (lambda: Schema(identifiers="age"), "identifiers must be a list of column names"),
        (lambda: Schema(sensitive=[3]), "a column's name is a text, not 3"),
        (lambda: Schema(types={"a": "integer"}), "types: column 'a' has no role"),
        (lambda: Schema(other=["a"], types={"a": "int"}), "unknown type 'int'. Did you mean"),
        (lambda: Schema(rest="others"), "unknown role 'others'. Did you mean 'other'?"),
        (lambda: Column("quasi_identifier"), "Did you mean 'quasi-identifier'?"),
        (lambda: example().select(["ag"]), "the schema has no column 'ag'. Did you mean 'age'?"),
        (lambda: example().rename({"ag": "x"}), "the schema has no column 'ag'"),
        (lambda: example().rename({"age": "sex"}), "two columns would be named 'sex'"),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(SchemaError) as error:
        make()
    assert message in str(error.value)


def test_small_changes() -> None:
    schema = example()
    assert list(schema.select(["sex", "age"])) == ["sex", "age"]
    assert schema.select(["sex"]).target is None
    assert schema.select(["died"]).target == "died"
    renamed = schema.rename({"died": "outcome", "PatientID": "key"})
    assert (renamed.target, renamed.person) == ("outcome", "key")
    assert list(renamed) == ["key", "age", "sex", "outcome", "note"]
    changed = schema.with_columns({"sex": Column(Role.OTHER), "new": Column(Role.SENSITIVE)})
    assert changed.quasi_identifiers == ("age",)
    assert changed.sensitive == ("died", "new")
    assert schema == example()


def test_a_schema_cannot_be_changed() -> None:
    schema = example()
    with pytest.raises(AttributeError):
        schema.target = "age"
    with pytest.raises(TypeError):
        schema.columns["age"] = Column(Role.OTHER)
    assert hash(schema) == hash(example())


# -- TOML --------------------------------------------------------------------------------------

NAMES = st.text(alphabet=string.printable + 'äß"\\\u2028\x00', min_size=1, max_size=8)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
HIERARCHIES = st.sampled_from(
    [
        Hierarchy.bands([5, 10], top=90),
        Hierarchy.bands([0.5], origin=0.25, top=None, bottom=-3),
        Hierarchy.intervals([18.5, 25, 30], "right", ["a", "b", "c", 'd "x"'], [[25]]),
        Hierarchy.intervals([0, 1, 2], open_ended=False),
        Hierarchy.mapping({"a": ["b", "c"], 'ü "\\': ["b", "c"]}),
        Hierarchy.ordered(["a", "b"], ["c"]),
        Hierarchy.dates(),
        Hierarchy.preset("brfss-race"),
        Hierarchy.flat(),
    ]
)
COLUMNS = st.builds(
    Column,
    st.sampled_from(Role),
    st.none() | st.sampled_from(["integer", "number", "category", "date"]),
    st.none() | HIERARCHIES,
    TEXTS,
)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    columns = draw(st.dictionaries(NAMES, COLUMNS, min_size=1, max_size=6))
    one_of_them = st.none() | st.sampled_from(list(columns))
    return Schema.of(
        columns,
        target=draw(one_of_them),
        person=draw(one_of_them),
        missing=draw(st.lists(TEXTS, max_size=3)),
        rest=draw(st.none() | st.sampled_from(Role)),
    )


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(schemas(), st.booleans())
def test_every_schema_is_read_as_it_was_written(
    tmp_path: Path, schema: Schema, self_contained: bool
) -> None:
    path = tmp_path / "schema.toml"
    schema.write(path, self_contained=self_contained)
    again = Schema.read(path)
    assert again == schema
    assert list(again) == list(schema)
    assert Schema.from_dict(schema.to_dict()) == schema
    assert [each.name for each in tmp_path.iterdir()] == ["schema.toml"]


def test_hierarchy_files_are_named_beside_the_schema(tmp_path: Path) -> None:
    (tmp_path / "age.csv").write_text("1;a;*\n2;b;*\n", "utf-8")
    schema = Schema(quasi_identifiers={"age": Hierarchy.read(tmp_path / "age.csv")})
    schema.write(tmp_path / "schema.toml")
    assert '{file = "age.csv"}' in (tmp_path / "schema.toml").read_text("utf-8")
    assert Schema.read(tmp_path / "schema.toml") == schema
    schema.write(tmp_path / "whole.toml", self_contained=True)
    (tmp_path / "age.csv").unlink()
    assert Schema.read(tmp_path / "whole.toml") == schema
    with pytest.raises(HierarchyError, match=r"schema\.toml, line 5: column 'age': cannot read"):
        Schema.read(tmp_path / "schema.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('rest = "other"\nrset = 1\n', "line 2: unknown key 'rset'. Did you mean 'rest'?"),
        ('rest = "others"\n', "line 1: rest: unknown role 'others'. Did you mean 'other'?"),
        ("missing = 3\n", "line 1: missing must be a list of texts"),
        ("person = 3\n", "line 1: person must be a text (got 3)"),
        ("columns = 3\n", "line 1: columns must be tables"),
        ("[columns]\nage = 3\n", "line 2: column 'age' must be a table"),
        ('[columns.age]\ntype = "integer"\n', "line 1: column 'age' has no role"),
        (
            '[columns.age]\n\nrole = "quasi"\n',
            "line 3: column 'age': unknown role 'quasi'.",
        ),
        (
            '[columns.age]\nrole = "other"\nrole_ = 1\n',
            "line 3: unknown key 'role_' of column 'age'. Did you mean 'role'?",
        ),
        (
            '[columns."a b"]\nrole = "other"\ntype = "int"\n',
            "line 3: column 'a b': unknown type 'int'.",
        ),
        (
            '[columns.s]\nrole="other"\n[columns.age]\nrole="other"\nhierarchy={intervals=[3, 1]}',
            "line 5: column 'age': intervals: the bounds of level 1 must rise",
        ),
        (
            '[columns.age]\nrole = "other"\n[columns.age.hierarchy]\nbnads = [3]\n',
            "line 3: column 'age': a hierarchy has one kind, here is none of the kinds. Did you",
        ),
        ('[columns.age]\nrole = "other"\nnote = 3\n', "line 3: note must be a text (got 3)"),
        ('[columns]\nage = { role = "no" }\n', "line 2: column 'age': unknown role 'no'"),
        ('[columns.age\nrole = "other"\n', "is not TOML: "),
        ('rest = "other"\nrest = "other"\n', "is not TOML: "),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "schema.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SchemaError) as error:
        Schema.read(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_a_hierarchy_s_error_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "schema.toml"
    path.write_text('[columns.age]\nrole = "other"\nhierarchy = { file = "no.csv" }\n', "utf-8")
    with pytest.raises(HierarchyError, match=r"no\.csv"):
        Schema.read(path)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="cannot read the schema file"):
        Schema.read(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes('rest = "other"\n# ä\n'.encode("latin-1"))
    with pytest.raises(SchemaError, match="line 2: not UTF-8"):
        Schema.read(tmp_path / "latin.toml")
    with pytest.raises(EngineError, match="cannot write the schema file"):
        example().write(tmp_path / "absent" / "schema.toml")


def test_a_suggested_schema_covers_the_table(tmp_path: Path) -> None:
    schema = Schema.suggest(TABLE)
    assert schema.check(TABLE) == schema
    assert schema.identifiers == ("PatientID",)
    assert schema.quasi_identifiers == ("age", "sex")
    assert schema.columns["age"].hierarchy == Hierarchy.preset("age-5-10-20-90")
    assert "suggests an age" in schema.columns["age"].note
    schema.write(tmp_path / "schema.toml")
    assert Schema.read(tmp_path / "schema.toml") == schema


def test_the_room_hands_out_all_its_names_and_is_cheap_to_enter() -> None:
    import sfumato.table

    for name in sfumato.table.__all__:
        assert getattr(sfumato.table, name) is not None
    assert dir(sfumato.table) == sorted(sfumato.table.__all__)
    with pytest.raises(AttributeError, match="no attribute 'hierarchie'"):
        _ = sfumato.table.hierarchie
    program = "import sys, sfumato.table; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
