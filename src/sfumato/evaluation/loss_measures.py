"""Information loss of cells: the share of a domain that stays open, levels climbed, bits lost.

All are losses: lower is better, and a table released as it is loses the least. Each function gives
the loss of the whole, that of each column where there is such a thing, and the values that an
unchanged and an entirely suppressed table would have.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sfumato.errors import DataError, PlanError, SchemaError
from sfumato.evaluation.released_cells import ReleasedCells, ReleasedColumn

__all__ = [
    "Measured",
    "Options",
    "arithmetic",
    "certainty_penalty",
    "entropy",
    "entropy_normalized",
    "geometric",
    "global_certainty_penalty",
    "granularity",
    "leaves_of",
    "maximum",
    "mean_of",
    "missings",
    "need_pairs",
    "need_truth",
    "precision",
    "total",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Measured:
    """What a measure found.

    Parameters
    ----------
    value
        The loss of the whole.
    columns
        The loss of each column, where the measure has it.
    least, most
        The value of an unchanged table, and of one whose rows are all suppressed.
    """

    value: float
    columns: dict[str, float] = field(default_factory=dict)
    least: float = 0.0
    most: float = 1.0


@dataclass(frozen=True)
class Options:
    """What some measures need to be told.

    Parameters
    ----------
    gs_factor
        Between generalization and suppression, 0 to 1: below 0.5 suppressed rows weigh less, above
        it generalized ones do.
    target
        The column whose classes must stay apart; None if there is none.
    """

    gs_factor: float = 0.5
    target: str | None = None


# -- the share of a column's domain that stays open ---------------------------------------------


def arithmetic(cells: ReleasedCells, options: Options) -> Measured:
    """Loss, mean over columns."""
    losses = _column_losses(cells, options.gs_factor)
    return Measured(float(np.mean(list(losses.values()))), losses)


def geometric(cells: ReleasedCells, options: Options) -> Measured:
    """Loss, geometric mean over columns."""
    losses = _column_losses(cells, options.gs_factor)
    logs = np.log1p(list(losses.values()))
    return Measured(float(np.expm1(np.mean(logs))), losses)


def total(cells: ReleasedCells, options: Options) -> Measured:
    """Loss, sum over columns."""
    losses = _column_losses(cells, options.gs_factor)
    return Measured(float(np.sum(list(losses.values()))), losses, most=float(len(losses)))


def maximum(cells: ReleasedCells, options: Options) -> Measured:
    """Loss of the column that loses most."""
    losses = _column_losses(cells, options.gs_factor)
    return Measured(max(losses.values()), losses)


def _column_losses(cells: ReleasedCells, gs_factor: float) -> dict[str, float]:
    if not 0 <= gs_factor <= 1:
        raise PlanError(f"gs_factor is a number from 0 to 1, not {gs_factor}")
    for_suppressed = min(2 * gs_factor, 1.0)
    for_generalized = 1.0 if gs_factor <= 0.5 else 2 - 2 * gs_factor
    levels = _levels_of_suppressed(cells) if for_suppressed < 1 else None
    losses = {}
    gone = cells.suppressed_weight
    for place, column in enumerate(cells.columns):
        share, least = _shares(column)
        # above the share of an exact value, so that a table released as it is loses exactly 0
        above = float(cells.weight_of_labels(column) @ (share - least)) - gone * (1 - least)
        kept = for_generalized * above - (1 - for_generalized) * least * (cells.total - gone)
        lost = gone * (1 - least)
        if levels is not None:
            before = _shares_at(column, levels[place])[leaves_of(column)[cells.suppressed]]
            weight = cells.weights[cells.suppressed]
            lost = float(weight @ (before + for_suppressed * (1 - before) - least))
        mean = (kept + lost) / cells.total
        losses[column.name] = float(np.clip(mean / (1 - least), 0.0, 1.0))
    return losses


def _levels_of_suppressed(cells: ReleasedCells) -> tuple[int, ...] | None:
    """Return at which levels the suppressed rows would be shown; None if there is no such row."""
    if not cells.suppressed.any():
        return None
    need_pairs(cells, "a gs_factor below 0.5")
    levels = cells.full_domain_levels
    if levels is None or any(column.domain.by_width for column in cells.columns):
        raise PlanError(
            "a gs_factor below 0.5 asks what the suppressed rows would show if they were not, "
            "which a release tells only if every other row is generalized to the same levels of "
            "hierarchies, and this one mixes levels: leave the gs_factor at 0.5"
        )
    return levels


def _shares(column: ReleasedColumn) -> tuple[Floats, float]:
    """Return the share that each label leaves open, and that of an exact value."""
    share = np.where(column.hidden, 1.0, column.meanings.share)
    if column.domain.by_width:
        return share, 0.0
    if column.domain.size == 1:
        return np.where(column.hidden, 1.0, 0.0), 0.0
    return share, 1 / column.domain.size


def _shares_at(column: ReleasedColumn, level: int) -> Floats:
    """Return the share of each leaf's group at a level, shape (n_leaves,)."""
    ladder = column.domain.ladder
    shares = ladder.sizes[level][ladder.levels[level]] / column.domain.size
    return np.minimum(shares, 1.0)


def granularity(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Mean share, not set against that of an exact value."""
    losses, least = {}, []
    for column in cells.columns:
        share, exact = _shares(column)
        losses[column.name] = mean_of(cells, column, share)
        least.append(exact)
    return Measured(float(np.mean(list(losses.values()))), losses, float(np.mean(least)))


def certainty_penalty(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Mean share, 0 for an exact value."""
    losses = {}
    for column in cells.columns:
        share = np.where(column.meanings.exact, 0.0, column.meanings.share)
        losses[column.name] = mean_of(cells, column, np.where(column.hidden, 1.0, share))
    return Measured(float(np.mean(list(losses.values()))), losses)


def global_certainty_penalty(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Certainty penalty with numbers measured by their width, hierarchy or not."""
    losses = {}
    for column in cells.columns:
        meanings = column.meanings
        share = meanings.share if column.domain.numbers is None else meanings.extent
        share = np.where(meanings.exact, 0.0, share)
        losses[column.name] = mean_of(cells, column, np.where(column.hidden, 1.0, share))
    return Measured(float(np.mean(list(losses.values()))), losses)


# -- levels and cells ----------------------------------------------------------------------------


def precision(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """How far up its hierarchy each cell was moved."""
    losses = {}
    levels = cells.full_domain_levels
    for place, column in enumerate(cells.columns):
        height = column.domain.ladder.height
        level = column.meanings.level.astype(np.float64)
        if levels is not None:
            # one name may stand at several levels: the one that the whole column is at
            there = column.meanings.at_levels[:, levels[place]]
            level = np.where(there, float(levels[place]), level)
        exact, hidden = column.meanings.exact, column.hidden
        between = (column.counts > 0) & ~exact & ~hidden
        if height < 2 and between.any():
            raise SchemaError(
                f"column {column.name!r} shows intervals or sets but has no hierarchy, so there "
                "are no levels to count: give it one, or choose a measure of shares such as 'ncp'"
            )
        moved = np.where(hidden, 1.0, level / height)
        losses[column.name] = mean_of(cells, column, moved)
    return Measured(float(np.mean(list(losses.values()))), losses)


def missings(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Share of cells that are suppressed."""
    losses = {
        column.name: mean_of(cells, column, column.hidden.astype(np.float64))
        for column in cells.columns
    }
    return Measured(float(np.mean(list(losses.values()))), losses)


# -- entropy -------------------------------------------------------------------------------------


def entropy(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Non-uniform entropy in bits, summed over rows and columns."""
    losses, most = _bits(cells)
    return Measured(sum(losses.values()), losses, most=sum(most.values()))


def entropy_normalized(cells: ReleasedCells, options: Options) -> Measured:  # noqa: ARG001
    """Non-uniform entropy as a share of what an all-suppressed table loses."""
    losses, most = _bits(cells)
    shares = {
        name: min(1.0, lost / most[name]) if most[name] > 0 else 0.0
        for name, lost in losses.items()
    }
    whole = sum(most.values())
    if whole <= 0:
        return Measured(0.0, shares, most=0.0)
    return Measured(min(1.0, sum(losses.values()) / whole), shares)


def _bits(cells: ReleasedCells) -> tuple[dict[str, float], dict[str, float]]:
    """Return the bits that each column lost, and those that suppressing it would.

    A suppressed row of a full-domain recoding loses what its generalized value lost, and then what
    hiding that among the suppressed rows adds; of any other release, what ``*`` loses.
    """
    need_pairs(cells, "entropy")
    need_truth(cells)
    levels = _levels_of_entropy(cells)
    kept, gone = ~cells.suppressed, cells.suppressed
    losses, most = {}, {}
    for place, column in enumerate(cells.columns):
        leaf = leaves_of(column)
        own = np.log2(column.real_counts[leaf])
        group = np.where(column.hidden, float(cells.real_rows), column.real_rows)
        lost = np.log2(np.maximum(group[column.of_row], 1.0)) - own
        if levels is not None:
            lost = np.where(kept, lost, 0.0)
            lost[gone] = _bits_of_suppressed(column, leaf[gone], levels[place]) - own[gone]
        losses[column.name] = float(cells.weights @ lost)
        most[column.name] = float(cells.weights @ (np.log2(cells.real_rows) - own))
    return losses, most


def _levels_of_entropy(cells: ReleasedCells) -> tuple[int, ...] | None:
    if not cells.suppressed.any() or any(column.domain.by_width for column in cells.columns):
        return None
    return cells.full_domain_levels


def _bits_of_suppressed(column: ReleasedColumn, leaf: Integers, level: int) -> Floats:
    ladder = column.domain.ladder
    group = ladder.levels[level]
    in_data = np.bincount(group, column.real_counts)
    among_gone = np.bincount(group[leaf], minlength=len(in_data))
    bits: Floats = np.log2(in_data[group[leaf]]) + np.log2(len(leaf) / among_gone[group[leaf]])
    return bits


# -- shared --------------------------------------------------------------------------------------


def mean_of(cells: ReleasedCells, column: ReleasedColumn, of_label: Floats) -> float:
    """Return the mean over people of a figure of a column's labels, shape (n_labels,)."""
    return float(cells.weight_of_labels(column) @ of_label) / cells.total


def leaves_of(column: ReleasedColumn) -> Integers:
    """Return the leaf of each row's real value, shape (n,); rows must be paired."""
    if column.leaf_of_row is None:  # pragma: no cover (asked for pairs before)
        raise ValueError("the rows are not paired")
    return column.leaf_of_row


def need_pairs(cells: ReleasedCells, measure: str) -> None:
    """Refuse a release of which it is not known which real row each row is."""
    if not cells.paired:
        raise DataError(
            f"{measure} compares each released row with its real one, but {cells.why_not_paired}"
        )


def need_truth(cells: ReleasedCells) -> None:
    """Refuse a release whose labels do not hold the rows' own values."""
    for column in cells.columns:
        wrong = (
            ~column.meanings.holds(column.of_row, leaves_of(column)) & ~column.hidden[column.of_row]
        )
        if wrong.any():
            count = int(wrong.sum())
            said = "row shows" if count == 1 else "rows show"
            raise DataError(
                f"column {column.name!r}: {count} released {said} neither their own value nor a "
                f"group that holds it, first in released row {int(wrong.argmax()) + 1}: the rows "
                "are in another order than the real ones (name the column that tells which belong "
                "together: key), or noise was added, which this measure cannot judge"
            )
