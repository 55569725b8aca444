"""How rows are split and balanced before a model learns: two honest ways and a published leak."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sfumato.errors import DataError

__all__ = [
    "PUBLISHED_SEED",
    "SMOTE_NEIGHBOURS",
    "Parts",
    "Protocol",
    "honest_parts",
    "leaking_parts",
    "smote",
    "validation_part",
]

Rows = tuple[np.ndarray, np.ndarray]
SMOTE_NEIGHBOURS = 5
FEWEST_ROWS_TO_SPLIT = 7
PUBLISHED_SEED = 42


class Protocol(StrEnum):
    """What happens between the table and the scores."""

    HONEST = "honest"
    """Learn from the training rows, score on real test rows."""

    HONEST_SMOTE = "honest-smote"
    """The same, with SMOTE on the training part only."""

    AS_PUBLISHED = "as-published"
    """SMOTE on the whole table before it is split: repeats a common leak, to show what it does."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Rows as numbers, split.

    Parameters
    ----------
    train, validation, test
        (X, codes) of the rows that a model learns from, stops by and is scored on.
    made, test_made
        How many rows of the training and of the test part SMOTE made.
    known
        Codes of the training rows before SMOTE balanced them (with the leak: after): what a guess
        may know.
    notes
        What was done otherwise, a sentence each.
    """

    train: Rows
    validation: Rows
    test: Rows
    made: int
    test_made: int
    known: np.ndarray
    notes: tuple[str, ...] = ()


def honest_parts(rows: Rows, held: np.ndarray, test: Rows, *, balanced: bool, seed: int) -> Parts:
    """Return parts in which no test row has touched what a model learns from.

    Parameters
    ----------
    rows
        (X, codes) of the training table.
    held
        Boolean array: the rows of it to hold out for early stopping; if none, all are learned from.
    test
        (X, codes) of the test table; handed on as it is.
    balanced
        Whether SMOTE balances the training part.
    seed
        Of SMOTE.
    """
    X, codes = rows
    validation = (X[held], codes[held])
    X, known = X[~held], codes[~held]
    if not balanced:
        return Parts((X, known), validation, test, 0, 0, known)
    X, codes, too_small = smote(X, known, seed=seed)
    made = len(codes) - len(known)
    return Parts((X, codes), validation, test, made, 0, known, _too_small(too_small))


def leaking_parts(rows: Rows) -> Parts:
    """Repeat the leak on purpose: make rows from all rows, and only then split.

    The split is 70/15/15, shuffled by seed 42 and not stratified, as was published.

    Raises
    ------
    DataError
        If there are too few rows to split.
    """
    from sklearn.model_selection import train_test_split

    X, codes, too_small = smote(*rows, seed=PUBLISHED_SEED)
    if len(codes) < FEWEST_ROWS_TO_SPLIT:
        raise DataError(
            f"the protocol as-published needs at least {FEWEST_ROWS_TO_SPLIT} rows to split, and "
            f"has {len(codes)}"
        )
    train, rest = train_test_split(
        np.arange(len(codes)), test_size=0.3, random_state=PUBLISHED_SEED
    )
    validation, test = train_test_split(rest, test_size=0.5, random_state=PUBLISHED_SEED)
    real = len(rows[1])
    return Parts(
        train=(X[train], codes[train]),
        validation=(X[validation], codes[validation]),
        test=(X[test], codes[test]),
        made=int((train >= real).sum()),
        test_made=int((test >= real).sum()),
        known=codes[train],
        notes=_too_small(too_small),
    )


def validation_part(codes: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Choose rows to hold out of training, the same share of each class.

    Parameters
    ----------
    codes
        Array of shape (n,), class of each row.
    share
        Share to hold out, between 0 and 1. A class of one row stays in training.
    seed
        Rows and seed decide; nothing else.

    Returns
    -------
    numpy.ndarray
        Boolean array of shape (n,), True for the rows held out.
    """
    random = np.random.default_rng(seed)
    held = np.zeros(len(codes), dtype=bool)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        taken = min(len(rows) - 1, max(1, round(share * len(rows))))
        held[random.permutation(rows)[:taken]] = True
    return held


def smote(X: np.ndarray, codes: np.ndarray, *, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Make up rows of the rarer classes until each is as frequent as the commonest.

    A made row lies between a row and one of its 5 nearest neighbours of the same class. Classes
    with fewer than 6 rows are left as they are.

    Parameters
    ----------
    X
        Array of shape (n, features), finite.
    codes
        Array of shape (n,), class of each row.
    seed
        Of the rows and the places between them.

    Returns
    -------
    tuple
        X and codes, first the rows given and then those made, and how many classes were too small.

    References
    ----------
    Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 16 (2002).
    """
    from imblearn.over_sampling import SMOTE

    classes, counts = np.unique(codes, return_counts=True)
    most = int(counts.max())
    rarer = counts < most
    large = counts > SMOTE_NEIGHBOURS
    wanted = {int(code): most for code in classes[rarer & large]}
    too_small = int((rarer & ~large).sum())
    if not wanted:
        return X, codes, too_small
    sampler = SMOTE(sampling_strategy=wanted, k_neighbors=SMOTE_NEIGHBOURS, random_state=seed)
    made_X, made_codes = sampler.fit_resample(X, codes)
    return made_X, made_codes, too_small


def _too_small(classes: int) -> tuple[str, ...]:
    if not classes:
        return ()
    return (f"SMOTE left {classes} classes of fewer than 6 rows as they are",)
