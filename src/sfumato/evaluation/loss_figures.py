"""The information loss of a release as figures of an evaluation, overall and column by column."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.evaluation.attackers import suppressed_rows
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.loss import LOSS_MEASURES, InformationLoss, LossMeasure, measure_cells
from sfumato.evaluation.loss_measures import Options
from sfumato.evaluation.released_cells import ReleasedCells, read_cells
from sfumato.privacy import EquivalenceClasses
from sfumato.table import SUPPRESSED, Schema

__all__ = ["BY_COLUMN", "OF_CLASSES", "loss_figures", "loss_not_measured"]

BY_COLUMN = ("arithmetic", "ncp", "entropy-normalized", "precision")
"""The measures that an evaluation shows for each column and overall."""

OF_CLASSES = ("discernibility", "aecs")
"""The measures that an evaluation shows of classes."""

_EXACT = "exact: read from every released cell"
_REFUSED = (DataError, SchemaError, PlanError)


def loss_figures(
    real: pl.DataFrame,
    released: pl.DataFrame,
    schema: Schema,
    *,
    unmeasured: Mapping[str, str] | None = None,
) -> dict[str, Figure]:
    """Return the information loss of a release as figures; what cannot be computed says why.

    Parameters
    ----------
    real
        The rows that it was made from.
    released
        The released rows, in the same order; columns by their names in the real table, a
        quasi-identifier that was not released left out.
    schema
        Of the real rows.
    unmeasured
        Quasi-identifiers that cannot be measured by what their labels say, and why, such as a
        column with noise.

    Returns
    -------
    dict of Figure
        By key: ``loss/arithmetic``, ``loss/ncp``, ``loss/entropy-normalized``,
        ``loss/precision`` and the same with ``/column`` for each quasi-identifier;
        ``loss/discernibility`` and ``loss/aecs``. The baseline is the value of a release that
        suppresses every row. Empty if there are no quasi-identifiers or no rows.
    """
    names = schema.quasi_identifiers
    if not names or real.is_empty() or released.is_empty():
        return {}
    refused = dict(unmeasured or {})
    alone: dict[str, ReleasedCells] = {}
    for name in names:
        if name not in refused:
            try:
                alone[name] = read_cells(real, released, schema, columns=[name])
            except _REFUSED as error:
                refused[name] = str(error)
    whole = _together(list(alone.values())) if not refused else None
    figures: dict[str, Figure] = {}
    for key in BY_COLUMN:
        measure = LOSS_MEASURES[key]
        found = _measured(whole, key, refused)
        figures[f"loss/{key}"] = _figure(measure, found)
        for name in names:
            found = _measured(alone.get(name), key, {name: refused.get(name, "")})
            figures[f"loss/{key}/{name}"] = _figure(measure, found, name)
    return figures | _of_classes(released, names)


def loss_not_measured(because: str) -> dict[str, Figure]:
    """Return the figures of a whole release, each saying why it was not computed."""
    return {
        f"loss/{key}": _figure(LOSS_MEASURES[key], because) for key in (*BY_COLUMN, *OF_CLASSES)
    }


def _together(parts: list[ReleasedCells]) -> ReleasedCells:
    """Return columns that were read one by one as one release."""
    first = parts[0]
    return ReleasedCells(
        columns=tuple(column for part in parts for column in part.columns),
        rows=first.rows,
        weights=first.weights,
        real_rows=first.real_rows,
        paired=first.paired,
        why_not_paired=first.why_not_paired,
        real=first.real,
        released=first.released,
    )


def _measured(
    cells: ReleasedCells | None, key: str, refused: Mapping[str, str]
) -> InformationLoss | str:
    """Return the loss, or why it cannot be computed."""
    if cells is None:
        return "; ".join(refused.values())
    try:
        return measure_cells(cells, key, Options())
    except _REFUSED as error:
        return str(error)


def _figure(measure: LossMeasure, found: InformationLoss | str, column: str = "") -> Figure:
    name = f"{measure.title} of {column}" if column else measure.title
    if isinstance(found, str):
        return Figure.not_computed(
            name, found, unit=measure.unit, direction="lower is better", source=measure.source
        )
    return Figure(
        name,
        found.value,
        measure.unit,
        "lower is better",
        measure.meaning,
        measure.source,
        interval_method=_EXACT,
        baseline=found.most,
    )


def _of_classes(released: pl.DataFrame, names: tuple[str, ...]) -> dict[str, Figure]:
    """Return the measures that need class sizes only, whatever the labels say."""
    absent = [name for name in names if name not in released.columns]
    table = released.with_columns(pl.lit(SUPPRESSED).alias(name) for name in absent)
    classes = EquivalenceClasses.of(table, list(names))
    gone = suppressed_rows(table, names)
    rows = float(table.height)
    squares = classes.sizes.astype(np.float64)[classes.of_row]
    confused = float(np.where(gone, rows, squares).sum())
    values = {"discernibility": (confused, rows**2), "aecs": (rows / len(classes), rows)}
    figures = {}
    for key, (value, most) in values.items():
        measure = LOSS_MEASURES[key]
        figures[f"loss/{key}"] = Figure(
            measure.title,
            value,
            measure.unit,
            "lower is better",
            measure.meaning,
            measure.source,
            interval_method=_EXACT,
            baseline=most,
        )
    return figures
