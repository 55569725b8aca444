"""What deleting rows of each class does to an attacker: risk, and certainty to find anybody.

The population is the anonymized table before it was sampled. Of a class of s people n were kept:
who looks for one of them finds the right row with probability 1 / s if the person was kept at all,
and whether it was is certain only with probability n / s.

References
----------
S. A. Gaballah et al., "Anonify: decentralized dual-level anonymity for medical data donation",
PoPETs 2024(3), section 6.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.evaluation.attackers import as_texts
from sfumato.table import take
from sfumato.table.hierarchies.ladder import SUPPRESSED

__all__ = ["SamplingFigures", "SamplingRisk", "sampling_risk"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SamplingFigures:
    """Risk and certainty of a sample of an anonymized table, as shares of 0 to 1.

    Parameters
    ----------
    average_risk
        Sum over classes of n / s, by the people of the population: the share of the *original*
        people that an attacker finds who attacks all of them.
    average_risk_of_released
        The same sum by the people who were released: the risk of one who was kept.
    least_risk
        1 / s of the largest class, but 0 as soon as any class lost somebody: the person may not be
        there.
    highest_risk
        1 / s of the smallest class of the population; 0 only if nobody was released.
    highest_risk_of_released
        1 / s of the smallest class of which somebody was released.
    average_certainty, least_certainty, highest_certainty
        n / s: over all people, of the class that lost most, of the one that lost least.
    people, released
        People of the population and of the release.
    classes, classes_released
        Classes of the population, and those of which somebody was released.
    """

    average_risk: float
    average_risk_of_released: float
    least_risk: float
    highest_risk: float
    highest_risk_of_released: float
    average_certainty: float
    least_certainty: float
    highest_certainty: float
    people: int
    released: int
    classes: int
    classes_released: int


@dataclass(frozen=True)
class SamplingRisk:
    """The figures over all classes, and without the class of the suppressed rows.

    Parameters
    ----------
    with_suppressed
        Rows whose quasi-identifiers are all ``*`` are a class like any other, as published.
    without_suppressed
        Without that class, in the population and in the release; None if no other class is.
    unit
        What is counted: "rows" or "people".
    """

    with_suppressed: SamplingFigures
    without_suppressed: SamplingFigures | None
    unit: str

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        return asdict(self)


def sampling_risk(
    population: Any,
    released: Any,
    quasi_identifiers: Sequence[str],
    *,
    person: str | None = None,
) -> SamplingRisk:
    """Return the risk and the certainty of a sample of an anonymized table.

    Parameters
    ----------
    population
        The anonymized table before sampling, a frame of any kind.
    released
        What was kept of it. Given the population itself, nothing was deleted.
    quasi_identifiers
        The columns that make the classes, at least one; compared as texts.
    person
        A column of both tables that says whose row it is: people are counted instead of rows.

    Raises
    ------
    SchemaError
        If a column is absent or none is named.
    DataError
        If the population is empty, or the release is no part of it.

    Examples
    --------
    >>> whole = pl.DataFrame({"age": ["20-30"] * 4 + ["30-40"] * 2})
    >>> found = sampling_risk(whole, whole[[0, 1, 4]], ["age"]).with_suppressed
    >>> round(found.average_risk, 4), found.highest_risk, found.least_certainty
    (0.1667, 0.5, 0.5)
    """
    if not quasi_identifiers:
        raise SchemaError("classes are made of quasi-identifiers: name at least one")
    whole, kept = take(population)[0], take(released)[0]
    for table, what in ((whole, "population"), (kept, "released table")):
        for name in (*quasi_identifiers, *([person] if person is not None else [])):
            if name not in table.columns:
                hint = did_you_mean(name, table.columns)
                raise SchemaError(f"The {what} has no column {name!r}.{hint}")
    if whole.is_empty():
        raise DataError("the population has no rows, so nothing can have been drawn from it")
    before = _sizes(whole, quasi_identifiers, person)
    after = _sizes(kept, quasi_identifiers, person)
    keys = [name for name in before.columns if name != "size"]
    both = before.join(after, on=keys, how="full", coalesce=True, nulls_equal=True, suffix=" left")
    # in one order, so that sums round alike in every run
    both = both.sort(keys, nulls_last=True)
    counts = both.select("size", left=pl.col("size left").fill_null(0))
    strange = both.filter(pl.col("size").is_null() | (pl.col("size left") > pl.col("size")))
    if not strange.is_empty():
        raise DataError(
            f"{strange.height} classes of the release are larger than in the population, or are "
            "not in it: give the anonymized table that the release was drawn from"
        )
    starred = both.select(
        pl.all_horizontal(pl.col(key).eq_missing(pl.lit(SUPPRESSED)) for key in keys)
    ).to_series()
    sizes, left = counts["size"].to_numpy(), counts["left"].to_numpy()
    shown = ~starred.to_numpy()
    return SamplingRisk(
        with_suppressed=_figures(sizes, left),
        without_suppressed=_figures(sizes[shown], left[shown]) if shown.any() else None,
        unit="rows" if person is None else "people",
    )


def _sizes(table: pl.DataFrame, columns: Sequence[str], person: str | None) -> pl.DataFrame:
    keyed = as_texts(table, columns)
    size = pl.len()
    if person is not None:
        size = pl.col("person").n_unique()
        keyed = keyed.with_columns(table[person].alias("person"))
    keys = [name for name in keyed.columns if name != "person"]
    return keyed.group_by(keys).agg(size.cast(pl.Int64).alias("size"))


def _figures(sizes: Integers, left: Integers) -> SamplingFigures:
    """Return the figures of classes of ``sizes`` people of which ``left`` were kept."""
    people, released = int(sizes.sum()), int(left.sum())
    certainty = left / sizes
    there = left > 0
    found = float(certainty.sum())
    return SamplingFigures(
        average_risk=found / people,
        average_risk_of_released=found / released if released else 0.0,
        least_risk=float(1 / sizes.max()) if (left == sizes).all() else 0.0,
        highest_risk=float(1 / sizes.min()) if released else 0.0,
        highest_risk_of_released=float(1 / sizes[there].min()) if released else 0.0,
        average_certainty=released / people,
        least_certainty=float(certainty.min()),
        highest_certainty=float(certainty.max()),
        people=people,
        released=released,
        classes=len(sizes),
        classes_released=int(there.sum()),
    )
