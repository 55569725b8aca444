"""Runs of a mechanism, and its outputs as numbers and as kinds of output, whatever they are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.errors import DataError

__all__ = ["View", "call", "codes_of_rows", "seeds_of", "views_of"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class View:
    """One way to look at all outputs.

    Parameters
    ----------
    name
        What is looked at, in words.
    numbers
        Numbers of each output, shape (runs, k), or None.
    codes
        Which kind of output it is, equal for equal ones, shape (runs,), or None.
    """

    name: str
    numbers: Floats | None = None
    codes: Integers | None = None


def seeds_of(seed: int, count: int) -> list[int]:
    """Return independent seeds, each below 2**63."""
    state = np.random.SeedSequence(seed).generate_state(count, np.uint64)
    return [int(one) for one in state >> np.uint64(1)]


def call(
    mechanism: Callable[..., Any], data: Any, runs: int, seed: int, *, batch: bool
) -> npt.NDArray[Any] | list[Any]:
    """Return the outputs of independent runs: an array with ``batch``, else a list.

    Raises
    ------
    DataError
        If a vectorised mechanism does not return one output for each run.
    """
    if not batch:
        return [mechanism(data, one) for one in seeds_of(seed, runs)]
    outputs = np.asarray(mechanism(data, runs, seed))
    if outputs.ndim == 0 or len(outputs) != runs:
        raise DataError(
            f"a mechanism with batch = True returns an array of shape (runs, ...): {runs} runs "
            f"were asked for, the shape is {outputs.shape}"
        )
    return outputs


def views_of(
    outputs: npt.NDArray[Any] | Sequence[Any],
    name: str = "the output",
    record: pl.DataFrame | None = None,
) -> list[View]:
    """Return the views of outputs: numbers, kinds, and those of their parts.

    Parameters
    ----------
    outputs
        One for each run: numbers, arrays, texts, frames, or tuples and mappings of these.
    name
        What they are, in words.
    record
        For frames: the record that sets two inputs apart.
    """
    if isinstance(outputs, np.ndarray):
        return _of_array(outputs, name)
    first = outputs[0]
    if all(isinstance(one, pl.DataFrame) for one in outputs):
        from sfumato.evaluation.audit.frame_outputs import views_of_frames

        return views_of_frames(outputs, name, record)
    if isinstance(first, Mapping) and all(
        isinstance(one, Mapping) and one.keys() == first.keys() for one in outputs
    ):
        return [
            view
            for key in first
            for view in views_of([one[key] for one in outputs], f"{key} of {name}", record)
        ]
    if all(isinstance(one, bool | int | float | np.number | np.bool_) for one in outputs):
        return _of_array(np.asarray(outputs, np.float64), name)
    if all(isinstance(one, np.ndarray | list | tuple) for one in outputs):
        return _of_sequences(outputs, name, record)
    return [View(name, codes=_codes(outputs))]


def _of_array(array: npt.NDArray[Any], name: str) -> list[View]:
    flat = array.reshape(len(array), -1)
    if array.dtype.kind in "biuf":
        return [View(name, numbers=flat.astype(np.float64))] if flat.shape[1] else []
    return [View(name, codes=_codes([tuple(row) for row in flat.tolist()]))]


def _of_sequences(outputs: Sequence[Any], name: str, record: pl.DataFrame | None) -> list[View]:
    lengths = {len(one) for one in outputs}
    arrays = [np.asarray(one) for one in outputs] if not _ragged(outputs) else None
    if arrays is not None and all(one.dtype.kind in "biuf" for one in arrays):
        if len({one.shape for one in arrays}) == 1:
            return _of_array(np.stack(arrays), name)
        summary = [
            [one.size, *((one.mean(), one.min(), one.max()) if one.size else (0.0, 0.0, 0.0))]
            for one in arrays
        ]
        shapes = [one.shape for one in arrays]
        return [
            View(f"shape of {name}", codes=_codes(shapes)),
            View(f"size, mean, least and greatest of {name}", numbers=np.asarray(summary, float)),
        ]
    if len(lengths) == 1 and all(isinstance(one, tuple | list) for one in outputs):
        return [
            view
            for place in range(lengths.pop())
            for view in views_of(
                [one[place] for one in outputs], f"part {place + 1} of {name}", record
            )
        ]
    return [View(name, codes=_codes(outputs))]


def _ragged(outputs: Sequence[Any]) -> bool:
    """Return whether parts are not plain numbers, so that they cannot be one array."""
    plain = (bool, int, float, np.number, np.bool_)
    return not all(
        isinstance(one, np.ndarray) or all(isinstance(part, plain) for part in one)
        for one in outputs
    )


def _codes(outputs: Sequence[Any]) -> Integers:
    known: dict[Hashable, int] = {}
    keys = [one if isinstance(one, str | bytes | int) else repr(one) for one in outputs]
    return np.array([known.setdefault(key, len(known)) for key in keys], np.int64)


def codes_of_rows(numbers: Floats) -> Integers:
    """Return the same code for rows that are equal to the last bit, shape (runs,)."""
    bits = np.ascontiguousarray(numbers, np.float64).view(np.int64)
    if bits.shape[1] == 1:
        return np.unique(bits[:, 0], return_inverse=True)[1].astype(np.int64)
    whole = bits.view(np.dtype((np.void, bits.shape[1] * 8)))[:, 0]
    return np.unique(whole, return_inverse=True)[1].astype(np.int64)
