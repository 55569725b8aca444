"""Train, predict, anonymize, train again, in one call, as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone, is_regressor
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sfumato.anonymization.guided.choosing import best_of, least_of_part, utility
from sfumato.anonymization.guided.guide import (
    SAID,
    Guide,
    TableModel,
    effects_of,
    guide_of_answers,
    scores_of,
    warn_of_labels,
)
from sfumato.anonymization.guided.guide_tree import GuideTree
from sfumato.anonymization.guided.guided import Guided
from sfumato.anonymization.guided.guided_recoding import GuidedRecoding
from sfumato.anonymization.guided.learning_frames import Rows
from sfumato.errors import SfumatoError
from sfumato.privacy import Criterion
from sfumato.progress import silent
from sfumato.table import Schema

__all__ = ["GuidedAnonymizer"]

Integers = npt.NDArray[np.int64]


def _model_has(name: str) -> Any:
    def check(self: GuidedAnonymizer) -> bool:
        model = getattr(self, "model_", None) or self._unfitted()
        return hasattr(model, name)

    return check


class GuidedAnonymizer(TransformerMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Anonymize what a model learns from so that it still learns it.

    ``fit`` trains the estimator, grows a tree with at least k rows in each leaf towards what it
    answers, gives everybody of a leaf the same quasi-identifiers, and trains the estimator again on
    these rows with their true labels. ``transform`` gives rows the values of their leaves;
    ``predict`` and ``score`` ask the model that was trained on the anonymized rows about raw ones.

    Parameters
    ----------
    estimator
        A scikit-learn estimator; a decision tree by default.
    k
        Least number of rows of a class, at least 2.
    quasi_identifiers
        Names of the columns, or their positions for arrays; None for all.
    slices, categorical
        Groups of columns that belong together, and columns of numbers that are categories.
    criteria
        What every class keeps besides k, such as l-diversity of a column of X.
    guide
        "expected", "scores", "predictions", "effects" or "labels": see :class:`Guided`.
    train_on, encoding, criterion, max_depth, ccp_alpha
        See :class:`Guided`.
    choose
        "as-set", or "cross-validation": guide, encoding, columns, criterion and depth are those
        under which the estimator, trained on a release of some rows, is best on others, under the
        same k; by the area under the curve (accuracy, if it tells no probabilities) or R2.
    random_state
        Which of equally good splits is taken, who lends other columns, and who is held out.

    Attributes
    ----------
    recoding_ : GuidedRecoding
        The groups.
    technique_ : Guided
        The settings of the tree, as set or as chosen.
    first_model_, model_ : estimator
        Trained on the raw rows, and on the anonymized ones.

    Notes
    -----
    A leaf carries values, never labels (``represent`` of :class:`Guided`): a model of numbers that
    is trained on intervals could not be asked about raw rows.

    A. Goldsteen et al., "Anonymizing Machine Learning Models", arXiv 2007.13086, 2020, section 3.
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        k: int = 5,
        quasi_identifiers: Sequence[str | int] | None = None,
        slices: Sequence[Sequence[str | int]] = (),
        categorical: Sequence[str | int] = (),
        criteria: Sequence[Criterion] = (),
        guide: str = "expected",
        train_on: str = "quasi-identifiers",
        encoding: str = "ordered",
        criterion: str = "gini",
        max_depth: int | None = None,
        ccp_alpha: float = 0.0,
        choose: str = "as-set",
        random_state: int = 10,
    ) -> None:
        self.estimator = estimator
        self.k = k
        self.quasi_identifiers = quasi_identifiers
        self.slices = slices
        self.categorical = categorical
        self.criteria = criteria
        self.guide = guide
        self.train_on = train_on
        self.encoding = encoding
        self.criterion = criterion
        self.max_depth = max_depth
        self.ccp_alpha = ccp_alpha
        self.choose = choose
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train, anonymize, train again.

        Parameters
        ----------
        X
            A data frame of pandas or Polars, or an array, shape (n, columns).
        y
            The true labels, shape (n,) or (n, outputs).

        Raises
        ------
        ValueError
            If k is larger than n, a column is unknown, or a setting is wrong.
        """
        rows = Rows.of(X, self, reset=True)
        if y is None:
            raise ValueError(
                "GuidedAnonymizer requires y to be passed, but the target y is None: give labels"
            )
        answers = rows.answers(y)
        if rows.n < self.k:
            raise ValueError(f"n_samples={rows.n} is less than k = {self.k}: nobody can be hidden")
        try:
            self.technique_ = self._technique(rows, answers)
            self.first_model_ = self._unfitted(answers).fit(X, answers)
            self.recoding_ = self._fitted_to(rows, answers)
        except SfumatoError as error:
            raise ValueError(str(error)) from None
        self._values = rows.taken(self.recoding_)
        anonymized = self.transform(X)
        self.model_ = clone(self.first_model_).fit(anonymized, answers)
        if hasattr(self.model_, "classes_"):
            self.classes_ = self.model_.classes_
        return self

    def transform(self, X: Any) -> Any:
        """Return rows with the quasi-identifiers of their leaves, in their own kind and types."""
        check_is_fitted(self, "recoding_")
        rows = Rows.of(X, self, reset=False)
        return rows.with_values(self._values, self.recoding_.classes(rows.table))

    @available_if(_model_has("predict"))
    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return what the model that was trained on anonymized rows answers to raw ones."""
        check_is_fitted(self, "model_")
        return np.asarray(self.model_.predict(X))

    @available_if(_model_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of each class for raw rows."""
        check_is_fitted(self, "model_")
        return self.model_.predict_proba(X)

    @available_if(_model_has("score"))
    def score(self, X: Any, y: Any) -> float:
        """Return the score on raw rows of the model that was trained on anonymized ones."""
        check_is_fitted(self, "model_")
        return float(self.model_.score(X, y))

    @property
    def tree_(self) -> GuideTree:
        """The tree of the groups."""
        check_is_fitted(self, "recoding_")
        return self.recoding_.tree

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[Any]:  # noqa: ARG002
        """Return the names of the columns: those that came in."""
        check_is_fitted(self, "recoding_")
        return np.asarray(self.recoding_.schema.columns, dtype=object)

    def _unfitted(self, answers: Any = None) -> Any:
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        if self.estimator is not None:
            return clone(self.estimator)
        numbers = answers is not None and np.asarray(answers).dtype.kind == "f"
        fractions = numbers and bool((np.asarray(answers) % 1 != 0).any())
        kind = DecisionTreeRegressor if fractions else DecisionTreeClassifier
        return kind(random_state=self.random_state)

    def _quasi_identifiers(self, rows: Rows) -> list[str]:
        if self.quasi_identifiers is None:
            return list(rows.names)
        return [rows.name(one, "quasi_identifiers") for one in self.quasi_identifiers]

    def _technique(self, rows: Rows, answers: npt.NDArray[Any]) -> Guided:
        """Return the settings of the tree, as set or as chosen."""
        technique = Guided(
            k=self.k,
            criteria=tuple(self.criteria),
            guide=self.guide,
            train_on=self.train_on,
            slices=[[rows.name(one, "slices") for one in group] for group in self.slices],
            categorical=[rows.name(one, "categorical") for one in self.categorical],
            encoding=self.encoding,
            criterion=self.criterion,
            max_depth=self.max_depth,
            ccp_alpha=self.ccp_alpha,
            choose=self.choose,
            seed=self.random_state,
        )
        if technique.choose == "as-set":
            return technique
        regression = is_regressor(self._unfitted(answers))

        def judge(changes: dict[str, Any], train: Integers, test: Integers) -> float:
            least = least_of_part(self.k, len(train), rows.n)
            one = clone(self).set_params(**{**changes, "k": least, "choose": "as-set"})
            one.fit(rows.mixed(train, {}), answers[train])
            model = TableModel(one.model_, lambda X: X, regression)
            return utility(model, rows.mixed(test, {}), answers[test], regression=regression)

        everybody = np.arange(rows.n)
        changes, _ = best_of(
            judge,
            technique.model_dump(),
            everybody,
            self.random_state,
            silent,
            measure="utility",
        )
        return technique.model_copy(update={**changes, "choose": "as-set"})

    def _fitted_to(self, rows: Rows, answers: npt.NDArray[Any]) -> GuidedRecoding:
        """Return the groups that are guided by the model that was trained on the raw rows."""
        chosen = self._quasi_identifiers(rows)
        model, guide = self.first_model_, self.technique_.guide
        regression = is_regressor(model)

        def mixed(own: Integers, lender: int) -> npt.NDArray[np.float64]:
            X = rows.mixed(np.full(len(own), lender), dict.fromkeys(chosen, own))
            return scores_of(model, X, regression=regression)

        said = SAID[guide].format(f"a {type(model).__name__}")
        if guide == "labels":
            warn_of_labels()
            found = guide_of_answers(answers, rows.n, "auto", said)
        elif guide == "predictions":
            found = guide_of_answers(model.predict(rows.given), rows.n, "auto", said)
        elif guide in ("expected", "scores"):
            scores = scores_of(model, rows.given, regression=regression)
            found = Guide(scores, regression=True, said=said, expected=guide == "expected")
        else:
            effects = effects_of(mixed, rows.table, chosen, self.random_state)
            found = Guide(effects, regression=True, said=said)
        return self.technique_.fit(
            rows.table, Schema(quasi_identifiers=chosen, rest="other"), predictions=found
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        inner = get_tags(self._unfitted())
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        if self.estimator is not None:  # scorers and splitters ask what it answers
            tags.estimator_type = inner.estimator_type
            tags.classifier_tags = inner.classifier_tags
            tags.regressor_tags = inner.regressor_tags
        return tags
