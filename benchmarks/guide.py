"""Guided groups beside other techniques, beside their Python peers, and beside published figures.

Three sections (``--only``): ``auc``, the area under the curve of gradient boosting that learned
from each release, on the same rows held out; ``published``, the figures of the paper's notebooks
that can be recounted; ``peer``, CPU seconds and accuracy beside ai-privacy-toolkit in an
environment of its own. Times are CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

SEEDS = 3

PEER = """
import sys, time
import numpy as np
from apt.anonymization import Anonymize
from apt.utils.datasets import ArrayDataset
given = np.load(sys.argv[1])
began = time.process_time()
found = Anonymize(int(sys.argv[2]), [0, 1, 2], train_only_QI=True).anonymize(
    ArrayDataset(given["x"], given["y"])
)
print(time.process_time() - began)
np.save(sys.argv[3], found)
"""


def tables(folder: Path, name: str, rows: int):
    """Return train and test rows, the schema, that with bands of numbers, and the target."""
    from sfumato.table import Hierarchy, Schema

    def read(column: str) -> Hierarchy:
        return Hierarchy.read(folder / "hierarchies" / f"heart_hierarchy_{column}.csv")

    if name == "diabetes":
        table, target = pl.read_csv(folder / "diabetes_prediction.csv.gz"), "diabetes"
        quasi = {"gender": None, "age": None, "bmi": None}
        bands = {"age": [5, 10, 20, 40], "bmi": [1, 2, 4, 8, 16]}
    else:
        table = pl.read_csv(folder / "heart_patients_brfss2022.csv.gz").drop("PatientID")
        target = "HadHeartAttack"
        quasi = {
            "State": read("State"),
            "Sex": None,
            "AgeCategory": read("AgeCategory"),
            "RaceEthnicityCategory": read("RaceEthnicityCategory"),
            "HeightInMeters": None,
            "WeightInKilograms": None,
            "BMI": None,
        }
        bands = {
            "HeightInMeters": [0.05, 0.1, 0.2, 0.4],
            "WeightInKilograms": [5, 10, 20, 40],
            "BMI": [2.5, 5, 10, 20],
        }
    banded = quasi | {column: Hierarchy.bands(steps) for column, steps in bands.items()}
    table = table.sample(min(rows, table.height), seed=1, shuffle=True)
    train = int(0.7 * table.height)
    schemas = (
        Schema(quasi_identifiers=one, target=target, rest="other") for one in (quasi, banded)
    )
    return table[:train], table[train:], *schemas, target


def auc(train: pl.DataFrame, test: pl.DataFrame, schema, target: str) -> float:
    """Return the mean area under the curve of gradient boosting over a few seeds."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    from sfumato.table import prepare

    prepared = prepare(train, schema, target=target)
    found = []
    for seed in range(SEEDS):
        model = HistGradientBoostingClassifier(random_state=seed)
        model.fit(prepared.matrix(train), train[target].to_numpy())
        sure = model.predict_proba(prepared.matrix(test))[:, 1]
        found.append(roc_auc_score(test[target].to_numpy(), sure))
    return float(np.mean(found))


def compare(folder: Path, name: str, rows: int, ks: list[int], which: list[str]) -> None:
    """Print for each k and technique the area under the curve on raw and on recoded test rows."""
    from sfumato.anonymization import FullDomain, Guided, LocalRecoding, Mondrian

    train, test, schema, banded, target = tables(folder, name, rows)
    print(
        f"{name}, {train.height:,} rows to learn, {test.height:,} to test: "
        f"raw {auc(train, test, schema, target):.4f}",
        flush=True,
    )
    for k in ks:
        techniques = {
            "guided": (Guided(k=k), schema),
            "guided, answers alone": (Guided(k=k, guide="predictions"), schema),
            "guided, effects": (Guided(k=k, guide="effects"), schema),
            "mondrian": (Mondrian(k=k), schema),
            "full-domain": (FullDomain(k=k, suppression_limit=0.05), banded),
            "local-recoding": (LocalRecoding(k=k, effort=0, bound=False), schema),
        }
        for title, (technique, described) in techniques.items():
            if which and title not in which:
                continue
            began = time.process_time()
            recoding = technique.fit(train, described)
            released = recoding.recode(train)
            seconds = time.process_time() - began
            after = recoding.released_schema()
            recoded = auc(released, recoding.recode(test), after, target)
            quasi = list(described.quasi_identifiers)
            raw_rows = (
                test
                if title.startswith("guided")
                else test.with_columns(pl.col(quasi).cast(pl.String))
            )
            raw = auc(released, raw_rows, after, target)
            classes = released.select(quasi)
            print(
                f"{name:9} k {k:4} {title:22} raw {raw:.4f} recoded {recoded:.4f}  "
                f"{classes.n_unique():6,} classes  {seconds:7.1f} s",
                flush=True,
            )


def published(folder: Path) -> None:
    """Print the figures of reference section 4 beside ours."""
    from sklearn.datasets import load_diabetes
    from sklearn.metrics import r2_score
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    from sfumato.anonymization import GuidedAnonymizer

    data = load_diabetes()
    X, X_test, y, y_test = train_test_split(data.data, data.target, test_size=0.5, random_state=14)
    model = DecisionTreeRegressor(random_state=10, min_samples_split=2)
    base = r2_score(y_test, model.fit(X, y).predict(X_test))
    print(f"Diabetes regression: base R2 {base!r} (published .15014421352446072)")
    for k in (5, 10, 20, 50, 75):
        found = GuidedAnonymizer(
            model, k=k, quasi_identifiers=[0, 2, 5, 8], guide="predictions"
        ).fit(X, y)
        print(
            f"  k {k}: {len(found.recoding_.class_sizes)} classes, R2 on raw rows "
            f"{found.score(X_test, y_test):.3f}"
        )
    train, test = (pl.read_csv(folder / f"adult_uci_{part}.csv.gz") for part in ("train", "test"))
    numbers = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
    named = {name.replace("_", "-").replace(".", "-"): name for name in train.columns}
    columns = [named[one] for one in numbers]
    X, X_test = train.select(columns).to_numpy(), test.select(columns).to_numpy()
    y, y_test = train["income"].to_numpy(), test["income"].to_numpy()
    model = DecisionTreeClassifier(random_state=0)
    base = model.fit(X, y).score(X_test, y_test)
    for guide in ("predictions", "scores"):
        for on in ("all", "quasi-identifiers"):
            found = GuidedAnonymizer(
                model, k=100, quasi_identifiers=[0, 1, 2, 4], guide=guide, train_on=on
            ).fit(X, y)
            sizes = found.recoding_.class_sizes
            print(
                f"Adult numbers k 100, {guide}, trained on {on}: accuracy {base:.4f} to "
                f"{found.score(X_test, y_test):.4f} (published .8087 to .8308), smallest class "
                f"{sizes.min()}, {len(np.unique(found.transform(X), axis=0)):,} distinct rows"
            )
    table = pl.read_csv(folder / "nursery.csv.gz", infer_schema_length=None).with_columns(
        social=pl.when(pl.col("social") == "problematic").then(1).otherwise(0)
    )
    print(
        "Nursery (published 7,585 distinct rows, .9969; k 100: 3,001, .9055; k 1000: 1,727, "
        ".8981; all QIs: 39, .7600)"
    )
    model = make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), DecisionTreeClassifier(random_state=0)
    )
    few = ["finance", "social", "health"]
    paper = {"guide": "predictions", "encoding": "one-hot"}
    for title, settings in (
        ("raw", None),
        ("k 100, three QIs", {"k": 100, "quasi_identifiers": few, "train_on": "all"}),
        ("k 100, three QIs, tree on them", {"k": 100, "quasi_identifiers": few}),
        ("k 1000, three QIs", {"k": 1000, "quasi_identifiers": few, "train_on": "all"}),
        ("k 1000, three QIs, tree on them", {"k": 1000, "quasi_identifiers": few}),
        ("k 100, all QIs", {"k": 100}),
        ("k 100, all QIs, entropy", {"k": 100, "criterion": "entropy"}),
    ):
        counts, scores = [], []
        for seed in range(5):
            X, X_test, y, y_test = train_test_split(
                table.drop("classification").to_pandas(),
                table["classification"].to_numpy(),
                test_size=0.2,
                random_state=seed,
            )
            if settings is None:
                counts.append(len(X.drop_duplicates()))
                scores.append(model.fit(X, y).score(X_test, y_test))
                continue
            found = GuidedAnonymizer(model, **paper, **settings).fit(X, y)
            counts.append(len(found.transform(X).drop_duplicates()))
            scores.append(found.score(X_test, y_test))
        print(
            f"  {title}: {min(counts):,} to {max(counts):,} distinct rows, accuracy "
            f"{np.mean(scores):.4f} ({min(scores):.4f} to {max(scores):.4f}) over five splits"
        )


def peer(python: Path, rows: int, k: int) -> None:
    """Print CPU seconds, classes and accuracy of ours and of ai-privacy-toolkit."""
    from sklearn.tree import DecisionTreeClassifier

    from sfumato.anonymization import Guided
    from sfumato.table import Schema

    chance = np.random.default_rng(0)
    X = np.column_stack(
        [
            chance.integers(18, 90, rows),
            chance.normal(28, 6, rows).round(2),
            chance.integers(0, 2, rows),
            chance.normal(size=(rows, 2)),
        ]
    ).astype(float)
    y = (X[:, 0] / 20 + X[:, 1] / 10 + X[:, 3] + chance.normal(size=rows) > 5.6).astype(int)
    half = rows // 2
    answers = DecisionTreeClassifier(min_samples_leaf=20, random_state=0).fit(X, y).predict(X)

    def use(anonymized: np.ndarray) -> float:
        model = DecisionTreeClassifier(min_samples_leaf=20, random_state=0)
        return model.fit(anonymized[:half], y[:half]).score(X[half:], y[half:])

    table = pl.DataFrame(X, schema=["a", "b", "c", "d", "e"])
    schema = Schema(quasi_identifiers=["a", "b", "c"], rest="other")
    technique = Guided(k=k, guide="predictions", encoding="one-hot")
    technique.fit(table.head(1000), schema, predictions=answers[:1000])  # what is loaded once
    began = time.process_time()
    ours = technique.fit(table, schema, predictions=answers).recode(table)
    seconds = time.process_time() - began
    classes = ours.select("a", "b", "c").n_unique()
    print(
        f"{rows:,} rows, k {k}: ours {seconds:.2f} CPU s, {classes:,} classes, accuracy "
        f"{use(ours.to_numpy()):.4f}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npy"
        np.savez(given, x=X, y=answers)
        said = subprocess.run(
            [python, "-c", PEER, given, str(k), found], capture_output=True, text=True, check=False
        )
        if said.returncode:
            print("the peer failed:", said.stderr.strip().splitlines()[-1])
            return
        theirs = np.load(found)
        classes = len(np.unique(theirs[:, :3], axis=0))
        print(
            f"  ai-privacy-toolkit {float(said.stdout):.2f} CPU s, {classes:,} classes, accuracy "
            f"{use(theirs):.4f}; {float(said.stdout) / seconds:.0f} times ours"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--only", nargs="+", default=["auc", "published"])
    parser.add_argument("--tables", nargs="+", default=["diabetes", "heart"])
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--k", type=int, nargs="+", default=[11, 50, 250])
    parser.add_argument("--techniques", nargs="+", default=[])
    parser.add_argument("--peer-python", type=Path, help="Python that has ai-privacy-toolkit")
    arguments = parser.parse_args()
    if "published" in arguments.only:
        published(arguments.data)
    if "peer" in arguments.only:
        peer(arguments.peer_python or Path(sys.executable), arguments.rows, 50)
    if "auc" in arguments.only:
        for name in arguments.tables:
            compare(arguments.data, name, arguments.rows, arguments.k, arguments.techniques)


if __name__ == "__main__":
    main()
