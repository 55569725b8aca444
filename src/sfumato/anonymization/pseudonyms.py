"""Rules that need a secret key: pseudonyms, and dates shifted by person.

The key is read where it is used, from a file or an environment variable, and is never kept: not in
a recoding, not in a description, not in an error. Whoever holds the key can repeat the step on
other tables (so that they still join) and can find a person; whoever does not, cannot.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl
from pydantic import Field, field_validator, model_validator

from sfumato.anonymization.recoding import Action
from sfumato.anonymization.rule import Place, Rule
from sfumato.errors import DataError, InternalError, PlanError
from sfumato.settings import Settings
from sfumato.table.hierarchies.keys import distinct_values, replace_values, texts_of

__all__ = ["KeySource", "Pseudonym", "ShiftDates"]

_LEAST_BYTES = 16
_LEAST_DIFFERENT = 8


def _a_table(value: Any) -> Any:
    """Refuse anything but a table of settings, without showing it: it may be the key itself."""
    if not isinstance(value, Mapping | Settings):
        raise PlanError('a table is needed that says where the key is, as { key_env = "NAME" }')
    return value


class KeySource(Settings):
    """Where a secret key is read from; exactly one of the two.

    Parameters
    ----------
    key_file
        Path of a file that holds the key and nothing else (a line break at its end is left off).
    key_env
        Name of an environment variable that holds the key.
    """

    key_file: str | None = Field(default=None, min_length=1)
    key_env: str | None = Field(default=None, min_length=1)

    @field_validator("key_env")
    @classmethod
    def _a_name(cls, value: str | None) -> str | None:
        # said without the value: it may be the key itself, written where its name belongs
        if value is not None and not value.replace("_", "a").isalnum():
            raise PlanError("key_env must be the name of an environment variable")
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.key_file is None) == (self.key_env is None):
            raise ValueError("give the key by key_file = ... or by key_env = ..., one of them")
        return self

    def key(self) -> bytes:
        """Read the key.

        Raises
        ------
        PlanError
            If there is none, or it is shorter than 16 bytes or made of fewer than 8 different ones.
        """
        if self.key_file is not None:
            where = f"the key file {self.key_file}"
            try:
                found = Path(self.key_file).read_bytes().rstrip(b"\r\n")
            except OSError as error:
                raise PlanError(f"{where} cannot be read: {error.strerror}") from None
        else:
            where = f"the environment variable {self.key_env}"
            text = os.environ.get(self.key_env or "")
            if text is None:
                raise PlanError(f"{where} is not set; it should hold the secret key")
            found = os.fsencode(text)
        mend = "; make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
        if len(found) < _LEAST_BYTES:
            raise PlanError(f"{where} holds fewer than {_LEAST_BYTES} bytes{mend}")
        if len(set(found)) < _LEAST_DIFFERENT:
            raise PlanError(f"{where} holds a key too plain to be secret{mend}")
        return found

    @property
    def shown(self) -> str:
        """Where the key comes from, in words."""
        return "a file" if self.key_file is not None else "an environment variable"


class PseudonymSettings(KeySource):
    """How pseudonyms are made.

    Parameters
    ----------
    length
        Hexadecimal digits of a pseudonym, 16 to 64; 32 are 128 bits.
    domain
        Pseudonyms of one domain and key are alike in every table; left out, the column's name.
    """

    length: int = Field(default=32, ge=16, le=64)
    domain: str | None = Field(default=None, min_length=1)


class Pseudonym(Rule):
    """Each value becomes a keyed pseudonym: ``{ pseudonym = { key_env = "STUDY_KEY" } }``.

    HMAC-SHA-256 of the value under the key. Equal values have equal pseudonyms, so rows of one
    person stay together and tables still join; without the key, values cannot be tried out, as
    they could with a bare hash. Pseudonymized data remain personal data (GDPR, article 4(5)).
    """

    keywords: ClassVar[tuple[str, ...]] = ("pseudonym",)
    action: ClassVar[Action] = "pseudonymized"

    pseudonym: PseudonymSettings

    _said = field_validator("pseudonym", mode="before")(_a_table)

    def fitted(self, values: pl.Series, place: Place) -> Self:  # noqa: ARG002
        """Check that the key is there."""
        self.pseudonym.key()
        return self

    def apply(self, values: pl.Series, place: Place) -> pl.Series:
        """Return the pseudonyms, as text; missing cells stay missing."""
        key = self.pseudonym.key()
        prefix = f"pseudonym\0{self.pseudonym.domain or place.column}\0".encode()
        distinct = distinct_values(values)
        texts = texts_of(distinct)
        names = [
            hmac.digest(key, prefix + text.encode(), "sha256").hex()[: self.pseudonym.length]
            for text in texts
        ]
        if len(set(names)) < len(names):
            raise DataError(
                f"column {place.column!r}: two values have the same pseudonym; make it longer than "
                f"{self.pseudonym.length} digits"
            )
        return replace_values(values, distinct, pl.Series(names, dtype=pl.String), pl.String)

    def describe(self, place: Place) -> str:  # noqa: ARG002
        """Return what is done."""
        return (
            f"replaced by a pseudonym of {self.pseudonym.length} digits (HMAC-SHA-256; the key is "
            f"read from {self.pseudonym.shown} and kept nowhere); whoever holds the key can undo it"
        )


class DateShift(KeySource):
    """How dates are shifted.

    Parameters
    ----------
    days
        Largest shift in days, either way; at least 1.
    keep_weekday
        Whether to shift by whole weeks, so that a Monday stays one; ``days`` is then at least 7.
    """

    days: int = Field(ge=1, le=36_525)
    keep_weekday: bool = False

    @model_validator(mode="after")
    def _a_week(self) -> Self:
        if self.keep_weekday and self.days < 7:
            raise ValueError("days must be at least 7 to keep the weekday")
        return self


class ShiftDates(Rule):
    """All dates of a person move together: ``{ shift_dates = { days = 365, key_env = "KEY" } }``.

    The shift is a keyed function of the person (the schema's ``person`` column), the same in every
    column and table, and never 0: the time between two events of a person stays exactly as it
    was, and the calendar is hidden.
    """

    keywords: ClassVar[tuple[str, ...]] = ("shift_dates",)
    action: ClassVar[Action] = "perturbed"

    shift_dates: DateShift

    _said = field_validator("shift_dates", mode="before")(_a_table)

    def fitted(self, values: pl.Series, place: Place) -> Self:
        """Check that the column holds dates, that persons are known, and that the key is there."""
        self._checked(values, place)
        self.shift_dates.key()
        return self

    def apply(self, values: pl.Series, place: Place) -> pl.Series:
        """Return the shifted dates, of the same type."""
        persons = self._checked(values, place)
        key = self.shift_dates.key()
        step = 7 if self.shift_dates.keep_weekday else 1
        most = self.shift_dates.days // step
        distinct = distinct_values(persons)
        shifts = []
        for text in texts_of(distinct):
            octets = hmac.digest(key, b"date shift\0" + text.encode(), "sha256")
            place_of = int.from_bytes(octets[:16], "big") % (2 * most)
            shifts.append(step * (place_of - most if place_of < most else place_of - most + 1))
        days = replace_values(persons, distinct, pl.Series(shifts, dtype=pl.Int64), pl.Int64)
        frame = pl.DataFrame({"date": values, "days": days})
        moved = pl.col("date") + pl.duration(days="days")
        return frame.select(moved.cast(values.dtype)).to_series().alias(values.name)

    def describe(self, place: Place) -> str:  # noqa: ARG002
        """Return what is done."""
        unit = "whole weeks, " if self.shift_dates.keep_weekday else ""
        return (
            f"moved by {unit}up to {self.shift_dates.days} days either way, all dates of a person "
            f"by the same number (HMAC-SHA-256; the key is read from {self.shift_dates.shown} and "
            "kept nowhere), so that the time between two events is exact"
        )

    def _checked(self, values: pl.Series, place: Place) -> pl.Series:
        if values.dtype != pl.Date and not isinstance(values.dtype, pl.Datetime):
            raise place.refuse(
                "shift_dates",
                f'needs dates, but the column holds {values.dtype}; say type = "date" in the '
                "schema",
            )
        if place.schema.person is None:
            raise place.refuse(
                "shift_dates", 'needs to know whose row it is: say person = "..." in the schema'
            )
        if place.persons is None:
            raise InternalError("the persons were not handed to the rule")
        if place.persons.null_count():
            first = int(place.persons.is_null().arg_max() or 0) + 1
            raise DataError(
                f"column {place.schema.person!r}: {place.persons.null_count()} rows (first: row "
                f"{first}) belong to no person, so their dates cannot be shifted"
            )
        return place.persons
