"""The user's own questions, and random ones, answered from the real and from the released rows.

References
----------
Efron & Tibshirani, "An introduction to the bootstrap" (1993), ch. 13 (percentile intervals). Xiao,
Wang & Gehrke, "Differential privacy via wavelet transforms", ICDE 2010, section 7 (random range
counts, and the sanity bound of their relative error).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import PlanError
from sfumato.evaluation.estimates import NORMAL_95
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.utility.binning import BinnedColumn
from sfumato.evaluation.utility.footing import CONTROL, REAL, RELEASED, UtilityTables
from sfumato.evaluation.utility.records import Record, absent, random_stream

__all__ = ["Queries", "QueryAnswer", "answer_queries", "range_counts"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_SANITY = 0.001  # a count of fewer rows than this share is taken for this share
_WIDEST = 3
_RANGE_ROWS = 200_000
_RANGE_SOURCE = "Xiao, Wang & Gehrke, ICDE 2010, section 7"
_TABLE = "t"
_TOLD = (pl.exceptions.ColumnNotFoundError, pl.exceptions.SQLSyntaxError)


@dataclass(frozen=True)
class QueryAnswer(Record):
    """One question and what the tables answer.

    Parameters
    ----------
    query
        The user's SQL.
    released
        The release's answer with its bootstrap interval; ``baseline`` is the real rows' answer and
        ``control`` the control rows'.
    real, real_interval
        The real rows' answer and its bootstrap interval; None if it is null.
    error
        The release's relative error: |released - real| / |real|; ``control`` is that of the
        control rows.
    """

    query: str
    released: Figure
    real: float | None
    real_interval: tuple[float, float] | None
    error: Figure


@dataclass(frozen=True)
class Queries(Record):
    """Questions and answers.

    Parameters
    ----------
    figures
        ``queries/<number>``, ``queries/<number>/error``, and for random questions
        ``queries/range_median`` and ``queries/range_mean``.
    answers
        The user's questions, in their order.
    """

    figures: dict[str, Figure]
    answers: tuple[QueryAnswer, ...]


def answer_queries(
    tables: UtilityTables, queries: Sequence[str], *, bootstrap: int = 200, seed: int = 0
) -> Queries:
    """Ask every table the user's questions.

    Parameters
    ----------
    tables
        On one footing.
    queries
        SQL of Polars over the table ``t``, each with one number as answer. A suppressed number is
        null, a suppressed category the text ``*``. Ask for shares and means rather than counts
        where tables are of different sizes.
    bootstrap
        Repetitions, over rows.
    seed
        Of the bootstrap.

    Raises
    ------
    PlanError
        If the real rows cannot answer a question; it names the question and never a cell.
    """
    frames = [tables.frame(table) for table in range(len(tables.rows))] if queries else []
    figures: dict[str, Figure] = {}
    answers = []
    for number, query in enumerate(queries, 1):
        answer = _answered(query, frames, tables, bootstrap, seed)
        answers.append(answer)
        figures |= {
            f"queries/{number}": answer.released,
            f"queries/{number}/error": answer.error,
        }
    return Queries(figures, tuple(answers))


def _answered(
    query: str, frames: list[pl.DataFrame], tables: UtilityTables, bootstrap: int, seed: int
) -> QueryAnswer:
    needed = [frame.select(_mentioned(query, frame.columns)) for frame in frames]
    told = next((name for name in tables.lost if _mentioned(query, [name]) == [name]), None)
    name = f"answer to {query}"
    unit = "units of the query"
    if told is not None and told not in needed[REAL].columns:
        because = f"the release does not have {told!r}"
        return _unanswered(query, name, because, None, None, unit)
    try:
        real = _ask(query, needed[REAL])
    except (pl.exceptions.PolarsError, _NotOneNumber) as error:
        raise PlanError(f"query {query!r}: {_reason(error)}") from None
    spread = _bootstrapped(query, needed[REAL], bootstrap, seed, "real")
    try:
        released = _ask(query, needed[RELEASED])
        control = _ask(query, needed[CONTROL]) if len(needed) > CONTROL else None
    except (pl.exceptions.PolarsError, _NotOneNumber) as error:
        return _unanswered(query, name, _reason(error), real, spread, unit)
    if released is None or real is None:
        which = "release" if released is None else "real rows"
        return _unanswered(query, name, f"the answer of the {which} is null", real, spread, unit)
    interval = _bootstrapped(query, needed[RELEASED], bootstrap, seed, "released")
    figure = Figure(
        name=name,
        value=released,
        unit=unit,
        direction="closer to the baseline is better",
        meaning=f"The release answers {released:.6g}, the real rows {real:.6g}.",
        source="the user's query",
        interval=interval,
        interval_method=f"95 %, bootstrap over released rows, percentiles of {bootstrap}",
        baseline=real,
        control=control,
        not_shown="What making the release adds: the interval is that of an analyst who takes each "
        "released row for a person.",
    )
    return QueryAnswer(query, figure, real, spread, _error(name, real, released, control))


def _error(name: str, real: float, released: float, control: float | None) -> Figure:
    name = f"relative error of the {name}"
    if real == 0:
        because = "the real answer is 0"
        return absent(name, because, "the user's query", unit="share", direction="lower is better")
    return Figure(
        name=name,
        value=abs(released - real) / abs(real),
        unit="share",
        direction="lower is better",
        meaning="How far the release's answer is from the real one, as a share of the real one.",
        source="the user's query",
        interval_method="none: compare with the control",
        control=None if control is None else abs(control - real) / abs(real),
    )


def _unanswered(
    query: str,
    name: str,
    because: str,
    real: float | None,
    spread: tuple[float, float] | None,
    unit: str,
) -> QueryAnswer:
    figure = absent(
        name,
        because,
        "the user's query",
        unit=unit,
        direction="closer to the baseline is better",
    )
    error = absent(
        f"relative error of the {name}",
        because,
        "the user's query",
        unit="share",
        direction="lower is better",
    )
    return QueryAnswer(query, figure, real, spread, error)


class _NotOneNumber(Exception):
    """A query's answer is no single number."""


def _ask(query: str, frame: pl.DataFrame) -> float | None:
    with pl.SQLContext({_TABLE: frame}) as context:
        answer = context.execute(query, eager=True)
    if answer.shape != (1, 1):
        raise _NotOneNumber(
            f"the answer has {answer.height} rows and {answer.width} columns: ask for one number"
        )
    dtype = answer.dtypes[0]
    if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
        raise _NotOneNumber(f"the answer is of type {dtype}: ask for one number")
    value = answer.item()
    return None if value is None or not np.isfinite(value) else float(value)


def _bootstrapped(
    query: str, frame: pl.DataFrame, repetitions: int, seed: int, word: str
) -> tuple[float, float] | None:
    random = random_stream(seed, "queries", word)
    values = []
    for _ in range(repetitions):
        rows = random.integers(0, frame.height, frame.height)
        try:
            value = _ask(query, frame[rows])
        except (pl.exceptions.PolarsError, _NotOneNumber):
            return None
        if value is not None:
            values.append(value)
    if len(values) < repetitions:
        return None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _mentioned(query: str, names: Sequence[str]) -> list[str]:
    """Return the columns that the query may need: all if it says ``*`` outside of count(*)."""
    if "*" in re.sub(r"(?i)count\(\s*\*\s*\)|'[^']*'", "", query):
        return list(names)
    folded = query.casefold()
    found = [name for name in names if name.casefold() in folded]
    return found or list(names[:1])


def _reason(error: Exception) -> str:
    """Return why a query failed, without anything that could be a cell."""
    if isinstance(error, _NotOneNumber):
        return str(error)
    if isinstance(error, _TOLD):
        return str(error).splitlines()[0]
    return f"it cannot be computed ({type(error).__name__})"


def range_counts(
    columns: Sequence[BinnedColumn], *, queries: int = 200, seed: int = 0
) -> dict[str, Figure]:
    """Ask random questions after the share of rows within ranges of one to three columns.

    A question takes a run of neighbouring cells of a number or half of a category's values, in each
    of its columns. Its relative error is |released - real| / max(real, 0.1 %).

    Parameters
    ----------
    columns
        At least one.
    queries
        How many questions; none give no figure.
    seed
        Of the questions, and of drawing at most 200,000 rows of each table.
    """
    if not queries:
        return {}
    rows = [
        np.sort(random_stream(seed, "ranges", str(at)).permutation(len(codes))[:_RANGE_ROWS])
        for at, codes in enumerate(columns[0].codes)
    ]
    codes = [[column.codes[at][taken] for column in columns] for at, taken in enumerate(rows)]
    random = random_stream(seed, "ranges", "questions")
    shares = np.zeros((len(rows), queries))
    for question in range(queries):
        width = int(random.integers(1, min(_WIDEST, len(columns)) + 1))
        places = random.choice(len(columns), width, replace=False).tolist()
        asked = {place: _cells(columns[place], random) for place in places}
        for table in range(len(rows)):
            inside = np.ones(len(rows[table]), dtype=bool)
            for place, cells in asked.items():
                inside &= cells[codes[table][place]]
            shares[table, question] = inside.mean()
    errors = np.abs(shares[RELEASED:] - shares[REAL]) / np.maximum(shares[REAL], _SANITY)
    return {
        f"queries/range_{key}": Figure(
            name=f"relative error of random range counts, {key}",
            value=float(summary(errors[0])),
            unit="share",
            direction="lower is better",
            meaning=f"Over {queries} random questions after the share of rows within ranges of one "
            f"to {_WIDEST} columns; an answer below 0.1 % is taken for 0.1 %.",
            source=_RANGE_SOURCE,
            interval=interval(errors[0]),
            interval_method=f"95 %, over the questions, {method}",
            control=float(summary(errors[1])) if len(errors) > 1 else None,
        )
        for key, summary, interval, method in (
            ("median", np.median, _of_median, "order statistics"),
            ("mean", np.mean, _of_mean, "normal"),
        )
    }


def _cells(column: BinnedColumn, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    asked = np.zeros(column.size, dtype=bool)
    if column.ranges:
        first, last = np.sort(random.integers(0, column.size, 2))
        asked[first : last + 1] = True
    else:
        asked[random.permutation(column.size)[: max(1, column.size // 2)]] = True
    return asked


def _of_median(errors: Floats) -> tuple[float, float]:
    from scipy.stats import binom

    n = len(errors)
    ordered = np.sort(errors)
    below = int(binom.ppf(0.025, n, 0.5)) - 1
    return float(ordered[max(below, 0)]), float(ordered[min(n - 1 - below, n - 1)])


def _of_mean(errors: Floats) -> tuple[float, float]:
    reach = NORMAL_95 * float(errors.std() / np.sqrt(len(errors)))
    return max(0.0, float(errors.mean()) - reach), float(errors.mean()) + reach
