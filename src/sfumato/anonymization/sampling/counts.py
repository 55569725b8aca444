"""What a sampling did, in counts: rows, classes, and how small the smallest became."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from sfumato.privacy import EquivalenceClasses

if TYPE_CHECKING:
    from sfumato.anonymization.sampling.stratified import StratifiedSampling

__all__ = ["SamplingCounts"]


@dataclass(frozen=True)
class SamplingCounts:
    """Rows and classes before and after a sampling.

    Sizes are counted in persons where the schema names a person column, else in rows. Numbers
    "without suppressed" leave the class of suppressed rows (``*`` in every quasi-identifier) out;
    they are None where no other class is left.

    Parameters
    ----------
    delete
        The share that was asked for.
    rows_before, rows_after
        Rows.
    classes_before, classes_after
        Equivalence classes that hold a member.
    smallest_before, smallest_after
        Members of the smallest class.
    smallest_before_without_suppressed, smallest_after_without_suppressed
        The same among the other classes.
    suppressed_before, suppressed_after
        Members of the suppressed class.
    k
        The size that was asked for, or None.
    classes_below_k
        Classes smaller than k that are left (None without k).
    classes_dropped
        Classes of which nobody is left.
    counts_persons
        Whether members are persons.
    """

    delete: float
    rows_before: int
    rows_after: int
    classes_before: int
    classes_after: int
    smallest_before: int
    smallest_after: int
    smallest_before_without_suppressed: int | None
    smallest_after_without_suppressed: int | None
    suppressed_before: int
    suppressed_after: int
    k: int | None
    classes_below_k: int | None
    classes_dropped: int
    counts_persons: bool

    @classmethod
    def of(
        cls,
        settings: StratifiedSampling,
        classes: EquivalenceClasses,
        left: npt.NDArray[np.int64],
        suppressed: npt.NDArray[np.bool_],
        kept: npt.NDArray[np.bool_],
    ) -> Self:
        """Count.

        Parameters
        ----------
        settings
            What was asked for.
        classes
            The classes before.
        left
            Members of each class after, shape (n_classes,).
        suppressed
            Which class is that of the suppressed rows, shape (n_classes,).
        kept
            Which rows are kept, shape (n,).
        """
        before, there = classes.sizes, left > 0
        return cls(
            delete=settings.delete,
            rows_before=len(kept),
            rows_after=int(kept.sum()),
            classes_before=len(before),
            classes_after=int(there.sum()),
            smallest_before=_smallest(before) or 0,
            smallest_after=_smallest(left[there]) or 0,
            smallest_before_without_suppressed=_smallest(before[~suppressed]),
            smallest_after_without_suppressed=_smallest(left[there & ~suppressed]),
            suppressed_before=int(before[suppressed].sum()),
            suppressed_after=int(left[suppressed].sum()),
            k=settings.k,
            classes_below_k=None
            if settings.k is None
            else int((there & (left < settings.k)).sum()),
            classes_dropped=int((~there).sum()),
            counts_persons=classes.counts_persons,
        )

    def describe(self) -> str:
        """Return what was done, as a phrase."""
        unit = "persons" if self.counts_persons else "rows"
        said = (
            f"{100 * self.delete:g} % of the {unit} of every class deleted by chance "
            f"({self.rows_before - self.rows_after:,} of {self.rows_before:,} rows; the smallest "
            f"class went from {self.smallest_before:,} to {self.smallest_after:,} {unit})"
        )
        if self.classes_dropped:
            said += f", {self.classes_dropped:,} classes left out whole"
        if self.classes_below_k:
            said += f", {self.classes_below_k:,} classes smaller than k = {self.k}"
        return said

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the counts that :meth:`to_dict` described."""
        return cls(**values)


def _smallest(sizes: npt.NDArray[np.int64]) -> int | None:
    return int(sizes.min()) if len(sizes) else None
