"""How alike a released table and the real one are, column by column and pair by pair.

Every distance stands beside the same distance between the real rows and control people: what two
honest samples of the same population differ by is no fault of the release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import polars as pl

from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.evaluation.alignment import PRESENT, AlignedColumn, align
from sfumato.evaluation.association import associations
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.histograms import Histogram, histogram
from sfumato.evaluation.intervals import around, distribution_reach, share_reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Association", "ColumnFidelity", "Fidelity", "fidelity", "kolmogorov_smirnov"]

_DKW = "95 %, Dvoretzky-Kiefer-Wolfowitz-Massart for both tables"
_MCDIARMID = "95 %, McDiarmid for both tables"
_NO_INTERVAL = "none: compare with the control"


@dataclass(frozen=True)
class ColumnFidelity:
    """One column, real against released.

    Parameters
    ----------
    name, kind
        The column, and whether it is compared as a number or by its values.
    distance
        Kolmogorov-Smirnov distance of a number, total variation distance of a category.
    total_variation
        Total variation distance over the histogram's cells.
    histogram
        Shares of the same cells in all tables.
    note
        What to know when reading it, such as that no value is shared; mostly empty.
    """

    name: str
    kind: Literal["number", "category"]
    distance: Figure
    total_variation: Figure
    histogram: Histogram
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "distance": self.distance.to_dict(),
            "total_variation": self.total_variation.to_dict(),
            "histogram": self.histogram.to_dict(),
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the comparison that :meth:`to_dict` described."""
        return cls(
            values["name"],
            values["kind"],
            Figure.from_dict(values["distance"]),
            Figure.from_dict(values["total_variation"]),
            Histogram.from_dict(values["histogram"]),
            values["note"],
        )


Matrix = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class Association:
    """How strongly each two columns go together; None where this cannot be said.

    Parameters
    ----------
    columns
        The columns compared.
    real, released, control
        Square matrices over ``columns``: Pearson's correlation of two numbers (-1 to 1), Cramer's V
        of two categories and the correlation ratio of a number and a category (0 to 1), both
        corrected for chance. ``control`` is None without control people.
    """

    columns: tuple[str, ...]
    real: Matrix
    released: Matrix
    control: Matrix | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the matrices as plain JSON values."""
        return {
            "columns": list(self.columns),
            "real": [list(row) for row in self.real],
            "released": [list(row) for row in self.released],
            "control": None if self.control is None else [list(row) for row in self.control],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the matrices that :meth:`to_dict` described."""
        real, released, control = (
            None if values[name] is None else tuple(tuple(row) for row in values[name])
            for name in ("real", "released", "control")
        )
        return cls(tuple(values["columns"]), real or (), released or (), control)


@dataclass(frozen=True)
class Fidelity:
    """A released table compared with the real one.

    Parameters
    ----------
    columns
        One comparison for each column that both tables have, in the real table's order.
    dropped, added
        Columns that only the real table has, and only the released one.
    association
        How strongly each two columns go together, in each table.
    figures
        The whole in a few figures: ``mean_total_variation``, ``largest_distance``,
        ``mean_association_difference``, and ``target_association_difference`` if a target was
        named.
    """

    columns: tuple[ColumnFidelity, ...]
    dropped: tuple[str, ...]
    added: tuple[str, ...]
    association: Association
    figures: dict[str, Figure]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON values."""
        return {
            "columns": [column.to_dict() for column in self.columns],
            "dropped": list(self.dropped),
            "added": list(self.added),
            "association": self.association.to_dict(),
            "figures": {key: figure.to_dict() for key, figure in self.figures.items()},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the comparison that :meth:`to_dict` described."""
        return cls(
            tuple(ColumnFidelity.from_dict(one) for one in values["columns"]),
            tuple(values["dropped"]),
            tuple(values["added"]),
            Association.from_dict(values["association"]),
            {key: Figure.from_dict(one) for key, one in values["figures"].items()},
        )


def fidelity(
    real: pl.DataFrame,
    released: pl.DataFrame,
    control: pl.DataFrame | None = None,
    *,
    columns: Sequence[str] | None = None,
    target: str | None = None,
) -> Fidelity:
    """Compare a released table with the real one.

    Parameters
    ----------
    real
        The real rows, written as the release writes them (recoded by its fitted mapping).
    released
        The released rows.
    control
        Real rows of other people, written alike; gives each distance its noise floor.
    columns
        Columns to compare; all by default. Identifiers are the caller's to leave out.
    target
        A column whose associations with the others are summed up by themselves.

    Raises
    ------
    DataError
        If a table has no rows, or no column is in both tables.
    SchemaError
        If a named column is in neither table, or the control lacks a column.

    Examples
    --------
    >>> real = pl.DataFrame({"sex": ["f", "m"] * 50})
    >>> released = pl.DataFrame({"sex": ["f", "f", "m", "f"] * 25})
    >>> fidelity(real, released).columns[0].distance.value
    0.25
    """
    tables = [real, released] + ([] if control is None else [control])
    for table, name in zip(tables, ("real", "released", "control"), strict=False):
        if table.is_empty():
            raise DataError(f"The {name} table has no rows to compare")
    wanted = _wanted(real, released, columns)
    shared = [name for name in wanted if name in real.columns and name in released.columns]
    if not shared:
        raise DataError("The real and the released table have no column in common")
    if control is not None:
        for name in shared:
            if name not in control.columns:
                raise SchemaError(f"The control table has no column {name!r}")
    aligned = [align(name, [table[name] for table in tables]) for name in shared]
    compared = [_column(column) for column in aligned]
    matrices = associations(aligned)
    figures = {
        "mean_total_variation": _mean_total_variation(compared, tables),
        "largest_distance": _largest(compared),
        "mean_association_difference": _difference(matrices, None, ""),
    }
    if target in shared:
        figures["target_association_difference"] = _difference(
            matrices, shared.index(target), f" with {target}"
        )
    return Fidelity(
        columns=tuple(compared),
        dropped=tuple(name for name in wanted if name not in released.columns),
        added=tuple(name for name in wanted if name not in real.columns),
        association=Association(tuple(shared), *(_plain(matrix) for matrix in matrices)),
        figures=figures,
    )


def _wanted(real: pl.DataFrame, released: pl.DataFrame, columns: Sequence[str] | None) -> list[str]:
    known = [*real.columns, *(name for name in released.columns if name not in real.columns)]
    if columns is None:
        return known
    for name in columns:
        if name not in known:
            hint = did_you_mean(name, known)
            raise SchemaError(f"Neither table has a column {name!r}.{hint}")
    return list(columns)


def _column(column: AlignedColumn) -> ColumnFidelity:
    drawn = histogram(column)
    variation = _total_variation(
        [np.array(shares) for shares in (drawn.real, drawn.released, drawn.control) if shares],
        [len(state) for state in column.state],
        "over the cells of the chart, the share of rows that would have to move for the released "
        "column to look like the real one",
    )
    if column.kind == "number":
        distance = kolmogorov_smirnov(column)
    else:
        distance = _total_variation(
            [_shares(column, table) for table in range(len(column.state))],
            [len(state) for state in column.state],
            "the share of rows whose value would have to change for the released column to look "
            "like the real one",
        )
    return ColumnFidelity(column.name, column.kind, distance, variation, drawn, _note(column))


def _note(column: AlignedColumn) -> str:
    if column.kind == "number":
        return ""
    real, released = (set(np.unique(content[content >= 0])) for content in column.content[:2])
    if real and released and not real & released:
        return (
            "No value of the released column occurs in the real one: it is written otherwise. "
            "Recode the real rows first."
        )
    return ""


def _shares(column: AlignedColumn, table: int) -> Floats:
    """Return the shares of a category's values, of missing and of suppressed cells."""
    codes, state = column.content[table].astype(np.int64), column.state[table]
    cells = np.where(state == PRESENT, codes, len(column.labels) - 1 + state)
    return np.asarray(np.bincount(cells, minlength=len(column.labels) + 2) / len(state))


def _total_variation(shares: list[Floats], rows: list[int], what: str) -> Figure:
    distances = [float(0.5 * np.abs(shares[0] - other).sum()) for other in shares[1:]]
    return Figure(
        name="total variation distance",
        value=distances[0],
        unit="share",
        direction="lower is better",
        meaning=f"From 0 (alike) to 1 (nothing in common): {what}.",
        source="Levin & Peres 2017, Markov Chains and Mixing Times, section 4.1",
        interval=around(distances[0], share_reach(shares[0], rows[0], shares[1], rows[1])),
        interval_method=_MCDIARMID,
        control=distances[1] if len(distances) > 1 else None,
    )


def kolmogorov_smirnov(column: AlignedColumn) -> Figure:
    """Return the Kolmogorov-Smirnov distance of a number, released and control against real rows.

    Parameters
    ----------
    column
        A number in the real, the released and perhaps the control table, in this order; no table
        is empty.
    """
    distances = [_steps_apart(column, 0, other) for other in range(1, len(column.state))]
    rows = [len(state) for state in column.state]
    return Figure(
        name="Kolmogorov-Smirnov distance",
        value=distances[0],
        unit="share",
        direction="lower is better",
        meaning="From 0 (alike) to 1 (nothing in common): the most by which the shares of rows up "
        "to any one value differ. Missing and suppressed cells count as lower than all values.",
        source="Massey 1951, JASA 46; intervals: Massart 1990",
        interval=around(distances[0], distribution_reach(rows[0], rows[1])),
        interval_method=_DKW,
        control=distances[1] if len(distances) > 1 else None,
    )


def _steps_apart(column: AlignedColumn, first: int, second: int) -> float:
    """Return the largest difference of the two tables' cumulative shares."""
    cumulative = []
    known = []
    for table in (first, second):
        state = column.state[table]
        known.append(np.sort(column.content[table][state == PRESENT]))
        missing, suppressed = ((state == kind).mean() for kind in (1, 2))
        cumulative.append(np.array([missing, missing + suppressed]))
    points = np.unique(np.concatenate(known))
    for place, table in enumerate((first, second)):
        below = np.searchsorted(known[place], points, side="right") / len(column.state[table])
        cumulative[place] = np.concatenate([cumulative[place], cumulative[place][-1] + below])
    return float(np.abs(cumulative[0] - cumulative[1]).max())


def _mean_total_variation(columns: list[ColumnFidelity], tables: list[pl.DataFrame]) -> Figure:
    figures = [column.total_variation for column in columns]
    value = float(np.mean([figure.value for figure in figures]))
    controls = [figure.control for figure in figures if figure.control is not None]
    # McDiarmid's inequality holds for the mean over columns as it does for one of them.
    reach = float(
        np.mean(
            [
                share_reach(
                    np.array(column.histogram.real),
                    tables[0].height,
                    np.array(column.histogram.released),
                    tables[1].height,
                )
                for column in columns
            ]
        )
    )
    return Figure(
        name="total variation distance, mean over columns",
        value=value,
        unit="share",
        direction="lower is better",
        meaning="On average over the columns, the share of rows that would have to move for the "
        "released column to look like the real one.",
        source="Levin & Peres 2017, section 4.1",
        interval=around(value, reach),
        interval_method=_MCDIARMID,
        control=float(np.mean(controls)) if controls else None,
    )


def _largest(columns: list[ColumnFidelity]) -> Figure:
    worst = max(columns, key=lambda column: column.distance.value or 0.0)
    controls = [
        column.distance.control for column in columns if column.distance.control is not None
    ]
    return Figure(
        name="distance of the least alike column",
        value=worst.distance.value,
        unit="share",
        direction="lower is better",
        meaning=f"The column that differs most is {worst.name}: its {worst.distance.name}.",
        source=worst.distance.source,
        interval=worst.distance.interval,
        interval_method=worst.distance.interval_method + ", for this column",
        control=max(controls) if controls else None,
    )


def _difference(matrices: tuple[Floats, ...], row: int | None, of_what: str) -> Figure:
    name = "association difference, mean over pairs" + of_what
    source = "Bergsma 2013 (Cramer's V), Kelley 1935 (correlation ratio), Pearson"
    differences = [_mean_difference(matrices[0], other, row) for other in matrices[1:]]
    if differences[0] is None:
        because = "no two columns vary in both tables"
        return Figure.not_computed(
            name, because, unit="correlation", direction="lower is better", source=source
        )
    return Figure(
        name=name,
        value=differences[0],
        unit="correlation",
        direction="lower is better",
        meaning=f"How much the strength of the tie between two columns{of_what} changes on "
        f"average, on a scale where 1 is a perfect tie.",
        source=source,
        interval_method=_NO_INTERVAL,
        control=differences[1] if len(differences) > 1 else None,
    )


def _mean_difference(real: Floats, other: Floats, row: int | None) -> float | None:
    apart = np.abs(real - other)
    values = apart[np.triu_indices(len(apart), 1)] if row is None else np.delete(apart[row], row)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else None


def _plain(matrix: Floats) -> Matrix:
    return tuple(
        tuple(None if np.isnan(value) else float(value) for value in row) for row in matrix.tolist()
    )
