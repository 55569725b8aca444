"""One release from Python: a frame in, a frame of the same kind out, with all that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import PlanError
from sfumato.progress import Progress, silent
from sfumato.release.certificate import Certificate
from sfumato.release.making import Fittable, Made, Origin, certify, content_sha256, fit, step_of
from sfumato.release.private_release import check_delta
from sfumato.release.release_folder import write_release
from sfumato.release.verification import Verification, verify

if TYPE_CHECKING:
    from sfumato.anonymization.recoding import Recoding
    from sfumato.privacy import Criterion
    from sfumato.privacy.differential.ledger import Ledger
    from sfumato.synthesis.generator import Generator
    from sfumato.table import Schema

__all__ = ["Release", "anonymize", "synthesize"]


@dataclass(frozen=True)
class Release:
    """A table that can be handed out, and the evidence.

    Parameters
    ----------
    name
        Name of the release.
    data
        The released rows, as the caller's kind of frame.
    schema, source_schema
        Schema of the released rows, and of the rows they were made from.
    made
        What was made, as Polars; ``recoding``, ``generator`` and ``promises`` are read from it.
    certificate
        What the release states about itself.
    """

    name: str
    data: Any
    schema: Schema
    source_schema: Schema
    made: Made
    certificate: Certificate

    @property
    def recoding(self) -> Recoding | None:
        """The fitted recoding, which also recodes rows that were not there; None for a model."""
        return self.made.recoding

    @property
    def generator(self) -> Generator | None:
        """The model that the rows were drawn from; None for a recoding."""
        return self.made.generator

    @property
    def promises(self) -> tuple[Criterion, ...]:
        """The criteria that the release keeps."""
        return self.made.promises

    @property
    def ledger(self) -> Ledger | None:
        """The account of the privacy budget; None if there was none."""
        from sfumato.privacy.differential.ledger import Ledger

        ledger = self.certificate.ledger
        return None if ledger is None else Ledger.from_dict(ledger)

    def verify(self) -> Verification:
        """Recount every promise from the data alone, and sum up the ledger if there is one."""
        found = verify(self.data, self.schema, self.promises)
        if self.certificate.ledger is None:
            return found
        from sfumato.release.recount import with_ledger

        return with_ledger(found, self.certificate)

    def save(self, folder: str | Path, *, format: str = "csv") -> Path:  # noqa: A002
        """Write the release folder, whole or not at all, and return it.

        Parameters
        ----------
        folder
            A release that was saved there makes way; anything else there is left alone.
        format
            "csv" or "parquet".

        Raises
        ------
        PlanError
            If the folder holds what sfumato did not write, or the format is unknown.
        EngineError
            If the disk refuses.
        """
        if format not in ("csv", "parquet"):
            raise PlanError(f"format must be 'csv' or 'parquet' (got {format!r})")
        return write_release(Path(folder), self.made, self.certificate, f"data.{format}")

    def __repr__(self) -> str:
        """Say what it is without a cell."""
        rows, columns = self.made.data.shape
        promised = [repr(criterion) for criterion in self.promises]
        promised += [one.kind for one in self.certificate.promises if self.certificate.ledger]
        kept = ", ".join(promised) or "nothing"
        return f"Release({self.name!r}: {rows:,} rows, {columns} columns, promises {kept})"


def anonymize(
    table: Any,
    schema: Schema,
    technique: Fittable,
    *,
    name: str = "release",
    rows: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Release:
    """Make a release of all rows of a table with one technique.

    Parameters
    ----------
    table
        A Polars, pandas, PyArrow or DuckDB table; it is left as it is.
    schema
        What its columns are.
    technique
        Settings of a technique, such as ``Mondrian(k=5)``; a synthesizer draws the rows.
    name
        Name of the release.
    rows, seed
        For a synthesizer: rows to draw (as many as the table has by default) and the draw's seed.
    progress
        Told how far the work is.

    Returns
    -------
    Release
        ``data`` is a frame of the kind that was given.

    Raises
    ------
    DataError
        If the table cannot be used.
    SchemaError
        If the schema does not fit it.
    """
    from sfumato.table import take

    frame, returner = take(table)
    checked = schema.check(frame)
    check_delta(technique, frame, checked)
    made = Made.of(fit(technique, frame, checked, progress), frame, checked, rows=rows, seed=seed)
    origin = Origin("table", content_sha256(frame), frame.height)
    certificate = certify(name, made, origin, (step_of(name, technique),))
    return Release(name, returner.give(made.data), made.schema, checked, made, certificate)


def synthesize(
    table: Any, schema: Schema, technique: Fittable, *, progress: Progress = silent
) -> Generator:
    """Learn a model of a table, to draw people from who never lived.

    Parameters
    ----------
    table
        A Polars, pandas, PyArrow or DuckDB table; it is left as it is.
    schema
        What its columns are.
    technique
        Settings of a synthesizer, such as ``GaussianCopula()``.
    progress
        Told how far the work is.

    Raises
    ------
    DataError
        If the table cannot be used.
    PlanError
        If the technique makes no model.
    """
    from sfumato.synthesis.generator import Generator
    from sfumato.table import take

    frame, _ = take(table)
    checked = schema.check(frame)
    check_delta(technique, frame, checked)
    fitted = fit(technique, frame, checked, progress)
    if not isinstance(fitted, Generator):
        raise PlanError(
            f"{type(technique).__qualname__} recodes rows and makes no model: use anonymize"
        )
    return fitted
