"""Clustering: groups of at least k people who are near to each other share their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from sfumato.anonymization.class_recoding import ClassRecoding
from sfumato.anonymization.people_coding import CodedPeople
from sfumato.anonymization.promised import Promised
from sfumato.anonymization.suppression import refuse_small_table
from sfumato.errors import PlanError, did_you_mean
from sfumato.privacy import Criteria, Criterion
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Schema

__all__ = [
    "OKA",
    "Clustering",
    "KMember",
    "KNNCluster",
    "TopDownGreedy",
    "checked_weights",
    "promised_by",
]

_K = 5


class Clustering(Settings):
    """What the clusterings have in common.

    The distance of people is what it costs to say them by common labels: per column the leaves
    below the lowest common ancestor as a share of all, 0 for an exact value (NCP); for numbers and
    dates without a hierarchy the width of the interval as a share of the range. Every class has at
    least k people; classes that break a further criterion are joined with their nearest until all
    keep it. Nothing is suppressed. A missing value is a value of its own, below ``*`` only.

    The cost of these algorithms grows with the square of the table. A table of more different
    entries than ``block`` is cut first, as by Mondrian, and clustered block by block.

    Parameters
    ----------
    k
        Least number of people of a class: persons where the schema names a person column, else
        rows. 5 if neither it nor ``criteria`` is given.
    criteria
        What every class keeps besides.
    weights
        For some quasi-identifiers how much their exactness counts; 1 for any other.
    block
        Most entries (different combinations of quasi-identifiers) that are clustered at once.
    seed
        For what is drawn: seeds and orders. It is no secret: nothing is added to a value.
    suppression_limit
        Largest share of the rows, 0 to 1, that may be suppressed; as none is, every limit is kept.
    """

    algorithm: ClassVar[str]
    words: ClassVar[str]

    k: int | None = Field(default=None, ge=2)
    criteria: Criteria = ()
    weights: dict[str, float] = Field(default_factory=dict)
    block: int = Field(default=4096, ge=2)
    seed: int = Field(default=0, ge=0)
    suppression_limit: float = Field(default=1.0, ge=0, le=1)

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> ClassRecoding:
        """Find the classes.

        Raises
        ------
        PlanError
            If k is larger than the table, ``weights`` names no quasi-identifier, or
            differential privacy is asked for.
        SchemaError
            If the schema does not fit the table or has no quasi-identifier.
        HierarchyError
            If a column holds a value that its hierarchy does not hold.
        GuaranteeNotMet
            If a criterion is broken even when all people are one class.
        """
        from sfumato.anonymization.clustering.measure import tables_of
        from sfumato.anonymization.clustering.merging import merge_until_kept
        from sfumato.anonymization.clustering.running import ALGORITHMS, cluster

        full = schema.check(table)
        promised = promised_by(self.k, self.criteria)
        people = CodedPeople.of(table, full, promised.criteria)
        k = max(promised.k, 2)  # nobody is a class alone, whatever is promised
        refuse_small_table(k, people.n_people, counts_persons=full.person is not None)
        tables = tables_of(people.scales, checked_weights(self.weights, people.names))
        placement, blocks = cluster(
            ALGORITHMS[self.algorithm],
            tables,
            people,
            k,
            self.block,
            self.seed,
            lambda done, total: progress("clustering people", done, total),
        )
        criteria = promised.criteria
        placement = merge_until_kept(tables, people, placement, criteria, table, full, progress)
        words, notes = self.words, []
        if blocks > 1:
            words += f" in {blocks:,} blocks"
            note = (
                f"the table has {len(people):,} different entries, more than block = "
                f"{self.block:,}, so it was cut into {blocks:,} blocks of similar people first and "
                "each was clustered by itself"
            )
            notes.append(note)
        return ClassRecoding.of(table, people, placement, full, criteria, words, notes)


class TopDownGreedy(Clustering):
    """Part everybody in two around two people who are far apart, again and again, down to k.

    Notes
    -----
    J. Xu, W. Wang, J. Pei, X. Wang, B. Shi, A. Fu, "Utility-based anonymization using local
    recoding", KDD 2006, section 4.2.
    """

    algorithm: ClassVar[str] = "top-down-greedy"
    words: ClassVar[str] = "top-down greedy clustering"


class KMember(Clustering):
    """Grow one class after the other, each from the person farthest from the seed before.

    Whoever widens the class least joins it, until it has k people.

    Notes
    -----
    J.-W. Byun, A. Kamra, E. Bertino, N. Li, "Efficient k-anonymization using clustering
    techniques", DASFAA 2007.
    """

    algorithm: ClassVar[str] = "k-member"
    words: ClassVar[str] = "k-member clustering"


class OKA(Clustering):
    """Give everybody in one pass to the nearest of n/k drawn seeds, then even out to k people.

    Notes
    -----
    J.-L. Lin, M.-C. Wei, "An efficient clustering method for k-anonymization", PAIS 2008 (one-pass
    k-means).
    """

    algorithm: ClassVar[str] = "oka"
    words: ClassVar[str] = "one-pass k-means clustering (OKA)"


class KNNCluster(Clustering):
    """Draw a person and put the k - 1 nearest to it in its class, until fewer than k are left.

    Those who are left go where they cost least.
    """

    algorithm: ClassVar[str] = "knn-cluster"
    words: ClassVar[str] = "k-nearest-neighbour clustering"


def checked_weights(given: dict[str, float], names: tuple[str, ...]) -> list[float]:
    """Return the weight of each quasi-identifier.

    Raises
    ------
    PlanError
        If a name is no quasi-identifier, or a weight is negative, or all are 0.
    """
    for name, weight in given.items():
        if name not in names:
            hint = did_you_mean(name, names)
            raise PlanError(f"weights: {name!r} is no quasi-identifier.{hint}")
        if not 0 <= weight < float("inf"):
            raise PlanError(f"weights: {name} = {weight}: a weight is 0 or more, and finite")
    weights = [float(given.get(name, 1.0)) for name in names]
    if not any(weights):
        raise PlanError("weights: all weights are 0, so nothing would be worth keeping")
    return weights


def promised_by(k: int | None, criteria: Sequence[Criterion]) -> Promised:
    """Return what a release of classes that follow the data is asked to keep.

    Parameters
    ----------
    k, criteria
        As the settings say; k is 5 if there is neither.

    Raises
    ------
    PlanError
        If differential privacy is among it.
    """
    promised = Promised.of(_K if k is None and not criteria else k, criteria)
    if any(one.kind == "differential-privacy" for one in promised.criteria):
        raise PlanError(
            "criteria: differential privacy needs a generalization that was fixed without looking "
            "at the data, and these classes follow it: take full-domain generalization with fixed "
            "levels"
        )
    return promised
