"""Which encoder fits a column: read from its settings, its type and its distinct cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from sfumato.table.hierarchies.ladder import SUPPRESSED
from sfumato.table.preparation.category_encoders import Binary, Categories, Ordinal, texts
from sfumato.table.preparation.midpoints import are_numbers
from sfumato.table.preparation.number_encoder import Number

if TYPE_CHECKING:
    from sfumato.table.preparation.encoder import Encoder
    from sfumato.table.preparation.settings import PreparationSettings

__all__ = ["encoder_of"]

# A text with fewer categories is no free text, however few the rows.
_MANY_CATEGORIES = 20
# Answer scales whose order is common knowledge, lowest first.
_SCALES = (
    ("poor", "fair", "good", "very good", "excellent"),
    ("very poor", "poor", "fair", "good", "very good"),
    ("none", "mild", "moderate", "severe", "very severe"),
    ("very low", "low", "medium", "high", "very high"),
    ("very low", "low", "moderate", "high", "very high"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("no", "sometimes", "frequently", "always"),
    ("small", "medium", "large"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
)


def encoder_of(cells: pl.Series, settings: PreparationSettings, *, is_code: bool) -> Encoder | str:
    """Return the encoder that fits a column, or why there is none."""
    name, kind = cells.name, cells.dtype
    if cells.null_count() == len(cells):
        return "every training row is missing"
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        return f"cells of type {kind} hold no single value"
    if name in settings.ordinal:
        return Ordinal.fit(cells, settings.ordinal[name])
    if name in settings.binary:
        return Binary.fit(cells, settings.binary[name], None)
    if name in settings.one_hot or (is_code and kind.is_numeric()):
        return Categories.fit(cells, settings.maximum_categories)
    if kind not in (pl.String, pl.Categorical, pl.Enum):
        return Number.fit(cells, scale=settings.scale)
    return _encoder_of_texts(texts(cells), settings)


def _encoder_of_texts(cells: pl.Series, settings: PreparationSettings) -> Encoder | str:
    distinct = cells.drop_nulls().unique()
    distinct = distinct.filter(distinct != SUPPRESSED).sort()
    if distinct.is_empty():
        return "every training row is suppressed or missing"
    if are_numbers(distinct):
        return Number.fit(cells, scale=settings.scale)
    known = len(cells) - cells.null_count()
    if len(distinct) > _MANY_CATEGORIES and 2 * len(distinct) > known:
        return "free text: it holds a different text for every other row or more"
    if len(distinct) == 2:
        return Binary.fit(cells, distinct[:1].to_list(), distinct[1:].to_list())
    order = _known_scale(distinct)
    return (
        Ordinal.fit(cells, order) if order else Categories.fit(cells, settings.maximum_categories)
    )


def _known_scale(distinct: pl.Series) -> tuple[str, ...]:
    """Return the categories in the order of a well-known answer scale, or nothing."""
    if len(distinct) > max(map(len, _SCALES)):
        return ()
    spelt = {text.strip().casefold(): text for text in distinct}
    for scale in _SCALES:
        if set(spelt) <= set(scale) and len(spelt) == len(distinct):
            return tuple(spelt[step] for step in scale if step in spelt)
    return ()
