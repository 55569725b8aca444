"""Judging side by side: sfumato's attacks, anonymeter, sdmetrics and pycanon on the same tables.

One release is judged by all in one run, each peer in a process of its own; printed are CPU seconds,
the attacks that were really made, seconds per thousand attacks, and the ratio to ours. A peer may
be asked for fewer attacks than we make (``--peer-attacks``); the ratio is per attack.

Sections: ``suite`` (every attack of ours at its defaults, and with everybody and every secret
attacked), ``peers``, ``criteria`` (k, l, t, beta, delta beside pycanon), ``scale`` (a stretched
table of ``--rows`` rows and 20 columns). Compiled loops are compiled by a first run that counts
nowhere::

    python benchmarks/evaluate.py --data FOLDER --environments PEERS --install

``FOLDER`` holds adult_uci_train.csv.gz, adult_uci_test.csv.gz and diabetes_prediction.csv.gz.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from peers.bench import Bench
from peers.roster import Tool

import sfumato as sf
from sfumato.evaluation import class_risks, closest_record
from sfumato.evaluation.attacks.inference import Inference
from sfumato.evaluation.attacks.linkability import Linkability
from sfumato.evaluation.attacks.singling_out import SinglingOut
from sfumato.evaluation.attacks.suite import AttackPlan, adjusted
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.figures_of_classes import reidentification_figures
from sfumato.evaluation.measured_criteria import class_measures

ANONYMETER = Tool("anonymeter 1.1.0", "anonymeter_peer.py", requirements=("anonymeter==1.1.0",))
SDMETRICS = Tool("sdmetrics 0.32.0", "sdmetrics_peer.py", requirements=("sdmetrics==0.32.0",))
VIEWS = (
    ("age", "education", "marital-status", "relationship", "sex"),
    ("workclass", "occupation", "race", "hours-per-week", "native-country"),
)
QUASI = ("age", "sex", "race", "education", "marital-status", "occupation")
SECTIONS = ("suite", "peers", "criteria", "scale")


def main() -> None:
    """Read the command line, run the sections."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--environments", type=Path, help="folder of the peers' environments")
    parser.add_argument("--install", action="store_true", help="make the peers' environments")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--peer-attacks", type=int, default=200, help="attacks a peer makes")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the scale section")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the median is taken")
    arguments = parser.parse_args()
    train, control, released, schema = adult(arguments.data)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; CPU seconds")
    print(f"Adult: {train.height:,} members, {control.height:,} controls, {released.height:,} rows")
    tables = AttackTables.of(released, train, control, schema, target="income", synthetic=True)
    small = AttackTables.of(
        released[:2000], train[:1000], control[:1000], schema, target="income", synthetic=True
    )
    for attack in AttackPlan().attacks().values():
        attack.run(small, seed=0)
    if "suite" in arguments.only:
        suite(released, train, control, schema)
    if "peers" in arguments.only:
        peers(arguments, tables, (train, control, released))
    if "criteria" in arguments.only:
        criteria(arguments.data, arguments.repeat)
    if "scale" in arguments.only:
        scale(arguments.data, arguments.rows)
    print(f"\nload at the end {os.getloadavg()[0]:.1f}")


def adult(data: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, sf.Schema]:
    """Return members, controls, a copula's release and the schema: the sizes of Adult-15."""
    parts = [sf.read(data / f"adult_uci_{part}.csv.gz") for part in ("train", "test")]
    table = pl.concat(parts, how="vertical_relaxed")
    table = table[np.random.default_rng(0).permutation(table.height)]
    train, control = table[:39_084], table[39_084:]
    schema = sf.Schema(
        quasi_identifiers=dict.fromkeys(QUASI),
        sensitive=["income", "capital-gain"],
        target="income",
        rest="other",
    )
    released = sf.synthesize(train, schema, sf.GaussianCopula()).sample(39_040, seed=1)
    return train, control, released, schema


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of some work and what it gave."""
    since = time.process_time()
    found = work()
    return time.process_time() - since, found


def suite(
    released: pl.DataFrame, train: pl.DataFrame, control: pl.DataFrame, schema: sf.Schema
) -> None:
    """Run every attack at its defaults, then on everybody."""
    exhaustive = AttackPlan(
        settings={
            "inference": {"most": None},
            "linkability": {"most": None},
            "membership-by-distance": {"most": None},
            "attribute-inference": {
                "people": 100_000,
                "rows": 10_000,
                "columns": list(released.columns),
            },
        }
    )
    for words, plan in (
        ("at its defaults", AttackPlan()),
        ("everybody and every secret", exhaustive),
    ):
        print(f"\nthe attack suite, {words}")
        seconds, tables = spent(
            lambda: AttackTables.of(
                released, train, control, schema, target="income", synthetic=True
            )
        )
        print(f"  {'one footing':28}{seconds:8.2f} s")
        total, figures = seconds, {}
        for name, attack in plan.attacks().items():
            seconds, found = spent(partial(attack.run, tables, seed=1))
            total += seconds
            figures |= found
            print(f"  {name:28}{seconds:8.2f} s{len(found):6} figures", flush=True)
        lowest = min(one.adjusted for one in adjusted(figures).values() if one.adjusted is not None)
        print(f"  {'all':28}{total:8.2f} s; lowest p for all tests together {lowest:.3f}")


def peers(arguments: argparse.Namespace, tables: AttackTables, frames: tuple) -> None:
    """Make the same attacks as each peer, count them, and compare."""
    few = arguments.peer_attacks
    secrets = list(frames[0].columns)
    ours: dict[str, tuple[float, int]] = {}
    seconds, found = spent(lambda: SinglingOut(columns=(3,), predicates=2_000).run(tables, seed=1))
    made = sum(one.attacks or 0 for key, one in found.items() if key.startswith("singling_out"))
    ours["singling out"] = seconds, made
    seconds, _ = spent(
        lambda: Linkability(nearest=(10,), views=VIEWS, most=4_000).run(tables, seed=1)
    )
    ours["linkability"] = seconds, 4_000
    seconds, _ = spent(lambda: Inference(most=4_000).run(tables, seed=1))
    ours["inference"] = seconds, 4_000 * len(secrets)
    members, controls, released = (frame[:10_000] for frame in frames)
    seconds, _ = spent(
        lambda: closest_record(released[:1_000], members, controls[:9_758], seed=1, sample=1_000)
    )
    ours["nearest record"] = seconds, 1_000
    with tempfile.TemporaryDirectory() as folder:
        environments = arguments.environments or Path(folder) / "environments"
        bench = Bench(arguments.data, Path(folder), environments.resolve(), 3_600.0, 1, 1)
        paths = {}
        for key, frame in zip(("train", "control", "released"), frames, strict=True):
            paths[key] = str(Path(folder) / f"{key}.csv")
            frame.write_csv(paths[key])
        job = {
            **paths,
            "attacks": ["singling out", "linkability", "inference"],
            "sizes": {
                "singling out": few,
                "linkability": few,
                "inference": max(few // 4, 10),
                "nearest record": 1_000,
                "people": 10_000,
            },
            "views": VIEWS,
            "secrets": secrets,
        }
        (Path(folder) / "job.json").write_text(json.dumps(job))
        print(
            f"\n{'':18}{'peer':20}{'CPU s':>8}{'attacks':>9}{'ours':>8}{'attacks':>9}{'ratio':>8}"
        )
        for peer in (ANONYMETER, SDMETRICS):
            if arguments.install:
                bench.install(peer)
            python = bench.python(peer)
            if isinstance(python, str):
                print(f"{peer.name}: {python}")
                continue
            run = bench.start(peer, python, [str(Path(folder) / "job.json")])
            if run.failure:
                print(f"{peer.name}: {run.failure}")
                continue
            for name, told in run.times["found"].items():
                # a peer attacks as many controls as members
                attacked = told["attacks"] * (1 if name == "nearest record" else 2)
                own, count = ours[name]
                ratio = (run.times[name] / attacked) / (own / count)
                print(
                    f"{name:18}{peer.name:20}{run.times[name]:8.2f}{attacked:9,}{own:8.3f}{count:9,}"
                    f"{ratio:8.0f}",
                    flush=True,
                )


def criteria(data: Path, repeat: int) -> None:
    """Count k, l, t, beta and delta of the Diabetes table beside pycanon, which must agree."""
    from pycanon import anonymity

    table = sf.read(data / "diabetes_prediction.csv.gz")
    quasi, secret = ["gender", "age", "bmi"], ["diabetes"]
    banded = table.with_columns(
        (pl.col("age") // 10 * 10).cast(pl.Int64), (pl.col("bmi") // 2 * 2).cast(pl.Int64)
    )
    for words, frame in (("generalized", banded), ("as it is", table)):
        seconds = [
            spent(lambda f=frame: class_measures(f, quasi, secret))[0] for _ in range(repeat)
        ]
        own = class_measures(frame, quasi, secret)
        pandas = frame.to_pandas()
        peer, values = 0.0, {}
        for name, work in (
            ("k", lambda p=pandas: anonymity.k_anonymity(p, quasi)),
            ("alpha", lambda p=pandas: anonymity.alpha_k_anonymity(p, quasi, secret)[0]),
            ("l", lambda p=pandas: anonymity.l_diversity(p, quasi, secret)),
            ("entropy l", lambda p=pandas: anonymity.entropy_l_diversity(p, quasi, secret)),
            ("beta", lambda p=pandas: anonymity.basic_beta_likeness(p, quasi, secret)),
            ("enhanced beta", lambda p=pandas: anonymity.enhanced_beta_likeness(p, quasi, secret)),
            ("t", lambda p=pandas: anonymity.t_closeness(p, quasi, secret)),
            ("delta", lambda p=pandas: anonymity.delta_disclosure(p, quasi, secret)),
        ):
            took, values[name] = spent(work)
            peer += took
        ours = median(seconds)
        print(
            f"\n{words}: eight measures, pycanon {peer:.2f} s, ours (all) {ours:.3f} s, "
            f"ratio {peer / ours:.0f}"
        )
        print(f"  pycanon {json.dumps({key: float(one) for key, one in values.items()})}")
        print(f"  ours    {json.dumps({key: one.value for key, one in own.items()})}")


def scale(data: Path, rows: int) -> None:
    """Report re-identification on a long table of twenty columns, and evaluate one of thirty."""
    from sfumato.release import evaluate
    from sfumato.release.plan import EvaluationPlan

    parts = [sf.read(data / f"adult_uci_{part}.csv.gz") for part in ("train", "test")]
    table = pl.concat(parts, how="vertical_relaxed")
    random = np.random.default_rng(3)
    long = table[random.integers(0, table.height, rows)]
    more = {f"c{n}": random.integers(0, 3 + n, rows) for n in range(15)}
    wide = long.with_columns(**{name: pl.Series(values) for name, values in more.items()})
    twenty = wide.select(wide.columns[:20])
    schema = sf.Schema(quasi_identifiers=dict.fromkeys(QUASI), sensitive=["income"], rest="other")
    seconds, _ = spent(lambda: class_risks(twenty, list(QUASI)))
    took, _ = spent(lambda: class_measures(twenty, list(QUASI), ["income"]))
    whole, told = spent(lambda: reidentification_figures(twenty, schema.check(twenty), seed=1))
    print(
        f"\n{rows:,} x 20: class risks {seconds:.2f} s, criteria {took:.2f} s, the whole report on "
        f"re-identification {whole:.2f} s ({len(told)} figures)",
        flush=True,
    )
    # as many rows released as real ones, and a fifth as many controls
    others = [long[random.integers(0, rows, many)] for many in (rows, rows // 5)]
    released, control = (
        one.with_columns(
            **{f"c{n}": pl.Series(random.integers(0, 3 + n, one.height)) for n in range(15)}
        )
        for one in others
    )
    took, judged = spent(
        lambda: evaluate(wide, released, schema, control=control, plan=EvaluationPlan())
    )
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
    print(
        f"{rows:,} released and as many real rows x 30 evaluated: {took:.1f} s, "
        f"{len(judged.risks)} risk figures, peak of the process {peak:.2f} GB"
    )


if __name__ == "__main__":
    main()
