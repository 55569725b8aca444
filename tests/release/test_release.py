"""One release from Python: in the caller's kind, certified, saved whole."""

import json

import pandas as pd
import polars as pl
import pytest

import sfumato
from sfumato.anonymization import Clean, Mondrian, Rules
from sfumato.errors import DataError, GuaranteeNotMet, PlanError
from sfumato.privacy import KAnonymity
from sfumato.release import Certificate, anonymize, release_folder, synthesize, verify
from sfumato.release.folders import sha256
from sfumato.release.making import content_sha256
from sfumato.synthesis import GaussianCopula
from sfumato.table import Hierarchy, Schema

SCHEMA = Schema(
    identifiers=["patient"],
    quasi_identifiers={"age": Hierarchy.intervals([0, 30, 60, 100]), "sex": None, "region": None},
    sensitive=["pressure", "died"],
    target="died",
    person="patient",
)
RULES = Rules(
    columns={"age": {"generalize": 1}, "pressure": {"noise": "gaussian", "scale": 2}}, k=5
)


def test_a_release_has_all_that_goes_with_it(table):
    before = table.clone()
    release = anonymize(table, SCHEMA, RULES, name="grouped")
    assert table.equals(before)
    assert release.data.height == table.height
    assert release.promises == (KAnonymity(5),)
    assert release.verify().passed
    assert release.schema.target == "died"
    assert release.source_schema.identifiers == ("patient",)
    assert release.recoding.apply(table.head(3)).columns == release.data.columns
    assert release.generator is None
    certificate = release.certificate
    assert certificate.persons_in == 400
    assert certificate.rows_out == 400
    assert certificate.steps[0].technique == "rules"
    assert certificate.steps[0].settings["k"] == 5
    assert certificate.promises[0].settings == {"k": 5}
    assert "canary-" not in certificate.to_json()
    assert "canary-" not in repr(release)
    assert "promises KAnonymity(k=5)" in repr(release)


def test_the_data_come_back_in_the_callers_kind(table):
    frame = table.to_pandas().sample(frac=1, random_state=1)
    release = anonymize(frame, SCHEMA, Mondrian(k=5))
    assert isinstance(release.data, pd.DataFrame)
    assert list(release.data.index) == list(frame.index)
    assert type(anonymize(table.to_arrow(), SCHEMA, Clean()).data).__module__.startswith("pyarrow")
    assert isinstance(anonymize(table.lazy(), SCHEMA, Clean()).data, pl.LazyFrame)


def test_a_verdict_is_recounted_from_the_data(table):
    release = anonymize(table, SCHEMA, RULES)
    from dataclasses import replace

    broken = replace(release, data=release.data.with_columns(region=pl.int_range(pl.len())))
    found = broken.verify()
    assert found["SF010"].status == "failed"
    with pytest.raises(GuaranteeNotMet):
        found.demand()


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_saved_release_is_whole_and_can_be_loaded(table, tmp_path, format_):
    release = anonymize(table, SCHEMA, RULES)
    folder = release.save(tmp_path / "out", format=format_)
    assert {path.name for path in folder.iterdir()} == {
        *("certificate.json", "manifest.json", "recoding.json", "schema.toml"),
        f"data.{format_}",
    }
    assert verify(folder).passed
    certificate = Certificate.read(folder / "certificate.json")
    assert certificate.files[f"data.{format_}"] == sha256(folder / f"data.{format_}")
    assert set(certificate.files) == {f"data.{format_}", "schema.toml", "recoding.json"}
    fitted = release_folder.load_fitted(folder)
    again = fitted.apply(table).select(release.data.columns)
    assert again.equals(release.data)
    assert Schema.read(folder / "schema.toml").quasi_identifiers == ("age", "sex", "region")
    release.save(tmp_path / "out", format=format_)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_saving_never_overwrites_what_others_wrote(table, tmp_path):
    release = anonymize(table, SCHEMA, RULES)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(PlanError, match="was not written by sfumato"):
        release.save(tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(PlanError, match="format must be 'csv' or 'parquet'"):
        release.save(tmp_path / "out", format="xlsx")


def test_a_model_is_learned_and_drawn_from(table):
    generator = synthesize(table.to_pandas(), SCHEMA, GaussianCopula())
    drawn = generator.sample(50, seed=1)
    assert drawn.height == 50
    assert "patient" not in drawn.columns
    release = anonymize(table, SCHEMA, GaussianCopula(), rows=70, seed=3)
    assert release.data.height == 70
    assert release.certificate.synthetic
    assert release.promises == ()
    assert any("repeat the people" in one for one in release.certificate.not_promised)
    with pytest.raises(PlanError, match="makes no model: use anonymize"):
        synthesize(table, SCHEMA, Clean())
    with pytest.raises(PlanError, match="a recoding keeps the rows"):
        anonymize(table, SCHEMA, Clean(), rows=7)


def test_what_is_no_technique_is_refused(table):
    with pytest.raises(PlanError, match="str is no technique"):
        anonymize(table, SCHEMA, "rules")

    class Strange:
        def fit(self, table, schema, *, progress):
            return 3

    with pytest.raises(PlanError, match="a technique gives a Recoding or a Generator"):
        anonymize(table, SCHEMA, Strange())


def test_nothing_left_to_release_is_an_error(table):
    ids = Schema(identifiers=["patient"])
    with pytest.raises(DataError, match="nothing"):
        anonymize(table.select("patient"), ids, Clean())


def test_what_is_not_promised_is_said(table):
    nothing = anonymize(table, SCHEMA, Clean()).certificate
    assert nothing.promises == ()
    assert nothing.not_promised[0].startswith("Nothing is promised")
    grouped = anonymize(table, SCHEMA, RULES).certificate
    assert any("share a diagnosis" in one for one in grouped.not_promised)
    assert any("400" not in one for one in grouped.limits)


def test_a_certificate_survives_a_file(table, tmp_path):
    certificate = anonymize(table, SCHEMA, RULES).certificate
    assert Certificate.from_dict(json.loads(certificate.to_json())) == certificate
    (tmp_path / "c.json").write_text(certificate.to_json().replace('"format": 1', '"format": 2'))
    with pytest.raises(DataError, match=r"c\.json is not a certificate"):
        Certificate.read(tmp_path / "c.json")


def test_the_same_content_has_the_same_hash_and_another_another():
    table = pl.DataFrame({"a": [1, None], "b": ["", "x"]})
    assert content_sha256(table) == content_sha256(table.clone())
    others = (
        pl.DataFrame({"a": [1, None], "b": [None, "x"]}),
        pl.DataFrame({"a": ["1", None], "b": ["", "x"]}),
        table.rename({"a": "c"}),
        table.reverse(),
    )
    assert len({content_sha256(one) for one in (table, *others)}) == 5


def test_every_public_name_is_there():
    from sfumato import release

    for name in release.__all__:
        assert getattr(release, name) is not None
    assert sorted(release.__all__) == dir(release)
    with pytest.raises(AttributeError):
        release.absent  # noqa: B018
    assert sfumato.Release is release.Release


def visits(suppressed):
    """Sixty people of eight visits each, whose ages are nearly their own."""
    people = pl.DataFrame(
        {"patient": [f"p{n}" for n in range(60)], "age": [20 + n for n in range(60)]}
    )
    table = people.join(pl.DataFrame({"visit": range(8)}), how="cross")
    table = pl.concat([table, pl.DataFrame({"patient": ["lone"], "age": [99], "visit": [0]})])
    schema = Schema(
        identifiers=["patient"], quasi_identifiers=["age"], other=["visit"], person="patient"
    )
    if suppressed is None:
        return table, schema, Clean()
    bands = {"age": {"round": 2}}
    return table, schema, Rules(columns=bands, k=2, suppressed=suppressed)


@pytest.mark.parametrize("suppressed", [None, "star", "drop"])
def test_a_promise_of_a_later_release_counts_people_too(suppressed):
    from sfumato.release.making import Made, fit

    table, schema, first = visits(suppressed)
    origin = Made.of(fit(first, table, schema), table, schema)
    assert origin.persons.len() == origin.data.height
    shared = pl.col("patient").n_unique().over((pl.col("age") + 1) // 2) >= 2
    kept = table.filter(shared) if suppressed == "drop" else table
    assert origin.persons.to_list() == kept["patient"].to_list()
    assert kept.height < table.height or suppressed != "drop"
    assert "patient" not in origin.data.columns

    rows, onward = origin.onward()
    assert "patient" not in rows.columns  # a number goes on, not who it is
    later = Made.of(fit(Mondrian(k=5), rows, onward), rows, onward)
    assert "patient" not in later.data.columns
    assert later.persons_in == origin.persons.n_unique()
    people = later.data.with_columns(later.persons.alias("patient"))
    assert people.group_by("age").agg(pl.col("patient").n_unique())["patient"].min() >= 5
    # counted in rows, which is what went on before, a person's eight would have done
    alone = Made.of(fit(Mondrian(k=5), origin.data, origin.schema), origin.data, origin.schema)
    fewest = alone.data.with_columns(origin.persons.alias("patient"))
    assert fewest.group_by("age").agg(pl.col("patient").n_unique())["patient"].min() < 5


def test_drawn_rows_are_nobodys(table):
    from sfumato.release.making import Made, fit

    made = Made.of(fit(GaussianCopula(), table, SCHEMA), table, SCHEMA)
    assert made.persons is None
    assert made.onward() == (made.data, made.schema)


def test_the_certificate_says_what_chance_order_and_rows_leave_open(table):
    certificate = anonymize(table, SCHEMA, RULES).certificate
    assert any("average the chance away" in sentence for sentence in certificate.not_promised)
    assert any("in the order of the source" in sentence for sentence in certificate.limits)
    assert not any("a person of its own" in sentence for sentence in certificate.limits)
    nobody = Schema.from_dict(
        {name: value for name, value in SCHEMA.to_dict().items() if name != "person"}
    )
    grouped = anonymize(table, nobody, Mondrian(k=5)).certificate
    assert any("a person of its own" in sentence for sentence in grouped.limits)
    assert not any("average" in sentence for sentence in grouped.not_promised)
    drawn = anonymize(table, SCHEMA, GaussianCopula()).certificate
    assert not any("order of the source" in sentence for sentence in drawn.limits)


def test_a_pseudonym_may_be_released_and_counts_people(table, tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_KEY", "0123456789abcdef-of-the-test")
    twice = pl.concat([table, table])
    rules = Rules(
        columns={**RULES.columns, "patient": {"pseudonym": {"key_env": "STUDY_KEY"}}}, k=5
    )
    release = anonymize(twice, SCHEMA, rules)
    assert release.schema.person == "patient"
    assert release.schema.identifiers == ()
    found = verify(release.save(tmp_path / "release"))
    assert found.passed
    assert (found["SF006"].status, found["SF013"].status) == ("passed", "passed")
    raw = twice["patient"].to_list()
    leaked = release.data.with_columns(patient=pl.Series(raw))
    assert not set(raw) & set(release.data["patient"])
    assert not verify(leaked, SCHEMA).passed
