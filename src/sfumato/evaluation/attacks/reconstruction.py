"""Linear reconstruction: secrets are solved for, from nothing but the release's counts.

A release answers counting questions: how many people with these quasi-identifiers have the secret?
Each answer is a linear equation in the unknown secrets of the people who match. Enough of them, and
not too noisy, can be solved for everybody at once, outliers or not, by least squares (Dinur &
Nissim; Dwork, McSherry & Talwar; for synthetic data Annamalai, Gadotti & Rocher). More released
rows mean less noise and a stronger attack.

**Why the test is exact.** The attacker knows the quasi-identifiers of all members and of all
controls, who are decoys, and does not know which are which: one system is solved for both together.
A person's result so depends on the release, on the person, and on all real people alike, never on
labels; if the release tells nothing of its members beyond the population, labels can be exchanged,
whatever the numbers of members and controls. The price is power: decoys water the equations down,
the more, the more of them there are. (Solving for equal sets of members and of controls apart would
leave the other members' secrets in the counts as noise, and lose more.)

References
----------
I. Dinur, K. Nissim, "Revealing information while preserving privacy" (PODS 2003); C. Dwork, F.
McSherry, K. Talwar, "The price of privacy and the limits of LP decoding" (STOC 2007); M. S. M. S.
Annamalai, A. Gadotti, L. Rocher, "A linear reconstruction approach for attribute inference attacks
against synthetic data", arXiv 2301.10053 (USENIX Security 2024), sections 4 and 5 (marginal
queries on a subset of quasi-identifiers, answered by conditional counts of the synthetic rows).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.attack_features import (
    Classes,
    classes_of_secret,
    fill,
    known_columns,
    ranks,
    secrets,
)
from sfumato.evaluation.attacks.tables import AttackColumn, AttackTables
from sfumato.evaluation.attacks.vulnerable import vulnerable
from sfumato.evaluation.estimates import NORMAL_95, ONE_SIDED_95, POWER_80
from sfumato.evaluation.exchangeability import excess
from sfumato.evaluation.figures import Figure
from sfumato.progress import Progress, silent

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["LinearReconstruction", "scores"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_KEY = "reconstruction"
_NAME = "secrets reconstructed from the release's counts"
_SOURCE = "Annamalai et al. 2023, arXiv 2301.10053; Dinur & Nissim 2003"
_BINS = (8, 64)  # coarser looks at a number with more values than that
_STEPS = 20  # scores are kept to twentieths, so that drawing labels is cheap
_GRID = 1e9  # solutions closer than 1 / _GRID are tied


class LinearReconstruction(Attack):
    """Solve for the secrets of everybody from counts of the release.

    Parameters
    ----------
    columns
        The secrets; by default the schema's sensitive columns and the target.
    known
        What the attacker knows of everybody; by default the schema's quasi-identifiers, or all
        columns but the secrets if it has none.
    marginals
        Random sets of known columns, at least 2; each combination of values that a real person has
        in such a set is one counting question.
    ways
        Most columns in a set, at least 1; two sets hold all known columns.
    values
        The secret's commonest values, each solved for by itself; a number is split at its median.
    ridge
        Pull of a person's secret towards the release's average, against one released row that
        matches nobody else; above 0.
    iterations
        Steps of the solver, at least 1.
    vulnerable
        Share of the real people, the most isolated, that are looked at apart; 0 for none.

    Examples
    --------
    >>> LinearReconstruction(columns=("diagnosis",), known=("age", "sex")).marginals
    40
    """

    columns: tuple[str, ...] | None = None
    known: tuple[str, ...] | None = None
    marginals: int = Field(default=40, ge=2, le=1000)
    ways: int = Field(default=4, ge=1)
    values: int = Field(default=3, ge=2, le=50)
    ridge: float = Field(default=0.03, gt=0)
    iterations: int = Field(default=15, ge=1)
    vulnerable: float = Field(default=0.01, ge=0, le=1)

    knowledge: ClassVar[str] = (
        "Knows the quasi-identifiers of many people, some of them in the release, and counts "
        "released rows; wants one secret of everybody at once."
    )

    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Attack members and controls; see :class:`Attack`."""
        names = secrets(tables, self.columns)
        if not names:
            because = "the schema names no sensitive column and no target, and no secret was chosen"
            return {_KEY: _none(because)}
        isolated = np.zeros(len(tables.member), dtype=np.bool_)
        if self.vulnerable > 0 and len(isolated):
            isolated[vulnerable(tables, self.vulnerable)] = True
        figures: dict[str, Figure] = {}
        for done, name in enumerate(names):
            progress("reconstructing secrets", done, len(names))
            found, because = _solved(tables, name, self, seed=seed + done)
            groups = {f"{_KEY}/{name}": np.ones(len(isolated), dtype=np.bool_)}
            if self.vulnerable > 0:
                groups[f"{_KEY}/{name}/vulnerable"] = isolated
            for key, chosen in groups.items():
                if found is None:
                    figures[key] = _none(because)
                else:
                    apart = key.endswith("/vulnerable")
                    figures[key] = _figure(found, tables.member, chosen, apart=apart, seed=seed)
        progress("reconstructing secrets", len(names), len(names))
        return figures


def scores(
    tables: AttackTables,
    column: str,
    *,
    seed: int,
    attack: LinearReconstruction | None = None,
) -> Floats:
    """Return how rightly each real person's secret was solved for: what the test permutes.

    Parameters
    ----------
    tables
        The release, its members and its controls.
    column
        The secret.
    seed
        Of the questions.
    attack
        Its settings; the default ones if None.

    Returns
    -------
    ndarray
        Share of the real people with another secret than this person's who are ranked on the right
        side of this person, ties half, 0 to 1 in twentieths, shape (N,). nan where nothing could be
        solved.
    """
    attack = LinearReconstruction() if attack is None else attack
    found, _ = _solved(tables, column, attack, seed=seed)
    return np.full(len(tables.member), np.nan) if found is None else found.score


@dataclass(frozen=True, eq=False)
class _Solved:
    """What was solved of one secret: see :func:`scores`.

    Parameters
    ----------
    score
        What the test permutes, shape (N,).
    solution, has
        Of each value, what was solved and whether the person has it, shape (N, values).
    questions
        Number of equations.
    """

    score: Floats
    solution: Floats
    has: Flags
    questions: int


def _solved(
    tables: AttackTables, name: str, attack: LinearReconstruction, *, seed: int
) -> tuple[_Solved | None, str]:
    """Return each person's score, or why there is none."""
    if name not in tables.by_name:
        return None, f"column {name!r} is not in the release and the real rows in comparable form"
    if not tables.n_members or not tables.n_controls:
        return None, "there are no members or no controls to compare"
    random = np.random.default_rng(seed)
    secret = classes_of_secret(tables.by_name[name], random, most=attack.values, bins=2)
    wanted = _wanted(secret)
    if not wanted:
        return None, "the released rows tell one value of the secret only, or none"
    columns = _known(tables, name, attack.known)
    if not columns:
        return None, "nothing else is known of a person"
    looks = [_looks(column, random) for column in columns]
    system = _System.of(looks, secret, wanted, attack, random)
    solution = system.solve(attack.ridge, attack.iterations)
    has = secret.real[:, None] == np.asarray(wanted)
    right = np.stack(
        [_ranked_rightly(one, own) for one, own in zip(solution.T, has.T, strict=True)]
    )
    score = np.rint(right.mean(axis=0) * _STEPS) / _STEPS
    return _Solved(score, solution, has, system.questions), ""


def _wanted(secret: Classes) -> list[int]:
    """Return the values to solve for; of two values that are all there is, one tells both."""
    values = [one for one in range(secret.count - 1) if (secret.real == one).any()]
    values = [one for one in values if not (secret.real == one).all()]
    others = (secret.real == secret.count - 1).any()
    return values[1:] if len(values) == 2 and not others else values


def _known(
    tables: AttackTables, secret: str, known: tuple[str, ...] | None
) -> tuple[AttackColumn, ...]:
    if known is None and tables.schema.quasi_identifiers:
        known = tables.schema.quasi_identifiers
    if known is None:
        hidden = secrets(tables, None)
        known = tuple(column.name for column in tables.columns if column.name not in hidden)
    return known_columns(tables, secret, known)


def _looks(column: AttackColumn, random: np.random.Generator) -> list[tuple[Integers, Integers]]:
    """Return a known column as codes of released and of real rows, from exact to coarse."""
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
class _System:
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
        return len(self.right)

    @classmethod
    def of(
        cls,
        looks: list[list[tuple[Integers, Integers]]],
        secret: Classes,
        wanted: list[int],
        attack: LinearReconstruction,
        random: np.random.Generator,
    ) -> _System:
        from scipy.sparse import csr_matrix

        released = secret.released[secret.told]
        has = (released[:, None] == np.asarray(wanted)).astype(np.float64)
        average = has.mean(axis=0)
        every = [(column, 0) for column in range(len(looks))]
        _, real = _keys(looks, every, random)
        _, first, kind = np.unique(real, return_index=True, return_inverse=True)
        people = np.bincount(kind).astype(np.float64)
        rows, columns, values, right, questions = [], [], [], [], 0
        for chosen in _marginals(looks, attack, random):
            shown, had = _keys(looks, chosen, random)
            cells, cell = np.unique(had[first], return_inverse=True)
            at = np.minimum(np.searchsorted(cells, shown[secret.told]), len(cells) - 1)
            inside = cells[at] == shown[secret.told]
            count = np.bincount(at[inside], minlength=len(cells)).astype(np.float64)
            having = np.stack(
                [np.bincount(at[inside], one[inside], minlength=len(cells)) for one in has.T],
                axis=1,
            )
            answered = count > 0
            place = np.cumsum(answered) - 1 + questions
            # a share over c rows has c times the precision of one row; each row answers every set
            weight = np.sqrt(count / attack.marginals)
            size = np.bincount(cell, people, minlength=len(cells))
            told = np.flatnonzero(answered[cell])
            rows.append(place[cell[told]])
            columns.append(told)
            values.append((weight / size)[cell[told]] * np.sqrt(people[told]))
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
    looks: list[list[tuple[Integers, Integers]]],
    attack: LinearReconstruction,
    random: np.random.Generator,
) -> list[list[tuple[int, int]]]:
    """Return sets of (column, look): all columns exactly, all coarsely, and random sets."""
    every = range(len(looks))
    sets = [[(one, 0) for one in every], [(one, min(1, len(looks[one]) - 1)) for one in every]]
    while len(sets) < attack.marginals:
        ways = int(random.integers(1, min(attack.ways, len(looks)) + 1))
        chosen = np.sort(random.choice(len(looks), ways, replace=False))
        sets.append([(int(one), int(random.integers(len(looks[one])))) for one in chosen])
    return sets


def _keys(
    looks: list[list[tuple[Integers, Integers]]],
    chosen: list[tuple[int, int]],
    random: np.random.Generator,
) -> tuple[Integers, Integers]:
    """Return one key for each combination of values: the sum of a random number of each.

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


def _ranked_rightly(solution: Floats, has: Flags) -> Floats:
    """Return for each person the share of those otherwise who are on the right side, ties half."""
    value = np.rint(solution * _GRID)
    share = np.empty(len(value))
    for mine, others in ((has, ~has), (~has, has)):
        ordered = np.sort(value[others])
        below = np.searchsorted(ordered, value[mine], side="left")
        up_to = np.searchsorted(ordered, value[mine], side="right")
        share[mine] = (below + up_to) / (2 * len(ordered))
    share[~has] = 1 - share[~has]
    return share


def _none(because: str) -> Figure:
    return Figure.not_computed(
        _NAME, because, unit="share", direction="closer to the baseline is better", source=_SOURCE
    )


def _figure(solved: _Solved, member: Flags, chosen: Flags, *, apart: bool, seed: int) -> Figure:
    ours, others = member & chosen, ~member & chosen
    whom = "the most isolated people" if apart else "everybody"
    if not ours.any() or not others.any():
        return _none(f"there are no members or no controls among {whom}")
    area, spread = _area(solved.solution[ours], solved.has[ours])
    control, its_spread = _area(solved.solution[others], solved.has[others])
    if not np.isfinite(area + control):
        return _none(f"among the members or the controls of {whom} all have the same secret")
    test = excess(solved.score[ours], solved.score[others], seed=seed)
    together = float(np.hypot(spread, its_spread))
    return Figure(
        name=_NAME + (", most isolated people" if apart else ""),
        value=area,
        unit="share",
        direction="lower is better",
        meaning=(
            f"{solved.questions:,} counts of the release were solved for everybody's secret at "
            "once. So often is a person with it told from one without it (area under the ROC "
            f"curve), for {test.n_members:,} members among {whom}; the control is the same for "
            f"{test.n_controls:,} decoys who are not in the release. One half is guessing. What "
            "is found of decoys too is knowledge about the population and no leak."
        ),
        source=f"{_SOURCE}; interval: DeLong et al. 1988",
        interval=(
            max(0.0, area - NORMAL_95 * together),
            min(1.0, area + NORMAL_95 * together),
        ),
        interval_method=(
            "DeLong's of the excess over the control, 95 %; p by exchanging members and decoys"
        ),
        baseline=0.5,
        control=control,
        p_value=test.p_value,
        upper=area - control + ONE_SIDED_95 * together,
        detectable=(ONE_SIDED_95 + POWER_80) * together,
        attacks=test.n_members + test.n_controls,
        not_shown=(
            "An attacker who knows exactly who is in the release has no decoys and finds more."
        ),
    )


def _area(solution: Floats, has: Flags) -> tuple[float, float]:
    """Return the area under the ROC curve among some people, mean over values, and its spread.

    The spread is that of DeLong, DeLong & Clarke-Pearson (Biometrics 44, 1988), with half a person
    more or less, so that a perfect separation is no certainty. nan where all have the same secret.
    """
    people = len(has)
    both = has.any(axis=0) & ~has.all(axis=0)
    if not both.any():
        return float("nan"), float("nan")
    areas, parts = [], np.zeros(people)
    fewest = people
    for place in np.flatnonzero(both):
        own = has[:, place]
        right = _ranked_rightly(solution[:, place], own)
        areas.append(float(right[own].mean()))
        for side in (own, ~own):
            parts[side] += (right[side] - areas[-1]) / side.sum()
            fewest = min(fewest, int(side.sum()))
    spread = float(np.square(parts / len(areas)).sum()) + 0.25 / fewest**2
    return float(np.mean(areas)), float(np.sqrt(spread))
