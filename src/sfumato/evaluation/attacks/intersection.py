"""What two releases of the same people tell together that neither tells alone.

Each release may leave several values possible for a person; only those that both leave possible
remain (the intersection, or composition, attack).

References
----------
S. R. Ganta, S. P. Kasiviswanathan, A. Smith, "Composition Attacks and Auxiliary Information in Data
Privacy", KDD 2008, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sfumato.errors import SchemaError, did_you_mean
from sfumato.evaluation.attacks.count_differences import differencing_figures
from sfumato.evaluation.attacks.homogeneity import known_and_secret, tested
from sfumato.evaluation.attacks.paired_people import paired
from sfumato.evaluation.attacks.possible_values import possible_values
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.figures import Figure

__all__ = ["intersection_figures", "intersection_scores"]

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_SOURCE = "Ganta, Kasiviswanathan and Smith, KDD 2008, section 3; Fisher 1935"


def intersection_figures(
    first: AttackTables,
    second: AttackTables,
    *,
    sensitive: Sequence[str] | None = None,
    pairs: npt.ArrayLike | None = None,
    bins: int = 10,
    smallest: int = 11,
    seed: int = 0,
) -> dict[str, Figure]:
    """Attack two releases of the same people together.

    Parameters
    ----------
    first, second
        Either release with the same members and controls, all of them (``most=None``).
    sensitive
        The columns to learn; by default the sensitive ones and the target of the first schema that
        are in both.
    pairs
        The real row of ``second`` that is the same person as each real row of ``first``, shape
        (N,); by default people are paired by their values, for which both need the same columns.
    bins
        Numbers of many values are learned if their bin is, of as many released rows each.
    smallest
        The smallest count that may be shown, at least 2; 11 in the policy of CMS.
    seed
        Of breaking ties in checks of the tests' level.

    Returns
    -------
    dict of Figure
        For each column ``intersection/column/certain``, ``.../row`` and ``.../candidates``; and
        those of :func:`~sfumato.evaluation.attacks.count_differences.differencing_figures`.

    Raises
    ------
    DataError
        If the two have other people, or people cannot be paired.
    SchemaError
        If a column to learn is not in both.
    """
    figures: dict[str, Figure] = {}
    place = paired(first, second, pairs)
    known, secrets, because = _asked(first, second, sensitive)
    if because:
        figures["intersection"] = _absent("intersection of two releases", because)
    for secret in secrets if not because else ():
        figures |= _of_column(first, second, place, known, secret, bins, seed)
    return figures | differencing_figures(first, second, smallest=smallest)


def intersection_scores(
    first: AttackTables,
    second: AttackTables,
    secret: str,
    *,
    pairs: npt.ArrayLike | None = None,
    bins: int = 10,
) -> dict[str, Flags]:
    """Return of whom a value, or a row, is learned, for checking the level of the tests.

    Parameters
    ----------
    first, second, pairs, bins
        As in :func:`intersection_figures`.
    secret
        A column of both.

    Returns
    -------
    dict of array
        "certain" and "row", each of shape (N,) over the real rows of ``first``.
    """
    known, secrets, because = _asked(first, second, [secret])
    if because:
        return {}
    place = paired(first, second, pairs)
    found = possible_values(first, second, place, known, secrets[0], bins)
    return {} if found is None else {"certain": found.certain, "row": found.row}


def _asked(
    first: AttackTables, second: AttackTables, sensitive: Sequence[str] | None
) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], tuple[str, ...], str]:
    known, secrets, because = known_and_secret(first)
    other, _, because_other = known_and_secret(second)
    shared = [name for name in first.by_name if name in second.by_name]
    for name in sensitive or ():
        if name not in shared:
            raise SchemaError(
                f"column {name!r} is not in both releases.{did_you_mean(name, shared)}"
            )
    named = sensitive is not None
    secrets = tuple(sensitive) if sensitive is not None else secrets
    secrets = tuple(name for name in secrets if name in shared)
    mine, others = (
        tuple(name for name in names if name not in secrets) for names in (known, other)
    )
    if not mine or not others:
        because = "a release has no quasi-identifier that can be compared"
    elif not secrets:
        because = "no sensitive column or target is in both releases"
    elif named and first.rows and second.rows and first.n_members and first.n_controls:
        because = ""
    return (mine, others), secrets, because or ("" if named else because_other)


def _of_column(
    first: AttackTables,
    second: AttackTables,
    place: Rows,
    known: tuple[tuple[str, ...], tuple[str, ...]],
    secret: str,
    bins: int,
    seed: int,
) -> dict[str, Figure]:
    key = f"intersection/{secret}"
    found = possible_values(first, second, place, known, secret, bins)
    if found is None:
        because = f"column {secret!r} is written too differently in the two releases"
        return {key: _absent(f"intersection on {secret!r}", because)}
    member = first.member
    wanted = {
        "certain": (
            f"{secret!r} learned from two releases together",
            f"have one {secret!r} left that both releases allow, the right one",
            found.certain,
            found.certain_alone,
        ),
        "row": (
            "one row left by two releases together",
            f"have one row of the first release left whose {secret!r} both allow",
            found.row,
            found.row_alone,
        ),
    }
    figures = {
        f"{key}/{name}": tested(
            first,
            score,
            name=title,
            meaning=(
                f"Share of members who {what}; the baseline is how many have by one release alone, "
                "the control how many people who are in neither."
            ),
            source=_SOURCE,
            baseline=float(alone[member].mean()),
            seed=seed,
            not_shown="What a third release would add.",
        )
        for name, (title, what, score, alone) in wanted.items()
    }
    figures[f"{key}/candidates"] = Figure(
        name=f"values of {secret!r} left by two releases together",
        value=float(found.both[member].mean()),
        unit="values",
        direction="higher is better",
        meaning=(
            f"How many values of {secret!r} both releases allow for a member, on average; the "
            "baseline is how many the more telling one of them allows alone."
        ),
        source=_SOURCE,
        baseline=float(np.minimum(found.first, found.second)[member].mean()),
        control=float(found.both[~member].mean()),
        attacks=len(member),
        not_shown="How likely each of them is.",
    )
    return figures


def _absent(name: str, because: str) -> Figure:
    return Figure.not_computed(
        name, because, unit="share", direction="lower is better", source=_SOURCE
    )
