"""Singling out: predicates found from the release that fit exactly one person.

A predicate that fits one member might fit one person by chance. It is tried on as many controls as
members, and what counts is how much more often it isolates a member: a share of the predicates that
were built, never of those asked for (:mod:`~sfumato.evaluation.attacks.isolation_counts`).

References
----------
Article 29 Working Party, opinion 05/2014 (WP216), section 2.2.1; A. Cohen, K. Nissim, "Towards
formalizing the GDPR's notion of singling out", PNAS 117 (2020), definitions 2.1 to 2.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.coded_cells import CodedCells
from sfumato.evaluation.attacks.isolation_counts import Isolated, IsolatedPeople, recount
from sfumato.evaluation.attacks.predicates import (
    Matches,
    Predicates,
    find,
    random_conjunctions,
    rarest_cells,
    values_and_ends,
    whole_records,
)
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.figures import Figure
from sfumato.progress import Progress, silent

__all__ = ["SinglingOut"]

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SOURCE = (
    "Article 29 Working Party, WP216, section 2.2.1; Cohen and Nissim, PNAS 117, 2020, "
    "definitions 2.1 to 2.3"
)
_INTERVAL = (
    "the control's share plus Newcombe's interval of the excess, on as many independent predicates "
    "as the variance under permuted labels tells"
)
#: Most matches that are listed: among twice as many people as are members, a predicate with more
#: isolates a member with a probability below 2e-11.
_LISTED = 40


class SinglingOut(Attack):
    """Build predicates from the release and count how many fit exactly one person.

    Parameters
    ----------
    columns
        Sizes of the random conjunctions, each at least 2.
    predicates
        Predicates of each kind at most, whole records aside.
    tries
        Conjunctions that are tried at most to find those that single out one released row.
    rarest
        A value is rare if at most so many released rows hold it.
    weight
        Released rows that a combination of rare cells may be expected to fit if columns were
        independent, above 0 and below 1; raised to 0.01 at most where few are so rare.
    tolerance
        Half the width of the window around a rare number, as a share of the released range.
    records
        Whole records that are tried at most.
    """

    knowledge: ClassVar[str] = (
        "Knows the release and nothing else, and looks for a description that fits exactly one of "
        "the people behind it."
    )

    columns: tuple[Annotated[int, Field(ge=2)], ...] = (2, 3, 4)
    predicates: int = Field(default=2_000, ge=1)
    tries: int = Field(default=200_000, ge=1)
    rarest: int = Field(default=3, ge=1)
    weight: float = Field(default=1e-7, gt=0, lt=1)
    tolerance: float = Field(default=0.02, ge=0, le=1)
    records: int = Field(default=50_000, ge=1)

    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Attack every member and every control with every predicate.

        Parameters
        ----------
        tables
            The release, its members and its controls.
        seed
            Of drawing people, predicates and labels.
        progress
            Told how far the work is.

        Returns
        -------
        dict of Figure
            ``singling_out/univariate``, ``singling_out/multivariate/c`` for each size c,
            ``singling_out/rare`` and ``singling_out/records``.
        """
        kinds = _kinds(self)
        rows = np.concatenate(tables.equal(seed))
        if not rows.size:
            because = "there are no controls" if tables.n_members else "there are no members"
            return {key: _absent(name, because) for key, (name, *_) in kinds.items()}
        found = self.isolated_people(tables, seed=seed, rows=rows, progress=progress)
        counted = recount(found, tables.member[rows], seed=seed)
        return {
            key: _figure(kinds[key], counted[key], len(rows) // 2)
            if key in counted
            else _absent(kinds[key][0], kinds[key][3])
            for key in kinds
        }

    def isolated_people(
        self,
        tables: AttackTables,
        *,
        seed: int,
        rows: Rows | None = None,
        progress: Progress = silent,
    ) -> IsolatedPeople:
        """Return which people satisfy each predicate, to be counted under any labels.

        Parameters
        ----------
        tables
            The release, its members and its controls.
        seed
            Of drawing predicates.
        rows
            Real rows that are attacked; all by default.
        progress
            Told how far the work is.
        """
        chosen = np.arange(len(tables.member)) if rows is None else rows
        member = tables.member[chosen]
        fewer = min(int(member.sum()), int((~member).sum()))
        most = _LISTED * max(1, math.ceil(len(chosen) / max(2 * fewer, 1)))
        cells = CodedCells.of(tables, chosen, tolerance=self.tolerance)
        families: list[str] = []
        built: list[tuple[Predicates, Matches]] = []
        kinds = _kinds(self)
        for place, (key, predicates) in enumerate(self._built(cells, seed)):
            progress("singling out", place, len(kinds))
            if len(predicates):
                families.append(key)
                built.append((predicates, find(cells.real, predicates, most=most, group=member)))
        progress("singling out", len(kinds), len(kinds))
        return _joined(families, built, most, len(chosen))

    def _built(self, cells: CodedCells, seed: int) -> Iterator[tuple[str, Predicates]]:
        randoms = iter(np.random.default_rng(seed).spawn(len(_kinds(self))))
        yield (
            "singling_out/univariate",
            values_and_ends(cells, rarest=self.rarest, most=self.predicates, random=next(randoms)),
        )
        for size in self.columns:
            yield (
                f"singling_out/multivariate/{size}",
                random_conjunctions(
                    cells,
                    columns=size,
                    most=self.predicates,
                    tries=self.tries,
                    random=next(randoms),
                ),
            )
        yield (
            "singling_out/rare",
            rarest_cells(cells, weight=self.weight, most=self.predicates),
        )
        yield (
            "singling_out/records",
            whole_records(cells, most=self.records, random=next(randoms)),
        )


def _joined(
    families: list[str], built: list[tuple[Predicates, Matches]], most: int, everybody: int
) -> IsolatedPeople:
    sizes = [len(predicates) for predicates, _ in built]
    none = np.zeros(0, dtype=np.int64)
    counts = np.concatenate([none, *(matches.counts for _, matches in built)])
    listed = np.where(counts <= most, counts, 0)
    people = [none]
    for _, matches in built:
        few = np.where(matches.counts <= most, matches.counts, 0)
        people.append(matches.listed[np.arange(most) < few[:, None]].astype(np.int64))
    alone = np.zeros((len(counts), 2), dtype=np.bool_)
    if built:
        alone = np.concatenate([matches.alone for _, matches in built])
    return IsolatedPeople(
        families=tuple(families),
        family=np.repeat(np.arange(len(sizes)), sizes),
        source=np.concatenate([none, *(predicates.source for predicates, _ in built)]),
        starts=np.concatenate([[0], np.cumsum(listed)]).astype(np.int64),
        people=np.concatenate(people),
        everybody=everybody,
        alone=alone & (counts > most)[:, None],
    )


def _kinds(settings: SinglingOut) -> dict[str, tuple[str, str, str, str]]:
    """Return name, description, what is not shown and why there may be none, by key."""
    several = "that together single out one released row"
    kinds = {
        "singling_out/univariate": (
            "singling out, one column",
            "rare values and the ends of one column",
            "Combinations of columns.",
            "no value is rare in the release and no column holds numbers",
        )
    }
    for size in settings.columns:
        kinds[f"singling_out/multivariate/{size}"] = (
            f"singling out, {size} columns",
            f"conditions on {size} random columns {several}",
            "Copies of a few people: random conditions hardly touch them.",
            f"no condition on {size} columns that was tried singles out one released row",
        )
    kinds["singling_out/rare"] = (
        "singling out, rare combinations",
        f"the rarest cells of the released rows that stand out most, {several}",
        "People without rare values.",
        "no released row has a rare enough combination of cells",
    )
    kinds["singling_out/records"] = (
        "singling out, whole records",
        "whole released rows that no other equals",
        "Copies that were changed in any cell.",
        "every released row has a twin, so that no row is singled out",
    )
    return kinds


def _absent(name: str, because: str) -> Figure:
    return Figure.not_computed(
        name, because, unit="share", direction="lower is better", source=_SOURCE
    )


def _figure(kind: tuple[str, str, str, str], counted: Isolated, size: int) -> Figure:
    name, built_from, not_shown, _ = kind
    low, high = (counted.controls + end for end in counted.interval)
    return Figure(
        name=name,
        value=counted.members,
        unit="share",
        direction="lower is better",
        meaning=(
            f"Of {counted.predicates:,} predicates built from the release ({built_from}), so many "
            f"fit exactly one of {size:,} members, {counted.people:,} different ones; the control "
            "is how many fit exactly one of as many people who are not in the release."
        ),
        source=_SOURCE,
        interval=(max(0.0, low), min(1.0, high)),
        interval_method=_INTERVAL,
        control=counted.controls,
        p_value=counted.p_value,
        upper=counted.upper,
        detectable=counted.detectable,
        attacks=counted.predicates,
        not_shown=not_shown,
    )
