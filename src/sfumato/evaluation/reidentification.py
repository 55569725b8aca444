"""Who could be found in a released table, from the sizes of its equivalence classes.

The attacker knows a person's quasi-identifiers and that the person is in the table (the
prosecutor). A class of ``size`` people then gives the right row away with probability 1 / size.
All figures are counts over the whole release: they carry no sampling error and no interval.

References
----------
K. El Emam, F. K. Dankar, "Protecting privacy using k-anonymity", JAMIA 15 (2008); F. K. Dankar,
K. El Emam, "A method for evaluating marketer re-identification risk", PAIS (2010); L. Sweeney,
"k-anonymity", IJUFKS 10 (2002).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sfumato.errors import PlanError, SchemaError, did_you_mean
from sfumato.evaluation.figures import Direction, Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["class_risks"]

_PROSECUTOR = "El Emam & Dankar 2008, prosecutor risk"
_EXACT = "exact: counted over the whole release"
_STAR = "*"
_LOWER: Direction = "lower is better"
_HIGHER: Direction = "higher is better"

_FIGURES: dict[str, tuple[str, str, Direction, str]] = {
    "smallest_class": (
        "smallest class",
        "people",
        _HIGHER,
        "Sweeney 2002, k-anonymity",
    ),
    "smallest_class_without_suppressed": (
        "smallest class, suppressed rows left out",
        "people",
        _HIGHER,
        "Sweeney 2002, k-anonymity",
    ),
    "classes": ("equivalence classes", "classes", _LOWER, "Sweeney 2002"),
    "suppressed": ("suppressed rows", "share", _LOWER, "Sweeney 2002, suppression"),
    "unique": ("rows that are alone", "share", _LOWER, "Sweeney 2002, sample uniques"),
    "prosecutor_highest": ("prosecutor risk, highest", "share", _LOWER, _PROSECUTOR),
    "prosecutor_average": ("prosecutor risk, average", "share", _LOWER, _PROSECUTOR),
    "at_risk": ("rows at risk", "share", _LOWER, _PROSECUTOR + ", share above a threshold"),
    "marketer": ("marketer risk", "share", _LOWER, "Dankar & El Emam 2010"),
}


def class_risks(
    released: pl.DataFrame,
    quasi_identifiers: Sequence[str],
    *,
    threshold: float = 0.2,
    person: str | None = None,
) -> dict[str, Figure]:
    """Return the re-identification risks of a released table.

    A missing value is a value of its own. A row whose quasi-identifiers are all ``*`` is
    suppressed: it counts as a member of the class of such rows, and figures that leave these rows
    out stand beside.

    Parameters
    ----------
    released
        The released table.
    quasi_identifiers
        Its columns that others may know of a person.
    threshold
        A row is at risk if it gives its person away with a higher probability than this, above 0,
        at most 1; 0.2 means a class of fewer than five.
    person
        Column that says whose row it is, if rows of one person may be several: classes then count
        people.

    Returns
    -------
    dict of Figure
        By key: ``smallest_class``, ``smallest_class_without_suppressed``, ``classes``,
        ``suppressed``, ``unique``, ``prosecutor_highest``, ``prosecutor_average``, ``at_risk``,
        ``marketer``. Without quasi-identifiers or rows every one says why it was not computed.

    Raises
    ------
    SchemaError
        If a column is absent.
    PlanError
        If the threshold is not above 0 and at most 1.

    Examples
    --------
    >>> released = pl.DataFrame({"age": ["20-30", "20-30", "*"], "sex": ["f", "f", "*"]})
    >>> risks = class_risks(released, ["age", "sex"])
    >>> risks["smallest_class"].value, risks["smallest_class_without_suppressed"].value
    (1.0, 2.0)
    """
    from sfumato.privacy import EquivalenceClasses

    if not 0 < threshold <= 1:
        raise PlanError(f"threshold is a probability above 0 and at most 1, not {threshold}")
    for name in (*quasi_identifiers, *([person] if person is not None else [])):
        if name not in released.columns:
            hint = did_you_mean(name, released.columns)
            raise SchemaError(f"The released table has no column {name!r}.{hint}")
    if not quasi_identifiers:
        return _none("the release has no quasi-identifiers")
    if released.is_empty():
        return _none("the release has no rows")
    classes = EquivalenceClasses.of(released, list(quasi_identifiers), person=person)
    sizes = classes.size_of_row()
    suppressed = _suppressed(released, quasi_identifiers)
    return _computed(sizes, classes.of_row, suppressed, threshold, of_people=person is not None)


def _computed(
    sizes: NDArray[np.int64],
    of_row: NDArray[np.int64],
    suppressed: NDArray[np.bool_],
    threshold: float,
    *,
    of_people: bool,
) -> dict[str, Figure]:
    risk = 1.0 / sizes
    kept = ~suppressed
    smallest = int(sizes.min())
    people = "people" if of_people else "rows"
    n_classes = int(np.unique(of_row).size)
    at_risk = float((risk > threshold * (1 + 1e-12)).mean())
    limit = int(np.ceil(1 / threshold - 1e-9))
    figures = {
        "smallest_class": _figure(
            "smallest_class",
            smallest,
            f"{_shared(smallest, people)} Suppressed rows count as one class.",
        ),
        "classes": _figure(
            "classes",
            n_classes,
            f"The release shows {n_classes:,} different combinations of quasi-identifiers.",
        ),
        "suppressed": _figure(
            "suppressed",
            float(suppressed.mean()),
            "Share of rows whose quasi-identifiers were all taken away (*).",
        ),
        "unique": _figure(
            "unique",
            float((sizes == 1).mean()),
            "Share of rows that are the only one with their quasi-identifiers: who knows these of "
            "a person finds the row.",
        ),
        "prosecutor_highest": _figure(
            "prosecutor_highest",
            1.0 / smallest,
            "Chance of an attacker who knows that a person is in the release, and the person's "
            "quasi-identifiers, to point at the right row, for the easiest person to find.",
        ),
        "prosecutor_average": _figure(
            "prosecutor_average", float(risk.mean()), "The same chance, on average over all rows."
        ),
        "at_risk": _figure(
            "at_risk",
            at_risk,
            f"Share of rows for which this chance is above {threshold:.3g}, that is, that share "
            f"their quasi-identifiers with fewer than {limit} {people}.",
        ),
        "marketer": _figure(
            "marketer",
            float(risk[kept].sum() / risk.size),
            "Share of all rows that an attacker who links the whole release to a register of the "
            "same people gets right; suppressed rows cannot be linked.",
        ),
    }
    key = "smallest_class_without_suppressed"
    if kept.any():
        without = int(sizes[kept].min())
        figures[key] = _figure(
            key,
            without,
            f"{_shared(without, people)} Suppressed rows are left out.",
        )
    else:
        figures[key] = _absent(key, "every row of the release is suppressed")
    return {name: figures[name] for name in _FIGURES}


def _shared(smallest: int, people: str) -> str:
    if smallest == 1:
        return "Some rows are the only ones with their quasi-identifiers."
    return f"Every row shares its quasi-identifiers with {smallest - 1:,} or more other {people}."


def _suppressed(released: pl.DataFrame, columns: Sequence[str]) -> NDArray[np.bool_]:
    texts = (pl.String, pl.Categorical, pl.Enum)
    if not all(isinstance(released[name].dtype, texts) for name in columns):
        return np.zeros(released.height, dtype=np.bool_)
    stars = pl.all_horizontal(
        pl.col(name).cast(pl.String).eq_missing(pl.lit(_STAR)) for name in columns
    )
    return np.asarray(released.select(stars).to_series().to_numpy())


def _figure(key: str, value: float, meaning: str) -> Figure:
    name, unit, direction, source = _FIGURES[key]
    return Figure(name, float(value), unit, direction, meaning, source, interval_method=_EXACT)


def _absent(key: str, because: str) -> Figure:
    name, unit, direction, source = _FIGURES[key]
    return Figure.not_computed(name, because, unit=unit, direction=direction, source=source)


def _none(because: str) -> dict[str, Figure]:
    return {key: _absent(key, because) for key in _FIGURES}
