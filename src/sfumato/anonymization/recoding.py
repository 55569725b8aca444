"""What a technique learned: an immutable recoding that also fits people who were not there."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sfumato.fitted import Fitted

if TYPE_CHECKING:
    import polars as pl

    from sfumato.privacy import Criterion
    from sfumato.progress import Progress
    from sfumato.table import Schema

__all__ = ["ColumnChange", "Recoding", "Technique"]

Action = Literal[
    "kept", "suppressed", "generalized", "perturbed", "pseudonymized", "truncated", "added"
]


@dataclass(frozen=True)
class ColumnChange:
    """What was done to one column, in words that a data steward can check.

    Parameters
    ----------
    column
        Name in the source table.
    released_as
        Name in the release, or None if the column is not released.
    action
        The kind of change.
    how
        What was done, with its settings: "replaced by its Census region (5 groups)".
    why
        The reason, from the column's role: "a state narrows a person down to ...".
    """

    column: str
    released_as: str | None
    action: Action
    how: str
    why: str


class Recoding(Fitted):
    """A fitted way to recode rows; the same outlines for the rows it was fitted on and for others.

    Subclasses are frozen dataclasses.
    """

    word = "recoding"

    def apply(self, table: Any) -> Any:
        """Return the recoded rows, in the order given; ``table`` is left as it is.

        Parameters
        ----------
        table
            A Polars, pandas, PyArrow or DuckDB table, also of rows that were not fitted.

        Returns
        -------
        Any
            A table of the kind that was given.

        Raises
        ------
        DataError
            If a column that the recoding needs is absent or holds what it cannot recode.
        """
        import polars as pl

        if isinstance(table, pl.DataFrame):
            return self.recode(table)
        from sfumato.table import take

        frame, returner = take(table)
        return returner.give(self.recode(frame))

    @abstractmethod
    def recode(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the recoded rows of a Polars table; see :meth:`apply`."""

    def kept_rows(self, table: pl.DataFrame) -> pl.Series:
        """Return which rows of a table :meth:`apply` keeps, shape (n,); all, if not said otherwise.

        What is known of the source's rows, such as whose they are, can then be laid beside the
        released ones.
        """
        import polars as pl

        return pl.repeat(value=True, n=table.height, dtype=pl.Boolean, eager=True)

    def without_chance(self) -> Recoding:
        """Return the recoding without the deletion of rows by chance; itself, if it deletes none.

        Rows that a release never saw are compared with it as a whole.
        """
        return self

    @abstractmethod
    def describe(self) -> tuple[ColumnChange, ...]:
        """Return what is done to each source column, in the order of the source table."""

    @abstractmethod
    def released_schema(self) -> Schema:
        """Return the schema of the released table: released names, roles, types."""

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """The criteria that the release of the fitted rows keeps."""
        return ()


class Technique(Protocol):
    """Frozen settings of one way to anonymize; registered as an entry point."""

    def fit(self, table: pl.DataFrame, schema: Schema, *, progress: Progress = ...) -> Recoding:
        """Learn the recoding from the rows that will be released."""
        ...
