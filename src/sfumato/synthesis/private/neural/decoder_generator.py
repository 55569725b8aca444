"""What a decoder learned under a privacy budget, as a generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from sfumato.synthesis.private.latent_generator import LatentFactorGenerator, PrivateColumn
from sfumato.synthesis.private.neural.decoder_model import DecoderModel

__all__ = ["DecoderGenerator"]

_SEEN = {
    "marginals": "each of {columns} columns and all their pairs, fitted by {model}.",
    "gradients": "each of {columns} columns, and noisy slopes on samples of rows, by {model}.",
}
_NOT_KEPT = "Not kept: what the noise on the slopes hides, ties of two columns among it."


@dataclass(frozen=True, eq=False)
class DecoderGenerator(LatentFactorGenerator):
    """A fitted private decoder. Made by :class:`DPVariationalAutoencoder`.

    All of it may be published: it was computed from noisy answers alone. Given values are exact:
    the latent points are reweighted.

    Parameters
    ----------
    columns, ledger, rows, schema, left_out
        See :class:`LatentFactorGenerator`.
    model
        The decoders.
    draws
        Empty: a decoder has one release.
    fitting
        "marginals" or "gradients".
    """

    model: DecoderModel  # type: ignore[assignment]
    fitting: str

    def describe(self) -> tuple[str, ...]:
        """Return what was learned and promised, a sentence each."""
        said = super().describe()
        seen = _SEEN[self.fitting].format(columns=len(self.columns), model=self.model.described)
        learned = f"Learned from about {self.rows:,} rows (the number is noisy): {seen}"
        kept = [learned if one.startswith("Learned from") else one for one in said]
        if self.fitting == "gradients":
            kept[-2] = _NOT_KEPT
        return tuple(kept)

    def to_dict(self) -> dict[str, Any]:
        """Return all that :meth:`from_dict` needs, as plain JSON values."""
        return {
            "columns": [column.to_dict() for column in self.columns],
            "model": self.model.to_dict(),
            "fitting": self.fitting,
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
            model=DecoderModel.from_dict(values["model"]),
            draws=(),
            ledger=values["ledger"],
            rows=values["rows"],
            schema=Schema.from_dict(values["schema"]).select([one.name for one in columns]),
            left_out=tuple(values["left_out"]),
            fitting=values["fitting"],
        )
