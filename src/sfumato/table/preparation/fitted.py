"""From a table to the numbers that a learner takes: dropped, encoded, scaled, filled; fitted once.

What is learned here (means, categories, what stands in for a missing cell) is learned from training
rows alone and then applied, frozen, to any rows: a scaler fitted on all rows would already have
seen the test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from sfumato.errors import DataError, SchemaError, did_you_mean
from sfumato.table.preparation.category_encoders import Binary, Categories, Ordinal
from sfumato.table.preparation.encoder_choice import encoder_of
from sfumato.table.preparation.number_encoder import Number
from sfumato.table.preparation.settings import CLEAN_BASELINE, PreparationSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sfumato.table.preparation.encoder import Encoder
    from sfumato.table.schema import Schema

__all__ = ["CLEAN_BASELINE", "Preparation", "PreparationSettings", "prepare"]

_CONSTANT = "the same for every training row"
_KINDS: dict[str, type[Encoder]] = {
    kind.kind: kind for kind in (Number, Ordinal, Binary, Categories)
}


@dataclass(frozen=True)
class Preparation:
    """A fitted way from rows to numbers.

    Parameters
    ----------
    encoders
        One for each column that is used.
    feature_names
        Names of the columns that :meth:`apply` gives, sorted by code point.
    dropped
        What is left out, column or feature, and why.
    target
        The column to predict, which is never a feature; None if there is none.
    """

    encoders: tuple[Encoder, ...]
    feature_names: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...] = ()
    target: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a table must have to be prepared."""
        return tuple(encoder.column for encoder in self.encoders)

    def apply(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the features of the rows: 64-bit floats, no nulls, no NaN, sorted by name.

        Categories never seen, missing cells and ``"*"`` are encoded, never refused.

        Parameters
        ----------
        table
            Rows with the columns of :attr:`columns`, in any order and of any type; n rows.

        Raises
        ------
        DataError
            If a column is absent.
        """
        features = self._encoded(table)
        return pl.DataFrame({name: features[name] for name in self.feature_names})

    def matrix(self, table: pl.DataFrame) -> NDArray[np.float32]:
        """Return the features as an array of shape (n, d), in the order of ``feature_names``.

        Raises
        ------
        DataError
            If a column is absent.
        """
        features = self._encoded(table)
        # Filled in blocks of rows, so that each stays in the processor's cache.
        made = np.empty((table.height, len(self.feature_names)), dtype=np.float32)
        block = 8192
        for start in range(0, table.height, block):
            rows = slice(start, start + block)
            for place, name in enumerate(self.feature_names):
                made[rows, place] = features[name][rows]
        return made

    def describe(self) -> tuple[str, ...]:
        """Return one sentence for each column on what is done to it, then for what is left out."""
        kept = tuple(encoder.describe() for encoder in self.encoders)
        return (*kept, *(f"{name}: left out, {why}." for name, why in self.dropped))

    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""
        return {
            "encoders": [encoder.to_dict() for encoder in self.encoders],
            "feature_names": list(self.feature_names),
            "dropped": [list(pair) for pair in self.dropped],
            "target": self.target,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preparation:
        """Return the preparation that :meth:`to_dict` described, equal to it.

        Raises
        ------
        DataError
            If a part is absent or unknown.
        """
        try:
            return cls(
                encoders=tuple(_encoder_from_dict(encoder) for encoder in values["encoders"]),
                feature_names=tuple(values["feature_names"]),
                dropped=tuple((name, why) for name, why in values["dropped"]),
                target=values["target"],
            )
        except KeyError as absent:
            raise DataError(f"a preparation lacks the part {absent}") from None

    def _encoded(self, table: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
        for name in self.columns:
            if name not in table.columns:
                hint = did_you_mean(name, table.columns)
                raise DataError(f"column {name!r}, which the preparation needs, is absent.{hint}")
        wanted = set(self.feature_names)
        features: dict[str, NDArray[np.float64]] = {}
        for encoder in self.encoders:
            features |= encoder.encode(table[encoder.column], wanted)
        return features


def prepare(
    train: pl.DataFrame,
    schema: Schema | None = None,
    *,
    target: str | None = None,
    settings: PreparationSettings | None = None,
    **options: Any,
) -> Preparation:
    """Learn from training rows how to turn rows into numbers.

    Parameters
    ----------
    train
        The training rows, at least one; nothing else is looked at.
    schema
        Says which columns are identifiers, and so left out, and which numbers are only codes of a
        category (type ``"category"``). Columns that it does not name are used.
    target
        The column to predict: left out of the features.
    settings
        What to do otherwise than the columns suggest.
    options
        Single settings by name, which win over ``settings``: see :class:`PreparationSettings`.

    Raises
    ------
    DataError
        If there is no row, an ordinal setting lacks a category, or nothing is left to learn from.
    SchemaError
        If the target or a column that a setting names is absent.
    PlanError
        If an option is unknown.

    Examples
    --------
    >>> train = pl.DataFrame({"age": ["[20, 30)", "[30, 40)", "*"], "sex": ["f", "m", "f"]})
    >>> preparation = prepare(train)
    >>> preparation.feature_names
    ('age', 'age is suppressed', 'sex')
    >>> preparation.apply(pl.DataFrame({"age": ["35"], "sex": [None]})).rows()
    [(1.0, 0.0, 0.0)]
    """
    settings = settings or PreparationSettings()
    if options:
        settings = PreparationSettings(**{**settings.model_dump(), **options})
    _check(train, target, settings)
    left_out = _left_out(train, schema, target, settings)
    coded = {
        name
        for name, column in (schema.columns if schema is not None else {}).items()
        if column.type == "category"
    }
    encoders: list[Encoder] = []
    dropped: list[tuple[str, str]] = []
    for name in train.columns:
        if name in left_out:
            dropped.append((name, left_out[name]))
            continue
        encoder = encoder_of(train[name], settings, is_code=name in coded)
        if isinstance(encoder, str):
            dropped.append((name, encoder))
        else:
            encoders.append(encoder)
    return _without_idle_features(train, encoders, dropped, target, settings.minimum_positives)


def _check(train: pl.DataFrame, target: str | None, settings: PreparationSettings) -> None:
    if train.is_empty():
        raise DataError("there is no training row to learn the preparation from")
    for name in (*settings.columns, *([] if target is None else [target])):
        if name not in train.columns:
            hint = did_you_mean(name, train.columns)
            raise SchemaError(f"the preparation names the column {name!r}, which is absent.{hint}")


def _left_out(
    train: pl.DataFrame, schema: Schema | None, target: str | None, settings: PreparationSettings
) -> dict[str, str]:
    """Return the columns that are not even looked at, each with the reason."""
    reasons = dict.fromkeys(settings.drop, "as the settings ask")
    if schema is not None:
        reasons |= dict.fromkeys(schema.identifiers, "an identifier")
        if schema.person is not None:
            reasons[schema.person] = "it names the person"
    if target is not None:
        reasons[target] = "the target"
    return {name: why for name, why in reasons.items() if name in train.columns}


def _without_idle_features(
    train: pl.DataFrame,
    encoders: list[Encoder],
    dropped: list[tuple[str, str]],
    target: str | None,
    minimum_positives: int,
) -> Preparation:
    """Return the preparation without features that tell training rows hardly apart."""
    kept: dict[str, Encoder] = {}
    for encoder in encoders:
        wanted = set(encoder.features)
        if not wanted:
            dropped.append((encoder.column, _CONSTANT))
        for name, values in encoder.encode(train[encoder.column], wanted).items():
            why = _idle(values, minimum_positives)
            if name in kept:
                raise DataError(
                    f"two features would both be called {name!r}; rename the column "
                    f"{encoder.column!r} or {kept[name].column!r}"
                )
            if why:
                dropped.append((name, why))
            else:
                kept[name] = encoder
    if not kept:
        raise DataError("nothing is left to learn from: every column is left out or constant")
    used = set(kept.values())
    return Preparation(
        encoders=tuple(encoder for encoder in encoders if encoder in used),
        feature_names=tuple(sorted(kept)),
        dropped=tuple(dropped),
        target=target,
    )


def _idle(values: NDArray[np.float64], minimum_positives: int) -> str:
    low, high = values.min(), values.max()
    if low == high:
        return _CONSTANT
    positives = int((values == 1).sum())
    if positives < minimum_positives and bool(np.isin(values, (0.0, 1.0)).all()):
        return f"only {positives} training rows hold it, fewer than {minimum_positives}"
    return ""


def _encoder_from_dict(values: Mapping[str, Any]) -> Encoder:
    """Return the encoder that :meth:`Encoder.to_dict` described."""
    kind = _KINDS.get(values.get("kind", ""))
    if kind is None:
        raise DataError("a preparation names a kind of encoder that this version does not have")
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name != "kind"
    }
    try:
        return kind(**given)
    except TypeError:
        raise DataError(f"a preparation's {kind.kind} encoder lacks a value") from None
