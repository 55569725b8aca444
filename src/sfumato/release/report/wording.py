"""Numbers as a report writes them: for people, not for machines.

Three significant digits, thousands separators, percent where a number is a share.
"""

from __future__ import annotations

import math
import re
from itertools import count
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "amount",
    "breakable",
    "bytes_of",
    "duration",
    "interval",
    "listing",
    "number",
    "plural",
    "score",
    "share",
    "shorten",
    "told_apart",
]

# Between the words of a name, and within a piece of 24 letters or more.
_BREAKS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[_./-])(?=\w)|(?<=\w{24})(?=\w)")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NOT_COMPUTED = "not computed"


def number(value: float | None) -> str:
    """Return a number with three significant digits; whole numbers in full.

    Parameters
    ----------
    value
        Any finite number, or None.

    Examples
    --------
    >>> number(237630), number(28.691602), number(0.0555527), number(1234.5)
    ('237,630', '28.7', '0.0556', '1,234')
    >>> number(0.0000123), number(None), number(-2.0)
    ('1.23 × 10⁻⁵', 'not computed', '−2')
    """
    if value is None:
        return _NOT_COMPUTED
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "unbounded"
    if float(value).is_integer() and abs(value) < 1e15:
        return _minus(f"{int(value):,}")
    if abs(value) >= 1e15 or abs(value) < 1e-4:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return _minus(f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}")
    return _minus(f"{value:,.{_decimals(value)}f}")


def share(value: float | None) -> str:
    """Return a share (0 to 1) as a percentage that never rounds to a false 0 or 100.

    Examples
    --------
    >>> share(0.7194), share(0.055553), share(1), share(0)
    ('71.9%', '5.56%', '100%', '0%')
    >>> share(0.99999), share(0.000001)
    ('>99.9%', '<0.001%')
    """
    if value is None:
        return _NOT_COMPUTED
    percent = 100 * value
    if math.isnan(percent):
        return "not a number"
    if 99.95 <= percent < 100:
        return ">99.9%"
    if 0 < abs(percent) < 0.001:
        return "<0.001%" if percent > 0 else ">−0.001%"
    if percent in (0, 100):
        return f"{percent:.0f}%"
    return _minus(f"{percent:,.{_decimals(percent)}f}%")


def score(value: float | None) -> str:
    """Return a score of a model (0 to 1) with three decimals, as the literature prints it.

    Examples
    --------
    >>> score(0.88712)
    '0.887'
    """
    return _NOT_COMPUTED if value is None else _minus(f"{value:.3f}")


def amount(value: float | None, unit: str) -> str:
    """Return a value with its unit.

    Examples
    --------
    >>> amount(0.5, "share"), amount(1, "rows"), amount(12, "classes"), amount(1.705, "m")
    ('50.0%', '1 row', '12 classes', '1.71 m')
    """
    if value is None:
        return _NOT_COMPUTED
    if unit == "share":
        return share(value)
    if unit in _UNITLESS:
        return "<0.001" if 0 < value < 0.001 else number(value)
    if unit in _SINGULAR and value == 1:
        return f"1 {_SINGULAR[unit]}"
    return f"{number(value)} {unit}".rstrip()


_UNITLESS = {"", "correlation", "score", "mean difference"}
_SINGULAR = {
    "rows": "row",
    "classes": "class",
    "persons": "person",
    "people": "person",
    "groups": "group",
    "columns": "column",
}


def interval(bounds: Sequence[float] | None, unit: str = "share") -> str:
    """Return a 95 % interval in words, or a dash where there is none.

    Examples
    --------
    >>> interval((0.721, 0.7345)), interval(None), interval((0.8812, 0.8934), "score")
    ('72.1% to 73.5%', '–', '0.881–0.893')
    """
    if bounds is None:
        return "–"
    low, high = bounds
    if unit == "score":
        return f"{score(low)}–{score(high)}"  # never negative, so the dash is no minus
    if unit == "share":
        return f"{share(low)} to {share(high)}"
    return f"{number(low)} to {number(high)}"


def plural(count: float, one: str, many: str = "") -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> plural(1, "column"), plural(1200, "class", "classes")
    ('1 column', '1,200 classes')
    """
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def listing(items: Sequence[str], most: int = 8, joiner: str = "and") -> str:
    """Return names as a phrase; a long list ends in how many more there are.

    Examples
    --------
    >>> listing(["age"]), listing(["age", "sex"]), listing(["a", "b", "c", "d"], most=2)
    ('age', 'age and sex', 'a, b and 2 more')
    """
    if len(items) > most:
        items = [*items[:most], f"{len(items) - most} more"]
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {joiner} {items[-1]}"


def shorten(text: object, most: int = 60) -> str:
    """Return a text cut in its middle if it is longer than ``most`` characters.

    Examples
    --------
    >>> shorten("a" * 40, 10)
    'aaaaa…aaaa'
    """
    written = str(text)
    if len(written) <= most:
        return written
    head = most // 2
    return f"{written[:head]}…{written[len(written) - (most - head - 1) :]}"


def told_apart(labels: Sequence[str]) -> list[str]:
    """Return the labels, numbered where two are the same (as after shortening).

    Examples
    --------
    >>> told_apart(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    told: dict[str, None] = {}
    for label in labels:
        names = (label if turn == 1 else f"{label} ({turn})" for turn in count(1))
        told[next(name for name in names if name not in told)] = None
    return list(told)


def breakable(text: object, most: int = 60) -> Markup:
    """Return a name that a narrow column may break between its words.

    Examples
    --------
    >>> breakable("WeightInKilograms<b>")
    Markup('Weight<wbr>In<wbr>Kilograms&lt;b&gt;')
    """
    pieces = _BREAKS.sub("\n", shorten(str(text).replace("\n", " "), most)).split("\n")
    return Markup("<wbr>").join(escape(piece) for piece in pieces)


def duration(seconds: float | None) -> str:
    """Return a time for people.

    Examples
    --------
    >>> duration(0.4), duration(75), duration(5000)
    ('under 1 s', '1 min 15 s', '1 h 23 min')
    """
    if seconds is None:
        return _NOT_COMPUTED
    whole = round(seconds)
    if seconds < 1:
        return "under 1 s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def bytes_of(size: float | None) -> str:
    """Return a size in bytes for people.

    Examples
    --------
    >>> bytes_of(1_997_336)
    '2.00 MB'
    """
    if size is None:
        return _NOT_COMPUTED
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{number(size)} {unit}"


def _minus(written: str) -> str:
    """Return the number with a true minus sign, which does not break from it."""
    return written.replace("-", "−")


def _decimals(value: float) -> int:
    """Return the decimals that show three significant digits of a value as it rounds."""
    rounded = abs(float(f"{value:.3g}"))
    return max(0, 2 - math.floor(math.log10(rounded))) if rounded else 2
