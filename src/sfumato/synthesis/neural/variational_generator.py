"""What a variational autoencoder learned, and how people who never lived are drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.synthesis.codec import Codec
from sfumato.synthesis.neural.cell_groups import CellGroups
from sfumato.synthesis.neural.latent_density import LatentDensity
from sfumato.synthesis.neural.latent_sampling import LatentGenerator
from sfumato.synthesis.neural.sequential_decoder import SequentialDecoder, drawn_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.table import Schema

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Integers = NDArray[np.int64]

__all__ = ["VariationalGenerator"]


@dataclass(frozen=True, eq=False)
class VariationalGenerator(LatentGenerator):
    """A fitted variational autoencoder. Made by :meth:`VariationalAutoencoder.fit`.

    Parameters
    ----------
    codec
        How the columns are cut into cells, in the order of the fitted table.
    groups
        How each column's cells are grouped.
    density
        Where latent points lie.
    decoder
        From a latent point to the groups of a row.
    labelled
        Whether the first column of the decoder's order is the target, which is drawn first.
    epochs
        Epochs after which the network was best.
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
    groups: tuple[CellGroups, ...]
    density: LatentDensity
    decoder: SequentialDecoder
    labelled: bool
    epochs: int
    schema: Schema
    left_out: tuple[str, ...]
    minimum: int
    rows: int

    @property
    def label(self) -> int | None:
        """Number of the column that is drawn first and by itself."""
        return self.decoder.order[0] if self.labelled else None

    @property
    def label_share(self) -> Floats:
        """Share of each group of that column; one number if there is none."""
        return np.ones(1) if self.label is None else self.groups[self.label].group_share

    @property
    def randoms(self) -> int:
        """How many random numbers a row's columns need."""
        return 2 * len(self.codec.grids)

    def label_of(self, cell: int) -> int:
        """Return the class that a cell of that column belongs to."""
        return 0 if self.label is None else int(self.groups[self.label].group_of[cell])

    def drawn(
        self, points: Singles, labels: Integers, uniform: Floats, fixed: dict[int, int]
    ) -> tuple[Integers, Floats]:
        """Return the cells of rows, (n, columns), and each row's chance to have the fixed cells."""
        columns = len(self.codec.grids)
        cells = np.zeros((len(points), columns), dtype=np.int64)
        chance = np.ones(len(points))
        state = self.decoder.state(points)
        for place, column in enumerate(self.decoder.order):
            grouping = self.groups[column]
            if self.labelled and place == 0:
                groups = labels
            else:
                logits = self.decoder.logits(state, place)
                groups, chances = drawn_groups(logits, uniform[:, column])
                if column in fixed:
                    groups = np.full(len(points), grouping.group_of[fixed[column]])
                    chance *= chances[:, groups[0]]
            if column in fixed:
                cells[:, column] = fixed[column]
            else:
                cells[:, column] = grouping.cells(groups, uniform[:, columns + column])
            self.decoder.add(state, place, groups)
        return cells, chance

    def learned(self) -> str:
        """Return how the model was learned, in a sentence."""
        sequential = self.decoder.heard == len(self.decoder.order)
        names = ", ".join(self.codec.names[column] for column in self.decoder.order)
        drawn = "column after column, each given those before it" if sequential else "all at once"
        return (
            f"Learned from {self.rows:,} rows by a variational autoencoder with "
            f"{self.density.width} latent dimensions, best after {self.epochs} epochs: a row is a "
            f"point in latent space, from which its columns are drawn, {drawn}. Order: {names}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""
        return {
            **self.common(),
            "groups": [one.to_dict() for one in self.groups],
            "decoder": self.decoder.to_dict(),
            "labelled": self.labelled,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the generator that :meth:`to_dict` described."""
        return cls(
            **cls.common_of(values),
            groups=tuple(CellGroups.from_dict(one) for one in values["groups"]),
            decoder=SequentialDecoder.from_dict(values["decoder"]),
            labelled=values["labelled"],
        )
