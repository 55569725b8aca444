"""Whether the release serves every group of people as well: fidelity group by group.

References
----------
Total variation distance: Levin & Peres 2017, section 4.1. On groups that a release serves worse:
Ganev, Oprisanu & De Cristofaro, "Robin Hood and Matthew effects", ICML 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.figures import Figure
from sfumato.evaluation.utility.binning import BinnedColumn, bin_columns
from sfumato.evaluation.utility.footing import CONTROL, REAL, RELEASED, UtilityTables
from sfumato.evaluation.utility.records import Record, absent

__all__ = ["GroupFidelity", "Groups", "group_columns", "group_fidelity"]

Floats = npt.NDArray[np.float64]

_BANDS = 4
_SOURCE = "Levin & Peres 2017, section 4.1; Ganev et al., ICML 2022"


@dataclass(frozen=True)
class GroupFidelity(Record):
    """How alike the released and the real rows of one group are.

    Parameters
    ----------
    column, group
        The column, and the value or band that the group shares.
    rows_real, rows_released, rows_control
        Its rows in each table.
    value
        Total variation distance to the real rows of the group, mean over the other columns; 1
        where the release has none of it.
    control
        The same for the control rows of the group; None where there are none.
    worst_column
        The column that differs most within the group.
    """

    column: str
    group: str
    rows_real: int
    rows_released: int
    rows_control: int | None
    value: float
    control: float | None
    worst_column: str


@dataclass(frozen=True)
class Groups(Record):
    """How alike the tables are within each group.

    Parameters
    ----------
    figures
        ``groups/<column>/mean`` and ``groups/<column>/worst``.
    groups
        Each group, in the order of columns and of their cells.
    left_out
        Groups of fewer real rows than asked for, which are neither measured nor named.
    """

    figures: dict[str, Figure]
    groups: tuple[GroupFidelity, ...]
    left_out: int


def group_columns(tables: UtilityTables, names: Sequence[str] | None) -> tuple[BinnedColumn, ...]:
    """Return the columns whose groups are looked at: numbers as four bands of equally many rows.

    Parameters
    ----------
    tables
        On one footing.
    names
        Columns; the quasi-identifiers by default. Those that cannot be compared are passed over.
    """
    wanted = tables.schema.quasi_identifiers if names is None else names
    known = [tables.by_name[name] for name in wanted if name in tables.by_name]
    return bin_columns(known, bins=_BANDS, values=20)


def group_fidelity(
    grouped: Sequence[BinnedColumn],
    columns: Sequence[BinnedColumn],
    *,
    rows: int = 50,
) -> Groups:
    """Compare the columns within each group.

    Parameters
    ----------
    grouped
        The columns that make the groups, from :func:`group_columns`.
    columns
        The columns to compare, over the same tables.
    rows
        A group of fewer real rows is left out.
    """
    figures: dict[str, Figure] = {}
    found: list[GroupFidelity] = []
    left_out = 0
    for by in grouped:
        own = _groups_of(by, [column for column in columns if column.name != by.name], rows)
        left_out += int((np.bincount(by.codes[REAL], minlength=by.size) < rows).sum())
        figures |= _figures(by.name, own, rows)
        found += own
    if not grouped:
        because = "no column is named for groups, and there is no quasi-identifier"
        figures["groups/mean"] = absent(
            "total variation distance within groups",
            because,
            _SOURCE,
            unit="share",
            direction="lower is better",
        )
    return Groups(figures, tuple(found), left_out)


def _groups_of(by: BinnedColumn, columns: Sequence[BinnedColumn], rows: int) -> list[GroupFidelity]:
    counts = [np.bincount(codes, minlength=by.size) for codes in by.codes]
    shown = np.flatnonzero(counts[REAL] >= rows)
    if not columns or not shown.size:
        return []
    apart: list[list[Floats]] = [[] for _ in by.codes[RELEASED:]]
    for column in columns:
        shares = []
        for table, codes in enumerate(by.codes):
            joint = codes.astype(np.int64) * column.size + column.codes[table]
            cells = np.bincount(joint, minlength=by.size * column.size)
            per_group = cells.reshape(by.size, column.size)
            shares.append(per_group / np.maximum(counts[table][:, None], 1))
        for place, other in enumerate(shares[RELEASED:]):
            apart[place].append(0.5 * np.abs(shares[REAL] - other).sum(axis=1))
    distances = [np.array(one) for one in apart]
    found = []
    for group in shown.tolist():
        released = int(counts[RELEASED][group])
        control_rows = int(counts[CONTROL][group]) if len(counts) > CONTROL else None
        found.append(
            GroupFidelity(
                column=by.name,
                group=by.called[group],
                rows_real=int(counts[REAL][group]),
                rows_released=released,
                rows_control=control_rows,
                value=float(distances[0][:, group].mean()) if released else 1.0,
                control=float(distances[1][:, group].mean()) if control_rows else None,
                worst_column=columns[int(distances[0][:, group].argmax())].name,
            )
        )
    return found


def _figures(column: str, groups: list[GroupFidelity], rows: int) -> dict[str, Figure]:
    key, name = f"groups/{column}", f"total variation distance within the groups of {column}"
    if not groups:
        because = f"no group of {column} has {rows} real rows, or there is no other column"
        return {
            f"{key}/{part}": absent(
                f"{name}, {part}", because, _SOURCE, unit="share", direction="lower is better"
            )
            for part in ("mean", "worst")
        }
    controls = [one.control for one in groups if one.control is not None]
    worst = max(groups, key=lambda one: one.value)
    return {
        f"{key}/mean": Figure(
            name=f"{name}, mean",
            value=float(np.mean([one.value for one in groups])),
            unit="share",
            direction="lower is better",
            meaning=f"On average over {len(groups)} groups and all other columns, the share of a "
            "group's rows that would have to move for its released rows to look real.",
            source=_SOURCE,
            interval_method="none: compare with the control",
            control=float(np.mean(controls)) if controls else None,
        ),
        f"{key}/worst": Figure(
            name=f"{name}, worst group",
            value=worst.value,
            unit="share",
            direction="lower is better",
            meaning=f"The group served worst is {worst.group} ({worst.rows_real} real rows, "
            f"{worst.rows_released} released), in the column {worst.worst_column}.",
            source=_SOURCE,
            interval_method="none: compare with the control",
            control=worst.control,
            not_shown="A small group differs more by chance: compare with its control.",
        ),
    }
