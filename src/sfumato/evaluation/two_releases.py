"""Two releases of the same people, put together: what they tell that neither tells alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError
from sfumato.evaluation.attacks.count_differences import differencing_figures
from sfumato.evaluation.attacks.intersection import intersection_figures
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.table import take

if TYPE_CHECKING:
    from sfumato.evaluation.figures import Figure
    from sfumato.table import Schema

__all__ = ["differencing", "intersect"]

_MEMBER = "is a member"
_ROW = "row"


def intersect(
    real: Any,
    first: Any,
    second: Any,
    schema: Schema,
    *,
    control: Any = None,
    sensitive: Sequence[str] | None = None,
    bins: int = 10,
    smallest: int = 11,
    synthetic: bool = False,
    seed: int = 0,
) -> dict[str, Figure]:
    """Attack two releases of the same people together.

    Parameters
    ----------
    real
        The rows of the people in both releases; a frame of any kind.
    first, second
        The released rows of either, whoever made them. They may show different columns.
    schema
        Of the real rows; its hierarchies tell what generalized cells stand for.
    control
        Real rows of people who are in neither release. Without them only counts are compared.
    sensitive
        The columns to learn; by default the sensitive ones and the target that both show.
    bins
        Numbers of many values are learned if their bin is, of as many released rows each; 2 or
        more.
    smallest
        The smallest count that may be shown, at least 2; 11 in the policy of CMS.
    synthetic
        Whether the released rows were drawn from a model, so that none stands for a person.
    seed
        Of breaking ties.

    Returns
    -------
    dict of Figure
        For each column to learn ``intersection/column/certain``, ``.../row`` and
        ``.../candidates``, and the figures of :func:`differencing`.

    Raises
    ------
    DataError
        If a release has nothing in common with the real rows or with the other, or ``bins`` or
        ``smallest`` is below 2.
    SchemaError
        If the schema does not fit the real rows, or a column to learn is not in both releases.

    Notes
    -----
    S. R. Ganta, S. P. Kasiviswanathan, A. Smith, "Composition Attacks and Auxiliary Information in
    Data Privacy", KDD 2008, section 3.
    """
    if bins < 2:
        raise DataError(f"bins: numbers are learned by at least 2 bins, not {bins}")
    rows = take(real)[0]
    others = rows.clear() if control is None else take(control)[0]
    checked = schema.check(rows)
    tables = [
        AttackTables.of(
            take(one)[0],
            _once(rows, checked),
            _once(others, checked),
            checked,
            target=checked.target,
            synthetic=synthetic,
        )
        for one in (first, second)
    ]
    pooled = pl.concat([_once(rows, checked), _once(others, checked)], how="diagonal_relaxed")
    places = [_places(one, pooled) for one in tables]
    pairs = np.empty(pooled.height, dtype=np.int64)
    pairs[places[0]] = places[1]
    return intersection_figures(
        tables[0],
        tables[1],
        sensitive=sensitive,
        pairs=pairs,
        bins=bins,
        smallest=smallest,
        seed=seed,
    )


def differencing(
    real: Any, first: Any, second: Any, schema: Schema, *, smallest: int = 11
) -> dict[str, Figure]:
    """Count the small cells that follow by subtracting a count of one release from the other's.

    Parameters
    ----------
    real
        Real rows that tell which values there are; a frame of any kind.
    first, second
        The released rows of two releases about the same people, or of one that grew.
    schema
        Of the real rows.
    smallest
        The smallest count that may be shown, at least 2; 11 in the policy of CMS.

    Returns
    -------
    dict of Figure
        ``differencing/classes``, of cells of all shared quasi-identifiers, and
        ``differencing/cells``, of cells of one and two shared columns. Only cells that both
        releases show as large enough are counted: their difference is what publishing both adds.

    Raises
    ------
    DataError
        If a release has nothing in common with the real rows, or ``smallest`` is below 2.
    SchemaError
        If the schema does not fit the real rows.

    Notes
    -----
    CMS cell size suppression policy (ResDAC, 2024).
    """
    rows = take(real)[0]
    checked = schema.check(rows)
    tables = [AttackTables.of(take(one)[0], rows, None, checked) for one in (first, second)]
    return differencing_figures(tables[0], tables[1], smallest=smallest)


def _once(rows: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Return one row of each person, the same for both releases; a row without a person is one."""
    person = schema.person
    if person is None or person not in rows.columns:
        return rows
    return rows.filter(rows[person].is_null() | rows[person].is_first_distinct())


def _places(tables: AttackTables, pooled: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Return where each real row stands in the tables; equal rows may change places."""
    names = tables.real_frame.columns
    member, row = _fresh(_MEMBER, names), _fresh(_ROW, names)
    known = np.arange(pooled.height) < tables.n_members
    ordered = [
        frame.select(names)
        .with_columns(pl.Series(member, flags))
        .with_row_index(row)
        .sort([*names, member, row], nulls_last=True)[row]
        .to_numpy()
        for frame, flags in ((pooled, known), (tables.real_frame, tables.member))
    ]
    place = np.empty(pooled.height, dtype=np.int64)
    place[ordered[0]] = ordered[1]
    return place


def _fresh(name: str, names: Sequence[str]) -> str:
    while name in names:
        name += "_"
    return name
