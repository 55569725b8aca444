"""OLA: the minimal k-anonymous full-domain generalizations, and the best of them by a metric."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl
from pydantic import Field

from sfumato.anonymization.lattice.choices import OlaMetric
from sfumato.anonymization.lattice.full_domain_recoding import FullDomainRecoding
from sfumato.anonymization.suppression import Suppressed
from sfumato.errors import GuaranteeNotMet
from sfumato.privacy import KAnonymity
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Schema

__all__ = ["OLA"]


class OLA(Settings):
    """Optimal lattice anonymization: a best one of the minimal k-anonymous generalizations.

    A combination of levels is minimal if it makes the table k-anonymous, with no more rows
    suppressed than allowed, while no finer combination does. All of them are found; a metric
    chooses. :class:`~sfumato.FullDomain` is not bound to minimal ones and loses less where a little
    more generalization saves many rows from suppression.

    Parameters
    ----------
    k
        Least number of people who share all quasi-identifiers; persons where the schema names a
        person column, else rows.
    suppression_limit
        Largest share of the rows, 0 to 1, that may be suppressed.
    metric
        "gweight": lowest sum of levels. "prec": lowest mean of level over height. "aecs": smallest
        average size of a kept class. "dm": discernibility (class size squared; a suppressed row
        costs the table). "ent": non-uniform entropy of the generalization. "none": no choice is
        made, and :meth:`fit_all` gives every minimal one; :meth:`fit` takes the first of them, by
        "gweight". Of equals, the one with the lowest sum of levels is taken, then the first.
    suppressed
        "star": a suppressed row carries ``*`` in every quasi-identifier; if fewer than k people
        would, further classes are suppressed with them. "drop": it is left out.
    minimum_levels, maximum_levels
        Least and greatest level of columns, 0 (exact) to the height of the hierarchy (``*``).

    Notes
    -----
    K. El Emam et al., "A globally optimal k-anonymity method for the de-identification of health
    data", JAMIA 16(5), 2009; the metrics as in D. Slijepcevic et al., "k-anonymity in practice",
    Computers & Security 111, 2021.
    """

    k: int = Field(default=5, ge=2)
    suppression_limit: float = Field(default=0.03, ge=0, le=1)
    metric: OlaMetric = "gweight"
    suppressed: Suppressed = "star"
    minimum_levels: dict[str, int] = Field(default_factory=dict)
    maximum_levels: dict[str, int] = Field(default_factory=dict)

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> FullDomainRecoding:
        """Find the minimal generalizations and choose one.

        One that has no room within the suppression limit for the rows that hide the suppressed ones
        is passed over; if none has, the minimal ones that suppress nobody are taken.

        Raises
        ------
        PlanError
            If k is larger than the table, or a setting does not fit it.
        SchemaError
            If the schema does not fit the table or has no quasi-identifier.
        HierarchyError
            If a column holds a value that its hierarchy does not hold.
        GuaranteeNotMet
            If no combination of levels is k-anonymous within the suppression limit.
        """
        for recoding in self._ranked(table, schema, progress):
            return recoding
        raise GuaranteeNotMet(
            f"k = {self.k}: no combination of levels that is allowed is k-anonymous with at most "
            f"{self.suppression_limit:.2%} of the rows suppressed; allow more suppression or more "
            "general levels"
        )

    def fit_all(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> tuple[FullDomainRecoding, ...]:
        """Return every minimal generalization, the best by the metric first.

        Raises
        ------
        PlanError, SchemaError, HierarchyError
            As :meth:`fit`.
        """
        return tuple(self._ranked(table, schema, progress))

    def _ranked(
        self, table: pl.DataFrame, schema: Schema, progress: Progress
    ) -> Iterator[FullDomainRecoding]:
        # compiled code is loaded where it is needed
        from sfumato.anonymization.lattice.full_domain_search import LatticeProblem
        from sfumato.anonymization.lattice.ola_search import ranked_recodings

        problem = LatticeProblem.of(
            table,
            schema,
            (KAnonymity(k=self.k),),
            self.suppression_limit,
            self.suppressed,
            minimum=self.minimum_levels,
            maximum=self.maximum_levels,
        )
        found = False
        for recoding in ranked_recodings(problem, self.metric, progress):
            found = True
            yield recoding
        if not found and problem.most_suppressed:
            nobody = replace(problem, most_suppressed=0)
            yield from ranked_recodings(nobody, self.metric, progress)
