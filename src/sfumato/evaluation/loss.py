"""Information loss: how much less a release says about each cell than the table it was made from.

It is read off the released labels alone, so that the output of any tool can be measured, and
compared with what other tools report: the measures are those of ARX, Anonify and k-AnonML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy.typing as npt

from sfumato.errors import PlanError, did_you_mean
from sfumato.evaluation import loss_measures as of_cells
from sfumato.evaluation import loss_of_classes as of_classes
from sfumato.evaluation import loss_of_numbers as of_numbers
from sfumato.evaluation.loss_measures import Measured, Options
from sfumato.evaluation.released_cells import ReleasedCells, read_cells
from sfumato.table import Schema, take

__all__ = ["LOSS_MEASURES", "InformationLoss", "LossMeasure", "information_loss", "measure_cells"]


@dataclass(frozen=True)
class LossMeasure:
    """How a measure of information loss is called and defined.

    Parameters
    ----------
    title
        Its name in the literature.
    unit
        Of its values.
    meaning
        One sentence in plain words.
    source
        Where the definition comes from.
    function
        What computes it.
    """

    title: str
    unit: str
    meaning: str
    source: str
    function: Callable[[ReleasedCells, Options], Measured]


_ARX = "ARX, F. Prasser et al., Software: Practice and Experience 50, 2020"
_IYENGAR = "Iyengar, KDD 2002"

LOSS_MEASURES: Mapping[str, LossMeasure] = {
    "arithmetic": LossMeasure(
        "loss, arithmetic mean",
        "share",
        "How much of each column's hierarchy a released cell leaves open, 0 for the exact value "
        "and 1 for a suppressed cell, mean over rows and columns.",
        f"{_IYENGAR}, loss metric; {_ARX}",
        of_cells.arithmetic,
    ),
    "geometric": LossMeasure(
        "loss, geometric mean",
        "share",
        "The loss of each column, put together so that one column that is lost weighs less than "
        "in the arithmetic mean.",
        f"{_IYENGAR}, loss metric; {_ARX}, its default",
        of_cells.geometric,
    ),
    "sum": LossMeasure(
        "loss, sum over columns",
        "columns",
        "The loss of all columns added up: how many whole columns are lost.",
        f"{_IYENGAR}, loss metric; {_ARX}",
        of_cells.total,
    ),
    "maximum": LossMeasure(
        "loss of the column that loses most",
        "share",
        "The loss of the worst column.",
        f"{_IYENGAR}, loss metric; {_ARX}",
        of_cells.maximum,
    ),
    "ncp": LossMeasure(
        "normalized certainty penalty (NCP)",
        "share",
        "Leaves below a released value as a share of all leaves, 0 for an exact value, mean over "
        "rows and columns.",
        "Xu et al., KDD 2006; Gaballah et al., PoPETs 2024(3), section 6.2.1",
        of_cells.certainty_penalty,
    ),
    "gcp": LossMeasure(
        "global certainty penalty (GCP)",
        "share",
        "As the certainty penalty, but a column of numbers is measured by the width of what is "
        "shown as a share of its range, whether it has a hierarchy or not.",
        "Ghinita et al., VLDB 2007",
        of_cells.global_certainty_penalty,
    ),
    "granularity": LossMeasure(
        "granularity, mean share",
        "share",
        "Leaves below a released value as a share of all leaves, where an exact value is one "
        "leaf too. ARX's granularity is 1 minus the normalized value.",
        f"{_IYENGAR}, loss metric; {_ARX}",
        of_cells.granularity,
    ),
    "entropy": LossMeasure(
        "non-uniform entropy",
        "bits",
        "Bits that are missing to tell each cell's exact value from its released one, given how "
        "often the values occur; summed over all rows and columns.",
        "Gionis and Tassa, IEEE TKDE 21, 2009; " + _ARX,
        of_cells.entropy,
    ),
    "entropy-normalized": LossMeasure(
        "non-uniform entropy, normalized",
        "share",
        "Bits that are missing to tell each cell's exact value from its released one, as a share "
        "of the bits that are missing if all is suppressed.",
        "Gionis and Tassa, IEEE TKDE 21, 2009; " + _ARX,
        of_cells.entropy_normalized,
    ),
    "precision": LossMeasure(
        "precision lost",
        "share",
        "How far up its hierarchy a cell was moved: 0 for the exact value, 1 for a suppressed "
        "cell, mean over rows and columns. Sweeney's precision is 1 minus this.",
        "Sweeney, IJUFKS 10(5), 2002; ARX's generalization intensity is 1 minus this",
        of_cells.precision,
    ),
    "missings": LossMeasure(
        "suppressed cells",
        "share",
        "Share of the cells that show nothing.",
        _ARX,
        of_cells.missings,
    ),
    "discernibility": LossMeasure(
        "discernibility (DM)",
        "pairs",
        "With how many rows each row is confused, itself included, summed over all rows; a "
        "suppressed row is confused with every one.",
        "Bayardo and Agrawal, ICDE 2005",
        of_classes.discernibility,
    ),
    "discernibility-star": LossMeasure(
        "discernibility (DM*)",
        "pairs",
        "With how many rows each row is confused, itself included, summed over all rows; the "
        "suppressed rows are confused with each other only.",
        "Bayardo and Agrawal, ICDE 2005; " + _ARX,
        of_classes.discernibility_star,
    ),
    "aecs": LossMeasure(
        "average class size (AECS)",
        "rows",
        "Rows for each equivalence class; the suppressed rows are one class.",
        "LeFevre, DeWitt and Ramakrishnan, ICDE 2006",
        of_classes.average_class_size,
    ),
    "ambiguity": LossMeasure(
        "ambiguity (AM)",
        "combinations",
        "How many combinations of exact values a released row could stand for, mean over rows.",
        "Goldberger and Tassa, Transactions on Data Privacy 3, 2010; " + _ARX,
        of_classes.ambiguity,
    ),
    "kl": LossMeasure(
        "Kullback-Leibler divergence",
        "bits",
        "Bits by which the distribution of exact rows differs from the one that the release "
        "tells, if within a class every combination is held to be as likely.",
        "Machanavajjhala et al., l-diversity, ACM TKDD 1(1), 2007; " + _ARX,
        of_classes.kullback_leibler,
    ),
    "classification": LossMeasure(
        "classification metric (CM)",
        "share",
        "Share of rows that are suppressed, or whose target is not the commonest in their class: "
        "what a learner that sees only classes must get wrong.",
        f"{_IYENGAR}, classification metric",
        of_classes.classification,
    ),
    "squared-error": LossMeasure(
        "squared error of numbers",
        "share",
        "Squared distance of the real numbers from the middle of what is shown, as a share of "
        "their variance; a suppressed number is read as the mean, which makes 1.",
        "Domingo-Ferrer and Mateo-Sanz, IEEE TKDE 14(1), 2002",
        of_numbers.squared_error,
    ),
    "record-squared-error": LossMeasure(
        "squared error of records",
        "share",
        "Squared distance of each real row from what is shown of it: numbers by the range of their "
        "column, other cells by their certainty penalty, a suppressed cell as 1; mean over columns "
        "and rows.",
        f"Sánchez, Martínez and Domingo-Ferrer, Science 351(6279), 2016; {_ARX}",
        of_numbers.record_squared_error,
    ),
    "sse-sst": LossMeasure(
        "squares within classes (SSE/SST)",
        "share",
        "How much the real numbers of one class differ, as a share of how much they differ in the "
        "whole table, mean over columns.",
        "Domingo-Ferrer and Mateo-Sanz, IEEE TKDE 14(1), 2002",
        of_numbers.sum_of_squares_within,
    ),
}
"""The measures by name."""


@dataclass(frozen=True)
class InformationLoss:
    """How much a release lost; ``float(loss)`` is its value.

    Parameters
    ----------
    value
        The loss of the whole; lower is better.
    columns
        The loss of each quasi-identifier; empty where the measure knows only the whole.
    measure
        Which measure.
    suppressed_rows
        Released rows whose quasi-identifiers are all suppressed; they are part of every figure.
    meaning
        One sentence in plain words.
    unit
        "share" for 0 to 1, or what is counted.
    least, most
        The value of the unchanged table, and of one whose rows are all suppressed.
    source
        Where the definition comes from.

    Examples
    --------
    >>> import polars as pl
    >>> from sfumato.table import Hierarchy
    >>> ages = Hierarchy.mapping({"20": "20-29", "25": "20-29", "30": "30-39", "35": "30-39"})
    >>> schema = Schema(quasi_identifiers={"age": ages})
    >>> real = pl.DataFrame({"age": [20, 25, 30, 35]})
    >>> released = pl.DataFrame({"age": ["20-29", "20-29", "30", "*"]})
    >>> loss = information_loss(real, released, schema)
    >>> round(loss.value, 4), loss.suppressed_rows
    (0.4167, 1)
    """

    value: float
    columns: Mapping[str, float]
    measure: str
    suppressed_rows: int
    meaning: str
    unit: str = "share"
    least: float = 0.0
    most: float = 1.0
    source: str = field(default="", repr=False)

    def __float__(self) -> float:
        return self.value

    @property
    def normalized(self) -> float:
        """The value between 0 (unchanged) and 1 (all rows suppressed)."""
        room = self.most - self.least
        return (self.value - self.least) / room if room > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the loss as plain JSON values."""
        return {**asdict(self), "columns": dict(self.columns), "normalized": self.normalized}


def information_loss(
    real: Any,
    released: Any,
    schema: Schema,
    measure: str = "arithmetic",
    *,
    key: str | None = None,
    target: str | None = None,
    gs_factor: float = 0.5,
    weights: npt.ArrayLike | None = None,
    columns: Sequence[str] | None = None,
) -> InformationLoss:
    """Return how much information a release lost, whoever made it.

    It is read off the released labels: labels of the schema's hierarchies at any level, ``*``,
    intervals, sets, exact values; all may be mixed within a column. A cell that is missing in the
    release but not in the real table is suppressed. A quasi-identifier that was not released is
    suppressed in every row.

    Parameters
    ----------
    real
        The rows that the release was made from, a frame of any kind; also the domain of columns
        without a listed hierarchy.
    released
        The released rows, in the order of the real ones (or see ``key``). In a sample only the
        measures that need no pairing can be computed.
    schema
        The schema of the real rows: its quasi-identifiers are measured, by their hierarchies.
        Numbers without one are measured by the width of the interval shown.
    measure
        One of the names in ``LOSS_MEASURES``; "arithmetic" is ARX's Loss.
    key
        A column of both tables that says which rows belong together.
    target
        For "classification": the column whose classes must stay apart; the schema's by default.
    gs_factor
        For the four of ARX's Loss: 0 to 1, 0.5 weighs generalization and suppression alike.
    weights
        How many people each released row stands for, such as the size of a class given as one row;
        shape (n,), at least 0.
    columns
        Which quasi-identifiers to measure; all by default.

    Raises
    ------
    PlanError
        If the measure is unknown, or the gs-factor cannot be applied to this release.
    SchemaError
        If a column is absent or the measure needs what the schema does not give.
    DataError
        If a released label is none of its column (it is counted, never shown), or rows would have
        to be paired and cannot be.

    Notes
    -----
    Loss: the share of a value is leaves of the hierarchy below it / all leaves D of the
    hierarchy, 1 for a suppressed row; a column loses (mean share - 1/D) / (1 - 1/D); the geometric
    mean of m columns is ``prod(loss + 1) ** (1/m) - 1``. A suppressed row of a full-domain
    recoding counts share + s (1 - share) with s = min(2 gs_factor, 1).
    """
    real_rows, released_rows = take(real)[0], take(released)[0]
    cells = read_cells(real_rows, released_rows, schema, columns=columns, key=key, weights=weights)
    return measure_cells(
        cells, measure, Options(gs_factor=gs_factor, target=target or schema.target)
    )


def measure_cells(cells: ReleasedCells, measure: str, options: Options) -> InformationLoss:
    """Return one measure of a release that was read before.

    Raises
    ------
    PlanError
        If the measure is unknown.
    """
    if measure not in LOSS_MEASURES:
        hint = did_you_mean(measure, LOSS_MEASURES)
        known = ", ".join(LOSS_MEASURES)
        raise PlanError(f"unknown measure of information loss {measure!r}.{hint} Known: {known}")
    described = LOSS_MEASURES[measure]
    found = described.function(cells, options)
    return InformationLoss(
        value=found.value,
        columns=found.columns,
        measure=measure,
        suppressed_rows=int(cells.suppressed.sum()),
        meaning=described.meaning,
        unit=described.unit,
        least=found.least,
        most=found.most,
        source=described.source,
    )
