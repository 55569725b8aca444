"""Synthesis under a privacy budget, over epsilon: likeness, what is learned, CPU.

The tables, the split and the figures are those of ``synthesize.py``; delta is 1 / n squared, the
neighbours differ by one row, and everything is paid for: the number of rows, the cells, the atoms.
Declared is what a codebook says: bounds and resolution of each number, the values of each category.
The noise is drawn from a seed, so that a line can be had again; a release is made without one::

    python benchmarks/private_synthesis.py --data FOLDER --tables adult --epsilons 0.1 0.5 1 3 10

A technique is a line for each epsilon; ``--set`` holds for those that have the setting.
Printed are medians over ``--seeds`` fits, each with a draw of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl
from synthesize import COLUMNS, TABLES, Judge, Table, line

from sfumato.privacy.differential import Budget
from sfumato.synthesis.private import DPLatentFactor
from sfumato.synthesis.private.marginals import DPMarginals

TECHNIQUES: dict[str, type[DPLatentFactor | DPMarginals]] = {
    "dp-latent-factor": DPLatentFactor,
    "dp-marginals": DPMarginals,
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


def main() -> None:
    """Read the command line, fit, draw and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=["adult", "diabetes"])
    parser.add_argument("--techniques", nargs="+", choices=TECHNIQUES, default=list(TECHNIQUES))
    parser.add_argument("--epsilons", nargs="+", default=["0.1", "0.5", "1", "3", "10"])
    parser.add_argument("--seeds", type=int, default=5, help="fits of which the median is told")
    parser.add_argument("--set", nargs="*", default=[], help="NAME=VALUE, a setting")
    arguments = parser.parse_args()
    settings = {
        key: json.loads(value) for key, _, value in (one.partition("=") for one in arguments.set)
    }
    for name in arguments.tables:
        table = TABLES[name](arguments.data)
        judge = Judge(table)
        n = table.train.height
        print(f"\n{table.name}: {n:,} training rows, {table.train.width} columns")
        print(f"{'':16}" + " ".join(f"{column:>8}" for column in COLUMNS))
        for epsilon, kind in itertools.product(arguments.epsilons, arguments.techniques):
            if kind == arguments.techniques[0]:
                print(f"epsilon {epsilon}")
            fields = TECHNIQUES[kind].model_fields
            chosen = {key: value for key, value in settings.items() if key in fields}
            budget = Budget(epsilon=epsilon, delta=Fraction(1, n**2))
            runs = []
            for seed in range(arguments.seeds):
                technique = TECHNIQUES[kind](
                    budget=budget, domain=domain(table), insecure_seed=seed, **chosen
                )
                since = time.process_time()
                drawn = technique.fit(table.train, table.schema).sample(n, seed=seed)
                spent = time.process_time() - since
                runs.append({**judge.figures(drawn), "cpu": spent})
            told = {key: median(run[key] for run in runs) for key in runs[0]}
            print(line(kind, told), flush=True)


if __name__ == "__main__":
    main()
