"""What other tools are told, read as they write it: Anonify's JSON files, k-AnonML's ranges."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from sfumato.errors import DataError, PlanError, SchemaError, did_you_mean
from sfumato.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sfumato.table import Schema

__all__ = [
    "AlgorithmConfiguration",
    "AnonymizationConfiguration",
    "Ranges",
    "SamplingConfiguration",
    "is_configuration",
    "read_configuration",
]

_ALGORITHMS = {
    "mondrian": "mondrian",
    "ola": "ola",
    "tdg": "top-down-greedy",
    "knn": "knn-cluster",
    "kmember": "k-member",
    "oka": "oka",
}
_LEAST_K = 2
_Kind = TypeVar("_Kind", bound=Settings)
_Text = Annotated[str, Field(min_length=1)]


class SamplingConfiguration(Settings):
    """The JSON file of Anonify's stratified sampling.

    Parameters
    ----------
    id
        Text with which the names of the samples begin.
    input
        The k-anonymous table; a relative path starts from the file's folder.
    qids
        Its quasi-identifiers.
    deletion_percentage
        Share of each class that is deleted, 0 to 1. An older version calls it
        ``sampling_percentage`` and means the same.
    num_experiments
        How many samples.
    """

    id: _Text
    input: _Text
    qids: Annotated[tuple[_Text, ...], Field(min_length=1)]
    deletion_percentage: Annotated[float, Field(strict=True, ge=0, le=1)]
    num_experiments: Annotated[int, Field(strict=True, ge=1)]

    @model_validator(mode="before")
    @classmethod
    def _older_name(cls, values: Any) -> Any:
        if isinstance(values, dict) and "sampling_percentage" in values:
            if "deletion_percentage" in values:
                raise ValueError("deletion_percentage and sampling_percentage are the same: one")
            values = dict(values)
            values["deletion_percentage"] = values.pop("sampling_percentage")
        return values

    @field_validator("id")
    @classmethod
    def _a_file_name(cls, value: str) -> str:
        if any(letter in value for letter in '/\\\0\n:*?"<>|') or value.startswith("."):
            raise ValueError("the id begins file names: letters, digits, '-' and '_'")
        return value

    @field_validator("qids", mode="before")
    @classmethod
    def _a_list(cls, value: Any) -> Any:
        return _listed(value)

    @field_validator("qids")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a column stands twice")
        return value


class AlgorithmConfiguration(Settings):
    """The part ``algo_conf`` of Anonify's anonymization file.

    Parameters
    ----------
    k
        One k, or several; each at least 2.
    algo
        One algorithm, or several: mondrian, ola, tdg, knn, kmember, oka.
    """

    k: tuple[Annotated[int, Field(strict=True, ge=_LEAST_K)], ...] = Field(min_length=1)
    algo: tuple[str, ...] = Field(min_length=1)

    @field_validator("k", "algo", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return value if isinstance(value, list | tuple) else [value]

    @field_validator("algo")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in _ALGORITHMS:
                hint = did_you_mean(name, _ALGORITHMS)
                known = ", ".join(_ALGORITHMS)
                raise ValueError(f"there is no algorithm {name!r}.{hint} Known: {known}")
        return value


class _DatasetConfiguration(Settings):
    """The part ``dataset_conf``: only "all rows and all columns" can be said."""

    batch_size: Any = 0
    attrs: Any = ()

    @model_validator(mode="after")
    def _everything(self) -> Self:
        if self.batch_size not in (0, [0]):
            raise ValueError(
                "batch_size: only 0, all rows, is taken; make a research subset of the table first"
            )
        if self.attrs not in ((), [], [[]]):
            raise ValueError("attrs: only [[]], all columns, is taken; leave columns out first")
        return self


class AnonymizationConfiguration(Settings):
    """The JSON file of Anonify's older front end on k-AnonML.

    Parameters
    ----------
    dataset
        Name of the data set: the default paths hold it.
    algo_conf
        Algorithms and values of k.
    dataset_conf
        Batch sizes and attributes; only all rows and all columns are taken.
    input
        The table; by default ``datasets/NAME/NAME.csv``. Paths start from the file's folder.
    hierarchies
        Folder of ``NAME_hierarchy_COLUMN.csv`` files; by default
        ``generalization/hierarchies/NAME``.
    qids
        The quasi-identifiers; by default the columns that have a hierarchy file.
    """

    dataset: _Text
    algo_conf: AlgorithmConfiguration
    dataset_conf: _DatasetConfiguration = Field(default_factory=_DatasetConfiguration)
    input: _Text | None = None
    hierarchies: _Text | None = None
    qids: tuple[_Text, ...] | None = None

    @field_validator("qids", mode="before")
    @classmethod
    def _a_list(cls, value: Any) -> Any:
        return None if value is None else _listed(value)

    @property
    def table_path(self) -> str:
        """Where the table is, from the file's folder."""
        return self.input or f"datasets/{self.dataset}/{self.dataset}.csv"

    def schema_of(self, columns: list[str], folder: Path) -> Schema:
        """Return the schema: hierarchies of the quasi-identifiers, all else as it is.

        A column ``ID`` that is no quasi-identifier is an identifier, as k-AnonML leaves it out.

        Parameters
        ----------
        columns
            Names of the table's columns.
        folder
            The folder of the file.

        Raises
        ------
        SchemaError
            If a quasi-identifier is no column, or none is known.
        DataError
            If a quasi-identifier has no hierarchy file.
        """
        from sfumato.table import Hierarchy, Schema

        place = folder / (self.hierarchies or f"generalization/hierarchies/{self.dataset}")
        files = {name: place / f"{self.dataset}_hierarchy_{name}.csv" for name in columns}
        names = self.qids
        if names is None:
            names = tuple(name for name in columns if files[name].is_file())
        if not names:
            raise SchemaError(
                f"no quasi-identifier is known: name them by qids, or lay their hierarchies as "
                f"{self.dataset}_hierarchy_COLUMN.csv into {place}"
            )
        for name in names:
            if name not in columns:
                raise SchemaError(
                    f"qids: the table has no column {name!r}.{did_you_mean(name, columns)}"
                )
            if not files[name].is_file():
                raise DataError(f"{files[name]}: there is no such file, the hierarchy of {name!r}")
        identifiers = [name for name in ("ID",) if name in columns and name not in names]
        return Schema(
            identifiers=identifiers,
            quasi_identifiers={name: Hierarchy.read(files[name]) for name in names},
            rest="other",
        )

    @staticmethod
    def technique(algorithm: str) -> str:
        """Return the registered name of an algorithm."""
        return _ALGORITHMS[algorithm]


@dataclass(frozen=True)
class Ranges:
    """k-AnonML's ranges: every k from ``start_k`` to ``stop_k``, every suppression in percent.

    Parameters
    ----------
    k
        The values of k; empty if none was asked for.
    s
        Percent of the rows that may be suppressed; empty if none was asked for.
    """

    k: tuple[int, ...] = ()
    s: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        start_k: int | None,
        stop_k: int | None,
        step_k: int | None,
        start_s: int | None,
        stop_s: int | None,
        step_s: int | None,
    ) -> Self:
        """Return the ranges; what is not given of one that is has k-AnonML's defaults.

        Raises
        ------
        PlanError
            If a range is empty or leaves its bounds: k from 2, s from 0 to 100, steps from 1.
        """
        ks: tuple[int, ...] = ()
        if not start_k is stop_k is step_k is None:
            ks = _range("k", start_k, stop_k, step_k, (_LEAST_K, 100), (_LEAST_K, None))
        ss: tuple[int, ...] = ()
        if not start_s is stop_s is step_s is None:
            ss = _range("s", start_s, stop_s, step_s, (3, start_s or 3), (0, 100))
        return cls(ks, ss)

    def __bool__(self) -> bool:
        return bool(self.k or self.s)

    def combinations(self, k: int | None) -> Iterator[tuple[str, int | None, int | None]]:
        """Yield a folder name, k and s for each combination; ``k`` where no range of it is."""
        for one in self.k or (k,):
            for percent in self.s or (None,):
                parts = [f"k{one}"] if one is not None else []
                parts += [f"s{percent}"] if percent is not None else []
                yield "_".join(parts), one, percent


def is_configuration(data: str) -> bool:
    """Whether what a command was given as its data is a JSON file."""
    return "://" not in data and data.lower().endswith(".json")


def read_configuration(path: Path, kind: type[_Kind]) -> _Kind:
    """Read another tool's JSON file.

    Raises
    ------
    PlanError
        In one line, with the file's name: if it cannot be read, is no JSON object, or a key is
        missing, unknown or of the wrong kind.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{path}: there is no such file") from None
    except OSError as error:
        raise PlanError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PlanError(f"{path} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise PlanError(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    if not isinstance(values, dict):
        raise PlanError(f"{path}: a JSON object is needed, {{...}}")
    try:
        return kind(**{str(name): value for name, value in values.items()})
    except PlanError as error:
        said = str(error).removeprefix(f"{kind.__name__}: ")
        raise PlanError(f"{path}: {said}") from None


def _listed(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise PlanError('qids: a list of column names is needed, such as ["age", "sex"]')
    return value


def _range(
    name: str,
    start: int | None,
    stop: int | None,
    step: int | None,
    default: tuple[int, int],
    bounds: tuple[int, int | None],
) -> tuple[int, ...]:
    first = default[0] if start is None else start
    last = default[1] if stop is None else stop
    by = 1 if step is None else step
    least, most = bounds
    if first < least:
        raise PlanError(f"--start-{name} must be at least {least} (got {first})")
    if last < first:
        raise PlanError(
            f"--stop-{name} must be at least --start-{name} (got {last}, which is below {first})"
        )
    if most is not None and last > most:
        raise PlanError(f"--stop-{name} must be at most {most} (got {last})")
    if by < 1:
        raise PlanError(f"--step-{name} must be at least 1 (got {by})")
    return tuple(range(first, last + 1, by))
