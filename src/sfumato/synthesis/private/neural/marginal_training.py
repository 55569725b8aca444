"""Fit a decoder to noisy marginals by weighted least squares: nothing here sees the data.

At a batch of latent points the decoder says each column's distribution; what it says of all pairs
of columns at once is one product of matrices, the mean over the points of the outer products. The
squared distance from the noisy shares is weighted by one over the variance of their noise.

References
----------
T. Liu, G. Vietri, Z. S. Wu, NeurIPS 2021, section 5 (GEM). R. McKenna, G. Miklau, D. Sheldon,
"Winning the NIST contest", J. Privacy and Confidentiality 11 (2021), section 3, for the loss.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sfumato.progress import Progress, silent
from sfumato.synthesis.private.neural.decoder import Adam, column_shares, column_slope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfumato.synthesis.private.mixture_fitting import NoisyMarginals
    from sfumato.synthesis.private.neural.decoder import Network

    Singles = NDArray[np.float32]

__all__ = ["fit_decoder", "marginal_slope"]

_LAST_STEP = 0.02  # of the first one
_LEAST_SHARE = 1e-5


def fit_decoder(
    noisy: NoisyMarginals,
    network: Network,
    points: Singles,
    *,
    steps: int,
    rate: float,
    random: np.random.Generator,
    progress: Progress = silent,
) -> Singles:
    """Return a network whose marginals are near the noisy ones.

    Parameters
    ----------
    noisy
        What was measured.
    network
        Shape of the decoder.
    points
        The latent points at which it is met, shape (points, latent).
    steps
        Number of steps, fixed beforehand. Fewer smooth more: the noise is learned last.
    rate
        First step of Adam; it falls to a fiftieth along half a cosine.
    random
        The beginning is drawn from it.
    progress
        Told how far the work is.
    """
    noisy = _scaled(noisy)
    flat = network.initial(random)
    # the columns by themselves to begin with
    network.matrices(flat)[-1][-1] = np.log(np.maximum(noisy.singles, _LEAST_SHARE))
    adam = Adam(flat)
    for step in range(steps):
        if step % 20 == 0:
            progress("fitting the decoder", step, steps)
        inner = network.activations(flat, points)
        tables = column_shares(inner[-1], network.starts, network.sizes)
        slope = column_slope(tables, marginal_slope(tables, noisy), network.starts, network.sizes)
        falling = 0.5 * (1 + np.cos(np.pi * step / steps))
        adam.step(
            network.slope(flat, inner, slope), rate * (_LAST_STEP + (1 - _LAST_STEP) * falling)
        )
    progress("fitting the decoder", steps, steps)
    return flat


def marginal_slope(tables: Singles, noisy: NoisyMarginals) -> Singles:
    """Return the slope of the weighted squared distance along equally likely tables.

    Parameters
    ----------
    tables
        Each column's distribution at each point, shape (points, cells).
    noisy
        What was measured.
    """
    part = np.float32(1 / len(tables))
    apart = (tables.sum(axis=0) * part - noisy.singles) * noisy.single_weights
    slope = np.repeat((2 * part * apart)[None].astype(np.float32), len(tables), axis=0)
    slope += _pulled(tables, tables, noisy.pairs, noisy.pair_weights) * (4 * part)
    if noisy.within is None or noisy.within_weights is None or noisy.target is None:
        return slope
    first = sum(noisy.sizes[: noisy.target])
    for cell, target in enumerate(noisy.within):
        belongs = tables[:, first + cell]
        pulled = _pulled(tables, tables * belongs[:, None], target, noisy.within_weights)
        slope += pulled * (4 * part * belongs)[:, None]
        slope[:, first + cell] += np.einsum("ks,ks->k", tables, pulled) * (2 * part)
    return slope


def _pulled(tables: Singles, weighted: Singles, target: Singles, weights: Singles) -> Singles:
    """Return for each point how far its tables pull at the distances of all pairs."""
    apart = weighted.T @ tables
    apart *= np.float32(1 / len(tables))
    apart -= target
    apart *= weights
    return np.asarray(tables @ apart, dtype=np.float32)


def _scaled(noisy: NoisyMarginals) -> NoisyMarginals:
    """Return the marginals with weights of at most about 1: single precision ends at 1e38."""
    largest = float(noisy.pair_weights.max())
    if noisy.within_weights is not None:
        largest = max(largest, float(noisy.within_weights.max()))
    part = np.float32(1 / max(largest, 1e-30))
    within = None if noisy.within_weights is None else noisy.within_weights * part
    return replace(
        noisy,
        single_weights=noisy.single_weights * part,
        pair_weights=noisy.pair_weights * part,
        within_weights=within,
    )
