"""Releases made by several processes: the same bytes, errors carried, a search that goes on."""

import json
import pickle
import signal
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import (
    DataError,
    EngineError,
    InternalError,
    MissingExtra,
    PlanError,
)
from sfumato.release import Plan, run
from sfumato.release import parallel as parallel_module
from sfumato.release import running as running_module
from sfumato.release import worker as worker_module
from sfumato.release.estimate import Estimate, EstimatedStep, estimate
from sfumato.release.parallel import Alone, Team, crew_size
from sfumato.release.report.frontier_section import frontier_content, shown_releases
from sfumato.release.report.frontier_words import statement
from sfumato.release.search import search, sizes

FRONTIER = """
[[release]]
name = "impossible"
technique = "rules"
k = 5000
suppression_limit = 0.0

[[release]]
name = "of-the-impossible"
technique = "clean"
of = "impossible"

[frontier]
limits = { prosecutor_highest = 0.2, exact_copies = 0.2 }
"""
SAME_BYTES = {"data.csv", "schema.toml", "certificate.json", "plan.toml", "release.json"}


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.name in SAME_BYTES
    }


def with_frontier(plan_file, more=""):
    text = plan_file.read_text()
    before, evaluation = text.split("\n[evaluation]\n")
    releases, frontier = FRONTIER.split("\n[frontier]\n")
    plan_file.write_text(
        f"{before}{releases}\n[evaluation]\n{evaluation}\n[frontier]\n{frontier}{more}"
    )
    return plan_file


@pytest.mark.slow
def test_two_processes_make_the_same_bytes_as_one_and_tell_what_could_not_be_made(
    plan_file, tmp_path
):
    with_frontier(plan_file)
    told = set()
    one = run(plan_file, tmp_path / "one", jobs=1)
    two = run(plan_file, tmp_path / "two", jobs=2, progress=lambda *step: told.add(step[0]))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len([name for name in contents(tmp_path / "one") if name.endswith("data.csv")]) == 3
    assert one.not_made == two.not_made
    assert [bad.name for bad in two.not_made] == ["impossible", "of-the-impossible"]
    assert two.not_made[1].because == "'impossible', from which it starts, was not made"
    assert {"making 'clean'", "making 'grouped'", "making 'drawn'", "all releases"} <= told
    assert not (tmp_path / "two" / ".work").exists()
    # what was measured is the same too, the comparison with the first release among it
    for release in one.releases:
        other = two[release.name].evaluation
        assert {key: figure.value for key, figure in release.evaluation.utility.items()} == {
            key: figure.value for key, figure in other.utility.items()
        }
        assert release.evaluation.risks == other.risks
    assert "difference/auc/naive-bayes/honest" in two["drawn"].evaluation.utility
    assert one.frontier.to_dict() == two.frontier.to_dict()
    assert two.frontier.recommended.name == "drawn"
    assert "grouped" in two.frontier.differences
    # the record says it, and a further run takes the paired difference from it
    record = json.loads((tmp_path / "two" / "study.json").read_text())
    assert record["frontier"]["recommended"] == "drawn"
    again = run(plan_file, tmp_path / "two", jobs=2)
    assert again.frontier.to_dict() == two.frontier.to_dict()
    assert not again["drawn"].evaluation.learned[0].prediction
    # another limit asks for no release to be made again
    plan_file.write_text(plan_file.read_text().replace(", exact_copies = 0.2", ""))
    other = run(plan_file, tmp_path / "two", jobs=2)
    assert other.frontier.recommended.name == "grouped"
    assert other.frontier["drawn"].used == float("inf")


@pytest.mark.usefixtures("quick_reports")
def test_the_statement_says_what_was_tried_what_speaks_against_it_and_what_was_not_tested(
    plan_file, tmp_path
):
    study = run(with_frontier(plan_file), tmp_path / "out")
    said = statement(study, study.frontier)
    assert said.headline == "Recommended: drawn"
    assert "3 releases of patients.csv" in said.tried[0]
    assert study.source.sha256[:16] in said.tried[0]
    assert "rules (grouped)" in said.tried[0]
    assert "prosecutor risk, highest at most 20.0%" in said.limits[0]
    assert "2 releases keep every limit: grouped and drawn." in said.kept
    assert any("clean (prosecutor risk, highest: 100%)" in text for text in said.kept)
    chosen = " ".join(said.chosen)
    assert "Of the 2 that keep the limits, the most useful is drawn" in chosen
    assert "The next is grouped" in chosen
    assert "paired on the same people" in chosen
    assert study["drawn"].data_sha256 in chosen
    assert any("It was not judged by prosecutor risk" in text for text in said.against)
    assert any(text.startswith("It promises nothing") for text in said.against)
    assert any(text.startswith("What protection costs: clean") for text in said.against)
    assert any("picked after 3 releases" in text for text in said.against)
    assert said.not_tested[0].startswith("impossible was not made: ")
    content = frontier_content(study)
    assert [line.label for line in content["lines"]] == [
        "breaks a limit",
        "keeps the limits",
        "recommended",
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("quick_reports")
@pytest.mark.parametrize(
    ("limits", "headline", "chosen"),
    [
        ("", "No recommendation: the plan names no limits", "No other release is better"),
        (
            "limits = { prosecutor_highest = 0.001, inference = 0.0001 }",
            "No recommendation: no release keeps every limit",
            "Nearest is ",
        ),
    ],
)
def test_where_nothing_can_be_recommended_it_says_so(plan_file, tmp_path, limits, headline, chosen):
    text = with_frontier(plan_file).read_text().partition("\n[frontier]")[0]
    plan_file.write_text(f"{text}\n[frontier]\n{limits}\n")
    study = run(plan_file, tmp_path / "out")
    said = statement(study, study.frontier)
    assert said.headline == headline
    assert said.recommended == ""
    assert chosen in said.chosen[0]


@pytest.mark.slow
def test_the_report_of_a_frontier_opens_with_the_picture_and_shows_a_few_side_by_side(
    plan_file, tmp_path
):
    grid = '\n[[release]]\nname = "g"\ntechnique = "mondrian"\n[release.grid]\nk = [2, 3, 4, 6]\n'
    text = (
        with_frontier(plan_file).read_text().replace("\n[evaluation]\n", f"{grid}\n[evaluation]\n")
    )
    plan_file.write_text(text)
    study = run(plan_file, tmp_path / "out")
    shown = shown_releases(study)
    assert len(study.releases) == 7
    assert len(shown) == 6
    assert {"clean", study.frontier.recommended.name} <= set(shown)
    page = study.report.read_text()
    assert page.index("Risk against use") < page.index("In plain words")
    assert '<a href="g-k6/report.html">' in page
    assert "Signature" in page
    assert "canary-" not in page
    assert "<script" not in page


# -- who makes them ------------------------------------------------------------------------------


def test_the_first_release_must_be_made_even_for_a_frontier(plan_file, tmp_path):
    text = with_frontier(plan_file).read_text()
    first = '[[release]]\nname = "clean"\ntechnique = "clean"\nwhy = "the baseline"\n'
    assert first in text
    bad = '[[release]]\nname = "clean"\ntechnique = "rules"\nk = 5000\nsuppression_limit = 0.0\n'
    plan_file.write_text(text.replace(first, bad).replace('clean = ["honest", "as-published"]', ""))
    with pytest.raises(PlanError, match="5000 in it"):
        run(plan_file, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.usefixtures("quick_reports")
def test_without_a_frontier_an_error_in_a_process_is_the_error_of_the_run(plan_file, tmp_path):
    text = with_frontier(plan_file).read_text().partition("\n[frontier]")[0]
    plan_file.write_text(text)
    with pytest.raises(PlanError, match="5000 in it") as alone:
        run(plan_file, tmp_path / "one")
    with pytest.raises(PlanError) as together:
        run(plan_file, tmp_path / "two", jobs=2)
    assert str(alone.value) == str(together.value)
    assert (tmp_path / "two" / "grouped" / "data.csv").exists()


@pytest.fixture
def workshop(plan_file, tmp_path):
    plan = Plan.read(plan_file)
    return running_module.opened(plan, tmp_path / "out", lambda *_: None)


@pytest.mark.slow
def test_a_process_that_dies_is_told_in_one_sentence_and_none_is_left(workshop, monkeypatch):
    import os

    team = Team(workshop, 1, tolerant=True, costs={})
    process = team._workers[0].process
    heard = team._heard

    def killed():
        os.kill(process.pid, signal.SIGKILL)
        return heard()

    monkeypatch.setattr(team, "_heard", killed)
    with pytest.raises(EngineError, match=r"ended without a word.*--jobs 1"):
        team.measure(["clean"], 100)
    team.dismiss()
    assert not process.is_alive()


class Line:
    """A line to a parent that only remembers."""

    def __init__(self):
        self.said = []

    def send_bytes(self, message):
        self.said.append(pickle.loads(message))


@pytest.mark.parametrize(
    ("raised", "kind", "text"),
    [
        (DataError("no rows"), DataError, "no rows"),
        (MissingExtra("neural", "mlp"), MissingExtra, "mlp needs an optional part"),
        (MemoryError(), EngineError, "--jobs 1"),
    ],
)
def test_errors_come_through_as_they_were(raised, kind, text):
    class Broken:
        def release(self, name):
            raise raised

    what, failed = worker_module.answer(Broken(), "release", "a", 0)
    assert what == "done"
    error = pickle.loads(worker_module.packed(failed)).error()
    assert type(error) is kind
    assert text in str(error)


def test_a_defect_is_told_by_its_place_and_never_by_its_words():
    class Broken:
        def release(self, name):
            raise ValueError("the cell canary-00001")

    what, place = worker_module.answer(Broken(), "release", "a", 0)
    assert what == "defect"
    assert place.startswith("ValueError at ")
    assert "canary" not in place


def test_read_only_mappings_travel():
    packed = worker_module.packed(MappingProxyType({"a": 1}))
    assert pickle.loads(packed) == MappingProxyType({"a": 1})


def test_progress_is_told_at_its_beginning_and_end_and_not_too_often():
    line = Line()
    tell = worker_module._Teller(line)
    for done in range(1001):
        tell("work", done, 1000)
    steps = [message[1][1] for message in line.said]
    assert steps[0] == 0
    assert steps[-1] == 1000
    assert len(steps) < 100


def test_who_is_alone_stops_at_the_first_error_unless_told_otherwise(workshop, monkeypatch):
    def made(shop, verb, name, rows):
        if name == "grouped":
            raise PlanError("not this one")
        return name

    monkeypatch.setattr(parallel_module, "made", made)
    names = ["clean", "grouped", "drawn"]
    found = Alone(workshop, tolerant=True).release(names)
    assert found["clean"] == "clean"
    assert found["grouped"].because == "not this one"
    assert "was not made" in found["drawn"].because
    with pytest.raises(PlanError, match="not this one"):
        Alone(workshop, tolerant=False).release(names)
    workshop.plan = workshop.plan.only("grouped")
    with pytest.raises(PlanError, match="not this one"):  # the first must be made
        Alone(workshop, tolerant=True).release(["grouped"])


@settings(deadline=None)
@given(st.integers(1, 64), st.integers(1, 40), st.floats(1e8, 1e10), st.floats(1e9, 1e12))
def test_a_crew_is_never_larger_than_asked_for_than_its_work_or_than_the_memory(
    jobs, releases, each, memory
):
    size = crew_size(jobs, releases, each, memory=memory)
    assert 1 <= size <= min(jobs, releases)
    assert size == 1 or size * each <= memory
    assert crew_size(None, 1, None) == 1


# -- a search ------------------------------------------------------------------------------------

GRID = """
[[release]]
name = "groups"
technique = "mondrian"
[release.grid]
k = [2, 3, 4, 5, 6, 7, 8]
"""


def of_search(plan_file, kind, candidates=3):
    before, evaluation = plan_file.read_text().split("\n[evaluation]\n")
    plan_file.write_text(
        f"{before}{GRID}\n[evaluation]\n{evaluation}\n[frontier]\nsearch = '{kind}'\n"
        f"candidates = {candidates}\nrows = 100\nlimits = {{ prosecutor_highest = 0.5 }}\n"
    )
    return plan_file


def test_a_random_search_draws_by_the_plans_seed_and_keeps_the_first(plan_file):
    plan = Plan.read(of_search(plan_file, "random"))
    one, two = (search(plan, 300, None) for _ in range(2))
    assert one == two
    assert one.chosen[0] == "clean"
    names = [release.name for release in plan.releases]
    assert [name for name in names if name in one.chosen] == list(one.chosen)
    assert sorted([*one.chosen, *one.left_out]) == sorted(names)
    drawn = set()
    for seed in range(20):
        plan_file.write_text(plan_file.read_text().replace("seed = 7", f"seed = {seed}"))
        other = search(Plan.read(plan_file), 300, None)
        plan_file.write_text(plan_file.read_text().replace(f"seed = {seed}", "seed = 7"))
        drawn.add(other.chosen)
        # what a release starts from is made with it
        assert "drawn" not in other.chosen or "grouped" in other.chosen
    assert len(drawn) > 5


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 50), st.integers(100, 10_000), st.integers(300, 10**6))
def test_halving_ends_at_the_number_wanted_and_never_takes_more_than_half_of_the_rows(
    releases, candidates, rows, most
):
    found = sizes(releases, candidates, rows, most)
    assert (found[-1][0] if found else releases) == min(releases, candidates) or not found
    before = releases
    for count, sample in found:
        assert candidates <= count < before
        assert 2 * count >= before or count == candidates
        assert sample <= most / 2
        before = count


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("quick_reports")
def test_halving_measures_on_samples_and_makes_only_the_best_of_the_whole_table(
    plan_file, tmp_path, monkeypatch
):
    of_search(plan_file, "halving", candidates=4)
    study = run(plan_file, tmp_path / "out")
    first, second = study.search.rounds
    assert (first.rows, second.rows) == (100, 150)
    assert len(first.tried) == 10
    assert set(second.tried) == set(first.tried) - set(first.dropped)
    assert [release.name for release in study.releases] == list(study.search.chosen)
    assert "clean" in study.search.chosen
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == set(
        study.search.chosen
    )
    said = " ".join(statement(study, study.frontier).tried)
    assert "On a sample of about 100 rows 10 releases were tried" in said
    other = run(plan_file, tmp_path / "two", jobs=2)
    assert other.search == study.search
    assert contents(tmp_path / "out") == contents(tmp_path / "two")


# -- the estimate --------------------------------------------------------------------------------


def test_together_is_quicker_but_not_than_the_longest_and_the_first():
    steps = [EstimatedStep("reading", 5.0)]
    steps += [EstimatedStep("making", seconds, name) for name, seconds in
              (("a", 10.0), ("b", 8.0), ("c", 6.0), ("d", 2.0))]  # fmt: skip
    alone = Estimate(1000, 3, tuple(steps), 1e9, jobs=1, releases=4)
    assert alone.elapsed == alone.seconds == 31.0
    pair = Estimate(1000, 3, tuple(steps), 1e9, jobs=2, releases=4)
    assert pair.elapsed == 5 + 10 + 8
    assert "2 at a time" in pair.describe()[1]
    assert "3.0 GB" in pair.describe()[1]


def test_a_search_costs_its_rounds_and_saves_the_releases_that_it_leaves_out(plan_file):
    text = plan_file.read_text()
    found = {}
    for kind in ("grid", "random", "halving"):
        plan_file.write_text(text)
        found[kind] = estimate(Plan.read(of_search(plan_file, kind)))
    assert len(found["grid"].by_release) == 10
    assert len(found["random"].by_release) == len(found["halving"].by_release) == 3
    assert [step.what for step in found["halving"].steps if "search" in step.what] == [
        "a search on 100 rows",
        "a search on 150 rows",
    ]


def test_a_process_without_rows_knows_that_something_is_wrong():
    from multiprocessing import Pipe

    ours, theirs = Pipe()
    ours.send_bytes(worker_module.packed(("release", "a", 0)))
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(InternalError):
            worker_module.work(theirs, 1)
    finally:
        signal.signal(signal.SIGINT, before)
