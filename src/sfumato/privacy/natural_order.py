"""The natural order of the values of a column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.table import parse_intervals

__all__ = ["natural_order"]


def natural_order(labels: pl.Series) -> npt.NDArray[np.int64]:
    """Return the positions of distinct values in their natural order, a missing value last.

    Numbers (also written as texts) and dates go by value, ordered categories (``Enum``) by their
    order, texts that are all numbers or intervals by where they begin, then by where they end,
    other texts by the alphabet.

    Parameters
    ----------
    labels
        Distinct values (v).

    Returns
    -------
    np.ndarray
        Shape (v,): the position of the least value first.

    Examples
    --------
    >>> natural_order(pl.Series(["9", None, "10", "-1"])).tolist()
    [3, 0, 2, 1]
    """
    missing = labels.is_null().to_numpy()
    if isinstance(labels.dtype, pl.Enum):
        return _sorted(labels.to_physical())
    if labels.dtype not in (pl.String, pl.Categorical):
        return _sorted(labels)
    texts = labels.cast(pl.String)
    low, high = parse_intervals(texts)
    if not (np.isnan(low) & ~missing).any():
        # a stable sort: values that begin and end alike stay in the order of the alphabet
        by_text = np.argsort(_sorted(texts), kind="stable")
        return np.lexsort((by_text, high, low, missing)).astype(np.int64)
    return _sorted(texts)


def _sorted(keys: pl.Series) -> npt.NDArray[np.int64]:
    return keys.arg_sort(nulls_last=True).to_numpy().astype(np.int64)
