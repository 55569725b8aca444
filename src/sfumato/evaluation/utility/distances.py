"""How far the distribution of each number is from the real one.

Kolmogorov and Smirnov's distance is the largest gap of the cumulative shares; Wasserstein's is the
mean way that a value would have to go, here in units of the real values' interquartile range.

References
----------
Massey, JASA 46 (1951); Massart 1990 (interval). Vallender, "Calculation of the Wasserstein distance
between probability distributions on the line", Theory of Probability 18 (1974). Its standard error
is that of the first-order expansion of the area between the two curves: Munk & Czado, Journal of
the Royal Statistical Society B 60 (1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.alignment import PRESENT, AlignedColumn
from sfumato.evaluation.estimates import NORMAL_95
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.table_fidelity import kolmogorov_smirnov
from sfumato.evaluation.utility.footing import CONTROL, REAL, RELEASED
from sfumato.evaluation.utility.records import Record, absent

__all__ = ["NumberDistance", "NumberDistances", "Wasserstein", "number_distances", "wasserstein"]

Floats = npt.NDArray[np.float64]
_SOURCE = "Vallender 1974; standard error: Munk & Czado 1998"


@dataclass(frozen=True)
class Wasserstein:
    """Wasserstein's distance of order 1 of two samples.

    Parameters
    ----------
    value
        In the unit of the numbers.
    standard_error
        Of the value over the drawing of both samples.
    by_chance
        What two samples of these sizes of one population differ by on average, for large samples.
    """

    value: float
    standard_error: float
    by_chance: float


@dataclass(frozen=True)
class NumberDistance(Record):
    """One number, real against released.

    Parameters
    ----------
    column
        Its name.
    kolmogorov_smirnov, wasserstein
        Its distances; the second in units of ``scale``.
    scale
        The real values' interquartile range (or, where that is 0, their standard deviation), in
        the column's unit; 0 if they do not vary.
    """

    column: str
    kolmogorov_smirnov: Figure
    wasserstein: Figure
    scale: float


@dataclass(frozen=True)
class NumberDistances(Record):
    """How far the numbers of a release are from the real ones.

    Parameters
    ----------
    figures
        ``distances/kolmogorov_smirnov`` and ``distances/wasserstein``, means over the columns.
    columns
        Each column that is a number.
    """

    figures: dict[str, Figure]
    columns: tuple[NumberDistance, ...]


def wasserstein(first: Floats, second: Floats) -> Wasserstein:
    """Return Wasserstein's distance of order 1, exact, with its standard error.

    Parameters
    ----------
    first, second
        Finite numbers, shape (n,) and (m,), at least one each.

    Examples
    --------
    >>> wasserstein(np.array([0.0, 1.0, 3.0]), np.array([5.0, 6.0, 8.0])).value
    5.0
    """
    samples = [np.sort(first), np.sort(second)]
    points = np.unique(np.concatenate(samples))
    sizes = [len(one) for one in samples]
    shares = [
        np.searchsorted(one, points[:-1], side="right") / n
        for one, n in zip(samples, sizes, strict=True)
    ]
    steps = np.diff(points)
    gap = shares[0] - shares[1]
    # the area up to each point with the sign of the gap: how a row there moves the distance
    moved = np.concatenate([[0.0], np.cumsum(np.sign(gap) * steps)])
    variance = sum(
        float(np.var(moved[np.searchsorted(points, one)])) / n
        for one, n in zip(samples, sizes, strict=True)
    )
    pooled = (shares[0] * sizes[0] + shares[1] * sizes[1]) / sum(sizes)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled), 0.0) * (1 / sizes[0] + 1 / sizes[1]))
    return Wasserstein(
        float((np.abs(gap) * steps).sum()),
        float(np.sqrt(variance)),
        float(np.sqrt(2 / np.pi) * (spread * steps).sum()),
    )


def number_distances(columns: Sequence[AlignedColumn]) -> NumberDistances:
    """Compare every number of the release with the real ones.

    Parameters
    ----------
    columns
        Over the real, the released and perhaps the control rows; categories are passed over.
    """
    found = tuple(_compared(column) for column in columns if column.kind == "number")
    return NumberDistances(
        {
            "distances/kolmogorov_smirnov": _mean(
                "Kolmogorov-Smirnov distance, mean over numbers",
                [one.kolmogorov_smirnov for one in found],
                "share",
                "On average over the numbers, the most by which the shares of rows up to any one "
                "value differ.",
                "Massey 1951",
            ),
            "distances/wasserstein": _mean(
                "Wasserstein distance, mean over numbers",
                [one.wasserstein for one in found],
                "interquartile ranges",
                "On average over the numbers, how far a value would have to go, in interquartile "
                "ranges of the real values.",
                _SOURCE,
            ),
        },
        found,
    )


def _compared(column: AlignedColumn) -> NumberDistance:
    known = [
        content[state == PRESENT].astype(np.float64)
        for content, state in zip(column.content, column.state, strict=True)
    ]
    scale = _scale(known[REAL])
    return NumberDistance(
        column.name, kolmogorov_smirnov(column), _wasserstein(known, scale), scale
    )


def _scale(real: Floats) -> float:
    if real.size == 0:
        return 0.0
    low, high = np.quantile(real, [0.25, 0.75])
    return float(high - low) if high > low else float(real.std())


def _wasserstein(known: list[Floats], scale: float) -> Figure:
    name, unit = "Wasserstein distance", "interquartile ranges"
    because = ""
    if not known[REAL].size or not known[RELEASED].size:
        which = "real" if not known[REAL].size else "released"
        because = f"no {which} value is known"
    elif scale == 0:
        because = "the real values do not vary"
    if because:
        return absent(name, because, _SOURCE, unit=unit, direction="lower is better")
    distance = wasserstein(known[REAL], known[RELEASED])
    value = distance.value / scale
    # beside its own spread, chance moves the distance by at most what it makes of equals
    reach = (NORMAL_95 * distance.standard_error + distance.by_chance) / scale
    control = None
    if len(known) > CONTROL and known[CONTROL].size:
        control = wasserstein(known[REAL], known[CONTROL]).value / scale
    return Figure(
        name=name,
        value=value,
        unit=unit,
        direction="lower is better",
        meaning="How far, on average, a value would have to go for the released numbers to be "
        "spread as the real ones, in interquartile ranges of the real ones.",
        source=_SOURCE,
        interval=(max(0.0, value - reach), value + reach),
        interval_method="95 %, normal, and what chance adds on either side (cautious)",
        control=control,
        not_shown="Missing and suppressed cells, which the Kolmogorov-Smirnov distance counts.",
    )


def _mean(name: str, figures: list[Figure], unit: str, meaning: str, source: str) -> Figure:
    computed = [one for one in figures if one.value is not None]
    if not computed:
        because = "no column is a number whose real values vary"
        return absent(name, because, source, unit=unit, direction="lower is better")
    controls = [one.control for one in computed if one.control is not None]
    ends = np.array([one.interval for one in computed], dtype=np.float64)
    return Figure(
        name=name,
        value=float(np.mean([one.value for one in computed if one.value is not None])),
        unit=unit,
        direction="lower is better",
        meaning=meaning,
        source=source,
        interval=(float(ends[:, 0].mean()), float(ends[:, 1].mean())),
        interval_method="95 %, mean of the columns' intervals (cautious)",
        control=float(np.mean(controls)) if controls else None,
    )
