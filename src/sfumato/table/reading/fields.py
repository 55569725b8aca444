"""The fields of a text file, made to values in one streaming pass.

Polars reads every field as text and, in the same pass, makes values of the types that a sample of
the rows suggested, together with one bit for each cell that says whether its text did not fit. So
a code with a leading zero in the last row is noticed, and the memory is that of the finished table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sfumato.table.reading.dialect import Dialect
from sfumato.table.reading.inference import Parse

__all__ = ["Fields", "Malformed"]

_SAMPLE_ROWS = 10_000
_BLOCK = 1 << 24
#: The prefix of the columns of bits; no file can hold it in a name, zero bytes are refused.
_MISFIT = "\0misfit "
_LAST_EMPTY = "\0last empty"


class Malformed(Exception):
    """Polars refused the file. Its own message is dropped: it may quote a cell."""


@dataclass(frozen=True)
class Fields:
    """The fields of a text file as Polars is told to read them.

    Parameters
    ----------
    data
        The file, or its bytes in UTF-8.
    dialect
        How it is written.
    missing
        The texts that mean a missing value.
    quoted
        Whether ``"`` quotes fields.
    n_rows
        How many rows are read at most.
    """

    data: Path | bytes
    dialect: Dialect
    missing: tuple[str, ...] = ("",)
    quoted: bool = True
    n_rows: int | None = None

    def scan(self, n_rows: int | None = None) -> pl.LazyFrame:
        """Return every field as text, unread so far; an empty field is null.

        Parameters
        ----------
        n_rows
            Rows from the top; all that are wanted by default.
        """
        limit = min((rows for rows in (n_rows, self.n_rows) if rows is not None), default=None)
        words = [text for text in self.missing if text]
        return pl.scan_csv(
            self.data,
            has_header=False,
            skip_lines=self.dialect.skipped_lines,
            schema=dict.fromkeys(self.dialect.names, pl.String),
            separator=self.dialect.delimiter,
            quote_char='"' if self.quoted else None,
            eol_char=self.dialect.line_end,
            # Without "" in missing an empty field is a value, so the words cannot be null yet.
            null_values=words if words and "" in self.missing else None,
            n_rows=limit,
            glob=False,
        )

    def text(self, name: str) -> pl.Expr:
        """Return a column's texts, null where the cell is missing."""
        text = pl.col(name)
        if "" in self.missing:
            return text
        text = text.fill_null("")
        return pl.when(~text.is_in(self.missing)).then(text).alias(name) if self.missing else text

    def sample(self) -> pl.DataFrame:
        """Return the texts of the first 10,000 rows."""
        return self._collected(map(self.text, self.dialect.names), n_rows=_SAMPLE_ROWS)

    def texts(self, names: list[str]) -> list[pl.Series]:
        """Return the texts of some columns, null where the cell is missing."""
        texts = map(self.text, names)
        return [self._without_empty(column) for column in self._collected(texts).iter_columns()]

    def parsed(
        self, parses: Mapping[str, Parse]
    ) -> tuple[pl.DataFrame, dict[str, pl.Series], bool]:
        """Return the table, the cells that do not fit by column, and whether a last cell is empty.

        Parameters
        ----------
        parses
            How to read each column.
        """
        names = self.dialect.names
        expressions = [parses[name].values(self.text(name)).alias(name) for name in names]
        typed = [name for name in names if parses[name].type not in ("category", "text")]
        expressions += [
            parses[name]
            .misfits(self.text(name), empty="" not in self.missing)
            .alias(_MISFIT + name)
            for name in typed
        ]
        expressions.append(pl.col(names[-1]).is_null().alias(_LAST_EMPTY))
        frame = self._collected(expressions)
        misfits = {name: frame[_MISFIT + name] for name in typed}
        misfits = {name: flags for name, flags in misfits.items() if flags.any()}
        last_empty = bool(frame[_LAST_EMPTY].any())
        columns = [self._without_empty(column) for column in frame.select(names).iter_columns()]
        return pl.DataFrame(columns), misfits, last_empty

    def _without_empty(self, column: pl.Series) -> pl.Series:
        # Polars makes a field without a text null, but not one that is a pair of quotes.
        if column.dtype != pl.String or "" not in self.missing or not (column == "").any():
            return column
        return column.set((column == "").fill_null(value=False), None)

    def _collected(self, expressions: Iterable[pl.Expr], n_rows: int | None = None) -> pl.DataFrame:
        try:
            return self.scan(n_rows).select(expressions).collect(engine="streaming")
        except pl.exceptions.PolarsError:
            raise Malformed from None
