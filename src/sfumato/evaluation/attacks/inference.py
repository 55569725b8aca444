"""Inference: guessing a person's secret from the released row nearest in all else.

The attacker knows every column of a person but one and takes the missing one from the nearest
released row. What the population teaches anyone is told by the controls: only the excess over
people whom the release never saw is a leak.

References
----------
Article 29 Working Party, Opinion 05/2014 on anonymisation techniques (WP216), section 2.2.3, for
the criterion; J. C. Gower, Biometrics 27 (1971), for the distance; P. Francis, D. Wagner, "Towards
better attribute inference vulnerability measures", arXiv 2507.01710, for attackers who abstain:
precision at each recall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.errors import SchemaError, did_you_mean
from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.inference_votes import vote
from sfumato.evaluation.attacks.member_figures import excess_figure, some_people
from sfumato.evaluation.attacks.nearest import Search
from sfumato.evaluation.figures import Figure
from sfumato.progress import Progress, silent

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.guessing_kernels import Guesses
    from sfumato.evaluation.attacks.tables import AttackColumn, AttackTables

__all__ = ["Inference", "Inferred", "best_blind_guess", "infer_each", "scores", "tolerance_of"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SOURCE = "WP216, section 2.2.3; Gower 1971"
_CURVE_SOURCE = "Francis & Wagner 2025, arXiv 2507.01710"


class Inference(Attack):
    """Guess each column of each person from the released rows nearest in all other columns.

    Parameters
    ----------
    secrets
        Columns to guess; all by default.
    neighbours
        How many nearest released rows are asked, at least 1. Of one, each row tied with it counts;
        of more, the guess is the most frequent cell or the median of numbers.
    tolerance
        How far a guess of a number may be off, as a share of the middle half's width (the
        interquartile range) of the real numbers, 0 or above. The range would not do: one large
        outlier would make every guess right. Where the middle half is one value, and with 0, a
        guess must be exact.
    recalls
        At which shares of people the most confident guesses are looked at, each above 0 and at
        most 1; none for no such figures.
    most
        Most people who are attacked, drawn at random, at least 2; fewer of tables so large that
        it would take minutes. None for all people, however long it takes.
    """

    knowledge: ClassVar[str] = (
        "Somebody knows all columns of a person but one, and the release, and wants to know the "
        "missing one."
    )

    secrets: tuple[str, ...] | None = None
    neighbours: int = Field(default=1, ge=1)
    tolerance: float = Field(default=0.05, ge=0)
    recalls: tuple[float, ...] = (0.01, 0.1)
    most: int | None = Field(default=20_000, ge=2)

    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Attack every person; the figures are ``inference/<column>`` and their precisions.

        Raises
        ------
        SchemaError
            If a secret is not there.
        """
        names = _secrets(tables, self.secrets)
        because = ""
        if len(tables.columns) < 2:
            because = "there is one column only, so that nothing is known of a person"
        elif not tables.rows:
            because = "the release has no rows"
        elif not tables.n_members or not tables.n_controls:
            because = "there are no members" if tables.n_controls else "there are no control people"
        if because:
            return {
                f"inference/{name}": Figure.not_computed(
                    f"inference of {name}",
                    because,
                    unit="share",
                    direction="lower is better",
                    source=_SOURCE,
                )
                for name in names
            }
        rows = some_people(tables, self.most, seed)
        progress("guessing secrets", 0, 1)
        inferred = infer_each(
            tables.columns, rows=rows, tolerance=self.tolerance, neighbours=self.neighbours
        )
        progress("guessing secrets", 1, 1)
        member = tables.member[rows]
        found: dict[str, Figure] = {}
        for name in names:
            found[f"inference/{name}"] = _share(tables, inferred, name, member, rows, seed, self)
        for name in names:
            for recall in self.recalls:
                key = f"inference/{name}/precision_at_{100 * recall:g}_percent"
                found[key] = _precision(inferred, name, member, recall)
        return found


@dataclass(frozen=True, eq=False)
class Inferred:
    """What the nearest rows said of each left-out column.

    Parameters
    ----------
    names
        The columns.
    right
        The chance that the guess about each person was right, a row drawn at random among those
        equally near and a value evenly within its cell, shape (people, columns).
    distances
        Distance of the nearest rows on all other columns, in units of 1 / GRID, shape (people,
        columns).
    """

    names: tuple[str, ...]
    right: Floats
    distances: Integers

    def of(self, name: str) -> tuple[Floats, Integers]:
        """Return the chances and the distances of one column."""
        place = self.names.index(name)
        return self.right[:, place], self.distances[:, place]


def scores(
    tables: AttackTables,
    *,
    secrets: Sequence[str] | None = None,
    tolerance: float = 0.05,
    rows: Integers | None = None,
) -> dict[str, Floats]:
    """Return how likely each person's secret was guessed, by column, each of shape (people,).

    Parameters
    ----------
    tables
        The release and the real rows, of at least two columns.
    secrets, tolerance
        As of :class:`Inference`.
    rows
        Numbers of the real rows that are attacked; all by default.
    """
    names = _secrets(tables, secrets)
    inferred = infer_each(tables.columns, rows=rows, tolerance=tolerance)
    return {name: inferred.of(name)[0] for name in names}


def infer_each(
    columns: Sequence[AttackColumn],
    *,
    rows: Integers | None = None,
    tolerance: float = 0.05,
    neighbours: int = 1,
) -> Inferred:
    """Guess every column from the released rows nearest in all others.

    Parameters
    ----------
    columns
        At least two.
    rows
        Numbers of the real rows that are attacked; all by default.
    tolerance, neighbours
        As of :class:`Inference`.
    """
    if neighbours > 1:
        return _voted(columns, rows, tolerance, neighbours)
    from sfumato.evaluation.attacks.guessing_kernels import without_each

    search = Search.among(columns, "released")
    sought, group = search.sought(rows)
    distances = np.full((len(sought.cells), len(columns)), -1, np.int64)
    right = np.zeros(distances.shape)
    if len(search.group):
        guesses = _guesses(search.columns, tolerance)
        without_each(search.blocks, sought, guesses, distances, right)
    names = tuple(column.name for column in search.columns)
    return Inferred(names, right[group], distances[group])


def _voted(
    columns: Sequence[AttackColumn], rows: Integers | None, tolerance: float, neighbours: int
) -> Inferred:
    people = np.arange(len(columns[0].real) or len(columns[0].numbers)) if rows is None else rows
    found = []
    for secret in columns:
        known = [column for column in columns if column is not secret]
        reach = tolerance_of(secret.numbers, tolerance) if secret.kind == "number" else 0.0
        found.append(vote(secret, known, neighbours, rows=people, tolerance=reach))
    return Inferred(
        tuple(column.name for column in columns),
        np.column_stack([right for right, _ in found]),
        np.column_stack([distances for _, distances in found]),
    )


def _secrets(tables: AttackTables, secrets: Sequence[str] | None) -> list[str]:
    names = list(tables.by_name)
    for name in secrets or ():
        if name not in names:
            raise SchemaError(
                f"inference: there is no column {name!r} to guess.{did_you_mean(name, names)}"
            )
    return names if secrets is None else list(secrets)


def tolerance_of(numbers: Floats, share: float) -> float:
    """Return how far a guess of a number may be off and still is right.

    Parameters
    ----------
    numbers
        The real numbers, nan where missing.
    share
        Of the interquartile range.

    Returns
    -------
    float
        At least a little less than half of the smallest gap between two of the numbers, which
        only the number itself meets.
    """
    known = np.unique(numbers[~np.isnan(numbers)])
    if known.size < 2:
        return 0.0
    quartiles = np.quantile(numbers[~np.isnan(numbers)], [0.25, 0.75])
    exact = 0.49 * float(np.diff(known).min())
    # rounding of a unit must not decide whether the last number in reach still is
    return max(share * float(quartiles[1] - quartiles[0]) * (1 + 1e-9), exact)


def _guesses(columns: Sequence[AttackColumn], tolerance: float) -> Guesses:
    """Return what the cells of each column say."""
    from sfumato.evaluation.attacks.guessing_kernels import Guesses

    pieces, begin, at = [np.zeros(0)], [], 0
    reach, least, most = np.zeros((3, len(columns)))
    for place, column in enumerate(columns):
        begin.append(at)
        if column.kind == "category":
            if column.covers is None:
                stands_for = np.ones(column.values)
            else:
                stands_for = np.maximum(column.covers.sum(axis=1), 1).astype(np.float64)
            pieces.append(stands_for)
            at += len(stands_for)
            continue
        reach[place] = tolerance_of(column.numbers, tolerance)
        ends = np.concatenate([column.low, column.high])
        ends = ends[np.isfinite(ends)]
        # a release of stars alone says no more than the real numbers' range
        known = ends if ends.size else column.numbers[~np.isnan(column.numbers)]
        if known.size:
            least[place], most[place] = known.min(), known.max()
    values = np.array([max(column.values, 1) for column in columns], np.float64)
    return Guesses(np.concatenate(pieces), np.array(begin), values, reach, least, most)


def best_blind_guess(
    column: AttackColumn, tolerance: float, rows: Integers, member: Flags
) -> float:
    """Return how often the best single guess, the same for all people, is right about members.

    Parameters
    ----------
    column
        The secret.
    tolerance
        As of :class:`Inference`.
    rows, member
        The real rows that are attacked, and which of them are members. The guess is the one that
        is right about most of all of them.
    """
    if column.kind == "category":
        values = column.real[rows]
        guess = np.bincount(values[values >= 0], minlength=1).argmax()
        return float((values[member] == guess).mean())
    numbers = column.numbers[rows]
    missing = np.isnan(numbers)
    known = np.sort(numbers[~missing])
    reach = tolerance_of(column.numbers, tolerance)
    if not known.size:
        return 1.0
    # the best guess lies `reach` above the lowest number that it is right about
    inside = np.searchsorted(known, known + 2 * reach, side="right") - np.arange(known.size)
    lowest = known[inside.argmax()]
    right = (numbers >= lowest) & (numbers <= lowest + 2 * reach)
    return float((missing if missing.sum() > inside.max() else right)[member].mean())


def _share(
    tables: AttackTables,
    inferred: Inferred,
    name: str,
    member: Flags,
    rows: Integers,
    seed: int,
    attack: Inference,
) -> Figure:
    column = tables.by_name[name]
    near = "" if column.kind == "category" else " or near enough"
    k = attack.neighbours
    asked = "the released row" if k == 1 else f"what most of the {k} released rows say,"
    return excess_figure(
        inferred.of(name)[0],
        member,
        name=f"inference of {name}",
        meaning=(
            f"Share of the people that the release was made from whose {name} is right{near} in "
            f"{asked} nearest to them in all other columns. The control is the same for "
            "people it never saw, the baseline the best single guess for everyone."
        ),
        source=_SOURCE,
        baseline=best_blind_guess(column, attack.tolerance, rows, member),
        not_shown="It does not show what a better model than the nearest row would guess.",
        seed=seed,
    )


def _precision(inferred: Inferred, name: str, member: Flags, recall: float) -> Figure:
    """Return how often the most confident guesses about members are right."""
    right, distances = inferred.of(name)
    precise, guessed = [], 0
    for kind in (member, ~member):
        share, number = _of_nearest(right[kind], distances[kind], recall)
        precise.append(share)
        guessed += number if kind is member else 0
    spread = np.sqrt(precise[0] * (1 - precise[0]) / guessed)
    return Figure(
        name=f"inference of {name}, precision where the attacker is surest",
        value=precise[0],
        unit="share",
        direction="lower is better",
        meaning=(
            f"How often the {name} taken from the nearest released row is right for the "
            f"{recall:.0%} of people who have the nearest one; an attacker may stay silent about "
            "all others. The control is the same for people the release never saw."
        ),
        source=_CURVE_SOURCE,
        interval=(
            float(max(0.0, precise[0] - 1.96 * spread)),
            float(min(1.0, precise[0] + 1.96 * spread)),
        ),
        interval_method="normal, 95 %",
        control=precise[1],
        attacks=guessed,
        not_shown="It is no test: how sure the attacker is depends on the distance alone.",
    )


def _of_nearest(right: Floats, distances: Integers, recall: float) -> tuple[float, int]:
    """Return the mean success with the share of people whose row is nearest; ties count evenly."""
    wanted = max(1, round(recall * len(right)))
    last = np.partition(distances, wanted - 1)[wanted - 1]
    nearer, tied = distances < last, distances == last
    sure = float(right[nearer].sum())
    return (sure + (wanted - int(nearer.sum())) * float(right[tied].mean())) / wanted, wanted
