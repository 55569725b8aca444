"""Audit by one run: records that nobody has, each put in or left out by a fair coin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError, PlanError
from sfumato.evaluation.audit.canary_records import canary_scores, worst_case_canaries
from sfumato.evaluation.audit.one_run_bounds import (
    one_run_ceiling,
    one_run_lower_bound,
    one_run_p_value,
)
from sfumato.evaluation.audit.outputs import seeds_of
from sfumato.evaluation.audit.repeated_runs import check_claim
from sfumato.evaluation.audit.results import ACCUSATION, Audit, AuditEvent
from sfumato.table import Schema

__all__ = ["audit_in_one_run"]

Floats = npt.NDArray[np.float64]
# Shares of the canaries that are guessed: not all, since the heads are seldom just half of them.
_GUESSES = (0.9, 0.3, 0.1)


def audit_in_one_run(
    make: Callable[[pl.DataFrame, int], Any],
    table: pl.DataFrame,
    epsilon: float,
    delta: float = 0.0,
    *,
    canaries: int | pl.DataFrame = 1_000,
    schema: Schema | None = None,
    scores: Callable[[Any, pl.DataFrame], Floats | Mapping[str, Floats]] | None = None,
    guesses: Sequence[int] | None = None,
    seed: int,
    confidence: float = 0.95,
) -> Audit:
    """Put many canaries into a table, each with a fair coin, release it once, and guess the coins.

    Parameters
    ----------
    make
        Takes (rows, seed) and returns the release of these rows.
    table
        Real rows that are always in.
    epsilon, delta
        What is claimed for adding or removing one row.
    canaries
        How many are made (:func:`worst_case_canaries`), or the records themselves.
    schema
        Schema of the table, for making canaries.
    scores
        Takes (release, canaries) and returns a score for each canary, higher for one that seems to
        be in; several by name if several are tried. By default :func:`canary_scores`. It must not
        know the coins.
    guesses
        How many coins are guessed: half of them, those with the highest scores, as heads; half,
        those with the lowest, as tails. Several are tried and corrected for; by default 90 %,
        30 % and 10 % of the canaries.
    seed
        Of the canaries, the coins and the release.
    confidence
        Of the bound that is printed; the verdict asks for more.

    Returns
    -------
    Audit
        Its ceiling is what the bound would be with every guess right.

    Raises
    ------
    PlanError
        If a setting is out of its range.
    DataError
        If canaries cannot be made, or do not have the table's columns.

    Notes
    -----
    T. Steinke, M. Nasr, M. Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023,
    algorithm 1 and theorem 5.2. A claim of epsilon 8 is beyond 5,000 guesses.
    """
    check_claim(epsilon, delta, confidence)
    making, flipping, releasing, breaking = seeds_of(seed, 4)
    records = (
        worst_case_canaries(table, canaries, seed=making, schema=schema)
        if isinstance(canaries, int)
        else canaries
    )
    if records.columns != table.columns:
        raise DataError("canaries must have the table's columns in the table's order")
    wanted = _checked_guesses(guesses, records.height)
    coins = np.random.default_rng(flipping).random(records.height) < 0.5
    rows = pl.concat([table, records.filter(pl.Series(coins))], how="vertical_relaxed")
    # where a row stands must not give away what it is
    rows = rows.sample(fraction=1.0, shuffle=True, seed=flipping)
    release = make(rows, releasing)
    given = (scores or canary_scores)(release, records)
    named = given if isinstance(given, Mapping) else {"the given score": given}
    tried = len(named) * len(wanted)
    each = 1 - (1 - confidence) / tried
    random = np.random.default_rng(breaking)
    events = []
    for name, values in named.items():
        ranked = np.lexsort((random.random(records.height), -_checked_scores(values, records)))
        for count in wanted:
            heads, tails = ranked[: count // 2], ranked[len(ranked) - count // 2 :]
            right = int(coins[heads].sum() + (~coins[tails]).sum())
            made = 2 * (count // 2)
            events.append(
                AuditEvent(
                    f"guesses by {name}",
                    f"{records.height:,} records with a coin each",
                    right,
                    made,
                    0,
                    0,
                    one_run_lower_bound(
                        right, made, delta, canaries=records.height, confidence=each
                    ),
                    one_run_p_value(right, made, epsilon, delta, canaries=records.height),
                )
            )
    events.sort(key=lambda event: (-event.lower_bound, event.p_value))
    most = 2 * (max(wanted) // 2)
    return Audit(
        method="one run",
        epsilon=epsilon,
        delta=delta,
        events=tuple(events),
        lower_bound=events[0].lower_bound,
        ceiling=one_run_ceiling(most, delta, canaries=records.height, confidence=each),
        refutable=one_run_ceiling(
            most, delta, canaries=records.height, confidence=1 - ACCUSATION / tried
        ),
        p_value=min(1.0, tried * min(event.p_value for event in events)),
        runs=1,
        confidence=confidence,
    )


def _checked_guesses(guesses: Sequence[int] | None, canaries: int) -> list[int]:
    if canaries < 2:
        raise PlanError("at least 2 canaries are needed")
    if guesses is None:
        return sorted({max(2, round(share * canaries)) for share in _GUESSES}, reverse=True)
    wanted = list(dict.fromkeys(guesses))
    if not wanted or any(not 2 <= one <= canaries for one in wanted):
        raise PlanError(f"guesses must be from 2 to the number of canaries, {canaries}")
    return wanted


def _checked_scores(values: Floats, records: pl.DataFrame) -> Floats:
    checked = np.asarray(values, np.float64)
    if checked.shape != (records.height,):
        raise DataError(
            f"a score must be given for each of the {records.height} canaries; the shape is "
            f"{checked.shape}"
        )
    return np.nan_to_num(checked)
