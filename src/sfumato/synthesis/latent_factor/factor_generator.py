"""What latent factors learned, and how people who never lived are drawn from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.errors import DataError
from sfumato.progress import Progress, silent
from sfumato.synthesis.codec import Codec
from sfumato.synthesis.generator import Generator, check_sample, not_learned, too_rare
from sfumato.synthesis.latent_factor.factor_stratum import FactorStratum
from sfumato.synthesis.rejection import collect_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from sfumato.table import Schema

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["FactorGenerator"]

_BLOCK = 8_192  # rows drawn at a time, always as many: a longer sample begins like a shorter one
_PATIENCE = 100  # blocks after which given values are judged too rare
_LEAST_GIVEN = 2e-5  # share of draws that must have all given values
_NOT_KEPT = (
    (
        "Not kept: ties that are no work of a few common factors, and exact rules such as one "
        "column computed from others, unless they are declared."
    ),
    (
        "No formal promise: a sample of invented people is not anonymous by name, and this model "
        "has no differential privacy. Judge it by its measured risks."
    ),
)


@dataclass(frozen=True, eq=False)
class FactorGenerator(Generator):
    """A fitted latent factor model. Made by :meth:`LatentFactor.fit`.

    Parameters
    ----------
    codec
        How the columns are cut into cells, in the order of the fitted table.
    strata
        The fitted models: of each class of the target that is learned by itself, or of all rows.
    draws
        Models drawn from the posterior, for several releases: strata of each.
    target
        Column whose classes the strata are; None if there is one stratum.
    schema
        Schema of the sampled table.
    left_out
        Columns that were not learned, since they identify a person.
    minimum
        Least number of people behind a learned value or cell.
    rows
        Rows learned from.
    """

    codec: Codec
    strata: tuple[FactorStratum, ...]
    draws: tuple[tuple[FactorStratum, ...], ...]
    target: str | None
    schema: Schema
    left_out: tuple[str, ...]
    minimum: int
    rows: int

    def sample(
        self,
        n: int,
        *,
        seed: int,
        given: Mapping[str, Any] | None = None,
        progress: Progress = silent,
    ) -> pl.DataFrame:
        """Return ``n`` (at least 1) rows of people who never lived.

        The factors of a row are drawn from their fitted law, never taken from a person. The same
        seed gives the same rows, and the first rows of a longer sample are those of a shorter one.
        Rows with given values follow the model's own distribution of such rows exactly: factors
        are kept with the probability that they give to the given values.

        Parameters
        ----------
        n, seed, given, progress
            See :meth:`Generator.sample`. A given number stands for the cell that holds it; it is
            written as it is given.

        Raises
        ------
        DataError
            If ``n`` is below 1, a given column or value was not learned, or rows with all the
            given values are too rare in the model.
        """
        values = check_sample(n, given, self.codec.names)
        fixed = self.codec.given(values)
        self._check_drawn(fixed)
        if not any(self._weights(self.strata, fixed)):
            raise too_rare(values, 0.0, "")
        random = np.random.default_rng(seed)

        def draw(_: int) -> pl.DataFrame:
            return self.codec.with_given(self._block(self.strata, random, fixed), values)

        return collect_rows(
            draw,
            n,
            block=_BLOCK,
            least=_LEAST_GIVEN if fixed else 0.0,
            patience=_PATIENCE * _BLOCK,
            refuse=lambda share: too_rare(values, share, ""),
            progress=progress,
            task="drawing rows with the given values" if fixed else "drawing rows",
        )

    def releases(self, n: int, *, seed: int) -> tuple[pl.DataFrame, ...]:
        """Return a table from each of the drawn models, for analysis by ``combine``.

        An analysis is made on each table by itself; the scatter between the results tells how
        surely the real table tells of its population.

        Parameters
        ----------
        n
            Rows of each: as many as the real table had (``rows``), for the rules to hold.
        seed
            The same seed gives the same tables.

        Raises
        ------
        DataError
            If the technique was fitted without ``posterior``, or ``n`` is below 1.
        """
        if not self.draws:
            raise DataError("No models were drawn: fit with posterior = 20 for that many releases")
        check_sample(n, None, self.codec.names)
        found = []
        for place, strata in enumerate(self.draws):
            random = np.random.default_rng([seed, place])
            found.append(
                collect_rows(
                    lambda _, strata=strata, random=random: self._block(strata, random, {}),  # type: ignore[misc]
                    n,
                    block=_BLOCK,
                    least=0.0,
                    patience=_BLOCK,
                    refuse=lambda share: too_rare((), share, ""),
                    progress=silent,
                    task="drawing rows",
                )
            )
        return tuple(found)

    def _check_drawn(self, fixed: Mapping[int, int]) -> None:
        """Refuse a given empty cell of a column whose empty cells were masked."""
        states = {
            variable.column for one in self.strata for variable in one.variables if variable.states
        }
        for column, cell in fixed.items():
            grid = self.codec.grids[column]
            if cell >= grid.values and column not in states:
                raise DataError(
                    f"The value given for {grid.name!r} was not learned: missing values were "
                    f"masked. Fit with missing = 'value'"
                )

    def _weights(self, strata: tuple[FactorStratum, ...], fixed: Mapping[int, int]) -> list[float]:
        """Return how often a stratum is tried for rows with given cells."""
        values = [grid.values for grid in self.codec.grids]
        return [one.weight(values, fixed) for one in strata]

    def _block(
        self,
        strata: tuple[FactorStratum, ...],
        random: np.random.Generator,
        fixed: dict[int, int],
    ) -> pl.DataFrame:
        """Return the rows of one block that are kept."""
        values = [grid.values for grid in self.codec.grids]
        ends = np.cumsum(self._weights(strata, fixed))
        chosen = np.searchsorted(ends[:-1], random.random(_BLOCK) * ends[-1], side="right")
        factors = max(one.model.law.width for one in strata)
        normal = random.standard_normal((_BLOCK, factors))
        numbers = random.random((_BLOCK, 2))
        uniform = random.random((max(len(one.variables) for one in strata), _BLOCK, 2))
        within = random.random((_BLOCK, len(values)))
        cells = np.zeros(within.shape, dtype=np.int64)
        kept = np.zeros(_BLOCK, dtype=np.bool_)
        for place, one in enumerate(strata):
            rows = np.flatnonzero(chosen == place)
            cells[rows], kept[rows] = one.drawn(
                numbers[rows],
                uniform[:, rows],
                normal[rows, : one.model.law.width],
                values,
                fixed,
            )
        return self.codec.decode(cells[kept], within[kept])

    def describe(self) -> tuple[str, ...]:
        """Return what was learned and what it cannot hold, a sentence each."""
        names: dict[str, list[str]] = {}
        of_column = {
            variable.column: "logistic"
            if link.name == "ordinal" and variable.cells == 2
            else link.name
            for one in self.strata
            for variable, link in zip(one.variables, one.model.links, strict=True)
            if not variable.states
        }
        for column, kind in sorted(of_column.items()):
            names.setdefault(kind, []).append(self.codec.names[column])
        links = "; ".join(f"{kind}: {', '.join(columns)}" for kind, columns in names.items())
        factors = " and ".join(dict.fromkeys(str(one.model.law.width) for one in self.strata))
        parts = max(one.model.law.shares.size for one in self.strata)
        strata = ""
        if self.target is not None:
            strata = (
                f" The rows fall into {len(self.strata)} strata, the frequent classes of "
                f"{self.target}, each with a model of its own."
            )
        told = [
            (
                f"Learned from {self.rows:,} rows: {factors} factors, common to all columns, whose "
                f"law is a mixture of up to {parts} normal distributions. Links: {links}.{strata}"
            ),
            (
                f"No value of a category, and no stretch of a number, that fewer than "
                f"{self.minimum} people share is repeated; within a stretch numbers are drawn "
                f"evenly; an extreme value occurs only if as many people share it. Each column "
                f"keeps its distribution."
            ),
        ]
        if self.draws:
            told.append(
                f"{len(self.draws)} models were drawn from the posterior, for releases that "
                f"are analysed together."
            )
        told += not_learned(self.left_out, (grid.coding for grid in self.codec.grids))
        return (*told, *_NOT_KEPT)

    def released_schema(self) -> Schema:
        """Return the schema of the sampled table."""
        return self.schema

    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""
        return {
            "codec": self.codec.to_dict(),
            "strata": [one.to_dict() for one in self.strata],
            "draws": [[one.to_dict() for one in strata] for strata in self.draws],
            "target": self.target,
            "schema": self.schema.to_dict(),
            "left_out": list(self.left_out),
            "minimum": self.minimum,
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the generator that :meth:`to_dict` described."""
        from sfumato.table import Schema

        codec = Codec.from_dict(values["codec"])
        return cls(
            codec=codec,
            strata=tuple(FactorStratum.from_dict(one) for one in values["strata"]),
            draws=tuple(
                tuple(FactorStratum.from_dict(one) for one in strata) for strata in values["draws"]
            ),
            target=values["target"],
            schema=Schema.from_dict(values["schema"]).select(codec.names),
            left_out=tuple(values["left_out"]),
            minimum=values["minimum"],
            rows=values["rows"],
        )
