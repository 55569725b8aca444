"""The privacy budget in pictures and words: what each look at the data cost, and what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato.release.private_release import NOT_PRIVATE
from sfumato.release.report.chart_style import colour, configured, names_axis, percent_axis
from sfumato.release.report.page import identifier
from sfumato.release.report.svg import Chart, draw
from sfumato.release.report.wording import listing, plural, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sfumato.privacy.differential.ledger import Ledger
    from sfumato.release.study import StudyRelease

__all__ = ["BudgetAccount", "budget_accounts", "together"]

_MOST_BARS = 14


@dataclass(frozen=True)
class BudgetAccount:
    """What a version's ledger says.

    Parameters
    ----------
    name
        Of the version.
    warning
        Why nothing is promised, in capitals; empty if something is.
    promise
        The promise and its cautions, a sentence each.
    spent
        What was spent of what, as one sentence.
    chart
        The share of each kind of charge, and the spending as it grew; None if nothing was charged.
    charges
        Every charge, a sentence each.
    """

    name: str
    warning: str
    promise: tuple[str, ...]
    spent: str
    chart: Chart | None
    charges: tuple[str, ...]


def budget_accounts(releases: Sequence[StudyRelease]) -> tuple[BudgetAccount, ...]:
    """Return the account of each version that spent a budget.

    Parameters
    ----------
    releases
        In the order of the study, which gives each its colour.
    """
    from sfumato.privacy.differential.ledger import Ledger

    return tuple(
        _account(release.name, place, Ledger.from_dict(release.certificate.ledger))
        for place, release in enumerate(releases)
        if release.certificate.ledger is not None
    )


def together(releases: Sequence[StudyRelease]) -> str:
    """Return what several versions of the same people promise together; empty for one."""
    from sfumato.privacy.differential.ledger import Ledger

    accounts = [
        Ledger.from_dict(one.certificate.ledger)
        for one in releases
        if one.certificate.ledger is not None and one.certificate.promises
    ]
    if len(accounts) < 2:
        return ""
    sentence = (
        f"{plural(len(accounts), 'version')} of the same people were made, each with a budget of "
        "its own. Whoever holds them all holds the sum"
    )
    budgets = [account.budget for account in accounts]
    amounts = [budget.epsilon for budget in budgets if budget.epsilon is not None]
    if len(amounts) < len(budgets) or len({one.neighbours for one in budgets}) > 1:
        return f"{sentence}."
    delta = float(sum(budget.delta for budget in budgets))
    rest = f" and delta {delta:.3g}" if delta else ""
    return f"{sentence}: at most epsilon {float(sum(amounts)):g}{rest}."


def _account(name: str, place: int, ledger: Ledger) -> BudgetAccount:
    said = ledger.describe()
    promise = ledger.budget.describe()
    charges = [one.describe() for one in ledger.charges]
    return BudgetAccount(
        name=name,
        warning="" if ledger.secure else NOT_PRIVATE,
        promise=tuple(promise),
        spent=said[len(promise) + len(charges)],
        chart=_chart(name, place, ledger) if charges else None,
        charges=tuple(charges),
    )


def _chart(name: str, place: int, ledger: Ledger) -> Chart:
    """Draw the share of what was spent, a bar for each kind of charge."""
    shares = _by_label(ledger.records())
    words = [f"{label} {share(part)}" for label, part in shares.items()]
    return draw(
        _bars(name, place, shares),
        identifier("budget", place),
        f"What the budget of {name} was spent on",
        f"{listing(words, most=_MOST_BARS + 1)}.",
    )


def _by_label(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the share of each label, the largest first; small ones are put together."""
    shares: dict[str, float] = {}
    for record in records:
        shares[record["label"]] = shares.get(record["label"], 0.0) + record["share"]
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    if len(ordered) <= _MOST_BARS:
        return dict(ordered)
    rest = ordered[_MOST_BARS:]
    return {**dict(ordered[:_MOST_BARS]), f"{len(rest)} others": sum(part for _, part in rest)}


def _bars(name: str, place: int, shares: Mapping[str, float]) -> Any:
    import altair as alt

    records = [
        {"row": label, "version": name, "value": part, "text": share(part)}
        for label, part in shares.items()
    ]
    rows = list(shares)
    base = alt.Chart(alt.InlineData(values=records)).encode(
        y=alt.Y("row:N", sort=rows, axis=names_axis(limit=320)),
        x=alt.X("value:Q", title="share of what was spent", axis=percent_axis()),
    )
    bars = base.mark_bar(height={"band": 0.8}).encode(color=colour({name: place}))
    texts = base.mark_text(align="left", dx=4).encode(text="text:N")
    return configured((bars + texts).properties(width=360, height=20 * len(rows)))
