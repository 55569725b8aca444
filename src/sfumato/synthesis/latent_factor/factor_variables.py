"""Which variables stand behind a table's columns, and by which link each is learned.

A column with empty cells is two variables: whether there is a value, and which. The second tells
nothing of rows without a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from sfumato.errors import PlanError, did_you_mean
from sfumato.synthesis.latent_factor.category_links import MultinomialLink, OrdinalLink
from sfumato.synthesis.latent_factor.links import Link, Seen
from sfumato.synthesis.latent_factor.number_links import GaussianLink, PoissonLink
from sfumato.synthesis.margins import NumberMargin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sfumato.synthesis.codec import Codec, ColumnGrid

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = [
    "FactorVariable",
    "LinkName",
    "chosen_links",
    "read_link",
    "starting_factors",
    "variables_of",
]

LinkName = Literal["gaussian", "logistic", "ordinal", "poisson", "multinomial"]

_LARGE_ATOM = 0.05
_FEW_COUNTS = 30
_MOST_DISPERSION = 1.5
_LEAST_NUMBERS = 12  # fewer cells than this are groups of an ordinal link


@dataclass(frozen=True)
class FactorVariable:
    """A variable behind a column.

    Parameters
    ----------
    column
        Number of the column.
    states
        Whether it says if there is a value (its first cell) or which empty state there is.
    cells
        Number of its cells. Cell 0 of states stands for all values; the empty ones follow.
    """

    column: int
    states: bool
    cells: int

    def own(self, codes: Integers, values: int) -> Integers:
        """Return the variable's cell of each row from the column's, -1 where it has none."""
        if self.states:
            return np.where(codes < 0, -1, np.maximum(codes - values + 1, 0))
        return np.where(codes < values, codes, -1)

    def counts(self, codes: Integers, values: int, weight: Floats | None = None) -> Floats:
        """Return what the rows in each of its cells weigh, shape (cells,); without weights 1."""
        own = self.own(codes, values)
        there = own >= 0
        weights = None if weight is None else weight[there]
        return np.bincount(own[there], weights, minlength=self.cells).astype(np.float64)

    def shares(self, codes: Integers, values: int) -> Floats:
        """Return the share of each of its cells among the rows that are in one."""
        found = self.counts(codes, values)
        return found / max(float(found.sum()), 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the variable as plain JSON values."""
        return {"column": self.column, "states": self.states, "cells": self.cells}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the variable that :meth:`to_dict` described."""
        return cls(values["column"], values["states"], values["cells"])


def chosen_links(
    codec: Codec, codes: Integers, asked: Mapping[str, LinkName]
) -> dict[str, LinkName]:
    """Return the link of each column that has values, chosen where none was asked for.

    Parameters
    ----------
    codec, codes
        The columns' cells, and the cell of each row, shape (n, columns), -1 if not learned.
    asked
        Links that were asked for, by column.

    Raises
    ------
    PlanError
        If a link is asked for that does not suit its column.
    """
    for name in asked:
        if name not in codec.names:
            raise PlanError(
                f"LatentFactor: links names {name!r}, which is no learned column."
                f"{did_you_mean(name, codec.names)}"
            )
    found: dict[str, LinkName] = {}
    for place, grid in enumerate(codec.grids):
        if grid.values:
            variable = FactorVariable(place, states=False, cells=grid.values)
            share = variable.shares(codes[:, place], grid.values)
            found[grid.name] = _link_name(grid, share, asked.get(grid.name))
    return found


def variables_of(
    codec: Codec,
    codes: Integers,
    links: Mapping[str, LinkName],
    *,
    factors: int,
    groups: int,
    missing: Literal["value", "masked"],
    common: Mapping[int, int],
) -> tuple[tuple[FactorVariable, ...], tuple[Link, ...], tuple[Seen, ...]]:
    """Return the variables, their links before anything is learned, and what was seen of them.

    Parameters
    ----------
    codec, codes
        The columns' cells, and the cell of each row, shape (n, columns), -1 if not learned.
    links
        Link of each column that has values.
    factors
        Number of factors.
    groups
        About how many groups of a number's cells an ordinal link tells apart.
    missing
        "value": empty cells are learned; "masked": they tell nothing and are not drawn.
    common
        Columns that are the same in all rows: nothing is to be learned of them.
    """
    variables: list[FactorVariable] = []
    started: list[Link] = []
    seen: list[Seen] = []
    for place, grid in enumerate(codec.grids):
        found = []
        if place in common:
            continue
        if grid.empty and (missing == "value" or not grid.values):
            found.append(FactorVariable(place, states=True, cells=1 + len(grid.empty)))
        if grid.values:
            found.append(FactorVariable(place, states=False, cells=grid.values))
        for one in found:
            own = one.own(codes[:, place], grid.values)
            share = one.shares(codes[:, place], grid.values)
            link: LinkName = "logistic" if one.cells == 2 else "multinomial"
            if not one.states:
                link = links[grid.name]
            variables.append(one)
            started.append(_started(link, grid, share, factors, groups))
            seen.append(_seen(link, started[-1], grid, own))
    return tuple(variables), tuple(started), tuple(seen)


def read_link(values: dict[str, Any]) -> Link:
    """Return the link that ``to_dict`` described."""
    kinds = (GaussianLink, PoissonLink, OrdinalLink, MultinomialLink)
    kind = next(one for one in kinds if one.name == values["link"])
    return kind.from_dict(values)


def _link_name(grid: ColumnGrid, share: Floats, asked: LinkName | None) -> LinkName:
    counts = _counts(grid)
    if asked is not None:
        suits = {
            "gaussian": isinstance(grid.margin, NumberMargin),
            "poisson": counts is not None,
            "logistic": grid.values <= 2,
            "ordinal": True,
            "multinomial": True,
        }
        if not suits[asked]:
            told = {
                "gaussian": "numbers",
                "poisson": "whole numbers from 0 on",
                "logistic": "columns of two values",
            }[asked]
            raise PlanError(
                f"LatentFactor: the link {asked!r} is for {told}; column {grid.name!r} needs "
                f"another"
            )
        return asked
    if grid.values <= 2:
        return "logistic"
    if not isinstance(grid.margin, NumberMargin):
        return "multinomial"
    if grid.values < _LEAST_NUMBERS or share.max() >= _LARGE_ATOM:
        if counts is not None and counts.min() == 0 and grid.values <= _FEW_COUNTS:
            mean = float(share @ counts)
            if share @ (counts - mean) ** 2 <= _MOST_DISPERSION * mean:
                return "poisson"
        return "ordinal"
    return "gaussian"


def _counts(grid: ColumnGrid) -> Floats | None:
    """Return the count that each cell of a column of counts stands for, or None."""
    if not isinstance(grid.margin, NumberMargin) or grid.coding.decimals != 0:
        return None
    counts = np.rint(grid.centres)
    return counts if counts.min() >= 0 and counts.max() < 500 else None


def _started(name: LinkName, grid: ColumnGrid, share: Floats, factors: int, groups: int) -> Link:
    if name == "gaussian":
        return GaussianLink(np.zeros((1 + factors, 1)), share)
    if name == "poisson":
        coefficients = np.zeros((1 + factors, 1))
        counts = _counts(grid)
        mean = 1.0 if counts is None else float(share @ counts)
        coefficients[0] = np.log(max(mean, 1e-3))
        return PoissonLink(coefficients, share)
    if name == "multinomial":
        coefficients = np.zeros((1 + factors, share.size))
        logs = np.log(np.maximum(share, 1e-6))
        coefficients[0] = logs - logs.mean()
        return MultinomialLink(coefficients, share)
    group_of = _groups(share, groups)
    reached = np.cumsum(np.bincount(group_of, weights=share))[:-1]
    reached = np.clip(reached, 1e-9, 1 - 1e-9)
    thresholds = np.log(reached) - np.log1p(-reached)
    return OrdinalLink(np.zeros((1 + factors, 1)), share, thresholds, group_of)


def _groups(share: Floats, most: int) -> Integers:
    """Return the group of each cell: neighbours, of like frequency; a large cell is alone."""
    if share.size <= most:
        # a cell that no row has is one with its neighbour: a threshold would have nothing to hold
        return np.asarray(np.maximum(np.cumsum(share > 0) - 1, 0), dtype=np.int64)
    group_of = np.zeros(share.size, dtype=np.int64)
    group, filled = 0, 0.0
    for cell, part in enumerate(share):  # over cells, of which there are few
        if filled > 0 and (part >= 1 / most or filled + part > 1 / most):
            group, filled = group + 1, 0.0
        group_of[cell] = group
        filled += part
    if filled == 0 and group > 0:
        group_of[group_of == group] = group - 1
    return group_of


def _seen(name: LinkName, link: Link, grid: ColumnGrid, own: Integers) -> Seen:
    there = own >= 0
    codes = np.where(there, own, 0)
    numbers = np.zeros(own.size)
    if name == "gaussian":
        from scipy.special import ndtri

        reached = np.cumsum(link.share)
        middle = np.clip(reached - link.share / 2, 1e-9, 1 - 1e-9)
        numbers = np.where(there, ndtri(middle)[codes], 0.0)
    elif name == "poisson":
        counts = _counts(grid)
        numbers = np.where(there, (grid.centres if counts is None else counts)[codes], 0.0)
    if isinstance(link, OrdinalLink):
        codes = np.where(there, link.group_of[codes], 0)
    return Seen(there, codes, numbers)


def starting_factors(seen: Sequence[Seen], links: Sequence[Link], factors: int) -> Floats:
    """Return the leading principal components of the variables, standardized."""
    parts = []
    for one, link in zip(seen, links, strict=True):
        if isinstance(link, MultinomialLink):
            share = np.maximum(link.share, 1e-3)
            for value in np.flatnonzero(link.share > 0.005):
                column = (one.there & (one.codes == value)) - link.share[value]
                parts.append(column / np.sqrt(share[value]))
            continue
        values = one.numbers if isinstance(link, GaussianLink | PoissonLink) else one.codes
        values = np.where(one.there, values, values[one.there].mean() if one.there.any() else 0.0)
        parts.append((values - values.mean()) / max(float(values.std()), 1e-9))
    table = np.column_stack(parts)
    _, vectors = np.linalg.eigh(table.T @ table)
    found = table @ vectors[:, ::-1][:, :factors]
    if found.shape[1] < factors:
        found = np.column_stack([found, np.zeros((len(found), factors - found.shape[1]))])
    found = found - found.mean(axis=0)
    spread = found.std(axis=0)
    return np.asarray(found / np.maximum(spread, 1e-9))
