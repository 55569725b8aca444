"""A plan file is read, written back and refused with the line that is wrong."""

import tomllib
from pathlib import Path

import pytest

from sfumato.errors import PlanError
from sfumato.release.plan import LearningPlan, Plan, ReleasePlan, derived_seed
from sfumato.release.plan_writing import without_password


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.split("\n"), 1) if part in line)


def test_a_plan_is_read_with_its_schema_and_releases(plan_file):
    plan = Plan.read(plan_file)
    assert plan.name == "A small study"
    assert plan.control == 0.25
    assert [release.name for release in plan.releases] == ["clean", "grouped", "drawn"]
    assert plan.releases[2].origin == "grouped"
    assert plan.schema.person == "patient"
    assert plan.evaluation.learning.protocols_of("clean") == ("honest", "as-published")
    assert plan.evaluation.learning.protocols_of("drawn") == ("honest",)


def test_a_written_plan_says_the_same_when_read_again(plan_file):
    plan = Plan.read(plan_file)
    again = plan_file.with_name("again.toml")
    again.write_text(plan.to_toml())
    assert Plan.read(again).to_dict() == plan.to_dict()
    assert Plan.read(again).to_toml() == plan.to_toml()


def test_a_written_plan_tells_nothing_of_this_machine(plan_file):
    assert str(plan_file.parent) not in Plan.read(plan_file).to_toml()


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("seed = 7", "sead = 7", "sead", "unknown key 'sead'. Did you mean 'seed'?"),
        ("seed = 7", 'seed = "7"', "seed =", "seed: Input should be a valid integer"),
        ("control = 0.25", "control = 0.6", "control", "less than or equal to 0.5"),
        ("control = 0.25", "control = -1", "control", "greater than or equal to 0"),
        ('name = "A small study"', "", None, "'name' is required"),
        ('schema = "schema.toml"', 'schema = "x.toml"', "schema", "there is no file 'x.toml'"),
        ('path = "patients.csv"', 'path = "no.csv"', "path", "there is no file 'no.csv'"),
        ('path = "patients.csv"', 'paht = "patients.csv"', "paht", "Did you mean 'path'?"),
        ('technique = "clean"', 'technique = "claen"', '"claen"', "Did you mean 'clean'? Known: "),
        ("k = 5", "kk = 5", "kk = 5", "'rules' has no setting 'kk'"),
        ("k = 5", "k = 1", "k = 1", "greater than or equal to 2"),
        ("generalize = 1,", "generalise = 1,", "age =", "generalise"),
        ('of = "grouped"', 'of = "groupd"', "of =", "Did you mean 'grouped'?"),
        ('of = "grouped"', 'of = "drawn"', "of =", "cannot be made of itself"),
        ('name = "grouped"', 'name = "clean"', None, "two releases are named 'clean'"),
        ('name = "drawn"', 'name = "a/b"', "a/b", "is also a folder"),
        ("rows = 300", "rows = 0", "rows = 0", "greater than or equal to 1"),
        ("k = 5", "k = 5\nrows = 9", "rows = 9", "recodes the rows it is given"),
        ("risk = { sample = 100 }", "risk = { smaple = 1 }", "smaple", "Did you mean 'sample'?"),
        ('models = ["naive-bayes"]', 'models = ["naive"]', "models", "there is no model 'naive'"),
        ('protocols = ["honest"]', 'protocols = ["fair"]', "protocols =", "'honest'"),
        ("{ clean = [", "{ claen = [", "by_release", "Did you mean 'clean'?"),
        ("[evaluation]\n", "[evaluation]\ntargte = 'x'\n", "targte", "Did you mean 'target'?"),
        (
            "[evaluation.learning]",
            "[evaluation.learning]\nnetwork = { epohcs = 3 }",
            "epohcs",
            "Did you mean 'epochs'?",
        ),
    ],
)
def test_each_mistake_names_the_file_the_line_and_the_mend(plan_file, old, new, line, says):
    text = plan_file.read_text()
    assert old in text
    changed = text.replace(old, new, 1)
    plan_file.write_text(changed)
    with pytest.raises(PlanError) as caught:
        Plan.read(plan_file)
    message = str(caught.value)
    assert says in message
    if line is not None:
        wrong = next(one for one in message.split("\n") if says in one)
        assert wrong.startswith(f"{plan_file}, line {line_of(changed, line)}: "), wrong


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(plan_file):
    text = plan_file.read_text().replace("seed = 7", "sead = 7").replace("k = 5", "kk = 5")
    plan_file.write_text(text)
    with pytest.raises(PlanError) as caught:
        Plan.read(plan_file)
    first, second = str(caught.value).split("\n")
    assert f"line {line_of(text, 'sead')}:" in first
    assert f"line {line_of(text, 'kk')}:" in second


def test_a_release_that_comes_later_cannot_be_an_origin(plan_file):
    text = plan_file.read_text()
    plan_file.write_text(text.replace('why = "the baseline"', 'of = "grouped"'))
    with pytest.raises(PlanError, match="comes later: put it first"):
        Plan.read(plan_file)


def test_a_synthetic_release_cannot_be_an_origin(plan_file):
    more = '\n[[release]]\nname = "more"\ntechnique = "clean"\nof = "drawn"\n'
    text = plan_file.read_text()
    plan_file.write_text(text.replace("\n[evaluation]", f"{more}\n[evaluation]"))
    with pytest.raises(PlanError, match="which is synthetic"):
        Plan.read(plan_file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = \n", "is not valid TOML: .*line 1"),
        ('name = "x"\n[release]\nname = "a"\n', r"line 2: write \[\[release\]\]"),
        ('name = "x"\nrelease = 3\n', r"line 2: 'release' must be tables"),
        ('name = "x"\nschema = "s.toml"\n[source]\npath = "p.csv"\n', "the plan makes no release"),
    ],
)
def test_a_plan_that_is_no_plan_is_refused(tmp_path, text, says):
    (tmp_path / "p.csv").write_text("a\n1\n")
    (tmp_path / "s.toml").write_text('[columns.a]\nrole = "other"\n')
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(PlanError, match=says):
        Plan.read(tmp_path / "plan.toml")


def test_a_plan_that_is_absent_or_no_text_is_refused(tmp_path):
    with pytest.raises(PlanError, match="there is no such plan file"):
        Plan.read(tmp_path / "plan.toml")
    (tmp_path / "plan.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanError, match="not UTF-8"):
        Plan.read(tmp_path / "plan.toml")


def test_a_schema_can_stand_in_the_plan_and_its_errors_have_its_line(plan_file):
    schema = (plan_file.with_name("schema.toml")).read_text()
    inline = schema.replace("[columns.", "[schema.columns.").replace(
        "\nperson", "\n[schema]\nperson"
    )
    text = plan_file.read_text().replace('schema = "schema.toml"\n', "") + inline
    plan_file.write_text(text)
    assert Plan.read(plan_file).schema.target == "died"
    plan_file.write_text(text.replace('role = "sensitive"', 'role = "sensitif"'))
    with pytest.raises(PlanError, match=r"line \d+: .*sensitif"):
        Plan.read(plan_file)


def test_files_of_settings_are_found_from_the_plan_and_told_without_its_folder(plan_file):
    (plan_file.with_name("key.txt")).write_text("a secret that is long enough to be one\n")
    text = plan_file.read_text().replace(
        "[release.columns]", '[release.columns]\npatient = { pseudonym = { key_file = "key.txt" } }'
    )
    plan_file.write_text(text)
    plan = Plan.read(plan_file)
    built = plan.release("grouped").built(plan.seed, plan.base)
    assert str(plan_file.parent / "key.txt") in str(built.model_dump())
    assert 'key_file = "key.txt"' in plan.to_toml()


def test_contradictions_are_refused_in_python_too(plan_file):
    plan = Plan.read(plan_file)
    with pytest.raises(PlanError, match="control must lie in 0 to"):
        Plan("x", plan.source, plan.schema, plan.releases, control=0.7)
    with pytest.raises(PlanError, match="makes no release"):
        Plan("x", plan.source, plan.schema, ())
    twice = (ReleasePlan(name="a", technique="clean"), ReleasePlan(name="A", technique="clean"))
    with pytest.raises(PlanError, match="two releases are named 'A'"):
        Plan("x", plan.source, plan.schema, twice)


def test_the_part_of_a_plan_that_decides_about_one_release(plan_file):
    plan = Plan.read(plan_file)
    assert [one.name for one in plan.only("drawn").releases] == ["grouped", "drawn"]
    assert plan.only("clean").evaluation.learning == LearningPlan(
        models=("naive-bayes",), protocols=("honest", "as-published")
    )
    assert plan.release("clean") is plan.releases[0]
    with pytest.raises(PlanError, match="Did you mean 'clean'"):
        plan.release("claen")


def test_a_technique_without_a_seed_gets_one_that_follows_from_the_plans(plan_file):
    plan = Plan.read(plan_file)
    rules = plan.release("grouped")
    assert rules.built(7, Path()).seed == derived_seed(7, "grouped", "technique")
    assert rules.built(7, Path()).seed != rules.built(8, Path()).seed
    own = rules.model_copy(update={"settings": {**rules.settings, "seed": 3}})
    assert own.built(7, Path()).seed == 3


def test_no_password_is_written():
    assert without_password("postgresql://a:b@h/d") == "postgresql://a:***@h/d"
    assert (
        without_password("postgresql://h/d?password=x&a=b") == "postgresql://h/d?password=***&a=b"
    )
    assert without_password("sqlite:///a:b@c.db") == "sqlite:///a:b@c.db"


def test_every_key_of_a_plan_is_in_the_docs():
    from sfumato.release import plan as module

    docs = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()
    kinds = ("ReleasePlan", "EvaluationPlan", "LearningPlan", "RiskPlan", "FidelityPlan")
    keys = {"name", "seed", "control", "source", "schema"} | {
        field.alias or name
        for kind in kinds
        for name, field in getattr(module, kind).model_fields.items()
    }
    missing = [key for key in sorted(keys - {"settings"}) if f"`{key}`" not in docs]
    assert not missing


def test_the_example_in_the_docs_is_a_plan():
    docs = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()
    example = docs.split("```toml\n")[1].split("```")[0]
    values = tomllib.loads(example)
    assert {"name", "source", "schema", "release"} <= set(values)
