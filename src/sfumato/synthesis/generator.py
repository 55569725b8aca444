"""What a synthesizer learned: an immutable model from which people who never lived are drawn."""

from __future__ import annotations

from abc import abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sfumato.errors import DataError, did_you_mean
from sfumato.fitted import Fitted
from sfumato.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from sfumato.synthesis.columns import ColumnCoding
    from sfumato.table import Schema

__all__ = ["Generator", "check_sample", "not_learned", "too_rare"]


class Generator(Fitted):
    """A fitted model of a table. Subclasses are frozen dataclasses."""

    word = "generator"

    @staticmethod
    def of_kind(kind: str, values: dict[str, Any]) -> Generator:
        """Return a generator that is a part of another, from its class and its ``to_dict``.

        Raises
        ------
        DataError
            If ``kind`` ("module:class") is no generator of sfumato.
        """
        module, _, name = kind.partition(":")
        try:
            found = getattr(import_module(module), name) if module.startswith("sfumato.") else None
        except (ImportError, AttributeError):
            found = None
        if not (isinstance(found, type) and issubclass(found, Generator)):
            raise DataError(f"{kind!r} is no generator that this version has")
        return found.from_dict(values)

    @abstractmethod
    def sample(
        self,
        n: int,
        *,
        seed: int,
        given: Mapping[str, Any] | None = None,
        progress: Progress = silent,
    ) -> pl.DataFrame:
        """Return rows drawn from the model, with the fitted table's columns.

        Parameters
        ----------
        n
            Number of rows, at least 1.
        seed
            The same seed gives the same rows, and the first rows of a longer sample are those of a
            shorter one.
        given
            Values that every drawn row has, by column; None stands for missing. The other columns
            are drawn from what the model says of such rows.
        progress
            Told how far the work is.

        Raises
        ------
        DataError
            If ``n`` is below 1; if a given column or value was not learned, or if rows with all
            the given values are too rare in the model to be found.
        """

    @abstractmethod
    def describe(self) -> tuple[str, ...]:
        """Return what was learned and what it cannot hold, a sentence each."""

    @abstractmethod
    def released_schema(self) -> Schema:
        """Return the schema of the sampled table."""


def check_sample(n: int, given: Mapping[str, Any] | None, columns: Iterable[str]) -> dict[str, Any]:
    """Return the given values, once the number of rows and the columns' names are checked.

    Raises
    ------
    DataError
        If ``n`` is below 1 or a given column is not in the model.
    """
    if n < 1:
        raise DataError(f"A sample needs at least 1 row, not {n}")
    known = list(columns)
    for name in given or {}:
        if name not in known:
            raise DataError(
                f"The model has no column {name!r} to be given.{did_you_mean(name, known)} "
                f"Known: {', '.join(known)}"
            )
    return dict(given or {})


def too_rare(given: Iterable[str], share: float, advice: str) -> DataError:
    """Return the error for given values that the model practically never has together.

    Parameters
    ----------
    given
        Names of the columns with given values.
    share
        Share of the draws that have them.
    advice
        What else may help beside fewer columns, beginning as it goes on from there.
    """
    names = ", ".join(repr(name) for name in given)
    return DataError(
        f"Rows with all the values given for {names} are too rare in the model: "
        f"{share:.5%} of the draws have them. Give fewer columns{advice}"
    )


def not_learned(left_out: Sequence[str], codings: Iterable[ColumnCoding]) -> list[str]:
    """Return which columns and how many values a model leaves out, a sentence each."""
    told = []
    if left_out:
        told.append(
            f"Not learned, since they point to a person: {', '.join(left_out)}. Every row "
            f"stands for a person of its own."
        )
    return told + [
        f"{coding.name}: {coding.dropped:.2%} of its values are each shared by "
        f"too few people and do not occur in the sample."
        for coding in codings
        if coding.dropped > 0
    ]
