"""Charts as text: small, told apart without colour vision, the same from run to run."""

from itertools import combinations
from xml.etree import ElementTree

import pytest

from sfumato.release.report import charts, palette, table_charts
from sfumato.release.report.svg import draw

VERSIONS = {"clean": 0, "coarse <b>": 1}
SHARES = [
    {"cell": cell, "version": version, "share": share, "place": place}
    for version, share in (("", 0.3), ("clean", 0.31), ("coarse <b>", 0.2))
    for place, cell in enumerate(("a & b", "<script>"))
]
CURVE = [
    {"version": version, "x": step / 4, "y": step / 4, "order": step}
    for version in VERSIONS
    for step in range(5)
]
BINS = [{"low": low, "high": low + 1, "count": low * 10} for low in range(4)]

DRAWN = {
    "category_shares": lambda: charts.category_shares(SHARES, VERSIONS, ["a & b", "<script>"]),
    "number_shares": lambda: charts.number_shares(SHARES, VERSIONS, ["a & b", "<script>"]),
    "yes_shares": lambda: charts.yes_shares(
        [{"column": "ill", "version": name, "share": 0.1} for name in ("", *VERSIONS)],
        VERSIONS,
        ["ill"],
    ),
    "curves": lambda: charts.curves(
        CURVE, VERSIONS, "x", "y", [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
    ),
    "training": lambda: charts.training(
        [
            {"version": "clean", "part": part, "epoch": epoch, "loss": 1 / epoch}
            for part in ("training", "validation")
            for epoch in (1, 2, 3)
        ],
        VERSIONS,
    ),
    "interval_dots": lambda: charts.interval_dots(
        [{"row": "r", "version": "clean", "value": 0.5, "low": 0.4, "high": 0.6}],
        VERSIONS,
        ["r"],
        "AUC",
        0.5,
    ),
    "histogram": lambda: table_charts.histogram(BINS, "kg"),
    "dates": lambda: table_charts.histogram(
        [{"low": day * 864e5, "high": (day + 1) * 864e5, "count": 1} for day in range(5)],
        dates=True,
    ),
    "bars": lambda: table_charts.bars(
        [{"category": "a", "count": 3, "label": "3", "muted": False}]
    ),
    "heatmap": lambda: table_charts.heatmap([{"x": "a", "y": "b", "value": -0.4}], ["a", "b"]),
}


@pytest.mark.parametrize("name", list(DRAWN))
def test_a_chart_is_the_same_twice_and_small(name: str):
    first = draw(DRAWN[name](), "one", "T & <b>", "D").svg
    draw(DRAWN["curves"](), "between", "T", "D")  # vl-convert counts its ids over all charts
    assert draw(DRAWN[name](), "one", "T & <b>", "D").svg == first
    assert len(first) < 8000
    assert "NaN" not in first


@pytest.mark.parametrize("name", list(DRAWN))
def test_a_chart_is_one_image_with_a_title_and_a_description(name: str):
    root = ElementTree.fromstring(draw(DRAWN[name](), "one", "T & <b>", "What it shows").svg)
    assert root.tag == "svg"
    assert root.attrib["role"] == "img"
    assert [(child.tag, child.text) for child in list(root)[:2]] == [
        ("title", "T & <b>"),
        ("desc", "What it shows"),
    ]
    assert root.attrib["aria-labelledby"].split() == [
        child.attrib["id"] for child in list(root)[:2]
    ]
    assert not [element for element in root.iter() if element.tag in {"script", "image", "a"}]
    inside = [element.attrib for element in root.iter() if element is not root]
    assert not any({"role", "aria-label"} & set(attributes) for attributes in inside)


def test_bars_are_as_long_as_their_numbers():
    """The drawing survives the tidying: a bar of twice the count is twice as high."""
    drawn = draw(
        table_charts.histogram(
            [{"low": 0, "high": 1, "count": 10}, {"low": 1, "high": 2, "count": 20}]
        ),
        "h",
        "T",
        "D",
    )
    root = ElementTree.fromstring(drawn.svg)
    paths = [
        element.attrib["d"]
        for element in root.iter("path")
        if element.attrib.get("fill") == palette.SERIES[0]
    ]
    heights = [float(path.split("v")[1].split("h")[0]) for path in paths]
    assert len(heights) == 2
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.11)


def test_names_of_versions_and_categories_are_escaped():
    svg = draw(DRAWN["category_shares"](), "c", "T", "D").svg
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours by WCAG 2.1, section 1.4.3."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_colours_stand_out_from_the_page(dark: bool):
    partner = palette.DARK if dark else {colour: colour for colour in palette.DARK}
    paper = partner[palette.PAPER]
    assert all(contrast(partner[colour], paper) >= 3 for colour in palette.SERIES)
    assert contrast(partner[palette.INK], paper) >= 7
    assert contrast(partner[palette.MUTED], paper) >= 4.5


# As seen without green, and without red cones: Vienot, Brettel & Mollon 1999, in linear RGB.
SIGHT = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "deuteranopia": ((0.293, 0.707, -0.030), (0.293, 0.707, -0.030), (-0.022, 0.022, 1)),
    "protanopia": ((0.112, 0.888, 0), (0.112, 0.888, 0), (0.004, -0.004, 1)),
}


def lab(colour: str, sight: str) -> tuple[float, float, float]:
    """Return a colour as it is seen, in CIELAB (D65)."""
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in channels]
    red, green, blue = (
        min(1.0, max(0.0, sum(a * b for a, b in zip(row, linear, strict=True))))
        for row in SIGHT[sight]
    )
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    f = [t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


@pytest.mark.parametrize("sight", list(SIGHT))
@pytest.mark.parametrize("dark", [False, True])
def test_the_first_four_versions_differ_for_every_eye(sight: str, dark: bool):
    """A difference of 15 in CIELAB is seen at a glance."""
    colours = [palette.DARK[one] if dark else one for one in palette.SERIES[:4]]
    for one, other in combinations(colours, 2):
        pair = zip(lab(one, sight), lab(other, sight), strict=True)
        assert sum((a - b) ** 2 for a, b in pair) ** 0.5 > 15, (one, other)


def test_more_versions_than_colours_repeat_them():
    assert palette.series(8) == palette.series(0)
    assert len(set(palette.SERIES)) == 8
