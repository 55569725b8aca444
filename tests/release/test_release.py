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
