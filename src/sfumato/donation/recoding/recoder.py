"""From the counts of cells to classes of at least k records, with little loss.

Two phases, after the published reference figures for this problem: (1) among all full-domain
levels, choose the one whose classes of at least k keep most, where a record that is left over is
priced at a weight; fix these classes; repeat on what is left. (2) Specialize: in every class, split
the column that gains most into its children of at least k; what is left of the class must be empty
or at least k, else the smallest of these children is given back.

What is opened
--------------
Of phase 1 the chosen levels and which of their groups hold k; of phase 2 the chosen column and
level of each class and which of its children are split off. All of it can be read off the recoding
that is released (its classes in their order), but for one thing: that a group which is *not* a
class holds fewer than k, or would have left fewer. The counts themselves, the losses and what was
not chosen stay hidden. With several ``weights`` the recoding of each is opened in this sense, and
of their losses only which is least.

Nothing here depends on the counts being right, but what comes of it does: whoever releases must
prove them, and count the records of each class again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from sfumato.donation.recoding.cell_domain import LOSS_UNIT, CellDomain
from sfumato.donation.recoding.numbers import Numbers
from sfumato.donation.recoding.recoding_tree import RecodingTree, Region
from sfumato.donation.recoding.splitting import split_classes
from sfumato.errors import InternalError

__all__ = ["recode"]

V = TypeVar("V")
Owners = npt.NDArray[np.int32]


def recode(
    numbers: Numbers[V],
    counts: V,
    domain: CellDomain,
    *,
    records: int,
    k: int,
    weights: Sequence[float] = (0.3, 0.6, 1.5),
) -> RecodingTree:
    """Return classes that hold at least k records each.

    Parameters
    ----------
    numbers
        The arithmetic: in the clear or on shares.
    counts
        How many records each cell holds, in the domain's shape; unsigned integers.
    domain
        The cells.
    records
        How many records there are, public.
    k
        Least size of a class, at least 1.
    weights
        What a record that is not in a class yet is priced at while levels are chosen, where a
        suppressed one costs 1: a low weight takes fine classes first, a high one takes many records
        first. The recoding of least loss is returned.

    Raises
    ------
    InternalError
        If a weight, k or the number of records is out of range.
    """
    if not weights or not all(0 < weight <= 4 for weight in weights) or k < 1:
        raise InternalError(f"weights must be above 0 and at most 4, k at least 1 (got {weights})")
    if (1 + max(weights)) * LOSS_UNIT * (records + 1) >= 2**31:
        raise InternalError(f"{records} records are more than losses of 31 bits can hold")
    if records < k:
        return RecodingTree(domain, ())
    task = _Task(numbers, counts, domain, records, k)
    trees = task.trees([round(weight * LOSS_UNIT) for weight in weights])
    return trees[0] if len(trees) == 1 else trees[task.best(trees)]


@dataclass(frozen=True, eq=False)
class _Groups(Generic[V]):
    """The groups of all levels side by side, those alone of which a cell is left.

    Attributes
    ----------
    choices
        The levels of the columns.
    present
        For each of them the flat places of its groups.
    starts
        For each the place of its first group in the arrays below.
    heavy, kept
        Whether each group holds k, and how many records it then keeps, else 0.
    some
        For each of the choices, whether it keeps any.
    """

    choices: Sequence[tuple[int, ...]]
    present: Sequence[npt.NDArray[np.intp]]
    starts: npt.NDArray[np.intp]
    heavy: V
    kept: V
    some: V


@dataclass(frozen=True, eq=False)
class _Task(Generic[V]):
    """Counts to be recoded."""

    numbers: Numbers[V]
    counts: V
    domain: CellDomain
    records: int
    k: int

    @property
    def width(self) -> int:
        """Bits of a count."""
        return self.records.bit_length()

    def trees(self, weights: Sequence[int]) -> list[RecodingTree]:
        """Return the recoding for each price of a record that is left over."""
        # nothing is taken yet, whatever the weight: these comparisons are made once
        first = self._grouped(np.ones(self.domain.shape, dtype=bool))
        return [self._tree(weight, first) for weight in weights]

    def _tree(self, weight: int, groups: _Groups[V]) -> RecodingTree:
        regions: list[Region] = []
        left = np.ones(self.domain.shape, dtype=bool)
        while (found := self._best_levels(groups, weight)) is not None:
            levels, heavy = found
            owner = np.full(self.domain.shape, -1, dtype=np.int32)
            numbered = np.full(heavy.shape, -1, dtype=np.int32)
            numbered[heavy] = np.arange(heavy.sum())
            owner[left] = self.domain.spread(numbered, levels)[left]
            step = [Region(levels, tuple(int(g) for g in place)) for place in np.argwhere(heavy)]
            regions += split_classes(
                self.numbers, self.counts, self.domain, owner, step, k=self.k, width=self.width
            )
            left &= owner < 0
            if not left.any():
                break
            groups = self._grouped(left)
        return RecodingTree(self.domain, tuple(regions))

    def _grouped(self, left: npt.NDArray[np.bool_]) -> _Groups[V]:
        """Count the records left in each group of each level, and compare with k."""
        choices = self.domain.levels()
        # a group of which no cell is left is empty, as all know
        present = [
            np.flatnonzero(self.domain.summed(left.astype(np.uint32), levels)) for levels in choices
        ]
        starts = np.cumsum([0, *(len(places) for places in present[:-1])])

        def summed(counts: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.unsignedinteger]:
            masked = np.where(left, counts, 0).astype(counts.dtype)
            return np.concatenate(
                [
                    self.domain.summed(masked, levels).ravel()[places]
                    for levels, places in zip(choices, present, strict=True)
                ]
            )

        counts = self.numbers.linear(summed, self.counts)
        heavy = self.numbers.at_least(counts, self.k, self.width)
        kept = self.numbers.times(counts, heavy)
        all_kept = self.numbers.linear(
            lambda kept: np.add.reduceat(kept, starts, dtype=kept.dtype), kept
        )
        some = self.numbers.at_least(all_kept, 1, self.width)
        return _Groups(choices, present, starts, heavy, kept, some)

    def _best_levels(
        self, groups: _Groups[V], weight: int
    ) -> tuple[tuple[int, ...], npt.NDArray[np.bool_]] | None:
        """Return the levels that keep most of the cells left, and which groups hold k; or None."""
        # what a kept record gains over one left over; negative, modulo 2^w, in a coarse class
        gains = np.concatenate(
            [
                weight - self.domain.loss(levels).ravel()[places]
                for levels, places in zip(groups.choices, groups.present, strict=True)
            ]
        )
        # any class beats none, whatever it costs
        bonus = LOSS_UNIT * self.records + 1

        def gained(
            kept: npt.NDArray[np.unsignedinteger], some: npt.NDArray[np.unsignedinteger]
        ) -> Any:
            priced = kept * gains.astype(kept.dtype)
            whole = np.add.reduceat(priced, groups.starts, dtype=kept.dtype)
            return whole + some * kept.dtype.type(bonus)

        most = (bonus + weight * self.records).bit_length()
        value = self.numbers.linear(gained, groups.kept, groups.some)
        place = int(self.numbers.place_of_greatest(value, most))
        levels, places = groups.choices[place], groups.present[place]
        chosen = slice(int(groups.starts[place]), int(groups.starts[place]) + len(places))
        flags = self.numbers.open(self.numbers.linear(lambda bits: bits[chosen], groups.heavy)) > 0
        if not flags.any():
            return None
        heavy = np.zeros(self.domain.loss(levels).shape, dtype=bool)
        heavy.reshape(-1)[places] = flags
        return levels, heavy

    def best(self, trees: Sequence[RecodingTree]) -> int:
        """Return the place of the recoding of least loss."""
        saved = []
        for tree in trees:
            gain = np.append(LOSS_UNIT - tree.losses(), 0)  # the last one: suppressed
            saved.append(gain[tree.owners()].astype(np.uint32))

        def whole(counts: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.unsignedinteger]:
            return np.array(
                [(counts * gain).sum(dtype=counts.dtype) for gain in saved], dtype=counts.dtype
            )

        most = (LOSS_UNIT * self.records).bit_length()
        return int(self.numbers.place_of_greatest(self.numbers.linear(whole, self.counts), most))
