"""A matrix of correlations as a drawing that needs no script."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup, escape

__all__ = ["heat_map"]

_CELL, _LABEL = 17, 132
_LOW, _MIDDLE, _HIGH = (0, 103, 165), (243, 245, 247), (200, 80, 10)


def heat_map(matrix: np.ndarray, names: list[str], title: str) -> Markup:
    """Return an SVG of a square matrix of values from -1 to 1; greater ones are cut."""
    size = len(names) * _CELL
    width = _LABEL + size
    parts = [
        f'<svg class="chart" role="img" aria-label="{escape(title)}"',
        f' viewBox="0 0 {width} {size}" width="{width}" height="{size}">',
    ]
    for i, name in enumerate(names):
        label = name if len(name) <= 19 else name[:18] + "…"
        parts.append(
            f'<text x="{_LABEL - 6}" y="{i * _CELL + 12}" text-anchor="end" font-size="11" '
            f'fill="#5b6673">{escape(label)}</text>'
        )
        for j, other in enumerate(names):
            value = float(matrix[i, j])
            parts.append(
                f'<rect x="{_LABEL + j * _CELL}" y="{i * _CELL}" width="{_CELL}" '
                f'height="{_CELL}" fill="{_colour(value)}"><title>{escape(name)}, '
                f"{escape(other)}: {value:+.2f}</title></rect>"
            )
    parts.append("</svg>")
    return Markup("".join(parts))  # every name is escaped


def _colour(value: float) -> str:
    end, part = (_HIGH if value >= 0 else _LOW), min(1.0, abs(value))
    mixed = [round(m + (e - m) * part) for m, e in zip(_MIDDLE, end, strict=True)]
    return "#" + "".join(f"{one:02x}" for one in mixed)
