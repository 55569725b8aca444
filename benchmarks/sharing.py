"""The three-server engine of the donation protocol: CPU seconds, bytes and rounds of each server.

Three servers run as threads of one process and exchange buffers without a copy, so what is measured
is their own work: shares, masks, permutations, framing with its running SHA-256, and checks; not
TLS, whose price is that of the bytes printed. CPU seconds are of one server's thread
(``time.thread_time``), the mean of the three; medians of ``--repeat`` runs, the best in brackets,
compiled loops loaded before. Of the first run much may be the system's work to hand out memory.

Run: ``OMP_NUM_THREADS=1 python benchmarks/sharing.py [--only shuffle]``
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

from sfumato.donation.sharing import (
    ArithmeticShares,
    BooleanShares,
    FieldShares,
    Party,
    Shares,
    Traffic,
    argmin,
    at_least,
    conjunction,
    lift,
    multiply,
    open_to_all,
    prove,
    run_three,
    shuffle,
    split,
    to_bits,
    unslice_shares,
    verify_gates,
    verify_products,
)

Work = Callable[[Party], object]


def measure(name: str, unit: str, amount: float, work: Work, repeat: int, **options: bool) -> float:
    """Run the work as three servers; print and return the CPU seconds of one."""

    def timed(party: Party) -> tuple[float, Traffic]:
        before, start = party.channels.traffic, time.thread_time()
        work(party)
        return time.thread_time() - start, party.channels.traffic - before

    seconds, traffic = [], Traffic()
    for _ in range(repeat):
        results = run_three(timed, **options)
        seconds.append(statistics.mean(cpu for cpu, _ in results))
        traffic = results[0][1]
    cpu = statistics.median(seconds)
    print(
        f"{name:<42} {cpu * 1000:8.2f} ({min(seconds) * 1000:.2f}) ms  {amount / cpu:.3g} {unit}/s "
        f" sent {traffic.sent / 1e6:8.2f} MB  {traffic.rounds:4d} rounds",
        flush=True,
    )
    return cpu


def shuffles(rows: int, length: int, repeat: int) -> float:
    """Shuffle records with the check."""
    records = np.frombuffer(os.urandom(rows * length), np.uint64).reshape(rows, length // 8)
    shares = split(BooleanShares, records, os.urandom)
    return measure(
        f"shuffle {rows:,} x {length} B, checked",
        "records",
        rows,
        lambda party: shuffle(party, shares[party.index], os.urandom),
        repeat,
    )


def gates(words: int, repeat: int) -> None:
    """AND gates, as they are and with the audit."""
    shares = split(BooleanShares, np.zeros(words, np.uint64), os.urandom)

    def bare(party: Party) -> Shares:
        return conjunction(party, shares[party.index], shares[party.index])

    def audited(party: Party) -> int:
        bare(party)
        return verify_gates(party, os.urandom)

    measure(f"AND, {64 * words:,} gates", "gates", 64 * words, bare, repeat)
    few = words // 16
    shares = tuple(one[:few] for one in shares)
    name = f"AND and its audit, {64 * few:,} gates"
    measure(name, "gates", 64 * few, audited, repeat, audited=True)


def numbers(count: int, repeat: int) -> None:
    """Conversion and comparison of counts."""
    counts = np.random.default_rng(1).integers(0, 1 << 18, count, dtype=np.uint32)
    shares = split(ArithmeticShares, counts, os.urandom)
    for name, work in {
        "count >= k": lambda party: at_least(party, shares[party.index], 250, 18),
        "A2B of 18 bits": lambda party: to_bits(party, shares[party.index], 18),
        "A2B, count >= k": lambda party: (
            to_bits(party, shares[party.index], 18),
            at_least(party, shares[party.index], 250, 18),
        ),
        "A2B, argmin, opened": lambda party: open_to_all(
            party, unslice_shares(argmin(party, to_bits(party, shares[party.index], 18)))
        ),
    }.items():
        measure(f"{name}, {count:,} counts", "counts", count, work, repeat)


def products(count: int, repeat: int) -> None:
    """Products with and without their proof, and numbers from 32 bits to 64 and to the field."""
    for kind in (ArithmeticShares, FieldShares):
        values = np.random.default_rng(0).integers(0, 1 << 20, count, np.uint64)
        shared = split(kind, values, os.urandom)

        def multiplied(party: Party, shared: tuple[Shares, ...] = shared) -> None:
            multiply(party, shared[party.index], shared[party.index])

        def proved(party: Party, multiplied: Work = multiplied) -> None:
            multiplied(party)
            verify_products(party, os.urandom)

        title = f"{count:,} products, {kind.__name__}"
        measure(title, "products", count, multiplied, repeat)
        measure(f"{title}, proved", "products", count, proved, repeat, audited=True)
    small = split(ArithmeticShares, np.arange(count, dtype=np.uint32), os.urandom)

    def lifted(party: Party) -> None:
        lift(party, small[party.index])
        prove(party, os.urandom)

    measure(f"{count:,} numbers lifted, proved", "numbers", count, lifted, repeat, audited=True)


def main() -> None:
    """Read the command line, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sections = ("gates", "numbers", "products", "shuffle")
    parser.add_argument("--only", nargs="+", choices=sections, default=list(sections))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--length", type=int, default=256, help="bytes of a record")
    arguments = parser.parse_args()
    small = split(BooleanShares, np.zeros((4, 1), np.uint64), os.urandom)

    def compiled(party: Party) -> None:
        shuffle(party, conjunction(party, small[party.index], small[party.index]), os.urandom)
        verify_gates(party, os.urandom)

    run_three(compiled, audited=True)
    if "gates" in arguments.only:
        gates(1 << 20, arguments.repeat)
    if "numbers" in arguments.only:
        numbers(32_768, max(arguments.repeat, 9))
    if "products" in arguments.only:
        products(1 << 18, arguments.repeat)
    if "shuffle" in arguments.only:
        for rows in arguments.rows:
            cpu = shuffles(rows, arguments.length, arguments.repeat)
            if (rows, arguments.length) == (1_000_000, 256):
                verdict = "met" if cpu <= 2.0 else "missed"
                print(f"{'':<42} [at most 2 CPU seconds a server: {verdict}]")


if __name__ == "__main__":
    main()
