"""Guided groups beside other techniques, beside their Python peers, and beside published figures.

Sections (``--only``): ``auc``, the area under the curve of gradient boosting that learned from each
release, on the same rows held out (cells that stand in ``--results`` are not made again;
``--picture`` draws them); ``published``, figures of the paper's notebooks that can be recounted;
``attacks``, what a model gives away that learned from raw and from guided rows; ``minimization``,
whether minimized inputs keep their target on rows held out; ``peer``, CPU seconds and accuracy
beside ai-privacy-toolkit in an environment of its own. Times are CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import guide_comparison
import guide_models
import numpy as np
import polars as pl

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
    parser.add_argument("--tables", nargs="+", default=["diabetes", "diabetes-6", "heart"])
    parser.add_argument("--rows", type=int, default=70_000, help="most rows to learn from")
    parser.add_argument("--k", type=int, nargs="+", default=[11, 50, 250])
    parser.add_argument("--techniques", nargs="+", default=guide_comparison.TECHNIQUES)
    parser.add_argument("--results", type=Path, default=Path("guide_cells"), help="of auc")
    parser.add_argument("--picture", type=Path, help="what is in --results, .svg or .png")
    parser.add_argument("--people", type=int, default=4000, help="members that are attacked")
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--peer-python", type=Path, help="Python that has ai-privacy-toolkit")
    arguments = parser.parse_args()
    if "published" in arguments.only:
        published(arguments.data)
    if "attacks" in arguments.only:
        guide_models.attacks(arguments.data, arguments.people, arguments.shadows, [100, 1000])
    if "minimization" in arguments.only:
        guide_models.minimization(arguments.data)
    if "peer" in arguments.only:
        peer(arguments.peer_python or Path(sys.executable), arguments.rows, 50)
    if "auc" in arguments.only:
        for name in arguments.tables:
            guide_comparison.make(
                arguments.data,
                arguments.results,
                name,
                arguments.rows,
                arguments.k,
                arguments.techniques,
            )
        records = guide_comparison.tell(arguments.results, arguments.tables, arguments.k)
        if arguments.picture:
            guide_comparison.picture(records, arguments.picture)


if __name__ == "__main__":
    main()
