"""Synthesis under a privacy budget, over epsilon: likeness, what is learned, CPU.

The tables, the split and the figures are those of ``synthesize.py``; delta is 1 / n squared, the
neighbours differ by one row, and everything is paid for: the number of rows, the cells, the atoms.
Declared is what a codebook says: bounds and resolution of each number, the values of each category.
The noise is drawn from a seed, so that a line can be had again; a release is made without one::

    python benchmarks/private_synthesis.py --data FOLDER --tables adult --epsilons 0.1 0.5 1 3 10

A technique is a line for each epsilon; ``--set`` holds for those that have the setting.
Printed are medians over ``--seeds`` fits, each with a draw of its own; the memory is that of a
process that fits once; below stand the goals, and each figure in units of its goal.

``--peers`` puts others beside: each in an environment of its own, in ``--environments`` or made
by ``--install``, cut off after ``--cap`` seconds of CPU, one seed each. Then all, ours too,
learn the cells of one public grid. A ratio is a figure of a peer over that of our best line::

    python benchmarks/private_synthesis.py --data FOLDER --tables adult --epsilons 1 \\
        --peers "mbi MST" "mbi AIM" "dpmm MST" --environments PEERS --install

``--results`` keeps each run as it ends, and what stands there is not measured again: ours and the
peers can be run apart (``--techniques`` without a name runs peers only). ``--picture`` draws all
that stands there over epsilon; with no ``--epsilons`` nothing else is done.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import multiprocessing
import resource
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl
from peers.bench import Bench
from peers.synthesis_bench import PEERS, PublicGrid, drawn_by
from peers.synthesis_results import Results
from synthesize import COLUMNS, TABLES, Judge, Table, line

from sfumato.privacy.differential import Budget
from sfumato.synthesis.private import DPLatentFactor
from sfumato.synthesis.private.marginals import DPMarginals
from sfumato.synthesis.private.neural import DPVariationalAutoencoder

TECHNIQUES: dict[str, type[DPLatentFactor | DPMarginals | DPVariationalAutoencoder]] = {
    "dp-latent-factor": DPLatentFactor,
    "dp-marginals": DPMarginals,
    "dp-vae": DPVariationalAutoencoder,
}
NUMBERS: dict[str, dict[str, tuple[float, float, float]]] = {
    "Adult": {
        "age": (16, 100, 1),
        "fnlwgt": (0, 1_499_999, 1),
        "capital-gain": (0, 99_999, 1),
        "capital-loss": (0, 4399, 1),
        "hours-per-week": (1, 99, 1),
    },
    "Diabetes": {
        "age": (0, 80, 0.04),
        "bmi": (10, 100, 0.01),
        "HbA1c_level": (3, 9, 0.1),
        "blood_glucose_level": (70, 320, 1),
    },
    "Heart": {
        "PhysicalHealthDays": (0, 30, 1),
        "MentalHealthDays": (0, 30, 1),
        "SleepHours": (0, 24, 1),
        "HeightInMeters": (0.9, 2.5, 0.01),
        "WeightInKilograms": (20, 300, 0.01),
        "BMI": (10, 100, 0.01),
    },
}


def domain(table: Table) -> dict[str, Any]:
    """Return what a codebook says of each column; of categories, the values of the public table."""
    said: dict[str, Any] = {}
    whole = pl.concat([table.train, table.held_out])
    for name in whole.columns:
        if name in NUMBERS[table.name]:
            said[name] = NUMBERS[table.name][name]
        else:
            said[name] = {"values": whole[name].drop_nulls().unique().sort().to_list()}
    return said


# what is asked of the best line, at least or at most
GOALS: dict[tuple[str, str], dict[str, dict[str, float]]] = {
    ("Adult", "1"): {
        "asked": {
            "AUROC": 0.895,
            "TVD2": 0.030,
            "TVD3": 0.079,
            "corr": 0.025,
            "cpu": 30,
            "MB": 600,
        },
        "M1": {
            "AUROC": 0.900,
            "TVD2": 0.026,
            "TVD3": 0.070,
            "L1 3": 0.19,
            "corr": 0.020,
            "F1": 0.65,
        },
    },
    ("Adult", "0.1"): {"M3": {"AUROC": 0.85, "TVD2": 0.045}},
    # within 2 % of the best peer at epsilon 1
    ("Adult", "0.5"): {
        "M3": {"AUROC": 0.869, "TVD2": 0.0357, "TVD3": 0.0806, "L1 3": 0.219, "corr": 0.051}
    },
    ("Diabetes", "1"): {
        "asked": {"AUROC": 0.976, "L1 2": 0.047, "L1 3": 0.127, "corr": 0.018, "TVD1": 0.010},
        "M2": {"AUROC": 0.977, "L1 2": 0.038, "L1 3": 0.105, "corr": 0.015, "TVD1": 0.006},
    },
}


def how_far(table: str, epsilon: str, figures: dict[str, float]) -> list[str]:
    """Return a line for each goal: a figure and what was asked of it."""
    found = []
    for name, goal in GOALS.get((table, epsilon), {}).items():
        parts = []
        for column, wanted in goal.items():
            more_is_better = column in ("AUROC", "F1")
            value = figures.get(column, float("nan"))
            if value != value:  # not measured
                continue
            kept = value >= wanted if more_is_better else value <= wanted
            parts.append(f"{column} {value:.4g} {'keeps' if kept else 'MISSES'} {wanted:g}")
        found.append(f"    {name}: " + ", ".join(parts))
    return found


def peak_memory(kind: str, settings: dict[str, Any], data: Path, table: str, epsilon: str) -> float:
    """Return the peak memory in MB of a fresh process that fits and draws once."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (kind, settings, data, table, epsilon))


def _peak(kind: str, settings: dict[str, Any], data: Path, table: str, epsilon: str) -> float:
    read = TABLES[table](data)
    n = read.train.height
    technique = TECHNIQUES[kind](
        budget=Budget(epsilon=epsilon, delta=Fraction(1, n**2)),
        domain=domain(read),
        insecure_seed=0,
        **settings,
    )
    technique.fit(read.train, read.schema).sample(n, seed=0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def beside_peers(
    arguments: argparse.Namespace, table: Table, judge: Judge, results: Results
) -> None:
    """Print ours and the peers on one public grid, and the ratios."""
    grid = PublicGrid(table)
    cells, n = grid.coded(), table.train.height
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(
            arguments.data, Path(folder), arguments.environments, 8 * arguments.cap, 1, threads=1
        )
        for name in arguments.peers if arguments.install else ():
            bench.install(PEERS[name])

        def ours(kind: str, epsilon: str, seed: int) -> dict[str, Any]:
            since = time.process_time()
            model = TECHNIQUES[kind](
                budget=Budget(epsilon=epsilon, delta=Fraction(1, n**2)),
                domain=grid.domain(),
                insecure_seed=seed,
            ).fit(cells, table.schema)
            drawn = model.sample(n, seed=seed)
            spent = time.process_time() - since
            return {**judge.figures(grid.decoded(drawn, seed)), "cpu": spent}

        def theirs(name: str, epsilon: str) -> dict[str, Any]:
            run, drawn = drawn_by(bench, PEERS[name], grid, float(epsilon), 1 / n**2, arguments.cap)
            if drawn is None:
                return {"failure": run.failure}
            return {**judge.figures(drawn), "cpu": run.times["job"], "MB": run.peak * 1000}

        for epsilon in arguments.epsilons:
            print(f"epsilon {epsilon}, all on the public grid")
            run = {"table": table.name, "grid": "public", "epsilon": epsilon}
            lines: list[dict[str, float]] = []
            for kind in arguments.techniques:
                runs = [
                    results.measured(
                        {**run, "who": kind, "seed": seed},
                        functools.partial(ours, kind, epsilon, seed),
                    )
                    for seed in range(arguments.seeds)
                ]
                lines.append(middle(runs))
                print(line(kind, lines[-1]), flush=True)
            for name in arguments.peers:
                told = results.measured(
                    {**run, "who": name, "seed": 0}, functools.partial(theirs, name, epsilon)
                )
                if "failure" in told:
                    print(f"{name:16} {told['failure']}", flush=True)
                    continue
                print(line(name, told), flush=True)
                if lines:
                    best = max(lines, key=lambda one: one["AUROC"])
                    ratios = {key: told[key] / best[key] for key in best if best[key]}
                    print(line("  over ours", ratios), flush=True)


def middle(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {key: median(run[key] for run in runs) for key in runs[0]}


def by_itself(
    arguments: argparse.Namespace, table: Table, judge: Judge, results: Results, name: str
) -> None:
    """Print a line for each technique at each epsilon, and how far it is from the goals."""
    n = table.train.height
    settings = {
        key: json.loads(value) for key, _, value in (one.partition("=") for one in arguments.set)
    }

    def fitted(kind: str, epsilon: str, seed: int, chosen: dict[str, Any]) -> dict[str, Any]:
        technique = TECHNIQUES[kind](
            budget=Budget(epsilon=epsilon, delta=Fraction(1, n**2)),
            domain=domain(table),
            insecure_seed=seed,
            **chosen,
        )
        since = time.process_time()
        drawn = technique.fit(table.train, table.schema).sample(n, seed=seed)
        spent = time.process_time() - since
        return {**judge.figures(drawn), "cpu": spent}

    for epsilon, kind in itertools.product(arguments.epsilons, arguments.techniques):
        if kind == arguments.techniques[0]:
            print(f"epsilon {epsilon}")
        fields = TECHNIQUES[kind].model_fields
        chosen = {key: value for key, value in settings.items() if key in fields}
        who = " ".join([kind, *(f"{key}={value}" for key, value in sorted(chosen.items()))])
        run = {"table": table.name, "grid": "own", "who": who, "epsilon": epsilon}
        told = middle(
            [
                results.measured(
                    {**run, "seed": seed}, functools.partial(fitted, kind, epsilon, seed, chosen)
                )
                for seed in range(arguments.seeds)
            ]
        )
        if not arguments.no_memory:
            told["MB"] = peak_memory(kind, chosen, arguments.data, name, epsilon)
        print(line(kind, told))
        print(*how_far(table.name, epsilon, told), sep="\n", flush=True)


def main() -> None:
    """Read the command line, fit, draw and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=["adult", "diabetes"])
    parser.add_argument("--techniques", nargs="*", choices=TECHNIQUES, default=list(TECHNIQUES))
    parser.add_argument("--epsilons", nargs="*", default=["0.1", "0.5", "1", "3", "10"])
    parser.add_argument("--seeds", type=int, default=5, help="fits of which the median is told")
    parser.add_argument("--set", nargs="*", default=[], help="NAME=VALUE, a setting")
    parser.add_argument("--no-memory", action="store_true", help="skip the memory measurement")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=[])
    parser.add_argument("--public-grid", action="store_true", help="as beside peers")
    parser.add_argument("--environments", type=Path, help="folder of the peers' environments")
    parser.add_argument("--install", action="store_true", help="make the environments")
    parser.add_argument("--cap", type=float, default=240, help="CPU seconds that a peer may take")
    parser.add_argument("--results", type=Path, help="JSON lines, one a run, added to")
    parser.add_argument("--picture", type=Path, help="curves over epsilon, .svg or .png")
    arguments = parser.parse_args()
    if arguments.picture and not arguments.results:
        parser.error("--picture draws what stands in --results")
    results = Results(arguments.results)
    for name in arguments.tables if arguments.epsilons else ():
        table = TABLES[name](arguments.data)
        judge = Judge(table)
        print(f"\n{table.name}: {table.train.height:,} training rows, {table.train.width} columns")
        print(f"{'':16}" + " ".join(f"{column:>8}" for column in COLUMNS))
        if arguments.peers or arguments.public_grid:
            beside_peers(arguments, table, judge, results)
        else:
            by_itself(arguments, table, judge, results, name)
    if arguments.picture:
        results.picture(arguments.picture)


if __name__ == "__main__":
    main()
