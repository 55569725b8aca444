"""Pairs of tables that differ by one record, chosen so that a mechanism tells them apart best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from sfumato.errors import DataError

__all__ = ["Neighbours", "neighbours_of", "worst_case_neighbours"]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Two inputs of a mechanism that its promise says must look alike.

    Parameters
    ----------
    first, second
        The inputs, in whatever form the mechanism takes.
    name
        What sets them apart, in words; never a cell of a person's row.
    answers
        What the mechanism's noiseless answer is for either, where it is a number or an array that
        is known: outputs of noise in floating point are then checked number by number.
    record
        The record that only ``first`` has, as a frame of one row, where inputs are frames.
    """

    first: Any
    second: Any
    name: str = "the given pair"
    answers: tuple[Any, Any] | None = None
    record: pl.DataFrame | None = None


def neighbours_of(pairs: Any, data: Any) -> tuple[Neighbours, ...]:
    """Return the pairs to audit: those given, else the worst ones for the data.

    Parameters
    ----------
    pairs
        A :class:`Neighbours`, a pair of inputs, several :class:`Neighbours`, or None.
    data
        A table from which pairs are made, if none are given.

    Raises
    ------
    DataError
        If neither is given, or the pairs are not pairs.
    """
    if pairs is None:
        if data is None:
            raise DataError("an audit needs neighbours = (first, second), or data to make them of")
        return worst_case_neighbours(data)
    if isinstance(pairs, Neighbours):
        return (pairs,)
    if isinstance(pairs, Sequence) and not isinstance(pairs, str):
        if pairs and all(isinstance(pair, Neighbours) for pair in pairs):
            return tuple(pairs)
        if len(pairs) == 2:
            return (Neighbours(pairs[0], pairs[1]),)
    raise DataError("neighbours must be a pair of inputs, or one or several Neighbours")


def worst_case_neighbours(data: Any) -> tuple[Neighbours, ...]:
    """Return pairs that differ by one record as unlike the others as can be.

    Parameters
    ----------
    data
        Numbers, shape (n,) or (n, k), or a frame; at least two rows.

    Returns
    -------
    tuple of Neighbours
        The table with and without its most extreme record; the table with a record added that lies
        beyond all others (for numbers: by the whole range, so that bounds taken from the data show;
        for frames: the rarest value of every column and the end of every range, see
        :func:`~sfumato.evaluation.audit.worst_case_canaries`).

    Raises
    ------
    DataError
        If it is no such table.
    """
    if isinstance(data, pl.DataFrame):
        return _of_frame(data)
    numbers = np.asarray(data)
    if numbers.dtype.kind not in "biuf" or numbers.ndim not in (1, 2) or len(numbers) < 2:
        raise DataError(
            "neighbours are made of frames, or of arrays of numbers with at least two rows; of "
            "anything else give the pair itself"
        )
    values = numbers.astype(np.float64)
    middle = np.median(values, axis=0)
    spread = np.ptp(values, axis=0)
    apart = np.abs(values - middle) / np.where(spread > 0, spread, 1.0)
    extreme = int((apart if values.ndim == 1 else apart.max(axis=1)).argmax())
    beyond = values.max(axis=0) + np.where(spread > 0, spread, 1.0)
    added = np.concatenate([numbers, np.asarray(beyond).astype(numbers.dtype)[None]])
    return (
        Neighbours(numbers, np.delete(numbers, extreme, axis=0), "without its extreme record"),
        Neighbours(added, numbers, "without a record beyond all others"),
    )


def _of_frame(data: pl.DataFrame) -> tuple[Neighbours, ...]:
    from sfumato.evaluation.audit.canary_records import worst_case_canaries

    if data.height < 2:
        raise DataError("neighbours are made of a frame with at least two rows")
    record = worst_case_canaries(data, 1, seed=0, rarest=True)
    return (
        Neighbours(
            pl.concat([data, record]), data, "without a record of rare values", record=record
        ),
    )
