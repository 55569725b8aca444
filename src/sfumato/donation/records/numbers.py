"""Decimal numbers on a grid: bounds and a step that are said, never found in the data."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BeforeValidator, PlainSerializer, model_validator

from sfumato.errors import DataError
from sfumato.settings import Settings

__all__ = ["DecimalNumber", "NumberRange"]

_MOST_STEPS = 2**31
_MOST_SCALED = 2**53  # beyond it a 64-bit float no longer holds every whole number


def _decimal(value: Any) -> Any:
    """Read a number by its shortest decimal text, so that 0.1 is one tenth."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic collects ValueError
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("must be a number") from None
    if not number.is_finite():
        raise ValueError("must be a finite number")
    return number


def _plain(number: Decimal) -> int | float:
    """Return a number as a plan file writes it: 18 rather than 18.0."""
    return int(number) if number == number.to_integral_value() else float(number)


DecimalNumber = Annotated[Decimal, BeforeValidator(_decimal), PlainSerializer(_plain)]


class NumberRange(Settings):
    """Numbers from ``minimum`` to ``maximum`` in steps of ``resolution``.

    Parameters
    ----------
    minimum, maximum
        The bounds, both included, in the answer's unit.
    resolution
        The step; answers are rounded to it.

    Raises
    ------
    PlanError
        If the bounds are not a positive number of steps apart, or are too many steps.
    """

    minimum: DecimalNumber
    maximum: DecimalNumber
    resolution: DecimalNumber = Decimal(1)

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        if self.resolution <= 0:
            raise ValueError("resolution must be above 0")
        if self.maximum <= self.minimum:
            raise ValueError("maximum must be above minimum")
        if (self.maximum - self.minimum) % self.resolution:
            raise ValueError("maximum - minimum must be a whole number of steps of the resolution")
        if self.steps > _MOST_STEPS or max(abs(n) for n in self._scaled()[1:]) > _MOST_SCALED:
            raise ValueError("the range has too many steps: choose a coarser resolution")
        return self

    @property
    def steps(self) -> int:
        """How many numbers the range holds."""
        return int((self.maximum - self.minimum) / self.resolution) + 1

    def _scaled(self) -> tuple[int, int, int, int]:
        """Return a power of ten, and minimum, maximum and resolution as multiples of 1 over it."""
        exponents = [
            int(number.normalize().as_tuple().exponent)
            for number in (self.minimum, self.maximum, self.resolution)
        ]
        scale = 10 ** max(0, -min(exponents))
        return (
            scale,
            int(self.minimum * scale),
            int(self.maximum * scale),
            int(self.resolution * scale),
        )

    def codes(self, series: pl.Series) -> npt.NDArray[np.int64]:
        """Return the step of each number, -1 for a missing one.

        Parameters
        ----------
        series
            Numbers (n,), or texts that are numbers.

        Raises
        ------
        DataError
            If a cell is no number or lies outside the bounds; names column and row.
        """
        numbers = series.cast(pl.Float64, strict=False)
        strange = (numbers.is_null() & series.is_not_null()) | ~numbers.is_finite().fill_null(
            value=True
        )
        scale, low, high, step = self._scaled()
        values = numbers.fill_null(float(self.minimum)).to_numpy()
        outside = strange.to_numpy().copy()
        with np.errstate(invalid="ignore"):
            steps = np.rint((values * scale - low) / step)
            outside |= ~((steps >= 0) & (steps <= (high - low) // step))
        if outside.any():
            raise DataError(
                f"column {series.name!r}: {int(outside.sum())} cells are no number from "
                f"{self.minimum} to {self.maximum}, first in row {int(outside.argmax()) + 1}: "
                "widen the range of the question, or leave these rows out"
            )
        codes = steps.astype(np.int64)
        codes[series.is_null().to_numpy()] = -1
        return codes

    def values(self, codes: npt.NDArray[np.integer[Any]], name: str) -> pl.Series:
        """Return the numbers of steps (n,); whole ones as integers, others as the nearest float."""
        scale, low, _, step = self._scaled()
        scaled = codes.astype(np.int64) * step + low
        return pl.Series(name, scaled if scale == 1 else scaled / scale)

    def grid(self, name: str) -> pl.Series:
        """Return every number of the range, in rising order."""
        return self.values(np.arange(self.steps), name)
