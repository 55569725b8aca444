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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.attack_features import (
    Classes,
    classes_of_secret,
    known_columns,
    secrets,
)
from sfumato.evaluation.attacks.count_equations import CountEquations, looks_of
from sfumato.evaluation.attacks.tables import AttackColumn, AttackTables
from sfumato.evaluation.attacks.vulnerable import vulnerable
from sfumato.evaluation.estimates import NORMAL_95, ONE_SIDED_95, POWER_80
from sfumato.evaluation.exchangeability import excess
from sfumato.evaluation.figures import Figure
from sfumato.progress import Progress, silent

__all__ = ["LinearReconstruction", "scores"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_KEY = "reconstruction"
_NAME = "secrets reconstructed from the release's counts"
_SOURCE = "Annamalai et al. 2023, arXiv 2301.10053; Dinur & Nissim 2003"
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
        solved: dict[str, _Solved] = {}
        together, reasons = _alike(tables, names, self, seed=seed)
        for done, alike in enumerate(together):
            progress("reconstructing secrets", done, len(together))
            solved |= _solved(alike, self, seed=seed)
        figures: dict[str, Figure] = {}
        for name in names:
            whom = {f"{_KEY}/{name}": np.ones(len(isolated), dtype=np.bool_)}
            if self.vulnerable > 0:
                whom[f"{_KEY}/{name}/vulnerable"] = isolated
            for key, chosen in whom.items():
                if name in reasons:
                    figures[key] = _none(reasons[name])
                else:
                    apart = key.endswith("/vulnerable")
                    figures[key] = _figure(
                        solved[name], tables.member, chosen, apart=apart, seed=seed
                    )
        progress("reconstructing secrets", len(together), len(together))
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
    alike, _ = _alike(tables, (column,), attack, seed=seed)
    if not alike:
        return np.full(len(tables.member), np.nan)
    return _solved(alike[0], attack, seed=seed)[column].score


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


@dataclass(frozen=True, eq=False)
class _Alike:
    """Secrets of which the same columns are known and the same released rows tell.

    Parameters
    ----------
    known
        What is known.
    told
        Which released rows tell the secrets, shape (n,).
    secrets
        Classes and values to solve for, by column.
    """

    known: tuple[AttackColumn, ...]
    told: Flags
    secrets: dict[str, tuple[Classes, list[int]]]


def _alike(
    tables: AttackTables, names: Sequence[str], attack: LinearReconstruction, *, seed: int
) -> tuple[list[_Alike], dict[str, str]]:
    """Return the secrets that one system of equations serves, and why others have none."""
    found: dict[tuple[tuple[str, ...], bytes], _Alike] = {}
    reasons: dict[str, str] = {}
    for place, name in enumerate(names):
        if name not in tables.by_name:
            reasons[name] = (
                f"column {name!r} is not in the release and the real rows in comparable form"
            )
            continue
        if not tables.n_members or not tables.n_controls:
            reasons[name] = "there are no members or no controls to compare"
            continue
        random = np.random.default_rng([seed, place])
        secret = classes_of_secret(tables.by_name[name], random, most=attack.values, bins=2)
        wanted = _wanted(secret)
        known = _known(tables, name, attack.known)
        if not wanted:
            reasons[name] = "the released rows tell one value of the secret only, or none"
        elif not known:
            reasons[name] = "nothing else is known of a person"
        else:
            key = tuple(column.name for column in known), secret.told.tobytes()
            alike = found.setdefault(key, _Alike(known, secret.told, {}))
            alike.secrets[name] = secret, wanted
    return list(found.values()), reasons


def _solved(alike: _Alike, attack: LinearReconstruction, *, seed: int) -> dict[str, _Solved]:
    """Solve for all secrets that one system of equations serves."""
    random = np.random.default_rng(seed)
    looks = [looks_of(column, random) for column in alike.known]
    shown = [
        secret.released[alike.told, None] == np.asarray(wanted)
        for secret, wanted in alike.secrets.values()
    ]
    system = CountEquations.of(
        looks,
        alike.told,
        np.concatenate(shown, axis=1),
        marginals=attack.marginals,
        ways=attack.ways,
        random=random,
    )
    together = system.solve(attack.ridge, attack.iterations)
    found, begin = {}, 0
    for name, (secret, wanted) in alike.secrets.items():
        solution = together[:, begin : begin + len(wanted)]
        begin += len(wanted)
        has = secret.real[:, None] == np.asarray(wanted)
        right = np.stack(
            [_ranked_rightly(one, own) for one, own in zip(solution.T, has.T, strict=True)]
        )
        score = np.rint(right.mean(axis=0) * _STEPS) / _STEPS
        found[name] = _Solved(score, solution, has, system.questions)
    return found


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
