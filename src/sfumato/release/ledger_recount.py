"""Whether a certificate's ledger bears out what is promised.

The charges are added up by the code of the ledger itself, since there is one right sum; what each
cost must be is worked out here from the noise that is stated.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sfumato.errors import BudgetExceeded, PlanError, SfumatoError
from sfumato.privacy.differential.budget import Budget
from sfumato.privacy.differential.ledger import Ledger
from sfumato.release.certificate import is_ledger_promise
from sfumato.release.private_release import promises_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sfumato.release.certificate import Certificate

__all__ = ["ledger_finding"]

# mechanisms whose cost is worked out from their facts, and the kind that their cost must be of
_KINDS = {
    "discrete Gaussian": "gaussian",
    "sampled discrete Gaussian": "sampled gaussian",
    "discrete Laplace": "pure",
    "geometric": "pure",
}


def ledger_finding(certificate: Certificate) -> tuple[bool, str] | None:
    """Recompute what a certificate's ledger promises.

    Returns
    -------
    tuple of bool and str, or None
        Whether the promise is borne out, and why; None if there is neither ledger nor promise.
    """
    stated = tuple(
        one for one in certificate.promises if is_ledger_promise({"kind": one.kind, **one.settings})
    )
    budgets = [
        step.settings["budget"]
        for step in certificate.steps
        if isinstance(step.settings.get("budget"), dict)
    ]
    if certificate.ledger is None:
        if stated:
            return False, "differential privacy is promised, and no ledger bears it out"
        if budgets:
            return False, "a step has a budget, and there is no ledger of what was spent"
        return None
    try:
        account = Ledger.from_dict(certificate.ledger)
        promised = promises_of(certificate.ledger)
        mispriced = _mispriced(certificate.ledger)
        asked = [Budget.from_dict(_without_nothing(values)) for values in budgets]
    except (BudgetExceeded, PlanError) as error:
        return False, str(error)
    except (SfumatoError, KeyError, TypeError, ValueError, AttributeError):
        return False, "the ledger is malformed"
    if mispriced:
        return False, f"{mispriced[0]!r} costs more than the ledger says, by its own noise"
    if any(_plain(one) != _plain(account.budget) for one in asked) or not asked:
        return False, "the ledger's budget is not the one that the release was made with"
    if not account.budget.no_promise and not account.charges:
        return False, "nothing was charged, so that no look at the data was paid for"
    if stated != promised:
        return False, (
            "what is promised is not what the ledger bears out"
            if promised
            else "the noise has a seed, or the budget no promise, so that nothing can be promised"
        )
    spent = account.spent
    if not promised:
        return True, "no promise is made, and the ledger bears out none"
    return True, (
        f"{len(account.charges):,} charges, summed anew: {spent.amount:.6g} of {spent.measure} = "
        f"{spent.limit:g}"
    )


def _plain(budget: Budget) -> Budget:
    """Return the promise of a budget, whatever way of adding up was chosen."""
    return budget.model_copy(update={"accounting": "best"})


def _without_nothing(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _mispriced(ledger: Mapping[str, Any]) -> list[str]:
    """Return the labels of charges whose cost is below what their stated noise costs."""
    found = []
    for charge in ledger["charges"]:
        facts, cost = charge["facts"], charge["cost"]
        kind = _KINDS.get(charge["mechanism"])
        if kind is None:
            continue
        moved = Fraction(facts["sensitivity"].partition(" ")[0])
        scale = Fraction(facts["scale"].partition(" ")[0])
        wrong = cost["kind"] != kind
        if kind == "sampled gaussian":
            wrong |= Fraction(cost["rate"]) < Fraction(facts["rate"])
        if kind in ("gaussian", "sampled gaussian"):
            squared, variance = (
                Fraction(cost[name]) for name in ("sensitivity_squared", "sigma_squared")
            )
            wrong |= squared / variance < moved / scale or squared < moved
        else:
            wrong |= Fraction(cost["epsilon"]) < moved / scale
        if wrong:
            found.append(str(charge["label"]))
    return found
