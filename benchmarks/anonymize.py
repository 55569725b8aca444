"""Anonymizing side by side: sfumato, its Python peers and ARX's record, in one run on one machine.

Every tool makes the same releases from the same CSV files, each in a process of its own, and one
yardstick (``peers/judge.py``) judges the files they wrote. Printed are, for each release:

- ``whole``: CPU seconds of the whole process, user and system, its children included;
- ``import``: of those, loading the tool and what it imports on first use (ours: most of numba);
  ``job``: reading, anonymizing, writing after that;
- ``fit``: of ours, the anonymization alone, the first time in a process and, in brackets, again
  with compiled loops loaded (the repetition is in no other figure);
- ``GH``, ``RS``: mean hierarchy loss and range or set loss, in %, suppressed rows counted as 100;
- classes, the smallest of them, suppressed rows (absent or ``*`` everywhere), peak memory;
- ``x whole``, ``x job``: how many times the CPU of our local recoding at its default effort.

Sections: ``tables`` (Adult and Diabetes at each k), ``arx`` (against the CPU times in ``--arx``),
``goals`` (what we set ourselves), ``verification`` (counting k, l and t against pycanon's) and
``credit-card`` (24 quasi-identifiers). Compiled loops are compiled and cached by a first run that
counts nowhere. See README.md beside this file for how to run it and how to read it::

    python benchmarks/anonymize.py --data FOLDER --arx summary.csv --environments PEERS --install
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import platform
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from peers.bench import QUICK, Bench, Result, Run
from peers.roster import ADULT, ADULT_9, COUNTING, DIABETES, LOCAL, OURS, PEERS, PYCANON, Data, Tool

OWN_DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
SECTIONS = ("tables", "arx", "goals", "verification", "credit-card")


def main() -> None:
    """Read the command line, run the sections."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=OWN_DATA, help="folder of tables")
    parser.add_argument("--arx", type=Path, help="summary.csv of ARX's runs")
    parser.add_argument("--credit-card", type=Path, help="folder of the credit card table")
    parser.add_argument("--environments", type=Path, help="folder of the peers' environments")
    parser.add_argument("--install", action="store_true", help="make the peers' environments")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--tables", nargs="+", choices=("Adult", "Diabetes"))
    parser.add_argument("--k", type=int, nargs="+", default=[5, 10, 50, 250])
    parser.add_argument("--peer-k", type=int, nargs="+", help="k at which peers run; else all")
    parser.add_argument("--peers", nargs="*", help="which peers; all by default")
    parser.add_argument("--cap", type=float, default=300.0, help="seconds a run may take")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the median is taken")
    parser.add_argument("--threads", type=int, default=1, help="threads that every tool may use")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environments = arguments.environments
        if environments is None and arguments.install:
            environments = Path(folder) / "environments"
        bench = Bench(
            arguments.data.resolve(),
            Path(folder),
            environments and environments.resolve(),
            arguments.cap,
            arguments.repeat,
            arguments.threads,
        )
        peers = [one for one in PEERS if arguments.peers is None or one.name in arguments.peers]
        for peer in [*peers, PYCANON] if arguments.install else ():
            bench.install(peer)
        print(
            f"Python {platform.python_version()}, {os.cpu_count()} cores, load "
            f"{os.getloadavg()[0]:.1f}, {bench.threads} thread(s) a tool, at most "
            f"{bench.cap:.0f} s a run, medians of {bench.repeat} where a run takes less than "
            f"{QUICK:.0f} s"
        )
        warm_up(bench)
        results: dict[tuple[str, int], list[Result]] = {}
        if "tables" in arguments.only:
            results = tables(bench, arguments, peers)
        if "arx" in arguments.only and arguments.arx:
            against_arx(bench, arguments.arx)
        if "goals" in arguments.only:
            goals(bench, results)
        if "verification" in arguments.only:
            verification(bench)
        if "credit-card" in arguments.only and arguments.credit_card:
            credit_card(bench, arguments.credit_card)
        print(f"\nload at the end {os.getloadavg()[0]:.1f}")


def warm_up(bench: Bench) -> None:
    """Run each technique once, so that its loops are compiled and cached."""
    once = replace(bench, repeat=1, cap=600.0)
    seconds = [once.release(tool, ADULT, 50).run.cpu for tool in OURS]
    print(f"a first run of ours, which compiles what is not cached yet: {sum(seconds):.1f} s CPU")


def tables(
    bench: Bench, arguments: argparse.Namespace, peers: list[Tool]
) -> dict[tuple[str, int], list[Result]]:
    """Run everybody on every table at every k; return what was found."""
    results = {}
    for data in available(bench, (ADULT, DIABETES)):
        if arguments.tables and data.name not in arguments.tables:
            continue
        for k in arguments.k:
            heading(f"{data.name}: {len(data.quasi)} quasi-identifiers, k = {k}")
            print(
                f"{'':24}{'whole':>8}{'import':>8}{'job':>8}{'fit (again)':>16}{'GH %':>7}"
                f"{'RS %':>7}{'classes':>9}{'smallest':>9}{'suppr.':>8}{'GB':>6}{'x whole':>9}"
                f"{'x job':>9}"
            )
            found: list[Result] = []
            invited = peers if arguments.peer_k is None or k in arguments.peer_k else []
            for tool in (*OURS, *invited):
                found.append(bench.release(tool, data, k))
                print(line(found[-1], found[0], k), flush=True)
            results[data.name, k] = found
    return results


def line(result: Result, ours: Result, k: int) -> str:
    """Return a line of the table."""
    run, verdict = result.run, result.verdict
    if verdict is None:
        spent = f" ({run.cpu:.0f} s CPU until then)" if run.failure.startswith(">") else ""
        return f"{result.tool.name:24}{run.failure}{spent}"
    fit = ""
    if "fit" in run.times:
        fit = f"{run.times['fit']:.2f} ({run.times.get('fit again', float('nan')):.2f})"
    return (
        f"{result.tool.name:24}{run.cpu:8.2f}{run.times['import']:8.2f}{result.job:8.2f}{fit:>16}"
        f"{100 * verdict.gh:7.2f}{100 * verdict.rs:7.2f}{verdict.classes:9,}{verdict.smallest:9,}"
        f"{verdict.suppressed:8,}{run.peak:6.2f}"
        f"{run.cpu / ours.run.cpu:9.1f}{result.job / ours.job:9.1f}"
        + ("  BREAKS k" if verdict.smallest < k else "")
    )


def against_arx(bench: Bench, summary: Path) -> None:
    """Repeat ARX's runs that minimize the arithmetic loss."""
    heading("ARX: its search (and local recoding) against our fit; its whole job against ours")
    print(
        f"{'ARX run':42}{'loss':>8}{'suppr.':>8}{'search':>8}{'cold':>8}"
        f"{'loss':>10}{'suppr.':>8}{'fit':>7}{'again':>7}{'whole':>7}{'search':>10}{'cold':>8}"
    )
    with summary.open(newline="") as file:
        runs = [row for row in csv.DictReader(file) if "arithmetic" in row["metric"]]
    for row, data, tool, k in _repeated(bench, runs):
        search = float(row["search_cpu_s"]) + float(row["local_cpu_s"] or 0)
        cold = float(row["cold_total_cpu_s"])
        theirs = (
            f"{row['run'].removesuffix('_lossam'):42}{float(row['iloss_am']):8.4f}"
            f"{int(row['suppressed_rows']):8,}{search:8.2f}{cold:8.2f}"
        )
        result = bench.release(tool, data, k)
        if result.verdict is None:
            print(f"{theirs}  {result.run.failure}", flush=True)
            continue
        fit, again = (result.run.times[name] for name in ("fit", "fit again"))
        print(
            f"{theirs}{result.verdict.iloss:10.4f}{result.verdict.suppressed:8,}{fit:7.2f}"
            f"{again:7.2f}{result.run.cpu:7.2f}{search / again:8.1f} x"
            f"{cold / result.run.cpu:6.1f} x",
            flush=True,
        )


def _repeated(
    bench: Bench, runs: list[dict[str, str]]
) -> Iterator[tuple[dict[str, str], Data, Tool, int]]:
    """Yield the runs of ARX that we repeat, and how."""
    tables_by_name = {"adult": ADULT_9, "diabetes": DIABETES, "diabetes3": DIABETES}
    there = available(bench, (ADULT_9, DIABETES))
    for row in runs:
        models = [model.split(":") for model in row["privacy_models"].split(",")]
        local = row["local_recoding"] != "none"
        data = tables_by_name[row["dataset"]]
        # rows that ARX suppresses escape its other models, so that only local runs compare; of
        # these, those that start from the exact values (gs-factor 0) are its best
        comparable = float(row["gs_factor"]) == 0 if local else len(models) == 1
        if data not in there or not comparable:
            continue
        quasi = tuple(row["qis"].split())
        sensitive = next((model[-1] for model in models if model[0] != "k"), data.sensitive)
        data = replace(data, name=row["dataset"] + row["qis"], quasi=quasi, sensitive=sensitive)
        criteria = []
        for kind, *values in models:
            if kind == "dl":
                criteria.append({"kind": "l-diversity", "l": int(values[0]), "column": values[1]})
            if kind == "te":
                criteria.append({"kind": "t-closeness", "t": float(values[0]), "column": values[1]})
        more: dict[str, Any] = {"technique": "local", "again": 3}
        if not local:
            limit = float(row["suppression_limit"])
            more = {"technique": "full-domain", "suppression_limit": limit, "again": 3}
        if criteria:
            more |= {"criteria": criteria, "again": 1}
        k = next(int(model[1]) for model in models if model[0] == "k")
        yield row, data, Tool("sfumato", "sfumato_job.py", more), k


def goals(bench: Bench, results: dict[tuple[str, int], list[Result]]) -> None:
    """Measure what we set ourselves."""
    heading("goals: CPU of the fit, again in a warm process (in brackets: first in a process)")
    full = {"technique": "full-domain", "again": 5}
    local = {"technique": "local", "again": 3}
    wanted = (
        ("optimum, Adult-9, k = 5, 5 %", ADULT_9, full | {"suppression_limit": 0.05}, 5, None, 0.2),
        ("optimum, Adult-9, k = 250", ADULT_9, full | {"suppression_limit": 1}, 250, None, 1.0),
        ("local recoding, Adult-9, k = 5", ADULT_9, local, 5, 0.0511, 3.0),
        ("local recoding, Diabetes, k = 50", DIABETES, local, 50, 0.0670, 1.0),
        ("local recoding, Diabetes, k = 250", DIABETES, local, 250, 0.0986, 1.0),
    )
    for words, data, more, k, loss, seconds in wanted:
        if data not in available(bench, (data,)):
            continue
        result = bench.release(Tool("sfumato", "sfumato_job.py", more), data, k)
        if result.verdict is None:
            print(f"{words:36}{result.run.failure}", flush=True)
            continue
        fit, verdict = result.run.times["fit again"], result.verdict
        lost = "" if loss is None else f", goal {loss:.4f}: {met(verdict.iloss < loss + 5e-5)}"
        print(
            f"{words:36}{fit:6.2f} s ({result.run.times['fit']:.2f}), goal {seconds:.1f}: "
            f"{met(fit <= seconds)}; loss {verdict.iloss:.5f}{lost}; "
            f"{verdict.suppressed:,} rows suppressed",
            flush=True,
        )
    judged = [one for one in results.get(("Diabetes", 50), []) if one.verdict]
    peers = [one for one in judged if not one.tool.is_ours]
    if peers:
        print("\nDiabetes, k = 50, CSV to CSV: peers' CPU over ours, whole process / after import")
        ours = [one for one in judged if one.tool.is_ours]
        print(f"{'':24}" + "".join(f"{one.tool.name.removeprefix('sfumato '):>22}" for one in ours))
        for peer in peers:
            each = (
                f"{peer.run.cpu / one.run.cpu:10.1f} /{peer.job / one.job:7.1f} x" for one in ours
            )
            print(f"{peer.tool.name:24}" + "".join(f"{cell:>22}" for cell in each))
        least = min(one.job / judged[0].job for one in peers)
        print(f"least after import against local recoding {least:.1f}, goal 50: {met(least >= 50)}")


def verification(bench: Bench) -> None:
    """Count k, l and t of whole tables, ours against pycanon's."""
    heading("verification: CPU s of counting k, distinct l and t (equal distance) after import")
    for data in available(bench, (ADULT, DIABETES)):
        for what in ("as it is", "local recoding, k = 50"):
            path = bench.input(data)
            if what != "as it is":
                bench.release(LOCAL, data, 50)
                path = bench.folder / "released.csv"
            job = bench.folder / "count.json"
            columns = {"input": str(path), "quasi": data.quasi, "sensitive": data.sensitive}
            empty = {"output": "", "numbers": [], "hierarchies": {}, "k": 0, "suppression": 0}
            job.write_text(json.dumps(columns | empty | {"more": {}}))
            for tool in (COUNTING, PYCANON):
                python = bench.python(tool)
                run = Run(0, 0, 0, {}, python) if isinstance(python, str) else None
                run = run or bench.start(tool, python, [str(job)])
                words = f"{data.name + ', ' + what:36}{tool.name:10}"
                if run.failure:
                    print(f"{words}{run.failure}", flush=True)
                    continue
                print(
                    words
                    + "  ".join(
                        f"{name} = {run.times[name + ' value']:.4g} in {run.times[name]:.3f} s"
                        for name in ("k", "l", "t")
                    )
                    + f"; whole {run.cpu:.2f} s",
                    flush=True,
                )


def credit_card(bench: Bench, folder: Path) -> None:
    """Recode 24 quasi-identifiers; ARX's best published granularity is 0.451 after 211 s."""
    heading("credit card: 24 quasi-identifiers, local recoding, k = 5")
    home = bench.folder / "credit_card"
    home.mkdir()
    with tarfile.open(folder / "creditcard_hierarchies.tar.gz") as archive:
        archive.extractall(home, filter="data")
    paths = list(home.rglob("*hierarchy_*.csv"))
    for path in paths:  # the table codes even "*" as an integer
        lines = [line.rpartition(";")[0] + ";*\n" for line in path.read_text().splitlines()]
        path.write_text("".join(lines))
    prefix = paths[0].name.split("hierarchy_")[0]
    with gzip.open(folder / "creditcard.csv.gz", "rt") as file:
        quasi = tuple(file.readline().strip().split(";"))
    data = Data(
        "credit card",
        "creditcard.csv.gz",
        ";",
        quasi,
        (),
        quasi[-1],
        str(paths[0].parent / f"{prefix}hierarchy_{{}}.csv"),
    )
    there = replace(bench, data=folder.resolve(), repeat=1)
    for effort in (0, 1):
        more = {"technique": "local", "effort": effort}
        result = there.release(Tool("sfumato", "sfumato_job.py", more), data, 5)
        if result.verdict is None:
            print(f"effort {effort}: {result.run.failure}", flush=True)
            continue
        print(
            f"effort {effort}: granularity {1 - result.verdict.iloss:.4f}, fit "
            f"{result.run.times['fit']:.1f} s CPU, whole {result.run.cpu:.1f} s, "
            f"smallest class {result.verdict.smallest}, {result.verdict.suppressed:,} suppressed",
            flush=True,
        )


def available(bench: Bench, wanted: tuple[Data, ...]) -> list[Data]:
    """Return the tables that are there."""
    return [data for data in wanted if (bench.data / data.file).exists()]


def heading(words: str) -> None:
    """Print a heading."""
    print(f"\n{words}\n{'-' * len(words)}", flush=True)


def met(is_met: bool) -> str:
    """Say whether a goal is met."""
    return "met" if is_met else "NOT MET"


if __name__ == "__main__":
    main()
