"""What was found about a trained model, in figures; scores of single people stay inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from sfumato.atomic import write_whole
from sfumato.evaluation.figures import Figure
from sfumato.evaluation.outcomes import Outcome, outcome, worst
from sfumato.evaluation.outward_figures import outward

__all__ = ["ModelEvaluation"]


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """What a trained model gives away.

    Parameters
    ----------
    model
        Name of its class.
    task
        "classification" or "regression".
    figures
        By key.
    members, controls
        Rows of either that were attacked.
    seed
        Of every random step.
    settings
        What was asked, as plain values.
    scores
        Scores of the single members, a row each, in no file and no text: ``row`` (number among the
        members), ``likelihood_ratio`` (natural logarithm), ``privacy_risk`` (probability) and
        ``shapley`` (n times the value). Columns of parts that were not run are missing.
    """

    model: str
    task: str
    figures: Mapping[str, Figure]
    members: int
    controls: int
    seed: int
    settings: Mapping[str, Any]
    scores: pl.DataFrame = field(repr=False)

    def outcomes(self) -> dict[str, Outcome]:
        """Return what each tested figure says, all tests taken together (Holm, 5 %)."""
        return {
            key: outcome(figure)
            for key, figure in self.figures.items()
            if figure.p_value is not None
        }

    @property
    def verdict(self) -> Outcome:
        """What all tested figures say together; none is ever called safe."""
        return worst(self.outcomes().values())

    def describe(self) -> tuple[str, ...]:
        """Return the figures as sentences, those with evidence of a leak first."""
        said = self.outcomes()
        order = sorted(
            self.figures, key=lambda key: said.get(key, Outcome.NOT_TESTED) != Outcome.EVIDENCE
        )
        return tuple(_sentence(self.figures[key], said.get(key)) for key in order)

    def outward(self) -> dict[str, Figure]:
        """Return the figures as they may be shown to others: in steps, nobody's score."""
        return outward(self.figures, people=self.members)

    def to_dict(self, *, for_others: bool = False) -> dict[str, Any]:
        """Return the evaluation as plain JSON values, without scores of single people.

        Parameters
        ----------
        for_others
            Whether figures are rounded as :meth:`outward` does.
        """
        figures = self.outward() if for_others else self.figures
        counts = {} if for_others else {"members": self.members, "controls": self.controls}
        return {
            "model": self.model,
            "task": self.task,
            **counts,
            "seed": self.seed,
            "settings": dict(self.settings),
            "verdict": self.verdict.value,
            "outcomes": {key: said.value for key, said in self.outcomes().items()},
            "figures": {key: figure.to_dict() for key, figure in figures.items()},
        }

    def save(self, path: str | Path, *, for_others: bool = False) -> Path:
        """Write the evaluation to a JSON file, whole or not at all.

        Parameters
        ----------
        path
            The file; its folder must exist.
        for_others
            Whether figures are rounded so that the file may leave the house.

        Raises
        ------
        OSError
            If the system refuses.
        """
        text = json.dumps(self.to_dict(for_others=for_others), indent=2, ensure_ascii=False)
        write_whole(path, f"{text}\n")
        return Path(path)


def _sentence(figure: Figure, said: Outcome | None) -> str:
    if figure.value is None:
        return f"{figure.name}: {figure.meaning}"
    reach = "" if figure.interval is None else " [{:.3g}, {:.3g}]".format(*figure.interval)
    base = "" if figure.baseline is None else f", baseline {figure.baseline:.3g}"
    ends = "" if said is None else f": {said.value}"
    return f"{figure.name} {figure.value:.3g}{reach}{base}{ends}. {figure.meaning}"
