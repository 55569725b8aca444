"""Membership by shadow models: the technique is rerun with and without each person.

Where the technique of a release is ours, its strongest membership attack is affordable: make many
shadow releases from random halves of the real rows, see how the release around a person looks when
she is in and when she is not, and ask which of the two the real release looks like. The answer is a
likelihood ratio for each person.

Halves are drawn from members and controls alike and in pairs that complete each other, so that each
person is in exactly half of the shadows; the ratio so depends on the person, the release and all
real people, never on labels, and exchanging labels gives exact tests.

References
----------
N. Carlini et al., "Membership inference attacks from first principles" (IEEE S&P 2022), sections IV
and V (likelihood ratio; few shadows with a variance shared by all; report true positives at low
false positives); T. Stadler, B. Oprisanu, C. Troncoso, "Synthetic data - anonymisation groundhog
day" (USENIX Security 2022), section 4, and F. Houssiau et al., "TAPAS", arXiv 2211.06550 (2022),
for shadow releases of synthetic data; B. Efron, C. Morris, JASA 70 (1975), for shrinking many
means; F. Guepin et al., "Synthetic is all you need" (2023), for shadows of public rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from sfumato.errors import SfumatoError
from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.neighbourhoods import Surroundings
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.attacks.vulnerable import vulnerable
from sfumato.evaluation.estimates import NORMAL_95
from sfumato.evaluation.exchangeability import clopper_pearson, top_excess
from sfumato.evaluation.figures import Figure
from sfumato.progress import Progress, silent

__all__ = ["ShadowModels", "likelihood_ratios", "scores"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_KEY = "membership/shadow_models"
_SOURCE = "Carlini et al. 2022, sections IV and V; Stadler et al. 2022, section 4"
_FALSE_POSITIVES = {"0.1": 0.001, "1": 0.01}
_FEWEST = 4
_CELLS = 2_000_000_000  # that are compared by default
_ROWS = (1_000, 10_000)  # at the least and at the most
_PRIOR_ROWS = 8.0  # shadows that the variance shared by all counts as, beside a person's own
_SHRUNK = 0.1  # share of independence in the correlation of the statistics
_DECIMALS = 6
_PERSONAL = "What an attacker who cannot rerun the technique on people like these would find."


class ShadowModels(Attack):
    """Tell members by rerunning the release's technique with and without them.

    Parameters
    ----------
    shadows
        Shadow releases, an even number from 4: 16 are quick, 64 are better.
    targets
        Random members, and as many random controls, that are attacked; at least 1.
    vulnerable
        Share of the real people, the most isolated, that are attacked beside them; 0 for none.
    rows
        Most released rows that are looked at, drawn at random, at least 1. By default 10,000, and
        of wide tables as few as keep all comparisons below 2,000 million cells, at least 1,000.

    Examples
    --------
    >>> ShadowModels(shadows=16).targets
    250
    """

    shadows: int = Field(default=32, ge=4, le=1024, multiple_of=2)
    targets: int = Field(default=250, ge=1)
    vulnerable: float = Field(default=0.01, ge=0, le=1)
    rows: int | None = Field(default=None, ge=1)

    knowledge: ClassVar[str] = (
        "Knows whole records, the technique and its settings, and people like those in the "
        "release; wants to know who is in it."
    )

    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Attack members and controls; see :class:`Attack`."""
        because = _obstacle(tables)
        groups: dict[str, Integers] = {}
        if not because:
            random = np.random.default_rng(seed)
            groups[_KEY] = np.concatenate(
                [
                    _some(np.flatnonzero(who), self.targets, random)
                    for who in (tables.member, ~tables.member)
                ]
            )
            if self.vulnerable > 0:
                groups[f"{_KEY}/vulnerable"] = vulnerable(tables, self.vulnerable)
        else:
            groups[_KEY] = np.zeros(0, dtype=np.int64)
        targets = np.unique(np.concatenate(list(groups.values())))
        seen = None
        if not because:
            try:
                seen = _seen(tables, targets, self, seed=seed, progress=progress)
            except SfumatoError as error:
                because = f"the technique could not be rerun on half of the people: {error}"
        figures: dict[str, Figure] = {}
        for key, rows in groups.items():
            # each group by itself, so that no label decides who is compared to whom
            found = np.zeros(0) if seen is None else _ratios(*seen.of(targets, rows))
            member = tables.member[rows]
            why = because
            if not why and (member.all() or not member.any()):
                why = "there are no members or no controls among the most isolated people"
            figures |= _figures(key, found, member, self.shadows, why, seed=seed)
        return figures


def scores(
    tables: AttackTables,
    *,
    seed: int,
    attack: ShadowModels | None = None,
    rows: Integers | None = None,
    progress: Progress = silent,
) -> Floats:
    """Return the logarithm of each person's likelihood ratio: what the test permutes.

    Parameters
    ----------
    tables
        The release, its members and its controls; ``remake`` must be known.
    seed
        Of the halves and of the shadow releases.
    attack
        Its settings; the default ones if None. ``targets`` and ``vulnerable`` play no part.
    rows
        Row numbers of the people attacked; all by default.
    progress
        Told after each shadow release.

    Returns
    -------
    ndarray
        Higher for one likelier in, shape (people,); nan where it cannot be told.
    """
    attack = ShadowModels() if attack is None else attack
    rows = np.arange(len(tables.member)) if rows is None else rows
    if _obstacle(tables):
        return np.full(len(rows), np.nan)
    return likelihood_ratios(tables, rows, attack, seed=seed, progress=progress)


def likelihood_ratios(
    tables: AttackTables,
    targets: Integers,
    attack: ShadowModels,
    *,
    seed: int,
    progress: Progress = silent,
) -> Floats:
    """Rerun the technique and return the logarithm of each target's likelihood ratio.

    Parameters
    ----------
    tables
        With ``remake``.
    targets
        Row numbers of the people, shape (people,).
    attack
        Its settings.
    seed
        Of every random step.
    progress
        Told after each shadow release.

    Raises
    ------
    SfumatoError
        If the technique refuses half of the people.
    """
    seen = _seen(tables, targets, attack, seed=seed, progress=progress)
    return _ratios(seen.shadows, seen.inside, seen.real)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Statistics about people, in shadow releases and in the real one: see :func:`_ratios`."""

    shadows: Floats
    inside: Flags
    real: Floats

    def of(self, targets: Integers, rows: Integers) -> tuple[Floats, Flags, Floats]:
        place = np.searchsorted(targets, rows)
        return self.shadows[:, place], self.inside[:, place], self.real[place]


def _seen(
    tables: AttackTables,
    targets: Integers,
    attack: ShadowModels,
    *,
    seed: int,
    progress: Progress,
) -> _Seen:
    remake, people = tables.remake, tables.source_frame
    if remake is None or people is None:
        raise ValueError("the technique must be known: check `tables.remake`")
    random = np.random.default_rng([seed, 1])
    total = len(tables.member)
    # a technique that recodes its rows releases no more of a half than the half has
    most = tables.rows if tables.synthetic else max(1, total // 2)
    cells = attack.shadows * max(len(targets), 1) * max(len(tables.columns), 1)
    looked_at = attack.rows or max(_ROWS[0], min(_ROWS[1], _CELLS // cells))
    rows = min(looked_at, tables.rows, most)
    surroundings = Surroundings(tables, targets)
    inside = np.zeros((attack.shadows, total), dtype=np.bool_)
    for pair in range(0, attack.shadows, 2):
        half = random.permutation(total)[: total // 2]
        inside[pair, half] = True
        inside[pair + 1] = ~inside[pair]
    seen = []
    for shadow, chosen in enumerate(inside):
        progress("making shadow releases", shadow, attack.shadows)
        made = remake(people.filter(pl.Series(chosen)), tables.rows, seed + shadow)
        seen.append(surroundings.of(_sample(made, rows, random)))
    real = surroundings.of(_sample(tables.released_frame, rows, random))
    progress("making shadow releases", attack.shadows, attack.shadows)
    return _Seen(np.stack(seen), inside[:, targets], real)


def _ratios(seen: Floats, inside: Flags, real: Floats) -> Floats:
    """Return log likelihood ratios of normal distributions that share what few shadows cannot tell.

    Parameters
    ----------
    seen
        Statistics in each shadow, shape (shadows, people, statistics).
    inside
        Whether the person was in, shape (shadows, people).
    real
        Statistics in the real release, shape (people, statistics).
    """
    shadows, people, _ = seen.shape
    weight = inside[:, :, None].astype(np.float64)
    n_in = weight.sum(axis=0)
    n_out = shadows - n_in
    with_her = (seen * weight).sum(axis=0) / np.maximum(n_in, 1)
    without = (seen * (1 - weight)).sum(axis=0) / np.maximum(n_out, 1)
    residual = seen - np.where(inside[:, :, None], with_her, without)
    squares = np.square(residual).sum(axis=0)
    pooled = squares.sum(axis=0) / max(people * (shadows - 2), 1)
    varies = pooled > 1e-12 * np.maximum(1.0, np.square(seen).mean(axis=(0, 1)))
    if not varies.any():
        return np.zeros(people)
    spread = np.sqrt((squares + _PRIOR_ROWS * pooled) / (shadows - 2 + _PRIOR_ROWS))[:, varies]
    shift = (with_her - without)[:, varies] / spread
    noise = (1 / np.maximum(n_in, 1) + 1 / np.maximum(n_out, 1))[:, :1]
    # each person's shift, pulled towards everybody's as far as it is noise
    common = shift.mean(axis=0)
    between = np.maximum(np.square(shift - common).mean(axis=0) - noise.mean(), 0.0)
    shift = common + between / (between + noise) * (shift - common)
    middle = (real[:, varies] - (with_her + without)[:, varies] / 2) / spread
    # the real release has other rows than a half: what moves for everybody tells of nobody
    middle -= np.median(middle, axis=0)
    scaled = residual[:, :, varies] / spread
    together = np.einsum("spi,spj->ij", scaled, scaled)
    size = np.sqrt(np.diag(together))
    correlation = (1 - _SHRUNK) * together / np.outer(size, size)
    correlation[np.diag_indices_from(correlation)] = 1.0
    ratio: Floats = (shift * np.linalg.solve(correlation, middle.T).T).sum(axis=1)
    return ratio.round(_DECIMALS)


def _sample(released: pl.DataFrame, rows: int, random: np.random.Generator) -> pl.DataFrame:
    if released.height <= rows:
        return released
    return released[np.sort(random.choice(released.height, rows, replace=False))]


def _some(rows: Integers, most: int, random: np.random.Generator) -> Integers:
    if len(rows) <= most:
        return rows
    return np.sort(random.choice(rows, most, replace=False))


def _obstacle(tables: AttackTables) -> str:
    if tables.remake is None:
        return "the technique that made the release is not known, so it cannot be rerun"
    if not tables.n_members or not tables.n_controls:
        return "there are no members or no controls to compare"
    if len(tables.member) < _FEWEST or not tables.rows:
        return "there are too few people or released rows"
    return ""


def _figures(
    key: str, ratios: Floats, member: Flags, shadows: int, because: str, *, seed: int
) -> dict[str, Figure]:
    whom = "the most isolated people" if key.endswith("vulnerable") else "random people"
    if because:
        names = {
            key: "members among those told likeliest by shadow models",
            f"{key}/auc": "members told from controls by shadow models (AUC)",
        } | {
            f"{key}/tpr_at_{name}_percent": f"true positives at {share:.1%} false positives"
            for name, share in _FALSE_POSITIVES.items()
        }
        return {one: _none(name, because) for one, name in names.items()}
    ours, others = ratios[member], ratios[~member]
    top = top_excess(ours, others, seed=seed)
    figures = {
        key: Figure(
            name="members among those told likeliest by shadow models",
            value=top.members / top.depth,
            unit="share",
            direction="closer to the baseline is better",
            meaning=(
                f"{shadows} releases were made anew from halves of the real people; of {whom} "
                f"({len(ours):,} members, {len(others):,} controls) the {top.depth:,} whom the "
                f"release looks most as if they were in it hold {top.members:,} members; "
                f"{top.expected:,.1f} are expected by chance. So many were looked at as show the "
                "strongest excess, and the test allows for that choice."
            ),
            source=_SOURCE,
            baseline=len(ours) / len(member),
            p_value=top.p_value,
            detectable=top.detectable,
            attacks=len(member),
            not_shown=_PERSONAL,
        ),
        f"{key}/auc": _auc(ours, others, whom),
    }
    for name, share in _FALSE_POSITIVES.items():
        figures[f"{key}/tpr_at_{name}_percent"] = _true_positives(ours, others, share, whom)
    return figures


def _auc(ours: Floats, others: Floats, whom: str) -> Figure:
    n, m = len(ours), len(others)
    ordered, mine = np.sort(others), np.sort(ours)
    above = np.searchsorted(ordered, ours, "left") + np.searchsorted(ordered, ours, "right")
    below = np.searchsorted(mine, others, "left") + np.searchsorted(mine, others, "right")
    places, others_places = above / (2 * m), below / (2 * n)
    value = float(places.mean())
    # a half person more or less, so that a perfect separation is no certainty
    spread = np.sqrt(places.var() / n + others_places.var() / m + 0.25 / min(n, m) ** 2)
    reach = NORMAL_95 * float(spread)
    return Figure(
        name="members told from controls by shadow models (AUC)",
        value=value,
        unit="share",
        direction="closer to the baseline is better",
        meaning=(
            f"Of a member and a control among {whom}, so often looks the release more as if the "
            "member was in it; one half is guessing."
        ),
        source=f"{_SOURCE}; interval: DeLong et al. 1988",
        interval=(max(0.0, value - reach), min(1.0, value + reach)),
        interval_method="DeLong, normal, 95 %",
        baseline=0.5,
        attacks=n + m,
        not_shown="The few who may be found for certain while most are not.",
    )


def _true_positives(ours: Floats, others: Floats, share: float, whom: str) -> Figure:
    name = f"true positives at {share:.1%} false positives"
    allowed = int(share * len(others))
    if not allowed:
        return _none(
            name,
            f"{share:.1%} of {len(others):,} controls is less than one; attack at least "
            f"{round(1 / share):,} controls",
        )
    threshold = np.sort(others)[::-1][allowed]
    found = int((ours > threshold).sum())
    alarms = int((others > threshold).sum())
    return Figure(
        name=name,
        value=found / len(ours),
        unit="share",
        direction="closer to the baseline is better",
        meaning=(
            f"{found:,} of {len(ours):,} members among {whom} are said to be in the release, with "
            f"the threshold at which {alarms:,} of {len(others):,} controls are."
        ),
        source=_SOURCE,
        interval=clopper_pearson(found, len(ours)),
        interval_method="Clopper-Pearson, 95 %, at this threshold",
        baseline=share,
        control=alarms / len(others),
        attacks=len(ours) + len(others),
        not_shown=_PERSONAL,
    )


def _none(name: str, because: str) -> Figure:
    return Figure.not_computed(
        name, because, unit="share", direction="closer to the baseline is better", source=_SOURCE
    )
