"""What is learned of a person from the released rows that could be hers.

A class of k people hides who of them is who, and tells nothing less of them if they share one
value (homogeneity), or once an attacker can exclude the others (background knowledge). The same is
tried on controls: what is guessed as well of people who are not in the release is science, not a
leak.

References
----------
A. Machanavajjhala, D. Kifer, J. Gehrke, M. Venkitasubramaniam, "l-Diversity: Privacy Beyond
k-Anonymity", ACM TKDD 1 (2007), sections 2.1 and 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.evaluation.attacks.attack import Attack
from sfumato.evaluation.attacks.candidates import (
    CandidateClasses,
    Candidates,
    Labels,
    candidates,
    labels_of,
)
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.exchangeability import excess
from sfumato.evaluation.figures import Figure
from sfumato.progress import Progress, silent

__all__ = ["Homogeneity", "Learned", "homogeneity_scores", "known_and_secret", "tested"]

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SOURCE = "Machanavajjhala et al., ACM TKDD 1, 2007, sections 2.1 and 2.2; Fisher 1935"
_INTERVAL = "the control's share plus Newcombe's interval of the excess, 95 %"
_MANY = 1_000_000


@dataclass(frozen=True, eq=False)
class Learned:
    """What the candidate rows of each person tell; all arrays of shape (N,).

    Parameters
    ----------
    rows
        Candidate rows.
    own
        Of them those whose label is right.
    wrong
        Different labels that are wrong; suppressed cells cannot be excluded and count as many.
    confidence
        Share of the most frequent label, 0 without a candidate.
    guessed
        Whether that label is right; of equally frequent ones the first in the column's order.
    """

    rows: Rows
    own: Rows
    wrong: Rows
    confidence: Floats
    guessed: Flags

    @classmethod
    def of(cls, found: Candidates, labels: Labels) -> Learned:
        """Sum up the candidates of each person."""
        person, people = found.person, len(found.starts) - 1
        right = labels.is_right(found.labels, labels.real[person])
        rows = np.bincount(person, found.counts, people)
        own = np.bincount(person, found.counts * right, people)
        hidden = np.where(found.labels == labels.suppressed, _MANY, 1)
        wrong = np.bincount(person, np.where(right, 0, hidden), people)
        said = np.where(found.labels == labels.suppressed, 0, found.counts)
        order = np.lexsort((found.labels, -said, person))
        best = order[found.starts[:-1][np.diff(found.starts) > 0]]
        confidence, guessed = np.zeros(people), np.zeros(people, dtype=np.bool_)
        confidence[person[best]] = said[best] / np.maximum(rows[person[best]], 1)
        guessed[person[best]] = right[best]
        return cls(
            rows.astype(np.int64), own.astype(np.int64), wrong.astype(np.int64), confidence, guessed
        )

    def certain(self, excluded: int = 0) -> Flags:
        """Return whose value is certain, and right, once so many wrong ones are excluded."""
        flags: Flags = (self.own > 0) & (self.wrong <= excluded)
        return flags

    def confident(self, confidence: float) -> Flags:
        """Return whose value is guessed right with at least so much confidence."""
        flags: Flags = self.guessed & (self.confidence >= confidence)
        return flags


class Homogeneity(Attack):
    """Learn a sensitive value from the classes that could hold a person.

    Parameters
    ----------
    confidence
        Share of the candidate rows with the same value from which on it counts as learned, above
        0.5 and at most 1.
    excluded
        Up to so many values the attacker can exclude for other reasons.
    bins
        Numbers of many values are learned if their bin is, of as many released rows each.
    """

    knowledge: ClassVar[str] = (
        "Knows a person's quasi-identifiers and that she is in the release, and reads the "
        "sensitive value off the rows that could be hers; may be able to exclude a few values."
    )

    confidence: float = Field(default=0.8, gt=0.5, le=1)
    excluded: int = Field(default=2, ge=0)
    bins: int = Field(default=10, ge=2)

    def run(
        self, tables: AttackTables, *, seed: int, progress: Progress = silent
    ) -> dict[str, Figure]:
        """Attack every member and every control.

        Parameters
        ----------
        tables
            The release, its members and its controls.
        seed
            Of breaking ties in checks of the test's level.
        progress
            Told how far the work is.

        Returns
        -------
        dict of Figure
            For each sensitive column (and the target) ``homogeneity/column/certain``,
            ``.../confident`` and ``.../background/b`` for each number b of excluded values.
        """
        known, secrets, because = known_and_secret(tables)
        if because:
            return {"homogeneity": _absent("homogeneity attack", because)}
        figures: dict[str, Figure] = {}
        classes = CandidateClasses.of(tables, known)
        for place, secret in enumerate(secrets):
            progress("homogeneity", place, len(secrets))
            figures |= self._of_column(tables, classes, secret, seed)
        progress("homogeneity", len(secrets), len(secrets))
        return figures

    def _of_column(
        self, tables: AttackTables, classes: CandidateClasses, secret: str, seed: int
    ) -> dict[str, Figure]:
        key = f"homogeneity/{secret}"
        labels = labels_of(tables.by_name[secret], self.bins)
        if labels is None:
            because = f"column {secret!r} has too many different cells to be compared"
            return {key: _absent(f"homogeneity attack on {secret!r}", because)}
        learned = Learned.of(classes.labelled(labels), labels)
        by_chance, most = _without_release(labels)
        wanted: dict[str, tuple[str, str, Flags, bool]] = {
            "certain": (
                f"{secret!r} learned with certainty",
                f"could have their {secret!r} read off: all rows that could be theirs agree on it",
                learned.certain(),
                most >= 1,
            ),
            "confident": (
                f"{secret!r} learned with confidence {self.confidence:g}",
                f"have their {secret!r} in {self.confidence:.0%} of the rows that could be theirs",
                learned.confident(self.confidence),
                most >= self.confidence,
            ),
        }
        figures: dict[str, Figure] = {}
        values = len(np.unique(labels.real))
        for excluded in range(1, self.excluded + 1):
            which = "one other value" if excluded == 1 else f"{excluded} other values"
            title = f"{secret!r} certain once {which} can be excluded"
            if values <= excluded + 1:
                because = (
                    f"{secret!r} has {values} values: who can exclude {which} needs no release"
                )
                figures[f"{key}/background/{excluded}"] = _absent(title, because)
                continue
            wanted[f"background/{excluded}"] = (
                title,
                f"have their {secret!r} known to an attacker who can exclude {which}",
                learned.certain(excluded),
                most >= 1,
            )
        figures |= {
            f"{key}/{name}": tested(
                tables,
                score,
                name=title,
                meaning=f"Share of members who {what}; the control is how many people who are not "
                "in the release.",
                source=_SOURCE,
                baseline=float(by_chance[tables.member].mean()) if guessed else 0.0,
                seed=seed,
                not_shown="What several columns together tell, or a value that is merely likely.",
            )
            for name, (title, what, score, guessed) in wanted.items()
        }
        return figures


def homogeneity_scores(
    tables: AttackTables, secret: str, *, confidence: float = 0.8, bins: int = 10
) -> dict[str, Flags]:
    """Return of whom a value is learned, for checking the level of the tests.

    Parameters
    ----------
    tables
        The release, its members and its controls.
    secret
        A column of ``tables``; what the attacker knows are the schema's other quasi-identifiers.
    confidence, bins
        As in :class:`Homogeneity`.

    Returns
    -------
    dict of array
        "certain", "confident", "background/1" and "background/2", each of shape (N,); empty if the
        column cannot be learned or nothing is known.
    """
    known = tuple(
        name
        for name in tables.schema.quasi_identifiers
        if name in tables.by_name and name != secret
    )
    labels = labels_of(tables.by_name[secret], bins)
    if labels is None or not known:
        return {}
    learned = Learned.of(candidates(tables, known, labels), labels)
    return {
        "certain": learned.certain(),
        "confident": learned.confident(confidence),
        "background/1": learned.certain(1),
        "background/2": learned.certain(2),
    }


def known_and_secret(tables: AttackTables) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return what is known and what is to be learned, or why there is nothing to try."""
    schema = tables.schema
    known = tuple(name for name in schema.quasi_identifiers if name in tables.by_name)
    wanted = [*schema.sensitive, *([] if tables.target is None else [tables.target])]
    secrets = tuple(
        dict.fromkeys(name for name in wanted if name in tables.by_name and name not in known)
    )
    because = ""
    if not known:
        because = (
            "no quasi-identifier of the schema can be compared, so nothing is known of a person"
        )
    elif not secrets:
        because = "the schema names no sensitive column or target that can be compared"
    elif not tables.rows:
        because = "the release has no rows"
    elif not tables.n_members:
        because = "there are no members"
    elif not tables.n_controls:
        because = "there are no controls"
    return known, secrets, because


def _without_release(labels: Labels) -> tuple[Flags, float]:
    """Return who is guessed right by the commonest label of all, and how common it is."""
    shown = labels.released[labels.released != labels.suppressed]
    if not shown.size:
        return np.zeros(len(labels.real), dtype=np.bool_), 0.0
    counts = np.bincount(shown)
    commonest = np.full(len(labels.real), counts.argmax(), dtype=np.int32)
    return labels.is_right(commonest, labels.real), float(counts.max() / len(labels.released))


def _absent(name: str, because: str) -> Figure:
    return Figure.not_computed(
        name, because, unit="share", direction="lower is better", source=_SOURCE
    )


def tested(
    tables: AttackTables,
    score: Flags,
    *,
    name: str,
    meaning: str,
    source: str,
    baseline: float,
    seed: int,
    not_shown: str,
) -> Figure:
    """Return how many members are hit beyond how many controls, as a figure.

    Parameters
    ----------
    tables
        The release, its members and its controls, at least one of each.
    score
        Whether each person is hit, shape (N,).
    name, meaning, source, baseline, not_shown
        As in :class:`~sfumato.evaluation.figures.Figure`.
    seed
        Of breaking ties in checks of the test's level.
    """
    found = excess(score[tables.member], score[~tables.member], seed=seed)
    low, high = (min(1.0, max(0.0, found.controls + end)) for end in found.interval)
    return Figure(
        name=name,
        value=found.members,
        unit="share",
        direction="lower is better",
        meaning=meaning,
        source=source,
        interval=(low, high),
        interval_method=_INTERVAL,
        baseline=baseline,
        control=found.controls,
        p_value=found.p_value,
        upper=found.upper,
        detectable=found.detectable,
        attacks=len(score),
        not_shown=not_shown,
    )
