"""The privacy budget of `sfumato synthesize`: from its options into the technique's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfumato.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["with_budget"]


def with_budget(
    technique: str,
    settings: Mapping[str, Any],
    *,
    epsilon: str | None,
    delta: str | None,
    neighbours: str | None,
) -> dict[str, Any]:
    """Return the settings with the budget that the options ask for.

    Parameters
    ----------
    technique
        The technique's registered name.
    settings
        Of the technique; a ``budget`` among them is kept where no option says otherwise.
    epsilon, delta, neighbours
        What was given, or None.

    Raises
    ------
    PlanError
        If the technique takes no budget, or needs one and was given none.
    """
    from sfumato.release.registry import takes_budget, technique_names
    from sfumato.release.registry import technique as registered

    given = {"epsilon": epsilon, "delta": delta, "neighbours": neighbours}
    given = {name: value for name, value in given.items() if value is not None}
    if not takes_budget(registered(technique)):
        if given:
            those = [one for one in technique_names() if takes_budget(registered(one))]
            raise PlanError(
                f"--{next(iter(given))}: the technique {technique!r} spends no privacy budget and "
                f"promises none. Those that do: {', '.join(those)}"
            )
        return dict(settings)
    said = settings.get("budget", {})
    if not isinstance(said, dict):
        raise PlanError(f"the setting budget is a table, such as {{ epsilon = 1 }} (got {said!r})")
    budget = {**said, **given}
    if not budget:
        raise PlanError(
            f"the technique {technique!r} spends a privacy budget: say --epsilon 1 --delta 1e-9, "
            "or give a budget in --settings"
        )
    return {**settings, "budget": budget}
