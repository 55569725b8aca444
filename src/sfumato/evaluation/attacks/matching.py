"""Record linkage between a release and real people: of whose record a released row could be.

A released row that is a copy of a person, with some numbers moved and some categories redrawn,
still agrees with that person on more, and on rarer things, than chance brings. The likelihood that
the row is such a copy is set against how likely the row is without that person: by a dependence
tree over the columns and by all other people, half each. Summed over the released rows that is the
person's score; a fresh row adds one on average, whoever the person.

Scores depend on the release and on all real rows alike, never on who is a member.

References
----------
I. P. Fellegi, A. B. Sunter, "A theory for record linkage", JASA 64 (1969), sections 2 and 3; C. K.
Chow, C. N. Liu, IEEE Transactions on Information Theory 14 (1968).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.evaluation.attacks.dependence import Cells, DependenceTree
from sfumato.evaluation.attacks.linkage import (
    CHANGED,
    KEPT_NUMBERS,
    CategoryLinkage,
    NumberLinkage,
    Shown,
    column_linkage,
    kernel_table,
    shown_cells,
)
from sfumato.evaluation.attacks.number_tables import NumberTables

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackTables

__all__ = ["Matched", "Matcher", "scores"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Share of columns in which a copy may differ from its source.
MAY_DIFFER = 0.2
_MOST_DIFFERING = 6
_TREE = 0.5
_LEAST = 1e-40
_FURTHEST = 60.0


@dataclass(frozen=True, eq=False)
class Matched:
    """How well each person matches the release.

    Parameters
    ----------
    totals
        Each person's likelihood ratios summed over the released rows, shape (N,).
    evidence
        For each distinct released row the likelihood ratios summed over members and over controls,
        shape (m, 2).
    verbatim
        Members and controls who have, or could have, the very row, shape (m, 2).
    times
        How often each distinct row was released, shape (m,).
    """

    totals: Floats
    evidence: Floats
    verbatim: Floats
    times: Floats

    @property
    def scores(self) -> Floats:
        """The logarithm of the totals; about -92 for a person whom no row could be a copy of."""
        return as_scores(self.totals)


@dataclass(frozen=True, eq=False)
class Matcher:
    """Real people ready to be matched with released rows.

    Parameters
    ----------
    categories, numbers
        How the cells of each column are weighed.
    tree
        Which columns hang together.
    people
        Number of real rows.
    most
        Most columns in which a copy may differ.
    """

    categories: tuple[CategoryLinkage, ...]
    numbers: tuple[NumberLinkage, ...]
    tree: DependenceTree
    people: int
    most: int

    @classmethod
    def of(cls, tables: AttackTables) -> Matcher:
        """Count how frequent each cell is, over released and real rows; labels play no part.

        Parameters
        ----------
        tables
            At least one released and one real row.
        """
        linkages = [column_linkage(column) for column in tables.columns]
        shown = shown_cells(tables)
        exact = all(linkage.exact for linkage in linkages)
        codes = []
        for linkage, column, cells in zip(linkages, tables.columns, shown, strict=True):
            code = linkage.tree_codes(cells)
            if exact:
                code = np.concatenate([code, linkage.tree_codes(linkage.of_real(column))])
            codes.append(code)
        most = min(_MOST_DIFFERING, math.floor(MAY_DIFFER * len(linkages) + 0.5))
        tree = DependenceTree.learn(Cells(tuple(codes), (), ()))
        return cls(
            tuple(linkage for linkage in linkages if isinstance(linkage, CategoryLinkage)),
            tuple(linkage for linkage in linkages if isinstance(linkage, NumberLinkage)),
            tree,
            len(tables.member),
            most,
        )

    def match(self, tables: AttackTables) -> Matched:
        """Match every released row with every person.

        Parameters
        ----------
        tables
            Those that the matcher was made of.
        """
        from sfumato.evaluation.attacks.matching_kernels import match_totals

        first, times = _distinct(shown_cells(tables))
        shown = [cells.taken(first) for cells in shown_cells(tables)]
        packed, dependence = self._packed(shown, counted=True)
        found = np.zeros(self.people)
        evidence, verbatim = np.zeros((len(first), 2)), np.zeros((len(first), 2))
        match_totals(
            times,
            dependence,
            _TREE,
            tables.member,
            packed,
            self.most,
            found,
            evidence,
            verbatim,
        )
        return Matched(found, evidence, verbatim, times)

    def differences(self, tables: AttackTables, most: int) -> tuple[Integers, Integers]:
        """Return how few columns a released row differs in from each person, and twins of each.

        Parameters
        ----------
        tables
            Those that the matcher was made of.
        most
            Differences beyond this are not told apart, 0 or more.

        Returns
        -------
        least, standing
            Shape (N,): columns that differ in the most alike released row, at most ``most`` + 1;
            released rows that could be the person's on all columns.
        """
        from sfumato.evaluation.attacks.matching_kernels import least_differences

        first, times = _distinct(shown_cells(tables))
        shown = [cells.taken(first) for cells in shown_cells(tables)]
        packed, _ = self._packed(shown, counted=True)
        least = np.full(self.people, most + 1, np.int64)
        standing = np.zeros(self.people, np.int64)
        least_differences(times.astype(np.int64), packed, most, least, standing)
        return least, standing

    def match_each(
        self, shown: list[Shown], *, copies: float = 0.0
    ) -> tuple[Integers, Integers, Floats]:
        """Return for each of some new rows the people it could be a copy of.

        Parameters
        ----------
        shown
            The rows' cells, one entry a column in the order of the tables.
        copies
            How many such rows the release is taken to hold: what is odd about each is then less so.

        Returns
        -------
        starts, persons, ratios
            Row i could be a copy of ``persons[starts[i]:starts[i + 1]]``, with these likelihood
            ratios; those under one thousandth are left out.
        """
        from sfumato.evaluation.attacks.matching_kernels import match_each

        packed, dependence = self._packed(shown, counted=False, copies=copies)
        rows = len(dependence)
        room = 256 * rows
        while True:
            starts = np.zeros(rows + 1, np.int64)
            persons, ratios = np.zeros(room, np.int64), np.zeros(room)
            enough = match_each(
                dependence, _TREE, packed, self.most, self.people, starts, persons, ratios
            )
            if enough:
                return starts, persons[: starts[-1]], ratios[: starts[-1]]
            room *= 4

    def _packed(
        self, shown: list[Shown], *, counted: bool, copies: float = 0.0
    ) -> tuple[Any, Floats]:
        """Return the arrays of the kernel and how much likelier each row is than its cells."""
        rows = len(shown[0])
        by_name = {one.name: one for one in shown}
        sets, labels, offset = [], [], 0
        agreeing = np.ones((2, rows, len(self.categories)))
        low, high = (np.zeros((rows, len(self.numbers))) for _ in range(2))
        tie, spread = (np.ones((rows, len(self.numbers))) for _ in range(2))
        for place, category in enumerate(self.categories):
            label = category.labels(by_name[category.name])
            sets.append(category.sets)
            labels.append(label + offset)
            offset += len(category.sets)
            agreeing[:, :, place] = category.ratios(by_name[category.name], counted=counted)
        for place, number in enumerate(self.numbers):
            here = by_name[number.name]
            own, label = number.sets(here)
            sets.append(own)
            labels.append(label + offset)
            offset += len(own)
            low[:, place], high[:, place] = number.ends(here)
            tie[:, place], spread[:, place] = number.ratios(here, counted=counted)
        by_tree: dict[str, CategoryLinkage | NumberLinkage] = {}
        by_tree |= {linkage.name: linkage for linkage in self.categories}
        by_tree |= {linkage.name: linkage for linkage in self.numbers}
        codes = [by_tree[one.name].tree_codes(one) for one in shown]
        cells = Cells(tuple(codes), (), ())
        tree, itself = self.tree, 1.0 if counted else 0.0
        if copies:
            itself = copies / rows
            tree = tree.beside(cells, itself)
        together = tree.log_dependence(cells, itself=itself)
        factor = np.exp(np.clip(together.sum(axis=1), -_FURTHEST, _FURTHEST))
        values = [number.values for number in self.numbers]
        tables = NumberTables.of(self.numbers, low, high, tie, spread, self.people)
        packed = (
            np.ascontiguousarray(np.concatenate(sets)),
            np.ascontiguousarray(np.stack(labels, axis=1).astype(np.int64)),
            agreeing,
            np.array(CHANGED),
            low,
            high,
            tie,
            spread,
            np.stack(values) if values else np.zeros((0, self.people)),
            np.array([number.scale for number in self.numbers], dtype=np.float64),
            kernel_table(),
            np.array([KEPT_NUMBERS]),
            tables.start,
            tables.codes,
            tables.exact,
            tables.noisy,
            tables.state,
        )
        return packed, factor


def as_scores(total: Floats) -> Floats:
    """Return the logarithm of summed likelihood ratios, shape (N,), with a floor for none."""
    return np.asarray(np.log(np.maximum(total, _LEAST)), dtype=np.float64)


def scores(tables: AttackTables) -> Floats:
    """Return how well each real person matches the release, higher for a likelier copy, shape (N,).

    Parameters
    ----------
    tables
        The release and at least one real row.
    """
    if not tables.rows or not len(tables.member):
        return np.full(len(tables.member), math.log(_LEAST))
    return Matcher.of(tables).match(tables).scores


def _distinct(shown: list[Shown]) -> tuple[Integers, Floats]:
    """Return the first row of each distinct one, ascending, and how often it occurs."""
    keys: dict[str, Any] = {}
    for place, cells in enumerate(shown):
        keys |= {f"{place} {end}": array for end, array in cells.arrays().items()}
    frame = pl.DataFrame(keys).with_row_index("row")
    found = frame.group_by([*keys]).agg(pl.col("row").min(), pl.len().alias("times")).sort("row")
    return (
        found["row"].to_numpy().astype(np.int64),
        found["times"].to_numpy().astype(np.float64),
    )
