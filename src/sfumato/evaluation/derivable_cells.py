"""Which hidden cells of a table of counts follow from its margins and its other cells.

A cell that is left out of a table can be found again if the totals are shown: by subtraction where
it is the only one hidden in a line, and in general where the equations of all lines leave it no
choice.

References
----------
L. H. Cox, "Suppression methodology and statistical disclosure control", JASA 75(370), 1980; G. T.
Duncan, M. Elliot, J.-J. Salazar-González, "Statistical Confidentiality", Springer 2011, chapter 4;
ResDAC, CMS cell size suppression policy (complementary suppression).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.errors import PlanError

__all__ = ["derivable_cells"]

Flags = npt.NDArray[np.bool_]
_MOST_LINES = 200
_ZERO = 1e-10
_FIXED = 1e-6  # no unit vector outside the span of so few lines comes so near to it


def derivable_cells(
    hidden: npt.NDArray[Any], margins: tuple[npt.NDArray[Any], ...] | None = None
) -> Flags:
    """Return which hidden cells follow exactly from the shown cells and the shown margins.

    Parameters
    ----------
    hidden
        Which cells of a table are not shown, of any shape with at least one axis.
    margins
        For each axis which of the sums along it are shown, of the shape without that axis; by
        default all are.

    Returns
    -------
    np.ndarray
        Of the shape of ``hidden``: hidden, and yet known to who subtracts.

    Raises
    ------
    PlanError
        If the shapes do not fit each other.

    Notes
    -----
    Lines with one hidden cell are solved in turn. What is left is a system of linear equations: a
    cell is known if the equations leave it no choice. Beyond 200 lines that hang together only
    single lines are solved, so that some known cells may be missed. That counts are not negative
    can narrow a cell down further; this is not looked at.

    Examples
    --------
    >>> derivable_cells(np.array([[True, False], [False, False]])).sum()
    np.int64(1)
    >>> derivable_cells(np.ones((2, 2), dtype=bool)).any()  # one number is free
    np.False_
    """
    left = np.array(hidden, dtype=np.bool_)
    if left.ndim == 0:
        raise PlanError("a table of counts has at least one axis")
    if margins is None:
        shapes = [np.delete(left.shape, axis) for axis in range(left.ndim)]
        margins = tuple(np.ones(tuple(shape), dtype=np.bool_) for shape in shapes)
    for axis, shown in enumerate(margins):
        if np.shape(shown) != tuple(np.delete(left.shape, axis)):
            raise PlanError(f"the sums along axis {axis} have the shape of the table without it")
    if len(margins) != left.ndim:
        raise PlanError(f"a table of {left.ndim} axes has sums along {left.ndim} of them")
    known = np.zeros_like(left)
    while True:
        solved = np.zeros_like(left)
        for axis, shown in enumerate(margins):
            single = (left.sum(axis=axis) == 1) & shown
            solved |= left & np.expand_dims(single, axis)
        if not solved.any():
            break
        known |= solved
        left &= ~solved
    for cells, lines in _groups(left, margins):
        if lines.shape[1] and lines[0].max() < _MOST_LINES:
            known.ravel()[cells[_fixed(lines, len(cells))]] = True
    return known


def _groups(
    left: Flags, margins: tuple[npt.NDArray[Any], ...]
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Return the hidden cells that hang together by lines, with the (line, cell) pairs of each."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    cells = np.flatnonzero(left)
    if not len(cells):
        return []
    places = np.array(np.unravel_index(cells, left.shape))
    pairs, start = [], 0
    for axis, shown in enumerate(margins):
        shape = tuple(np.delete(left.shape, axis))
        others = np.delete(places, axis, axis=0)
        line = (
            np.ravel_multi_index(tuple(others), shape)
            if shape
            else np.zeros(len(cells), dtype=np.int64)
        )
        of_shown = np.flatnonzero(np.asarray(shown).ravel()[line])
        pairs.append(np.stack([line[of_shown] + start, of_shown]))
        start += int(np.prod(shape))
    lines, of_cell = np.concatenate(pairs, axis=1)
    lines = np.unique(lines, return_inverse=True)[1]
    nodes = len(cells) + (int(lines.max()) + 1 if len(lines) else 0)
    graph = coo_array((np.ones(len(lines)), (lines + len(cells), of_cell)), shape=(nodes, nodes))
    component = connected_components(graph, directed=False)[1]
    found = []
    by_component = np.argsort(component[: len(cells)], kind="stable")
    edges = np.flatnonzero(np.diff(component[: len(cells)][by_component])) + 1
    of_line = component[of_cell]
    for group in np.split(by_component, edges):
        inside = np.flatnonzero(of_line == component[group[0]])
        own = np.unique(lines[inside], return_inverse=True)[1]
        column = np.searchsorted(np.sort(group), of_cell[inside])
        found.append((cells[np.sort(group)], np.stack([own, column])))
    return found


def _fixed(lines: npt.NDArray[np.int64], n_cells: int) -> npt.NDArray[np.int64]:
    """Return the cells that the equations fix: those whose unit vector they span.

    The projection of a unit vector on the span of the equations has length 1 only then. It needs
    the pseudo-inverse of (lines x lines) numbers, of which there are far fewer than cells.
    """
    if not lines.shape[1]:
        return np.zeros(0, dtype=np.int64)
    equations = np.zeros((int(lines[0].max()) + 1, n_cells))
    equations[lines[0], lines[1]] = 1
    inverse = np.linalg.pinv(equations @ equations.T, rcond=_ZERO, hermitian=True)
    length = ((inverse @ equations) * equations).sum(axis=0)
    return np.flatnonzero(length > 1 - _FIXED)
