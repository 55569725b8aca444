"""Minimize: learn how little a model needs to know of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sfumato.anonymization.guided.guide import is_regression, says_regression
from sfumato.anonymization.guided.learning_frames import Rows
from sfumato.anonymization.minimization.search import Asked, search
from sfumato.errors import SfumatoError

__all__ = ["Minimize", "Penalties"]


@dataclass(frozen=True)
class Penalties:
    """Normalized certainty penalties, 0 (every value exact) to 1 (nothing told).

    Parameters
    ----------
    fit
        Of the fitted rows in their cells.
    transform
        Of the rows that were transformed last; None if none were.
    generalizations
        Of what the form asks, which tells ranges between all cut points.
    """

    fit: float
    transform: float | None
    generalizations: float


class Minimize(TransformerMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Learn generalizations of a model's inputs under which it still answers as before.

    A decision tree is grown on the model's own answers; its leaves are cells. Where the model,
    asked about the value that stands for a row's cell, agrees with its own answer often enough,
    the tree is pruned level by level as long as it does; where not, columns are freed again, those
    first whose freedom costs the least penalty for the accuracy that it gains.

    Parameters
    ----------
    estimator
        A fitted model.
    target
        Least relative accuracy, 0 to 1: the share of rows (or R2) for which the model answers to
        generalized inputs as to exact ones.
    features
        Names (or positions) of the columns that may be generalized; None for all.
    keep
        Columns that may not be touched.
    slices, categorical
        Columns that are generalized together or not at all; columns of numbers that are categories.
    only_features
        Whether cells are made of the columns that may be generalized alone.
    encoder
        A fitted transformer of the inputs that goes before the model.
    task
        "classification", "regression" or "auto".
    held_out
        Share of the rows on which accuracy is measured, 0 to 1; cells are grown on the others.
    confidence
        The target is kept on rows not seen with this confidence, 0.5 to 1 (one-sided): a lower
        bound of the accuracy has to reach it. None: the measured accuracy itself has to, as in
        the paper, and half of the time other rows then miss it.
    random_state
        Of the split, and of equally good splits of the tree.

    Attributes
    ----------
    generalizations_ : Generalizations
        What is generalized and how; saved as JSON by ``generalizations_.save(path)``.
    accuracy_, bound_ : float
        Relative accuracy on the held out rows, and its lower bound.
    ncp_ : Penalties
        What is left open.

    Notes
    -----
    A. Goldsteen, G. Ezov, R. Shmelkin, M. Moffie, A. Farkash, "Data Minimization for GDPR
    Compliance in Machine Learning Models", arXiv 2008.04113, 2020. The confidence is beyond it.
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        target: float = 0.998,
        features: Sequence[str | int] | None = None,
        keep: Sequence[str | int] = (),
        slices: Sequence[Sequence[str | int]] = (),
        categorical: Sequence[str | int] = (),
        only_features: bool = True,
        encoder: Any = None,
        task: str = "auto",
        held_out: float = 0.4,
        confidence: float | None = 0.95,
        random_state: int = 18,
    ) -> None:
        self.estimator = estimator
        self.target = target
        self.features = features
        self.keep = keep
        self.slices = slices
        self.categorical = categorical
        self.only_features = only_features
        self.encoder = encoder
        self.task = task
        self.held_out = held_out
        self.confidence = confidence
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the generalizations.

        Parameters
        ----------
        X
            Inputs as the model (or the encoder) takes them: a frame or array, shape (n, columns).
        y
            What the model answers to them, shape (n,) or (n, outputs); it is asked if left out.

        Raises
        ------
        ValueError
            If a column is unknown, a setting is wrong, or there are fewer than 10 rows.
        """
        rows = Rows.of(X, self, reset=True)
        self._check()
        if rows.n < 10:
            raise ValueError(f"n_samples={rows.n}: at least 10 rows are needed, to hold some out")
        before = self._ask(X) if y is None else rows.answers(y)
        kept = {rows.name(one, "keep") for one in self.keep}
        chosen = (
            rows.names
            if self.features is None
            else [rows.name(one, "features") for one in self.features]
        )
        slices = tuple(tuple(rows.name(one, "slices") for one in group) for group in self.slices)
        for group in slices:
            if len({name in chosen and name not in kept for name in group}) > 1:
                raise ValueError(f"slices: {group} is generalized whole or not at all")
        may = tuple(name for name in chosen if name not in kept)
        if not may:
            raise ValueError("no column is left that may be generalized")
        regression = self.task == "regression" or (
            self.task == "auto"
            and not hasattr(self.estimator, "classes_")
            and (says_regression(self.estimator) or is_regression(before, "auto"))
        )
        asked = Asked(
            target=self.target,
            features=may,
            categorical=tuple(rows.name(one, "categorical") for one in self.categorical),
            slices=tuple(group for group in slices if group[0] in may),
            only_features=self.only_features,
            held_out=self.held_out,
            confidence=self.confidence,
            regression=regression,
            seed=self.random_state,
        )
        try:
            found = search(rows, before, self._ask, asked)
        except SfumatoError as error:
            raise ValueError(str(error)) from None
        made = found.generalizations
        self.generalizations_ = made
        self.accuracy_, self.bound_ = made.accuracy, made.bound
        self._values = rows.columns_of(made.generalized, found.representatives)
        self.ncp_ = Penalties(made.penalty(rows.table), None, made.collection_penalty(rows.table))
        return self

    def transform(self, X: Any) -> Any:
        """Return rows with the values of their cells; in their kind, index and types."""
        check_is_fitted(self, "generalizations_")
        rows = Rows.of(X, self, reset=False)
        made = self.generalizations_
        self.ncp_ = Penalties(self.ncp_.fit, made.penalty(rows.table), self.ncp_.generalizations)
        return rows.with_values(self._values, made.cells(rows.table))

    @property
    def generalizations(self) -> dict[str, Any]:
        """``ranges``, ``categories`` and ``untouched`` columns, as plain JSON values."""
        check_is_fitted(self, "generalizations_")
        return self.generalizations_.summary()

    def form(self) -> tuple[str, ...]:
        """Return what is to be asked of a person, a line for each column."""
        check_is_fitted(self, "generalizations_")
        return self.generalizations_.form()

    def save(self, path: str | Path) -> None:
        """Write the generalizations as JSON, with which rows can be minimized without the model."""
        check_is_fitted(self, "generalizations_")
        self.generalizations_.save(path)

    def get_feature_names_out(self, input_features: Any = None) -> Any:  # noqa: ARG002
        """Return the names of the columns: those that came in."""
        check_is_fitted(self, "generalizations_")
        return np.asarray(
            getattr(self, "feature_names_in_", [f"x{one}" for one in range(self.n_features_in_)]),
            dtype=object,
        )

    def _ask(self, X: Any) -> Any:
        if not hasattr(self.estimator, "predict"):
            raise ValueError("estimator: a fitted model is needed, to be asked")
        return np.asarray(
            self.estimator.predict(X if self.encoder is None else self.encoder.transform(X))
        )

    def _check(self) -> None:
        if not 0 <= self.target <= 1:
            raise ValueError(f"target: a relative accuracy, 0 to 1 (got {self.target})")
        if self.confidence is not None and not 0.5 <= self.confidence < 1:
            raise ValueError(f"confidence: 0.5 to 1, or None (got {self.confidence})")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out: a share above 0 and below 1 (got {self.held_out})")
        if self.task not in ("auto", "classification", "regression"):
            raise ValueError(f"task: auto, classification or regression (got {self.task!r})")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
