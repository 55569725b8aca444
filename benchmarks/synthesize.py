"""Synthesizers side by side: likeness to the real rows, what is learned from them, CPU and memory.

A table is split 80/20 with a fixed seed, a technique learns the training part and draws as many
rows; printed is a line for each technique, medians over ``--seeds`` draws (and fits):

``cpu``, ``MB``
    CPU seconds of fitting and drawing, imports and compilation excluded; peak memory of a process
    that does nothing else, imports included.
``TVD1-3``
    Mean total variation distance over the k-way marginals, numbers in 20 quantile bins of the
    training rows: all pairs, and at most 100 fixed triples; against the training rows.
``TVD2 out``
    The same over pairs, against the held-out rows.
``L1 2, L1 3``
    Mean L1 distance of the k-way marginals on the native domain (numbers on declared public grids;
    at most 120 fixed marginals), against the training rows.
``corr``
    Mean absolute difference of the association matrix: Pearson between numbers, correlation ratio
    between number and category, bias-corrected Cramer's V between categories.
``AUROC``, ``F1``
    Gradient boosting trained on the drawn rows, tested on the held-out real ones.

Anchors: ``real`` (the training rows), ``bootstrap`` (resampled training rows), ``holdout`` (the
held-out rows themselves), ``permuted`` (each column shuffled for itself). ``--attack`` tries the
attacks of the yardstick on the first draw of each technique, training rows as members and held-out
rows as controls::

    python benchmarks/synthesize.py --data FOLDER --tables adult diabetes --only anchors trees

``FOLDER`` holds adult_uci_train.csv.gz, adult_uci_test.csv.gz, diabetes_prediction.csv.gz and
heart_patients_brfss2022.csv.gz. A new technique is one more entry of ``TECHNIQUES``; ``--set
NAME=VALUE`` overrides a setting of every technique that has it. With ``--figures FILE`` each draw's
figures are kept, and a draw that the file has is not made again: a long run may be made in parts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

import sfumato as sf
from sfumato.settings import Settings

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BINS = 20
MOST_TRIPLES, MOST_NATIVE = 100, 120
ANCHORS = ("real", "bootstrap", "holdout", "permuted")
# Each line by its name: the settings class, and settings other than its defaults.
TECHNIQUES: dict[str, tuple[str, dict[str, Any]]] = {
    "copula": ("sfumato.synthesis:GaussianCopula", {}),
    "trees": ("sfumato.synthesis:Trees", {}),
    "latent factor": ("sfumato.synthesis:LatentFactor", {}),
    "vae": ("sfumato.synthesis.neural:VariationalAutoencoder", {}),
    "autoencoder": ("sfumato.synthesis.neural:Autoencoder", {}),
}


@dataclass(frozen=True)
class Table:
    """A real table in two parts, and how it is judged.

    Parameters
    ----------
    name, target
        Name of the table; the column that is learned.
    train, held_out
        The two parts.
    grids
        The declared grid of a number's native domain: (lowest, highest, width).
    """

    name: str
    target: str
    train: pl.DataFrame
    held_out: pl.DataFrame
    grids: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def schema(self) -> sf.Schema:
        """What the columns are."""
        return sf.Schema(target=self.target, rest="other")

    @property
    def numbers(self) -> list[str]:
        """Columns that are amounts, not names or yes and no."""
        return [
            name
            for name, dtype in self.train.schema.items()
            if dtype.is_numeric() and self.train[name].n_unique() > 2
        ]


def adult(data: Path) -> Table:
    """Return Adult: 48,842 rows; education-num repeats education and is left out."""
    parts = [sf.read(data / f"adult_uci_{part}.csv.gz") for part in ("train", "test")]
    table = pl.concat(parts, how="vertical_relaxed").drop("education-num")
    grids = {
        "age": (0, 100, 1),
        "fnlwgt": (0, 1_500_000, 15_000),
        "capital-gain": (0, 100_000, 1000),
        "capital-loss": (0, 5000, 50),
        "hours-per-week": (0, 100, 1),
    }
    return Table("Adult", "income", *split(table), grids)


def diabetes(data: Path) -> Table:
    """Return Diabetes: 100,000 rows of 9 columns."""
    table = sf.read(data / "diabetes_prediction.csv.gz")
    grids = {
        "age": (0, 81, 1),
        "bmi": (10, 100, 1),
        "HbA1c_level": (3, 10, 0.1),
        "blood_glucose_level": (80, 305, 5),
    }
    return Table("Diabetes", "diabetes", *split(table), grids)


def heart(data: Path) -> Table:
    """Return the heart table without its identifier; the training part has 190,104 rows."""
    table = sf.read(data / "heart_patients_brfss2022.csv.gz").drop("PatientID")
    grids = {"HeightInMeters": (0.9, 2.5, 0.05), "WeightInKilograms": (20, 300, 5)}
    return Table("Heart", "HadHeartAttack", *split(table), {**grids, "BMI": (10, 100, 1)})


TABLES: dict[str, Callable[[Path], Table]] = {"adult": adult, "diabetes": diabetes, "heart": heart}


def split(table: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return 80 % and 20 % of the rows, always the same."""
    table = table[np.random.default_rng(0).permutation(table.height)]
    cut = round(0.8 * table.height)
    return table[:cut], table[cut:]


class Judge:
    """All that is compared with the real rows, computed once."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.edges = {
            name: np.unique(
                np.quantile(known(table.train[name]), np.linspace(0, 1, BINS + 1)[1:-1])
            )
            for name in table.numbers
        }
        names = table.train.columns
        places = range(len(names))
        fixed = np.random.default_rng(1)
        self.singles = [(place,) for place in places]
        self.pairs = list(itertools.combinations(places, 2))
        triples = list(itertools.combinations(places, 3))
        self.triples = some(triples, MOST_TRIPLES, fixed)
        self.native_pairs = some(self.pairs, MOST_NATIVE, fixed)
        self.native_triples = some(triples, MOST_NATIVE, fixed)
        self.binned = self.codes(table.train, native=False)
        self.native = self.codes(table.train, native=True)
        self.binned_out = self.codes(table.held_out, native=False)
        self.associations = self.association(table.train)

    def codes(self, rows: pl.DataFrame, *, native: bool) -> Integers:
        """Return the cell of each row in each column, numbers in bins; missing is a cell."""
        found = []
        for name in self.table.train.columns:
            column = rows[name]
            if name not in self.table.numbers:
                texts = column.cast(pl.String).fill_null("\0")
                levels = self.table.train[name].cast(pl.String).fill_null("\0").unique().sort()
                place = texts.replace_strict(
                    levels.to_list(), list(range(levels.len())), default=levels.len()
                )
                found.append(place.to_numpy().astype(np.int64))
                continue
            values = column.cast(pl.Float64).to_numpy()
            grid = self.table.grids.get(name) if native else None
            if grid is not None:
                low, high, width = grid
                cell = np.floor((np.clip(values, low, high) - low) / width + 1e-9)
            elif native:
                cell = np.searchsorted(np.unique(known(self.table.train[name])), values)
            else:
                cell = np.searchsorted(self.edges[name], values, side="right")
            found.append(np.where(np.isnan(values), -1, cell).astype(np.int64) + 1)
        return np.column_stack(found)

    def association(self, rows: pl.DataFrame) -> Floats:
        """Return the association of each two columns."""
        names = rows.columns
        numbers = {name: rows[name].cast(pl.Float64).to_numpy() for name in self.table.numbers}
        cells = {
            name: self.codes(rows, native=False)[:, place]
            for place, name in enumerate(names)
            if name not in numbers
        }
        found = np.eye(len(names))
        for i, j in self.pairs:
            first, second = names[i], names[j]
            if first in numbers and second in numbers:
                value = pearson(numbers[first], numbers[second])
            elif first in cells and second in cells:
                value = cramers_v(cells[first], cells[second])
            else:
                number, category = (first, second) if first in numbers else (second, first)
                value = correlation_ratio(numbers[number], cells[category])
            found[i, j] = found[j, i] = value
        return found

    def figures(self, rows: pl.DataFrame, *, learning: bool = True) -> dict[str, float]:
        """Return every figure of a release."""
        binned, native = self.codes(rows, native=False), self.codes(rows, native=True)
        apart = np.abs(self.association(rows) - self.associations)
        upper = np.triu_indices(len(apart), 1)
        figures = {
            "TVD1": distance(self.binned, binned, self.singles) / 2,
            "TVD2": distance(self.binned, binned, self.pairs) / 2,
            "TVD3": distance(self.binned, binned, self.triples) / 2,
            "TVD2 out": distance(self.binned_out, binned, self.pairs) / 2,
            "L1 2": distance(self.native, native, self.native_pairs),
            "L1 3": distance(self.native, native, self.native_triples),
            "corr": float(apart[upper].mean()),
        }
        return {**figures, **(self.learned(rows) if learning else {})}

    def learned(self, rows: pl.DataFrame) -> dict[str, float]:
        """Return how well gradient boosting learns the target of real rows from these rows."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.metrics import f1_score, roc_auc_score

        levels = self.table.train[self.table.target].unique().sort()
        positive = levels[-1]
        truth = (self.table.held_out[self.table.target] == positive).to_numpy()
        labels = (rows[self.table.target] == positive).to_numpy()
        if labels.all() or not labels.any():
            return {"AUROC": 0.5, "F1": 0.0}
        features, categories = self.features(rows)
        model = HistGradientBoostingClassifier(categorical_features=categories, random_state=0)
        model.fit(features, labels)
        scores = model.predict_proba(self.features(self.table.held_out)[0])[:, 1]
        return {
            "AUROC": float(roc_auc_score(truth, scores)),
            "F1": float(f1_score(truth, scores >= 0.5)),
        }

    def features(self, rows: pl.DataFrame) -> tuple[Floats, list[int]]:
        """Return numbers as they are, categories as codes, and which columns are categories."""
        codes = self.codes(rows, native=False)
        found, categories = [], []
        for place, name in enumerate(rows.columns):
            if name == self.table.target:
                continue
            if name in self.table.numbers:
                found.append(rows[name].cast(pl.Float64).to_numpy())
            else:
                categories.append(len(found))
                found.append(codes[:, place].astype(np.float64))
        return np.column_stack(found), categories


def known(column: pl.Series) -> Floats:
    """Return the values that are not missing."""
    return column.drop_nulls().cast(pl.Float64).to_numpy()


def some(sets: list[Any], most: int, random: np.random.Generator) -> list[Any]:
    """Return at most so many of the sets of columns."""
    if len(sets) <= most:
        return sets
    return [sets[place] for place in sorted(random.choice(len(sets), most, replace=False))]


def distance(real: Integers, drawn: Integers, sets: Sequence[tuple[int, ...]]) -> float:
    """Return the mean L1 distance of the marginals."""
    found = []
    for columns in sets:
        key, other = (np.zeros(len(rows), dtype=np.int64) for rows in (real, drawn))
        for column in columns:
            width = int(max(real[:, column].max(), drawn[:, column].max())) + 1
            key, other = key * width + real[:, column], other * width + drawn[:, column]
        cells, place = np.unique(np.concatenate([key, other]), return_inverse=True)
        first = np.bincount(place[: len(key)], minlength=cells.size) / len(key)
        second = np.bincount(place[len(key) :], minlength=cells.size) / len(other)
        found.append(float(np.abs(first - second).sum()))
    return float(np.mean(found))


def pearson(first: Floats, second: Floats) -> float:
    """Return Pearson's correlation over the rows that have both."""
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    spread = first.std() * second.std()
    return (
        float(np.mean((first - first.mean()) * (second - second.mean())) / spread)
        if spread
        else 0.0
    )


def correlation_ratio(numbers: Floats, cells: Integers) -> float:
    """Return eta, the square root of the share of variance that the category explains."""
    there = ~np.isnan(numbers)
    numbers, cells = numbers[there], cells[there]
    counts = np.bincount(cells)
    means = np.bincount(cells, weights=numbers) / np.maximum(counts, 1)
    total = float(((numbers - numbers.mean()) ** 2).sum())
    between = float((counts * (means - numbers.mean()) ** 2)[counts > 0].sum())
    return float(np.sqrt(between / total)) if total else 0.0


def cramers_v(first: Integers, second: Integers) -> float:
    """Return Cramer's V with Bergsma's correction of bias."""
    width = int(second.max()) + 1
    table = np.bincount(first * width + second, minlength=(int(first.max()) + 1) * width)
    table = table.reshape(-1, width).astype(np.float64)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    n, (r, c) = table.sum(), table.shape
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / n
    phi = max(0.0, ((table - expected) ** 2 / expected).sum() / n - (r - 1) * (c - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(phi / least)) if least > 0 else 0.0


def anchor(name: str, table: Table, seed: int) -> pl.DataFrame:
    """Return the rows of an anchor."""
    random = np.random.default_rng(seed)
    if name == "real":
        return table.train
    if name == "holdout":
        return table.held_out
    if name == "bootstrap":
        return table.train[random.integers(table.train.height, size=table.train.height)]
    return table.train.select(
        table.train[column].gather(random.permutation(table.train.height))
        for column in table.train.columns
    )


def technique(name: str, overrides: dict[str, Any]) -> Settings:
    """Return the settings of a technique under test."""
    where, values = TECHNIQUES[name]
    kind = resolve_name(where)
    chosen = {key: value for key, value in overrides.items() if key in kind.model_fields}
    settings: Settings = kind(**{**values, **chosen})
    return settings


def drawn(settings: Settings, table: Table, seed: int) -> pl.DataFrame:
    """Learn the training rows and draw as many."""
    return sf.synthesize(table.train, table.schema, settings).sample(table.train.height, seed=seed)


def peak_memory(data: Path, table: str, name: str, overrides: dict[str, Any]) -> float:
    """Return the peak memory in MB of a fresh process that learns and draws once."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (data, table, name, overrides))


def _peak(data: Path, table: str, name: str, overrides: dict[str, Any]) -> float:
    drawn(technique(name, overrides), TABLES[table](data), 0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def attacked(table: Table, released: pl.DataFrame) -> None:
    """Print what the attacks find of the training rows, and how many tests were made."""
    from sfumato.evaluation.attacks.suite import AttackPlan, adjusted, run_attacks
    from sfumato.evaluation.attacks.tables import AttackTables
    from sfumato.evaluation.outcomes import Outcome, outcome

    tables = AttackTables.of(
        released, table.train, table.held_out, table.schema, target=table.target, synthetic=True
    )
    since = time.process_time()
    figures = adjusted(run_attacks(tables, AttackPlan(), seed=0))
    tested = {key: one for key, one in figures.items() if one.p_value is not None}
    evidence = [key for key, one in figures.items() if outcome(one) is Outcome.EVIDENCE]
    spent = time.process_time() - since
    print(f"    attacks: {len(figures)} figures, {len(tested)} tests, {spent:.0f} CPU s")
    print(f"    evidence of a leak: {evidence or 'none'}")
    for key, one in sorted(tested.items(), key=lambda item: item[1].p_value)[:5]:
        print(f"    {key:45} members {one.value:.4f} controls {one.control} p {one.p_value:.3g}")


def keep(file: Path | None, figures: dict[str, dict[str, float]]) -> None:
    """Write the figures of all draws so far."""
    if file is not None:
        file.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


COLUMNS = ("cpu", "MB", "TVD1", "TVD2", "TVD3", "TVD2 out", "L1 2", "L1 3", "corr", "AUROC", "F1")


def line(name: str, figures: dict[str, float]) -> str:
    """Return a line of the table."""
    shown = []
    for column in COLUMNS:
        value = figures.get(column)
        form = {"cpu": ".1f", "MB": ".0f"}.get(column, ".4f")
        shown.append(f"{'–' if value is None else format(value, form):>8}")
    return f"{name:16}" + " ".join(shown)


def main() -> None:
    """Read the command line, judge the techniques."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=["adult", "diabetes"])
    parser.add_argument("--only", nargs="+", choices=["anchors", *TECHNIQUES], default=None)
    parser.add_argument("--seeds", type=int, default=5, help="draws of which the median is told")
    parser.add_argument("--figures", type=Path, default=None, help="file that keeps all figures")
    parser.add_argument("--set", nargs="*", default=[], help="NAME=VALUE, a setting to override")
    parser.add_argument("--attack", action="store_true", help="try the attacks of the yardstick")
    parser.add_argument("--no-memory", action="store_true", help="skip the memory measurement")
    arguments = parser.parse_args()
    overrides = {
        key: json.loads(value) for key, _, value in (one.partition("=") for one in arguments.set)
    }
    chosen = arguments.only or ["anchors", *TECHNIQUES]
    kept = {}
    if arguments.figures is not None and arguments.figures.exists():
        kept = json.loads(arguments.figures.read_text("utf-8"))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {arguments.seeds} seeds")
    for name in arguments.tables:
        table = TABLES[name](arguments.data)
        judge = Judge(table)
        print(f"\n{table.name}: {table.train.height:,} rows, {table.train.width} columns")
        print(f"{'':16}" + " ".join(f"{column:>8}" for column in COLUMNS))
        if "anchors" in chosen:
            for one in ANCHORS:
                figures = judge.figures(anchor(one, table, 0), learning=one != "holdout")
                if one == "holdout":
                    figures.pop("TVD2 out")
                print(line(one, figures), flush=True)
        for one in (each for each in TECHNIQUES if each in chosen):
            settings = technique(one, overrides)
            drawn(settings, Table("", table.target, table.train[:2000], table.held_out), 0)
            found = []
            first = None
            for seed in range(arguments.seeds):
                key = f"{table.name} {one} {seed} {settings.model_dump_json()}"
                if key not in kept:
                    since = time.process_time()
                    released = drawn(settings, table, seed)
                    spent = time.process_time() - since
                    kept[key] = {"cpu": spent, **judge.figures(released)}
                    keep(arguments.figures, kept)
                    first = released if seed == 0 else first
                found.append(kept[key])
            middle = {key: median(each[key] for each in found) for key in found[0]}
            if not arguments.no_memory:
                middle["MB"] = peak_memory(arguments.data, name, one, overrides)
            print(line(one, middle), flush=True)
            if arguments.attack:
                attacked(table, drawn(settings, table, 0) if first is None else first)


if __name__ == "__main__":
    main()
