"""A regression's formula, and its design matrices: frozen from the real rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sfumato.errors import PlanError, did_you_mean
from sfumato.evaluation.alignment import PRESENT, AlignedColumn
from sfumato.evaluation.classes import POSITIVE_WORDS
from sfumato.evaluation.utility.footing import REAL, UtilityTables

__all__ = ["Design", "Formula", "Term", "design_of", "read_formula", "strongest_columns"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_FEWEST = 10  # a category of fewer real rows is not named
_MOST = 30  # categories of a column; the rarer ones are one
_TERM = re.compile(r"\s*(?:C\(\s*(?:`([^`]+)`|([^`()+~]+?))\s*\)|`([^`]+)`|([^`()+~]+?))\s*(\+|$)")


@dataclass(frozen=True)
class Formula:
    """A regression in words: ``target ~ first + C(second)``.

    Parameters
    ----------
    target
        The column explained.
    columns
        Those that explain it.
    as_categories
        Those of them that are numbers but enter as categories.
    """

    target: str
    columns: tuple[str, ...]
    as_categories: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return the formula as it is written."""
        terms = [
            f"C({_quoted(name)})" if name in self.as_categories else _quoted(name)
            for name in self.columns
        ]
        return f"{_quoted(self.target)} ~ {' + '.join(terms)}"


@dataclass(frozen=True)
class Term:
    """One coefficient's column: a number, or a category against the commonest one.

    Parameters
    ----------
    column
        Name of the column; empty for the constant.
    level
        The category; empty for a number.
    reference
        The category it is compared to; empty for a number.
    """

    column: str
    level: str = ""
    reference: str = ""


@dataclass(frozen=True, eq=False)
class Design:
    """The rows of each table as a regression sees them.

    Parameters
    ----------
    formula
        What is explained by what.
    terms
        The constant, then every term.
    makers
        For each term what gives its column in a table, by the table's place.
    targets
        For each table the target: 0 or 1, or a number; nan where it is not known.
    complete
        For each table which rows have no missing or suppressed cell.
    binary
        Whether the target is of two classes.
    positive
        The class whose odds are told; empty for a number.
    """

    formula: Formula
    terms: tuple[Term, ...]
    makers: tuple[Callable[[int], Floats], ...]
    targets: tuple[Floats, ...]
    complete: tuple[Flags, ...]
    binary: bool
    positive: str

    def rows(self, table: int) -> tuple[Floats, Floats]:
        """Return the complete rows of one table, shape (rows, terms), and their target."""
        complete = self.complete[table]
        X = np.empty((int(complete.sum()), len(self.terms)))
        for place, make in enumerate(self.makers):
            X[:, place] = make(table)[complete]
        return X, self.targets[table][complete]


def read_formula(text: str) -> Formula:
    """Read ``target ~ age + C(stage) + `blood pressure```.

    Raises
    ------
    PlanError
        If it is no such formula.

    Examples
    --------
    >>> read_formula("died ~ age + C(stage)").columns
    ('age', 'stage')
    """
    left, tilde, right = text.partition("~")
    target = left.strip().strip("`").strip()
    if not tilde or not target or not right.strip():
        raise PlanError(f"formula {text!r}: write it as 'target ~ age + C(stage)'")
    columns: list[str] = []
    categories: set[str] = set()
    place = 0
    while place < len(right):
        found = _TERM.match(right, place)
        if found is None or found.end() == place:
            raise PlanError(
                f"formula {text!r}: terms are columns joined by '+', such as age + C(stage); put "
                "names with signs in `backticks`"
            )
        quoted, plain, alone_quoted, alone, _ = found.groups()
        name = quoted or plain or alone_quoted or alone
        columns.append(name)
        if quoted or plain:
            categories.add(name)
        place = found.end()
    if right.rstrip().endswith("+"):
        raise PlanError(f"formula {text!r}: it ends with '+'")
    if target in columns or len(set(columns)) < len(columns):
        raise PlanError(f"formula {text!r}: each column may stand in it once")
    return Formula(target, tuple(columns), frozenset(categories))


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else f"`{name}`"


def design_of(tables: UtilityTables, formula: Formula) -> Design | str:
    """Return the design matrices, or why there are none.

    Parameters
    ----------
    tables
        On one footing.
    formula
        What is explained by what.

    Raises
    ------
    PlanError
        If the formula names a column that the real table does not have.
    """
    for name in (formula.target, *formula.columns):
        if name in tables.by_name:
            continue
        if name in tables.lost:
            return f"the release does not have {name!r}"
        if any(repr(name) in note for note in tables.notes):
            return f"{name!r} is written otherwise in the release"
        hint = did_you_mean(name, tables.by_name)
        raise PlanError(f"the formula {str(formula)!r} names {name!r}, which cannot be used.{hint}")
    answer = _target(tables.by_name[formula.target])
    if isinstance(answer, str):
        return answer
    y, positive = answer
    terms: list[Term] = [Term("")]
    makers: list[Callable[[int], Floats]] = [lambda table: np.ones(tables.rows[table])]
    complete = [~np.isnan(one) for one in y]
    for name in formula.columns:
        column = tables.by_name[name]
        if column.kind == "number" and name not in formula.as_categories:
            terms.append(Term(name))
            makers.append(_number_of(column))
            known = [state == PRESENT for state in column.state]
        else:
            own, known = _levels(column)
            terms += [term for term, _ in own]
            makers += [maker for _, maker in own]
        complete = [one & also for one, also in zip(complete, known, strict=True)]
    return Design(
        formula, tuple(terms), tuple(makers), tuple(y), tuple(complete), bool(positive), positive
    )


def _number_of(column: AlignedColumn) -> Callable[[int], Floats]:
    return lambda table: column.content[table].astype(np.float64)


def _codes_of(contents: Sequence[Integers], codes: Integers) -> Callable[[int], Floats]:
    if codes.size == 1:
        return lambda table: (contents[table] == codes[0]).astype(np.float64)
    return lambda table: np.isin(contents[table], codes).astype(np.float64)


def _target(column: AlignedColumn) -> tuple[list[Floats], str] | str:
    """Return the target of each table, nan where it is not known, and the positive class."""
    if column.kind == "number":
        values = np.unique(column.content[REAL][column.state[REAL] == PRESENT])
        if values.size != 2:
            return [one.astype(np.float64) for one in column.content], ""
        positive = float(values[1])
        return [
            np.where(np.isin(one, values), 1.0 * (one == positive), np.nan)
            for one in column.content
        ], f"{positive:g}"
    codes, counts = np.unique(
        column.content[REAL][column.state[REAL] == PRESENT], return_counts=True
    )
    if codes.size != 2:
        return (
            f"the target {column.name!r} has {codes.size} classes among the real rows: name a "
            "formula whose target has two, or is a number"
        )
    said = [code for code in codes if column.labels[int(code)].casefold() in POSITIVE_WORDS]
    looked_for = int(said[0]) if len(said) == 1 else int(codes[int(counts.argmin())])
    return [
        np.where(np.isin(one, codes), 1.0 * (one == looked_for), np.nan) for one in column.content
    ], column.labels[looked_for]


def _levels(
    column: AlignedColumn,
) -> tuple[list[tuple[Term, Callable[[int], Floats]]], list[Flags]]:
    """Return a 0/1 column for each category but the commonest, and which rows have one."""
    labels = column.labels
    contents = [one.astype(np.int64) for one in column.content] if labels else []
    if column.kind == "number":
        known = [one[~np.isnan(one)] for one in column.content]
        values = np.unique(np.concatenate(known))
        labels = tuple(f"{value:g}" for value in values.tolist())
        contents = [
            np.where(np.isnan(one), -1, np.searchsorted(values, np.nan_to_num(one)))
            for one in column.content
        ]
    if not labels:
        return [], [np.zeros(len(one), dtype=bool) for one in column.content]
    real = contents[REAL]
    counts = np.bincount(real[real >= 0], minlength=len(labels))
    order = np.argsort(-counts, kind="stable")
    named = order[counts[order] >= _FEWEST][:_MOST]
    there = [one >= 0 for one in contents]
    if not named.size:
        return [], there
    reference = labels[int(named[0])]
    found = [
        (Term(column.name, labels[code], reference), _codes_of(contents, np.array([code])))
        for code in named[1:].tolist()
    ]
    rest = np.setdiff1d(np.arange(len(labels)), named)
    if rest.size:
        found.append((Term(column.name, "(other)", reference), _codes_of(contents, rest)))
    return found, there


def strongest_columns(target: str, names: Sequence[str], strength: Floats, most: int) -> Formula:
    """Return the formula of a target on the columns that go with it most strongly.

    Parameters
    ----------
    target
        Name of the target, one of ``names``.
    names
        The columns.
    strength
        How strongly each goes with the target, shape (names,); nan where that cannot be said.
    most
        How many columns to take.
    """
    order = np.argsort(-np.nan_to_num(np.abs(strength), nan=-1.0), kind="stable")
    chosen = [
        names[place]
        for place in order.tolist()
        if names[place] != target and not np.isnan(strength[place])
    ]
    return Formula(target, tuple(chosen[:most]))
