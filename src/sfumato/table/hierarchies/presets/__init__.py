"""The hierarchies that come with sfumato, by name.

The groups of the BRFSS survey and of US states are those that the study of heart disease uses
(Census Bureau: four regions; the territories are a group of their own). Those that list their
values are files in this folder, in the same format as a user's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from sfumato.errors import HierarchyError, did_you_mean
from sfumato.table.hierarchies.code_parts import POSTCODE_SYSTEMS
from sfumato.table.hierarchies.hierarchy_files import read_lines

if TYPE_CHECKING:
    from sfumato.table.hierarchies.hierarchy import Hierarchy

__all__ = ["PRESETS", "make_preset", "preset_names"]

PRESETS: dict[str, str] = {
    "age-5-10-20-90": "ages in bands of 5, 10 and 20 years, 90 and over in one (HIPAA)",
    "atc": "ATC codes of medicines by their levels",
    "bmi-group-right-closed": "BMI: (0, 18.5] Underweight, (18.5, 25] Normal, (25, 30] "
    "Overweight, (30, 40] Obese, (40, 100] ExtremelyObese",
    "brfss-age-group": "the 13 age bands of BRFSS in 4 groups",
    "brfss-diabetes": "HadDiabetes of BRFSS in 3 groups",
    "brfss-e-cigarette": "ECigaretteUsage of BRFSS in 3 groups",
    "brfss-general-health": "GeneralHealth of BRFSS in 3 groups",
    "brfss-race": "RaceEthnicityCategory of BRFSS in 3 groups",
    "brfss-smoker": "SmokerStatus of BRFSS in 3 groups",
    "brfss-tetanus": "TetanusLast10Tdap of BRFSS in 3 groups",
    "date": "dates by month, quarter, year and decade",
    "date-hipaa": "dates by year: all that HIPAA's Safe Harbor leaves of a date",
    "height-group": "height in metres: (0, 1.5] VeryShort, (1.5, 1.6] Short, (1.6, 1.7] Medium, "
    "(1.7, 1.85] Tall, (1.85, 3] VeryTall",
    "icd10": "ICD-10 codes by category, block and chapter (WHO edition of 2019)",
    "us-census-region": "50 US states, DC, Puerto Rico, Guam, Virgin Islands in 4 Census regions "
    "and the territories",
    "who-bmi": "BMI by WHO: 18.5, 25, 30, 35, 40, closed on the left; then 18.5, 25, 30",
}
PRESETS |= {
    f"postcode-{country.lower()}": f"{system.name}" for country, system in POSTCODE_SYSTEMS.items()
}
"""Each preset with what it is."""


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets."""
    return tuple(PRESETS)


def make_preset(name: str) -> Hierarchy:
    """Return the preset hierarchy of a name.

    Raises
    ------
    HierarchyError
        If no preset has the name; the message lists them.
    """
    from sfumato.table.hierarchies.hierarchy import Hierarchy

    rules: dict[str, Callable[[], Hierarchy]] = {
        "age-5-10-20-90": lambda: Hierarchy.bands([5, 10, 20], top=90),
        "atc": Hierarchy.atc,
        "bmi-group-right-closed": lambda: Hierarchy.intervals(
            [0, 18.5, 25, 30, 40, 100],
            closed="right",
            labels=["Underweight", "Normal", "Overweight", "Obese", "ExtremelyObese"],
            open_ended=False,
        ),
        "date": Hierarchy.dates,
        "date-hipaa": lambda: Hierarchy.dates(["year"]),
        "height-group": lambda: Hierarchy.intervals(
            [0, 1.5, 1.6, 1.7, 1.85, 3],
            closed="right",
            labels=["VeryShort", "Short", "Medium", "Tall", "VeryTall"],
            open_ended=False,
        ),
        "icd10": Hierarchy.icd10,
        # World Health Organization, Technical Report Series 894 (2000), table 2.1
        "who-bmi": lambda: Hierarchy.intervals([18.5, 25, 30, 35, 40], levels=[[18.5, 25, 30]]),
    }
    if name in PRESETS and name.startswith("postcode-"):
        return Hierarchy.postcode(name.removeprefix("postcode-").upper())
    if name in rules:
        return rules[name]()
    if name not in PRESETS:
        hint = did_you_mean(name, PRESETS)
        raise HierarchyError(f"no preset {name!r}.{hint} Known: {', '.join(PRESETS)}")
    with as_file(files(__name__).joinpath(f"{name}.csv")) as path:
        leaves = read_lines(path, delimiter=";")
    title = f"the preset {name!r}"
    place = f"a hierarchy file of your own ({title} cannot be changed)"
    return Hierarchy({"preset": name}, replace(leaves, name=title, place=place))
