"""A study: nobody set aside is seen, one plan gives the same bytes, a crash leaves no half."""

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from sfumato.anonymization.recoding import Recoding
from sfumato.errors import EngineError, GuaranteeNotMet, PlanError
from sfumato.release import Plan, Study, run, verify
from sfumato.release import workshop as workshop_module
from sfumato.release.folders import is_complete

pytestmark = pytest.mark.usefixtures("quick_reports")

FILES = {
    "certificate.json",
    "data.csv",
    "evaluation.json",
    "manifest.json",
    "plan.toml",
    "recoding.json",
    "release.json",
    "report.html",
    "schema.toml",
}
SAME_BYTES = ("data.csv", "schema.toml", "certificate.json", "plan.toml", "release.json")


def contents(folder: Path, names=SAME_BYTES) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.name in names and path.is_file()
    }


def test_a_study_makes_every_release_with_its_evidence(plan_file, tmp_path, table):
    study = run(plan_file, tmp_path / "out")
    assert isinstance(study, Study)
    assert [release.name for release in study.releases] == ["clean", "grouped", "drawn"]
    assert {path.name for path in (tmp_path / "out" / "clean").iterdir()} == FILES
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("clean", "grouped", "drawn"),
        *("report.html", "study.json", "plan.toml", ".lock"),
    }
    assert study.source.rows == 400
    assert study.source.control_rows == 100
    grouped = study["grouped"]
    assert grouped.certificate.rows_in == 300
    assert [promise.kind for promise in grouped.certificate.promises] == ["k-anonymity"]
    assert grouped.verification.passed
    assert verify(tmp_path / "out" / "grouped").passed
    assert [change.column for change in grouped.changes] == table.columns
    drawn = study["drawn"]
    assert drawn.synthetic
    assert drawn.certificate.rows_out == 300
    assert [step.technique for step in drawn.certificate.steps] == ["rules", "copula"]
    assert drawn.learned
    assert [one.protocol.value for one in study["clean"].evaluation.learned] == [
        "honest",
        "as-published",
    ]
    assert "auc/naive-bayes/honest" in study["clean"].evaluation.utility
    assert "difference/auc/naive-bayes/honest" in grouped.evaluation.utility


@pytest.mark.slow
def test_shuffled_rows_are_the_same_people_and_no_longer_in_the_order_of_the_source(
    plan_file, tmp_path
):
    plan = plan_file.read_text().split("[[release]]")
    one = "[[release]]".join(plan[:2]) + "[evaluation.attacks]\nmost = 0\n"
    found, order = {}, {}
    for shuffle in ("false", "true"):
        plan_file.write_text(one.replace('"clean"\nwhy', f'"clean"\nshuffle = {shuffle}\nwhy'))
        study = run(plan_file, tmp_path / shuffle)
        assert verify(tmp_path / shuffle / "clean").passed
        found[shuffle] = pl.read_csv(tmp_path / shuffle / "clean" / "data.csv")
        findings = {one["code"]: one for one in study["clean"].evaluation.to_dict()["integrity"]}
        order[shuffle] = findings["SF106"]["status"]
    assert order == {"false": "failed", "true": "passed"}
    assert not found["true"].equals(found["false"])
    names = found["true"].columns
    assert found["true"].sort(names).equals(found["false"].sort(names))


def test_a_sample_of_a_release_is_drawn_by_person(plan_file, tmp_path):
    parts = plan_file.read_text().split("[[release]]")
    grouped = '\nname = "grouped"\ntechnique = "mondrian"\nk = 5\n'
    half = '\nname = "half"\ntechnique = "stratified-sampling"\nof = "grouped"\ndelete = 0.5\n'
    rest = "\n[evaluation.attacks]\nmost = 0\n"
    plan_file.write_text("[[release]]".join([parts[0], grouped, half + rest]))
    study = run(plan_file, tmp_path / "out")
    assert study["half"].certificate.rows_out < study["grouped"].certificate.rows_out
    assert verify(tmp_path / "out" / "half").passed


def test_no_file_of_a_study_holds_an_identifier_or_a_place_of_this_machine(plan_file, tmp_path):
    run(plan_file, tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8")
            assert "canary-" not in text, path
            assert str(tmp_path) not in text, path


def test_the_same_plan_gives_the_same_bytes(plan_file, tmp_path):
    run(plan_file, tmp_path / "one")
    run(plan_file, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) == 16


def test_another_seed_gives_other_bytes(plan_file, tmp_path):
    run(plan_file, tmp_path / "one")
    plan_file.write_text(plan_file.read_text().replace("seed = 7", "seed = 8"))
    run(plan_file, tmp_path / "two")
    first, second = (contents(tmp_path / name, ("data.csv",)) for name in ("one", "two"))
    assert all(first[name] != second[name] for name in first)


# -- who sees whom --------------------------------------------------------------------------


def test_no_technique_sees_a_control_person(plan_file, tmp_path, monkeypatch, table):
    seen: list[pl.DataFrame] = []
    fit = workshop_module.fit

    def spy(technique, rows, schema, progress):
        seen.append(rows)
        return fit(technique, rows, schema, progress)

    monkeypatch.setattr(workshop_module, "fit", spy)
    study = run(plan_file, tmp_path / "out")
    assert [rows.height for rows in seen] == [300, 300, 300]
    first, second, third = seen
    assert first.equals(second)
    assert "patient" not in third.columns  # the model starts from the anonymized rows
    kept = set(first["patient"])
    assert len(kept) == study.source.persons - study.source.control_persons == 300


def test_every_release_is_tested_on_the_same_people(plan_file, tmp_path):
    study = run(plan_file, tmp_path / "out")
    honest = [
        one
        for release in study.releases
        for one in release.evaluation.learned
        if one.protocol.value == "honest"
    ]
    assert len(honest) == 3
    assert {one.rows_test for one in honest} == {100}
    assert len({one.positives_test for one in honest}) == 1


def test_without_control_people_nothing_is_learned_and_that_is_said(plan_file, tmp_path):
    plan_file.write_text(plan_file.read_text().replace("control = 0.25", "control = 0"))
    study = run(plan_file, tmp_path / "out")
    evaluation = study["clean"].evaluation
    assert not evaluation.learned
    assert "Nothing was learned: there are no control rows to test on." in evaluation.not_run


# -- going on -------------------------------------------------------------------------------


def fits(monkeypatch) -> list[str]:
    made: list[str] = []
    fit = workshop_module.fit

    def counted(technique, *rest):
        made.append(type(technique).__name__)
        return fit(technique, *rest)

    monkeypatch.setattr(workshop_module, "fit", counted)
    return made


def test_a_finished_release_is_not_made_again(plan_file, tmp_path, monkeypatch):
    first = run(plan_file, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*/*")}
    made = fits(monkeypatch)
    second = run(plan_file, tmp_path / "out")
    assert made == []
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*/*")}
    for one, other in zip(first.releases, second.releases, strict=True):
        assert one.to_dict() == other.to_dict()
        assert one.certificate == other.certificate
        assert one.evaluation.to_dict() == other.evaluation.to_dict()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rows = 300", "rows = 299", []),  # drawn anew from the model that was kept
        ("sample = 100", "sample = 99", []),
        *(
            pytest.param(*values, marks=pytest.mark.slow)
            for values in (
                ("scale = 2.0", "scale = 3.0", ["Rules", "GaussianCopula"]),
                ("seed = 7", "seed = 8", ["Clean", "Rules", "GaussianCopula"]),
                ('why = "the baseline"', 'why = "another"', []),
                ('name = "A small study"', 'name = "Another"', []),
            )
        ),
    ],
)
def test_what_changed_is_made_again_and_nothing_else(
    plan_file, tmp_path, monkeypatch, old, new, expected
):
    run(plan_file, tmp_path / "out")
    text = plan_file.read_text()
    assert old in text
    plan_file.write_text(text.replace(old, new, 1))
    made = fits(monkeypatch)
    study = run(plan_file, tmp_path / "out")
    assert made == expected
    assert all(is_complete(tmp_path / "out" / release.folder) for release in study.releases)
    fresh = run(plan_file, tmp_path / "fresh")
    assert contents(tmp_path / "out", ("data.csv", "certificate.json")) == contents(
        tmp_path / "fresh", ("data.csv", "certificate.json")
    )
    assert [one.why for one in study.releases] == [one.why for one in fresh.releases]


def test_a_source_of_other_bytes_is_read_anew(plan_file, tmp_path, monkeypatch):
    run(plan_file, tmp_path / "out")
    source = plan_file.with_name("patients.csv")
    source.write_text(source.read_text() + "canary-x,30,f,north,120.0,0\n")
    made = fits(monkeypatch)
    run(plan_file, tmp_path / "out")
    assert made == ["Clean", "Rules", "GaussianCopula"]


def test_a_release_whose_file_was_touched_is_made_again(plan_file, tmp_path):
    run(plan_file, tmp_path / "out")
    data = tmp_path / "out" / "grouped" / "data.csv"
    right = data.read_bytes()
    data.write_bytes(right[:-2])
    run(plan_file, tmp_path / "out")
    assert data.read_bytes() == right


def test_training_that_was_finished_is_not_repeated(plan_file, tmp_path, monkeypatch):
    from sfumato.release import assessment

    trained = []
    train = assessment.train_and_test

    def counted(*rows, **settings):
        trained.append((settings["version"], settings["protocol"]))
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(*rows, **settings)

    monkeypatch.setattr(assessment, "train_and_test", counted)
    with pytest.raises(KeyboardInterrupt):
        run(plan_file, tmp_path / "out")
    assert trained == [("clean", "honest"), ("clean", "as-published")]
    run(plan_file, tmp_path / "out")
    assert trained[2:] == [
        ("clean", "as-published"),
        ("grouped", "honest"),
        ("drawn", "honest"),
    ]
    assert not (tmp_path / "out" / ".work").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
import sfumato.release.report as report
from sfumato.release import folders, run

report.render_study = lambda study: "<p>" + study.name + "</p>"
left = int(sys.argv[3])


def die_at(owner, name):
    true = getattr(owner, name)

    def counted(*given, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return true(*given, **named)

    setattr(owner, name, counted)


for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "rename"), (folders, "_exchange")):
    die_at(owner, name)
run(sys.argv[1], sys.argv[2])
print("finished after", int(sys.argv[3]) - left)
"""


HARDLY_MEASURED = """
[evaluation]
attacks = { most = 0 }
utility = { parts = ["marginals"], three_way = 0 }
learning = { models = ["naive-bayes"], protocols = ["honest"] }
"""


@pytest.fixture
def quick_plan(plan_file: Path) -> Path:
    """The plan with as much measured as it takes to write every file."""
    text = plan_file.read_text()
    plan_file.write_text(text[: text.index("[evaluation]")] + HARDLY_MEASURED)
    return plan_file


def killed(plan_file: Path, out: Path, step: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, str(plan_file), str(out), str(step)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.long
def test_a_kill_at_any_moment_leaves_whole_folders_and_the_next_run_goes_on(quick_plan, tmp_path):
    whole = tmp_path / "whole"
    run(quick_plan, whole)
    complete = killed(quick_plan, tmp_path / "count", 10**6)
    steps = int(complete.stdout.split()[-1])
    assert steps > 40
    # another eighth of the moments each time
    for step in range(random.randint(1, steps // 8), steps + 1, steps // 8):
        out = tmp_path / f"out-{step}"
        assert killed(quick_plan, out, step).returncode == -signal.SIGKILL
        for name in ("clean", "grouped", "drawn"):
            assert not (out / name).exists() or is_complete(out / name), (step, name)
        run(quick_plan, out)
        assert contents(out) == contents(whole), step
        assert not (out / ".work").exists()


@pytest.mark.slow
@pytest.mark.long
def test_a_kill_while_a_release_is_replaced_leaves_the_old_one_or_the_new_one(quick_plan, tmp_path):
    out = tmp_path / "out"
    run(quick_plan, out)
    quick_plan.write_text(quick_plan.read_text().replace("seed = 7", "seed = 8"))
    new = tmp_path / "new"
    run(quick_plan, new)
    for step in sorted(random.sample((3, 12, 20, 27, 35, 44, 52, 60), 5)):
        killed(quick_plan, out, step)
        for name in ("clean", "grouped", "drawn"):
            assert is_complete(out / name), (step, name)
    run(quick_plan, out)
    assert contents(out) == contents(new)


def test_two_runs_cannot_share_a_folder(plan_file, tmp_path):
    from sfumato.release.folders import exclusive

    out = tmp_path / "out"
    with exclusive(out):
        code = f"from sfumato.release import run; run({str(plan_file)!r}, {str(out)!r})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "another run is writing into" in done.stderr


# -- what stands in the way -----------------------------------------------------------------


def test_a_folder_of_others_is_left_alone(plan_file, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(PlanError, match="is not empty and holds no study"):
        run(plan_file, out)
    run(plan_file, tmp_path / "study")
    (tmp_path / "study" / "grouped" / "manifest.json").unlink()
    with pytest.raises(PlanError, match="was not written by sfumato"):
        run(plan_file, tmp_path / "study")
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_the_plan_itself_is_never_overwritten(plan_file):
    before = plan_file.read_text()
    with pytest.raises(PlanError, match="move the plan, or use another --out"):
        run(plan_file, plan_file.parent)
    assert plan_file.read_text() == before


def test_a_promise_that_is_not_kept_is_not_put_in_place(plan_file, tmp_path, monkeypatch):
    from sfumato.anonymization.rules import RulesRecoding

    recode = RulesRecoding.recode

    def leaking(self, table):
        released = recode(self, table)
        first = pl.int_range(pl.len()) == 0
        region = pl.when(first).then(pl.lit("alone")).otherwise("region").alias("region")
        return released.with_columns(region)

    monkeypatch.setattr(RulesRecoding, "recode", leaking)
    with pytest.raises(GuaranteeNotMet, match="'grouped' is not handed out: SF010"):
        run(plan_file, tmp_path / "out")
    assert (tmp_path / "out" / "clean").exists()
    assert not (tmp_path / "out" / "grouped").exists()


LIMITED = """
import resource, sys
import sfumato.release.report as report
from sfumato.release import run
from sfumato.errors import EngineError

report.render_study = lambda study: "<p>" + study.name + "</p>"
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    run(sys.argv[1], sys.argv[2])
except EngineError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [3000, 7000, 12_000])
def test_a_file_that_cannot_be_written_leaves_nothing_half_made(plan_file, tmp_path, limit):
    out = tmp_path / "out"
    command = [sys.executable, "-c", LIMITED, str(plan_file), str(out), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "canary-" not in done.stdout
    for name in ("clean", "grouped", "drawn"):
        assert not (out / name).exists() or is_complete(out / name)
    assert run(plan_file, out)["drawn"].verification.passed


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_leaves_nothing_half_made(plan_file, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts no small disk")
    try:
        with pytest.raises(EngineError, match="the disk is full"):
            run(plan_file, disk / "out")
        for name in ("clean", "grouped", "drawn"):
            assert not (disk / "out" / name).exists() or is_complete(disk / "out" / name)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# -- techniques of others -------------------------------------------------------------------


@dataclass(frozen=True)
class Reversed(Recoding):
    """Keeps the rows in reverse order; a class that no loader knows."""

    schema: object

    def recode(self, table):
        return table.drop("patient").reverse()

    def describe(self):
        return ()

    def released_schema(self):
        return self.schema.select([name for name in self.schema.columns if name != "patient"])

    def to_dict(self):
        return {}

    @classmethod
    def from_dict(cls, values):
        raise NotImplementedError


def test_what_cannot_be_loaded_is_fitted_again(plan_file, tmp_path, monkeypatch):
    from sfumato.anonymization import Clean

    monkeypatch.setattr(
        Clean, "fit", lambda self, table, schema, *, progress=None: Reversed(schema)
    )
    made = fits(monkeypatch)
    text = plan_file.read_text()
    plan_file.write_text(text[: text.index('[[release]]\nname = "grouped"')])
    run(plan_file, tmp_path / "out")
    plan_file.write_text(plan_file.read_text().replace("the baseline", "in reverse"))
    run(plan_file, tmp_path / "out")
    assert made == ["Clean", "Clean"]
    assert not (tmp_path / "out" / ".work").exists()


def test_progress_ends_every_bar_that_it_begins(plan_file, tmp_path):
    told: dict[str, tuple[float, float]] = {}
    run(
        plan_file,
        tmp_path / "out",
        progress=lambda task, done, all_: told.update({task: (done, all_)}),
    )
    assert "reading the source" in told
    assert "making 'grouped'" in told
    assert all(done == all_ for done, all_ in told.values()), told


def test_a_release_of_a_release_is_told_as_one_change_of_the_source(plan_file, tmp_path):
    text = plan_file.read_text()
    more = """
[[release]]
name = "coarser"
technique = "rules"
of = "grouped"
[release.columns]
region = { map = { north = "N" }, other = "rest", rename = "side" }
pressure = { round = 10 }
age_group = { suppress = true }
"""
    text = text[: text.index('[[release]]\nname = "drawn"')] + more
    learning = "\n[evaluation.learning]\nmodels = ['naive-bayes']\n"
    plan_file.write_text(text + learning + "[evaluation.attacks]\nmost = 0\n")
    coarser = run(plan_file, tmp_path / "out")["coarser"]
    changes = {change.column: change for change in coarser.changes}
    assert changes["age"].released_as is None
    assert changes["region"].released_as == "side"
    assert "; then " in changes["pressure"].how
    assert changes["died"].action == "kept"
    assert coarser.certificate.columns == ("sex", "side", "pressure", "died")
    assert [step.release for step in coarser.certificate.steps] == ["grouped", "coarser"]
    assert coarser.invented.columns_after == coarser.certificate.columns
    assert [one.rows_test for one in coarser.evaluation.learned] == [100]


def test_a_study_record_names_what_was_made(plan_file, tmp_path):
    study = run(Plan.read(plan_file), tmp_path / "out")
    record = json.loads((tmp_path / "out" / "study.json").read_text())
    assert record == study.to_dict()
    assert [one["verified"] for one in record["releases"]] == [True, True, True]
    assert study.report == tmp_path / "out" / "report.html"
    with pytest.raises(KeyError):
        study["absent"]


@pytest.mark.slow
def test_the_real_reports_are_written_into_the_folders(plan_file, tmp_path, monkeypatch):
    monkeypatch.undo()
    study = run(plan_file, tmp_path / "out")
    for path in (study.report, tmp_path / "out" / "grouped" / "report.html"):
        text = path.read_text("utf-8")
        assert text.lower().startswith("<!doctype html>")
        assert "canary-" not in text
        assert "A small study" in text


def visits(folder: Path, releases: str) -> Path:
    """Write a plan over sixty people with eight visits each, in the order of the people."""
    rows = [
        (
            f"p{person}",
            20 + person % 12,
            "mf"[person % 2],
            visit % 2,
            100.0 + (person * 7 + visit * 5) % 31,
        )
        for person in range(60)
        for visit in range(8)
    ]
    columns = ["id", "age", "sex", "died", "pressure"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(folder / "visits.csv")
    (folder / "visits.toml").write_text(f"""
name = "visits"
control = {0.25 if "noise" in releases else 0}
[source]
path = "visits.csv"
[schema]
person = "id"
target = "died"
[schema.columns]
id = {{ role = "identifier" }}
age = {{ role = "quasi-identifier" }}
sex = {{ role = "quasi-identifier" }}
died = {{ role = "target" }}
pressure = {{ role = "other" }}
{releases}
[evaluation]
attacks = {{ most = 0 }}
learning = {{ models = ["naive-bayes"], protocols = ["honest"] }}
""")
    return folder / "visits.toml"


def test_persons_are_counted_along_a_chain_of_releases(tmp_path):
    """Eight rows of one person are one person, also where an earlier step dropped who it is."""
    plan = visits(
        tmp_path,
        """
[[release]]
name = "clean"
technique = "clean"
[[release]]
name = "grouped"
technique = "mondrian"
of = "clean"
k = 5
""",
    )
    study = run(plan, tmp_path / "out")
    people = pl.Series("person", [person for person in range(60) for _ in range(8)])
    released = pl.read_csv(tmp_path / "out" / "grouped" / "data.csv").with_columns(people)
    assert "id" not in released.columns[:-1]
    in_class = released.group_by("age", "sex").agg(pl.col("person").n_unique())["person"]
    assert in_class.min() >= 5
    assert study["grouped"].evaluation.risks["smallest_class"].value == in_class.min()


@pytest.mark.slow
def test_control_rows_and_fitted_rows_are_measured_alike(tmp_path):
    """Noise on one of the two alone would make copies look like strangers, and strangers apart."""
    plan = visits(
        tmp_path,
        """
[[release]]
name = "noisy"
technique = "rules"
[release.columns]
pressure = { noise = "gaussian", scale = 300.0 }
""",
    )
    study = run(plan, tmp_path / "out")
    compared = {one.name: one for one in study["noisy"].evaluation.fidelity.columns}
    pressure = compared["pressure"].distance
    assert pressure.value > 0.3  # the release is far from the real values
    assert pressure.control < 0.25  # the control people are not: they carry no noise


def test_what_was_fitted_need_not_be_handed_out(plan_file, tmp_path):
    run(plan_file, tmp_path / "out")
    folder = tmp_path / "out" / "grouped"
    (folder / "recoding.json").unlink()
    found = verify(folder)
    assert found.passed
    (files,) = (one for one in found.findings if one.code == "SF002")
    assert "not handed out: recoding.json" in files.explanation
    (folder / "schema.toml").unlink()
    assert not verify(folder).passed
