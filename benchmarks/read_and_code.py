"""How long reading and coding a great table takes, and how much memory, beside plain Polars.

Makes the Diabetes table 10 and 100 times as long (1 and 10 million rows; body mass index and age
jittered so that tuples do not merely repeat), then measures three things, each in a process of
its own:

- ``polars``: ``polars.read_csv``, nothing else;
- ``read``: ``sfumato.table.read``, which also finds the delimiter, encoding and types;
- ``code``: that, then six quasi-identifiers coded by their hierarchies and the distinct tuples
  counted.

Run it with the table as CSV, gzipped or not::

    python benchmarks/read_and_code.py --data diabetes_prediction.csv.gz --times 10 100
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

STAGES = ("polars", "read", "code")


def main() -> None:
    """Make the tables, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the Diabetes table (100,000 rows)")
    parser.add_argument("--times", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the median is taken")
    parser.add_argument("--folder", type=Path, help="where the long tables are put for a while")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the Diabetes table is: --data PATH")
    if arguments.stage:
        print(json.dumps(measure(arguments.stage, arguments.data)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for times in arguments.times:
            path = Path(folder) / f"diabetes_{times}.csv"
            lengthen(arguments.data, path, times)
            report(path, arguments.repeat)
            path.unlink()


def lengthen(source: Path, target: Path, times: int) -> None:
    """Write the table ``times`` times, the repetitions jittered with a fixed seed."""
    import numpy as np
    import polars as pl

    table = pl.read_csv(source)
    random = np.random.default_rng(7)
    with target.open("wb") as file:
        for repetition in range(times):
            rows = table
            if repetition:
                bmi = table["bmi"].to_numpy() + random.normal(0, 0.5, table.height)
                age = table["age"].to_numpy() + random.integers(-1, 2, table.height)
                rows = table.with_columns(
                    bmi=pl.Series(bmi.round(2)), age=pl.Series(age.clip(0, 100).round(2))
                )
            rows.write_csv(file, include_header=repetition == 0)


def report(path: Path, repeat: int) -> None:
    """Print the medians of each stage."""
    size = path.stat().st_size / 2**20
    print(f"{path.name}: {size:,.0f} MB of CSV, medians of {repeat} runs")
    plain: dict[str, float] = {}
    for stage in STAGES:
        command = [sys.executable, __file__, "--data", str(path), "--stage", stage]
        runs = [json.loads(subprocess.check_output(command)) for _ in range(repeat)]
        found = {key: median(run[key] for run in runs) for key in runs[0]}
        plain = plain or found
        print(
            f"  {stage:6}  {found['cpu']:7.2f} s CPU ({found['cpu'] / plain['cpu']:.2f} x)"
            f"  {found['wall']:7.2f} s"
            f"  {found['peak']:6.2f} GB peak ({found['peak'] / plain['peak']:.2f} x)"
            f"  {found['rows']:,.0f} rows"
            + (f", {found['tuples']:,.0f} tuples" * (stage == "code"))
        )


def measure(stage: str, path: Path) -> dict[str, float]:
    """Do one stage in this process; CPU seconds without the imports, peak memory with them."""
    import polars as pl

    from sfumato.table import Hierarchy, encode, read

    begun, wall = time.process_time(), time.perf_counter()
    tuples = 0
    table = pl.read_csv(path) if stage == "polars" else read(path)
    if stage == "code":
        coded = encode(
            table,
            ["gender", "age", "hypertension", "heart_disease", "smoking_history", "bmi"],
            {
                "age": Hierarchy.preset("age-5-10-20-90"),
                "bmi": Hierarchy.preset("who-bmi"),
                "smoking_history": Hierarchy.ordered(
                    ["never", "No Info"], ["former", "not current"], ["ever", "current"]
                ),
            },
        )
        tuples = len(coded.tuples())
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu": time.process_time() - begun,
        "wall": time.perf_counter() - wall,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9,
        "rows": table.height,
        "tuples": tuples,
    }


if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    main()
