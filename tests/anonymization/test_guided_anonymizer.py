"""The transformer of guided groups among scikit-learn's own."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import check_estimator

import sfumato as sf
from sfumato.anonymization import GuidedAnonymizer


def frame(n: int = 300, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    chance = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "a": chance.integers(0, 50, n).astype("int8"),
            "c": pd.Categorical(chance.choice(list("xyz"), n)),
            "f": chance.normal(size=n).astype("float32"),
            "i": pd.array(chance.integers(0, 5, n), dtype="Int64"),
        },
        index=pd.date_range("2020", periods=n),
    )
    return X, (X["a"] + 20 * (X["c"] == "x") > 30).astype(int)


def model() -> object:
    hot = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["c"]), remainder="passthrough"
    )
    return make_pipeline(hot, DecisionTreeClassifier(random_state=0))


@pytest.mark.slow
def test_scikit_learn_finds_nothing_amiss():
    found = check_estimator(GuidedAnonymizer(), on_skip=None, on_fail=None)
    assert [one["check_name"] for one in found if one["status"] == "failed"] == []
    assert sum(one["status"] == "passed" for one in found) > 40


def test_pandas_keeps_types_index_and_other_columns():
    X, y = frame()
    anonymizer = GuidedAnonymizer(model(), k=10, quasi_identifiers=["a", "c", "i"]).fit(X, y)
    found = anonymizer.transform(X)
    assert found.dtypes.equals(X.dtypes)
    assert found.index.equals(X.index)
    assert found["f"].equals(X["f"])
    assert found.groupby(["a", "c", "i"], observed=True).size().min() >= 10
    assert anonymizer.score(X, y) > max(y.mean(), 1 - y.mean()) + 0.1  # on raw rows
    shuffled = X.sample(frac=1, random_state=1)[["i", "f", "c", "a"]]
    again = anonymizer.transform(shuffled)
    assert again[X.columns].loc[X.index].equals(found)
    copied = pickle.loads(pickle.dumps(anonymizer))
    assert copied.transform(X).equals(found)


def test_polars_and_arrays():
    X, y = frame()
    table = pl.DataFrame({"a": X["a"].to_numpy(), "f": X["f"].to_numpy()})
    tree = DecisionTreeClassifier(random_state=0)
    of_table = GuidedAnonymizer(tree, k=10, quasi_identifiers=["a"]).fit(table, y)
    assert of_table.transform(table).schema == table.schema
    array = table.to_numpy()
    of_array = GuidedAnonymizer(tree, k=10, quasi_identifiers=[0]).fit(array, y)
    found = of_array.transform(array)
    assert found.dtype == array.dtype
    assert (found[:, 0] == of_table.transform(table)["a"].to_numpy()).all()
    with pytest.raises(ValueError, match="columns"):
        of_table.transform(table.rename({"a": "b"}))


def test_it_is_chosen_and_copied_as_any_other():
    X, y = frame()
    array = X[["a", "f"]].to_numpy()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), GuidedAnonymizer(DecisionTreeClassifier())),
        {"guidedanonymizer__k": [5, 100]},
        cv=2,
    ).fit(array, y)
    assert search.best_params_["guidedanonymizer__k"] == 5
    assert clone(GuidedAnonymizer(k=7)).k == 7


def test_a_small_table_is_refused():
    with pytest.raises(ValueError, match="k = 5"):
        GuidedAnonymizer().fit(np.zeros((3, 1)), [0, 1, 0])


@pytest.mark.parametrize("guide", ["predictions", "scores", "expected", "effects"])
def test_every_guide_guides(guide):
    X, y = frame()
    found = GuidedAnonymizer(model(), k=10, quasi_identifiers=["a", "c", "i"], guide=guide)
    sizes = found.fit(X, y).transform(X).groupby(["a", "c", "i"], observed=True).size()
    assert sizes.min() >= 10
    assert len(sizes) > 3
    assert (guide == "effects") == ("do to the answers" in found.recoding_.describe()[0].how)


def test_effects_are_those_of_a_loop():
    X, y = frame(60)
    array = X[["a", "f"]].to_numpy()
    found = GuidedAnonymizer(
        DecisionTreeRegressor(random_state=0), k=5, quasi_identifiers=[0], guide="effects"
    ).fit(array, y.astype(float) + X["f"])
    lenders = np.random.default_rng(10).choice(60, 12, replace=False)
    effects = [
        [found.first_model_.predict([[own, array[one, 1]]])[0] for one in lenders]
        for own in array[:, 0]
    ]
    schema = sf.Schema(quasi_identifiers=["x0"], rest="other")
    table = pl.DataFrame(array, schema=["x0", "x1"])
    same = sf.Guided(k=5, task="regression").fit(table, schema, predictions=effects)
    assert (same.classes(table) == found.recoding_.classes(table)).all()


def test_labels_guide_with_a_warning_and_criteria_are_kept():
    X, y = frame()
    with pytest.warns(UserWarning, match="true values"):
        GuidedAnonymizer(model(), k=10, guide="labels").fit(X, y)
    diverse = GuidedAnonymizer(
        model(), k=10, quasi_identifiers=["a"], criteria=[sf.LDiversity(column="i", l=4)]
    ).fit(X, y)
    assert diverse.transform(X).groupby("a")["i"].nunique().min() >= 4


def test_the_tree_is_chosen_by_the_estimator_itself():
    X, y = frame(240)
    one = GuidedAnonymizer(
        DecisionTreeClassifier(max_depth=3, random_state=0), k=12, choose="cross-validation"
    )
    array = X[["a", "f"]].to_numpy()
    found = one.fit(array, y)
    assert found.technique_.choose == "as-set"
    assert found.recoding_.class_sizes.min() >= 12
    assert clone(found).choose == "cross-validation"
    named = GuidedAnonymizer(
        estimator=one.estimator,
        k=12,
        guide=found.technique_.guide,
        encoding=found.technique_.encoding,
        criterion=found.technique_.criterion,
        train_on=found.technique_.train_on,
        max_depth=found.technique_.max_depth,
    ).fit(array, y)
    assert (named.transform(array) == found.transform(array)).all()
