"""Models from files: what was saved answers as it did before."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import sfumato as sf
from sfumato.anonymization import load_model
from sfumato.errors import DataError

SCHEMA = sf.Schema(quasi_identifiers=["a", "b"])


def rows(n: int = 200) -> tuple[pl.DataFrame, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(n, 2))
    return pl.DataFrame(X, schema=["a", "b"]), np.digitize(X[:, 0], [-0.5, 0.5])


def test_a_model_of_skops_guides_as_itself(tmp_path):
    io = pytest.importorskip("skops.io")
    table, y = rows()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(table.to_numpy(), y)
    io.dump(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    assert (loaded.predict_proba(table.to_numpy()) == model.predict_proba(table.to_numpy())).all()
    of_file = sf.Guided(k=9, model_file=tmp_path / "model.skops").fit(table, SCHEMA)
    of_model = sf.Guided(k=9).fit(table, SCHEMA, estimator=model)
    assert (of_file.classes(table) == of_model.classes(table)).all()


def test_skops_refuses_code_and_what_is_no_model(tmp_path):
    io = pytest.importorskip("skops.io")
    io.dump(FunctionTransformer(rows), tmp_path / "code.skops")
    with pytest.raises(DataError, match="does not trust"):
        load_model(tmp_path / "code.skops")
    (tmp_path / "text.skops").write_text("text")
    with pytest.raises(DataError, match="not a model"):
        load_model(tmp_path / "text.skops")
    io.dump(np.zeros(2), tmp_path / "array.skops")
    with pytest.raises(DataError, match="no predict"):
        load_model(tmp_path / "array.skops")


@pytest.mark.parametrize("named", [False, True])
def test_a_model_of_onnx_guides_as_itself(tmp_path, named):
    pytest.importorskip("onnxruntime")
    convert = pytest.importorskip("skl2onnx")
    table, y = rows()
    texts = np.array(["high", "low", "middle"])[y] if named else y
    model = DecisionTreeClassifier(max_depth=3, random_state=0).fit(table.to_numpy(), texts)
    written = convert.to_onnx(model, table.to_numpy()[:1].astype("float32"))
    (tmp_path / "model.onnx").write_bytes(written.SerializeToString())
    loaded = load_model(tmp_path / "model.onnx")
    assert loaded.classes_.tolist() == model.classes_.tolist()
    assert (loaded.predict(table) == model.predict(table.to_numpy())).all()
    sure = model.predict_proba(table.to_numpy())
    assert loaded.predict_proba(table.to_numpy()) == pytest.approx(sure, abs=1e-6)
    found = sf.Guided(k=9, model_file=tmp_path / "model.onnx").fit(table, SCHEMA)
    assert found.class_sizes.min() >= 9
    assert len(found.class_sizes) > 3


def test_a_regression_of_onnx_and_what_is_none(tmp_path):
    pytest.importorskip("onnxruntime")
    convert = pytest.importorskip("skl2onnx")
    table, y = rows()
    model = LinearRegression().fit(table.to_numpy(), y + table["b"].to_numpy())
    written = convert.to_onnx(model, table.to_numpy()[:1])
    (tmp_path / "model.onnx").write_bytes(written.SerializeToString())
    loaded = load_model(tmp_path / "model.onnx")
    assert not hasattr(loaded, "predict_proba")
    assert loaded.predict(table).ravel() == pytest.approx(model.predict(table.to_numpy()))
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(DataError, match="not a model"):
        load_model(tmp_path / "text.onnx")


def test_an_onnx_classifier_is_judged(tmp_path):
    pytest.importorskip("onnxruntime")
    convert = pytest.importorskip("skl2onnx")
    table, y = rows(400)
    X = table.to_numpy().astype("float32")
    y = np.where(np.random.default_rng(1).random(400) < 0.3, 1, y > 0).astype(int)
    model = DecisionTreeClassifier(random_state=0).fit(X[:200], y[:200])
    (tmp_path / "model.onnx").write_bytes(convert.to_onnx(model, X[:1]).SerializeToString())
    found = sf.evaluate_model(
        load_model(tmp_path / "model.onnx"),
        (X[:200], y[:200]),
        (X[200:], y[200:]),
        attacks=sf.ModelAttacks(only=("loss", "shadow_models")),
    )
    assert found.task == "classification"
    assert found.figures["membership/loss/auc"].value > 0.55
    # a file cannot be trained anew
    assert found.figures["membership/shadow_models/auc"].value is None
