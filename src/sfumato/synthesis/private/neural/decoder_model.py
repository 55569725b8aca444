"""Fitted decoders as a model of rows: hidden classes whose tables a network says.

The latent noise is met at a fixed set of points, drawn once from its normal distribution. At each
the columns are independent, so that the points are hidden classes, all equally likely, and given
values reweight them exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sfumato.synthesis.private.mixture import Mixture
from sfumato.synthesis.private.neural.decoder import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Singles = NDArray[np.float32]

__all__ = ["DecoderModel", "Member", "latent_points"]

_FORMAT = ".5g"  # of a number in a file: far below what noise leaves
_DECIMALS = 3  # of a latent point


@dataclass(frozen=True, eq=False)
class Member:
    """One fitted decoder.

    Parameters
    ----------
    flat
        The network's numbers.
    points
        The latent points at which it is met, shape (points, latent).
    """

    flat: Singles
    points: Singles


def latent_points(points: int, latent: int, random: np.random.Generator) -> Singles:
    """Return latent noise, shape (points, latent), as it is written to a file."""
    drawn = random.standard_normal((points, latent))
    return np.round(drawn, _DECIMALS).astype(np.float32)


@dataclass(frozen=True, eq=False)
class DecoderModel:
    """Decoders, each taken for as many rows as any other.

    Parameters
    ----------
    network
        Their common shape.
    members
        The decoders.
    """

    network: Network
    members: tuple[Member, ...]

    @property
    def described(self) -> str:
        """What explains the columns, in words."""
        many = "a decoder" if len(self.members) == 1 else f"{len(self.members)} decoders"
        return f"{many} of {self.network.parameters:,} numbers"

    @cached_property
    def mixture(self) -> Mixture:
        """The same model as hidden classes."""
        tables = [self.network.tables(one.flat, one.points) for one in self.members]
        shares = [np.full(len(one), 1 / (len(self.members) * len(one))) for one in tables]
        return Mixture.rounded(np.concatenate(shares), np.concatenate(tables), self.network.sizes)

    def given(self, cells: Mapping[int, int]) -> tuple[Mixture, float]:
        """Return the model of the rows with given cells, and the share of such rows."""
        return self.mixture.given(cells)

    def sample(self, n: int, random: np.random.Generator, *, even: bool = True) -> Integers:
        """Return ``n`` rows of cells, shape (n, columns); see :meth:`Mixture.sample`."""
        return self.mixture.sample(n, random, even=even)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain JSON values."""
        return {
            "latent": self.network.latent,
            "hidden": list(self.network.hidden),
            "sizes": list(self.network.sizes),
            "members": [
                {
                    "network": [float(format(one, _FORMAT)) for one in member.flat.tolist()],
                    "points": np.round(member.points.astype(np.float64), _DECIMALS).tolist(),
                }
                for member in self.members
            ],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the model that :meth:`to_dict` described."""
        return cls(
            Network(values["latent"], tuple(values["hidden"]), tuple(values["sizes"])),
            tuple(
                Member(
                    np.array(one["network"], dtype=np.float32),
                    np.array(one["points"], dtype=np.float32),
                )
                for one in values["members"]
            ),
        )

    @classmethod
    def rounded(cls, network: Network, members: tuple[Member, ...]) -> Self:
        """Return a model whose file holds exactly what the model does."""
        return cls.from_dict(cls(network, members).to_dict())
