"""What people of each node carry: groups of a hierarchy, and intervals of numbers."""

from __future__ import annotations

from math import inf

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.mondrian.axes import NUMBERS
from sfumato.anonymization.mondrian.partition_nodes import LOWER, STRICT, UPPER, Partition
from sfumato.anonymization.number_intervals import interval_text, round_borders
from sfumato.table import SUPPRESSED, Ladder

__all__ = ["generations", "node_labels"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def node_labels(
    grown: Partition,
    scales: tuple[Ladder | Floats, ...],
    dtypes: tuple[pl.DataType, ...],
) -> tuple[pl.Series, Floats, Floats]:
    """Return the label of each node in the column that made it, and its borders there.

    Parameters
    ----------
    grown
        The nodes.
    scales
        For each column the ladder of its codes, or the rising numbers that the codes stand for.
    dtypes
        For each the type of the column.

    Returns
    -------
    labels, at_least, below
        Texts; the least number of each node that is the upper part of a cut, and for lower parts
        of cuts by rank the first number above them, else ``nan``.
    """
    labels = np.full(len(grown.parent), None, dtype=object)
    at_least, below = np.full((2, len(grown.parent)), np.nan)
    for number, scale in enumerate(scales):
        here = grown.axis == number
        if isinstance(scale, Ladder):
            above = here & (grown.kind == UPPER)  # these stay where their parent was
            for level in range(scale.height + 1):
                made = here & ~above & (grown.level == level + 1)
                made |= above & (grown.level == level)
                labels[made] = scale.decode(grown.code[made], level).to_numpy()
            continue
        borders = np.full(len(grown.parent), np.nan)
        cut = here & (grown.cut >= 0)
        ends = scale[grown.cut[cut] - 1], scale[grown.cut[cut]]
        borders[cut] = ends[1] if dtypes[number].is_temporal() else round_borders(*ends)
        lower = here & (grown.kind == LOWER)
        at_least[here & ~lower] = borders[here & ~lower]
        below[lower] = borders[lower]
        texts = _interval_labels(grown, here, at_least, below, dtypes[number])
        texts[(grown.code == len(scale)) & (grown.kind != UPPER)] = None
        labels[here] = texts[here]
    return pl.Series(labels.tolist(), dtype=pl.String), at_least, below


def generations(parent: Integers) -> list[Integers]:
    """Return the nodes below node 0, children of one generation together."""
    found = []
    current = np.flatnonzero(parent == 0)
    order = np.argsort(parent, kind="stable")
    sorted_parent = parent[order]
    while len(current):
        found.append(current)
        low = np.searchsorted(sorted_parent, current, "left")
        high = np.searchsorted(sorted_parent, current, "right")
        counts = high - low
        offsets = np.repeat(low - np.append(0, np.cumsum(counts)[:-1]), counts)
        current = order[np.arange(counts.sum()) + offsets]
    return found


def _interval_labels(
    grown: Partition,
    of_column: npt.NDArray[np.bool_],
    at_least: Floats,
    below: Floats,
    dtype: pl.DataType,
) -> npt.NDArray[np.object_]:
    """Return for each node the interval that its cuts leave of a column of numbers.

    Parameters
    ----------
    grown
        The nodes.
    of_column
        Which of them were made by a cut of the column.
    at_least, below
        The least number of a node, and the first above it, where its cut set one; else ``nan``.
    dtype
        Type of the column.
    """
    low = np.full(len(grown.parent), -inf)
    high = np.full(len(grown.parent), inf)
    # the lower part of a strict cut ends where the upper one begins
    border = np.full(len(grown.parent), np.nan)
    upper = of_column & ~np.isnan(at_least) & (grown.kind == STRICT)
    border[grown.parent[upper]] = at_least[upper]
    least = np.where(of_column, at_least, np.nan)
    end = np.where(of_column, below, np.nan)
    lower = of_column & np.isnan(at_least) & (grown.kind == STRICT) & (grown.level == NUMBERS)
    end[lower] = border[grown.parent[lower]]
    for generation in generations(grown.parent):
        parent = grown.parent[generation]
        low[generation] = np.where(np.isnan(least[generation]), low[parent], least[generation])
        high[generation] = np.where(np.isnan(end[generation]), high[parent], end[generation])
    return _texts(low, high, dtype)


def _texts(low: Floats, high: Floats, dtype: pl.DataType) -> npt.NDArray[np.object_]:
    """Return the text of each interval; every border is written once, however many share it."""
    ends = np.unique(np.concatenate([low, high, [-inf, inf]]))
    # what an interval without an upper end says of its lower one
    written = [interval_text(end, inf, dtype).removeprefix(">=") for end in ends[1:-1]]
    words = np.array(["", *written, ""], dtype=object)
    first, last = words[np.searchsorted(ends, low)], words[np.searchsorted(ends, high)]
    texts: npt.NDArray[np.object_] = "[" + first + ", " + last + ")"
    below, above = low == -inf, high == inf
    texts[below] = "<" + last[below]
    texts[above] = ">=" + first[above]
    texts[below & above] = SUPPRESSED
    return texts
