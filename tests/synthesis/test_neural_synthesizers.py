import json
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.stats import multivariate_normal

from sfumato.errors import DataError, MissingExtra, PlanError
from sfumato.synthesis import Generator
from sfumato.synthesis.neural import (
    Autoencoder,
    VariationalAutoencoder,
    autoencoder_generator,
    variational_generator,
)
from sfumato.synthesis.neural.latent_density import LatentDensity, Mixture
from sfumato.table import Schema

HEART = Path(__file__).parents[1] / "data" / "heart_sample.parquet"
OBESITY = Path(__file__).parents[1] / "data" / "obesity.csv.gz"
SCHEMA = Schema(target="ill", rest="other")
FAST = {"epochs": 25, "learning_rate": 0.01, "minimum": 5}
KINDS = {
    "variational": VariationalAutoencoder(latent=3, hidden=24, **FAST),
    "independent": VariationalAutoencoder(
        latent=3, hidden=24, beta=0.2, decoder="independent", conditional=False, **FAST
    ),
    "autoencoder": Autoencoder(
        layers=(24, 12), latent=4, batch_size=32, epochs=80, learning_rate=0.003, minimum=5
    ),
}


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    n = 900
    x = random.normal(size=n)
    ill = random.random(n) < np.where(x > 1, 0.4, 0.03)
    return pl.DataFrame(
        {
            "age": np.clip(50 + 12 * x, 18, 99).round().astype(int),
            "town": np.where(x > 0, "north", random.choice(["south", "west"], n)),
            "level": [
                None if gone else float(value)
                for gone, value in zip(random.random(n) < 0.15, (x**2).round(2), strict=True)
            ],
            "smokes": random.random(n) < 0.3,
            "ill": np.where(ill, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def models(table):
    return {name: kind.fit(table, SCHEMA) for name, kind in KINDS.items()}


@pytest.mark.parametrize("name", KINDS)
def test_a_sample_has_types_bounds_margins_and_spread_of_the_table(name, models, table):
    sample = models[name].sample(8_000, seed=1)
    assert sample.schema == table.schema
    for column in ("town", "smokes", "ill"):
        shares = table[column].value_counts(normalize=True)
        drawn = sample[column].value_counts(normalize=True)
        both = shares.join(drawn, on=column, how="full", suffix="_drawn")
        apart = both["proportion"].fill_null(0) - both["proportion_drawn"].fill_null(0)
        assert apart.abs().sum() / 2 < 0.04
    assert sample["level"].null_count() / 8_000 == pytest.approx(
        table["level"].null_count() / table.height, abs=0.03
    )
    for column in ("age", "level"):
        assert table[column].min() <= sample[column].min()
        assert sample[column].max() <= table[column].max()
        assert 0.8 * table[column].std() < sample[column].std() < 1.2 * table[column].std()


@pytest.mark.parametrize("name", KINDS)
def test_what_belongs_together_stays_together(name, models, table):
    sample = models[name].sample(8_000, seed=2)
    old = pl.col("age") > 62

    def gap(rows):
        ill = pl.col("ill") == "yes"
        return rows.filter(old).select(ill.mean()).item() - rows.select(ill.mean()).item()

    assert gap(sample) > 0.4 * gap(table)
    north = pl.col("town") == "north"
    assert sample.filter(old).select(north.mean()).item() > 0.85


@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_gives_the_same_rows_and_a_longer_sample_begins_like_a_shorter(name, models):
    model = models[name]
    long = model.sample(9_000, seed=3)
    assert_frame_equal(model.sample(20, seed=3), long[:20])
    assert_frame_equal(model.sample(9_000, seed=3), long)
    assert not model.sample(20, seed=4).equals(long[:20])


@pytest.mark.parametrize("name", KINDS)
def test_a_saved_model_draws_the_same_and_holds_no_code(name, models, tmp_path):
    models[name].save(tmp_path / "model.json")
    again = Generator.load(tmp_path / "model.json")
    assert type(again) is type(models[name])
    assert_frame_equal(again.sample(50, seed=5), models[name].sample(50, seed=5))
    assert again.to_dict() == models[name].to_dict()
    json.loads((tmp_path / "model.json").read_text())


@pytest.mark.parametrize("name", ["variational", "autoencoder"])
def test_the_same_seed_learns_the_same_model(name, table):
    kind = KINDS[name].model_copy(update={"epochs": 3})
    assert kind.fit(table, SCHEMA).to_dict() == kind.fit(table, SCHEMA).to_dict()
    other = kind.model_copy(update={"seed": 1})
    assert other.fit(table, SCHEMA).to_dict() != kind.fit(table, SCHEMA).to_dict()


@pytest.mark.parametrize(
    ("name", "given"),
    list(product(KINDS, [{"ill": "yes"}, {"town": "north", "smokes": True}, {"level": None}])),
)
def test_given_values_are_held_and_the_rest_follows_the_model(name, given, models):
    model = models[name]
    found = model.sample(3_000, seed=6, given=given)
    assert found.height == 3_000
    free = model.sample(60_000, seed=7)
    for column, value in given.items():
        same = pl.col(column).is_null() if value is None else pl.col(column) == value
        assert found.select(same.all()).item()
        free = free.filter(same)
    error = 4 * (1 / free.height + 1 / 3_000) ** 0.5
    assert abs(found["age"].mean() - free["age"].mean()) < error * free["age"].std()
    for one in ("ill", "town"):
        for value in free[one].unique():
            expected = free.select((pl.col(one) == value).mean()).item()
            assert abs(found.select((pl.col(one) == value).mean()).item() - expected) < error


@pytest.mark.parametrize("name", KINDS)
def test_a_given_value_that_was_not_learned_is_refused(name, models):
    with pytest.raises(DataError, match="not learned"):
        models[name].sample(5, seed=0, given={"town": "Atlantis"})
    with pytest.raises(DataError, match="Did you mean 'town'"):
        models[name].sample(5, seed=0, given={"twon": "north"})
    with pytest.raises(DataError, match="at least 1"):
        models[name].sample(0, seed=0)


@pytest.mark.parametrize("name", KINDS)
def test_a_model_says_what_it_learned(name, models):
    words = " ".join(models[name].describe())
    assert "900 rows" in words
    assert "Warning: 900 rows are few" in words
    assert "No formal promise" in words
    assert ("ill is drawn first" in words) == (name != "independent")


@pytest.mark.parametrize("name", ["variational", "autoencoder"])
def test_rare_values_identifiers_and_people_are_minded(name):
    random = np.random.default_rng(1)
    n = 400
    table = pl.DataFrame(
        {
            "id": range(n),
            "who": np.arange(n) // 2,
            "job": ["clerk"] * 250 + ["nurse"] * 146 + ["king"] * 4,
            "pay": np.r_[random.normal(100, 20, n - 1).round(), 10_000.0],
        }
    )
    schema = Schema(identifiers=["id"], person="who", rest="other")
    model = KINDS[name].fit(table, schema)
    sample = model.sample(5_000, seed=0)
    assert sample.columns == ["job", "pay"]
    assert set(sample["job"]) == {"clerk", "nurse"}
    assert sample["pay"].max() < 200
    assert model.left_out == ("id", "who")


def test_rules_and_derived_columns_are_kept(table):
    kind = VariationalAutoencoder(
        latent=2,
        hidden=16,
        epochs=3,
        derived={"decade": "age / 10"},
        rules=("not smokes or age >= 30",),
    )
    rows = table.with_columns((pl.col("age") / 10).alias("decade"))
    sample = kind.fit(rows, SCHEMA).sample(500, seed=0)
    assert (sample["decade"] == sample["age"] / 10).all()
    assert not (sample["smokes"] & (sample["age"] < 30)).any()


@pytest.mark.parametrize("name", ["variational", "autoencoder"])
def test_progress_is_told_to_the_end(name, table):
    told = {}
    kind = KINDS[name].model_copy(update={"epochs": 3})
    model = kind.fit(
        table, SCHEMA, progress=lambda task, done, total: told.update({task: done / total})
    )
    model.sample(10, seed=0, progress=lambda task, done, total: told.update({task: done / total}))
    assert {"training the network", "fitting the latent density", "drawing rows"} <= set(told)
    assert set(told.values()) == {1.0}


@pytest.mark.parametrize("kind", [VariationalAutoencoder, Autoencoder])
def test_without_the_extra_learning_says_what_to_install(kind, table, monkeypatch):
    for module in ("variational", "autoencoder"):
        monkeypatch.setattr(f"sfumato.synthesis.neural.{module}.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"sfumato\[neural\]"):
        kind().fit(table, SCHEMA)


@pytest.mark.parametrize(
    ("rows", "architecture", "expected"),
    [
        (310, "by size", (64, 12, 3)),
        (310, "back pain", (64, 12, 6)),
        (2_111, "by size", (64, 32, 16)),
        (70_000, "by size", (24, 12, 12)),
        (310, "cardio", (24, 12, 12)),
    ],
)
def test_the_study_s_architectures(rows, architecture, expected):
    chosen = Autoencoder(architecture=architecture)._chosen(rows)
    assert (*chosen.layers, chosen.latent) == expected
    assert Autoencoder(architecture=architecture, latent=3)._chosen(rows).latent == 3


def test_few_rows_get_few_dimensions_and_noise():
    chosen = Autoencoder()._chosen(248)
    assert (chosen.latent, chosen.noise, chosen.batch_size) == (3, 0.1, 32)
    assert Autoencoder()._chosen(1_000).latent == 16


def test_the_density_of_a_mixture_is_that_of_its_normal_distributions():
    random = np.random.default_rng(0)
    root = np.tril(random.normal(size=(2, 3, 3))) + 2 * np.eye(3)
    mixture = Mixture(
        np.array([0.3, 0.7]), random.normal(size=(2, 3)).astype(np.float32), root.astype(np.float32)
    )
    points = random.normal(size=(20, 3)).astype(np.float32)
    expected = sum(
        weight * multivariate_normal(mean, factor * one @ one.T).pdf(points)
        for weight, mean, one, factor in zip(
            mixture.weight, mixture.mean, mixture.spread.astype(float), [1.5, 1.5], strict=True
        )
    )
    assert np.exp(mixture.widened(1.5).log_density(points)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("apart", "parts"), [(0.0, {1}), (8.0, {3, 4})])
def test_rows_held_out_choose_how_many_parts_a_latent_density_has(apart, parts):
    random = np.random.default_rng(2)
    part = random.integers(0, 3, 900)
    centres = apart * np.array([[0.0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]])
    points = (centres[part] + random.normal(size=(900, 4))).astype(np.float32)
    aside = np.arange(900) % 10 == 0
    told = []
    density = LatentDensity.judged(
        points,
        np.zeros(900, dtype=np.int64),
        1,
        aside,
        parts=12,
        minimum=10,
        seed=0,
        told=lambda done, total: told.append((done, total)),
    )
    assert density.parts in parts
    assert told[-1][0] == told[-1][1]


def test_a_latent_density_never_sees_what_it_is_judged_by():
    random = np.random.default_rng(3)
    points = random.normal(size=(300, 2)).astype(np.float32)
    aside = np.arange(300) < 30
    chosen = {"parts": 4, "minimum": 10, "seed": 0, "told": lambda done, total: None}
    classes = np.zeros(300, dtype=np.int64)
    one = LatentDensity.judged(points, classes, 1, aside, **chosen)
    only = LatentDensity.fit(points[30:], classes[30:], 1, **{**chosen, "parts": 1})
    assert one.mixtures[0].mean == pytest.approx(only.mixtures[0].mean)
    without = LatentDensity.judged(points, classes, 1, np.zeros(300, dtype=bool), **chosen)
    assert without.to_dict() == LatentDensity.fit(points, classes, 1, **chosen).to_dict()


def test_the_autoencoder_says_what_mends_a_leak(models):
    assert "few rows" in " ".join(models["autoencoder"].describe())
    assert "few rows" not in " ".join(models["variational"].describe()).replace("rows are few", "")


def test_a_layer_needs_a_width():
    with pytest.raises(PlanError, match="layers"):
        Autoencoder(layers=(0,))


def test_reading_and_drawing_need_no_torch():
    for module in (variational_generator, autoencoder_generator):
        assert "torch" not in Path(module.__file__).read_text("utf-8")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("kind", [VariationalAutoencoder(), Autoencoder(epochs=300)])
def test_no_column_of_the_study_collapses_and_rare_classes_stay(kind):
    table = pl.read_csv(OBESITY)
    model = kind.fit(table, Schema(target="NObeyesdad", rest="other"))
    sample = model.sample(table.height, seed=0)
    for name in table.columns:
        if table[name].value_counts(sort=True)["count"][0] < 0.95 * table.height:
            assert sample[name].std() > 0.8 * table[name].std(), name
    shares = table["NObeyesdad"].value_counts(normalize=True).sort("NObeyesdad")
    drawn = sample["NObeyesdad"].value_counts(normalize=True).sort("NObeyesdad")
    assert drawn["proportion"].to_list() == pytest.approx(shares["proportion"].to_list(), abs=0.03)


@pytest.mark.slow
@pytest.mark.long
def test_a_wide_medical_table_keeps_its_ties():
    heart = pl.read_parquet(HEART)
    schema = Schema(identifiers=["PatientID"], target="HadHeartAttack", rest="other")
    sample = VariationalAutoencoder(hidden=96, epochs=15).fit(heart, schema).sample(8_000, seed=0)
    real = heart.drop("PatientID")
    assert sample.schema == real.schema
    names = ["HeightInMeters", "WeightInKilograms", "BMI"]
    apart = np.corrcoef(real[names].to_numpy().T) - np.corrcoef(sample[names].to_numpy().T)
    assert np.abs(apart).max() < 0.15
