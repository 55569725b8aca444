"""The questions that are asked of every release, and which figures answer each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.evaluation import Figure

__all__ = ["FAMILIES", "Family", "family_of"]


@dataclass(frozen=True)
class Family:
    """One question.

    Parameters
    ----------
    key
        A short key.
    title
        The field's term.
    question
        What is asked, in plain words.
    could
        What the people could be, for "at most ... people could be ...".
    prefixes
        How the keys of its figures begin.
    """

    key: str
    title: str
    question: str
    could: str
    prefixes: tuple[str, ...]

    def of(self, figures: Mapping[str, Figure]) -> dict[str, Figure]:
        """Return the figures that answer this question."""
        return {key: one for key, one in figures.items() if family_of(key) is self}


FAMILIES = (
    Family(
        "integrity",
        "Integrity",
        "Does the file itself give something away: an identifier, an order, a digit?",
        "be told from the order of the rows",
        ("integrity",),
    ),
    Family(
        "copies",
        "Copies",
        "Are records of people in it, letter by letter or nearly so?",
        "be found copied in it",
        ("copies", "exact_copies", "leaked_share"),
    ),
    Family(
        "singling_out",
        "Singling out",
        "Can a description taken from it pick out one single person?",
        "be singled out",
        ("singling_out",),
    ),
    Family(
        "linkability",
        "Linkability",
        "Can two partial records of one person be joined with its help?",
        "have two records linked",
        ("linkability",),
    ),
    Family(
        "inference",
        "Inference",
        "Can an unknown trait of a person in it be guessed better than of anybody else?",
        "have a trait inferred",
        ("inference", "attribute_inference", "homogeneity", "background_knowledge"),
    ),
    Family(
        "membership",
        "Membership",
        "Can it be told who took part?",
        "be told to have taken part",
        ("membership", "nearer_to_train", "shadow"),
    ),
    Family(
        "reconstruction",
        "Reconstruction",
        "Can secrets be computed from its counts?",
        "have a secret computed",
        ("reconstruction", "intersection", "differencing"),
    ),
)


def family_of(key: str) -> Family | None:
    """Return the question that a figure answers, or None."""
    head = key.split("/")[0]
    return next((one for one in FAMILIES if head in one.prefixes), None)
