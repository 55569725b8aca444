"""Membership by distance: whom the release lies nearer to than other people do.

A row near to a person proves nothing where people are crowded. So the distance to the nearest
released row is weighed against the distance to the nearest other real person: who has the release
much nearer than her peers was probably a member. The same by densities instead of single distances:
where the release is denser than the population, it was learned from.

References
----------
B. van Breugel, H. Sun, Z. Qian, M. van der Schaar, "Membership inference attacks against synthetic
data through overfitting detection" (DOMIAS), AISTATS 2023, section 4, for the ratio of densities;
N. Carlini et al., "Membership inference attacks from first principles", IEEE S&P 2022, section 3,
for true positives at few false ones; Z. Yao et al., "The DCR delusion", arXiv 2505.01524, for what
an uncalibrated distance cannot see; E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Biometrics 44
(1988), for the interval of the area.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.member_figures import some_people
from sfumato.evaluation.attacks.nearest import Neighbours, nearest_other, nearest_released
from sfumato.evaluation.attacks.true_positives import true_positives_figure
from sfumato.evaluation.estimates import NORMAL_95, area_under_roc
from sfumato.evaluation.exchangeability import clopper_pearson, top_excess
from sfumato.evaluation.figures import Direction, Figure
from sfumato.progress import Progress, silent

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackTables

__all__ = ["MembershipByDistance", "scores"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
By = Literal["distance", "density"]

_SOURCES = {
    "distance": "Yao et al. 2025, arXiv 2505.01524; Gower 1971",
    "density": "van Breugel et al. 2023 (DOMIAS), section 4",
}
_TECHNIQUE_UNKNOWN = "It does not show the success of attackers who know how the release was made."
_SMOOTHING = 0.02
_LOWER: Direction = "lower is better"


class MembershipByDistance(Attack):
    """Tell members by how much nearer the release is to them than other people are.

    Parameters
    ----------
    neighbours
        How many nearest rows the densities are taken from, at least 2; 0 leaves them out.
    false_positives
        Shares of the control people who may be accused wrongly, each above 0 and below 1.
    vulnerable
        Share of the people, those who stand out most, who are also attacked by themselves, 0 to 1;
        0 leaves them out. They are chosen without looking at who is a member, and attacked beside
        those who are drawn, at most half as many.
    most
        Most people who are attacked, drawn at random, at least 2; fewer of long and wide tables.
        None for all people, however long it takes.
    """

    knowledge: ClassVar[str] = (
        "Somebody knows the whole record of a person, other people like her, and the release, and "
        "wants to know whether she was among those it was made from."
    )

    neighbours: int = Field(default=5, ge=0)
    false_positives: tuple[float, ...] = (0.001, 0.01)
    vulnerable: float = Field(default=0.05, ge=0, le=1)
    most: int | None = Field(default=20_000, ge=2)

    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Attack every person; the figures are ``membership/<distance or density>[/vulnerable]/…``.

        ``top`` tests whether members are among the highest scores, ``tpr_at_<x>_percent`` are true
        positive rates, ``auc`` is the area under the curve.
        """
        from sfumato.evaluation.attacks.vulnerable import vulnerable

        drawn = rows = some_people(tables, self.most, seed)
        ways: list[By] = ["distance", "density"] if self.neighbours > 1 else ["distance"]
        because = ""
        if not tables.rows:
            because = "the release has no rows"
        elif not tables.n_members or not tables.n_controls:
            because = "there are no members" if tables.n_controls else "there are no control people"
        chosen = np.zeros(0, np.int64)
        if self.vulnerable and not because:
            standing_out = vulnerable(tables, self.vulnerable)
            if len(drawn) < len(tables.member):
                standing_out = _some(standing_out, max(1, len(drawn) // 2), seed)
            rows = np.union1d(drawn, standing_out)
            chosen = np.searchsorted(rows, standing_out)
        found: dict[str, Figure] = {}
        progress("measuring distances to people", 0, 1)
        distances = None if because else _distances(tables, max(1, self.neighbours), rows)
        progress("measuring distances to people", 1, 1)
        for by in ways:
            score = np.zeros(0)
            if distances is not None:
                score = _calibrated(*distances, self.neighbours if by == "density" else 1)
            attacked = np.searchsorted(rows, drawn[: len(score)])
            groups = {f"membership/{by}": (attacked, "")}
            if self.vulnerable:
                groups[f"membership/{by}/vulnerable"] = (
                    chosen,
                    f", of the {self.vulnerable:.0%} of people who stand out most",
                )
            for prefix, (who, whose) in groups.items():
                member = tables.member[rows[who]]
                lacking = because or _lacking(member)
                figures = _figures(score[who], member, by, whose, self, lacking, seed)
                found |= {f"{prefix}/{key}": figure for key, figure in figures.items()}
        return found


def scores(
    tables: AttackTables,
    by: By = "distance",
    *,
    neighbours: int = 5,
    rows: Integers | None = None,
) -> Floats:
    """Return how likely each person is a member, higher for likelier, shape (people,).

    It is log((r + c) / (d + c)), where d is the distance to the nearest released row, r that to the
    nearest other real row, member or control, and c a fiftieth of the median of r. By density, the
    distances are the means over several nearest rows.

    Parameters
    ----------
    tables
        The release and at least two real rows.
    by
        "distance" or "density".
    neighbours
        Rows that a density is taken from.
    rows
        Numbers of the real rows that are attacked; all by default.
    """
    k = neighbours if by == "density" else 1
    return _calibrated(*_distances(tables, k, rows), k)


def _distances(
    tables: AttackTables, k: int, rows: Integers | None
) -> tuple[Neighbours, Neighbours]:
    """Return the k nearest released rows and the k nearest other people of each person."""
    return (
        nearest_released(tables.columns, k, rows=rows),
        nearest_other(tables.columns, k, rows=rows),
    )


def _calibrated(near: Neighbours, peers: Neighbours, k: int) -> Floats:
    released, others = near.mean(k), peers.mean(k)
    both = np.isfinite(released) & np.isfinite(others)
    if not both.any():
        return np.zeros(len(released))
    smooth = max(1.0, _SMOOTHING * float(np.median(others[both])))
    return np.where(both, np.log((others + smooth) / (released + smooth)), 0.0)


def _some(rows: Integers, most: int, seed: int) -> Integers:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _lacking(member: Flags) -> str:
    if not member.any():
        return "there is no member among these people"
    return "" if not member.all() else "there is no control person among these people"


def _figures(
    score: Floats,
    member: Flags,
    by: By,
    whose: str,
    attack: MembershipByDistance,
    lacking: str,
    seed: int,
) -> dict[str, Figure]:
    """Return the figures of one group of people."""
    name = f"membership by {by}{whose}"
    found: dict[str, Figure] = {}
    if lacking:
        found["top"] = _none(f"{name}: members among the highest scores", lacking, by)
    else:
        found["top"] = _top(score, member, by, name, seed)
    for rate in attack.false_positives:
        found[f"tpr_at_{100 * rate:g}_percent"] = true_positives_figure(
            score,
            member,
            rate,
            attack=name,
            source=_SOURCES[by],
            not_shown=_TECHNIQUE_UNKNOWN,
            lacking=lacking,
        )
    title = f"{name}: area under the curve"
    found["auc"] = _none(title, lacking, by) if lacking else _area(score, member, by, title)
    return found


def _none(name: str, because: str, by: By) -> Figure:
    return Figure.not_computed(name, because, unit="share", direction=_LOWER, source=_SOURCES[by])


def _top(score: Floats, member: Flags, by: By, name: str, seed: int) -> Figure:
    found = top_excess(score[member], score[~member], seed=seed)
    return Figure(
        name=f"{name}: members among the highest scores",
        value=found.members / found.depth,
        unit="share",
        direction=_LOWER,
        meaning=(
            f"Of the {found.depth:,} people to whom the release is nearer than other people are "
            f"by the most, {found.members:,} are members; by chance it would be "
            f"{found.expected:,.1f}. The depth is the one where most are found beyond chance, and "
            "the test allows for this choice."
        ),
        source=_SOURCES[by],
        interval=clopper_pearson(found.members, found.depth),
        interval_method="Clopper-Pearson, 95 %; p by exchanging members and controls, all depths",
        baseline=found.expected / found.depth,
        p_value=found.p_value,
        detectable=found.detectable,
        attacks=len(score),
        not_shown="It does not show people of whom the release holds only a part, or changed much.",
    )


def _area(score: Floats, member: Flags, by: By, name: str) -> Figure:
    area = area_under_roc(member, score)
    if area is None:  # pragma: no cover (asked for with both kinds only)
        return _none(name, _lacking(member), by)
    reach = NORMAL_95 * area.standard_error
    return Figure(
        name=name,
        value=area.value,
        unit="share",
        direction="closer to the baseline is better",
        meaning=(
            "How often a member has a higher score than a control person, both drawn at random; "
            "one half is chance."
        ),
        source=_SOURCES[by],
        interval=(
            max(0.0, area.value - reach),
            min(1.0, area.value + reach),
        ),
        interval_method="DeLong, 95 %",
        baseline=0.5,
        attacks=len(score),
        not_shown="An average over all people: a few who are given away do not move it.",
    )
