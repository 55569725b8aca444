"""Who could be found in a released table, from the sizes of its equivalence classes.

The attacker knows a person's quasi-identifiers and that the person is in the table (the
prosecutor). A class of ``size`` people then gives the right row away with probability 1 / size.
Who knows only that the person is in a population (the journalist) must choose among its people.
All figures are counts over the whole release: they carry no sampling error and no interval, but
for averages over wildcards in tables where not all rows can be compared.

References
----------
K. El Emam, F. K. Dankar, "Protecting privacy using k-anonymity", JAMIA 15 (2008); F. K. Dankar,
K. El Emam, "A method for evaluating marketer re-identification risk", PAIS (2010); L. Sweeney,
"k-anonymity", IJUFKS 10 (2002); M. Templ, A. Kowarik, B. Meindl, "Statistical disclosure control
for micro-data using the R package sdcMicro", Journal of Statistical Software 67(4) (2015).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sfumato.errors import PlanError, SchemaError, did_you_mean
from sfumato.evaluation.attackers import (
    Attack,
    attack,
    matches_in_population,
    suppressed_rows,
    wildcard_matches,
)
from sfumato.evaluation.class_sizes import POLICY_SIZES
from sfumato.evaluation.compatible_rows import Compatible
from sfumato.evaluation.estimates import wilson
from sfumato.evaluation.figures import Direction, Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sfumato.privacy import EquivalenceClasses

__all__ = ["class_risks"]

_PROSECUTOR = "El Emam & Dankar 2008, prosecutor risk"
_EXACT = "exact: counted over the whole release"
_JOURNALIST = "El Emam & Dankar 2008, journalist risk"
_WILDCARDS = "Templ, Kowarik & Meindl 2015, section 3.1, missing values match every value"
_MATCHING = ", * and missing match every value"
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
    "journalist_highest": ("journalist risk, highest", "share", _LOWER, _JOURNALIST),
    "journalist_average": ("journalist risk, average", "share", _LOWER, _JOURNALIST),
    "journalist_at_risk": (
        "rows at risk from the journalist",
        "share",
        _LOWER,
        _JOURNALIST + ", share above a threshold",
    ),
    "wildcard_smallest": ("smallest class" + _MATCHING, "people", _HIGHER, _WILDCARDS),
    "wildcard_highest": ("prosecutor risk, highest" + _MATCHING, "share", _LOWER, _WILDCARDS),
    "wildcard_average": ("prosecutor risk, average" + _MATCHING, "share", _LOWER, _WILDCARDS),
    "wildcard_at_risk": ("rows at risk" + _MATCHING, "share", _LOWER, _WILDCARDS),
    **{
        f"below_{size}": (
            f"rows in classes smaller than {size:,}",
            "share",
            _LOWER,
            "El Emam & Arbuckle 2013, chapter 2, least cell sizes",
        )
        for size in POLICY_SIZES
        if size > 1
    },
}
# What is not computed without quasi-identifiers; the others are then left out.
_FIRST = (
    "smallest_class",
    "smallest_class_without_suppressed",
    "classes",
    "suppressed",
    "unique",
    "prosecutor_highest",
    "prosecutor_average",
    "at_risk",
    "marketer",
)


def class_risks(
    released: pl.DataFrame,
    quasi_identifiers: Sequence[str],
    *,
    threshold: float = 0.2,
    person: str | None = None,
    population: pl.DataFrame | None = None,
    classes: EquivalenceClasses | None = None,
) -> dict[str, Figure]:
    """Return the re-identification risks of a released table.

    A missing value is a value of its own. A row whose quasi-identifiers are all ``*`` is
    suppressed: it counts as a member of the class of such rows, and figures that leave these rows
    out stand beside. Where cells are suppressed or missing, further figures let them match every
    value, as an attacker must who does not know what they hid.

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
    population
        The people that the release was drawn from, its own among them, generalized as it is: a
        register, or the anonymized table before it was sampled. With it the journalist's figures
        are computed, and the marketer links the release to it.
    classes
        The equivalence classes of the release by these quasi-identifiers, if made already.

    Returns
    -------
    dict of Figure
        By key: ``smallest_class``, ``smallest_class_without_suppressed``, ``classes``,
        ``suppressed``, ``unique``, ``prosecutor_highest``, ``prosecutor_average``, ``at_risk``,
        ``marketer``, which without quasi-identifiers or rows say why they were not computed;
        ``journalist_highest``, ``journalist_average``, ``journalist_at_risk`` with a population;
        ``wildcard_smallest``, ``wildcard_highest``, ``wildcard_average``, ``wildcard_at_risk``
        where a cell is ``*`` or missing (averages over a sample, with an interval, where cells are
        hidden in too many ways to compare all rows); ``below_2`` to ``below_1000``.

    Raises
    ------
    SchemaError
        If a column is absent.
    DataError
        If the population does not hold the release.
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
    if classes is None:
        classes = EquivalenceClasses.of(released, list(quasi_identifiers), person=person)
    sizes = classes.size_of_row()
    suppressed = suppressed_rows(released, quasi_identifiers)
    of_people = person is not None
    matches = (
        None
        if population is None
        else matches_in_population(released, population, quasi_identifiers, person=person)
    )
    wild = wildcard_matches(released, quasi_identifiers, person=person, of_row=classes.of_row)
    found = {
        **_computed(sizes, len(classes), suppressed, threshold, matches, of_people=of_people),
        **({} if matches is None else _journalist(attack(matches, threshold), threshold)),
        **({} if wild is None else _matching(wild, threshold, of_people=of_people)),
        **_below(sizes, suppressed, of_people=of_people),
    }
    return {name: found[name] for name in _FIGURES if name in found}


def _computed(
    sizes: NDArray[np.int64],
    n_classes: int,
    suppressed: NDArray[np.bool_],
    threshold: float,
    matches: NDArray[np.int64] | None,
    *,
    of_people: bool,
) -> dict[str, Figure]:
    prosecutor = attack(sizes, threshold)
    kept = ~suppressed
    linked = 1.0 / (sizes if matches is None else matches)
    register = "a register of the same people" if matches is None else "the population"
    smallest = int(sizes.min())
    people = "people" if of_people else "rows"
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
            prosecutor.highest,
            "Chance of an attacker who knows that a person is in the release, and the person's "
            "quasi-identifiers, to point at the right row, for the easiest person to find.",
        ),
        "prosecutor_average": _figure(
            "prosecutor_average", prosecutor.average, "The same chance, on average over all rows."
        ),
        "at_risk": _figure(
            "at_risk",
            prosecutor.at_risk,
            f"Share of rows for which this chance is above {threshold:.3g}, that is, that share "
            f"their quasi-identifiers with fewer than {limit} {people}.",
        ),
        "marketer": _figure(
            "marketer",
            float(linked[kept].sum() / linked.size),
            f"Share of all rows that an attacker who links the whole release to {register} gets "
            "right; suppressed rows cannot be linked.",
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
    return figures


def _journalist(found: Attack, threshold: float) -> dict[str, Figure]:
    return {
        "journalist_highest": _figure(
            "journalist_highest",
            found.highest,
            "Chance of an attacker who knows a person's quasi-identifiers, but not whether the "
            "person is in the release, to point at the right row: one of all people of the "
            "population who share them; for the easiest person to find.",
        ),
        "journalist_average": _figure(
            "journalist_average", found.average, "The same chance, on average over all rows."
        ),
        "journalist_at_risk": _figure(
            "journalist_at_risk",
            found.at_risk,
            f"Share of rows for which this chance is above {threshold:.3g}.",
        ),
    }


def _matching(wild: Compatible, threshold: float, *, of_people: bool) -> dict[str, Figure]:
    found, smallest = attack(wild.matches, threshold), int(wild.matches.min())
    people = "people" if of_people else "rows"
    figures = {
        "wildcard_smallest": _figure(
            "wildcard_smallest",
            smallest,
            f"Every row could be confused with {smallest - 1:,} or more other {people}, if what is "
            "suppressed or missing could be any value.",
        ),
        "wildcard_highest": _figure(
            "wildcard_highest",
            found.highest,
            "The prosecutor's chance for the easiest person to find, if a suppressed or missing "
            "cell could hide any value.",
        ),
        "wildcard_average": _figure(
            "wildcard_average", found.average, "The same chance, on average over all rows."
        ),
        "wildcard_at_risk": _figure(
            "wildcard_at_risk",
            found.at_risk,
            f"Share of rows for which this chance is above {threshold:.3g}.",
        ),
    }
    return figures if wild.exact else _of_sample(figures, wild, found)


def _of_sample(figures: dict[str, Figure], wild: Compatible, found: Attack) -> dict[str, Figure]:
    """Give averages over a sample their interval; the extremes are known only where it met one."""
    rows = len(wild.matches)
    how = f"of a random sample of {rows:,} rows, each compared with all"
    reach = 1.96 * float((1 / wild.matches).std()) / math.sqrt(rows)
    average = (max(found.average - reach, 0.0), min(found.average + reach, 1.0))
    at_risk = wilson(round(found.at_risk * rows), rows)
    sampled = {
        "wildcard_average": replace(
            figures["wildcard_average"], interval=average, interval_method=f"normal, {how}"
        ),
        "wildcard_at_risk": replace(
            figures["wildcard_at_risk"], interval=at_risk, interval_method=f"Wilson, {how}"
        ),
    }
    if wild.matches.min() > 1:
        because = (
            "so many cells are hidden in so many ways that only a sample of rows was compared with "
            "all; no row of it was alone"
        )
        for key in ("wildcard_smallest", "wildcard_highest"):
            figures[key] = _absent(key, because)
    return figures | sampled


def _below(
    sizes: NDArray[np.int64], suppressed: NDArray[np.bool_], *, of_people: bool
) -> dict[str, Figure]:
    shown, people = ~suppressed, "people" if of_people else "rows"
    return {
        f"below_{size}": _figure(
            f"below_{size}",
            float((shown & (sizes < size)).mean()),
            f"Share of all rows that share their quasi-identifiers with fewer than {size:,} "
            f"{people}, themselves among them; suppressed rows are not counted as such.",
        )
        for size in POLICY_SIZES
        if size > 1
    }


def _shared(smallest: int, people: str) -> str:
    if smallest == 1:
        return "Some rows are the only ones with their quasi-identifiers."
    return f"Every row shares its quasi-identifiers with {smallest - 1:,} or more other {people}."


def _figure(key: str, value: float, meaning: str) -> Figure:
    name, unit, direction, source = _FIGURES[key]
    return Figure(name, float(value), unit, direction, meaning, source, interval_method=_EXACT)


def _absent(key: str, because: str) -> Figure:
    name, unit, direction, source = _FIGURES[key]
    return Figure.not_computed(name, because, unit=unit, direction=direction, source=source)


def _none(because: str) -> dict[str, Figure]:
    return {key: _absent(key, because) for key in _FIRST}
