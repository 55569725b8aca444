"""Who is the same person in two releases: as told, or by equal values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError
from sfumato.evaluation.attacks.tables import AttackTables

__all__ = ["paired"]

Rows = npt.NDArray[np.int64]


def paired(first: AttackTables, second: AttackTables, pairs: npt.ArrayLike | None) -> Rows:
    """Return the real row of the second release that is the same person as each of the first.

    Parameters
    ----------
    first, second
        Either release with the same members and controls, all of them.
    pairs
        As known already, shape (N,); by default people are paired by their values.

    Raises
    ------
    DataError
        If the two have other people, or who is who is not known.
    """
    people = len(first.member)
    if pairs is not None:
        given = np.asarray(pairs)
        whole = given.dtype.kind in "iu" and given.shape == (people,) == second.member.shape
        if not whole or (np.sort(given) != np.arange(people)).any():
            raise DataError(
                f"pairs: each of the {people:,} real rows of the second release is needed once, as "
                "a row number from 0"
            )
        if (second.member[given] != first.member).any():
            raise DataError("pairs: a member of one release is a control of the other")
        return given.astype(np.int64)
    names = sorted(first.real_frame.columns)
    if names != sorted(second.real_frame.columns):
        raise DataError(
            "the two releases were compared in different columns, so who is the same person is not "
            "known: give columns= that both have, or pairs="
        )
    ordered = [
        tables.real_frame.select(names)
        .with_columns(pl.Series("is a member", tables.member).alias(_fresh("member", names)))
        .with_row_index(_fresh("row", names))
        .sort([*names, _fresh("member", names)], nulls_last=True)
        for tables in (first, second)
    ]
    rows = [table[_fresh("row", names)].to_numpy().astype(np.int64) for table in ordered]
    if not ordered[0].drop(_fresh("row", names)).equals(ordered[1].drop(_fresh("row", names))):
        raise DataError(
            "the two releases were not compared to the same members and controls: give both all "
            "the same people (most=None)"
        )
    place = np.empty(people, dtype=np.int64)
    place[rows[0]] = rows[1]
    return place


def _fresh(name: str, names: Sequence[str]) -> str:
    while name in names:
        name += "_"
    return name
