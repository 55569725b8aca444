"""What models give away that learned from raw or from guided rows, and what they do not need."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import polars as pl

NUMBERS = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
SHOWN = (
    "membership/black_box/accuracy",
    "membership/loss/auc",
    "membership/loss/tpr_at_0.1_percent",
    "membership/loss/tpr_at_1_percent",
    "membership/label_only/auc",
    "membership/label_only/tpr_at_1_percent",
    "membership/shadow_models/auc",
    "membership/shadow_models/tpr_at_0.1_percent",
    "membership/shadow_models/tpr_at_1_percent",
    "membership/shadow_models/vulnerable/auc",
    "privacy_risk/at_risk",
    "privacy_risk/calibration",
    "shapley/positive",
    "minimization/worst",
)


def adult(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return five numeric inputs and the income of Adult's training and test rows."""
    parts = []
    for part in ("train", "test"):
        table = pl.read_csv(folder / f"adult_uci_{part}.csv.gz")
        named = {name.replace("_", "-").replace(".", "-"): name for name in table.columns}
        rich = table["income"].str.contains(">50K").cast(pl.Int64)
        parts += [table.select(named[one] for one in NUMBERS).to_numpy(), rich.to_numpy()]
    return parts[0], parts[1], parts[2], parts[3]


def attacks(folder: Path, rows: int, shadows: int, ks: list[int]) -> None:
    """Print what attacks find of a decision tree that learned from raw and from guided rows.

    Shadow models go through the whole workflow: they train, anonymize and train again.
    """
    from sklearn.tree import DecisionTreeClassifier

    from sfumato.anonymization import GuidedAnonymizer
    from sfumato.evaluation.trained_models import ModelAttacks, evaluate_model

    X, y, X_test, y_test = adult(folder)
    tree = DecisionTreeClassifier(random_state=0)
    models = {"raw": tree} | {
        f"guided, k {k}": GuidedAnonymizer(
            tree, k=k, quasi_identifiers=[0, 1, 2, 4], guide="predictions", train_on="all"
        )
        for k in ks
    }
    asked = ModelAttacks(shadows=shadows, secrets=(1,), queries=10, resamples=499)
    for name, model in models.items():
        began = time.process_time()
        model.fit(X[:rows], y[:rows])
        found = evaluate_model(
            model, (X[:rows], y[:rows]), (X_test[:rows], y_test[:rows]), attacks=asked
        )
        seconds = time.process_time() - began
        accuracy = model.score(X_test, y_test)
        print(
            f"Adult, {rows:,} members and controls, {name}: accuracy {accuracy:.4f}, "
            f"{found.verdict.value}, {seconds:.0f} CPU s"
        )
        secrets = [key for key in found.figures if key.startswith("attribute/")]
        for key in (*SHOWN, *secrets):
            one = found.figures.get(key)
            if one is None or one.value is None:
                continue
            reach = "" if one.interval is None else "[{:.4f}, {:.4f}]".format(*one.interval)
            base = "" if one.baseline is None else f"baseline {one.baseline:.4f}"
            other = "" if one.control is None else f"control {one.control:.4f}"
            chance = "" if one.p_value is None else f"p {one.p_value:.2g}"
            print(f"    {key:46} {one.value:.4f} {reach} {base} {other} {chance}", flush=True)


def minimization(folder: Path) -> None:
    """Print whether minimized inputs keep their target on rows that were held out."""
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeClassifier

    from sfumato.anonymization import Minimize

    X, y, X_test, _ = adult(folder)
    nursery = pl.read_csv(folder / "nursery.csv.gz", infer_schema_length=None).to_pandas()
    credit = pl.read_csv(folder / "german_credit.csv.gz").to_pandas()
    whole = pl.concat(
        [pl.read_csv(folder / f"adult_uci_{part}.csv.gz") for part in ("train", "test")],
        how="vertical_relaxed",
    ).to_pandas()
    whole.columns = [one.replace("_", "-").replace(".", "-") for one in whole.columns]
    hot = ["workclass", "marital-status", "occupation", "relationship", "race", "sex"]
    tables = {
        "Adult, numbers": (X, y, X_test, (0.998, 0.99, 0.9, 0.7)),
        "Nursery": (*halves(nursery, "classification"), (0.998, 0.99, 0.9, 0.7)),
        "German credit": (*halves(credit, credit.columns[-1]), (0.99, 0.9, 0.7)),
        "Adult, with categories": (
            *halves(whole[["age", "education-num", "hours-per-week", *hot, "income"]], "income"),
            (0.998, 0.99, 0.9),
        ),
    }
    for name, (rows, labels, others, targets) in tables.items():
        tree = DecisionTreeClassifier(random_state=0, min_samples_leaf=5)
        texts = [] if isinstance(rows, np.ndarray) else list(rows.select_dtypes(exclude="number"))
        model = make_pipeline(
            make_column_transformer(
                (OneHotEncoder(handle_unknown="ignore"), texts), remainder="passthrough"
            ),
            tree,
        )
        model = (model if texts else tree).fit(rows, labels)
        for target in targets:
            began = time.process_time()
            found = Minimize(model, target=target).fit(rows)
            seconds = time.process_time() - began
            coarse = found.transform(others)
            kept = float(np.mean(model.predict(coarse) == model.predict(others)))
            summary = found.generalizations
            told = len(summary["ranges"]) + len(summary["categories"])
            print(
                f"{name}, target {target}: kept {kept:.4f} of {len(others):,} rows held out "
                f"({'met' if kept >= target else 'MISSED'}), {told} columns generalized, "
                f"{len(summary['untouched'])} untouched, NCP {found.ncp_.fit:.3f} in cells, "
                f"{found.ncp_.generalizations:.3f} in the form, {seconds:.1f} CPU s",
                flush=True,
            )


def halves(table, target: str):
    """Return inputs and labels of a random 60 %, and the inputs of the others."""
    mixed = table.dropna().sample(frac=1.0, random_state=0)
    train, test = mixed[: int(0.6 * len(mixed))], mixed[int(0.6 * len(mixed)) :]
    inputs = [one for one in table.columns if one != target]
    return train[inputs], train[target].to_numpy(), test[inputs]
