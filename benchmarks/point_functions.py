"""How long point functions take: expansion, verified mailboxes, verified histograms, keys.

CPU time of one thread, the best of several runs, as the machines we have are shared. Run it with
one thread::

    OMP_NUM_THREADS=1 python benchmarks/point_functions.py
    OMP_NUM_THREADS=1 python benchmarks/point_functions.py --path compiled --repeat 20

What is printed:

- ``block``: one key of 16 bytes a position on the whole domain, nanoseconds a position, written
  over an earlier result (fresh memory costs as much again from 2**21 positions on);
- ``bit``: the same with one bit a position;
- ``record``: verified writes of 256 bytes to 2**16 mailboxes, and how many in a second;
- ``count``: verified one-hot counts of 2**15 marked cells, and how many donors in a second;
- ``keys``: how long a donor takes to make a pair of keys, and their bytes.
"""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sfumato.donation.functions import (
    PartyKey,
    PointFunction,
    VerificationKey,
    accumulate,
    empty_table,
    evaluate,
    generate,
    system_randomness,
    write,
)
from sfumato.donation.functions.processor import widths

VERIFICATION_KEY = VerificationKey(bytes(range(32)))


def main() -> None:
    """Measure each path, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", choices=("numpy", "compiled"), nargs="+")
    parser.add_argument("--repeat", type=int, default=9, help="runs of which the best is taken")
    parser.add_argument(
        "--bits", type=int, nargs="+", default=[16, 20, 22], help="domains of blocks"
    )
    arguments = parser.parse_args()
    paths = arguments.path or (["numpy", "compiled"] if widths() else ["numpy"])
    print(f"blocks in a vector: up to {max(widths(), default=0)}")
    for path in paths:
        runs = arguments.repeat if path == "compiled" else max(3, arguments.repeat // 3)
        for bits in arguments.bits:
            function = PointFunction(bits, "block")
            key = keys(function, bytes(16), 1)[0]
            out = evaluate(key, path=path)
            spent = best(
                lambda key=key, path=path, out=out: evaluate(key, out=out, path=path), runs
            )
            print(f"{path:9} block  2^{bits}  {spent * 1e9 / function.size:8.2f} ns a position")
        function = PointFunction(22, "bit")
        key = keys(function, 1, 1)[0]
        out = evaluate(key, path=path)
        spent = best(
            lambda key=key, path=path, out=out: evaluate(key, out=out, path=path), 3 * runs
        )
        print(f"{path:9} bit    2^22  {spent * 1e9 / function.size:8.4f} ns a position")
        verified(
            path, "write", PointFunction(16, "record", 256), secrets.token_bytes(256), write, runs
        )
        function = PointFunction(15, "count")
        marks = np.frombuffer(secrets.token_bytes(4 * function.size), np.uint32)
        verified(path, "count", function, 1, partial(accumulate, marks=marks), runs)
    for function, payload in (
        (PointFunction(16, "record", 256), bytes(256)),
        (PointFunction(15, "count"), 1),
    ):
        spent = best(lambda f=function, p=payload: keys(f, p, 1), 30)
        size = function.public_bytes
        print(f"keys      {function.payload:6} {spent * 1e3:.2f} ms a pair, {size} + 2 x 16 bytes")


def verified(
    path: str, what: str, function: PointFunction, payload: Any, add: Callable[..., Any], runs: int
) -> None:
    """Measure a batch of keys added to one table with the check."""
    batch = keys(function, payload, 64 if path == "compiled" else 4)
    table = empty_table(function)
    spent = best(lambda: add(batch, table, VERIFICATION_KEY, path=path), runs) / len(batch)
    print(
        f"{path:9} {what:6} 2^{function.domain_bits}  {spent * 1e9 / function.size:8.2f} ns a row, "
        f"{spent * 1e6:.0f} us each, {1 / spent:,.0f} a second"
    )


def keys(function: PointFunction, payload: Any, count: int) -> list[PartyKey]:
    """Return party 0's keys of random positions."""
    return [
        generate(
            function,
            secrets.randbelow(function.size),
            payload,
            nonce=secrets.token_bytes(16),
            randomness=system_randomness(),
        )[0]
        for _ in range(count)
    ]


def best(work: Callable[[], Any], runs: int) -> float:
    """Return the least CPU seconds of some runs, after one that is not counted."""
    work()
    spent = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return min(spent)


if __name__ == "__main__":
    main()
