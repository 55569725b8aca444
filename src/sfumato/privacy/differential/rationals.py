"""Rational numbers: read as they were written, and rounded to the safe side."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator

from sfumato.errors import PlanError

__all__ = ["Number", "Rational", "exp_bounds", "rational", "rounded_down", "rounded_up"]

Number: TypeAlias = int | float | str | Fraction | Decimal

_BITS = 40


def rational(value: Number) -> Fraction:
    """Return the rational number that was written.

    A float is read as its shortest decimal, so that ``0.1`` is one tenth.

    Parameters
    ----------
    value
        An integer, a fraction, a decimal, a float, or a text such as ``"1/3"`` or ``"0.1"``.

    Raises
    ------
    PlanError
        If it is no finite number.

    Examples
    --------
    >>> rational(0.1), rational("2/3")
    (Fraction(1, 10), Fraction(2, 3))
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Fraction | Decimal):
        raise PlanError(f"a rational number is needed, not a {type(value).__name__}")
    try:
        return Fraction(repr(float(value))) if isinstance(value, float) else Fraction(value)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise PlanError(f"a finite rational number is needed, not {value!r}") from None


def _validated(value: Any) -> Fraction:
    try:
        return rational(value)
    except PlanError as error:
        raise ValueError(str(error)) from None


#: The type of a setting that is an exact rational number.
Rational = Annotated[Fraction, BeforeValidator(_validated)]


def rounded_up(value: Fraction | float, bits: int = _BITS) -> Fraction:
    """Return a number with few digits that is at least ``value`` and at most 2**-bits above it.

    Parameters
    ----------
    value
        Above 0.
    bits
        The relative error is below ``2**-bits``.
    """
    return _rounded(Fraction(value), bits, up=True)


def rounded_down(value: Fraction | float, bits: int = _BITS) -> Fraction:
    """Return a number with few digits that is at most ``value``, as :func:`rounded_up`."""
    return _rounded(Fraction(value), bits, up=False)


def _rounded(value: Fraction, bits: int, *, up: bool) -> Fraction:
    if value <= 0:
        raise PlanError("only a number above 0 can be rounded relative to its size")
    size = value.numerator.bit_length() - value.denominator.bit_length()
    unit = Fraction(2) ** (size - bits - 1)
    whole = math.ceil(value / unit) if up else math.floor(value / unit)
    return whole * unit


def exp_bounds(exponent: Fraction, digits: int = 30) -> tuple[Fraction, Fraction]:
    """Return rational numbers between which ``exp(exponent)`` lies.

    Parameters
    ----------
    exponent
        Any rational number.
    digits
        Significant decimal digits. ``decimal`` rounds its exponential correctly, so that the next
        numbers below and above the rounded one are bounds. Below exp(-8 digits) the bounds are 0
        and 2**(-8 digits): such a number is not written out.
    """
    if exponent < -8 * digits:
        return Fraction(0), Fraction(1, 2 ** (8 * digits))
    below, above = (
        Context(prec=digits + 5, rounding=way, Emax=10**17, Emin=-(10**17)).divide(
            Decimal(exponent.numerator), Decimal(exponent.denominator)
        )
        for way in (ROUND_FLOOR, ROUND_CEILING)
    )
    context = Context(prec=digits, Emax=10**17, Emin=-(10**17))
    low = context.next_minus(context.exp(below))
    high = context.next_plus(context.exp(above))
    return Fraction(low), Fraction(high)
