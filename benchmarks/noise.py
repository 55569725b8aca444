"""Integer noise side by side: ours, OpenDP's vectors and NumPy's floating-point noise.

Printed are CPU microseconds a cell (the least of ``--repeat`` runs) and how many times ours that
is, then the noise's variance beside the right one. OpenDP is measured if it is installed (``pip
install opendp``; no dependency of ours); NumPy's noise is no private one and stands for what is
given up at most. Compiled loops are compiled by a first run that counts nowhere::

    python benchmarks/noise.py --cells 1000000 --opendp-cells 50000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from sfumato.privacy.differential import (
    Budget,
    ExponentialMechanism,
    PermuteAndFlip,
    RandomizedResponse,
    RandomWords,
    discrete_gaussian,
    discrete_laplace,
)


def main() -> None:
    """Read the command line, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--opendp-cells", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    words = RandomWords()
    rng = np.random.default_rng()
    print(f"{'noise':34} {'by':22} {'us/cell':>9} {'x ours':>8} {'variance':>12} {'right':>12}")
    for sigma_squared in (Fraction(5900), Fraction(2), Fraction(10**12)):
        right = float(sigma_squared)
        rows = [
            ("sfumato", asked.cells, lambda n, s=sigma_squared: discrete_gaussian(s, words, n)),
            (
                "numpy (floats, not private)",
                asked.cells,
                lambda n, v=right: rng.normal(0, v**0.5, n),
            ),
            *opendp("gaussian", right**0.5, asked.opendp_cells),
        ]
        show(f"Gaussian, sigma squared {right:g}", rows, right, asked.repeat)
    for scale in (Fraction(50), Fraction(21, 10), Fraction(10**6)):
        r = float(np.exp(-1 / float(scale)))
        right = 2 * r / (1 - r) ** 2
        rows = [
            ("sfumato", asked.cells, lambda n, s=scale: discrete_laplace(s, words, n)),
            (
                "numpy (floats, not private)",
                asked.cells,
                lambda n, s=scale: rng.laplace(0, float(s), n),
            ),
            *opendp("laplace", float(scale), asked.opendp_cells),
        ]
        show(f"Laplace, scale {float(scale):g}", rows, right, asked.repeat)
    others(words, asked.cells, asked.repeat)


def others(words: RandomWords, cells: int, repeat: int) -> None:
    """Measure what OpenDP and NumPy have no vector of."""
    codes = np.zeros(cells, np.int64)
    scores = np.arange(cells)
    response = RandomizedResponse(epsilon=1, categories=10)
    for name, draw in (
        ("randomized response, 10 categories", lambda: response.release(codes, words)),
        ("exponential, a choice of all cells", lambda: exponential(scores, words)),
        ("permute-and-flip, likewise", lambda: PermuteAndFlip(epsilon=1).release(scores, words)),
        ("words of 64 bits", lambda: words.draw(cells)),
    ):
        print(f"{name:34} {'sfumato':22} {best(draw, repeat) / cells * 1e6:9.3f}")
    start = time.process_time()
    sigma = float(Budget(epsilon=1, delta="1e-9").gaussian_sigma()) ** 0.5
    print(f"sigma at epsilon 1, delta 1e-9: {sigma:.4f} in {time.process_time() - start:.3f} CPU s")


def exponential(scores: np.ndarray, words: RandomWords) -> int:
    return ExponentialMechanism(epsilon="1e-5").release(scores, words)


def opendp(kind: str, scale: float, cells: int) -> list[tuple[str, int, Callable[[int], Any]]]:
    """Return OpenDP's vector noise, or nothing if it is not installed."""
    try:
        name = f"opendp {version('opendp')}"
    except PackageNotFoundError:
        return []
    import opendp.prelude as dp

    dp.enable_features("contrib")
    make = dp.m.make_laplace if kind == "laplace" else dp.m.make_gaussian
    metric = dp.l1_distance if kind == "laplace" else dp.l2_distance
    noise = make(dp.vector_domain(dp.atom_domain(T=int)), metric(T=int), scale=scale)
    return [(name, cells, lambda n: np.array(noise([0] * n)))]


def show(
    title: str,
    rows: list[tuple[str, int, Callable[[int], Any]]],
    right: float,
    repeat: int,
) -> None:
    ours = 0.0
    for name, cells, draw in rows:
        taken = best(lambda c=cells, d=draw: d(c), repeat) / cells * 1e6
        ours = ours or taken
        spread = float(np.var(draw(cells).astype(float)))
        print(f"{title:34} {name:22} {taken:9.3f} {taken / ours:8.1f} {spread:12.5g} {right:12.5g}")


def best(run: Callable[[], Any], repeat: int) -> float:
    """Return the least CPU seconds of a run, after one that does not count."""
    run()
    times = []
    for _ in range(repeat):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    main()
