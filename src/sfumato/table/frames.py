"""The border: frames of the caller's kind come in, and go out in the same kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl

from sfumato.errors import DataError, EngineError
from sfumato.table.types import check_names, normalize

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Returner", "take"]

_WHERE = "the table"


@dataclass(frozen=True)
class Returner:
    """Gives frames back in the kind that :func:`take` was given.

    Parameters
    ----------
    kind
        "polars", "polars lazy", "pandas", "pyarrow" or "duckdb".
    index
        For pandas: the index that is given back to frames with as many rows.
    module
        The module of the kind.
    """

    kind: str
    index: Any = field(default=None, repr=False)
    module: ModuleType | None = field(default=None, repr=False)

    def give(self, frame: pl.DataFrame) -> Any:
        """Return a frame in the caller's kind.

        A pandas frame with as many rows as the caller's gets the caller's index again if that was
        unnamed and of whole numbers, as a split or a filter leaves it. Any other index (a named
        one, texts) may be an identifier and never leaves with a release.
        """
        if self.kind == "polars":
            return frame
        if self.kind == "polars lazy":
            return frame.lazy()
        if self.kind == "pyarrow":
            return frame.to_arrow()
        if self.kind == "duckdb":
            return _to_duckdb(frame, self.module)
        given = _to_pandas(frame, self.module)
        if self.index is not None and len(self.index) == frame.height:
            given.index = self.index
        return given


def take(frame: Any) -> tuple[pl.DataFrame, Returner]:
    """Return a table from any data frame, and what gives results back in its kind.

    Parameters
    ----------
    frame
        A frame of Polars (eager or lazy), pandas or PyArrow, or a relation of DuckDB; it is left
        as it is. Missing values of pandas (NaN, NA, NaT, None) become null; its index is no
        column.

    Raises
    ------
    DataError
        If it is no such frame, a column has no name or the name of another one, a column mixes
        types, or a number is NaN (but for pandas) or infinite.

    Examples
    --------
    >>> table, returner = take(pl.LazyFrame({"age": [40, None]}))
    >>> type(returner.give(table)).__name__
    'LazyFrame'
    """
    if isinstance(frame, pl.DataFrame):
        return normalize(frame, _WHERE), Returner("polars")
    if isinstance(frame, pl.LazyFrame):
        return normalize(frame.collect(), _WHERE), Returner("polars lazy")
    kind = type(frame).__module__.partition(".")[0]
    if kind == "pandas":
        return _from_pandas(frame)
    if kind == "pyarrow":
        check_names(list(getattr(frame, "column_names", ["column"])), _WHERE)
    try:
        known = nw.from_native(frame)
    except (TypeError, ValueError):
        raise DataError(
            f"a {type(frame).__name__} is no data frame that sfumato takes; give a frame of "
            "Polars, pandas or PyArrow, a relation of DuckDB, or read a file"
        ) from None
    implementation = known.implementation
    if implementation.is_pyarrow():
        return normalize(_from_arrow(frame), _WHERE), Returner("pyarrow")
    if implementation.is_duckdb():
        from sfumato.table.reading.databases import check_duckdb_columns

        check_duckdb_columns(frame, _WHERE)
        module = implementation.to_native_namespace()
        return normalize(pl.DataFrame(frame), _WHERE), Returner("duckdb", module=module)
    raise DataError(
        f"a frame of {implementation} is not taken; turn it into Polars, pandas or PyArrow first"
    )


def _from_arrow(frame: Any) -> pl.DataFrame:
    # The interval type of Arrow makes Polars panic, so it is refused before Polars sees it.
    for name, kind in zip(frame.schema.names, frame.schema.types, strict=True):
        if "interval" in str(kind):
            raise DataError(f"{_WHERE}: column {name!r} holds intervals; convert the column first")
    return pl.DataFrame(frame)


def _to_duckdb(frame: pl.DataFrame, module: Any) -> Any:
    try:
        return module.from_arrow(frame.to_arrow())
    except ModuleNotFoundError:
        raise EngineError(
            "giving back a relation of DuckDB needs PyArrow: pip install pyarrow, or give sfumato "
            "a frame of Polars"
        ) from None


def _from_pandas(frame: Any) -> tuple[pl.DataFrame, Returner]:
    if not hasattr(frame, "columns"):
        raise DataError("a pandas Series is no table; give a DataFrame")
    labels = list(frame.columns)
    for position, label in enumerate(labels, 1):
        if not isinstance(label, str):
            raise DataError(
                f"{_WHERE}: the name of column {position} is of type {type(label).__name__}; "
                "column names are texts: frame.columns = frame.columns.map(str)"
            )
    check_names(labels, _WHERE)
    table = pl.DataFrame([_from_pandas_column(frame[label], label) for label in labels])
    index = frame.index
    plain = index.nlevels == 1 and index.name is None and index.dtype.kind in "iu"
    module = nw.from_native(frame, eager_only=True).implementation.to_native_namespace()
    return normalize(table, _WHERE), Returner("pandas", index if plain else None, module)


def _from_pandas_column(column: Any, name: str) -> pl.Series:
    dtype = column.dtype
    if hasattr(dtype, "categories") and dtype.name == "category":
        column = column.astype(dtype.categories.dtype if column.notna().all() else object)
        dtype = column.dtype
    missing = pl.Series(column.isna().to_numpy(dtype=bool))
    if dtype.kind in "biuf":
        kind = {"b": "bool", "i": "int64", "u": "uint64", "f": "float64"}[dtype.kind]
        if not missing.any():
            return pl.Series(name, column.to_numpy(dtype=kind))
        filled = column.to_numpy(dtype=kind, na_value=dtype.kind != "b" and 0)
        return pl.Series(name, filled).set(missing, None)
    if dtype.kind == "M":
        zone = getattr(dtype, "tz", None)
        moments = column.dt.tz_convert("UTC").dt.tz_localize(None) if zone else column
        values = pl.Series(name, moments.to_numpy(dtype="datetime64[us]"))
        return (
            values.dt.replace_time_zone("UTC").dt.convert_time_zone(str(zone)) if zone else values
        )
    if dtype.kind == "m":
        return pl.Series(name, column.to_numpy(dtype="timedelta64[us]"))
    return _from_objects(name, column.astype(object).where(column.notna(), None).tolist())


def _from_objects(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values} - {type(None)}
    names = {kind.__name__ for kind in kinds}
    if names <= {"Interval", "Period"}:  # what pandas.cut and to_period make
        return pl.Series(
            name, [None if value is None else str(value) for value in values], pl.String
        )
    families = {_family(kind) for kind in kinds}
    if len(families) > 1:
        raise DataError(
            f"{_WHERE}: column {name!r} mixes values of the types {', '.join(sorted(names))}; "
            "make them one type first"
        )
    try:
        return pl.Series(name, values, strict=False) if values else pl.Series(name, [], pl.String)
    except (TypeError, pl.exceptions.PolarsError):
        raise DataError(
            f"{_WHERE}: column {name!r} holds objects of the type {', '.join(sorted(names))}; "
            "convert them to plain values first"
        ) from None


def _family(kind: type) -> str:
    if issubclass(kind, str):
        return "text"
    if issubclass(kind, bool) or kind.__name__ in ("bool", "bool_"):
        return "truth"
    if kind.__name__.startswith(("int", "uint", "float", "Decimal")):
        return "number"
    if kind.__name__ in ("date", "datetime", "Timestamp"):
        return "time"
    return kind.__name__


def _to_pandas(frame: pl.DataFrame, module: Any) -> Any:
    columns = {column.name: _to_pandas_column(column, module) for column in frame.iter_columns()}
    return module.DataFrame(columns)


def _to_pandas_column(column: pl.Series, module: Any) -> Any:
    dtype = column.dtype
    gaps = column.null_count() > 0
    if dtype.is_integer() and gaps:
        return module.array(column.to_list(), dtype="Int64")
    if dtype == pl.Boolean and gaps:
        return module.array(column.to_list(), dtype="boolean")
    if dtype == pl.Date:
        return column.cast(pl.Datetime("us")).to_numpy()
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        utc = module.Series(
            column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
        )
        return utc.dt.tz_localize("UTC").dt.tz_convert(dtype.time_zone)
    if dtype == pl.String:
        return module.Series(column.to_list(), dtype="str" if gaps or len(column) else "object")
    return column.to_numpy(writable=True)
