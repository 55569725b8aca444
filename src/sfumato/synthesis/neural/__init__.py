"""Neural synthesizers: a network learns a latent space, points of which become rows.

Learning needs PyTorch (the extra ``neural``); a saved model is read and drawn from without it.
"""

from sfumato.synthesis.neural.autoencoder import Autoencoder
from sfumato.synthesis.neural.autoencoder_generator import AutoencoderGenerator
from sfumato.synthesis.neural.variational import VariationalAutoencoder
from sfumato.synthesis.neural.variational_generator import VariationalGenerator

__all__ = [
    "Autoencoder",
    "AutoencoderGenerator",
    "VariationalAutoencoder",
    "VariationalGenerator",
]
