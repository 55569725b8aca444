"""How rows are drawn from any model with a latent space: a class, a point, the columns."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from sfumato.errors import DataError
from sfumato.progress import Progress, silent
from sfumato.synthesis.codec import Codec
from sfumato.synthesis.generator import Generator, check_sample, not_learned, too_rare
from sfumato.synthesis.neural.latent_density import LatentDensity
from sfumato.synthesis.rejection import collect_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sfumato.table import Schema

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Integers = NDArray[np.int64]

__all__ = ["LatentGenerator"]

# Rows drawn at a time. Always as many, also for a shorter sample: sums in single precision may
# depend on how many rows a product has, and the first rows must not.
_BLOCK = 8_192
_PATIENCE = 100  # blocks after which given values are judged too rare
_LEAST_GIVEN = 2e-5  # share of draws that must have all given values
_FEW = 5_000  # rows of a table below which the model warns
_NOT_KEPT = (
    (
        "Not kept: exact rules such as one column computed from others, unless they are declared, "
        "and what the network did not learn of values that few people share."
    ),
    (
        "No formal promise: a sample of invented people is not anonymous by name, and this model "
        "has no differential privacy. A network can remember single people: judge it by its "
        "measured risks, and keep the model's own file as the table itself."
    ),
)


class LatentGenerator(Generator):
    """A model with a latent space. Subclasses are frozen dataclasses with these fields."""

    codec: Codec
    density: LatentDensity
    epochs: int
    schema: Schema
    left_out: tuple[str, ...]
    minimum: int
    rows: int

    @property
    @abstractmethod
    def label(self) -> int | None:
        """Number of the column that is drawn first and by itself."""

    @property
    @abstractmethod
    def label_share(self) -> Floats:
        """Share of each class, the groups of that column's cells; one number if there is none."""

    @abstractmethod
    def label_of(self, cell: int) -> int:
        """Return the class that a cell of that column belongs to."""

    @property
    @abstractmethod
    def randoms(self) -> int:
        """How many random numbers a row's columns need."""

    @abstractmethod
    def drawn(
        self, points: Singles, labels: Integers, uniform: Floats, fixed: dict[int, int]
    ) -> tuple[Integers, Floats]:
        """Return the cells of rows, (n, columns), and each row's chance to have the fixed cells."""

    @abstractmethod
    def learned(self) -> str:
        """Return how the model was learned, in a sentence."""

    def advice(self) -> str:
        """Return what makes the model follow single people less, a sentence without its end."""
        return "Train fewer `epochs` or a smaller network, raise `minimum`"

    def sample(
        self,
        n: int,
        *,
        seed: int,
        given: Mapping[str, Any] | None = None,
        progress: Progress = silent,
    ) -> pl.DataFrame:
        """Return ``n`` (at least 1) rows of people who never lived.

        The same seed gives the same rows, and the first rows of a longer sample are those of a
        shorter one. Rows with given values follow the model's own distribution of such rows
        exactly: a given target costs nothing; a row is kept with the probability that the decoder
        gives the other given values.

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
        random = np.random.default_rng(seed)

        def refuse(share: float) -> DataError:
            return too_rare(values, share, "")

        if (
            self.label is not None
            and self.label in fixed
            and (self.label_share[self.label_of(fixed[self.label])] <= 0)
        ):
            raise refuse(0.0)

        def draw(_: int) -> pl.DataFrame:
            cells, within, kept = self._block(random, fixed)
            return self.codec.with_given(self.codec.decode(cells[kept], within[kept]), values)

        return collect_rows(
            draw,
            n,
            block=_BLOCK,
            least=_LEAST_GIVEN if fixed else 0.0,
            patience=_PATIENCE * _BLOCK,
            refuse=refuse,
            progress=progress,
            task="drawing rows with the given values" if fixed else "drawing rows",
        )

    def _block(
        self, random: np.random.Generator, fixed: dict[int, int]
    ) -> tuple[Integers, Floats, NDArray[np.bool_]]:
        """Return cells, places within them, and which rows are kept, of one block."""
        latent, columns = self.density.width, len(self.codec.grids)
        choice = random.random((_BLOCK, 3))
        normal = random.standard_normal((_BLOCK, latent), dtype=np.float32)
        uniform = random.random((_BLOCK, self.randoms))
        within = random.random((_BLOCK, columns))
        label = self.label
        labels = np.zeros(_BLOCK, dtype=np.int64)
        if label is not None and label in fixed:
            labels[:] = self.label_of(fixed[label])
        elif label is not None:
            labels = np.searchsorted(np.cumsum(self.label_share)[:-1], choice[:, 0], side="right")
        points = self.density.draw(labels, choice[:, 1], normal)
        cells, chance = self.drawn(points, labels, uniform, fixed)
        return cells, within, choice[:, 2] < chance

    def describe(self) -> tuple[str, ...]:
        """Return what was learned and what it cannot hold, a sentence each."""
        told = [self.learned()]
        if self.label is not None:
            told.append(
                f"{self.codec.names[self.label]} is drawn first, by its own shares, so that rare "
                f"classes stay as rare as they are; the rest is drawn given it."
            )
        if self.rows < _FEW:
            told.append(
                f"Warning: {self.rows:,} rows are few. A network can remember single people of so "
                f"small a table. {self.advice()}, and hand out no rows before the attacks find no "
                f"evidence of a leak."
            )
        told.append(
            f"No value of a category, and no stretch of a number, that fewer than {self.minimum} "
            f"people share is repeated; within a stretch numbers are drawn evenly; an extreme "
            f"value occurs only if as many people share it. Each column keeps its distribution."
        )
        told += not_learned(self.left_out, (grid.coding for grid in self.codec.grids))
        return (*told, *_NOT_KEPT)

    def released_schema(self) -> Schema:
        """Return the schema of the sampled table."""
        return self.schema

    def common(self) -> dict[str, Any]:
        """Return the fields of every such model as plain JSON values."""
        return {
            "codec": self.codec.to_dict(),
            "density": self.density.to_dict(),
            "epochs": self.epochs,
            "schema": self.schema.to_dict(),
            "left_out": list(self.left_out),
            "minimum": self.minimum,
            "rows": self.rows,
        }

    @staticmethod
    def common_of(values: dict[str, Any]) -> dict[str, Any]:
        """Return the fields that :meth:`common` described."""
        from sfumato.table import Schema

        codec = Codec.from_dict(values["codec"])
        return {
            "codec": codec,
            "density": LatentDensity.from_dict(values["density"]),
            "epochs": values["epochs"],
            "schema": Schema.from_dict(values["schema"]).select(codec.names),
            "left_out": tuple(values["left_out"]),
            "minimum": values["minimum"],
            "rows": values["rows"],
        }
