"""One figure of an evaluation: never a bare number."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

__all__ = ["Figure"]

Direction = Literal["lower is better", "higher is better", "closer to the baseline is better"]


@dataclass(frozen=True)
class Figure:
    """A measured value with all that is needed to read it.

    Parameters
    ----------
    name
        The field's standard term, such as "prosecutor risk, highest".
    value
        The value, or None if it was not computed.
    unit
        "share" (0 to 1), "rows", "classes", or a unit of the table.
    direction
        Which way is better.
    interval
        95 % interval (low, high), or None where the value is exact; ``interval_method`` says how.
    baseline
        What a guess without the release reaches, in the same unit.
    control
        The same figure against people who are not in the release.
    meaning
        One sentence in plain words.
    source
        Where the definition comes from (paper, section).
    because
        Why it was not computed; empty if it was.
    p_value
        Probability of a value as far from the baseline if there were nothing to find; None where
        no test was made.
    adjusted
        The same for all figures of an evaluation together (Holm): 0.05 here means that one false
        alarm among them all comes in 5 % of evaluations.
    upper
        One-sided 95 % upper bound of ``value`` less its control (or baseline), in the same unit.
    detectable
        The smallest excess over the control that would have been noticed in 80 % of cases.
    attacks
        How many people or guesses it counts.
    not_shown
        What the figure does not show, as one sentence.
    """

    name: str
    value: float | None
    unit: str
    direction: Direction
    meaning: str
    source: str
    interval: tuple[float, float] | None = None
    interval_method: str = ""
    baseline: float | None = None
    control: float | None = None
    because: str = ""
    p_value: float | None = None
    adjusted: float | None = None
    upper: float | None = None
    detectable: float | None = None
    attacks: int | None = None
    not_shown: str = ""

    @classmethod
    def not_computed(
        cls, name: str, because: str, *, unit: str, direction: Direction, source: str
    ) -> Self:
        """Return the typed absence of a figure: it says why and never reads as safe."""
        meaning = f"Not computed: {because}."
        return cls(name, None, unit, direction, meaning, source, because=because)

    @property
    def computed(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def to_dict(self) -> dict[str, Any]:
        """Return the figure as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the figure that :meth:`to_dict` described."""
        interval = values.get("interval")
        return cls(**{**values, "interval": None if interval is None else tuple(interval)})
