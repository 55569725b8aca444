"""Preparing the source for a release, and what that costs.

Where a release promises nothing, the steps' questions are answered exactly. Where it spends a
privacy budget, each question is answered by a mechanism, charged to that budget before a cell is
looked at, and the technique gets what is left; a question without a price is refused. The two
accounts are then written as one.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from sfumato.errors import PlanError
from sfumato.privacy.differential import conversions
from sfumato.privacy.differential.choices import ReportNoisyMax
from sfumato.privacy.differential.ledger import Ledger
from sfumato.privacy.differential.noise import DiscreteGaussian, DiscreteLaplace
from sfumato.privacy.differential.quantiles import NoisyQuantile
from sfumato.privacy.differential.random_words import RandomWords
from sfumato.privacy.differential.rationals import rational, rounded_down
from sfumato.release.private_release import budget_of, ledger_of
from sfumato.synthesis.private.contribution import bounded, check_unit
from sfumato.table.preparation.category_encoders import texts
from sfumato.table.preparation.step import text_of
from sfumato.table.preparation.table_preparation import TablePreparation, exact_answer, fit_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sfumato.privacy.differential.budget import Budget, Share
    from sfumato.settings import Settings
    from sfumato.synthesis.generator import Generator
    from sfumato.table import Schema
    from sfumato.table.preparation.step import Answer, PreparationStep, Question

__all__ = ["fit_preparation", "preparation_problems", "rest_of", "with_preparation_charged"]

_MOST_POINTS = 100_000  # of a grid on which numbers are summed
_ROUNDING = Fraction(1, 10**9)  # by which the rest of a budget is made smaller


def preparation_problems(
    release: str, technique: object, steps: Sequence[PreparationStep], schema: Schema
) -> list[tuple[int, str]]:
    """Return what a release's promise does not allow, as (place of the step, sentence).

    Parameters
    ----------
    release
        The release's name.
    technique
        Its technique with its settings.
    steps, schema
        Of the plan.
    """
    budget = budget_of(technique)
    if budget is None:
        return []
    found = []
    for place, step in enumerate(steps):
        for sentence in (
            _price_problem(release, technique, step, budget),
            _unit_problem(step, budget, schema),
            "" if step.row_by_row else _duplicates_problem(step, budget, schema),
        ):
            found += [(place, sentence)] if sentence else []
    if sum((step.price or Fraction(0) for step in steps), Fraction(0)) >= 1:
        found.append(
            (0, f"the shares of the steps leave nothing of the budget of the release {release!r}")
        )
    return found


def _price_problem(release: str, technique: object, step: PreparationStep, budget: Budget) -> str:
    """Say why a step's questions are not paid for; nothing if they are, or if it asks none."""
    if not step.questions:
        return ""
    where = f"the step {step.name!r} on {step.questions[0].column!r}"
    if _is_local(technique):
        return (
            f"{where} needs someone who sees all rows, and the release {release!r} is for data "
            f"that nobody collects: {step.mend}; or take the step out"
        )
    if step.price is None:
        return (
            f"{where} looks at the data, and the budget of the release {release!r} was not asked "
            f"for it: {step.mend}; or pay for it, with share (a part of the budget, such as 0.02) "
            "and what the column can hold (bounds or values)"
        )
    if budget.no_promise:
        return f"{where}: a budget without a promise has no shares to pay with: {step.mend}"
    return ""


def _unit_problem(step: PreparationStep, budget: Budget, schema: Schema) -> str:
    """Say why a step could make one person of two; nothing if it cannot."""
    if budget.unit != "person" or schema.person is None or not step.row_by_row:
        return ""
    if step.touches is not None and schema.person not in step.touches:
        return ""
    return (
        f"the step {step.name!r} may change {schema.person!r}, by which the budget knows a person: "
        "name other columns"
    )


def _duplicates_problem(step: PreparationStep, budget: Budget, schema: Schema) -> str:
    """Say why leaving out duplicates would move more than one unit's rows; nothing if it does not.

    A row more changes the set of distinct rows by itself at most; a person's rows change only what
    is kept of that person's. But among rows that are equal in some columns the newcomer may take
    the place of another one, and where rows are replaced, their number would change.
    """
    columns = getattr(step, "columns", ())
    where = f"the step {step.name!r}"
    if budget.unit == "person":
        if not columns or schema.person in columns:
            return ""
        return f"{where} needs the person column among its columns, {schema.person!r}"
    if columns:
        return (
            f"{where}: a row more may take the place of another person's, which changes two rows "
            "where the promise counts one: leave out columns, so that rows equal throughout are "
            "one, or take the step out"
        )
    if budget.neighbours == "replace":
        return (
            f"{where}: the promise takes the number of rows as known, and leaving out "
            'duplicates changes it: say neighbours = "add_remove" in the budget, or take it out'
        )
    return ""


def _is_local(technique: object) -> bool:
    from sfumato.synthesis.private import LocalLatentFactor

    return isinstance(technique, LocalLatentFactor)


def fit_preparation(
    table: pl.DataFrame,
    schema: Schema,
    steps: Sequence[PreparationStep],
    technique: object,
) -> tuple[TablePreparation, dict[str, Any] | None]:
    """Answer what the steps ask of the rows that a release is made of.

    Parameters
    ----------
    table, schema
        Those rows, before any step, and their schema.
    steps
        Of the plan.
    technique
        The release's technique: its budget pays.

    Returns
    -------
    tuple of TablePreparation and dict or None
        The fitted steps, and the ledger of what they cost; None if nothing was charged.

    Raises
    ------
    PlanError
        If a question has no price, or the budget protects rows where the schema names persons.
    SchemaError
        If a step does not fit the table.
    """
    budget = budget_of(technique)
    if budget is None:
        return fit_steps(table, steps, exact_answer), None
    found = preparation_problems("release", technique, steps, schema)
    if found:
        raise PlanError("; ".join(f"prepare: {sentence}" for _, sentence in found))
    if not any(step.questions for step in steps):
        return fit_steps(table, steps, exact_answer), None
    check_unit(budget, schema)
    seed = getattr(technique, "insecure_seed", None)
    # a stream of its own: the technique's begins at the seed
    words = RandomWords(None if seed is None else seed + 2**32)
    bookkeeper = _Paid(Ledger(_steady(budget), words), schema.person)
    return fit_steps(table, steps, bookkeeper), bookkeeper.ledger.to_dict()


class _Paid:
    """Answers questions by mechanisms, each charged before a cell is looked at."""

    def __init__(self, ledger: Ledger, person: str | None) -> None:
        self.ledger = ledger
        self.person = person

    def __call__(self, step: PreparationStep, question: Question, table: pl.DataFrame) -> Answer:
        share = self.ledger.budget.share((step.price or Fraction(0)) / len(step.questions))
        if question.column not in table.columns:
            return None  # the step itself says so
        kind = table.schema[question.column]
        if question.kind != "mode" and not kind.is_numeric():
            return None
        label = f"preparation: {question.what}"
        if question.kind == "quantile":
            return self._quantile(question, share, label, table)
        if question.kind == "mode":
            return self._mode(question, share, label, table)
        return self._moments(question, share, label, table)

    def _cells(self, question: Question, table: pl.DataFrame) -> pl.Series:
        """Return the cells of at most as many rows of each person as the budget says."""
        most = self.ledger.budget.rows_per_person
        return bounded(table, self.person, most, self.ledger.words)[question.column]

    def _quantile(
        self, question: Question, share: Share, label: str, table: pl.DataFrame
    ) -> Answer:
        budget = self.ledger.budget
        lower, upper, step = (rational(one) for one in question.grid or (0, 0, 0))
        mechanism = NoisyQuantile(
            rank=question.rank,
            lower=lower,
            upper=upper,
            step=step,
            epsilon=share.exponential_epsilon,
            neighbours=budget.neighbours,
            rows_per_unit=budget.rows_per_person,
        )
        return float(
            self.ledger.run(label, mechanism, lambda: _numbers(self._cells(question, table)))
        )

    def _mode(self, question: Question, share: Share, label: str, table: pl.DataFrame) -> Answer:
        budget, values = self.ledger.budget, question.values or ()
        mechanism = ReportNoisyMax(
            epsilon=share.epsilon,
            sensitivity=budget.count_sensitivity().most,
            monotonic=budget.neighbours == "add_remove",
        )

        def counts() -> np.ndarray[Any, np.dtype[np.int64]]:
            cells = texts(self._cells(question, table))
            known = [text_of(value) for value in values]
            return np.asarray([int((cells == text).sum()) for text in known], dtype=np.int64)

        place: int = self.ledger.run(label, mechanism, counts)
        return values[place]

    def _moments(self, question: Question, share: Share, label: str, table: pl.DataFrame) -> Answer:
        """Return mean and deviation of grid points by three noisy whole numbers."""
        lower, upper, step = (rational(one) for one in question.grid or (0, 0, 0))
        last = int((upper - lower) / step)
        if last >= _MOST_POINTS:
            raise PlanError(
                f"prepare: the grid of {question.column!r} has more than {_MOST_POINTS:,} points: "
                "a mean needs no such fine step"
            )
        middle = last // 2
        reach = max(middle, last - middle)
        rows = self.ledger.budget.count_sensitivity().total
        places: list[np.ndarray[Any, np.dtype[np.int64]]] = []

        def powers(power: int) -> Any:
            def read() -> list[int]:
                if not places:
                    cells = _numbers(self._cells(question, table))
                    cells = cells[~np.isnan(cells)]
                    found = np.rint((cells - float(lower)) / float(step))
                    places.append(np.clip(found, 0, last).astype(np.int64) - middle)
                return [int((places[0] ** power).sum())]

            return read

        third = Fraction(1, 3)
        known, total, squares = (
            int(
                self.ledger.run(
                    f"{label}, {what}",
                    _noise(share.budget.share(share.fraction * third), rows * reach**power),
                    powers(power),
                )[0]
            )
            for power, what in ((0, "rows"), (1, "sum"), (2, "squares"))
        )
        count = max(known, 1)
        mean = min(max(total / count, -float(middle)), float(last - middle))
        # a grid's own rounding is the least spread that can be told
        variance = min(max(squares / count - mean**2, 1 / 12), float(reach) ** 2)
        return float(lower) + (middle + mean) * float(step), variance**0.5 * float(step)


def _noise(share: Share, sensitivity: int) -> DiscreteLaplace | DiscreteGaussian:
    """Return the noise for one whole number that one unit moves by at most ``sensitivity``."""
    if share.budget.pure:
        return DiscreteLaplace(scale=sensitivity / share.epsilon, sensitivity=sensitivity)
    return DiscreteGaussian(
        sigma_squared=share.gaussian_variance(sensitivity**2),
        sensitivity_squared=Fraction(sensitivity**2),
    )


def rest_of(technique: Settings, steps: Sequence[PreparationStep]) -> Settings:
    """Return a technique with what the steps leave of its budget; itself if they cost nothing.

    Under Gaussian differential privacy the squares of mu add up, under zCDP rho, under pure
    differential privacy epsilon. An epsilon with a delta is made smaller by the bound that is the
    more careful of the first and of plain addition, so that the whole holds by either.
    """
    budget = budget_of(technique)
    price = sum((step.price or Fraction(0) for step in steps if step.questions), Fraction(0))
    if budget is None or price == 0 or budget.no_promise:
        return technique
    left = 1 - price
    changed: dict[str, Fraction] = {}
    if budget.rho is not None:
        changed["rho"] = budget.rho * left
    elif budget.mu is not None:
        changed["mu"] = rounded_down(float(budget.mu) * float(left) ** 0.5) * (1 - _ROUNDING)
    elif budget.epsilon is not None and budget.pure:
        changed["epsilon"] = budget.epsilon * left
    elif budget.epsilon is not None:
        epsilon, delta = float(budget.epsilon), float(budget.delta - budget.threshold_delta)
        if budget.accounting == "zcdp":
            rest = conversions.zcdp_epsilon(
                conversions.zcdp_rho(epsilon, delta) * float(left), delta
            )
        else:
            mu = conversions.gdp_mu(epsilon, delta) * float(left) ** 0.5
            paid = sum(
                len(step.questions)
                * _steady(budget).share((step.price or 0) / len(step.questions)).epsilon
                for step in steps
                if step.questions
            )
            rest = min(conversions.gdp_epsilon(mu, delta), epsilon - float(paid))
        changed["epsilon"] = rounded_down(rest) * (1 - _ROUNDING)
    return technique.model_copy(update={"budget": budget.model_copy(update=changed)})


def with_preparation_charged(
    generator: Generator, budget: Budget, paid: Mapping[str, Any]
) -> Generator:
    """Return a model whose ledger also holds what its preparation cost, under the whole budget.

    Raises
    ------
    BudgetExceeded
        If the two together do not keep the promise.
    """
    own = ledger_of(generator)
    if own is None:
        raise PlanError("a preparation was paid for, and the model has no ledger to write it into")
    whole = budget.model_copy(update={"accounting": own["budget"].get("accounting", "best")})
    joined = Ledger.from_dict(
        {
            "format": own["format"],
            "budget": whole.to_dict(),
            "private_noise": own["private_noise"] and paid["private_noise"],
            "charges": [*paid["charges"], *own["charges"]],
        }
    )
    made: Generator = _with_ledger(generator, joined.to_dict())
    return made


def _with_ledger(generator: Any, ledger: dict[str, Any]) -> Any:
    inner = getattr(generator, "model", None)
    if isinstance(getattr(inner, "ledger", None), dict):
        return replace(generator, model=_with_ledger(inner, ledger))
    return replace(generator, ledger=ledger)


def _steady(budget: Budget) -> Budget:
    """Return the budget by a bound that allows for questions chosen by earlier answers."""
    if budget.pure or budget.accounting not in ("best", "pld"):
        return budget
    return budget.model_copy(update={"accounting": "gdp" if budget.rho is None else "zcdp"})


def _numbers(cells: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    return cells.cast(pl.Float64).fill_null(np.nan).to_numpy()
