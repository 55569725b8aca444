"""Full-domain generalization: the same level for everybody, chosen to lose least."""

from __future__ import annotations

import polars as pl
from pydantic import Field, field_validator

from sfumato.anonymization.lattice.choices import LatticeLoss, LatticeSearch
from sfumato.anonymization.lattice.full_domain_recoding import FullDomainRecoding
from sfumato.anonymization.suppression import Suppressed
from sfumato.errors import PlanError
from sfumato.privacy import Criteria, Criterion, KAnonymity
from sfumato.progress import Progress, silent
from sfumato.settings import Settings
from sfumato.table import Schema

__all__ = ["FullDomain"]

_DEFAULT_K = 5


class FullDomain(Settings):
    """Generalize every quasi-identifier to one level of its hierarchy, the same for everybody.

    Of all combinations of levels that keep the criteria, with no more rows suppressed than
    allowed, the one is chosen that loses least. That is the optimum, not a guess: unless the
    search is told to stop early, it is proven that no other combination loses less. Of equals, the
    one with more classes is taken, then the one with finer levels. A column without a hierarchy is
    released exactly or as ``*``. Missing values are a value of their own.

    Parameters
    ----------
    k
        Least number of people who share all quasi-identifiers; persons where the schema names a
        person column, else rows. Left out, 5 if there are no criteria, otherwise what these say.
    criteria
        Further promises, all of which hold together.
    suppression_limit
        Largest share of the rows, 0 to 1, that may be suppressed: all rows of classes that do not
        keep the criteria.
    suppressed
        "star": a suppressed row carries ``*`` in every quasi-identifier, which are then texts.
        As these rows are a class too, further classes are suppressed, the cheapest first, until it
        keeps every criterion. "drop": a suppressed row is left out. As t-closeness and its kin
        are then measured against the rows that are left, classes that keep it against the whole
        table only are left out too.
    loss
        What is minimized. "arithmetic", "geometric", "sum", "max": share of the hierarchy's leaves
        below the released value, aggregated over the columns (ARX's Loss). "ncp": the same with 0
        for an exact value. "entropy": non-uniform entropy. "precision", "height": levels, relative
        or absolute. "discernibility", "aecs": class sizes. "ambiguity": combinations that a row may
        stand for. "kl": divergence from the table. "classification": rows that are not of their
        class's commonest target.
    weights
        Importance of columns in the loss, 0 or more; 1 where it is not said.
    gs_factor
        0: only generalization costs, 1: only suppression; ARX's slider. For the losses by share
        and for entropy.
    minimum_levels, maximum_levels
        Least and greatest level of columns, 0 (exact) to the height of the hierarchy (``*``).
    search
        "auto": "optimal" up to 100,000 combinations, "genetic" beyond. "optimal": to the end.
        "top-down", "best-first", "genetic": a heuristic first, then the search with proof, until a
        limit. The result says how far from the optimum it can be.
    check_limit
        Most combinations that are counted; by default as many as it takes, and 5,000 for a
        heuristic. The same limit gives the same result.
    time_limit
        Seconds after which the best found is taken. What is found by then depends on the machine.
    seed
        For "genetic".

    Notes
    -----
    P. Samarati, "Protecting respondents' identities in microdata release", IEEE TKDE 13(6), 2001;
    R. Bayardo, R. Agrawal, "Data privacy through optimal k-anonymization", ICDE 2005 (branch and
    bound); F. Kohlmayer et al., "Flash", SocialCom 2012 (predictive tagging, roll-up).

    Examples
    --------
    >>> from sfumato.table import Hierarchy
    >>> table = pl.DataFrame({"age": [21, 22, 24, 41, 43, 67]})
    >>> schema = Schema(quasi_identifiers={"age": Hierarchy.bands([10, 20], top=None)})
    >>> recoding = FullDomain(k=2, suppression_limit=0.2, suppressed="drop").fit(table, schema)
    >>> recoding.apply(table)["age"].to_list()
    ['[20, 30)', '[20, 30)', '[20, 30)', '[40, 50)', '[40, 50)']
    """

    k: int | None = Field(default=None, ge=2)
    criteria: Criteria = ()
    suppression_limit: float = Field(default=0.05, ge=0, le=1)
    suppressed: Suppressed = "star"
    loss: LatticeLoss = "arithmetic"
    weights: dict[str, float] = Field(default_factory=dict)
    gs_factor: float = Field(default=0.5, ge=0, le=1)
    minimum_levels: dict[str, int] = Field(default_factory=dict)
    maximum_levels: dict[str, int] = Field(default_factory=dict)
    search: LatticeSearch = "auto"
    check_limit: int | None = Field(default=None, ge=1)
    time_limit: float | None = Field(default=None, gt=0)
    seed: int = 0

    @field_validator("weights")
    @classmethod
    def _not_negative(cls, value: dict[str, float]) -> dict[str, float]:
        for name, weight in value.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"{name}: a weight is 0 or more")
        return value

    def promised(self) -> tuple[Criterion, ...]:
        """Return everything that a release shall keep."""
        k = _DEFAULT_K if self.k is None and not self.criteria else self.k
        return (*(() if k is None else (KAnonymity(k=k),)), *self.criteria)

    def fit(
        self, table: pl.DataFrame, schema: Schema, *, progress: Progress = silent
    ) -> FullDomainRecoding:
        """Find the levels.

        Raises
        ------
        PlanError
            If k is larger than the table, or a setting does not fit it.
        SchemaError
            If the schema does not fit the table or has no quasi-identifier.
        HierarchyError
            If a column holds a value that its hierarchy does not hold.
        GuaranteeNotMet
            If no combination of levels keeps the criteria within the suppression limit, or none
            was found before the search was stopped.
        """
        # compiled code is loaded where it is needed
        from sfumato.anonymization.lattice.full_domain_search import LatticeProblem

        full = schema.check(table)
        for name in self.weights:
            if name not in full.quasi_identifiers:
                raise PlanError(f"weights.{name}: there is no such quasi-identifier")
        if full.quasi_identifiers and not any(
            self.weights.get(name, 1.0) for name in full.quasi_identifiers
        ):
            raise PlanError("weights: at least one quasi-identifier must have a weight above 0")
        target = full.target if self.loss == "classification" else None
        if self.loss == "classification" and target is None:
            raise PlanError("loss = 'classification' needs a schema that names a target")
        problem = LatticeProblem.of(
            table,
            full,
            self.promised(),
            self.suppression_limit,
            self.suppressed,
            minimum=self.minimum_levels,
            maximum=self.maximum_levels,
            counted=() if target is None else (target,),
        )
        return problem.best(
            self.loss,
            self.weights,
            self.gs_factor,
            self.search,
            self.check_limit,
            self.time_limit,
            self.seed,
            target,
            progress,
        )
