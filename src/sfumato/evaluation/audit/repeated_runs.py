"""Audit by many runs on two neighbouring tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.errors import PlanError
from sfumato.evaluation.audit.events import Counted, counted, scores_of
from sfumato.evaluation.audit.gaussian_bounds import (
    gaussian_epsilon,
    gaussian_lower_bound,
    gaussian_mu,
    gaussian_p_value,
)
from sfumato.evaluation.audit.neighbouring import Neighbours, neighbours_of
from sfumato.evaluation.audit.outputs import View, call, seeds_of, views_of
from sfumato.evaluation.audit.pair_bounds import pair_ceiling, pair_lower_bound, pair_p_value
from sfumato.evaluation.audit.results import ACCUSATION, Audit, AuditEvent

__all__ = ["audit_mechanism", "check_claim"]

_MOST_EVENTS = 3
_LEAST_RUNS = 20
_RARE = 0.001


def audit_mechanism(
    mechanism: Callable[..., Any],
    epsilon: float,
    delta: float = 0.0,
    *,
    neighbours: Neighbours | Sequence[Any] | None = None,
    data: Any = None,
    runs: int = 10_000,
    seed: int,
    batch: bool = False,
    statistic: Callable[[Any], float] | None = None,
    gaussian: bool = False,
    confidence: float = 0.95,
) -> Audit:
    """Run a mechanism many times on neighbouring inputs and bound its epsilon from below.

    Parameters
    ----------
    mechanism
        Takes (data, seed) and returns what it would release: a number, an array, a frame, a text,
        or a tuple or mapping of these. Bounds, categories and edges that are released with the
        answer belong in it.
    epsilon, delta
        What is claimed: epsilon at least 0, delta from 0 to below 1.
    neighbours
        The inputs that must look alike: (first, second), or one or several :class:`Neighbours`.
        Where two queries share a budget, inputs are what both see.
    data
        A table from which the worst neighbours are made (:func:`worst_case_neighbours`) if none
        are given.
    runs
        Of the mechanism on each input of each pair, at least 20. Half of them choose the event, the
        other half count it.
    seed
        From which each run's seed is made.
    batch
        Whether the mechanism is vectorised: (data, runs, seed) -> array of shape (runs, ...).
    statistic
        A number made of one output on which a threshold is tried beside all others.
    gaussian
        Whether the claim is one of Gaussian noise, so that one event bounds mu and with it epsilon
        at the claimed delta (Nasr et al. 2023). Only for mechanisms that claim to be Gaussian;
        ``delta`` must be above 0.
    confidence
        Of the bound that is printed; the verdict asks for more (see :attr:`Audit.verdict`).

    Returns
    -------
    Audit
        At most three events for each pair of inputs were counted; the bound is corrected for all of
        them (Bonferroni).

    Raises
    ------
    PlanError
        If a setting is out of its range.
    DataError
        If inputs cannot be made, or the mechanism's outputs are not one for each run.

    Notes
    -----
    Jagielski, Ullman & Oprea, NeurIPS 2020; Nasr et al., IEEE S&P 2021 and USENIX Security 2023.
    The events: a threshold on a single number, the ratio of histograms, Fisher's discriminant,
    which of few outputs it is, the last bits of floating-point numbers and numbers that noise in
    floating point cannot reach (Mironov 2012).
    """
    check_claim(epsilon, delta, confidence)
    if runs < _LEAST_RUNS:
        raise PlanError(f"runs must be at least {_LEAST_RUNS}, not {runs}")
    if gaussian and not delta > 0:
        raise PlanError("gaussian = True needs a delta above 0: Gaussian noise has no other claim")
    pairs = neighbours_of(neighbours, data)
    half = runs // 2
    counts: list[tuple[Neighbours, Counted]] = []
    notes: list[str] = []
    for pair, one_seed in zip(pairs, seeds_of(seed, len(pairs)), strict=True):
        views = _run(mechanism, pair, runs, one_seed, batch=batch, statistic=statistic)
        tail = (1 - confidence) / (2 * _MOST_EVENTS * len(pairs))
        found = _best(views, pair, runs, delta, tail, gaussian=gaussian)
        counts.extend((pair, one) for one in found)
        notes.extend(_support(pair, one, runs - half) for one in found if _one_sided(one, half))
    if not counts:
        return _nothing_seen(epsilon, delta, runs * 2 * len(pairs), confidence)
    tested = runs - half
    each = 1 - (1 - confidence) / len(counts)
    events = [
        _event(pair, one, tested, epsilon, delta, each, gaussian=gaussian) for pair, one in counts
    ]
    events.sort(key=lambda event: (-event.lower_bound, event.p_value))
    strict = 1 - ACCUSATION / len(counts)
    return Audit(
        method="neighbouring tables",
        epsilon=epsilon,
        delta=delta,
        events=tuple(events),
        lower_bound=events[0].lower_bound,
        ceiling=_ceiling(tested, delta, each, gaussian=gaussian),
        refutable=_ceiling(tested, delta, strict, gaussian=gaussian),
        p_value=min(1.0, len(events) * min(event.p_value for event in events)),
        runs=2 * runs * len(pairs),
        confidence=confidence,
        assumption="its noise is Gaussian as claimed" if gaussian else "",
        notes=tuple(dict.fromkeys(notes)),
    )


def check_claim(epsilon: float, delta: float, confidence: float) -> None:
    """Refuse a claim that is none.

    Raises
    ------
    PlanError
        If a number is out of its range.
    """
    if not 0 <= epsilon < float("inf"):
        raise PlanError(f"epsilon must be 0 or more and finite, not {epsilon}")
    if not 0 <= delta < 1:
        raise PlanError(f"delta must be from 0 to below 1, not {delta}")
    if not 0 < confidence < 1:
        raise PlanError(f"confidence must be between 0 and 1, not {confidence}")


def _run(
    mechanism: Callable[..., Any],
    pair: Neighbours,
    runs: int,
    seed: int,
    *,
    batch: bool,
    statistic: Callable[[Any], float] | None,
) -> list[View]:
    """Return the views of runs on the first input, then on the second."""
    one, two = seeds_of(seed, 2)
    first = call(mechanism, pair.first, runs, one, batch=batch)
    second = call(mechanism, pair.second, runs, two, batch=batch)
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        if first.shape != second.shape:
            return [View("shape of the output", codes=np.repeat([0, 1], runs))]
        views = views_of(np.concatenate([first, second]))
    else:
        views = views_of([*first, *second], record=pair.record)
    if statistic is not None:
        chosen = np.array(
            [[float(statistic(output))] for part in (first, second) for output in part]
        )
        views.append(View("the statistic", numbers=chosen))
    return views


def _best(
    views: list[View], pair: Neighbours, runs: int, delta: float, tail: float, *, gaussian: bool
) -> list[Counted]:
    """Return the events of one pair that promised most on the half that they were learned on."""
    from scipy.special import ndtri

    first = np.repeat([True, False], runs)
    learning = np.tile(np.arange(runs) < runs // 2, 2)
    z = float(ndtri(1 - tail))
    answers = _flat_answers(pair)
    found = [
        counted(score, first, learning, delta, z, gaussian=gaussian)
        for view in views
        for score in scores_of(view, first, learning, _of_width(answers, view))
    ]
    found.sort(key=lambda one: -one.promise)
    return found[:_MOST_EVENTS]


def _flat_answers(
    pair: Neighbours,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    if pair.answers is None:
        return None
    first, second = (np.asarray(answer, np.float64).reshape(-1) for answer in pair.answers)
    return first, second


def _of_width(
    answers: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None, view: View
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    if answers is None or view.numbers is None or view.numbers.shape[1] != len(answers[0]):
        return None
    return answers


def _event(
    pair: Neighbours,
    one: Counted,
    runs: int,
    epsilon: float,
    delta: float,
    confidence: float,
    *,
    gaussian: bool,
) -> AuditEvent:
    counts = (one.hits, runs, one.other_hits, runs)
    if gaussian:
        bound = gaussian_epsilon(gaussian_lower_bound(*counts, confidence=confidence), delta)
        p_value = gaussian_p_value(*counts, gaussian_mu(epsilon, delta))
    else:
        bound = pair_lower_bound(*counts, delta, confidence=confidence)
        p_value = pair_p_value(*counts, epsilon, delta)
    return AuditEvent(one.name, pair.name, *counts, bound, p_value)


def _ceiling(runs: int, delta: float, confidence: float, *, gaussian: bool) -> float:
    if not gaussian:
        return pair_ceiling(runs, runs, delta, confidence=confidence)
    return gaussian_epsilon(gaussian_lower_bound(runs, runs, 0, runs, confidence=confidence), delta)


def _one_sided(one: Counted, runs: int) -> bool:
    some = max(one.hits, one.other_hits)
    return min(one.hits, one.other_hits) == 0 and some > max(_RARE * runs, 5)


def _support(pair: Neighbours, one: Counted, runs: int) -> str:
    some = max(one.hits, one.other_hits)
    return (
        f"{one.name}, {pair.name}: {some:,} of {runs:,} outputs on one table are of a kind that "
        "the other never gave. Look at what is taken from the data without noise: categories, "
        "bounds, edges, columns, numbers of rows, last bits."
    )


def _nothing_seen(epsilon: float, delta: float, runs: int, confidence: float) -> Audit:
    because = "The mechanism's output holds nothing that could be looked at."
    return Audit(
        "neighbouring tables", epsilon, delta, (), 0.0, 0.0, 0.0, 1.0, runs, confidence, "",
        (because,),
    )  # fmt: skip
