"""Equivalence classes: the rows that their quasi-identifiers cannot tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import SchemaError, did_you_mean
from sfumato.privacy.grouping import distinct, numbered, polars_frame
from sfumato.privacy.value_counts import ValueCounts
from sfumato.privacy.wildcards import gather_compatible, wild_cells

__all__ = ["EquivalenceClasses", "Matching", "ValueCounts"]

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

Matching = Literal["category", "wildcard"]
"""Whether a missing (or suppressed) cell is a value of its own, or matches every value."""

_SUPPRESSED = "*"


@dataclass(frozen=True, eq=False)
class EquivalenceClasses:
    """Rows grouped by equal quasi-identifiers.

    By default a missing value is a value of its own: two rows that both lack an age are equal
    there, and a lone row that lacks one is a class of one. Row labels of a data frame play no part.

    With ``missing="wildcard"`` a missing cell matches every value, as in the literature on
    statistical disclosure control. A class is still one distinct tuple, but its size is then the
    number of rows with which it may be confused, its own included, and so are the counts of its
    sensitive values: classes overlap and sizes no longer add up to the table, which is what
    :attr:`members` does.

    Parameters
    ----------
    of_row
        Class id of each row, shape (n_rows,); ids count from 0 in order of first appearance.
    sizes
        Size of each class, shape (n_classes,): its rows, or its distinct persons if
        ``counts_persons``.
    counts_persons
        Whether a class's size is its number of distinct persons.
    columns
        The quasi-identifiers that define the classes.
    missing
        ``"category"`` or ``"wildcard"``: what a missing cell of a quasi-identifier matches.
    suppressed
        The same for cells that hold ``*``.
    loss
        Share of a row's information that generalization took from each class, shape (n_classes,),
        0 to 1, where whoever made the classes knows it.

    Notes
    -----
    L. Sweeney, "k-anonymity: a model for protecting privacy", IJUFKS 10(5), 2002, section 3.
    Wildcards: M. Templ, A. Kowarik, B. Meindl, "Statistical disclosure control for micro-data
    using the R package sdcMicro", Journal of Statistical Software 67(4), 2015 (frequency counts
    with missing values); V. Ciriani, S. De Capitani di Vimercati, S. Foresti, P. Samarati,
    "k-anonymity", in Secure Data Management in Decentralized Systems, Springer, 2007 (suppressed
    cells).

    Examples
    --------
    >>> table = pl.DataFrame({"age": [30, 30, None, None, 41]})
    >>> EquivalenceClasses.of(table, ["age"]).sizes
    array([2, 2, 1])
    >>> EquivalenceClasses.of(table, ["age"], missing="wildcard").sizes
    array([4, 5, 3])
    """

    of_row: Integers
    sizes: Integers
    counts_persons: bool = False
    columns: tuple[str, ...] = ()
    missing: Matching = "category"
    suppressed: Matching = "category"
    _members: Integers | None = field(default=None, repr=False)
    _sensitive: Mapping[str, pl.Series | ValueCounts] = field(default_factory=dict, repr=False)
    _overall: Mapping[str, Integers] = field(default_factory=dict, repr=False)
    _person_of_row: Integers | None = field(default=None, repr=False)
    _quasi: pl.DataFrame | None = field(default=None, repr=False)
    _keys: pl.DataFrame | None = field(default=None, repr=False)
    _population: Integers | None = field(default=None, repr=False)
    loss: npt.NDArray[np.float64] | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        table: Any,
        columns: Sequence[str],
        *,
        sensitive: Sequence[str] = (),
        person: str | None = None,
        missing: Matching = "category",
        suppressed: Matching = "category",
    ) -> Self:
        """Group the rows of a table by equal values in ``columns``.

        Parameters
        ----------
        table
            A data frame of any kind that sfumato takes; Polars is used as it is.
        columns
            The quasi-identifiers. With none of them, all rows are one class.
        sensitive
            Columns whose values :meth:`sensitive_counts` will be asked for.
        person
            The column that says whose row it is; a class's size is then its number of distinct
            persons. Rows without a person count together as one person, so that a missing id never
            makes a class look larger.
        missing
            ``"category"``: a missing quasi-identifier is a value of its own. ``"wildcard"``: it
            matches every value.
        suppressed
            The same for cells that hold the text ``*``.

        Raises
        ------
        SchemaError
            If a named column is absent.
        """
        frame = polars_frame(table)
        named = [*columns, *sensitive, *([person] if person is not None else [])]
        for name in named:
            if name not in frame.columns:
                hint = did_you_mean(name, frame.columns)
                raise SchemaError(f"no column {name!r} in the table.{hint}")
        of_row, n_classes = numbered(frame, columns)
        persons = None if person is None else numbered(frame, [person])[0]
        held = of_row if persons is None else distinct(of_row, persons)[0]
        members = np.bincount(held, minlength=n_classes).astype(np.int64)
        kept = {name: frame[name] for name in sensitive}
        quasi = frame.select(columns)
        classes = cls(
            of_row,
            members,
            persons is not None,
            tuple(columns),
            missing,
            suppressed,
            members,
            kept,
            {},
            persons,
            quasi,
        )
        if not classes._wild.any():
            return classes
        return replace(classes, sizes=classes._confusable_sizes())

    @classmethod
    def from_counts(
        cls,
        sizes: npt.ArrayLike,
        of_row: npt.ArrayLike | None = None,
        *,
        persons: bool = False,
        sensitive: Mapping[str, ValueCounts] | None = None,
        overall: Mapping[str, npt.ArrayLike] | None = None,
        keys: pl.DataFrame | None = None,
        population: npt.ArrayLike | None = None,
        loss: npt.ArrayLike | None = None,
    ) -> Self:
        """Return classes whose sizes are already counted, as from distinct coded tuples.

        Parameters
        ----------
        sizes
            Size of each class, shape (n_classes,), each at least 1.
        of_row
            Class id of each row, shape (n_rows,); left out where no row needs to be told.
        persons
            Whether the sizes count distinct persons.
        sensitive
            For each sensitive column how often each value occurs in each class.
        overall
            For each sensitive column how often each value occurs in the whole table, shape
            (n_values,), against which t-closeness and its kin measure; default: the sum over the
            classes.
        keys
            The quasi-identifiers of each class (n_classes rows), where a criterion looks them up
            in a table of the population.
        population
            How many people of the population match each class, shape (n_classes,), where that is
            already counted; a criterion then does not read its table of the population.
        loss
            Share of a row's information that generalization took from each class, shape
            (n_classes,), 0 to 1; the cost-benefit criterion weighs it.

        Raises
        ------
        SchemaError
            If lengths do not agree.
        """
        rows = np.empty(0, dtype=np.int64) if of_row is None else np.asarray(of_row, np.int64)
        counted = np.asarray(sizes, dtype=np.int64)
        totals = {name: np.asarray(given, np.int64) for name, given in (overall or {}).items()}
        people = None if population is None else np.asarray(population, dtype=np.int64)
        for name, values in (sensitive or {}).items():
            _same_length(f"classes of column {name!r}", values.n_classes, len(counted))
            if name in totals:
                _same_length(f"overall of column {name!r}", len(totals[name]), len(values.labels))
        if keys is not None:
            _same_length("keys", keys.height, len(counted))
        if people is not None:
            _same_length("population", len(people), len(counted))
        lost = None if loss is None else np.asarray(loss, dtype=np.float64)
        if lost is not None:
            _same_length("loss", len(lost), len(counted))
        return cls(
            rows,
            counted,
            persons,
            () if keys is None else tuple(keys.columns),
            _sensitive=dict(sensitive or {}),
            _overall=totals,
            _keys=keys,
            _population=people,
            loss=lost,
        )

    def __len__(self) -> int:
        return len(self.sizes)

    @cached_property
    def smallest(self) -> int:
        """The size of the smallest class; 0 if there is no row."""
        return int(self.sizes.min()) if len(self.sizes) else 0

    @property
    def members(self) -> Integers:
        """How many rows (or persons) each class itself holds, shape (n_classes,).

        The same as the sizes, unless cells match every value.
        """
        return self.sizes if self._members is None else self._members

    @property
    def disjoint(self) -> bool:
        """Whether no row counts for two classes, so that sizes add up to the table."""
        return self.members is self.sizes

    def size_of_row(self) -> Integers:
        """Return the size of each row's class, shape (n_rows,)."""
        sizes: Integers = self.sizes[self.of_row]
        return sizes

    @cached_property
    def keys(self) -> pl.DataFrame | None:
        """The quasi-identifiers of each class (n_classes rows), or None if they are not known."""
        if self._keys is not None or self._quasi is None or not self.columns:
            return self._keys
        first = np.unique(self.of_row, return_index=True)[1]
        return self._quasi[first]

    @property
    def counted_population(self) -> Integers | None:
        """How many people of the population match each class, where that was handed over."""
        return self._population

    def sensitive_values(self, column: str) -> ValueCounts:
        """Return how often each value of a sensitive column occurs in each class, sparsely.

        Where persons are counted, a person who has the value in several rows of a class counts
        once; where cells match every value, the rows with which a class may be confused count.

        Raises
        ------
        SchemaError
            If the column was not among the ``sensitive`` columns.
        """
        if column not in self._sensitive:
            known = ", ".join(self._sensitive) or "none"
            raise SchemaError(f"column {column!r} was not named as sensitive here; named: {known}")
        if column not in self._counted:
            held = self._sensitive[column]
            self._counted[column] = held if isinstance(held, ValueCounts) else self._count(held)
        return self._counted[column]

    def sensitive_counts(self, column: str) -> Integers:
        """Return the counts of :meth:`sensitive_values` as an array (n_classes, n_values)."""
        return self.sensitive_values(column).dense()

    def overall(self, column: str) -> Integers:
        """Return how often each value of a sensitive column occurs in the whole table.

        Returns
        -------
        np.ndarray
            Shape (n_values,), in the order of the labels of :meth:`sensitive_values`: what was
            handed over, otherwise the sum over the classes (each row or person once a class).

        Raises
        ------
        SchemaError
            If the column was not among the ``sensitive`` columns.
        """
        values = self.sensitive_values(column)
        if column in self._overall:
            return self._overall[column]
        if self.disjoint:
            return values.totals
        own = self._sensitive[column]
        return values.totals if isinstance(own, ValueCounts) else self._count_own(own).totals

    def describe(self) -> str:
        """Return in words what the classes are and how missing and suppressed cells count."""
        unit = "persons" if self.counts_persons else "rows"
        by = f" by {', '.join(self.columns)}" if self.columns else ""
        ways = {"category": "is a value of its own", "wildcard": "matches every value"}
        return (
            f"{len(self):,} classes of {int(self.members.sum()):,} {unit}{by}; "
            f"a missing cell {ways[self.missing]}, a suppressed one (*) {ways[self.suppressed]}"
        )

    # -- counting ----------------------------------------------------------------------------

    @cached_property
    def _counted(self) -> dict[str, ValueCounts]:
        """What was counted so far: classes do not change, so it holds for good."""
        return {}

    @cached_property
    def _wild(self) -> Booleans:
        if (self.missing, self.suppressed) == ("category", "category") or self.keys is None:
            return np.zeros((len(self.sizes), 0), dtype=np.bool_)
        star = _SUPPRESSED if self.suppressed == "wildcard" else None
        return wild_cells(self.keys, missing=self.missing == "wildcard", suppressed=star)

    @cached_property
    def _codes(self) -> Integers:
        keys = pl.DataFrame() if self.keys is None else self.keys
        return np.column_stack([numbered(keys, [name])[0] for name in keys.columns])

    def _confusable_sizes(self) -> Integers:
        if self._person_of_row is None:
            ids = np.arange(len(self.members), dtype=np.int64)
            entries = pl.DataFrame({"tuple": ids, "count": self.members})
            found = gather_compatible(self._codes, self._wild, entries, [])
            return found["count"].to_numpy()
        classes, persons = distinct(self.of_row, self._person_of_row)
        entries = pl.DataFrame({"tuple": classes, "person": persons}).with_columns(count=1)
        found = gather_compatible(self._codes, self._wild, entries, ["person"])
        return np.bincount(found["tuple"].to_numpy(), minlength=len(self.members)).astype(np.int64)

    def _count_own(self, series: pl.Series) -> ValueCounts:
        """Count the values of each class's own rows."""
        values, n_values = numbered(series.to_frame(), [series.name])
        classes, of_pair = self.of_row, values
        if self._person_of_row is not None:
            classes, of_pair, _ = distinct(classes, values, self._person_of_row)
        keys, counts = np.unique(classes * max(n_values, 1) + of_pair, return_counts=True)
        labels = series.unique(maintain_order=True)
        classes, of_pair = np.divmod(keys, max(n_values, 1))
        return ValueCounts(classes, of_pair, counts.astype(np.int64), labels, len(self))

    def _count(self, series: pl.Series) -> ValueCounts:
        """Count the values of the rows with which each class may be confused."""
        own = self._count_own(series)
        if self.disjoint:
            return own
        if self._person_of_row is None:
            entries = pl.DataFrame({"tuple": own.classes, "value": own.values, "count": own.counts})
            found = gather_compatible(self._codes, self._wild, entries, ["value"])
        else:
            values = numbered(series.to_frame(), [series.name])[0]
            triples = distinct(self.of_row, values, self._person_of_row)
            entries = pl.DataFrame(dict(zip(("tuple", "value", "person"), triples, strict=True)))
            entries = entries.with_columns(count=1)
            found = gather_compatible(self._codes, self._wild, entries, ["value", "person"])
            found = found.group_by(["tuple", "value"]).agg(count=pl.len().cast(pl.Int64))
            found = found.sort(["tuple", "value"])
        classes, of_pair, counts = (found[name].to_numpy() for name in ("tuple", "value", "count"))
        return ValueCounts(classes, of_pair, counts, own.labels, len(self))


def _same_length(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise SchemaError(f"{what}: {found} entries, but {expected} are needed")
