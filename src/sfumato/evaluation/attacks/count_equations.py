"""Equations in unknown secrets, from counts of a release, and their least-squares solution.

Each combination of values that a real person has in a set of known columns is one question: what
share of the released rows with it have the secret? It is answered by the mean secret of the people
with that combination.

References
----------
M. S. M. S. Annamalai, A. Gadotti, L. Rocher, "A linear reconstruction approach for attribute
inference attacks against synthetic data", arXiv 2301.10053 (USENIX Security 2024), sections 4 and 5
(marginal queries on a subset of quasi-identifiers, answered by conditional counts of the synthetic
rows); M. R. Hestenes, E. Stiefel, "Methods of conjugate gradients for solving linear systems",
Journal of Research of the NBS 49 (1952); A. L. Zobrist, "A new hashing method with application for
game playing", University of Wisconsin (1970).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.attacks.attack_features import fill, ranks
from sfumato.evaluation.attacks.tables import AttackColumn

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["CountEquations", "Looks", "looks_of"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
#: A known column as codes of released and of real rows, from exact to coarse.
Looks = list[tuple[Integers, Integers]]

_BINS = (8, 64)  # coarser looks at a number with more values than that


def looks_of(column: AttackColumn, random: np.random.Generator) -> Looks:
    """Return a known column as codes of released and of real rows, from exact to coarse.

    Parameters
    ----------
    column
        As the attack sees it.
    random
        What generalized and suppressed cells are drawn with.
    """
    exact = tuple((side + 1).astype(np.int64) for side in ranks(fill(column, random)))
    looks = [(exact[0], exact[1])]
    if column.kind == "number":
        values = np.sort(exact[1])
        for bins in _BINS:
            cuts = np.unique(values[(np.arange(1, bins) * len(values)) // bins])
            if len(np.unique(values)) > bins:
                coarse = tuple(
                    np.where(side == 0, 0, np.searchsorted(cuts, side, side="right") + 1)
                    for side in exact
                )
                looks.append((coarse[0], coarse[1]))
    return looks


@dataclass(frozen=True, eq=False)
class CountEquations:
    """Weighted equations: the mean secret of the people in a cell is the release's share there.

    Parameters
    ----------
    left
        Equations, shape (questions, kinds of people).
    right
        Their right side less the average, shape (questions, values).
    weight
        Square root of the number of people of each kind.
    kind
        Kind of each real person: those alike in all known columns have one unknown.
    """

    left: csr_matrix
    right: Floats
    weight: Floats
    kind: Integers

    @property
    def questions(self) -> int:
        """How many questions were answered."""
        return len(self.right)

    @classmethod
    def of(
        cls,
        looks: Sequence[Looks],
        told: Flags,
        has: Flags,
        *,
        marginals: int,
        ways: int,
        random: np.random.Generator,
    ) -> CountEquations:
        """Ask a release all questions.

        Parameters
        ----------
        looks
            The known columns, at least one.
        told
            Whether each released row tells the secret, shape (n,).
        has
            Of each row that does, and each value solved for, whether it has it, shape (told rows,
            values).
        marginals
            Sets of known columns, at least 2: all of them exactly, all coarsely, and random ones.
        ways
            Most columns in a random set.
        random
            Of the sets.
        """
        from scipy.sparse import csr_matrix

        average = has.mean(axis=0)
        owned = has.astype(np.float32)  # counts below 2^24 are exact
        every = [(column, 0) for column in range(len(looks))]
        _, real = _keys(looks, every, random)
        _, first, kind = np.unique(real, return_index=True, return_inverse=True)
        people = np.bincount(kind).astype(np.float64)
        rows, columns, values, right, questions = [], [], [], [], 0
        for chosen in _marginals(looks, marginals, ways, random):
            shown, had = _keys(looks, chosen, random)
            cells, cell = np.unique(had[first], return_inverse=True)
            shown = shown[told]
            at = np.minimum(np.searchsorted(cells, shown), len(cells) - 1)
            inside = cells[at] == shown
            count = np.bincount(at[inside], minlength=len(cells)).astype(np.float64)
            rows_of = np.flatnonzero(inside)
            held = csr_matrix(
                (np.ones(len(rows_of), np.float32), (at[rows_of], rows_of)),
                shape=(len(cells), len(inside)),
            )
            having = np.asarray(held @ owned, dtype=np.float64)
            answered = count > 0
            place = np.cumsum(answered) - 1 + questions
            # a share over c rows has c times the precision of one row; each row answers every set
            weight = np.sqrt(count / marginals)
            size = np.bincount(cell, people, minlength=len(cells))
            counted = np.flatnonzero(answered[cell])
            rows.append(place[cell[counted]])
            columns.append(counted)
            values.append((weight / size)[cell[counted]] * np.sqrt(people[counted]))
            share = having[answered] / count[answered, None]
            right.append(weight[answered, None] * (share - average))
            questions += int(answered.sum())
        left = csr_matrix(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
            shape=(questions, len(people)),
        )
        return cls(left, np.concatenate(right), np.sqrt(people), kind.astype(np.int64))

    def solve(self, ridge: float, iterations: int) -> Floats:
        """Return each person's secret less the average, shape (people, values).

        Parameters
        ----------
        ridge
            Pull towards the average, above 0.
        iterations
            Steps, at least 1.

        Notes
        -----
        Ridge regression by conjugate gradients on the normal equations (Hestenes & Stiefel 1952),
        all values at once.
        """
        across: Any = self.left.T.tocsr()
        left_over = across @ self.right
        found, step = np.zeros_like(left_over), left_over.copy()
        length = np.square(left_over).sum(axis=0)
        for _ in range(iterations):
            image = across @ (self.left @ step) + ridge * step
            size = length / np.maximum((step * image).sum(axis=0), 1e-300)
            found += size * step
            left_over = left_over - size * image
            shorter = np.square(left_over).sum(axis=0)
            step = left_over + shorter / np.maximum(length, 1e-300) * step
            length = shorter
        return np.asarray((found / self.weight[:, None])[self.kind])


def _marginals(
    looks: Sequence[Looks],
    marginals: int,
    ways: int,
    random: np.random.Generator,
) -> list[list[tuple[int, int]]]:
    """Return sets of (column, look): all columns exactly, all coarsely, and random sets."""
    every = range(len(looks))
    sets = [[(one, 0) for one in every], [(one, min(1, len(looks[one]) - 1)) for one in every]]
    while len(sets) < marginals:
        some = int(random.integers(1, min(ways, len(looks)) + 1))
        chosen = np.sort(random.choice(len(looks), some, replace=False))
        sets.append([(int(one), int(random.integers(len(looks[one])))) for one in chosen])
    return sets


def _keys(
    looks: Sequence[Looks],
    chosen: list[tuple[int, int]],
    random: np.random.Generator,
) -> tuple[Integers, Integers]:
    """Return one key for each combination of values: random numbers of each, combined.

    Two combinations share a key with a chance of 2^-64 (Zobrist 1970).
    """
    released = np.zeros(len(looks[0][0][0]), dtype=np.int64)
    real = np.zeros(len(looks[0][0][1]), dtype=np.int64)
    for column, look in chosen:
        shown, had = looks[column][look]
        most = int(max(shown.max(initial=0), had.max(initial=0)))
        numbers = random.integers(-(2**63), 2**63 - 1, most + 1)
        released ^= numbers[shown]
        real ^= numbers[had]
    return released, real
