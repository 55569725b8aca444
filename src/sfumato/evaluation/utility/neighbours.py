"""Whether the release lies where real people lie, and wherever they lie.

Around each real row a ball reaches to its k-th nearest real row. *Precision*: released rows within
some ball. *Density*: how many balls a released row is in, over k. *Coverage*: balls that hold a
released row. *Recall*: real rows within the balls of released ones. Distances are Gower's. Tables
of equal size are compared, since all four depend on it, and the control rows show what other real
people reach.

References
----------
Naeem, Oh, Uh, Choi & Yoo, "Reliable fidelity and diversity metrics for generative models", ICML
2020, sections 2 and 3; Kynkaanniemi et al., NeurIPS 2019 (precision and recall). Alaa et al., ICML
2022, discuss their weaknesses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.estimates import NORMAL_95, wilson
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.utility.footing import CONTROL, REAL, RELEASED, UtilityTables
from sfumato.evaluation.utility.gower import GowerRows, gower_distances, gower_rows
from sfumato.evaluation.utility.records import Record, absent, random_stream

__all__ = ["NeighbourShares", "Neighbourhood", "neighbour_coverage", "neighbour_shares"]

Floats32 = npt.NDArray[np.float32]

_SOURCE = "Naeem et al., ICML 2020, section 3"
_BLOCK = 500
_NAMES = {
    "precision": (
        "precision",
        "share",
        "Share of released rows that lie as near to a real person as real people do to each other.",
    ),
    "density": (
        "density",
        "times",
        "How many real people's neighbourhoods a released row lies in, over k: about 1 for people.",
    ),
    "recall": (
        "recall",
        "share",
        "Share of real people who lie as near to a released row as released rows do to each other.",
    ),
    "coverage": (
        "coverage",
        "share",
        "Share of real people in whose neighbourhood some released row lies.",
    ),
}


@dataclass(frozen=True)
class Neighbourhood(Record):
    """Whether released rows lie among the real ones.

    Parameters
    ----------
    figures
        ``coverage/precision``, ``coverage/density``, ``coverage/recall``, ``coverage/coverage``.
    rows
        Rows of each table that were compared.
    neighbours
        k.
    """

    figures: dict[str, Figure]
    rows: int
    neighbours: int


@dataclass(frozen=True)
class NeighbourShares:
    """The four measures, and the standard error of the density over the second table's rows."""

    precision: float
    density: float
    recall: float
    coverage: float
    density_error: float


def neighbour_coverage(
    tables: UtilityTables, *, neighbours: int = 5, most: int = 2_000, seed: int = 0
) -> Neighbourhood:
    """Compare the neighbourhoods of released and real rows.

    Parameters
    ----------
    tables
        On one footing.
    neighbours
        k, at least 1.
    most
        Most rows of each table, drawn at random.
    seed
        Of drawing rows.
    """
    size = min(most, *tables.rows)
    with_control = tables.has_control and size > neighbours
    if not with_control:
        size = min(most, *tables.rows[: RELEASED + 1])
    if size <= neighbours:
        because = f"there are no more than {neighbours} real or released rows"
        return Neighbourhood(
            {
                f"coverage/{key}": absent(
                    name, because, _SOURCE, unit=unit, direction="higher is better"
                )
                for key, (name, unit, _) in _NAMES.items()
            },
            size,
            neighbours,
        )
    rows = [
        np.sort(random_stream(seed, "coverage", str(at)).permutation(n)[:size])
        for at, n in enumerate(tables.rows)
    ]
    encoded = gower_rows(tables.take(rows).columns)
    found = neighbour_shares(encoded[REAL], encoded[RELEASED], neighbours)
    control = (
        neighbour_shares(encoded[REAL], encoded[CONTROL], neighbours) if with_control else None
    )
    figures = {}
    for key, (name, unit, meaning) in _NAMES.items():
        value = float(getattr(found, key))
        if key == "density":
            reach = NORMAL_95 * found.density_error
            interval = max(0.0, value - reach), value + reach
        else:
            interval = wilson(round(value * size), size)
        figures[f"coverage/{key}"] = Figure(
            name=f"{name}, {neighbours} neighbours",
            value=value,
            unit=unit,
            direction="higher is better",
            meaning=meaning,
            source=_SOURCE,
            interval=interval,
            interval_method="95 %, over the rows that are looked at, given the other table's: "
            + ("normal" if key == "density" else "Wilson"),
            control=None if control is None else float(getattr(control, key)),
            not_shown=f"It depends on the number of rows, here {size} of each table; copies of "
            "real rows score best.",
        )
    return Neighbourhood(figures, size, neighbours)


def neighbour_shares(real: GowerRows, other: GowerRows, neighbours: int) -> NeighbourShares:
    """Return precision, density, recall and coverage.

    Parameters
    ----------
    real, other
        Rows encoded together, each more than ``neighbours``.
    neighbours
        k. A row on the rim of a ball is in it: with categories, distances tie.
    """
    reach, other_reach = (_reach(rows, neighbours) for rows in (real, other))
    balls = np.zeros(len(other))
    covered, recalled = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for start in range(0, len(real), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(real)))
        apart = gower_distances(real.take(block), other)
        inside = apart <= reach[block, None]
        balls += inside.sum(axis=0)
        covered[block] = inside.any(axis=1)
        recalled[block] = (apart <= other_reach).any(axis=1)
    return NeighbourShares(
        precision=float((balls > 0).mean()),
        density=float(balls.mean()) / neighbours,
        recall=float(recalled.mean()),
        coverage=float(covered.mean()),
        density_error=float(balls.std() / neighbours / np.sqrt(len(balls))),
    )


def _reach(rows: GowerRows, neighbours: int) -> Floats32:
    """Return the distance of each row to its k-th nearest other one."""
    found = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(rows)))
        apart = gower_distances(rows.take(block), rows)
        apart[np.arange(len(block)), block] = np.inf
        found[block] = np.partition(apart, neighbours - 1, axis=1)[:, neighbours - 1]
    return found
