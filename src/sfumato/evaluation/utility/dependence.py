"""Whether columns go together in the release as they do among real people, whatever their types.

Three measures, since each sees what the others miss: mixed association (Pearson's correlation,
correlation ratio, Cramer's V), Spearman's rank correlation of numbers, and Theil's U, which is not
the same both ways, over the frozen cells of all columns.

References
----------
Bergsma, Journal of the Korean Statistical Society 42 (2013); Kelley, PNAS 21 (1935); Spearman,
American Journal of Psychology 15 (1904); Theil, "Statistical decomposition analysis" (1972), ch. 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.alignment import AlignedColumn
from sfumato.evaluation.association import associations, ranked
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.utility.footing import CONTROL, REAL, RELEASED
from sfumato.evaluation.utility.marginals import Dependence
from sfumato.evaluation.utility.records import Record, absent

__all__ = ["AssociationChange", "Associations", "PairChange", "association_change"]

Floats = npt.NDArray[np.float64]
Matrix = tuple[tuple[float | None, ...], ...]
_WORST = 10
_MEASURES = {
    "mixed": (
        "association difference, mean over pairs",
        "Bergsma 2013 (Cramer's V), Kelley 1935 (correlation ratio), Pearson",
    ),
    "rank": ("Spearman's rank correlation difference, mean over pairs of numbers", "Spearman 1904"),
    "uncertainty": ("Theil's U difference, mean over ordered pairs", "Theil 1972, ch. 3"),
}


@dataclass(frozen=True)
class PairChange(Record):
    """How strongly two columns go together, before and after.

    Parameters
    ----------
    columns
        The two; for Theil's U the first is told by the second.
    real, released, control
        The measure in each table; None for a table in which it cannot be said.
    """

    columns: tuple[str, str]
    real: float
    released: float
    control: float | None


@dataclass(frozen=True)
class AssociationChange(Record):
    """One measure of association over all pairs of columns.

    Parameters
    ----------
    measure
        "mixed", "rank" or "uncertainty".
    columns
        The columns of the matrices.
    difference
        Released less real, square; None where either cannot be said.
    control
        Control less real; None without control.
    worst
        The ten pairs that changed most.
    """

    measure: str
    columns: tuple[str, ...]
    difference: Matrix
    control: Matrix | None
    worst: tuple[PairChange, ...]


@dataclass(frozen=True)
class Associations(Record):
    """How much the ties between columns changed.

    Parameters
    ----------
    figures
        ``associations/mixed``, ``associations/rank``, ``associations/uncertainty``, with
        ``/worst`` and, if a target was named, ``/target``.
    measures
        Each measure pair by pair.
    """

    figures: dict[str, Figure]
    measures: tuple[AssociationChange, ...]


def association_change(
    columns: Sequence[AlignedColumn], dependence: Dependence, *, target: str | None = None
) -> Associations:
    """Compare how strongly each two columns go together.

    Parameters
    ----------
    columns
        Over the real, the released and perhaps the control rows.
    dependence
        Theil's U of the same columns, from :func:`marginal_fidelity`.
    target
        A column whose ties to the others are summed up by themselves.
    """
    numbers = [ranked(column) for column in columns if column.kind == "number"]
    told = {
        "mixed": (columns, associations(columns)),
        "rank": (numbers, associations(numbers)),
        "uncertainty": (columns, dependence.uncertainty),
    }
    figures: dict[str, Figure] = {}
    measures = []
    for measure, (compared, matrices) in told.items():
        names = tuple(column.name for column in compared)
        known = matrices if names else (np.zeros((0, 0)),) * 2
        change = _change(measure, names, known)
        measures.append(change)
        key = f"associations/{measure}"
        figures[key] = _figure(measure, known, None, "")
        figures[f"{key}/worst"] = _worst_figure(change)
        if target in names:
            place = names.index(str(target))
            figures[f"{key}/target"] = _figure(measure, known, place, f" with {target}")
    return Associations(figures, tuple(measures))


def _pairs(measure: str, size: int, row: int | None) -> tuple[npt.NDArray[np.int64], ...]:
    every = (
        ~np.eye(size, dtype=bool)
        if measure == "uncertainty"
        else np.triu(np.ones((size, size), dtype=bool), 1)
    )
    first, second = np.nonzero(every)
    if row is None:
        return first, second
    with_target = (first == row) | (second == row)
    return first[with_target], second[with_target]


def _change(measure: str, names: tuple[str, ...], matrices: Sequence[Floats]) -> AssociationChange:
    differences = [other - matrices[REAL] for other in matrices[RELEASED:]]
    first, second = _pairs(measure, len(names), None)
    apart = np.abs(differences[0][first, second])
    order = np.argsort(-np.nan_to_num(apart, nan=-1.0), kind="stable")[:_WORST]
    worst = []
    for at in order[~np.isnan(apart[order])].tolist():
        place = first[at], second[at]
        control = _known(matrices[CONTROL][place]) if len(matrices) > CONTROL else None
        worst.append(
            PairChange(
                (names[place[0]], names[place[1]]),
                float(matrices[REAL][place]),
                float(matrices[RELEASED][place]),
                control,
            )
        )
    return AssociationChange(
        measure,
        names,
        _plain(differences[0]),
        _plain(differences[1]) if len(differences) > 1 else None,
        tuple(worst),
    )


def _figure(measure: str, matrices: Sequence[Floats], row: int | None, of_what: str) -> Figure:
    name, source = _MEASURES[measure]
    pairs = _pairs(measure, len(matrices[REAL]), row)
    means = []
    for other in matrices[RELEASED:]:
        apart = np.abs(other[pairs] - matrices[REAL][pairs])
        known = apart[~np.isnan(apart)]
        means.append(float(known.mean()) if known.size else None)
    lost = int((~np.isnan(matrices[REAL][pairs]) & np.isnan(matrices[RELEASED][pairs])).sum())
    if means[0] is None:
        because = "no two columns that it is for vary in both tables"
        return absent(
            name + of_what, because, source, unit="correlation", direction="lower is better"
        )
    gone = f" {lost} pairs cannot be told in the release and are left out." if lost else ""
    return Figure(
        name=name + of_what,
        value=means[0],
        unit="correlation",
        direction="lower is better",
        meaning=f"How much the strength of the tie between two columns{of_what} changes on "
        f"average, where 1 is a perfect tie.{gone}",
        source=source,
        interval_method="none: compare with the control",
        control=means[1] if len(means) > 1 else None,
    )


def _worst_figure(change: AssociationChange) -> Figure:
    name, source = _MEASURES[change.measure]
    name = name.partition(",")[0] + " of the pair that changed most"
    if not change.worst:
        because = "no two columns that it is for vary in both tables"
        return absent(name, because, source, unit="correlation", direction="lower is better")
    worst = change.worst[0]
    return Figure(
        name=name,
        value=abs(worst.released - worst.real),
        unit="correlation",
        direction="lower is better",
        meaning=f"{worst.columns[0]} and {worst.columns[1]}: {worst.real:.3f} among real people, "
        f"{worst.released:.3f} in the release.",
        source=source,
        interval_method="none: compare with the control",
        control=None if worst.control is None else abs(worst.control - worst.real),
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _plain(matrix: Floats) -> Matrix:
    return tuple(tuple(_known(value) for value in row) for row in matrix)
