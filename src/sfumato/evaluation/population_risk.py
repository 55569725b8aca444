"""Who of a release is alone in the population that it was sampled from, by several models.

The release is a random sample; whom its combinations also fit outside is not known and is
estimated from the sizes of its equivalence classes. No model is right for every table, so all that
can be fitted are shown, with the one that the literature's rule chooses.

References
----------
F. K. Dankar, K. El Emam, A. Neisa, T. Roffey, "Estimating the re-identification risk of clinical
data sets", BMC Medical Informatics and Decision Making 12:66 (2012), decision rule; R. Benedetti,
L. Franconi, "Statistical and technological solutions for controlled data dissemination", NTTS
(1998), individual risk; the other sources are with :mod:`sfumato.privacy.super_population` and
:mod:`sfumato.evaluation.log_linear`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sfumato.errors import PlanError
from sfumato.evaluation.attackers import suppressed_rows
from sfumato.evaluation.figures import Direction, Figure
from sfumato.evaluation.log_linear import LogLinear, log_linear
from sfumato.evaluation.matched_population import Matched, beta_binomial, counted, slide
from sfumato.privacy import EquivalenceClasses, NoEstimate, super_population
from sfumato.privacy.grouping import numbered, polars_frame
from sfumato.privacy.population import Estimate, smallest_sample_size
from sfumato.privacy.super_population import Histogram

if TYPE_CHECKING:
    import polars as pl

__all__ = ["POPULATION_MODELS", "population_risks"]

Integers = npt.NDArray[np.int64]

_LOWER: Direction = "lower is better"
_HIGHER: Direction = "higher is better"
_SMALL_SAMPLE = 0.1
_SIGNIFICANCE = 0.01
_BOOTSTRAP = "bootstrap of the classes and of the population's uniques ({} draws), given the model"
_GIVEN = "normal approximation, given the model and its fitted means"
_NOT_SHOWN = (
    "Whether the model fits: the release must be a random sample of the population, and its "
    "classes must be such as the model says."
)

POPULATION_MODELS: dict[str, tuple[str, str]] = {
    "pitman": ("Pitman's sampling formula", "Hoshino 2001"),
    "zayatz": ("Zayatz's method", "Zayatz 1991"),
    "snb": ("the slide negative binomial model", "Chen & Keller-McNulty 1998"),
    "benedetti-franconi": ("the individual risk of Benedetti and Franconi", "NTTS 1998"),
    "log-linear": ("a log-linear model of the quasi-identifiers", "Skinner & Shlomo 2008"),
}
"""The models by the last part of their figures' keys: what each is called, and its source."""


def population_risks(
    released: Any,
    quasi_identifiers: Sequence[str],
    population_size: int,
    *,
    person: str | None = None,
    classes: EquivalenceClasses | None = None,
    seed: int = 0,
    draws: int = 100,
) -> dict[str, Figure]:
    """Estimate the re-identification risk of a release that is a sample of a population.

    Suppressed rows are left out: they match everybody.

    Parameters
    ----------
    released
        The released table, a data frame of any kind.
    quasi_identifiers
        Its columns that others may know of a person.
    population_size
        People of the population, at least as many as the release has.
    person
        Column that says whose row it is; classes then count people.
    classes
        The equivalence classes of the release by these quasi-identifiers, if made already.
    seed
        Of the bootstrap.
    draws
        Of the bootstrap, at least 20.

    Returns
    -------
    dict of Figure
        ``population_unique`` and ``expected_correct_matches`` by the model that Dankar's rule
        chooses, and the same with ``/model`` for each of :data:`POPULATION_MODELS`;
        ``k_map/poisson`` and ``k_map/zero-truncated-poisson``. A model without a solution says so.

    Raises
    ------
    PlanError
        If the population is smaller than the release.
    SchemaError
        If a column is absent.
    """
    frame = polars_frame(released)
    if draws < 20:
        raise PlanError(f"draws of the bootstrap are at least 20, not {draws}")
    if classes is None:
        classes = EquivalenceClasses.of(frame, quasi_identifiers, person=person)
    people = int(classes.sizes.sum())
    if people > population_size:
        raise PlanError(
            f"population_size is {population_size:,}, but the release alone has {people:,}: say "
            "how many people the population has"
        )
    kept = np.ones(len(classes), dtype=np.bool_)
    if quasi_identifiers and not frame.is_empty():
        kept[classes.of_row[suppressed_rows(frame, quasi_identifiers)]] = False
    if not quasi_identifiers or frame.is_empty() or not kept.any():
        lacks = "quasi-identifiers" if not quasi_identifiers else "rows that are not suppressed"
        return _none(f"the release has no {lacks}")
    sizes = classes.sizes[kept]
    sample = _Sample(Histogram.of(sizes), population_size, seed, draws)
    figures = sample.figures()
    figures |= _log_linear_figures(_fit(frame, quasi_identifiers, classes, kept, sample), sample)
    return {**_chosen(figures, sample), **figures, **_k_maps(int(sizes.min()), sample)}


class _Sample:
    """The sample's classes and the population's size, and what the models say of them."""

    def __init__(self, found: Histogram, population: int, seed: int, draws: int) -> None:
        self.found, self.population, self.seed, self.draws = found, population, seed, draws
        self.rows, self.alone = found.rows, found.count_of(1)
        self.fraction = self.rows / population

    def figures(self) -> dict[str, Figure]:
        figures: dict[str, Figure] = {}
        for model, matched in _MATCHED.items():
            try:
                share = _share(model, self.found, self.population)
                of_one = Matched(0.0, 0.0) if not self.alone else matched(self)
            except NoEstimate as error:
                figures |= _absent_pair(model, str(error))
                continue
            interval = self._interval(model)
            figures[f"population_unique/{model}"] = _unique(model, share, interval, self)
            figures[f"expected_correct_matches/{model}"] = _correct(
                model, self.alone * of_one.inverse, None, self
            )
        return figures

    def _interval(self, model: str) -> tuple[float, float] | None:
        """Return the interval of the population's share of uniques, or None if it is known.

        The numbers of classes of each size are drawn anew as Poisson variables, as they would be in
        another sample of another population of the same kind, and the model is fitted again.
        """
        if self.rows == self.population:
            return None
        random = np.random.default_rng(self.seed)
        shares = []
        for _ in range(self.draws):
            counts = random.poisson(self.found.counts)
            drawn = Histogram(self.found.values[counts > 0], counts[counts > 0])
            if not drawn.rows:
                continue
            larger = max(round(drawn.rows / self.fraction), drawn.rows)
            try:
                share = _share(model, drawn, larger)
            except NoEstimate:
                continue
            shares.append(random.poisson(share * self.population) / self.population)
        if len(shares) < self.draws / 2:
            return None
        low, high = np.quantile(shares, [0.025, 0.975])
        return float(low), float(min(high, 1.0))


def _share(model: str, found: Histogram, population: int) -> float:
    """Return the share of the population that is alone."""
    if model == "benedetti-franconi":
        return found.count_of(1) / population
    uniques: float = getattr(super_population, model)(found, population)
    return uniques / population


def _of_pitman(sample: _Sample) -> Matched:
    theta, alpha = super_population.fitted_pitman(sample.found)
    more = sample.population - sample.rows
    return beta_binomial(1 - alpha, theta + alpha + sample.rows - 1, more)


def _of_zayatz(sample: _Sample) -> Matched:
    values, counts = sample.found
    chance = super_population.one_sampled(values, sample.population, sample.rows)
    return counted(values, counts * chance)


def _of_snb(sample: _Sample) -> Matched:
    if sample.rows == sample.population:
        return Matched(1.0, 1.0)
    _, alpha, beta = super_population.fitted_snb(sample.found, sample.population)
    return slide(alpha, beta, sample.fraction)


def _of_individual(sample: _Sample) -> Matched:
    # F given f = 1 is 1 + geometric: P(F = 1) = pi, E(1 / F) = pi log(1 / pi) / (1 - pi)
    pi = sample.fraction
    return Matched(pi, 1.0 if pi == 1 else float(pi * np.log(1 / pi) / (1 - pi)))


_MATCHED: dict[str, Callable[[_Sample], Matched]] = {
    "pitman": _of_pitman,
    "zayatz": _of_zayatz,
    "snb": _of_snb,
    "benedetti-franconi": _of_individual,
}


def _fit(
    frame: pl.DataFrame,
    quasi_identifiers: Sequence[str],
    classes: EquivalenceClasses,
    kept: npt.NDArray[np.bool_],
    sample: _Sample,
) -> LogLinear:
    first = np.unique(classes.of_row, return_index=True)[1][kept]
    keys = frame.select(quasi_identifiers)[first]
    codes = [numbered(keys, [name])[0] for name in keys.columns]
    return log_linear(codes, classes.sizes[kept], sample.fraction)


def _log_linear_figures(fit: LogLinear, sample: _Sample) -> dict[str, Figure]:
    known = sample.rows == sample.population
    unique, correct = fit.unique, fit.correct
    reach = [1.96 * spread for spread in fit.spread]
    share = (max(unique - reach[0], 0.0) / sample.rows, (unique + reach[0]) / sample.rows)
    matches = (max(correct - reach[1], 0.0), min(correct + reach[1], float(sample.alone)))
    why = "by the least estimated bias" if fit.misfit else "the table has too many cells for more"
    more = f" Terms: {fit.terms}, as {why}." if not fit.misfit else f" Terms: {fit.terms}, {why}."
    model = "log-linear"
    return {
        f"population_unique/{model}": _unique(
            model, unique / sample.rows, None if known else share, sample, more
        ),
        f"expected_correct_matches/{model}": _correct(
            model, correct, None if known else matches, sample, more
        ),
    }


def _chosen(figures: dict[str, Figure], sample: _Sample) -> dict[str, Figure]:
    """Return the figures of the model that Dankar's rule chooses, with the reason."""
    small = sample.fraction <= _SMALL_SAMPLE
    first = "pitman" if small else "snb"
    percent = f"{sample.fraction:.3g}"
    value = figures[f"population_unique/{first}"].value
    other = figures["population_unique/zayatz"].value
    if value is None or (not small and other is not None and other < value):
        first = "zayatz"
    name = POPULATION_MODELS[first][0]
    rule = "at most" if small else "above"
    said = (
        f" Chosen: {name}, by Dankar's rule for a sampling fraction of {percent} ({rule} "
        f"{_SMALL_SAMPLE}); the others stand beside."
    )
    found = {}
    for key in ("population_unique", "expected_correct_matches"):
        values = figures[f"{key}/{first}"].to_dict()
        found[key] = Figure.from_dict({**values, "meaning": values["meaning"] + said})
    return found


def _unique(
    model: str,
    share: float,
    interval: tuple[float, float] | None,
    sample: _Sample,
    more: str = "",
) -> Figure:
    name, source = POPULATION_MODELS[model]
    how = _GIVEN if model == "log-linear" else _BOOTSTRAP.format(sample.draws)
    return Figure(
        f"population uniques, {name}",
        share,
        "share",
        _LOWER,
        f"Estimated share of the {sample.population:,} people of the population, and so of the "
        f"released rows, that are alone there with their quasi-identifiers.{more}",
        source,
        interval=interval,
        interval_method=how if interval is not None else "",
        baseline=0.0,
        attacks=sample.rows,
        not_shown=_NOT_SHOWN,
    )


def _correct(
    model: str,
    matches: float,
    interval: tuple[float, float] | None,
    sample: _Sample,
    more: str = "",
) -> Figure:
    name, source = POPULATION_MODELS[model]
    return Figure(
        f"expected correct matches, {name}",
        matches,
        "people",
        _LOWER,
        f"Of the {sample.alone:,} rows that are alone in the release, how many an attacker is "
        "expected to link to the right person who links each to one of the people of the "
        f"population who match it.{more}",
        f"{source}; Skinner & Shlomo 2008, tau_2",
        interval=interval,
        interval_method=_GIVEN if interval is not None else "",
        attacks=sample.alone,
        not_shown=_NOT_SHOWN,
    )


def _k_maps(smallest: int, sample: _Sample) -> dict[str, Figure]:
    figures = {}
    estimates: tuple[Estimate, ...] = ("poisson", "zero-truncated-poisson")
    for estimate in estimates:
        k = _largest_k(smallest, sample.fraction, estimate, sample.population)
        figures[f"k_map/{estimate}"] = Figure(
            f"k-map, k by estimate ({estimate})",
            float(k),
            "people",
            _HIGHER,
            f"The smallest class of the release is so large that fewer than {k:,} people of the "
            f"population would leave so many rows with a probability of at most {_SIGNIFICANCE:g}.",
            "El Emam & Dankar 2008, D3 and D4",
            not_shown=_NOT_SHOWN,
        )
    return figures


def _largest_k(smallest: int, fraction: float, estimate: Estimate, population: int) -> int:
    """Return the largest k whose least class in the sample is at most the smallest class."""

    def enough(k: int) -> bool:
        return smallest_sample_size(k, fraction, estimate, _SIGNIFICANCE) <= smallest

    low = smallest  # k is never asked to be larger in the sample than in the population
    high = 2 * low
    while high < population and enough(high):
        low, high = high, 2 * high
    high = min(high, population + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if enough(middle) else (low, middle)
    return low


def _absent_pair(model: str, because: str) -> dict[str, Figure]:
    name, source = POPULATION_MODELS[model]
    parts = {
        "population_unique": ("population uniques", "share"),
        "expected_correct_matches": ("expected correct matches", "people"),
    }
    return {
        f"{key}/{model}": Figure.not_computed(
            f"{what}, {name}", because, unit=unit, direction=_LOWER, source=source
        )
        for key, (what, unit) in parts.items()
    }


def _none(because: str) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for model in POPULATION_MODELS:
        figures |= _absent_pair(model, because)
    firsts = ("population_unique", "expected_correct_matches")
    return {**{key: figures[f"{key}/pitman"] for key in firsts}, **figures}
