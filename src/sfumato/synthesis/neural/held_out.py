"""Which rows of the training part are held out to tell when training stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["held_out_rows"]


def held_out_rows(table: pl.DataFrame, person: str | None, seed: int) -> NDArray[np.bool_]:
    """Return which rows are those of a tenth of the people, drawn at random, shape (n,).

    Parameters
    ----------
    table
        The training rows.
    person
        Column that names the person of each row: all rows of one fall to the same side.
    seed
        Of the draw.
    """
    who = np.arange(table.height)
    if person is not None:
        who = table[person].rank("dense").fill_null(0).to_numpy().astype(np.int64)
    people = int(who.max(initial=0)) + 1
    chosen = np.random.default_rng([seed, 0]).permutation(people)[: max(1, people // 10)]
    aside = np.zeros(people, dtype=np.bool_)
    aside[chosen] = True
    found = aside[who]
    return found if not found.all() else np.zeros_like(found)
