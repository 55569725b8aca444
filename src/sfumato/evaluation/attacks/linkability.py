"""Linkability: joining two records of one person, held in two places, by the release.

Two parties hold different columns of the same person. Either looks for the released rows that are
nearest to what it holds; if both find the same row, the release has joined them.

References
----------
Article 29 Working Party, Opinion 05/2014 on anonymisation techniques (WP216), section 2.2.2, for
the criterion; J. C. Gower, Biometrics 27 (1971), for the distance; I. P. Fellegi, A. B. Sunter, "A
theory for record linkage", JASA 64 (1969), for records of one person in two files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sfumato.errors import SchemaError, did_you_mean
from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.member_figures import excess_figure, some_people
from sfumato.evaluation.attacks.nearest import Search
from sfumato.evaluation.figures import Figure
from sfumato.progress import Progress, silent

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackColumn, AttackTables

__all__ = ["Linkability", "alternating_views", "linked", "scores"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Views = tuple[tuple[str, ...], tuple[str, ...]]

_SOURCE = "WP216, section 2.2.2; Gower 1971"


class Linkability(Attack):
    """Join two records of one person by the released rows nearest to either.

    Parameters
    ----------
    nearest
        How many nearest released rows either party looks at, each at least 1; a figure each.
    views
        The columns of either party, two disjoint lists of names; by default all columns, parted so
        that both know about as much.
    partitions
        How many ways to part the columns are tried and averaged, if ``views`` is not given: the
        first alternates by information, others are drawn at random; at least 1.
    most
        Most people who are attacked, drawn at random, at least 2; fewer of tables so large that
        it would take minutes. None for all people, however long it takes.
    """

    knowledge: ClassVar[str] = (
        "Two parties hold different columns of the same person and the release, and want to know "
        "that their records belong together."
    )

    nearest: tuple[int, ...] = Field(default=(1, 5, 10), min_length=1)
    views: Views | None = None
    partitions: int = Field(default=1, ge=1)
    most: int | None = Field(default=20_000, ge=2)

    @model_validator(mode="after")
    def _checked(self) -> Linkability:
        if min(self.nearest) < 1:
            raise ValueError("nearest: each must be at least 1")
        if self.views is not None:
            first, second = (set(view) for view in self.views)
            if not first or not second or first & second:
                raise ValueError(
                    "views: two lists of columns that share none, each of at least one column"
                )
        return self

    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Attack every person; the figures are ``linkability/<k>``.

        Raises
        ------
        SchemaError
            If a view names a column that is not there.
        """
        numbers = tuple(sorted(set(self.nearest)))
        keys = {k: f"linkability/{k}" for k in numbers}
        because = ""
        if self.views is None and len(tables.columns) < 2:
            because = "there is one column only, which two parties cannot share"
        elif not tables.rows:
            because = "the release has no rows"
        elif not tables.n_members or not tables.n_controls:
            because = "there are no members" if tables.n_controls else "there are no control people"
        if because:
            return {
                key: Figure.not_computed(
                    _name(k), because, unit="share", direction="lower is better", source=_SOURCE
                )
                for k, key in keys.items()
            }
        rows = some_people(tables, self.most, seed)
        chances = scores(
            tables,
            numbers,
            views=self.views,
            partitions=self.partitions,
            rows=rows,
            seed=seed,
            progress=progress,
        )
        member = tables.member[rows]
        found = {}
        for place, (k, key) in enumerate(keys.items()):
            nearest = "the released row" if k == 1 else f"the {k} released rows"
            found[key] = excess_figure(
                chances[:, place],
                member,
                name=_name(k),
                meaning=(
                    f"Two parties hold different columns of one person, and either looks at "
                    f"{nearest} nearest to what it holds: the share of people that the release was "
                    "made from of whom both find the same row. The control is the same for people "
                    "it never saw, the baseline two blind picks."
                ),
                source=_SOURCE,
                baseline=by_chance(tables.rows, k),
                not_shown=(
                    "It does not show what could be joined by other columns than those parted here."
                ),
                seed=seed,
            )
        return found


def _name(k: int) -> str:
    rows = "1 nearest row" if k == 1 else f"{k} nearest rows"
    return f"linkability by the {rows}"


def by_chance(rows: int, k: int) -> float:
    """Return the chance that two random sets of k of all rows share one."""
    k = min(k, rows)
    if 2 * k > rows:
        return 1.0
    apart = math.fsum(math.log1p(-k / (rows - i)) for i in range(k))
    return -math.expm1(apart)


def scores(
    tables: AttackTables,
    nearest: Sequence[int] = (1, 5, 10),
    *,
    views: Views | None = None,
    partitions: int = 1,
    rows: Integers | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Floats:
    """Return how likely each person's two records are joined, shape (people, numbers).

    Parameters
    ----------
    tables
        The release and the real rows.
    nearest
        How many nearest rows are looked at, rising.
    views, partitions
        As of :class:`Linkability`.
    rows
        Numbers of the real rows that are attacked; all by default.
    seed
        Of drawing partitions.

    Raises
    ------
    SchemaError
        If a view names a column that is not there.
    """
    names = list(tables.by_name)
    for name in (*views[0], *views[1]) if views is not None else ():
        if name not in tables.by_name:
            raise SchemaError(
                f"linkability: there is no column {name!r} to compare.{did_you_mean(name, names)}"
            )
    parted = [views] if views is not None else partings(tables, partitions, seed)
    people = len(tables.member) if rows is None else len(rows)
    total = np.zeros((people, len(nearest)))
    for done, (first, second) in enumerate(parted):
        progress("linking records", done, len(parted))
        total += linked(
            [tables.by_name[name] for name in first],
            [tables.by_name[name] for name in second],
            nearest,
            rows=rows,
        )
    progress("linking records", len(parted), len(parted))
    return total / len(parted)


def partings(tables: AttackTables, partitions: int, seed: int) -> list[Views]:
    """Return ways to part the columns: one that alternates by information, others at random."""
    found = [alternating_views(tables.columns)]
    random = np.random.default_rng(seed)
    names = [column.name for column in tables.columns]
    for _ in range(partitions - 1):
        mixed = [names[place] for place in random.permutation(len(names))]
        half = (len(mixed) + 1) // 2
        found.append((tuple(sorted(mixed[:half])), tuple(sorted(mixed[half:]))))
    return found


def alternating_views(columns: Sequence[AttackColumn]) -> Views:
    """Part the columns so that both views know about as much.

    The column whose released values are the most uncertain (entropy) goes to one view, the next
    two to the other, the next two to the first, and so on.
    """
    by_information = sorted(columns, key=lambda column: (-_entropy(column), column.name))
    views: tuple[list[str], list[str]] = ([], [])
    for place, column in enumerate(by_information):
        views[(place + 1) // 2 % 2].append(column.name)
    return tuple(sorted(views[0])), tuple(sorted(views[1]))


def _entropy(column: AttackColumn) -> float:
    """Return the entropy of the released cells in bits; equal cells are one value."""
    if column.kind == "category":
        _, counts = np.unique(column.released, return_counts=True)
    else:
        _, counts = np.unique(column.low, return_counts=True)
    share = counts / max(int(counts.sum()), 1)
    return round(float(-(share * np.log2(share)).sum()), 9)


def linked(
    first: Sequence[AttackColumn],
    second: Sequence[AttackColumn],
    nearest: Sequence[int],
    *,
    rows: Integers | None = None,
) -> Floats:
    """Return the chance that the nearest rows by either view have one in common.

    Parameters
    ----------
    first, second
        Columns of either view, at least one each.
    nearest
        How many nearest rows are looked at, rising, each at least 1. Where rows are tied at the
        last place, they are drawn at random, and the chance is over these draws.
    rows
        Numbers of the real rows; all by default.

    Returns
    -------
    array
        Shape (people, numbers), 0 to 1.
    """
    from sfumato.evaluation.attacks.linking_kernels import link

    ends = []
    for view in (first, second):
        found = Search.among(view, "released").nearest(max(nearest), rows)
        drawn = []
        for k in nearest:
            distance, nearer, tied = found.at(k)
            # where fewer rows are released than are looked at, all of them are
            drawn.append(np.column_stack([distance, tied, np.minimum(k - nearer, tied)]))
        ends.append(np.stack(drawn, axis=1))
    search = Search.among(first, "released", other_view=second)
    sought, group = search.sought(rows)
    chances = np.zeros((len(sought.cells), len(nearest)))
    if not len(search.group):
        return chances[group]
    one = np.empty(len(chances), np.int64)
    one[group] = np.arange(len(group))
    link(search.blocks, sought, ends[0][one], ends[1][one], chances)
    return chances[group]
