"""How long Mondrian takes, and how much memory: coding, grouping, cutting, naming, labelling.

Stretches the Diabetes table (see ``stretch.py``) to each number of rows, in a process of its own,
and measures with six quasi-identifiers:

- ``code``: the columns become small integers;
- ``group``: equal tuples are counted once;
- ``cut``: groups are cut until none can be;
- ``name``: every group gets its labels;
- ``label``: every row gets the labels of its group, coding included, as for rows never seen.

CPU seconds are medians over the runs; compiled loops are loaded before. Peaks are of the process
so far, the table in memory included. Run it with the table and its hierarchies::

    python benchmarks/mondrian.py --data diabetes_prediction.csv.gz --hierarchies hierarchies
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

STAGES = ("code", "group", "cut", "name", "label")
QUASI = ("gender", "age", "hypertension", "heart_disease", "smoking_history", "bmi")
NUMBERS = ("age", "bmi")


def main() -> None:
    """Measure each number of rows, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the Diabetes table")
    parser.add_argument("--hierarchies", type=Path, required=True, help="folder of its hierarchies")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--choose", choices=("width", "gain"), default="width")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the median is taken")
    parser.add_argument("--numbers", action="store_true", help="age and bmi without hierarchies")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(measure(arguments)))
        return
    for rows in arguments.rows:
        command = [sys.executable, __file__, *sys.argv[1:], "--once", "--rows", str(rows)]
        found = json.loads(subprocess.check_output(command))
        print(
            f"{rows:,} rows, {found['tuples']:,} tuples, k = {arguments.k}, by {arguments.choose}: "
            f"{found['groups']:,} groups; the table alone {found['table']:.2f} GB"
        )
        for stage in STAGES:
            print(f"  {stage:6} {found[stage]:7.3f} s CPU   {found[f'{stage} peak']:5.2f} GB peak")


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Do all stages in this process."""
    import polars as pl
    from stretch import stretched

    from sfumato.anonymization.mondrian.coding import coded_column, coded_people
    from sfumato.anonymization.mondrian.partition import partition
    from sfumato.anonymization.mondrian.tree import Quasi, Tree
    from sfumato.table import Hierarchy

    table = stretched(pl.read_csv(arguments.data).select(QUASI), arguments.rows[0])
    hierarchies = {
        name: None
        if arguments.numbers and name in NUMBERS
        else Hierarchy.read(arguments.hierarchies / f"diabetes_hierarchy_{name}.csv")
        for name in QUASI
    }
    columns = tuple(Quasi(name, hierarchies[name]) for name in QUASI)
    found: dict[str, float] = {"table": peak()}
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}

    def done(stage: str, since: float) -> None:
        times[stage].append(time.process_time() - since)
        found.setdefault(f"{stage} peak", peak())

    for run in range(arguments.repeat + 1):
        since = time.process_time()
        coded = [coded_column(table[name], hierarchies[name]) for name in QUASI]
        done("code", since)
        axes, scales = tuple(one.axis for one in coded), tuple(one.scale for one in coded)
        since = time.process_time()
        people = coded_people(table, coded)
        done("group", since)
        del coded
        since = time.process_time()
        grown = partition(people, axes, arguments.k, choose=arguments.choose)
        done("cut", since)
        found["tuples"] = len(people)
        del people
        since = time.process_time()
        tree = Tree.of(grown, columns, scales, tuple(table[name].dtype for name in QUASI))
        done("name", since)
        since = time.process_time()
        tree.labels(table)
        done("label", since)
        found["groups"] = len(tree.sizes)
        if run == 0:  # compiled loops were loaded, and caches of hierarchies filled
            times = {stage: [] for stage in STAGES}
    return found | {stage: median(runs) for stage, runs in times.items()}


def peak() -> float:
    """Return the peak memory of this process so far, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    main()
