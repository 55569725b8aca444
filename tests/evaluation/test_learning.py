import json
from itertools import permutations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from imblearn.over_sampling import SMOTE
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.svm import LinearSVC

from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.evaluation.classes import classes_of
from sfumato.evaluation.comparison import compare
from sfumato.evaluation.learned import Learned
from sfumato.evaluation.learning import train_and_test
from sfumato.evaluation.metrics import SCORES
from sfumato.evaluation.models import MODEL_NAMES
from sfumato.evaluation.network import MultilayerPerceptron
from sfumato.evaluation.protocols import Protocol, smote, validation_part

DATA = Path(__file__).parents[1] / "data"
TARGET = "HadHeartAttack"
NETWORK = MultilayerPerceptron(hidden=(32, 16), batch_size=256, epochs=4)


@pytest.fixture(scope="module")
def heart() -> tuple[pl.DataFrame, pl.DataFrame]:
    table = pl.read_parquet(DATA / "heart_sample.parquet").drop("PatientID", "State")
    return table[:3000], table[3000:]


@pytest.fixture(scope="module")
def honest(heart: tuple[pl.DataFrame, pl.DataFrame]) -> Learned:
    return train_and_test(*heart, target=TARGET, model=NETWORK, seed=1, version="clean")


@pytest.fixture
def seen_by_smote(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Record what SMOTE is given."""
    seen = []
    real = SMOTE.fit_resample

    def spy(self: SMOTE, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append((X.copy(), y.copy()))
        return real(self, X, y)

    monkeypatch.setattr(SMOTE, "fit_resample", spy)
    return seen


def auc(learned: Learned) -> float:
    found = learned.scores["auc"].value
    assert found is not None
    return found


class TestHonest:
    def test_it_learns_and_says_from_what(self, honest: Learned, heart: tuple) -> None:
        train, test = heart
        assert auc(honest) > 0.8
        assert honest.rows_train + honest.rows_validation == train.height
        assert honest.rows_validation == pytest.approx(0.15 * train.height, abs=1)
        assert (honest.rows_test, honest.rows_made, honest.rows_test_made) == (1000, 0, 0)
        assert honest.positives_test == test[TARGET].sum()
        assert (honest.model, honest.positive, honest.threshold) == ("mlp", "1", 0.5)
        assert honest.warning == ""
        assert honest.epochs == len(honest.history) == 4
        assert set(honest.scores) == set(SCORES)
        assert honest.confusion is not None
        assert honest.confusion.classes == ("0", "1")
        assert sum(map(sum, honest.confusion.counts)) == 1000
        assert honest.confusion.counts[1][0] + honest.confusion.counts[1][1] == test[TARGET].sum()

    def test_the_same_seed_gives_the_same_result(self, honest: Learned, heart: tuple) -> None:
        again = train_and_test(*heart, target=TARGET, model=NETWORK, seed=1, version="clean")
        other = train_and_test(*heart, target=TARGET, model=NETWORK, seed=2, version="clean")
        first, second = honest.to_dict(), again.to_dict()
        first["seconds_cpu"] = second["seconds_cpu"] = 0
        assert first == second
        assert honest.prediction.ranking.tobytes() == again.prediction.ranking.tobytes()
        assert auc(other) != auc(honest)

    @pytest.mark.parametrize("protocol", ["honest", "honest-smote"])
    def test_no_test_row_moves_what_is_learned(self, heart: tuple, protocol: str) -> None:
        train, test = heart
        model = LogisticRegression(max_iter=1000)
        whole, part, altered = (
            train_and_test(
                train, rows, target=TARGET, model=model, protocol=protocol
            ).prediction.ranking
            for rows in (test, test[:400], test[:400].with_columns(pl.col("BMI") * 3))
        )
        assert np.array_equal(whole[:400], part)
        assert not np.array_equal(altered, part)

    def test_inputs_are_left_as_they_are(self, heart: tuple) -> None:
        train, test = heart
        before = train.clone(), test.clone()
        model = RandomForestClassifier(5)
        train_and_test(train, test, target=TARGET, model=model, protocol="honest-smote")
        assert train.equals(before[0])
        assert test.equals(before[1])
        assert not hasattr(model, "classes_")
        assert model.random_state is None


class TestSmote:
    def test_it_is_imbalanced_learns(self, heart: tuple) -> None:
        X = heart[0].select(pl.col(pl.Int8, pl.Float64)).drop(TARGET).to_numpy()
        y = heart[0][TARGET].to_numpy()
        made_X, made_y, too_small = smote(X, y, seed=42)
        wanted_X, wanted_y = SMOTE(random_state=42).fit_resample(X, y)
        assert np.array_equal(made_X, wanted_X)
        assert np.array_equal(made_y, wanted_y)
        assert too_small == 0

    def test_classes_of_a_few_rows_are_left_and_told(self) -> None:
        random = np.random.default_rng(0)
        y = np.repeat([0, 1, 2], [50, 10, 5])
        _, codes, too_small = smote(random.normal(size=(65, 3)), y, seed=0)
        assert np.bincount(codes).tolist() == [50, 50, 5]
        assert too_small == 1

    def test_it_sees_only_the_training_part(
        self, heart: tuple, seen_by_smote: list[tuple[np.ndarray, np.ndarray]]
    ) -> None:
        train, test = heart
        # Weight tells everyone apart: training rows are 1, 2, 3 and so on, test rows below 0.
        train = train.with_columns(WeightInKilograms=pl.int_range(1, 3001).cast(pl.Float64))
        test = test.with_columns(WeightInKilograms=-pl.int_range(1, 1001).cast(pl.Float64))
        learned = train_and_test(
            train, test, target=TARGET, model=NETWORK, protocol="honest-smote", seed=3
        )
        ((X, y),) = seen_by_smote
        held = validation_part(train[TARGET].to_numpy(), 0.15, 3)
        assert len(X) == (~held).sum()
        weights = [column for column in X.T if len(np.unique(column)) == len(X)]
        scaled = train["WeightInKilograms"].to_numpy()[~held]
        (column,) = weights
        np.testing.assert_allclose(column, (scaled - scaled.mean()) / scaled.std(), rtol=1e-3)
        assert learned.rows_made == (y == 0).sum() - (y == 1).sum()
        assert learned.rows_train == 2 * (y == 0).sum()
        assert learned.rows_validation == held.sum()
        assert learned.rows_test_made == 0

    def test_the_validation_part_holds_each_class_alike(self) -> None:
        y = np.repeat([0, 1, 2], [1000, 100, 1])
        held = validation_part(y, 0.15, 7)
        assert np.bincount(y[held], minlength=3).tolist() == [150, 15, 0]
        assert np.array_equal(held, validation_part(y, 0.15, 7))
        assert not np.array_equal(held, validation_part(y, 0.15, 8))


class TestAsPublished:
    def test_the_leak_is_repeated_and_said(
        self, heart: tuple, seen_by_smote: list[tuple[np.ndarray, np.ndarray]]
    ) -> None:
        train, test = heart
        learned, without = (
            train_and_test(
                train, rows, target=TARGET, model="random-forest", protocol="as-published", seed=1
            )
            for rows in (test, test[:50])
        )
        assert len(seen_by_smote[0][0]) == train.height
        negatives = (train[TARGET] == 0).sum()
        rows = np.arange(2 * negatives)
        _, rest = train_test_split(rows, test_size=0.3, random_state=42)
        _, tested = train_test_split(rest, test_size=0.5, random_state=42)
        assert learned.rows_test == len(tested)
        assert learned.rows_test_made == (tested >= train.height).sum()
        assert learned.scores["f1"].value > 0.9
        assert without.scores == learned.scores
        assert f"{learned.rows_test_made:,} of the {len(tested):,} test rows" in learned.warning
        assert "Not to be believed" in learned.warning
        assert learned.warning.count(". ") == 0

    def test_honesty_costs_half_of_it(self, heart: tuple) -> None:
        smoted = train_and_test(
            *heart, target=TARGET, model="random-forest", protocol=Protocol.HONEST_SMOTE
        )
        assert smoted.scores["f1"].value < 0.5
        assert smoted.warning == ""

    def test_it_cannot_be_compared(self, heart: tuple, honest: Learned) -> None:
        leaking = train_and_test(*heart, target=TARGET, model=NETWORK, protocol="as-published")
        with pytest.raises(DataError, match="not scored on the same real test rows"):
            compare(leaking, honest)
        with pytest.raises(DataError, match="not scored on the same real test rows"):
            compare(leaking, leaking)


class TestModels:
    @pytest.mark.parametrize("name", [name for name in MODEL_NAMES if name != "mlp"])
    def test_every_name_learns(self, heart: tuple, name: str) -> None:
        train, test = heart
        learned = train_and_test(train[:800], test[:500], target=TARGET, model=name)
        assert learned.model == name
        assert auc(learned) > 0.5
        assert learned.rows_train == 800
        assert learned.rows_validation == 0
        assert learned.history == ()
        assert learned.scores["brier"].computed is (name != "svm")

    def test_an_estimator_takes_the_networks_place(self, heart: tuple) -> None:
        train, test = heart[0][:600], heart[1]
        by_name = train_and_test(train, test, target=TARGET, model="random-forest", seed=4)
        given = RandomForestClassifier(random_state=4)
        by_object = train_and_test(train, test, target=TARGET, model=given, seed=9)
        assert by_object.model == "RandomForestClassifier"
        assert np.array_equal(by_object.prediction.ranking, by_name.prediction.ranking)
        ranked = train_and_test(*heart, target=TARGET, model=LinearSVC())
        assert ranked.threshold == 0.0
        assert auc(ranked) > 0.8

    def test_one_that_did_not_converge_is_noted(self, heart: tuple) -> None:
        learned = train_and_test(*heart, target=TARGET, model=LogisticRegression(max_iter=2))
        assert learned.notes == ("LogisticRegression stopped before it converged",)

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            ("random_forest", "Did you mean 'random-forest'"),
            (object(), "and not object"),
            (SMOTE(), "and not SMOTE"),
            (LinearSVC, "and not the class LinearSVC"),
        ],
    )
    def test_others_are_refused(self, heart: tuple, model: object, message: str) -> None:
        with pytest.raises(PlanError, match=message):
            train_and_test(*heart, target=TARGET, model=model)
        with pytest.raises(PlanError, match="Known: honest, honest-smote, as-published"):
            train_and_test(*heart, target=TARGET, protocol="smote")


class TestTarget:
    def test_many_classes_are_scored_as_macro_averages(self) -> None:
        table = pl.read_csv(DATA / "obesity.csv.gz")
        learned = train_and_test(
            table[::2], table[1::2], target="NObeyesdad", model=NETWORK, protocol="honest-smote"
        )
        assert len(learned.confusion.classes) == 7
        assert learned.scores["auc"].name == "area under the ROC curve, macro average"
        assert auc(learned) > 0.6
        assert (learned.positive, learned.threshold, learned.positives_test) == (None, None, None)
        assert len(learned.roc) == 7
        assert learned.calibration == ()

    def test_one_class_is_not_scored_but_explained(self, heart: tuple) -> None:
        train, test = heart
        healthy = train.filter(pl.col(TARGET) == 0)
        learned = train_and_test(healthy, test, target=TARGET, model=NETWORK)
        assert all(not figure.computed for figure in learned.scores.values())
        assert "all training rows are of one class" in learned.scores["auc"].because
        assert learned.confusion is None
        few = pl.concat([train.filter(pl.col(TARGET) == code)[:1] for code in (0, 1)])
        scarce = train_and_test(few, test, target=TARGET, model=NETWORK)
        assert "too few training rows" in scarce.scores["auc"].because
        alike = train_and_test(
            train, test.filter(pl.col(TARGET) == 0), target=TARGET, model="naive-bayes"
        )
        assert not alike.scores["auc"].computed
        assert alike.scores["accuracy"].computed
        assert alike.roc == ()
        with pytest.raises(DataError, match="only where both models learned"):
            compare(learned, alike)

    def test_rows_without_a_target_are_left_out_and_counted(self, heart: tuple) -> None:
        train, test = heart
        missing = pl.when(pl.int_range(pl.len()) >= 30).then(TARGET).alias(TARGET)
        learned = train_and_test(
            train.with_columns(missing), test, target=TARGET, model="naive-bayes"
        )
        plain = train_and_test(train[30:], test, target=TARGET, model="naive-bayes")
        assert learned.notes == ("30 training rows without a target were left out",)
        assert learned.scores == plain.scores

    def test_classes_are_matched_by_name_whatever_their_type(self) -> None:
        train = pl.DataFrame({"x": [0, 1, 1, None]})
        for other in ([1.0, 0.0], ["1", "0"], [True, False]):
            found = classes_of(train, pl.DataFrame({"x": other}), "x")
            assert found.names == ("0", "1")
            assert found.positive == 1
            assert found.train.tolist() == [0, 1, 1, -1]
            assert found.test.tolist() == [1, 0]

    @pytest.mark.parametrize(
        ("values", "asked", "positive"),
        [
            (["no", "yes", "yes"], None, "yes"),
            (["Abnormal", "Normal", "Abnormal"], None, "Normal"),
            (["Abnormal", "Normal", "Abnormal"], "Abnormal", "Abnormal"),
            ([1, 2, 1, 1], None, "1"),
            ([10, 9, 9], None, "10"),
            (["a", "b", "c"], None, None),
        ],
    )
    def test_the_class_looked_for(self, values: list, asked: str | None, positive: str) -> None:
        table = pl.DataFrame({"x": values})
        found = classes_of(table, table, "x", positive=asked)
        assert (None if found.positive is None else found.names[found.positive]) == positive

    @pytest.mark.parametrize("values", [["2", "nan", "1"], ["1", "1.0", "01"]])
    def test_the_order_of_classes_does_not_hang_on_the_order_of_rows(self, values: list) -> None:
        tables = [pl.DataFrame({"x": list(rows)}) for rows in permutations(values)]
        assert {classes_of(table, table, "x").names for table in tables} == {tuple(sorted(values))}

    def test_no_record_names_a_class_of_a_few_people(self) -> None:
        random = np.random.default_rng(4)
        common = ["a", "b", "c"] * 40
        train = pl.DataFrame({"x": random.normal(size=120), "y": common})
        test = pl.DataFrame({"x": random.normal(size=121), "y": [*common, "said by one person"]})
        learned = train_and_test(train, test, target="y", model="decision-tree")
        assert "said by one person" not in json.dumps(learned.to_dict())
        assert "(rare class 1)" in json.dumps(learned.to_dict())
        assert learned.rows_test == 121  # counted all the same

    def test_wrong_targets_are_refused_without_a_cell(self) -> None:
        numbers = pl.DataFrame({"x": np.linspace(0, 1, 60)})
        with pytest.raises(PlanError, match="60 distinct values and learning predicts at most 50"):
            classes_of(numbers, numbers, "x")
        with pytest.raises(SchemaError, match=r"not in the training rows\. Did you mean 'xx'"):
            classes_of(numbers.rename({"x": "xx"}), numbers, "x")
        with pytest.raises(DataError, match="missing in all 60 test rows"):
            classes_of(numbers, numbers.with_columns(x=pl.lit(None)), "x")
        two = pl.DataFrame({"x": ["a", "b"]})
        with pytest.raises(PlanError, match="no class 'c'"):
            classes_of(two, two, "x", positive="c")


class TestRecord:
    def test_it_comes_back_from_json_without_a_row(self, honest: Learned) -> None:
        text = json.dumps(honest.to_dict())
        assert Learned.from_dict(json.loads(text)) == honest
        assert Learned.from_dict(json.loads(text)).prediction is None
        lists = [len(value) for value in honest.to_dict().values() if isinstance(value, list)]
        assert max(lists) < 100
        with pytest.raises(DataError, match="not what was learned"):
            Learned.from_dict({"version": "x"})

    def test_its_repr_holds_no_prediction(self, honest: Learned) -> None:
        assert "prediction=" not in repr(honest)


class TestComparison:
    def test_a_version_without_its_best_column_is_worse(self, heart: tuple) -> None:
        rows = {"clean": heart}
        rows["poor"] = tuple(
            table.drop("HadAngina", "AgeCategory", "ChestScan", "GeneralHealth", "HadStroke")
            for table in heart
        )
        learned = {
            name: train_and_test(*tables, target=TARGET, model="logistic-regression", version=name)
            for name, tables in rows.items()
        }
        found = compare(learned["poor"], learned["clean"])
        assert found["auc"].interval[1] < 0
        assert found["auc"].meaning.startswith("poor is worse than clean beyond the noise")
        assert found["auc"].value == pytest.approx(auc(learned["poor"]) - auc(learned["clean"]))
        back = compare(learned["clean"], learned["poor"])
        assert back["auc"].interval == pytest.approx([-x for x in found["auc"].interval[::-1]])
        assert "clean is better" in back["auc"].meaning
        same = compare(learned["clean"], learned["clean"])["auc"]
        assert (same.value, same.interval) == (0.0, (0.0, 0.0))
        assert "do not differ" in same.meaning

    def test_pairs_are_those_of_the_bootstrap(self, heart: tuple, honest: Learned) -> None:
        other = train_and_test(*heart, target=TARGET, model="naive-bayes", version="other")
        found = compare(other, honest)
        from sklearn.metrics import average_precision_score, roc_auc_score

        random = np.random.default_rng(0)
        y = honest.prediction.actual
        first, second = (one.prediction.ranking[:, 1] for one in (other, honest))
        for name, score in (("auc", roc_auc_score), ("average_precision", average_precision_score)):
            drawn = []
            for _ in range(200):
                rows = random.integers(0, len(y), len(y))
                drawn.append(score(y[rows], first[rows]) - score(y[rows], second[rows]))
            low, high = found[name].interval
            assert (high - low) / 2 / 1.96 == pytest.approx(np.std(drawn), rel=0.2), name
