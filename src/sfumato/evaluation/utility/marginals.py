"""Whether a release shows the same shares as the real rows, one, two and three columns at a time.

The distance of two tables of shares is the total variation distance: the share of rows that would
have to move. A small sample differs from a large one by chance alone, and in a table of many cells
by much: so the release's distance stands beside that of control people, and their difference is
taken between equally many rows of either.

References
----------
Levin & Peres, "Markov chains and mixing times" (2017), section 4.1; McKenna, Miklau & Sheldon,
"Winning the NIST contest", JPC 11 (2021) (marginals as the yardstick of a synthetic table); C.
McDiarmid, "On the method of bounded differences" (1989).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
import numpy.typing as npt

from sfumato.evaluation.figures import Figure
from sfumato.evaluation.intervals import around
from sfumato.evaluation.utility.binning import BinnedColumn, Codes
from sfumato.evaluation.utility.footing import CONTROL, REAL, RELEASED
from sfumato.evaluation.utility.records import Record, absent, random_stream
from sfumato.progress import Progress, silent

__all__ = ["Dependence", "MarginalDistance", "Marginals", "marginal_fidelity", "total_variation"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Combination = tuple[int, ...]

_WAYS = {1: "one-way", 2: "two-way", 3: "three-way"}
_SOURCE = "Levin & Peres 2017, section 4.1"
_WORST = 10
_EACH = 0.05  # of an interval on both sides
_MOST_CELLS = 2_000_000


@dataclass(frozen=True)
class MarginalDistance(Record):
    """The total variation distance of one marginal.

    Parameters
    ----------
    columns
        Its columns.
    value
        Between the real and the released rows, 0 to 1.
    control
        Between the real and the control rows; None without control.
    """

    columns: tuple[str, ...]
    value: float
    control: float | None


@dataclass(frozen=True)
class Marginals(Record):
    """How far the release's shares are from the real ones.

    Parameters
    ----------
    figures
        ``marginals/1_way`` (the mean), ``marginals/1_way/worst``, ``marginals/1_way/excess`` and
        the same for 2 and 3.
    one_way
        Every column, in the table's order.
    two_way, three_way
        The ten worst of each, worst first.
    counted
        How many marginals of one, two and three columns were compared.
    possible
        How many there are.
    """

    figures: dict[str, Figure]
    one_way: tuple[MarginalDistance, ...]
    two_way: tuple[MarginalDistance, ...]
    three_way: tuple[MarginalDistance, ...]
    counted: tuple[int, ...]
    possible: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Dependence:
    """How much one column tells of another, for each table: Theil's U.

    Parameters
    ----------
    uncertainty
        For each table a matrix of shape (columns, columns): the share of the row's column's
        uncertainty (entropy) that knowing the column's takes away, 0 to 1; NaN where the row's
        column does not vary.
    """

    uncertainty: tuple[Floats, ...]


def total_variation(first: Floats, second: Floats) -> float:
    """Return the total variation distance of two arrays of shares, each summing to 1."""
    return float(0.5 * np.abs(first - second).sum())


def marginal_fidelity(
    columns: Sequence[BinnedColumn],
    *,
    three_way: int = 200,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Marginals, Dependence]:
    """Compare the shares of one, two and three columns at a time.

    Parameters
    ----------
    columns
        At least one, over the real, the released and perhaps the control rows.
    three_way
        How many three-way marginals are drawn at random (all if there are fewer).
    seed
        Of drawing marginals, and rows for the excess.
    progress
        Told after each marginal.

    Returns
    -------
    tuple
        The distances, and what the two-way tables say of dependence.
    """
    tables = len(columns[0].codes)
    rows = [len(codes) for codes in columns[0].codes]
    some = _equal_rows(rows, seed) if tables > CONTROL else None
    figures: dict[str, Figure] = {}
    found: dict[int, list[MarginalDistance]] = {}
    counted, possible = [], []
    uncertainty = [np.full((len(columns),) * 2, np.nan) for _ in range(tables)]
    for way in _WAYS:
        chosen, of_all = _chosen(columns, way, three_way, seed)
        counted.append(len(chosen))
        possible.append(of_all)
        values, excess, reaches = [], [], []
        for done, combination in enumerate(chosen):
            progress(f"comparing {_WAYS[way]} marginals", done, len(chosen))
            joint = [_joint(columns, combination, table) for table in range(tables)]
            cells = math.prod(columns[place].size for place in combination)
            counts = [np.bincount(one, minlength=cells) for one in joint]
            shares = [one / max(n, 1) for one, n in zip(counts, rows, strict=True)]
            distance = total_variation(shares[REAL], shares[RELEASED])
            control = None
            if some is not None:
                control = total_variation(shares[REAL], shares[CONTROL])
                equal = [
                    distance
                    if at == RELEASED and rows[at] == len(taken)
                    else control
                    if at == CONTROL and rows[at] == len(taken)
                    else total_variation(
                        shares[REAL], np.bincount(joint[at][taken], minlength=cells) / len(taken)
                    )
                    for at, taken in some.items()
                ]
                excess.append(equal[0] - equal[1])
            reaches.append(_bias(shares, rows))
            names = tuple(columns[place].name for place in combination)
            values.append(MarginalDistance(names, distance, control))
            if way == 2:
                for table in range(tables):
                    _tell(uncertainty[table], combination, counts[table], columns)
        if chosen:
            progress(f"comparing {_WAYS[way]} marginals", len(chosen), len(chosen))
        found[way] = values
        figures |= _figures(way, values, excess, reaches, rows, some)
    return (
        Marginals(
            figures,
            one_way=tuple(found[1]),
            two_way=tuple(_worst(found[2])),
            three_way=tuple(_worst(found[3])),
            counted=tuple(counted),
            possible=tuple(possible),
        ),
        Dependence(tuple(uncertainty)),
    )


def _equal_rows(rows: list[int], seed: int) -> dict[int, Integers]:
    """Return as many rows of the release as of the controls."""
    size = min(rows[RELEASED], rows[CONTROL])
    random = random_stream(seed, "marginals", "rows")
    return {
        table: np.sort(random.choice(rows[table], size, replace=False))
        for table in (RELEASED, CONTROL)
    }


def _chosen(
    columns: Sequence[BinnedColumn], way: int, three_way: int, seed: int
) -> tuple[list[Combination], int]:
    width = len(columns)
    of_all = math.comb(width, way)
    if way < 3:
        return list(combinations(range(width), way)), of_all
    if three_way == 0:
        return [], of_all
    random = random_stream(seed, "marginals", "three-way")
    if of_all <= 200_000:
        drawn = np.sort(random.permutation(of_all)[:three_way])
        every = combinations(range(width), way)
        steps = np.diff(drawn, prepend=-1) - 1
        chosen = [next(islice(every, int(step), None)) for step in steps.tolist()]
    else:
        several = {
            tuple(sorted(random.choice(width, way, replace=False).tolist()))
            for _ in range(three_way)
        }
        chosen = sorted(several)
    return [
        one for one in chosen if math.prod(columns[place].size for place in one) <= _MOST_CELLS
    ], of_all


def _joint(columns: Sequence[BinnedColumn], combination: Combination, table: int) -> Codes:
    first, *others = combination
    code = columns[first].codes[table]
    for place in others:
        code = code * np.int32(columns[place].size) + columns[place].codes[table]
    return code


def _bias(shares: list[Floats], rows: list[int]) -> float:
    """Return how far, on average, chance alone moves both tables' shares (Jensen's inequality)."""
    return sum(
        0.5 * float(np.sqrt(shares[at] * (1 - shares[at]) / max(rows[at], 1)).sum())
        for at in (REAL, RELEASED)
    )


def _tell(
    uncertainty: Floats,
    pair: Combination,
    counts: npt.NDArray[np.intp],
    columns: Sequence[BinnedColumn],
) -> None:
    """Write Theil's U of a pair of columns, both ways, into the matrix."""
    first, second = pair
    table = counts.reshape(columns[first].size, columns[second].size)
    entropies = [_entropy(table.sum(axis=1)), _entropy(table.sum(axis=0))]
    shared = max(0.0, entropies[0] + entropies[1] - _entropy(counts))
    for own, other, entropy in ((first, second, entropies[0]), (second, first, entropies[1])):
        if entropy > 1e-12:
            uncertainty[own, other] = min(1.0, shared / entropy)
            uncertainty[own, own] = 1.0


def _entropy(counts: npt.NDArray[np.intp]) -> float:
    known = counts[counts > 0].astype(np.float64)
    n = known.sum()
    return float(np.log(n) - (known * np.log(known)).sum() / n) if n else 0.0


def _worst(values: list[MarginalDistance]) -> list[MarginalDistance]:
    return sorted(values, key=lambda one: (-one.value, one.columns))[:_WORST]


def _figures(
    way: int,
    values: list[MarginalDistance],
    excess: list[float],
    reaches: list[float],
    rows: list[int],
    some: dict[int, Integers] | None,
) -> dict[str, Figure]:
    key, called = f"marginals/{way}_way", f"{_WAYS[way]} marginals"
    mean_name = f"total variation distance of {called}, mean"
    excess_name = f"total variation distance of {called}, release less control at equal size"
    if not values:
        because = "none were asked for or there are too few columns"
        return {key: absent(mean_name, because, _SOURCE, unit="share", direction="lower is better")}
    mean = float(np.mean([one.value for one in values]))
    controls = [one.control for one in values if one.control is not None]
    beyond = sum(math.sqrt(math.log(2 / _EACH) / (2 * rows[at])) for at in (REAL, RELEASED))
    worst = _worst(values)[0]
    figures = {
        key: Figure(
            name=mean_name,
            value=mean,
            unit="share",
            direction="lower is better",
            meaning=f"On average over {len(values)} {called}, the share of rows that would have to "
            "move for the release to show the real shares.",
            source=_SOURCE,
            interval=around(mean, float(np.mean(reaches)) + beyond),
            interval_method="95 %, McDiarmid for both tables",
            control=float(np.mean(controls)) if controls else None,
            not_shown="Control rows may be fewer than released ones, and fewer rows differ more by "
            "chance: the excess at equal size tells them apart.",
        ),
        f"{key}/worst": Figure(
            name=f"total variation distance of {called}, worst",
            value=worst.value,
            unit="share",
            direction="lower is better",
            meaning=f"The one that differs most is that of {' x '.join(worst.columns)}.",
            source=_SOURCE,
            interval_method="none: compare with the control",
            control=worst.control,
        ),
    }
    if some is None:
        because = "there are no control rows"
        figures[f"{key}/excess"] = absent(
            excess_name, because, _SOURCE, unit="share", direction="lower is better"
        )
        return figures
    size = len(some[RELEASED])
    value = float(np.mean(excess))
    # a real row moves either distance by 1 / N, a released or a control row one of them by 1 / m
    reach = math.sqrt(math.log(2 / _EACH) / 2 * (2 / size + 4 / rows[REAL]))
    figures[f"{key}/excess"] = Figure(
        name=excess_name,
        value=value,
        unit="share",
        direction="lower is better",
        meaning="How much further than as many other real people the release is from the real "
        f"rows, {size} rows of either; 0 or less: no further than another sample of people.",
        source=_SOURCE,
        interval=(max(-1.0, value - reach), min(1.0, value + reach)),
        interval_method="95 %, McDiarmid for all three tables",
        baseline=0.0,
    )
    return figures
