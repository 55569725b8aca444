"""Compiled loops: growing one tree on coded columns, and letting drawn rows fall through it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["fall", "grow", "leaf_shares"]

Codes = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@njit(cache=True)
def grow(
    predictors: Codes,
    starts: Places,
    response: Codes,
    scores: Floats,
    indicator: bool,
    weights: Floats,
    leaf: float,
    evidence: float,
    rows: Places,
    feature: Codes,
    threshold: Codes,
    left: Codes,
    begin: Places,
    end: Places,
) -> int:
    """Grow a tree and return its number of nodes; ``rows`` is put in the order of the leaves.

    Parameters
    ----------
    predictors
        Place of each row on each predictor's axis, shape (n, p), p at least 1.
    starts
        Where the places of each predictor begin in a histogram of all, shape (p + 1,).
    response
        Cell of each row, shape (n,).
    scores
        What a cell counts as, shape (cells, d): a split is the better, the less the scores scatter
        around their means on either side (least squares).
    indicator
        Whether ``scores`` is the unit matrix, so that least squares is the Gini index.
    weights
        Share of a person that each row stands for, shape (n,).
    leaf
        Least number of people in a leaf.
    evidence
        A split has to lower the sum of squares by at least so many times the node's variance,
        which is what a split at random lowers it by in expectation.
    rows
        The rows to learn from, shape (m,); reordered in place.
    feature, threshold, left, begin, end
        Filled for each node: the predictor (-1: a leaf), the last place that goes left, the left
        child (the right one follows it), and its stretch of ``rows``.
    """
    p = predictors.shape[1]
    d = scores.shape[1]
    size = starts[p]
    sums = np.zeros((size, d))
    weighed = np.zeros(size)
    stack = np.empty(rows.size + 2, dtype=np.int64)
    spare = np.empty(rows.size, dtype=np.int64)
    running = np.zeros(d)
    squares = np.zeros(d)
    total = np.zeros(d)
    slack = 1e-9
    begin[0], end[0], feature[0], left[0], threshold[0] = 0, rows.size, -1, -1, -1
    stack[0] = 0
    waiting, nodes = 1, 1
    while waiting > 0:
        waiting -= 1
        node = stack[waiting]
        first, last = begin[node], end[node]
        people = 0.0
        pure = True
        for i in range(first, last):
            people += weights[rows[i]]
            if response[rows[i]] != response[rows[first]]:
                pure = False
        if pure or people < 2 * leaf - slack:
            continue
        sums[:] = 0.0
        weighed[:] = 0.0
        total[:] = 0.0
        squares[:] = 0.0
        for i in range(first, last):
            row = rows[i]
            cell = response[row]
            weight = weights[row]
            if indicator:
                total[cell] += weight
                squares[cell] += weight
                for k in range(p):
                    place = starts[k] + predictors[row, k]
                    weighed[place] += weight
                    sums[place, cell] += weight
            else:
                for j in range(d):
                    total[j] += weight * scores[cell, j]
                    squares[j] += weight * scores[cell, j] ** 2
                for k in range(p):
                    place = starts[k] + predictors[row, k]
                    weighed[place] += weight
                    for j in range(d):
                        sums[place, j] += weight * scores[cell, j]
        base, variance = 0.0, 0.0
        for j in range(d):
            base += total[j] * total[j] / people
            variance += squares[j] / people - (total[j] / people) ** 2
        least = max(evidence * variance, 1e-7)
        best, best_feature, best_place = least, -1, -1
        for k in range(p):
            below = 0.0
            running[:] = 0.0
            for place in range(starts[k], starts[k + 1] - 1):
                if weighed[place] == 0.0:
                    continue
                below += weighed[place]
                for j in range(d):
                    running[j] += sums[place, j]
                above = people - below
                if below < leaf - slack:
                    continue
                if above < leaf - slack:
                    break
                on_left, on_right = 0.0, 0.0
                for j in range(d):
                    rest = total[j] - running[j]
                    on_left += running[j] * running[j]
                    on_right += rest * rest
                gain = on_left / below + on_right / above - base
                if gain > best:
                    best, best_feature, best_place = gain, k, place - starts[k]
        if best_feature < 0:
            continue
        kept, moved = first, 0
        for i in range(first, last):
            row = rows[i]
            if predictors[row, best_feature] <= best_place:
                rows[kept] = row
                kept += 1
            else:
                spare[moved] = row
                moved += 1
        rows[kept:last] = spare[:moved]
        feature[node], threshold[node], left[node] = best_feature, best_place, nodes
        begin[nodes], end[nodes] = first, kept
        begin[nodes + 1], end[nodes + 1] = kept, last
        for child in range(nodes, nodes + 2):
            feature[child], left[child], threshold[child] = -1, -1, -1
            stack[waiting] = child
            waiting += 1
        nodes += 2
    return nodes


@njit(cache=True)
def fall(
    feature: Codes,
    threshold: Codes,
    left: Codes,
    begin: Places,
    end: Places,
    donors: Codes,
    axes: Codes,
    columns: Places,
    cells: Codes,
    uniform: Floats,
    smoothing: float,
    drawn: Codes,
    within: Floats,
) -> None:
    """Draw one column for every row: the cell of a donor in the leaf that the row falls into.

    With ``smoothing`` s, a node of m donors passes the draw on to its parent with probability
    s / (m + s), so that its distribution leans on its parent's as on s further donors.

    Parameters
    ----------
    feature, threshold, left, begin, end
        The tree, see :func:`grow`.
    donors
        Cells of the response in the order of the leaves.
    axes
        Place of each cell on each predictor's axis, shape (p, most cells).
    columns
        Column of ``cells`` behind each predictor, shape (p,).
    cells
        What was drawn so far, shape (n, all columns).
    uniform
        A random number for each row, shape (n,).
    smoothing
        See above.
    drawn, within
        Filled with each row's cell, and a number from 0 to 1, random and independent of it.
    """
    path = np.empty(1 + feature.size, dtype=np.int64)
    for row in range(cells.shape[0]):
        node, depth = 0, 0
        path[0] = 0
        while feature[node] >= 0:
            k = feature[node]
            place = axes[k, cells[row, columns[k]]]
            node = left[node] if place <= threshold[node] else left[node] + 1
            depth += 1
            path[depth] = node
        u = uniform[row]
        if smoothing > 0.0:
            while depth > 0:
                up = smoothing / (end[node] - begin[node] + smoothing)
                if u >= up:
                    u = (u - up) / (1.0 - up)
                    break
                u /= up
                depth -= 1
                node = path[depth]
        size = end[node] - begin[node]
        among = min(int(u * size), size - 1)
        drawn[row] = donors[begin[node] + among]
        within[row] = min(max(u * size - among, 0.0), 1.0)


@njit(cache=True)
def leaf_shares(
    feature: Codes,
    threshold: Codes,
    left: Codes,
    share: Floats,
    axes: Codes,
    columns: Places,
    cells: Codes,
    found: Floats,
) -> None:
    """Fill ``found`` with ``share`` of the leaf that each row falls into; see :func:`fall`."""
    for row in range(cells.shape[0]):
        node = 0
        while feature[node] >= 0:
            k = feature[node]
            place = axes[k, cells[row, columns[k]]]
            node = left[node] if place <= threshold[node] else left[node] + 1
        found[row] = share[node]
