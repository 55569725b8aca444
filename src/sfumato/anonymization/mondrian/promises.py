"""What every group that Mondrian makes must keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.anonymization.mondrian.people import People
from sfumato.errors import GuaranteeNotMet, PlanError
from sfumato.privacy import Criterion, EquivalenceClasses, SizeCriterion, ValueCounts

__all__ = ["Promises"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Promises:
    """Promises about each group by itself.

    Parameters
    ----------
    least
        Least number of people of a group.
    others
        What is promised about more than its size.
    overall
        For each sensitive column how often each value occurs in the whole table.
    """

    least: int
    others: tuple[Criterion, ...]
    overall: Mapping[str, Integers]

    @classmethod
    def of(cls, criteria: Iterable[Criterion], people: People) -> Self:
        """Return the promises, ready to be asked of groups of these people.

        Raises
        ------
        PlanError
            If a promise cannot be told from one group alone.
        GuaranteeNotMet
            If not even everybody together keeps one: no cut would mend that.
        """
        criteria = tuple(criteria)
        for criterion in criteria:
            _refuse(criterion)
        sizes = [one.smallest_size() for one in criteria if isinstance(one, SizeCriterion)]
        others = tuple(one for one in criteria if not isinstance(one, SizeCriterion))
        entries, weights = np.arange(len(people)), people.whole()
        one_group = np.zeros(len(people), dtype=np.int64)
        everybody = people.count(entries, weights, one_group, 1)
        needed = {name for one in others for name in one.columns}
        counts = {
            name: _counts(people, name, entries, weights, one_group, 1)
            for name in people.sensitive
            if name in needed
        }
        overall = {name: counted[0] for name, counted in counts.items()}
        promises = cls(max(sizes, default=1), others, overall)
        for criterion in others:
            alone = cls(1, (criterion,), overall)
            if not alone.kept(people, everybody, counts)[0]:
                raise GuaranteeNotMet(
                    f"{criterion.kind}: not even the whole table as a single class keeps it, so "
                    "no groups can; ask for less"
                )
        return promises

    def measured_against(self, classes: EquivalenceClasses, people: People) -> Self:
        """Return the same promises, measured against what all these classes hold together."""
        overall = {}
        for name in self.overall:
            labels = people.sensitive[name][1]
            values = classes.sensitive_values(name)
            counts = pl.DataFrame({"value": values.labels, "count": classes.overall(name)})
            found = pl.DataFrame({"value": labels}).join(
                counts, on="value", how="left", nulls_equal=True, maintain_order="left"
            )
            overall[name] = found["count"].fill_null(0).to_numpy()
        return replace(self, overall=overall)

    def hold(self, classes: EquivalenceClasses) -> bool:
        """Whether the release of these classes keeps what is promised about more than sizes."""
        return all(criterion.holds(classes) for criterion in self.others)

    def kept_parts(
        self,
        people: People,
        entries: Integers,
        weights: Integers,
        part: Integers,
        sizes: Integers,
    ) -> Flags:
        """Return which parts keep every promise.

        Parameters
        ----------
        people
            Who is in them.
        entries, weights, part
            Pieces, and the part of each, numbered from 0.
        sizes
            People of each part.
        """
        kept: Flags = sizes >= self.least
        if not self.others or not kept.any():
            return kept
        here = kept[part]
        dense = np.cumsum(kept) - 1
        counts = {
            name: _counts(
                people, name, entries[here], weights[here], dense[part[here]], int(kept.sum())
            )
            for name in self.overall
        }
        kept[kept] = self.kept(people, sizes[kept], counts)
        return kept

    def kept(self, people: People, sizes: Integers, counts: Mapping[str, Integers]) -> Flags:
        """Return which groups keep every promise.

        Parameters
        ----------
        people
            Whose sensitive values these are.
        sizes
            People of each group, shape (g,).
        counts
            For each sensitive column how often each value occurs, shape (g, n_values).
        """
        kept: Flags = sizes >= self.least
        if not self.others:
            return kept
        classes = EquivalenceClasses.from_counts(
            sizes,
            persons=people.persons is not None,
            sensitive={
                name: ValueCounts.of_dense(table, people.sensitive[name][1])
                for name, table in counts.items()
            },
            overall=self.overall,
        )
        for criterion in self.others:
            kept &= criterion.kept(classes)
        return kept

    def kept_cuts(
        self,
        people: People,
        entries: Integers,
        weights: Integers,
        group: Integers,
        cuts: Integers,
        sizes: tuple[Integers, Integers],
    ) -> Flags:
        """Return which cuts in two leave two parts that both keep every promise.

        Parameters
        ----------
        people
            Who is cut.
        entries, weights, group
            Pieces in the order along which they are cut, and their groups, numbered from 0 and
            never falling.
        cuts
            For each cut where its upper part begins, rising; several may cut one group.
        sizes
            People of the lower and of the upper part of each.
        """
        kept: Flags = (sizes[0] >= self.least) & (sizes[1] >= self.least)
        if not self.others or not len(cuts):
            return kept
        begins = np.zeros(len(entries), dtype=np.bool_)
        begins[cuts] = True
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        begins[starts] = True
        stretch = np.cumsum(begins) - 1
        n_stretches = int(stretch[-1]) + 1
        # the first stretch of each group, and that of the next group
        first = stretch[starts]
        after = np.append(first[1:], n_stretches)
        of_cut = group[cuts]
        lower, upper = {}, {}
        for name in self.overall:
            values, labels = people.sensitive[name]
            of_value = group * len(labels) + values[entries]
            forward, backward = people.new_people(entries, weights, of_value)
            shape = (n_stretches, len(labels))
            key = stretch * len(labels) + values[entries]
            first_held = np.bincount(key, forward, shape[0] * shape[1]).reshape(shape)
            last_held = np.bincount(key, backward, shape[0] * shape[1]).reshape(shape)
            zero = np.zeros((1, len(labels)))
            ahead = np.concatenate([zero, np.cumsum(first_held, axis=0)])
            behind = np.concatenate([zero, np.cumsum(last_held, axis=0)])
            lower[name] = (ahead[stretch[cuts]] - ahead[first[of_cut]]).astype(np.int64)
            upper[name] = (behind[after[of_cut]] - behind[stretch[cuts]]).astype(np.int64)
        return kept & self.kept(people, sizes[0], lower) & self.kept(people, sizes[1], upper)


def _refuse(criterion: Criterion) -> None:
    """Raise if a promise needs to know more than one group.

    Raises
    ------
    PlanError
        With the criterion's kind.
    """
    if not criterion.class_wise:
        raise PlanError(
            f"{criterion.kind} is a promise about the table as a whole; mondrian cuts each group "
            "by itself and takes promises about each class, such as k-anonymity or l-diversity"
        )
    if getattr(criterion, "population", None) is not None:
        raise PlanError(
            f"{criterion.kind} looks up finished classes in a table of the population, and "
            "mondrian's are not finished while it cuts: leave out the population, or use another "
            "technique"
        )


def _counts(
    people: People,
    column: str,
    entries: Integers,
    weights: Integers,
    group: Integers,
    groups: int,
) -> Integers:
    """Return how many people of each group have each value, shape (groups, n_values)."""
    values, labels = people.sensitive[column]
    width = max(len(labels), 1)
    key = group * width + values[entries]
    return people.count(entries, weights, key, groups * width).reshape(groups, width)
