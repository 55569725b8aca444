"""Fitted models from files: skops and ONNX, and pickles only where that is asked for."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError, MissingExtra, PlanError

__all__ = ["OnnxClassifier", "OnnxModel", "load_model"]

_PICKLES = (".pkl", ".pickle", ".joblib", ".p")


class OnnxModel:
    """A model in the ONNX format, asked as a scikit-learn model is.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime  # type: ignore[import-not-found,import-untyped,unused-ignore]
            from onnxruntime.capi import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
                onnxruntime_pybind11_state as state,
            )
        except ImportError:
            raise MissingExtra("models", f"{path}: a model in the ONNX format") from None
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=["CPUExecutionProvider"]
            )
        except (RuntimeError, state.Fail, state.InvalidProtobuf, state.InvalidGraph):
            raise DataError(f"{path} is not a model in the ONNX format") from None
        inputs = self._session.get_inputs()
        self._outputs = [one.name for one in self._session.get_outputs()]
        if len(inputs) > 1:
            self.feature_names_in_ = np.asarray([one.name for one in inputs], dtype=object)
        self._inputs = inputs

    def predict(self, rows: Any) -> npt.NDArray[Any]:
        """Return the first output: the predicted class, or the quantity."""
        return np.asarray(self._session.run(self._outputs[:1], self._fed(rows))[0])

    @property
    def names_classes(self) -> bool:
        """Whether it names each class and its probability, in a second output."""
        outputs = self._session.get_outputs()
        return len(outputs) > 1 and outputs[1].type.startswith("seq(map(")

    def _fed(self, rows: Any) -> dict[str, npt.NDArray[Any]]:
        def of_type(values: Any, kind: str) -> npt.NDArray[Any]:
            known = {"int64": np.int64, "double": np.float64, "string": object, "bool": np.bool_}
            dtype = next((known[name] for name in known if name in kind), np.float32)
            return np.asarray(values).astype(dtype)

        if len(self._inputs) == 1:
            matrix = rows.to_numpy() if isinstance(rows, pl.DataFrame) else rows
            return {self._inputs[0].name: of_type(matrix, self._inputs[0].type)}
        return {
            one.name: of_type(rows[one.name].to_numpy(), one.type).reshape(-1, 1)
            for one in self._inputs
        }


class OnnxClassifier(OnnxModel):
    """A classifier in the ONNX format whose second output names each class and its probability.

    So skl2onnx writes scikit-learn's classifiers by default.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        width = self._inputs[0].shape[1] if len(self._inputs) == 1 else 1
        names = [one.name for one in self._inputs]
        if len(names) == 1:
            names = [str(place) for place in range(width)]
        # any row will do: the classes stand with its probabilities
        self.classes_ = np.asarray(
            list(self._told(pl.DataFrame({name: [0.0] for name in names}))[0])
        )

    def predict_proba(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return the probability of each class, shape (n, classes)."""
        told = self._told(rows)
        return np.asarray([list(row.values()) for row in told], dtype=np.float64)

    def _told(self, rows: Any) -> list[dict[Any, float]]:
        found: list[dict[Any, float]] = self._session.run([self._outputs[1]], self._fed(rows))[0]
        return found


def _of_onnx(path: Path) -> OnnxModel:
    model = OnnxModel(path)
    return OnnxClassifier(path) if model.names_classes else model


def load_model(path: Path, *, allow_pickle: bool = False) -> Any:
    """Return the fitted model of a file, known by its ending.

    Parameters
    ----------
    path
        ``.skops``, ``.onnx``, or a pickle (``.pkl``, ``.pickle``, ``.joblib``, ``.p``).
    allow_pickle
        Whether a pickle may be loaded. It is code that runs with the rights of whoever loads it.

    Raises
    ------
    PlanError
        If the ending is none of these, or a pickle is not allowed.
    DataError
        If the file cannot be read, or holds what is no model or of a type that is not trusted.
    MissingExtra
        If the package that reads the format is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    ending = path.suffix.lower()
    if ending == ".onnx":
        return _of_onnx(path)
    if ending == ".skops":
        model = _of_skops(path)
    elif ending in _PICKLES:
        if not allow_pickle:
            raise PlanError(
                f"{path} is a pickle, which is code that runs when it is loaded: save the model "
                "with skops (skops.io.dump) or as ONNX, or, if you made the file yourself, allow "
                "it with --allow-pickle (allow_pickle = true)"
            )
        model = _of_pickle(path)
    else:
        known = ", ".join((".skops", ".onnx", *_PICKLES))
        raise PlanError(f"{path}: a model's file ends with one of {known}")
    if not hasattr(model, "predict"):
        raise DataError(
            f"{path} holds a {type(model).__name__}, which is no model: it has no predict"
        )
    return model


def _of_skops(path: Path) -> Any:
    try:
        from skops import io  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise MissingExtra("models", f"{path}: a model in the skops format") from None
    import zipfile

    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is not a model in the skops format")
    unknown = io.get_untrusted_types(file=path)
    if unknown:
        raise DataError(
            f"{path} holds types that skops does not trust: {', '.join(map(str, unknown))}; save "
            "a model that is made of scikit-learn's own types"
        )
    return io.load(path, trusted=[])


def _of_pickle(path: Path) -> Any:
    try:
        if path.suffix.lower() == ".joblib":
            import joblib  # type: ignore[import-untyped,unused-ignore]

            return joblib.load(path)
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 (asked for in so many words)
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        ImportError,
        IndexError,
        KeyError,
        ValueError,
        TypeError,
    ):
        raise DataError(
            f"{path} cannot be loaded: it is no pickle, or what it needs is not installed here"
        ) from None
