"""Guided: groups of at least k people between whom the user's model sees least difference."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from sfumato.anonymization.boxes import Boxes
from sfumato.anonymization.guided.carried import labels_of, values_of
from sfumato.anonymization.guided.coding import Encoding, codes_of, is_number, matrix
from sfumato.anonymization.guided.guide import (
    SAID,
    Guide,
    TableModel,
    Task,
    expected_of,
    guide_of_answers,
    warn_of_labels,
)
from sfumato.anonymization.guided.guide_tree import Growth, GuideTree
from sfumato.anonymization.guided.guided_recoding import GuidedRecoding
from sfumato.anonymization.guided.representatives import column_groups, representatives
from sfumato.anonymization.promised import Promised
from sfumato.anonymization.suppression import refuse_small_table
from sfumato.errors import GuaranteeNotMet, PlanError, SchemaError, did_you_mean
from sfumato.privacy import Criteria, Criterion
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Schema

__all__ = ["Guided"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_K = 5  # what is promised if nothing is said


class Guided(Settings):
    """Groups of at least k people between whom a model sees least difference.

    A decision tree is grown on the quasi-identifiers towards what a model answers, with at least k
    people in each leaf. Everybody of a leaf then carries the same values (or the same labels), so
    that a model trained on the release loses as little as possible. Only the quasi-identifiers
    change.

    Parameters
    ----------
    k
        Least number of people of a class; persons where the schema names a person column, else
        rows. 5 if neither it nor ``criteria`` is given.
    criteria
        What every class keeps besides, such as l-diversity: leaves that break one are merged with
        their siblings, from the bottom up.
    model
        The model that guides, trained on the schema's target: "decision-tree", "random-forest",
        "gradient-boosting", "logistic-regression" (classification) or "mlp".
    model_file
        A fitted model to guide instead: a file of skops or ONNX, or a pickle.
    allow_pickle
        Whether ``model_file`` may be a pickle. A pickle is code that runs when it is loaded.
    targets
        The columns that the model predicts, if not the schema's target alone.
    guide
        "expected": how sure the model is expected to be (log odds of each class; its answer if it
        tells no probability) by the columns that the tree asks for. "scores": how sure it is, by
        all that it knows. "predictions": what it answers, as in the paper. "effects": what the
        quasi-identifiers do to the scores, whatever the other columns say. "labels": the true
        values of the target instead of a model's answers; the release then tells of them what the
        tree learned by heart, and a warning says so.
    task
        "classification", "regression", or "auto": numbers with fractions or of more than 20
        distinct values are a regression.
    train_on
        "quasi-identifiers": splits ask for them alone. "all": for any column but identifiers and
        targets; new rows then need those columns too.
    slices
        Groups of quasi-identifiers that belong together, such as those of a one-hot encoding: a
        leaf carries a whole row of each.
    categorical
        Columns of numbers that are categories all the same.
    represent
        "values": a leaf carries actual values of its people, the most frequent category and the
        number nearest to the median, in the types of the source. "labels": an interval or a node
        of the hierarchy that holds all of them.
    encoding
        "ordered": categories stand in the order of their mean answer, and a split cuts between two
        of them. "one-hot": a split tells one category from the others, as in the paper.
    criterion
        What a split makes small: "gini" or "entropy" of classes; quantities always the squared
        error.
    max_depth
        Most splits on the way to a leaf; no limit if left out.
    ccp_alpha
        How much a split must gain, at least 0; see scikit-learn's minimal cost-complexity pruning.
    choose
        "as-set", or "cross-validation": guide, encoding, columns, criterion and depth are those
        under which a model trained on a release of some rows is best on others, under the same k.
    seed
        Of the model, of equally good splits, and of the people whose other columns are lent.

    Notes
    -----
    A. Goldsteen, G. Ezov, R. Shmelkin, M. Moffie, A. Farkash, "Anonymizing Machine Learning
    Models", arXiv 2007.13086, 2020 (tree, predictions, representatives). Scores, what is
    expected of them, effects, labels, criteria and the choice are beyond it.
    """

    k: int | None = Field(default=None, ge=2)
    criteria: Criteria = ()
    model: Literal[
        "decision-tree", "random-forest", "gradient-boosting", "logistic-regression", "mlp"
    ] = "gradient-boosting"
    model_file: Path | None = None
    allow_pickle: bool = False
    targets: tuple[str, ...] = ()
    guide: Literal["expected", "scores", "predictions", "effects", "labels"] = "expected"
    task: Task = "auto"
    train_on: Literal["quasi-identifiers", "all"] = "quasi-identifiers"
    slices: tuple[tuple[str, ...], ...] = ()
    categorical: tuple[str, ...] = ()
    represent: Literal["values", "labels"] = "values"
    encoding: Encoding = "ordered"
    criterion: Literal["gini", "entropy"] = "gini"
    max_depth: int | None = Field(default=None, ge=1)
    ccp_alpha: float = Field(default=0.0, ge=0)
    choose: Literal["as-set", "cross-validation"] = "as-set"
    seed: int = Field(default=10, ge=0, lt=2**32)

    @model_validator(mode="before")
    @classmethod
    def _k_if_nothing_is_said(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("k") is None and not values.get("criteria"):
            return {**values, "k": _K}
        return values

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """What every class keeps: k-anonymity, and the other criteria."""
        return Promised.of(self.k, self.criteria).criteria

    def fit(
        self,
        table: pl.DataFrame,
        schema: Schema,
        *,
        estimator: Any = None,
        predictions: Any = None,
        progress: Progress = silent,
    ) -> GuidedRecoding:
        """Find the groups.

        Parameters
        ----------
        table, schema
            The rows, and what their columns are.
        estimator
            A fitted scikit-learn compatible model that guides instead of ``model``. It is given
            the columns that it names (``feature_names_in_``), else a matrix of all columns but
            identifiers and the target.
        predictions
            What a model answered to the rows, shape (n,) or (n, outputs), instead of a model; or a
            :class:`Guide` of them.
        progress
            Told how far the work is.

        Raises
        ------
        PlanError
            If k is larger than the table, a setting does not fit the columns, or no target is
            known.
        SchemaError
            If the schema does not fit the table, has no quasi-identifier, or lacks a column.
        HierarchyError
            If labels are carried, and a value is not held by a column's hierarchy.
        GuaranteeNotMet
            If the table as a whole does not keep a criterion.
        """
        full = schema.check(table)
        names = [name for name in table.columns if name in set(full.quasi_identifiers)]
        if not names:
            raise SchemaError("guided groups share quasi-identifiers, but the schema has none")
        self._refuse_unfit(table, full, names)
        promised = Promised.of(self.k, self.criteria)
        everybody = table.height if full.person is None else table[full.person].n_unique()
        refuse_small_table(promised.k, everybody, counts_persons=full.person is not None)
        progress("asking the model", 0, 2)
        asked: Guided = self
        notes: tuple[str, ...] = ()
        if self.choose == "cross-validation":
            from sfumato.anonymization.guided.choosing import chosen_settings

            asked, notes = chosen_settings(self, table, full, estimator, predictions, progress)
        guide = asked.guide_for(table, full, estimator, predictions)
        progress("growing the tree", 1, 2)
        recoding = asked.grown(table, full, guide, notes)
        progress("growing the tree", 2, 2)
        return recoding

    def guide_for(
        self, table: pl.DataFrame, schema: Schema, estimator: Any = None, predictions: Any = None
    ) -> Guide:
        """Return what the tree is grown towards; see :meth:`fit`."""
        if isinstance(predictions, Guide):
            return predictions
        if predictions is not None:
            return guide_of_answers(predictions, table.height, self.task, "the predictions given")
        if self.guide == "labels":
            return self._labels(table, schema)
        said = SAID[self.guide]
        if estimator is None and self.model_file is not None:
            from sfumato.anonymization.guided.model_files import load_model

            estimator = load_model(self.model_file, allow_pickle=self.allow_pickle)
        if estimator is not None:
            told = said.format(f"the {type(estimator).__name__} given")
            model = TableModel.of_fitted(estimator, table, schema, self.task)
        else:
            told = said.format(f"a {self.model} of {', '.join(self._targets(table, schema))}")
            targets = self._targets(table, schema)
            model = TableModel.of_name(self.model, table, schema, targets, self.task, self.seed)
        return self._guide_of(model, table, schema, told)

    def _guide_of(self, model: TableModel, table: pl.DataFrame, schema: Schema, told: str) -> Guide:
        if self.guide == "predictions":
            task: Task = "regression" if model.regression else "classification"
            return guide_of_answers(model.answers(table), table.height, task, told)
        if self.guide in ("expected", "scores"):
            expected = self.guide == "expected"
            return Guide(model.scores(table), regression=True, said=told, expected=expected)
        names = [name for name in table.columns if name in set(schema.quasi_identifiers)]
        effects = model.effects(table, names, self.seed)
        return Guide(effects, regression=True, said=told)

    def _labels(self, table: pl.DataFrame, schema: Schema) -> Guide:
        warn_of_labels()
        columns = [table[name] for name in self._targets(table, schema)]
        values = np.column_stack(
            [
                one.fill_null(strategy="mean").to_numpy()
                if one.dtype.is_float()
                else one.cast(pl.String).fill_null("missing").to_numpy().astype(str)
                if not one.dtype.is_integer()
                else one.fill_null(strategy="min").to_numpy()
                for one in columns
            ]
        )
        said = SAID["labels"] + " " + ", ".join(one.name for one in columns)
        return guide_of_answers(values, table.height, self.task, said)

    def _targets(self, table: pl.DataFrame, schema: Schema) -> tuple[str, ...]:
        named = self.targets or ((schema.target,) if schema.target else ())
        if not named:
            raise PlanError(
                "guided: which column the model predicts is not known: name the target in the "
                "schema, set targets, or give an estimator or predictions"
            )
        for name in named:
            if name not in table.columns:
                hint = did_you_mean(name, table.columns)
                raise SchemaError(f"targets: there is no column {name!r}.{hint}")
        return named

    def _refuse_unfit(self, table: pl.DataFrame, schema: Schema, names: Sequence[str]) -> None:
        """Refuse settings that do not fit the columns."""
        sliced = list(chain.from_iterable(self.slices))
        for name in sliced:
            if name not in names:
                raise PlanError(
                    f"slices: {name!r} is no quasi-identifier.{did_you_mean(name, names)}"
                )
            if sliced.count(name) > 1:
                raise PlanError(f"slices: {name!r} stands in two of them; it can be in one")
        if any(not one for one in self.slices):
            raise PlanError("slices: one of them names no column")
        for name in self.categorical:
            if name not in table.columns:
                hint = did_you_mean(name, table.columns)
                raise PlanError(f"categorical: there is no column {name!r}.{hint}")
        if self.slices and self.represent == "labels":
            raise PlanError(
                "slices hold the values of a whole row together, which labels do not: set "
                "represent = 'values', or leave slices out"
            )
        for name in {name for one in self.criteria for name in one.columns}:
            if name not in table.columns:
                hint = did_you_mean(name, table.columns)
                raise SchemaError(f"a criterion asks for column {name!r}, not there.{hint}")
            if name in schema.quasi_identifiers:
                raise PlanError(
                    f"column {name!r} is a quasi-identifier and cannot be the sensitive column of "
                    "a criterion as well: give it the role sensitive"
                )

    def grown(
        self, table: pl.DataFrame, schema: Schema, guide: Guide, notes: Sequence[str] = ()
    ) -> GuidedRecoding:
        """Return the recoding of a tree that is grown towards a guide and keeps every promise.

        Parameters
        ----------
        table, schema
            The rows, and a schema that was checked against them.
        guide
            Of these rows.
        notes
            What else is to be said.

        Raises
        ------
        GuaranteeNotMet
            If the table as a whole does not keep a criterion.
        """
        names = [name for name in table.columns if name in set(schema.quasi_identifiers)]
        promised = Promised.of(self.k, self.criteria)
        left_out = {*schema.identifiers, *self.targets, schema.target}
        asked_for = (
            names
            if self.train_on == "quasi-identifiers"
            else [name for name in table.columns if name in names or name not in left_out]
        )
        ordered_by = guide.numbers if self.encoding == "ordered" else None
        codes = codes_of(table, asked_for, self.categorical, ordered_by)
        features = matrix(table, codes)
        counted = _first_rows(table, schema)
        least = max(promised.k, 2)
        target = guide.target
        if guide.expected:
            target = expected_of(guide.numbers, features, least, self.seed)
        growth = Growth(
            least=least,
            criterion=None if guide.regression else self.criterion,
            max_depth=self.max_depth,
            ccp_alpha=self.ccp_alpha,
            seed=self.seed,
        )
        tree = GuideTree.grow(
            features, target, growth, regression=guide.regression, counted=counted
        )
        while True:
            leaf_of_row = tree.fall(features)
            carried, of_leaf = self._carried(table, schema, names, leaf_of_row, len(tree.leaves))
            of_row = of_leaf[leaf_of_row]
            n_classes = int(of_leaf.max()) + 1
            says_nothing = np.zeros(n_classes, dtype=np.bool_)
            if isinstance(carried, Boxes):
                says_nothing = carried.silent
            broken = promised.broken_classes(table, schema, of_row, says_nothing)
            if not broken.any():
                break
            if tree.n_nodes == 1:
                raise GuaranteeNotMet(
                    "the table as a whole does not keep what is asked of every class ("
                    + "; ".join(criterion.describe() for criterion in promised.criteria)
                    + "): ask for less"
                )
            tree = tree.above(broken[of_leaf])
        sizes = np.bincount(of_row if counted is None else of_row[counted], minlength=n_classes)
        return GuidedRecoding(
            promised.criteria,
            schema,
            codes,
            tree,
            of_leaf,
            carried,
            sizes.astype(np.int64),
            (guide.said, *notes),
        )

    def _carried(
        self,
        table: pl.DataFrame,
        schema: Schema,
        names: Sequence[str],
        leaf_of_row: Integers,
        n: int,
    ) -> tuple[Any, Integers]:
        """Return what the leaves carry, and the class of each."""
        if self.represent == "labels":
            return labels_of(table, schema, names, leaf_of_row, n)
        groups = column_groups(names, self.slices)
        rows = representatives(table, groups, self.categorical, leaf_of_row, n)
        return values_of(table, groups, rows, [self._how(table, one) for one in groups])

    def _how(self, table: pl.DataFrame, group: Sequence[str]) -> str:
        if len(group) > 1:
            return f"the most frequent row of {', '.join(group)} in a group"
        if is_number(table[group[0]]) and group[0] not in self.categorical:
            return "the actual value nearest to the median of a group"
        return "the most frequent value of a group"


def _first_rows(table: pl.DataFrame, schema: Schema) -> Flags | None:
    """Return which rows count: the first of each person; None if each row is a person."""
    if schema.person is None:
        return None
    first = table[schema.person].is_first_distinct()
    return None if first.all() else first.to_numpy()
