"""The real, the released and the control rows on one footing, in the words of the real ones.

A generalized cell is spelled out as an analyst would who knows no more than it says: the rows that
carry a label are spread evenly, in an order drawn at random, over the values that it covers (a
range of numbers evenly over its width). So generalized, perturbed and synthetic releases of one
table are measured in the same words. ``*`` stays a value of its own, and so does missing. Real rows
that are already written as the release is have nothing to be spelled out: they are then compared at
the release's granularity.

References
----------
Xiao & Tao, "Anatomy", VLDB 2006, section 3 (the uniformity assumption); LeFevre, DeWitt &
Ramakrishnan, "Workload-aware anonymization", KDD 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError, HierarchyError, SchemaError, did_you_mean
from sfumato.evaluation.alignment import MISSING, PRESENT, SUPPRESSED, AlignedColumn, align
from sfumato.evaluation.released_cells import read_column
from sfumato.evaluation.utility.records import random_stream
from sfumato.table import Schema

__all__ = ["CONTROL", "REAL", "RELEASED", "UtilityTables"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

REAL, RELEASED, CONTROL = 0, 1, 2
_SHARED_ENOUGH = 0.5
_DAY = 86_400_000_000.0  # microseconds


@dataclass(frozen=True, eq=False)
class UtilityTables:
    """Real, released and control rows, column by column in the real rows' words.

    Parameters
    ----------
    columns
        Each over the real, the released and, if there are any, the control rows; in the order of
        the real table.
    rows
        Rows of each table.
    schema
        Schema of the real rows.
    target
        The column to learn, if it can be compared.
    spelled_out
        Columns with generalized cells, which were spread evenly over the values they cover.
    lost
        Columns of the real table that the release lacks.
    notes
        What could not be compared, a sentence each.
    dtypes
        The type of each column in the real table.
    """

    columns: tuple[AlignedColumn, ...]
    rows: tuple[int, ...]
    schema: Schema
    target: str | None
    spelled_out: tuple[str, ...]
    lost: tuple[str, ...]
    notes: tuple[str, ...]
    dtypes: dict[str, pl.DataType]

    @property
    def has_control(self) -> bool:
        """Whether there are control rows."""
        return len(self.rows) > CONTROL

    @cached_property
    def by_name(self) -> dict[str, AlignedColumn]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    def take(self, rows: Sequence[Integers]) -> UtilityTables:
        """Return some rows of each table.

        Parameters
        ----------
        rows
            Row numbers of each table.
        """
        return replace(
            self,
            columns=tuple(
                replace(
                    column,
                    content=tuple(one[r] for one, r in zip(column.content, rows, strict=True)),
                    state=tuple(one[r] for one, r in zip(column.state, rows, strict=True)),
                )
                for column in self.columns
            ),
            rows=tuple(len(one) for one in rows),
        )

    def frame(self, table: int) -> pl.DataFrame:
        """Return one of the tables in the real table's types; no number is suppressed: null.

        Parameters
        ----------
        table
            ``REAL``, ``RELEASED`` or ``CONTROL``.
        """
        return pl.DataFrame(
            [_series(column, table, self.dtypes[column.name]) for column in self.columns]
        )

    @classmethod
    def of(
        cls,
        released: pl.DataFrame,
        real: pl.DataFrame,
        control: pl.DataFrame | None,
        schema: Schema,
        *,
        columns: Sequence[str] | None = None,
        target: str | None = None,
        seed: int = 0,
    ) -> UtilityTables:
        """Put the tables on one footing.

        Parameters
        ----------
        released
            The released rows, whoever made them.
        real, control
            Real rows: those that the release was made from, and others. In the words of the
            source, or of the release.
        schema
            Of the real rows; its hierarchies tell what generalized cells stand for.
        columns
            Columns to compare; by default all that are shared and are no identifiers.
        target
            The column to learn.
        seed
            Of spelling out.

        Raises
        ------
        SchemaError
            If a named column is absent.
        DataError
            If the real or the released table has no row or no column can be compared.
        """
        for table, what in ((real, "real"), (released, "released")):
            if table.is_empty():
                raise DataError(f"the {what} table has no rows, so its use cannot be measured")
        if control is not None and control.is_empty():
            control = None
        tables = [real, released] + ([] if control is None else [control])
        wanted = _wanted(tables, schema, columns)
        read, spelled, notes = [], [], []
        for name in wanted:
            if name not in released.columns:
                continue
            column, is_spelled, note = _column(name, tables, schema, seed)
            if column is None:
                notes.append(note)
                continue
            read.append(column)
            if is_spelled:
                spelled.append(name)
        if not read:
            raise DataError(
                "the release and the real rows have no column in common that could be compared"
            )
        names = [column.name for column in read]
        return cls(
            columns=tuple(read),
            rows=tuple(table.height for table in tables),
            schema=schema,
            target=target if target in names else None,
            spelled_out=tuple(spelled),
            lost=tuple(name for name in wanted if name not in released.columns),
            notes=tuple(notes),
            dtypes={name: real.schema[name] for name in names},
        )


def _wanted(
    tables: Sequence[pl.DataFrame], schema: Schema, columns: Sequence[str] | None
) -> list[str]:
    real = tables[REAL].columns
    for name in columns or ():
        if name not in real:
            raise SchemaError(f"the real table has no column {name!r}.{did_you_mean(name, real)}")
    hidden = {*schema.identifiers, schema.person}
    wanted = [name for name in real if name not in hidden] if columns is None else list(columns)
    if len(tables) > CONTROL:
        for name in wanted:
            if name not in tables[CONTROL].columns:
                raise SchemaError(f"the control table has no column {name!r}")
    return wanted


def _column(
    name: str, tables: Sequence[pl.DataFrame], schema: Schema, seed: int
) -> tuple[AlignedColumn | None, bool, str]:
    """Return a column, whether cells of it were spelled out, or why it cannot be compared."""
    series = [_finite(table[name]) for table in tables]
    try:
        aligned = align(name, series)
    except DataError:
        return None, False, f"Column {name!r} is of a type that cannot be compared: left out."
    if aligned.kind == "number":
        return aligned, False, ""
    shown, state = aligned.content[RELEASED], aligned.state[RELEASED]
    others = [content for at, content in enumerate(aligned.content) if at != RELEASED]
    values = np.unique(np.concatenate(others))
    known = np.isin(shown, values[values >= 0]) | (state != PRESENT)
    if known.all():
        return aligned, False, ""
    real = pl.concat([series[at] for at in range(len(series)) if at != RELEASED])
    if real.dtype == series[REAL].dtype:
        try:
            return _spelled_out(name, real, series, schema, seed), True, ""
        except (DataError, HierarchyError):
            pass
    if known.mean() >= _SHARED_ENOUGH:
        # values that no real row has, such as a generator's own, are values all the same
        return aligned, False, ""
    return (
        None,
        False,
        (
            f"Column {name!r} is written otherwise than in the real rows and was left out: give "
            "the schema the hierarchy that the release was made with."
        ),
    )


def _finite(series: pl.Series) -> pl.Series:
    if not series.dtype.is_float():
        return series
    finite = series.is_finite().fill_null(value=False)
    return series if finite.all() else series.set(~finite, None)


def _spelled_out(
    name: str, real: pl.Series, series: Sequence[pl.Series], schema: Schema, seed: int
) -> AlignedColumn:
    cells = read_column(real.to_frame(), series[RELEASED].to_frame(), schema, name)
    meanings, domain, of_row = cells.meanings, cells.domain, cells.of_row
    size = domain.ladder.domain_size
    place = _even_places(of_row, len(meanings.first), random_stream(seed, "spelled out", name))
    span = np.maximum(meanings.last - meanings.first, 0)[of_row] + 1
    leaf = meanings.first[of_row] + np.floor(place * span).astype(np.int64)
    for label, codes in meanings.sets.items():
        rows = of_row == label
        leaf[rows] = codes[np.floor(place[rows] * len(codes)).astype(np.int64)]
    state = np.where(leaf >= size, MISSING, PRESENT)
    state[meanings.everything[of_row]] = SUPPRESSED
    is_time = series[REAL].dtype.is_temporal()
    is_number = series[REAL].dtype.is_numeric() or is_time
    if not (is_number and domain.numbers is not None and domain.rising and not meanings.sets):
        labels = tuple(domain.ladder.labels[0][:size])
        real_code = np.where(cells.leaf_of_real >= size, -1, cells.leaf_of_real)
        real_state = np.where(real_code < 0, MISSING, PRESENT)
        code = np.where(state == PRESENT, leaf, -1)
        return _split(
            AlignedColumn(name, "category", labels, (), ()),
            code,
            state,
            real_code,
            real_state,
            series,
        )
    low, high = _ends(
        meanings.first, meanings.last, meanings.low, meanings.high, domain.numbers, size
    )
    whole = not is_time and bool((domain.numbers[:size] % 1 == 0).all())
    width = (high - low)[of_row]
    number = low[of_row] + (np.floor(place * (width + 1)) if whole else place * width)
    number[state != PRESENT] = np.nan
    real_number = domain.numbers[cells.leaf_of_real]
    if is_time:
        number, real_number = np.rint(number * _DAY), np.rint(real_number * _DAY)
    real_state = np.where(np.isnan(real_number), MISSING, PRESENT)
    return _split(
        AlignedColumn(name, "number", (), (), (), is_time),
        number,
        state,
        real_number,
        real_state,
        series,
    )


def _ends(
    first: Integers, last: Integers, low: Floats, high: Floats, numbers: Floats, size: int
) -> tuple[Floats, Floats]:
    """Return the least and the greatest number that each label covers."""
    low, high = low.copy(), high.copy()
    held = (last >= first) & (last < size) & (first >= 0)
    # an interval may be open at its upper end: what it covers ends at the last known value below
    least, greatest = numbers[np.where(held, first, 0)], numbers[np.where(held, last, 0)]
    low = np.where(held, np.minimum(least, np.where(np.isnan(low), least, low)), low)
    high = np.where(held, greatest, high)
    return low, np.maximum(low, high)


def _split(
    column: AlignedColumn,
    released: Floats | Integers,
    released_state: Integers,
    real: Floats | Integers,
    real_state: Integers,
    series: Sequence[pl.Series],
) -> AlignedColumn:
    cut = len(series[REAL])
    content, state = [real[:cut], released], [real_state[:cut], released_state]
    if len(series) > CONTROL:
        content.append(real[cut:])
        state.append(real_state[cut:])
    return replace(column, content=tuple(content), state=tuple(state))


def _even_places(labels: Integers, size: int, random: np.random.Generator) -> Floats:
    """Return for each row a place in (0, 1), even over the rows of each label."""
    order = random.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels, minlength=size)
    starts = np.cumsum(counts) - counts
    place = np.empty(len(labels))
    grouped = labels[order]
    place[order] = (np.arange(len(labels)) - starts[grouped] + 0.5) / counts[grouped]
    return place


def _series(column: AlignedColumn, table: int, dtype: pl.DataType) -> pl.Series:
    content, state = column.content[table], column.state[table]
    if column.kind == "number":
        series = pl.Series(column.name, content).fill_nan(None)
        if column.is_time:
            whole = series.round(0).cast(pl.Int64, strict=False)
            if dtype == pl.Time:
                return (whole * 1000).cast(pl.Time)
            moments = whole.cast(pl.Duration("us") if dtype == pl.Duration else pl.Datetime("us"))
            return moments if isinstance(dtype, pl.Duration) else moments.cast(dtype, strict=False)
        return series.cast(dtype, strict=False) if dtype.is_numeric() else series
    values = [*column.labels, "*"]
    code = np.where(state == SUPPRESSED, len(column.labels), content.astype(np.int64))
    texts = pl.Series(column.name, values, dtype=pl.String).gather(
        pl.Series(np.where(code < 0, 0, code))
    )
    texts = texts.set(pl.Series(state == MISSING), None)
    if dtype == pl.Boolean:
        known = (texts == "true").set(~texts.is_in(["true", "false"]).fill_null(value=False), None)
        return known.alias(column.name)
    return texts
