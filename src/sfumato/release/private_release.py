"""What a release under a privacy budget states, hides and needs to be held to.

Its promise is about everything that is handed out, so that no number may stand beside the rows that
was not paid for: how many rows the source has, or the hash of its bytes, would tell of one person
more or less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfumato.errors import PlanError
from sfumato.privacy.differential.budget import Budget
from sfumato.privacy.differential.ledger import Ledger
from sfumato.release.certificate import BY_LEDGER, Promise

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from sfumato.release.plan import Plan
    from sfumato.release.splitting import Apart
    from sfumato.table import Schema

__all__ = [
    "NOT_PRIVATE",
    "SEEDS",
    "apart",
    "budget_of",
    "budgets_of",
    "check_delta",
    "ledger_of",
    "limits_of",
    "not_promised_of",
    "promises_of",
    "rows_of",
]


SEEDS = (
    "The noise came from the operating system and cannot be drawn again: to make this release anew "
    "is to ask the people again, at the price of another budget. The seed decides only which rows "
    "are drawn from the model and who is set aside."
)

NOT_PRIVATE = (
    "NOT PRIVATE: the noise was drawn from a seed, and whoever knows the seed can subtract it. "
    "This release is for tests and must not be handed out."
)


def ledger_of(fitted: object) -> dict[str, Any] | None:
    """Return budget and charges of what was fitted, as plain values; None if it had no budget."""
    ledger = getattr(getattr(fitted, "model", fitted), "ledger", None)
    if not isinstance(ledger, dict):
        ledger = getattr(fitted, "ledger", None)
    return ledger if isinstance(ledger, dict) else None


def rows_of(fitted: object) -> int | None:
    """Return how many rows a private model would draw by itself: its noisy number; else None."""
    return max(1, int(getattr(fitted, "rows", 1))) if ledger_of(fitted) is not None else None


def budget_of(technique: object) -> Budget | None:
    """Return the budget among a technique's settings, or None."""
    budget = getattr(technique, "budget", None)
    return budget if isinstance(budget, Budget) else None


def budgets_of(plan: Plan) -> dict[str, Budget]:
    """Return the budget of each release of a plan that has one."""
    built = {one.name: budget_of(one.built(plan.seed, plan.base)) for one in plan.releases}
    return {name: budget for name, budget in built.items() if budget is not None}


def apart(plan: Plan) -> Apart:
    """Return how people must be set aside for the plan's budgets to hold for the whole source.

    Raises
    ------
    PlanError
        If two budgets need two ways.
    """
    budgets = budgets_of(plan).values()
    if not budgets:
        return "strata"
    fixed = [one.neighbours == "replace" and one.unit == "row" for one in budgets]
    if plan.control > 0 and len(set(fixed)) > 1:
        raise PlanError(
            "one budget counts a row's presence and another its values, and people cannot be set "
            "aside so that both hold: say control = 0, or make two plans"
        )
    return "place" if fixed[0] else "person"


def check_delta(technique: object, table: pl.DataFrame, schema: Schema) -> None:
    """Refuse a delta at which a mechanism may publish a person outright.

    A budget that declares how many ``people`` there are was held against that already, and no look
    at the table is needed. Otherwise this one look stays in the house: where it fails, there is no
    release.

    Raises
    ------
    PlanError
        If delta is one over the number of people or more, unless ``large_delta`` is "warn".
    """
    budget = budget_of(technique)
    if budget is None or budget.people is not None or budget.large_delta == "warn":
        return
    people = table.height
    if budget.unit == "person" and schema.person is not None:
        people = table[schema.person].n_unique()
    if budget.delta * people >= 1:
        raise PlanError(
            f"delta = {float(budget.delta):.3g} is not below one over the number of people in the "
            "table: a mechanism may then publish a person. Take one over its square, or say "
            'large_delta = "warn" in the budget'
        )


def promises_of(ledger: Mapping[str, Any]) -> tuple[Promise, ...]:
    """Return the promise that a ledger keeps: none if its noise has a seed or promises nothing."""
    account = Ledger.from_dict(ledger)
    budget = account.budget
    if not account.secure or budget.no_promise:
        return ()
    amounts = {
        name: float(value)
        for name in ("epsilon", "rho", "mu")
        if (value := getattr(budget, name)) is not None
    }
    settings = {
        **amounts,
        "delta": float(budget.delta),
        "neighbours": budget.neighbours,
        "unit": budget.unit,
        "rows_per_person": budget.rows_per_person,
    }
    return (Promise(BY_LEDGER, settings, budget.describe()[0]),)


def not_promised_of(ledger: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what must not be read into a release under a budget, a sentence each."""
    account = Ledger.from_dict(ledger)
    sentences = [] if account.secure else [NOT_PRIVATE]
    if account.budget.no_promise:
        sentences.append("Nothing is promised: the budget was opened without a promise.")
    sentences += [
        (
            "What is true of many people, and so of a person in it, can be learned, as if the "
            "person had not taken part."
        ),
        (
            "A second release of the same people adds its own spending to this one: two promises "
            "of epsilon are together one of their sum."
        ),
    ]
    if account.budget.unit == "row":
        sentences.append("Who owns several rows is protected in each of them, not in all together.")
    sentences += [
        caution for caution in account.budget.cautions if not caution.startswith("No promise")
    ]
    return tuple(sentences)


def limits_of(ledger: Mapping[str, Any], *, set_aside: bool) -> tuple[str, ...]:
    """Return what limits the statements about a release under a budget, a sentence each."""
    sentences = [
        (
            "The promise covers the data, the schema, the model and this certificate. Every other "
            "file of the folder compares with real people or counts them, and stays inside."
        ),
        (
            "Columns, types, roles, hierarchies and all settings are public. The promise counts on "
            "it that bounds and categories were declared without looking at this table."
        ),
        (
            "If this was chosen among several releases, or its settings were, by how well they did "
            "on the real table, that choice is a look at the data that no ledger knows of."
        ),
        "How many rows the source has, and its hash, are not told: they were not paid for.",
    ]
    if set_aside:
        sentences.append(
            "Some people were set aside first, each for itself, whoever else is in the table; they "
            "are not in the release."
        )
    if Ledger.from_dict(ledger).budget.pure:
        sentences.append("Each person's answers were randomized by themselves.")
    return tuple(sentences)
