"""How many rows stand in classes of which size, cut where policies draw their lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.evaluation.attackers import suppressed_rows

__all__ = ["POLICY_SIZES", "ClassBin", "ClassHistogram", "class_histogram", "histogram_of"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

POLICY_SIZES: dict[int, str] = {
    1: "alone",
    2: "two of a kind",
    3: "risk of 0.33 or less: a least class of 3, for recipients who are bound by contract",
    5: "risk of 0.2 or less: a least class of 5, the commonest rule",
    11: "risk of 0.09 or less: a least class of 11, EMA policy 0070 and Health Canada",
    20: "risk of 0.05 or less: a least class of 20, files for the public",
    50: "50 and more",
    100: "100 and more",
    1000: "1,000 and more",
}
"""Where bins of class sizes begin, and what is said of classes from there on.

K. El Emam, L. Arbuckle, "Anonymizing Health Data", O'Reilly 2013, chapter 2 (3, 5, 11, 20);
European Medicines Agency, external guidance on policy 0070, EMA/90915/2016 (0.09).
"""


@dataclass(frozen=True)
class ClassBin:
    """The classes of ``low`` to ``high`` people.

    Parameters
    ----------
    low, high
        Least and greatest size; None for no end.
    policy
        The line that is drawn at ``low``.
    classes, members
        Classes of these sizes, and the people in them, that of the suppressed rows among them.
    classes_without_suppressed, members_without_suppressed
        The same without the class of the suppressed rows.
    """

    low: int
    high: int | None
    policy: str
    classes: int
    members: int
    classes_without_suppressed: int
    members_without_suppressed: int

    @property
    def label(self) -> str:
        """The sizes in words: "1", "3 to 4", "1,000 or more"."""
        if self.high is None:
            return f"{self.low:,} or more"
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"


@dataclass(frozen=True)
class ClassHistogram:
    """The bins from small to large, all of them, and the size of the suppressed class.

    Parameters
    ----------
    bins
        One for each of :data:`POLICY_SIZES`.
    unit
        What sizes count: "rows" or "people".
    suppressed
        People in suppressed rows.
    """

    bins: tuple[ClassBin, ...]
    unit: str
    suppressed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the histogram as plain JSON values."""
        return asdict(self)


def class_histogram(
    released: pl.DataFrame, quasi_identifiers: Sequence[str], *, person: str | None = None
) -> ClassHistogram:
    """Return the histogram of the class sizes of a released table.

    Parameters
    ----------
    released
        The released rows.
    quasi_identifiers
        The columns that others may know, at least one.
    person
        Column that says whose row it is; sizes then count people.

    Raises
    ------
    SchemaError
        If a column is absent, or none is named.
    DataError
        If there are no rows.

    Examples
    --------
    >>> table = pl.DataFrame({"age": ["20-30"] * 6 + ["30-40"] * 2 + ["*"] * 2})
    >>> found = class_histogram(table, ["age"])
    >>> [(one.label, one.members, one.members_without_suppressed) for one in found.bins[1:4]]
    [('2', 4, 2), ('3 to 4', 0, 0), ('5 to 10', 6, 6)]
    """
    from sfumato.privacy import EquivalenceClasses

    if not quasi_identifiers:
        raise SchemaError("classes are made of quasi-identifiers: name at least one")
    for name in (*quasi_identifiers, *([person] if person is not None else [])):
        if name not in released.columns:
            hint = did_you_mean(name, released.columns)
            raise SchemaError(f"The released table has no column {name!r}.{hint}")
    if released.is_empty():
        raise DataError("the released table has no rows, so it has no classes")
    classes = EquivalenceClasses.of(released, list(quasi_identifiers), person=person)
    gone = np.zeros(len(classes.sizes), dtype=np.bool_)
    gone[classes.of_row[suppressed_rows(released, quasi_identifiers)]] = True
    return histogram_of(classes.sizes, gone, "rows" if person is None else "people")


def histogram_of(sizes: Integers, suppressed: Flags, unit: str) -> ClassHistogram:
    """Return the histogram of classes that are counted already.

    Parameters
    ----------
    sizes
        Shape (n_classes,), each at least 1.
    suppressed
        Which class is that of the suppressed rows, shape (n_classes,).
    unit
        What the sizes count.
    """
    lows = np.array(list(POLICY_SIZES), dtype=np.int64)
    place = np.searchsorted(lows, sizes, "right") - 1
    count = len(lows)
    kept = ~suppressed
    classes = np.bincount(place, minlength=count)
    members = np.bincount(place, sizes, count).astype(np.int64)
    classes_kept = np.bincount(place[kept], minlength=count)
    members_kept = np.bincount(place[kept], sizes[kept], count).astype(np.int64)
    highs = [*(int(low) - 1 for low in lows[1:]), None]
    bins = tuple(
        ClassBin(
            int(low),
            high,
            POLICY_SIZES[int(low)],
            int(classes[number]),
            int(members[number]),
            int(classes_kept[number]),
            int(members_kept[number]),
        )
        for number, (low, high) in enumerate(zip(lows, highs, strict=True))
    )
    return ClassHistogram(bins, unit, int(sizes[suppressed].sum()))
