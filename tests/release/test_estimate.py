"""A guess before long work: it knows the size without reading, and what makes it longer."""

import polars as pl
import pytest

from sfumato.errors import PlanError
from sfumato.release import Plan
from sfumato.release.estimate import estimate, estimate_of


def test_a_text_is_sized_by_its_first_lines(plan_file):
    found = estimate(Plan.read(plan_file))
    assert found.columns == 6
    assert 380 <= found.rows <= 420
    assert [step.what for step in found.steps][:3] == [
        "reading the source",
        "making 'clean'",
        "measuring 'clean'",
    ]
    assert found.seconds == pytest.approx(sum(step.seconds for step in found.steps))
    assert "about" in found.describe()[0]
    assert found.to_dict()["seconds"] == found.seconds


def test_a_parquet_file_is_counted(plan_file):
    table = pl.DataFrame({"age": range(5000), "died": [0, 1] * 2500})
    table.write_parquet(plan_file.with_name("p.parquet"))
    text = plan_file.read_text().replace("patients.csv", "p.parquet")
    plan_file.write_text(text)
    found = estimate(Plan.read(plan_file))
    assert (found.rows, found.columns) == (5000, 2)
    plan_file.write_text(text.replace('"p.parquet"', '"p.parquet"\nn_rows = 70'))
    assert estimate(Plan.read(plan_file)).rows == 70
    plan_file.with_name("p.parquet").write_text("no parquet")
    with pytest.raises(PlanError, match="is not a Parquet file"):
        estimate(Plan.read(plan_file))


def test_training_is_counted_per_model_protocol_and_size(plan_file):
    text = plan_file.read_text()

    def seconds(old, new):
        plan_file.write_text(text.replace(old, new))
        return estimate(Plan.read(plan_file)).seconds

    usual = seconds("", "")
    network = seconds('"naive-bayes"', '"mlp"')
    assert network > usual
    assert seconds('["naive-bayes"]', '["mlp"]\nnetwork = { epochs = 2 }') < network
    assert seconds('["naive-bayes"]', '["mlp"]\nnetwork = { hidden = [8] }') < network
    assert seconds('["naive-bayes"]', '["naive-bayes", "svm"]') > usual
    assert seconds("control = 0.25", "control = 0") < usual


def test_a_size_that_only_reading_tells_is_not_guessed(plan_file):
    text = plan_file.read_text().replace(
        'path = "patients.csv"', 'url = "sqlite:///x.db"\nquery = "patients"'
    )
    plan_file.write_text(text)
    found = estimate(Plan.read(plan_file))
    assert found.rows is None
    assert found.describe() == ("how long it takes cannot be told before the source is read",)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (80, "80 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_times_are_told_in_round_words(seconds, text):
    from sfumato.release.estimate import Estimate, EstimatedStep

    found = Estimate(1000, 3, (EstimatedStep("work", seconds),), 2e9)
    assert f"roughly {text} and 2.0 GB" in found.describe()[1]


def test_attacks_are_counted_by_their_number_and_by_the_people_attacked(plan_file):
    text = plan_file.read_text()
    line = next(line for line in text.splitlines() if line.startswith("attacks = "))

    def seconds(attacks):
        plan_file.write_text(text.replace(line, f"attacks = {attacks}"))
        return estimate(Plan.read(plan_file)).seconds

    none, few, all_of_them = seconds("{ only = [] }"), seconds("{ most = 20 }"), seconds("{}")
    assert none < few < all_of_them
    assert seconds("{ most = 0 }") == none


def test_a_model_of_counts_takes_its_time_whatever_the_rows(plan_file):
    """Adult's 547,036 cells took 13.8 s by latent factors, 22.8 s by marginals (CPU)."""
    text = plan_file.read_text()
    budget = 'budget = { epsilon = 1, delta = "1e-11" }'
    for technique, measured in (("dp-latent-factor", 13.8), ("dp-marginals", 22.8)):
        release = f'[[release]]\nname = "private"\ntechnique = "{technique}"\n{budget}\n'
        plan_file.write_text(text.replace("[[release]]", f"{release}[[release]]", 1))
        steps = estimate_of(Plan.read(plan_file), 39_074, 14).steps
        (made,) = [step.seconds for step in steps if step.what == "making 'private'"]
        assert measured / 2 < made < measured * 2
        fewer = estimate_of(Plan.read(plan_file), 500, 14).by_release["private"]
        more = estimate_of(Plan.read(plan_file), 400_000, 14).by_release["private"]
        assert fewer < made < more


@pytest.mark.parametrize(
    ("technique", "rows", "columns", "measured"),
    [
        ("vae", 190_104, 34, 212.0),  # the heart survey
        ("vae", 39_074, 14, 38.0),  # Adult
        ("vae", 1_688, 17, 10.0),  # obesity
        ("vae", 248, 13, 5.1),  # back pain
        ("autoencoder", 248, 13, 8.4),
        ("latent-factor", 80_000, 9, 11.2),  # Diabetes
    ],
)
def test_what_is_trained_takes_about_what_was_measured(
    plan_file, technique, rows, columns, measured
):
    """CPU seconds of fitting and drawing as many rows, as benchmarks/ measured them."""
    release = f'[[release]]\nname = "made"\ntechnique = "{technique}"\n'
    plan_file.write_text(plan_file.read_text().replace("[[release]]", f"{release}[[release]]", 1))
    steps = estimate_of(Plan.read(plan_file), rows, columns).steps
    (made,) = [step.seconds for step in steps if step.what == "making 'made'"]
    assert measured / 2 < made < measured * 2


def test_what_is_trained_longer_takes_longer(plan_file):
    text = plan_file.read_text()

    def seconds(technique, settings=""):
        release = f'[[release]]\nname = "made"\ntechnique = "{technique}"\n{settings}\n'
        plan_file.write_text(text.replace("[[release]]", f"{release}[[release]]", 1))
        steps = estimate_of(Plan.read(plan_file), 5_000, 12).steps
        return next(step.seconds for step in steps if step.what == "making 'made'")

    assert seconds("vae", "epochs = 3") < seconds("vae") < seconds("vae", "epochs = 500")
    assert seconds("autoencoder", "epochs = 3") < seconds("autoencoder")
    assert seconds("latent-factor") < seconds("latent-factor", "posterior = 20")
