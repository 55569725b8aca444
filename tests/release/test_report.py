"""The study report: one offline page that escapes what it is given and says what it must."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from sfumato.anonymization import ColumnChange
from sfumato.evaluation import Figure, Learned, fidelity
from sfumato.evaluation.curves import Curve
from sfumato.evaluation.learned import Confusion
from sfumato.evaluation.metrics import SCORES
from sfumato.evaluation.network import Epoch
from sfumato.evaluation.protocols import Protocol
from sfumato.release.certificate import Certificate, Promise, Step
from sfumato.release.evaluation import Evaluation
from sfumato.release.invented import InventedPeople
from sfumato.release.report import render_evaluation, render_profile, render_study
from sfumato.release.report.distributions import distributions
from sfumato.release.study import SourceFacts, Study, StudyRelease
from sfumato.release.verification import Finding, Verification
from sfumato.table import profile

HOSTILE = "<script>alert(1)</script>\"'&<b " + "x" * 200
VOID = {"meta", "br", "hr", "img", "input", "link", "wbr", "col"}


class Page(HTMLParser):
    """What a page holds, read with a parser that is not the one that wrote it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.broken: list[str] = []
        self.texts: list[str] = []
        self.style = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.broken.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, *names: str) -> list[tuple[str, dict[str, str]]]:
        return [(tag, attributes) for tag, attributes in self.tags if tag in names]


def figure(name, value, unit="share", *, direction="lower is better", **more):
    return Figure(name, value, unit, direction, f"What {name} means.", "Somebody 2001", **more)


RISKS = {
    "unique": figure("rows that are alone", 0.25, interval_method="exact: counted"),
    "smallest_class": figure(
        "smallest class", 5, "people", direction="higher is better", interval_method="exact"
    ),
    "nearer_to_train": figure(
        "nearer to training people",
        0.503,
        direction="closer to the baseline is better",
        interval=(0.48, 0.525),
        baseline=0.5,
        p_value=0.4,
    ),
    "exact_copies": figure("copied people", 0.0, interval=(0.0, 0.42), control=0.0),
    "linkability": figure("leaking people", 0.31, interval=(0.28, 0.33), control=0.01),
    "inference": Figure.not_computed(
        "guessed people",
        "there are no control rows",
        unit="share",
        direction="lower is better",
        source="Somebody 2001",
    ),
}


def learned(version: str, protocol: str = "honest", *, target: str = "died") -> Learned:
    published = protocol == "as-published"
    scores = {
        key: Figure(
            score.name,
            0.97 if published else 0.81,
            "share",
            score.direction,
            score.meaning.format(positive=target),
            score.source,
            (0.79, 0.98),
            "DeLong, 95 %",
            baseline=0.5,
        )
        for key, score in SCORES.items()
    }
    line = tuple(np.linspace(0, 1, 20).tolist())
    return Learned(
        version=version,
        model="mlp",
        protocol=Protocol(protocol),
        target=target,
        positive="1",
        settings={},
        rows_train=800,
        rows_made=0,
        rows_validation=100,
        rows_test=200,
        rows_test_made=90 if published else 0,
        positives_train=40,
        positives_test=10,
        features=5,
        threshold=0.5,
        scores=scores,
        confusion=Confusion(("0", "1"), ((150, 40), (2, 8))),
        roc=(Curve("1", line, line, (None, *line[1:])),),
        precision_recall=(Curve("1", line, line[::-1], line),),
        calibration=(),
        history=(Epoch(1, 0.7, 0.6, 1e-3), Epoch(2, 0.5, 0.55, 1e-3)),
        epochs=2,
        best_epoch=2,
        seconds_cpu=1.0,
        warning="Not to be believed: SMOTE ran first." if published else "",
    )


def people(seed: int, rows: int = 300, *, extra: str = "city", hostile: bool = False):
    random = np.random.default_rng(seed)
    cities = ["Ulm", "Bonn", HOSTILE if hostile else "Jena"]
    return pl.DataFrame(
        {
            extra: random.choice(cities, rows),
            "age": random.integers(18, 90, rows),
            "died": random.integers(0, 2, rows),
        }
    )


def release(
    name: str,
    *,
    of: str | None = None,
    city: str = "city",
    hostile: bool = False,
    protocols: tuple[str, ...] = ("honest", "as-published"),
) -> StudyRelease:
    compared = fidelity(
        people(1, extra=city, hostile=hostile),
        people(2, extra=city, hostile=hostile),
        people(3, extra=city, hostile=hostile),
    )
    promises = (Promise("k-anonymity", {"k": 5}, "Nobody can be told from 4 others."),)
    certificate = Certificate(
        release=name,
        synthetic=of is not None,
        steps=(Step(name, "rules", {"k": 5, "note": HOSTILE if hostile else ""}),),
        source_name="people.csv",
        source_sha256="ab" * 32,
        source_rows=1200,
        control_rows=200,
        rows_in=1000,
        rows_out=1000,
        rows_suppressed=12,
        persons_in=None,
        columns=(city, "age", "died"),
        quasi_identifiers=(city, "age"),
        promises=() if of else promises,
        not_promised=(f"It is not promised that {name} hides traits.", "Nor a second thing."),
        limits=("Roles were said by people.",),
        seeds="One seed, 7.",
        sfumato="0.1.0",
        files={"data.csv": "cd" * 32},
    )
    changes = (
        ColumnChange("id", None, "suppressed", "left out", "it names a person"),
        ColumnChange("city", city, "generalized", "to its region", "others may know it"),
        ColumnChange("age", "age", "perturbed", "noise added", "others may know it"),
        ColumnChange("died", "died", "kept", "as it is", "it is studied"),
    )
    invented = InventedPeople(
        ("id", "city", "age", "died"),
        (("900001", HOSTILE if hostile else "Ulm", "44", "1"), ("900002", "", "81", "0")),
        (city, "age", "died"),
        (("South", "44.8", "1"), ("", "80.3", "0")),
    )
    findings = (
        Finding("SF001", "Nothing was added", "passed", "3 columns."),
        Finding("SF009", "k-anonymity holds", "failed", "the smallest class has 2 rows."),
        Finding("SF012", "Advice", "failed", "one column is constant.", blocking=False),
        Finding("SF013", "Never ran", "not run", "no schema."),
    )
    evaluation = Evaluation(
        name,
        1000,
        1000,
        200,
        RISKS,
        dict(compared.figures),
        compared,
        tuple(learned(name, protocol) for protocol in protocols),
        ("Something was left out.",),
    )
    return StudyRelease(
        name,
        f"Why {name} was made.",
        "copula" if of else "rules",
        of,
        name,
        "data.csv",
        of is not None,
        changes,
        ("It learned pairs.",) if of else (),
        None if of else invented,
        certificate,
        Verification("data.csv", findings),
        evaluation,
    )


def study(*releases: StudyRelease, roles=None, name="A study") -> Study:
    facts = SourceFacts(
        "people.csv",
        "ab" * 32,
        1200,
        4,
        200,
        None,
        None,
        roles
        or {
            "id": "identifier",
            "city": "quasi-identifier",
            "age": "quasi-identifier",
            "died": "sensitive",
        },
        "died",
        ("The separator is a comma.",),
    )
    columns = {column: SimpleNamespace(note="") for column in facts.roles}
    plan = SimpleNamespace(
        name=name, schema=SimpleNamespace(columns=columns), to_toml=lambda: 'name = "A study"\n'
    )
    return Study(plan, Path("study"), facts, releases, "0.1.0")


@pytest.fixture(scope="module")
def hostile_html() -> str:
    """Every text that a user can choose tries to break out of its place."""
    first = release("coarse", city=HOSTILE, hostile=True)
    roles = {HOSTILE: "quasi-identifier", "age": "quasi-identifier", "died": "sensitive"}
    drawn = release("drawn", of="coarse", protocols=("honest",))
    return render_study(study(first, drawn, roles=roles, name=HOSTILE))


@pytest.fixture(scope="module")
def html() -> str:
    return render_study(
        study(release("coarse"), release("drawn", of="coarse", protocols=("honest",)))
    )


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def profile_html() -> str:
    table = people(5, 400, hostile=True).with_columns(
        pl.Series("patient_id", [f"CANARY{row}" for row in range(400)]),
        pl.Series(HOSTILE, ["a", "b"] * 200),
        pl.date_range(pl.date(2020, 1, 1), pl.date(2021, 2, 3), eager=True).head(400).alias("seen"),
    )
    return render_profile(profile(table))


@pytest.fixture(scope="module")
def evaluation_html() -> str:
    return render_evaluation(release("coarse").evaluation)


@pytest.fixture(params=["hostile_html", "html", "profile_html", "evaluation_html"])
def any_page(request) -> Page:
    return Page(request.getfixturevalue(request.param))


def test_nothing_is_asked_of_anyone(any_page: Page):
    for tag, attributes in any_page.tags:
        for key in (
            "src",
            "href",
            "xlink:href",
            "action",
            "srcset",
            "poster",
            "data",
            "background",
        ):
            if key in attributes:
                assert attributes[key].startswith(("#", "data:")), (tag, key)
        for value in attributes.values():
            assert not re.search(r"url\((?!#)", value or ""), tag
        assert not any(key.startswith("on") for key in attributes), tag
    assert not any_page.all("script", "link", "iframe", "object", "embed", "image", "img", "form")
    assert "url(" not in any_page.style
    assert "@import" not in any_page.style
    policies = [
        attributes["content"]
        for _, attributes in any_page.all("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_every_element_is_closed_in_its_place(any_page: Page):
    assert any_page.broken == []
    assert any_page.open == []


def test_hostile_names_stay_text(hostile_html: str):
    page = Page(hostile_html)
    assert "<script>alert(1)</script>" in page.text
    assert "<script" not in hostile_html
    assert not page.all("b")


def test_headings_go_down_one_step_at_a_time(any_page: Page):
    levels = [int(tag[1]) for tag, _ in any_page.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_ids_are_unique_and_every_reference_finds_one(any_page: Page):
    ids = [attributes["id"] for _, attributes in any_page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = set()
    for _, attributes in any_page.tags:
        wanted |= set(attributes.get("aria-labelledby", "").split())
        if attributes.get("href", "").startswith("#"):
            wanted.add(attributes["href"][1:])
        for value in attributes.values():
            wanted |= set(re.findall(r"url\(#([^)]+)\)", value or ""))
    assert wanted
    assert wanted <= set(ids)


def test_tables_and_charts_speak(any_page: Page):
    headers = any_page.all("th")
    assert headers
    assert all(
        attributes.get("scope") in {"col", "row", "colgroup", "rowgroup"}
        for _, attributes in headers
    )
    charts = [
        attributes for _, attributes in any_page.all("svg") if "aria-hidden" not in attributes
    ]
    assert len(charts) > 2
    assert all(chart["role"] == "img" and chart["aria-labelledby"] for chart in charts)
    assert len(any_page.all("title")) == len(charts) + 1
    assert len(any_page.all("desc")) == len(charts)


def test_same_study_same_bytes(html: str):
    again = render_study(
        study(release("coarse"), release("drawn", of="coarse", protocols=("honest",)))
    )
    assert again == html


def test_the_summary_says_what_each_version_is(page: Page):
    assert "From people.csv, a table of 1,200 rows and 4 columns, 2 versions were made" in page.text
    assert "200 rows were set aside" in page.text
    assert "AUC 0.810 for died" in page.text
    assert "25.0% of its rows are alone with their quasi-identifiers." in page.text
    assert "No row is one person's" in page.text
    assert "In 12 rows (1.20%) all quasi-identifiers were suppressed." in page.text
    assert "age carries noise" in page.text


def test_promises_and_what_is_not_promised_are_printed(page: Page):
    assert "Nobody can be told from 4 others." in page.text
    assert "This version carries no promise about the people in it." in page.text
    for name in ("coarse", "drawn"):
        assert f"It is not promised that {name} hides traits." in page.text
    for code in ("SF001", "SF009", "SF012", "SF013"):
        assert code in page.text
    assert page.text.count("A recount of the file failed (SF009): it must not be handed out.") == 2
    assert "must not be handed out" in page.text


def test_it_never_calls_anything_anonymous_or_blends_a_score(page: Page):
    assert not re.search(r"\banonymous\b|overall risk|privacy score", page.text, re.IGNORECASE)
    assert "There is no overall score and no verdict" in page.text


def test_a_risk_stands_with_interval_guess_and_control(page: Page):
    assert "28.0% to 33.0%" in page.text
    assert "evidence of a leak" in page.text
    assert "not enough data" in page.text
    assert "no evidence" in page.text
    assert "there are no control rows" in page.text


def test_invented_people_are_called_invented(page: Page):
    assert "These people do not exist." in page.text
    assert "Invented person 1" in page.text
    assert "900001 not released" in page.text
    assert "Ulm South" in page.text
    assert "missing missing" in page.text  # person 2 has no city, before and after
    assert "The other 1 column is released as it is." in page.text


def test_the_leak_is_shown_beside_the_honest_score_and_explained(page: Page):
    assert "Why the first is wrong:" in page.text
    assert "not to be believed" in page.text
    assert "coarse 0.970 0.970 0.970 0.810 0.810 0.810" in page.text


def test_without_the_leak_nothing_is_said_of_it():
    text = Page(render_study(study(release("coarse", protocols=("honest",))))).text
    assert "Why the first is wrong" not in text
    assert "not to be believed" not in text


def test_a_bare_study_still_renders():
    bare = release("coarse")
    evaluation = replace(bare.evaluation, risks={}, utility={}, fidelity=None, learned=())
    facts = study(replace(bare, evaluation=evaluation, invented=None, changes=()))
    facts = replace(facts, source=replace(facts.source, control_rows=0, target=None))
    text = Page(render_study(facts)).text
    assert "No rows were set aside" in text
    assert "Not measured." in text
    assert "No model was trained on any version." in text
    assert "No risk was measured." in text


def test_a_wide_table_gets_charts_for_the_columns_that_differ_most():
    random = np.random.default_rng(0)
    real = pl.DataFrame({f"c{place:02}": random.integers(0, 9, 200) for place in range(50)})
    released = real.with_columns(pl.Series("c49", random.integers(0, 3, 200)))
    found = distributions({"v": fidelity(real, released)}, {"v": 0}, {}, real.columns)
    assert len(found.columns) == 36
    assert "c49" in {item.source for item in found.columns}
    assert len(found.left_out) == 14
    assert len(found.distances) == 50


def test_renamed_columns_stand_beside_their_source():
    renamed = people(1).rename({"city": "region"})
    compared = {"a": fidelity(people(1), people(2)), "b": fidelity(renamed, renamed)}
    found = distributions(
        compared, {"a": 0, "b": 1}, {"b": {"region": "city"}}, ["died", "city", "age"]
    )
    assert [source for source, _ in found.distances] == ["died", "city", "age"]
    assert ("city", "as region: b") in {(item.source, item.written) for item in found.columns}
    assert found.yes is not None  # died says 0 or 1


def test_the_evaluation_report_speaks_of_one_release(evaluation_html: str):
    text = Page(evaluation_html).text
    assert "evidence of a leak" in text
    assert "25.0% of its rows are alone" in text
    assert "Something was left out." in text


def test_the_profile_names_no_identifier_and_marks_itself_as_internal(profile_html: str):
    text = Page(profile_html).text
    assert "CANARY" not in profile_html
    assert "patient_id names a person directly." in text
    assert "not for release" in text
    assert "400 rows" in text
    assert "Distinction" in text
    assert "Separation" in text


def test_the_profile_of_a_tiny_table_renders():
    text = Page(render_profile(profile(pl.DataFrame({"age": [4]})))).text
    assert "1 row, 1 column" in text


@pytest.mark.parametrize("name", ["heart_sample.parquet"])
def test_the_profile_of_patients_shows_its_smallest_groups(name: str):
    table = pl.read_parquet(Path(__file__).parents[1] / "data" / name)
    html = render_profile(profile(table))
    text = Page(html).text
    assert "10 smallest groups" in text
    assert "Correlations" in text
    assert len(html) < 1_000_000
