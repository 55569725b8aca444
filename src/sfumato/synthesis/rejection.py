"""Rows are drawn in blocks and those that do not hold are thrown away, up to a bound.

What is kept follows the model's own distribution of the rows that hold, exactly. The blocks do not
depend on how many rows are asked for: a longer sample begins like a shorter one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

    from sfumato.errors import DataError
    from sfumato.progress import Progress

__all__ = ["collect_rows"]


def collect_rows(
    draw: Callable[[int], pl.DataFrame],
    n: int,
    *,
    block: int,
    least: float,
    patience: int,
    refuse: Callable[[float], DataError],
    progress: Progress,
    task: str,
) -> pl.DataFrame:
    """Draw blocks until enough of their rows hold.

    Parameters
    ----------
    draw
        Returns the rows that hold among ``block`` draws, by the number of the block.
    n
        Rows wanted.
    block
        Draws of a block.
    least, patience
        Least share of draws that must hold, judged once ``patience`` rows were drawn.
    refuse
        Returns the error to raise if fewer hold, from their share.
    progress, task
        Told how far the work is, under this name.
    """
    parts: list[pl.DataFrame] = []
    kept = tried = 0
    while kept < n:
        part = draw(tried // block)
        parts.append(part)
        kept, tried = kept + part.height, tried + block
        if kept < n and tried >= patience and kept < least * tried:
            raise refuse(kept / tried)
        progress(task, min(kept, n), n)
    return pl.concat(parts)[:n]
