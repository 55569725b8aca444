"""`sfumato anonymize`: one release, or one for each combination of ranges, or a file of Anonify."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import PlanError

if TYPE_CHECKING:
    from sfumato.cli.console import Console
    from sfumato.cli.other_configurations import Ranges
    from sfumato.table import Source

__all__ = ["Asked", "anonymize_by_configuration", "anonymize_table"]


@dataclass(frozen=True)
class Asked:
    """What the command line asks for.

    Parameters
    ----------
    settings
        Of the technique.
    k, suppression_limit
        Single values, or None.
    criteria
        Promises as texts, such as "l-diversity:column=occupation,l=3".
    ranges
        Of k and of the suppression.
    file_format
        "csv" or "parquet".
    """

    settings: Mapping[str, Any]
    k: int | None
    suppression_limit: float | None
    criteria: tuple[str, ...]
    ranges: Ranges
    file_format: str

    def spelt_criteria(self) -> list[dict[str, Any]]:
        """Return the criteria as the plain values of a plan.

        Raises
        ------
        PlanError
            If one is misspelt, unknown or lacks a setting.
        """
        from sfumato.privacy import Criterion
        from sfumato.release.recounts import criterion_of_text

        found = [criterion_of_text(text) for text in self.criteria]
        for values in found:
            Criterion.from_dict(values)  # what is wrong is told before anything is read
        return found


def anonymize_table(
    console: Console,
    where: Source,
    schema_file: Path | None,
    technique: str,
    asked: Asked,
    out: Path,
) -> int:
    """Make one release, or one for each combination of the ranges; return the exit code."""
    from sfumato.cli.commands import make_release
    from sfumato.cli.range_releases import make_releases, wanted_by_ranges, with_promises
    from sfumato.release.registry import technique as registered
    from sfumato.table import Schema

    if schema_file is None:
        raise PlanError("--schema is needed: it says which columns are quasi-identifiers")
    criteria = asked.spelt_criteria()
    if asked.ranges:
        wanted = wanted_by_ranges(
            asked.ranges,
            technique,
            asked.settings,
            k=asked.k,
            suppression_limit=asked.suppression_limit,
            criteria=criteria,
        )
        schema = Schema.read(schema_file)
        return make_releases(console, where, schema, wanted, out, file_format=asked.file_format)
    settings = with_promises(
        registered(technique),
        asked.settings,
        k=asked.k,
        suppression_limit=asked.suppression_limit,
        criteria=criteria,
    )
    make_release(
        console,
        where,
        schema_file,
        technique,
        settings,
        out,
        file_format=asked.file_format,
        makes="recoding",
    )
    return 0


def anonymize_by_configuration(
    console: Console,
    path: Path,
    asked: Asked,
    out: Path,
    *,
    schema: Path | None,
    table: Callable[[str], Source],
) -> int:
    """Make the releases that a JSON file of Anonify asks for; return the exit code.

    Parameters
    ----------
    table
        Gives the source at a place, read as the command line says.

    Raises
    ------
    PlanError
        If the file is wrong, or the command line says again what it says.
    """
    from sfumato.cli.other_configurations import AnonymizationConfiguration, read_configuration
    from sfumato.cli.range_releases import make_configured_releases
    from sfumato.cli.sampling import refuse_beside_configuration

    given = {
        "--schema": schema,
        "--k": asked.k,
        "--criterion": asked.criteria or None,
        "the ranges": asked.ranges or None,
    }
    refuse_beside_configuration(path, given)
    configuration = read_configuration(path, AnonymizationConfiguration)
    settings = dict(asked.settings)
    if asked.suppression_limit is not None:
        settings["suppression_limit"] = asked.suppression_limit
    where = table(str(path.parent / configuration.table_path))
    return make_configured_releases(
        console, configuration, path.parent, where, settings, out, file_format=asked.file_format
    )
