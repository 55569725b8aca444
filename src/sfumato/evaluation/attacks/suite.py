"""All attacks on one release, and the error that their figures make together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from sfumato.errors import PlanError, did_you_mean
from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.error_shares import weights_of
from sfumato.evaluation.estimates import NORMAL_95, NOTICED
from sfumato.evaluation.exchangeability import holm
from sfumato.evaluation.figures import Figure
from sfumato.progress import Progress, silent
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.evaluation.attacks.tables import AttackTables

__all__ = ["GROUP", "AttackPlan", "adjusted", "attack_kind", "attack_names", "run_attacks"]

GROUP = "sfumato.attacks"
# one-sided 5 % with power 0.8, as a share of the width of a two-sided 95 % interval
_OF_WIDTH = NOTICED / (2 * NORMAL_95)


class AttackPlan(Settings):
    """Which attacks are tried, and on how many people.

    Parameters
    ----------
    only
        Names of attacks; None is all that are registered.
    most
        Most members and most controls that are attacked, drawn at random; 0 attacks nobody.
    settings
        Settings of single attacks by name, as in a plan file.
    """

    only: tuple[str, ...] | None = None
    most: int = Field(default=50_000, ge=0)
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def attacks(self) -> dict[str, Attack]:
        """Return the attacks by name, with their settings.

        Raises
        ------
        PlanError
            If there is no such attack, or a setting is none of its.
        """
        names = attack_names() if self.only is None else self.only
        for name in self.settings:
            if name not in names:
                hint = did_you_mean(name, names)
                raise PlanError(f"attacks: {name!r} has settings and is not run.{hint}")
        return {name: attack_kind(name).of(self.settings.get(name, {})) for name in names}


def attack_names() -> tuple[str, ...]:
    """Return the names of all registered attacks, sorted."""
    return tuple(_registered())


def attack_kind(name: str) -> type[Attack]:
    """Return a registered attack.

    Raises
    ------
    PlanError
        If there is none of that name, or what is registered is no attack.
    """
    known = _registered()
    if name not in known:
        listed = ", ".join(known)
        raise PlanError(f"there is no attack {name!r}.{did_you_mean(name, known)} Known: {listed}")
    point = known[name]
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise PlanError(
            f"the attack {name!r} is registered as {point.value}, but does not load: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Attack)):
        raise PlanError(f"the attack {name!r} is registered as {point.value}, which is no Attack")
    return found


def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda p: p.name)}


def run_attacks(
    tables: AttackTables, plan: AttackPlan, *, seed: int, progress: Progress = silent
) -> dict[str, Figure]:
    """Try every attack of the plan on a release.

    Parameters
    ----------
    tables
        The release, its members and its controls.
    plan
        Which attacks.
    seed
        Of every random step; each attack has its own that follows from it and from its name.
    progress
        Told how far the work is.

    Returns
    -------
    dict of Figure
        Without the error of all together, which :func:`adjusted` fills in once all figures of an
        evaluation are known.
    """
    attacks = plan.attacks()
    found: dict[str, Figure] = {}
    for place, (name, attack) in enumerate(attacks.items()):
        progress("attacking", place, len(attacks))
        own = np.random.SeedSequence([seed, *name.encode()]).generate_state(1)
        found |= attack.run(tables, seed=int(own[0]), progress=progress)
    progress("attacking", len(attacks), len(attacks))
    return found


def adjusted(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """Fill in each tested figure's p-value for all of them together (Holm).

    The error is shared out by
    :data:`~sfumato.evaluation.attacks.error_shares.ERROR_SHARES`, whatever is found.

    Parameters
    ----------
    figures
        All risk figures of one evaluation by key.
    """
    tested = {key: one.p_value for key, one in figures.items() if one.p_value is not None}
    together = holm(tested, weights_of(tested))
    return {
        key: replace(one, adjusted=together[key], detectable=_noticed(one))
        if key in together
        else one
        for key, one in figures.items()
    }


def _noticed(figure: Figure) -> float | None:
    """Return what a figure says it would have noticed, or what the width of its interval says."""
    noticed = figure.detectable
    if noticed is None and figure.interval is not None:
        low, high = figure.interval
        noticed = (high - low) * _OF_WIDTH
    if noticed is not None and figure.unit == "share" and noticed > 1:
        return None  # no excess there can be
    return noticed
