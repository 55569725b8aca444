"""Private synthesis by a neural decoder, from noisy marginals or with noisy slopes."""

from sfumato.synthesis.private.neural.decoder_generator import DecoderGenerator
from sfumato.synthesis.private.neural.decoder_model import DecoderModel
from sfumato.synthesis.private.neural.technique import DPVariationalAutoencoder

__all__ = ["DPVariationalAutoencoder", "DecoderGenerator", "DecoderModel"]
