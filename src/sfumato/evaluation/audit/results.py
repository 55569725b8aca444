"""What an audit found: a lower bound of epsilon, its ceiling, and what that says of the claim."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from sfumato.evaluation.figures import Figure

__all__ = ["ACCUSATION", "Audit", "AuditEvent", "Verdict"]

Verdict = Literal["violation", "not refuted", "not refutable"]

#: A claim is called broken only if a correct mechanism would be so in at most this share of audits.
ACCUSATION = 1e-4

_NAME = "epsilon, lower bound by audit"
_UNIT = "epsilon"
_NOT_SHOWN = (
    "An audit finds breaches; it cannot show that there are none: other tables, other outputs or a "
    "better attack may give more."
)


@dataclass(frozen=True)
class AuditEvent:
    """One event by which two tables were told apart, counted in other runs than it was chosen on.

    Parameters
    ----------
    name
        What was looked at, such as "likelihood ratio of value".
    neighbours
        Which pair of tables, or which set of records.
    hits, runs
        How often it happened on the first table; for one run with many records: right guesses, and
        guesses made.
    other_hits, other_runs
        How often on the second table; 0 and 0 for one run with many records.
    lower_bound
        Of epsilon (of what a Gaussian mechanism's mu means at the claimed delta, where that was
        asked for), corrected for all events of the audit.
    p_value
        That a mechanism that keeps the claim gives such counts, by itself.
    """

    name: str
    neighbours: str
    hits: int
    runs: int
    other_hits: int
    other_runs: int
    lower_bound: float
    p_value: float

    def describe(self) -> str:
        """Return the counts in words."""
        if self.other_runs == 0:
            return (
                f"{self.name}, {self.neighbours}: {self.hits:,} of {self.runs:,} guesses are right"
            )
        return (
            f"{self.name}, {self.neighbours}: in {self.hits:,} of {self.runs:,} runs on the first "
            f"table and {self.other_hits:,} of {self.other_runs:,} on the second"
        )


@dataclass(frozen=True)
class Audit:
    """How private a mechanism can be at most.

    Parameters
    ----------
    method
        "neighbouring tables" or "one run".
    epsilon, delta
        What is claimed.
    events
        What was counted, the most telling first.
    lower_bound
        Of epsilon, right with ``confidence`` over all events together; 0 or more.
    ceiling
        The largest lower bound that so many runs or guesses could have given, with ``confidence``.
    refutable
        The largest claim that this audit could have called broken.
    p_value
        That a mechanism that keeps the claim gives so telling counts in any event (Bonferroni).
    runs
        Runs of the mechanism.
    confidence
        Of ``lower_bound`` and ``ceiling``.
    assumption
        What the bound holds under beside the definition, or empty.
    notes
        What else was seen, a sentence each.
    """

    method: Literal["neighbouring tables", "one run"]
    epsilon: float
    delta: float
    events: tuple[AuditEvent, ...]
    lower_bound: float
    ceiling: float
    refutable: float
    p_value: float
    runs: int
    confidence: float = 0.95
    assumption: str = ""
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whether the claim is broken, withstood, or was beyond what this audit could refute.

        "violation" only where a mechanism that keeps its claim would be accused in at most one of
        10,000 audits, all events together. Nothing is ever called private.
        """
        if self.p_value <= ACCUSATION:
            return "violation"
        return "not refuted" if self.refutable > self.epsilon else "not refutable"

    def describe(self) -> str:
        """Return the outcome as a person can read it."""
        claim = f"epsilon {self.epsilon:g}" + (f", delta {self.delta:g}" if self.delta else "")
        bound = (
            f"epsilon is at least {self.lower_bound:.2f} ({self.confidence:.0%} confidence over "
            f"{len(self.events)} event{'' if len(self.events) == 1 else 's'} together"
            + (f", if {self.assumption}" if self.assumption else "")
            + ")"
        )
        if self.verdict == "violation":
            return f"The claim of {claim} is broken: {bound}; {self.events[0].describe()}."
        more = "records with a coin" if self.method == "one run" else "runs"
        if self.verdict == "not refutable":
            return (
                f"Not enough {more} to say anything of the claim of {claim}: this audit could have "
                f"refuted claims up to {self.refutable:.2f} only; {bound}."
            )
        doubt = (
            f" The bound lies above the claim, but not beyond doubt: audit again with more {more}."
            if self.lower_bound > self.epsilon
            else ""
        )
        return (
            f"The claim of {claim} was not refuted: {bound}; this audit could have refuted claims "
            f"up to {self.refutable:.2f}.{doubt}"
        )

    def figure(self) -> Figure:
        """Return the lower bound as a figure; the claim is its baseline."""
        source = (
            "Steinke, Nasr & Jagielski 2023, theorem 5.2"
            if self.method == "one run"
            else "Jagielski, Ullman & Oprea 2020, section 3"
        )
        if not self.events:
            because = self.notes[0] if self.notes else "no event was counted"
            return Figure.not_computed(
                _NAME, because.rstrip("."), unit=_UNIT, direction="lower is better", source=source
            )
        return Figure(
            name=_NAME,
            value=self.lower_bound,
            unit=_UNIT,
            direction="lower is better",
            meaning=self.describe(),
            source=source,
            baseline=self.epsilon,
            p_value=self.p_value,
            detectable=self.refutable,
            attacks=self.events[0].runs + self.events[0].other_runs,
            not_shown=_NOT_SHOWN,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as plain JSON values, with its verdict in words."""
        return {**asdict(self), "verdict": self.verdict, "text": self.describe()}
