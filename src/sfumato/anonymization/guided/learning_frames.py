"""Rows as scikit-learn gives them: arrays and frames of any index, and the same back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import narwhals as nw
import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.guided.guided_recoding import GuidedRecoding
from sfumato.errors import SfumatoError

__all__ = ["Rows"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows that a transformer was given.

    Parameters
    ----------
    given
        The frame or array.
    names
        Names of its columns; of an array "x0", "x1", ...
    table
        The rows as a Polars table.
    """

    given: Any
    names: tuple[str, ...]
    table: pl.DataFrame

    @classmethod
    def of(cls, X: Any, estimator: Any, *, reset: bool) -> Self:
        """Check rows, and remember their columns on the transformer if it is being fitted.

        Columns of a frame are found by name, in whatever order they stand.

        Raises
        ------
        ValueError
            If there are no rows, a column is absent or unknown, or an array has another width.
        """
        if not _is_frame(X):
            from sklearn.utils.validation import validate_data

            holds_objects = getattr(getattr(X, "dtype", None), "kind", "") == "O"
            if holds_objects and reset:
                estimator._holds_objects = _has_texts(X)
            texts = holds_objects and getattr(estimator, "_holds_objects", False)
            checked = validate_data(
                estimator,
                X,
                reset=reset,
                dtype=None if texts else "numeric",
                ensure_all_finite=False if texts else "allow-nan",
            )
            names = tuple(f"x{place}" for place in range(checked.shape[1]))
            columns = [
                pl.Series(name, checked[:, place].tolist(), strict=False)
                if checked.dtype == object
                else pl.Series(name, checked[:, place], nan_to_null=True)
                for place, name in enumerate(names)
            ]
            return cls(checked, names, pl.DataFrame(columns))
        from sfumato.table import take

        try:
            table, _ = take(X)
        except SfumatoError as error:
            raise ValueError(str(error)) from None
        names = tuple(table.columns)
        if not names or not table.height:
            raise ValueError(
                f"Found array with {table.height} sample(s) and {len(names)} feature(s) "
                f"(shape={table.shape}) while a minimum of 1 is required."
            )
        if reset:
            estimator.feature_names_in_ = np.asarray(names, dtype=object)
            estimator.n_features_in_ = len(names)
        else:
            known = [str(name) for name in getattr(estimator, "feature_names_in_", names)]
            absent = [name for name in known if name not in names]
            strange = [name for name in names if name not in known]
            if absent or strange:
                raise ValueError(
                    "the columns are not those that it was fitted on: "
                    f"absent {absent[:5]}, unknown {strange[:5]}"
                )
            table = table.select(known)
        return cls(X, names, table)

    @property
    def n(self) -> int:
        """How many rows."""
        return self.table.height

    @property
    def is_frame(self) -> bool:
        """Whether they came as a frame."""
        return _is_frame(self.given)

    def name(self, column: str | int, what: str) -> str:
        """Return the name of a column that is said by name or position.

        Raises
        ------
        ValueError
            If there is none.
        """
        if isinstance(column, str) and column in self.names:
            return column
        if isinstance(column, int | np.integer) and 0 <= column < len(self.names):
            return self.names[column]
        raise ValueError(f"{what}: there is no column {column!r} among {len(self.names)}")

    def answers(self, y: Any) -> npt.NDArray[Any]:
        """Return the labels as an array, one for each row.

        Raises
        ------
        ValueError
            If there are not as many as rows, or one is missing.
        """
        from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

        values = y.to_numpy() if hasattr(y, "to_numpy") else y
        checked = check_array(values, ensure_2d=False, dtype=None, input_name="y")
        if checked.ndim == 2 and checked.shape[1] == 1:
            checked = column_or_1d(checked, warn=True)
        check_consistent_length(self.table, checked)
        return np.asarray(checked)

    def taken(self, recoding: GuidedRecoding) -> Any:
        """Return what each class carries, a row for each, in the kind and types of these rows."""
        from sfumato.anonymization.guided.carried import Carried

        carried = recoding.carried
        assert isinstance(carried, Carried)  # noqa: S101 (a transformer never asks for labels)
        wanted = carried.values
        # each value stands somewhere in the column: taken from there it keeps its type
        places = {}
        for column in wanted.iter_columns():
            values = self.table[column.name]
            known = (
                pl.DataFrame({"value": values})
                .with_row_index("row")
                .unique("value", keep="first", maintain_order=True)
            )
            found = pl.DataFrame({"value": column}).join(
                known, on="value", how="left", nulls_equal=True, maintain_order="left"
            )
            places[column.name] = found["row"].cast(pl.Int64).to_numpy()
        return {name: self.columns_of([name], rows)[name] for name, rows in places.items()}

    def mixed(self, rows: Integers, sources: Mapping[str, Integers]) -> Any:
        """Return some of these rows in which some columns are those of other rows.

        Parameters
        ----------
        rows
            Row numbers, shape (m,).
        sources
            For a column the rows whose values stand in it, shape (m,).
        """
        if not self.is_frame:
            changed = self.given[rows]
            for name, other in sources.items():
                place = self.names.index(name)
                changed[:, place] = self.given[other, place]
            return changed
        frame = nw.from_native(self.given, eager_only=True)
        part = frame[rows.tolist()]
        index = nw.maybe_get_index(part)
        columns = []
        for name, other in sources.items():
            chosen = frame[name][other.tolist()]
            columns.append(chosen if index is None else nw.maybe_set_index(chosen, index=index))
        return (part.with_columns(*columns) if columns else part).to_native()

    def columns_of(self, names: Sequence[str], rows: Integers) -> dict[str, Any]:
        """Return some rows' values, column by column, in the kind and types of these rows."""
        if not self.is_frame:
            return {name: self.given[rows, self.names.index(name)] for name in names}
        frame = nw.from_native(self.given, eager_only=True)
        return {name: frame[name][rows.tolist()] for name in names}

    def with_values(self, values: Any, of_row: Integers) -> Any:
        """Return these rows with some columns replaced by what their classes carry.

        Parameters
        ----------
        values
            What :meth:`taken` gave at fitting.
        of_row
            The class of each row.
        """
        if not self.is_frame:
            copy = np.array(self.given, copy=True)
            for name, column in values.items():
                copy[:, self.names.index(name)] = column[of_row]
            return copy
        frame = nw.from_native(self.given, eager_only=True)
        index = nw.maybe_get_index(frame)
        changed = []
        for name, column in values.items():
            chosen = column[of_row.tolist()].alias(name)
            dtype = frame[name].dtype
            if chosen.dtype != dtype:
                chosen = chosen.cast(dtype)
            changed.append(chosen if index is None else nw.maybe_set_index(chosen, index=index))
        return (frame.with_columns(*changed) if changed else frame).to_native()


def _is_frame(X: Any) -> bool:
    return type(X).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow") and hasattr(
        X, "columns"
    )


def _has_texts(X: Any) -> bool:
    return any(isinstance(one, str) for one in np.ravel(X)[:1000])
