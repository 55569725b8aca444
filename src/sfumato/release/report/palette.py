"""The colours of a report: told apart by colour-blind readers, in light, in dark and on paper.

Charts are drawn once, in the light colours; the style sheet turns each into its dark partner by the
attribute that holds it, so the drawing itself needs no script.
"""

from __future__ import annotations

__all__ = [
    "DARK",
    "GRID",
    "INK",
    "MUTED",
    "PAPER",
    "REAL",
    "SERIES",
    "dark_rules",
    "light_rules",
    "series",
]

INK, MUTED, GRID, PAPER = "#1d2733", "#5b6673", "#dfe4ea", "#ffffff"
REAL = "#a9b2bd"  # the people themselves: always the same grey behind the versions
#: After Okabe & Ito (2008), darkened to at least 3:1 on white; dashes tell the same without colour.
SERIES = ("#0067a5", "#c8500a", "#00785a", "#4b1f9e", "#8a6a00", "#b03a5b", "#3f6f7f", "#6b5344")

DARK = {
    INK: "#e8edf2",
    MUTED: "#a3afbc",
    GRID: "#36414d",
    PAPER: "#161c23",
    REAL: "#5f6b78",
    **dict(
        zip(
            SERIES,
            (
                "#5cb3ec",
                "#ff9a57",
                "#46cba4",
                "#a98bff",
                "#dcb53e",
                "#f0809f",
                "#8bbccc",
                "#c2a68f",
            ),
            strict=True,
        )
    ),
}


def series(position: int) -> str:
    """Return the colour of a version by its position in the study; the colours repeat after 8."""
    return SERIES[position % len(SERIES)]


def light_rules() -> str:
    """Return the style rules that give each version's marks on the page its colour."""
    return "".join(f".version-{place}{{--version:{colour}}}" for place, colour in enumerate(SERIES))


def dark_rules() -> str:
    """Return the style rules that give every colour its dark partner."""
    versions = "".join(
        f".version-{place}{{--version:{DARK[colour]}}}" for place, colour in enumerate(SERIES)
    )
    rules = (
        f'.chart [{attribute}="{light}"]{{{attribute}:{dark}}}'
        for light, dark in DARK.items()
        for attribute in ("fill", "stroke")
    )
    return versions + "".join(rules)
