"""What a graphical model learned under a privacy budget, as a generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from sfumato.synthesis.private.latent_generator import LatentFactorGenerator, PrivateColumn
from sfumato.synthesis.private.marginals.graphical_model import GraphicalModel

__all__ = ["MarginalsGenerator"]

_NOT_KEPT = (
    "Not kept: ties among three or more columns that lie in no clique together, beyond what pairs "
    "of them explain."
)


@dataclass(frozen=True, eq=False)
class MarginalsGenerator(LatentFactorGenerator):
    """A fitted private graphical model. Made by :class:`DPMarginals`.

    All of it may be published: it was computed from noisy answers alone. Given values are exact:
    all other values are struck from the tree and the rest is propagated anew. Ties beyond the tree
    are kept by choosing among four times as many rows.

    Parameters
    ----------
    columns, ledger, rows, schema, left_out
        See :class:`LatentFactorGenerator`.
    model
        The graphical model.
    draws
        Empty: a graphical model has one release.
    """

    model: GraphicalModel

    def describe(self) -> tuple[str, ...]:
        """Return what was learned and promised, a sentence each."""
        said = super().describe()
        cliques = "; ".join(
            ", ".join(self.columns[place].name for place in axes) for axes in self.model.tree.axes
        )
        learned = (
            f"Learned from about {self.rows:,} rows (the number is noisy): each of "
            f"{len(self.columns)} columns, and marginals chosen one after the other; fitted by "
            f"{self.model.described}."
        )
        kept = [learned if one.startswith("Learned from") else one for one in said[:-2]]
        return (*kept, f"Together in a clique: {cliques}.", _NOT_KEPT, said[-1])

    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""
        return {
            "columns": [column.to_dict() for column in self.columns],
            "model": self.model.to_dict(),
            "ledger": self.ledger,
            "rows": self.rows,
            "schema": self.schema.to_dict(),
            "left_out": list(self.left_out),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the generator that :meth:`to_dict` described."""
        from sfumato.table import Schema

        columns = tuple(PrivateColumn.from_dict(one) for one in values["columns"])
        return cls(
            columns=columns,
            model=GraphicalModel.from_dict(values["model"]),
            draws=(),
            ledger=values["ledger"],
            rows=values["rows"],
            schema=Schema.from_dict(values["schema"]).select([one.name for one in columns]),
            left_out=tuple(values["left_out"]),
        )
