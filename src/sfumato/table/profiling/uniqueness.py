"""Which columns, alone and together, make people unique.

A row is unique on some columns if no other row holds the same combination of values. Two measures
of Motwani and Xu stand beside it: the *distinction* of a set of columns is the number of its
distinct combinations divided by the number of rows (the share of rows that would remain if one row
was kept of each combination), its *separation* the share of all pairs of rows that differ on it.

Motwani, Xu: Efficient algorithms for masking and finding quasi-identifiers, VLDB 2007 workshop on
Secure Data Management, section 2 (as the alpha-distinction and alpha-separation of ARX).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sfumato.progress import Progress, silent
from sfumato.table.profiling.distinct_codes import Codes, codes_of, combination_sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Combination", "Contribution", "Uniqueness", "uniqueness_of"]

_TASK = "counting who is unique"
# Row visits that one profile spends on combinations: about two seconds.
_WORK = 100_000_000
_FEWEST_SUBSETS = 40


@dataclass(frozen=True)
class Combination:
    """What a set of columns tells apart.

    Parameters
    ----------
    columns
        The columns, in table order.
    groups
        Distinct combinations of their values.
    unique
        Combinations held by a single row (or a single person).
    share_unique
        ``unique`` divided by the number of rows, 0 to 1 (or of persons, each counted once for every
        combination that they hold).
    distinction, separation
        Measures of Motwani and Xu, over rows, 0 to 1; the separation of a single row is 0.
    """

    columns: tuple[str, ...]
    groups: int
    unique: int
    share_unique: float
    distinction: float
    separation: float


@dataclass(frozen=True)
class Contribution:
    """What one column adds to all the others.

    Parameters
    ----------
    column
        The column.
    alone
        What it tells apart by itself.
    share_unique_without
        Share of rows unique on all candidates but this one, 0 to 1.
    adds
        How much larger the share is with it.
    """

    column: str
    alone: Combination
    share_unique_without: float
    adds: float


@dataclass(frozen=True)
class Uniqueness:
    """How unique people are on the candidate quasi-identifiers.

    Parameters
    ----------
    candidates
        The columns that were combined, in table order.
    left_out
        Further candidates, beyond the number that is combined.
    unit
        What is unique: "rows", or "persons" if one person has several rows.
    together
        All candidates together; None if there is none.
    combinations
        Every set that was counted: all up to three columns unless ``checked`` says otherwise,
        all but one, those of the greedy path, and those that were asked for; most unique first.
    path
        The best single column, the best two, the best three; then the column that makes most rows
        unique is added again and again, until all rows are: how few columns an attacker needs.
    contributions
        One for each candidate, the one that adds most first.
    checked, possible
        How many of the sets of up to three columns were counted, and how many there are.
    """

    candidates: tuple[str, ...]
    left_out: tuple[str, ...]
    unit: str
    together: Combination | None
    combinations: tuple[Combination, ...]
    path: tuple[Combination, ...]
    contributions: tuple[Contribution, ...]
    checked: int
    possible: int

    def of(self, *columns: str) -> Combination | None:
        """Return what a set of columns tells apart, in any order; None if it was not counted."""
        wanted = frozenset(columns)
        found = (one for one in self.combinations if frozenset(one.columns) == wanted)
        return next(found, None)


def uniqueness_of(
    table: pl.DataFrame,
    candidates: Sequence[str],
    *,
    person: str | None = None,
    asked: Sequence[Sequence[str]] = (),
    up_to: int = 3,
    most_candidates: int = 20,
    work: int = _WORK,
    progress: Progress = silent,
) -> Uniqueness:
    """Count how many rows are unique on sets of columns.

    Parameters
    ----------
    table
        The rows, at least one.
    candidates
        Columns that someone else may know of a person.
    person
        The column that says whose row it is, if one person has several.
    asked
        Further sets of columns of the table to count.
    up_to
        Sets of at most so many columns are all counted, as far as ``work`` reaches.
    most_candidates
        Of more candidates than this, those that separate most pairs of rows are combined.
    work
        Row visits to spend: at most ``work`` divided by the number of rows sets are counted, but at
        least 40.
    progress
        Told how many sets are done.

    Examples
    --------
    >>> table = pl.DataFrame({"sex": ["f", "m", "f"], "age": [30, 30, 41]})
    >>> found = uniqueness_of(table, ["sex", "age"])
    >>> found.of("sex", "age").unique, round(found.of("sex").separation, 3)
    (3, 0.667)
    """
    counter = _Counter(table, person)
    kept, left_out = _most_separating(counter, candidates, most_candidates)
    order = {name: place for place, name in enumerate(table.columns)}
    for columns in asked:
        counter.count(sorted(set(columns), key=order.__getitem__))
    if not kept:
        return Uniqueness((), left_out, counter.unit, None, counter.all(), (), (), 0, 0)
    together = counter.count(kept)
    allowed = max(_FEWEST_SUBSETS, work // max(table.height, 1))
    possible = [
        subset
        for size in range(1, min(up_to, len(kept)) + 1)
        for subset in _subsets(counter, kept, size)
    ]
    for done, subset in enumerate(possible[:allowed]):
        counter.count(subset)
        progress(_TASK, done, min(allowed, len(possible)) + 2 * len(kept))
    without = {
        name: counter.count([other for other in kept if other != name])
        for name in kept
        if len(kept) > 1
    }
    path = _greedy_path(counter, kept, up_to, max(allowed - len(possible), 2 * len(kept)))
    progress(_TASK, 1, 1)
    contributions = [_contribution(counter, name, together, without.get(name)) for name in kept]
    return Uniqueness(
        candidates=tuple(kept),
        left_out=left_out,
        unit=counter.unit,
        together=together,
        combinations=counter.all(),
        path=path,
        contributions=tuple(sorted(contributions, key=lambda one: -one.adds)),
        checked=min(allowed, len(possible)),
        possible=len(possible),
    )


class _Counter:
    """Counts sets of columns of one table, each column coded once and each set counted once."""

    def __init__(self, table: pl.DataFrame, person: str | None) -> None:
        self._table = table
        self._codes: dict[str, Codes] = {}
        self._counted: dict[frozenset[str], Combination] = {}
        persons = None if person is None else codes_of(table[person])
        # As many persons as rows: then a row is a person, and rows are quicker to count.
        several = persons is not None and persons.distinct < table.height
        self._person = persons if several else None
        self.unit = "persons" if several else "rows"

    def count(self, columns: Sequence[str]) -> Combination:
        key = frozenset(columns)
        if key not in self._counted:
            codes = [self._coded(name) for name in columns]
            rows = combination_sizes(codes)
            sizes = rows if self._person is None else combination_sizes(codes, self._person)
            unique = int(np.count_nonzero(sizes == 1))
            self._counted[key] = Combination(
                columns=tuple(columns),
                groups=int(sizes.size),
                unique=unique,
                share_unique=unique / int(sizes.sum()),
                distinction=rows.size / self._table.height,
                separation=_separation(rows),
            )
        return self._counted[key]

    def all(self) -> tuple[Combination, ...]:
        """Return every set counted, most unique first, then fewer columns first."""
        found = self._counted.values()
        return tuple(
            sorted(found, key=lambda one: (-one.share_unique, len(one.columns), one.columns))
        )

    def _coded(self, name: str) -> Codes:
        if name not in self._codes:
            self._codes[name] = codes_of(self._table[name])
        return self._codes[name]


def _separation(sizes: NDArray[np.int64]) -> float:
    rows = int(sizes.sum())
    if rows < 2:
        return 0.0
    together = float((sizes.astype(np.float64) * (sizes - 1)).sum())
    return 1.0 - together / (float(rows) * (rows - 1))


def _most_separating(
    counter: _Counter, candidates: Sequence[str], most: int
) -> tuple[list[str], tuple[str, ...]]:
    if len(candidates) <= most:
        return list(candidates), ()
    ranked = sorted(candidates, key=lambda name: -counter.count([name]).separation)
    kept = set(ranked[:most])
    return [name for name in candidates if name in kept], tuple(
        name for name in candidates if name not in kept
    )


def _subsets(counter: _Counter, columns: list[str], size: int) -> Iterator[list[str]]:
    """Yield all subsets of a size, those of the most separating columns first."""
    ranked = sorted(columns, key=lambda name: -counter.count([name]).separation)
    order = {name: place for place, name in enumerate(columns)}
    for subset in sorted(
        combinations(range(len(ranked)), size), key=lambda places: (sum(places), places)
    ):
        yield sorted((ranked[place] for place in subset), key=order.__getitem__)


def _greedy_path(
    counter: _Counter, columns: list[str], up_to: int, allowed: int
) -> tuple[Combination, ...]:
    """Return the sets on the way from the best small set to all columns."""
    inside = set(columns)
    counted = [one for one in counter.all() if inside.issuperset(one.columns)]
    steps: list[Combination] = []
    for size in range(1, min(up_to, len(columns)) + 1):
        of_size = [one for one in counted if len(one.columns) == size]
        if of_size and (not steps or steps[-1].share_unique < 1):
            steps.append(of_size[0])
    while steps and steps[-1].share_unique < 1 and len(steps[-1].columns) < len(columns):
        here = set(steps[-1].columns)
        further = [
            [name for name in columns if name in here or name == added]
            for added in columns
            if added not in here
        ]
        allowed -= len(further)
        if allowed < 0:
            break
        steps.append(
            max((counter.count(subset) for subset in further), key=lambda one: one.share_unique)
        )
    return tuple(steps)


def _contribution(
    counter: _Counter, name: str, together: Combination, without: Combination | None
) -> Contribution:
    share = 0.0 if without is None else without.share_unique
    return Contribution(name, counter.count([name]), share, together.share_unique - share)
