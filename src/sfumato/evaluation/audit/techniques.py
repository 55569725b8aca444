"""Audit of a technique: fit and sample, or fit and recode, behind the two ways to audit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import polars as pl

from sfumato.errors import PlanError
from sfumato.evaluation.audit.neighbouring import Neighbours, worst_case_neighbours
from sfumato.evaluation.audit.one_run import audit_in_one_run
from sfumato.evaluation.audit.repeated_runs import audit_mechanism
from sfumato.evaluation.audit.results import Audit
from sfumato.settings import Settings
from sfumato.table import Schema

__all__ = ["audit_technique"]


def audit_technique(
    technique: Any,
    table: pl.DataFrame,
    schema: Schema,
    epsilon: float,
    delta: float = 0.0,
    *,
    how: Literal["one run", "neighbouring tables"] = "one run",
    make: Callable[[Any, pl.DataFrame, Schema, int], Any] | None = None,
    canaries: int | pl.DataFrame = 1_000,
    neighbours: Neighbours | None = None,
    runs: int = 200,
    seed: int,
    confidence: float = 0.95,
) -> Audit:
    """Audit the epsilon that a technique claims for its releases.

    Parameters
    ----------
    technique
        With ``fit(table, schema)``; what it returns has ``sample(rows, seed=)`` (a generator) or
        ``apply(table)`` (a recoding).
    table, schema
        Real rows and their schema. For "neighbouring tables" a small table tells most: the fewer
        others there are, the less hides the one record.
    epsilon, delta
        What is claimed for adding or removing one row.
    how
        "one run": one fit with many canaries; bounds up to :func:`one_run_ceiling`. "neighbouring
        tables": ``runs`` fits on each of two tables.
    make
        Takes (technique, rows, schema, seed) and returns the release. By default a fit and a sample
        of as many rows as ``table`` has, so that the number of rows says nothing; a fit and its
        recoding for a technique that recodes. A technique with a setting ``seed`` gets another one
        each time. Give it where the technique has a seed of another name, such as
        ``insecure_seed``, or releases more than the rows.
    canaries
        For "one run": how many, or the records.
    neighbours
        For "neighbouring tables": the two tables; by default the table with and without a record of
        rare values.
    runs
        For "neighbouring tables": fits on each.
    seed
        Of all random steps that are not the technique's own.
    confidence
        Of the bound that is printed.

    Raises
    ------
    PlanError
        If what was fitted can neither sample nor recode, or a setting is out of its range.
    """
    chosen = make or partial(_release, rows=table.height)

    def released(rows: pl.DataFrame, one_seed: int) -> Any:
        return chosen(technique, rows, schema, one_seed)

    if how == "one run":
        return audit_in_one_run(
            released,
            table,
            epsilon,
            delta,
            canaries=canaries,
            schema=schema,
            seed=seed,
            confidence=confidence,
        )
    if how != "neighbouring tables":
        raise PlanError(f'how must be "one run" or "neighbouring tables", not {how!r}')
    pairs = worst_case_neighbours(table) if neighbours is None else (neighbours,)
    return audit_mechanism(
        released,
        epsilon,
        delta,
        neighbours=pairs,
        runs=runs,
        seed=seed,
        confidence=confidence,
    )


def _release(
    technique: Any, table: pl.DataFrame, schema: Schema, seed: int, *, rows: int
) -> pl.DataFrame:
    if isinstance(technique, Settings) and "seed" in type(technique).model_fields:
        technique = technique.model_copy(update={"seed": seed})
    fitted = technique.fit(table, schema)
    if hasattr(fitted, "sample"):
        sampled: pl.DataFrame = fitted.sample(rows, seed=seed)
        return sampled
    if hasattr(fitted, "apply"):
        recoded: pl.DataFrame = fitted.apply(table)
        return recoded
    raise PlanError(
        f"what {type(technique).__name__} fits can neither sample nor recode: give make = "
        "(technique, rows, schema, seed) -> release"
    )
