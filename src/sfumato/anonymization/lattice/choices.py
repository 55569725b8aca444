"""What a search of the generalization lattice can be asked for, by name."""

from __future__ import annotations

from typing import Literal

__all__ = ["Heuristic", "LatticeLoss", "LatticeSearch", "OlaMetric"]

LatticeLoss = Literal[
    "arithmetic",
    "geometric",
    "sum",
    "max",
    "ncp",
    "entropy",
    "precision",
    "height",
    "discernibility",
    "aecs",
    "ambiguity",
    "kl",
    "classification",
]
Heuristic = Literal["best-first", "top-down", "genetic"]
LatticeSearch = Literal["auto", "optimal", "best-first", "top-down", "genetic"]
OlaMetric = Literal["none", "gweight", "prec", "aecs", "dm", "ent"]
