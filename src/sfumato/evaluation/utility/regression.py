"""The coefficients of one regression in the real and in the released rows, side by side.

An analyst's question of a release is seldom a histogram: it is an odds ratio with its interval. The
overlap of the two intervals (1: the same, 0: apart) and the agreement in sign and significance say
whether a study on the release would have come to the same finding. The same regression on control
rows shows what another sample of real people would have found.

References
----------
Karr, Kohnen, Oganian, Reiter & Sanil, "A framework for evaluating the utility of data altered to
protect confidentiality", The American Statistician 60 (2006), section 3 (overlap). El Emam,
Mosquera & Fang, JAMIA Open 5 (2022) (agreement).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.estimates import wilson
from sfumato.evaluation.figures import Direction, Figure
from sfumato.evaluation.utility.design import Design, Formula, design_of
from sfumato.evaluation.utility.footing import CONTROL, REAL, RELEASED, UtilityTables
from sfumato.evaluation.utility.generalized_linear import (
    fit_least_squares,
    fit_logistic,
    independent_columns,
)
from sfumato.evaluation.utility.records import Record, absent

__all__ = [
    "Coefficient",
    "Regression",
    "RegressionTerm",
    "interval_overlap",
    "regression_agreement",
]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SOURCE = "Karr et al., The American Statistician 60 (2006), section 3"
_DIRECTION: Direction = "higher is better"
_NAMES = {
    "interval_overlap": "overlap of the 95 % intervals of coefficients, mean",
    "sign_agreement": "coefficients of the same sign",
    "significance_agreement": "coefficients with the same finding at 5 %",
    "estimate_covered": "released estimates within the real interval",
}


@dataclass(frozen=True)
class Coefficient(Record):
    """One estimate.

    Parameters
    ----------
    value, low, high
        The coefficient and its 95 % interval, in units of the target (or log odds) per unit of the
        column; None where it was not computed.
    odds_ratio
        The odds ratio and its interval, for a target of two classes.
    because
        Why it was not computed; empty if it was.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    odds_ratio: tuple[float, float, float] | None = None
    because: str = ""

    @property
    def significant(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low is not None and self.high is not None and not self.low <= 0.0 <= self.high


@dataclass(frozen=True)
class RegressionTerm(Record):
    """One coefficient in each table.

    Parameters
    ----------
    column, level, reference
        The column; for a category, which one against which.
    real, released, control
        Its estimates; ``control`` is None without control rows.
    overlap
        Of the real and the released interval, 0 to 1; None where either was not computed.
    """

    column: str
    level: str
    reference: str
    real: Coefficient
    released: Coefficient
    control: Coefficient | None
    overlap: float | None


@dataclass(frozen=True)
class Regression(Record):
    """One regression in each table.

    Parameters
    ----------
    figures
        ``regression/interval_overlap``, ``regression/sign_agreement``,
        ``regression/significance_agreement``, ``regression/estimate_covered``.
    formula
        What was explained by what; empty if nothing was.
    kind
        "logistic" or "linear"; empty if nothing was fitted.
    positive
        The class whose odds are told.
    terms
        Every coefficient but the constant.
    rows, left_out
        Rows that each table was fitted on, and its rows with a missing or suppressed cell.
    """

    figures: dict[str, Figure]
    formula: str
    kind: str
    positive: str
    terms: tuple[RegressionTerm, ...]
    rows: tuple[int, ...]
    left_out: tuple[int, ...]


def interval_overlap(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Return the mean share of two intervals that they have in common.

    Examples
    --------
    >>> interval_overlap((0.0, 2.0), (1.0, 5.0))
    0.375
    """
    shared = min(first[1], second[1]) - max(first[0], second[0])
    widths = first[1] - first[0], second[1] - second[0]
    if min(widths) <= 0:
        return float(shared >= 0)
    return 0.5 * sum(max(0.0, shared) / width for width in widths)


def regression_agreement(tables: UtilityTables, formula: Formula | None) -> Regression:
    """Fit one regression on every table and set the coefficients side by side.

    A logistic regression if the target has two values among the real rows, else least squares.
    Rows with a missing or suppressed cell in one of the columns are left out and counted.

    Parameters
    ----------
    tables
        On one footing.
    formula
        What is explained by what; None if there is no target.

    Raises
    ------
    PlanError
        If the formula names a column that does not exist.
    """
    if formula is None or not formula.columns:
        because = "no target is named, or no column goes with it"
        return _nothing(because, "" if formula is None else str(formula))
    design = design_of(tables, formula)
    if isinstance(design, str):
        return _nothing(design, str(formula))
    fits = [_coefficients(design, table) for table in range(len(tables.rows))]
    terms = []
    for place, term in enumerate(design.terms):
        if not term.column:
            continue
        real, released = fits[REAL][place], fits[RELEASED][place]
        terms.append(
            RegressionTerm(
                term.column,
                term.level,
                term.reference,
                real,
                released,
                fits[CONTROL][place] if len(fits) > CONTROL else None,
                _overlap(real, released),
            )
        )
    return Regression(
        _figures(terms),
        str(formula),
        "logistic" if design.binary else "linear",
        design.positive,
        tuple(terms),
        tuple(int(one.sum()) for one in design.complete),
        tuple(int((~one).sum()) for one in design.complete),
    )


def _nothing(because: str, formula: str) -> Regression:
    return Regression(
        {
            f"regression/{key}": absent(name, because, _SOURCE, unit="share", direction=_DIRECTION)
            for key, name in _NAMES.items()
        },
        formula,
        "",
        "",
        (),
        (),
        (),
    )


def _coefficients(design: Design, table: int) -> list[Coefficient]:
    """Return the estimate of each term in one table, or why there is none."""
    X, y = design.rows(table)
    because = np.array([""] * X.shape[1], dtype=object)
    if len(y) == 0:
        return [Coefficient(None, because="no row is complete")] * X.shape[1]
    if design.binary and (y.min() == y.max()):
        return [Coefficient(None, because="all rows are of one outcome")] * X.shape[1]
    rows = np.ones(len(y), dtype=bool)
    for place, term in enumerate(design.terms):
        has = X[:, place] > 0
        if not term.level:
            continue
        if not has.any():
            because[place] = "no row has the category"
        elif design.binary and y[has].min() == y[has].max():
            # such a category has no finite coefficient; its rows tell nothing of the others
            because[place] = "all rows of the category are of one outcome"
            rows &= ~has
    if not rows.all():
        X, y = X[rows], y[rows]
    asked = because == ""
    if not len(y) or (design.binary and y.min() == y.max()):
        return [Coefficient(None, because="the categories tell the outcome")] * len(because)
    centre, scale = _scales(X)
    X -= centre  # in place: of a million rows there is no room for many copies
    X /= scale
    kept = np.zeros(X.shape[1], dtype=bool)
    kept[asked] = independent_columns(X if asked.all() else X[:, asked])
    because[asked & ~kept] = "it does not vary, or others tell it (collinear)"
    if len(y) <= kept.sum():
        return [
            Coefficient(None, because=one or "there are too few complete rows") for one in because
        ]
    return _estimates(X if kept.all() else X[:, kept], y, kept, scale, because, design.binary)


def _scales(X: Floats) -> tuple[Floats, Floats]:
    """Return what is taken off each column and what it is divided by; not for the constant."""
    centre, scale = X.mean(axis=0), X.std(axis=0)
    centre[0], scale[0] = 0.0, 1.0
    scale = np.where(scale > 1e-12 * np.maximum(np.abs(centre), 1e-300), scale, 0.0)
    # a column that does not vary becomes 0 and is found out as such
    centre = np.where(scale == 0, X[0], centre)
    return centre, np.where(scale == 0, 1.0, scale)


def _estimates(
    X: Floats, y: Floats, kept: Flags, scale: Floats, because: npt.NDArray[np.object_], binary: bool
) -> list[Coefficient]:
    from scipy.stats import norm, t

    fit = fit_logistic(X, y) if binary else fit_least_squares(X, y)
    if fit.separated:
        told = "the columns together tell the outcome without error (separation)"
        return [Coefficient(None, because=one or told) for one in because]
    point = float(norm.ppf(0.975) if binary else t.ppf(0.975, fit.freedom))
    values = np.full(len(kept), np.nan)
    spreads = np.full(len(kept), np.nan)
    values[kept] = fit.coefficients / scale[kept]
    spreads[kept] = np.sqrt(np.maximum(np.diag(fit.covariance), 0.0)) / scale[kept]
    found = []
    for place, told in enumerate(because.tolist()):
        if told:
            found.append(Coefficient(None, because=told))
            continue
        value, reach = float(values[place]), point * float(spreads[place])
        ends = value, value - reach, value + reach
        odds = None
        if binary:
            odds = tuple(float(np.exp(np.clip(one, -700.0, 700.0))) for one in ends)
        found.append(
            Coefficient(*ends, odds_ratio=None if odds is None else (odds[0], odds[1], odds[2]))
        )
    return found


def _overlap(first: Coefficient, second: Coefficient | None) -> float | None:
    if second is None or first.low is None or first.high is None:
        return None
    if second.low is None or second.high is None:
        return None
    return interval_overlap((first.low, first.high), (second.low, second.high))


def _figures(terms: list[RegressionTerm]) -> dict[str, Figure]:
    sure = [one for one in terms if one.real.value is not None]
    if not sure:
        because = next((one.real.because for one in terms), "the formula has no term")
        return _nothing(f"among the real rows, {because}", "").figures
    scores = [_agreement(one.real, one.released) for one in sure]
    lost = sum(1 for one in sure if one.released.value is None)
    controls = [_agreement(one.real, one.control) for one in sure if one.control is not None]
    meanings = {
        "interval_overlap": "1 if every interval is the same, 0 where two are apart or the release "
        "gives no estimate.",
        "sign_agreement": "Share of the coefficients whose sign is the same in the release.",
        "significance_agreement": "Share of the coefficients that are found, or not found, to "
        "differ from 0 in both, and in the same direction.",
        "estimate_covered": "Share of the released estimates that lie within the interval of the "
        "real one.",
    }
    missing = (
        f" {lost} of {len(sure)} could not be estimated from the release and count as 0."
        if lost
        else ""
    )
    figures = {}
    for place, (key, name) in enumerate(_NAMES.items()):
        values = [one[place] for one in scores]
        figures[f"regression/{key}"] = Figure(
            name=name,
            value=float(np.mean(values)),
            unit="share",
            direction=_DIRECTION,
            meaning=meanings[key] + missing,
            source=_SOURCE if key == "interval_overlap" else "El Emam et al., JAMIA Open 5 (2022)",
            interval=None if key == "interval_overlap" else wilson(sum(values), len(values)),
            interval_method="none: compare with the control"
            if key == "interval_overlap"
            else f"95 %, Wilson, over the {len(values)} coefficients",
            control=float(np.mean([one[place] for one in controls])) if controls else None,
            not_shown="The intervals are those that an analyst would compute, who takes each "
            "released row for a person; of few rows they are wide, and agree the more easily.",
        )
    return figures


def _agreement(real: Coefficient, other: Coefficient | None) -> tuple[float, float, float, float]:
    if other is None or real.value is None or other.value is None:
        return 0.0, 0.0, 0.0, 0.0
    same = float(np.sign(real.value) == np.sign(other.value))
    finding = real.significant == other.significant and (bool(same) or not real.significant)
    covered = real.low is not None and real.high is not None
    inside = covered and real.low <= other.value <= real.high  # type: ignore[operator]
    return _overlap(real, other) or 0.0, same, float(finding), float(inside)
