"""How sensitive a column is, read from its name: a first guess for a person to correct."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Sensitivity", "SensitivityClass", "sensitivity_of", "words_of"]

SensitivityClass = Literal[
    "identifier",
    "location",
    "demographic",
    "highly sensitive demographic",
    "health metric",
    "medical history",
    "mental health",
    "disability",
    "behavioural",
    "infectious",
    "unclassified",
]

# Class by class, the beginnings of words that tell it and whole words that do: "age" must not be
# found in "agent". The first class that knows a word wins, so that "mental health" is not a health
# metric and a hospital's "ward" is found before "award".
_WORDS: dict[SensitivityClass, tuple[str, str]] = {
    "infectious": (
        "covid corona hepatit tubercul syphil gonorr chlamyd malaria",
        "hiv aids std sti sars tb hbv hcv hpv serology infection",
    ),
    "mental health": (
        "depress anxi psych suicid schizo bipolar mental autis dement",
        "adhd ptsd ocd phq gad mood stress therapy",
    ),
    "highly sensitive demographic": (
        "ethnic relig sexual transgend nation nativ immigra citizen indigen",
        "race faith church union party political caste tribe language",
    ),
    "disability": (
        "disab difficult impair wheelchair blind deaf handicap handcap",
        "vision hearing adl adls adlp",
    ),
    "behavioural": (
        "smok cigar tobacco alcohol drink drug addict exercis diet",
        "vape vaping risk sport activity physical sleep gambling food",
    ),
    "medical history": (
        (
            "diagnos diseas cancer tumo stroke angina asthma arthrit kidney renal diabet "
            "hypertens hipertens cardi vaccin tetanus immuni surg operat pregnan menopaus "
            "allerg epilep medicat prescri treatment symptom comorbid admission admit "
            "discharg metasta malignan death died mortal hosp"
        ),
        (
            "had heart copd vax scan xray mri icd atc condition history severity stage "
            "dzgroup dzclass procedure chest dose"
        ),
    ),
    "location": (
        "postcod postal county countr district municip neighbo address",
        (
            "state zip zipcode city town street region province latitude longitude lat lon "
            "lng location residence hospital ward commune"
        ),
    ),
    "health metric": (
        "glucos cholest pressur insulin hemoglob haemoglob creatin triglyc",
        (
            "health height weight bmi hba1c pulse temperature bp chol fbs ecg "
            "restecg thalach oldpeak skin waist hip lab score trestbps"
        ),
    ),
    "demographic": (
        "educat marital occupat employ income salar profess househ",
        (
            "age aged sex gender birth born dob yob job work workclass relationship children "
            "insurance housing wage edu geschlecht alter"
        ),
    ),
}
_BEGINNINGS = {kind: tuple(beginnings.split()) for kind, (beginnings, _) in _WORDS.items()}
_WHOLE_WORDS = {kind: frozenset(whole.split()) for kind, (_, whole) in _WORDS.items()}
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
# Names of laboratory values that the borders of words would cut apart.
_UNCUT = ("hba1c",)


@dataclass(frozen=True)
class Sensitivity:
    """The sensitivity class of a column and the reason for it.

    Parameters
    ----------
    kind
        The class.
    because
        The reason, a clause such as "its name holds 'stroke'".
    """

    kind: SensitivityClass
    because: str


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a column's name, in lower case.

    Examples
    --------
    >>> words_of("HadHIVTest_2022"), words_of("AgeCategory")
    (('had', 'hiv', 'test', '2022'), ('age', 'category'))
    """
    return tuple(word.lower() for word in _WORD.findall(name))


def sensitivity_of(name: str, *, identifies: bool = False) -> Sensitivity:
    """Return the sensitivity class that a column's name suggests.

    Parameters
    ----------
    name
        The column's name.
    identifies
        Whether the column was found or declared to be a direct identifier.

    Examples
    --------
    >>> sensitivity_of("HadDepressiveDisorder")
    Sensitivity(kind='mental health', because="its name holds 'depressive'")
    >>> sensitivity_of("x7").kind
    'unclassified'
    """
    if identifies:
        return Sensitivity("identifier", "it is a direct identifier")
    # The word "had" tells least: it is the reason only if no other word is.
    words = sorted(words_of(name), key=lambda word: word == "had")
    words += [word for word in _UNCUT if word in name.lower()]
    for kind, beginnings in _BEGINNINGS.items():
        for word in words:
            if word in _WHOLE_WORDS[kind] or word.startswith(beginnings):
                return Sensitivity(kind, f"its name holds {word!r}")
    return Sensitivity("unclassified", "no word of its name is known to us")
