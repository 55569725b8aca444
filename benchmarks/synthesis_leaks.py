"""Our techniques without a promise on four tables: what is learned, what is kept, what leaks.

The tables are the three of the autoencoder study (system 002), split as it did, and the heart
survey. Each technique learns the training part and draws as many rows; printed is a line for each
draw:

``TSTR``, ``real``
    Share of the control rows whose class gradient boosting tells, learned from the drawn rows and
    from the training rows (heart: the area under the ROC curve).
``KS``, ``theirs``
    Mean over the columns of the Kolmogorov-Smirnov distance from the training rows; the least of
    the two releases that the study shipped (where it shipped any).
``spread``
    Least standard deviation of a column as a share of the real one, and the column.
``own``, ``control``
    Drawn rows in 1,000 whose nearest training row is that of the same number, and the most of five
    other orders of the drawn rows, in which no row can be a person's.
``nearer``
    Share of the drawn rows whose nearest real person was trained on, rather than a control; beside
    it the share of people that were.
``tests``, ``evidence``
    All attacks of the yardstick, training rows as members, held-out rows as controls, judged
    together: how many tests, those that find evidence of a leak, and the least p-value among all
    tests.

Draws that ``--figures FILE`` has are not made again, so that a long table may be made in parts::

    python benchmarks/synthesis_leaks.py --data FOLDER --figures FILE
    python benchmarks/synthesis_leaks.py --data FOLDER --figures FILE --tables obesity --declared

``--declared`` makes use of what is public of the obesity table: its classes are ranges of the body
mass index, so the index is learned in place of the weight, which is computed from it.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import polars as pl
from autoencoder_study_parts.leaks import closeness
from autoencoder_study_parts.likeness import likeness
from autoencoder_study_parts.tables import STUDIED, DataSet, read_data_set
from scipy.spatial import cKDTree
from synthesize import TECHNIQUES, heart

import sfumato as sf
from sfumato.evaluation.attacks.suite import AttackPlan, adjusted, run_attacks
from sfumato.evaluation.attacks.tables import AttackTables
from sfumato.evaluation.outcomes import Outcome, outcome

CHOSEN = ("trees", "vae", "copula", "autoencoder")
ORDERS = 5


@dataclass(frozen=True)
class Declared:
    """A column that is added to a table, and what is computed from it in place of being learned."""

    column: str
    by: str
    derived: dict[str, str]

    def added(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the table with the column."""
        return table.with_columns(pl.sql_expr(self.by).alias(self.column))


DECLARED = {
    "obesity": Declared("BMI", "Weight / POWER(Height, 2)", {"Weight": "BMI * POWER(Height, 2)"})
}


@dataclass(frozen=True)
class People:
    """Members and controls of a table; ``study`` has more where the study had the table."""

    members: pl.DataFrame = field(repr=False)
    controls: pl.DataFrame = field(repr=False)
    schema: sf.Schema
    target: str
    study: DataSet | None


def people(data: Path, key: str) -> People:
    """Read a table."""
    if key == "heart":
        table = heart(data)
        return People(table.train, table.held_out, table.schema, table.target, None)
    studied = read_data_set(data, key)
    schema = sf.Schema(
        quasi_identifiers=studied.quasi_identifiers, target=studied.target, rest="other"
    )
    return People(studied.members, studied.controls, schema, studied.target, studied)


def drawn(table: People, name: str, seed: int, known: Declared | None) -> tuple[pl.DataFrame, Any]:
    """Return rows of a technique, and what was learned."""
    where, values = TECHNIQUES[name]
    kind = resolve_name(where)
    if "seed" in kind.model_fields:
        values = {**values, "seed": seed}
    if known is None:
        model = kind(**values).fit(table.members, table.schema)
    else:
        settings = kind(**values, derived=known.derived)
        model = settings.fit(known.added(table.members), table.schema)
    rows = model.sample(table.members.height, seed=seed)
    return rows.select(table.members.columns), model


def figures(table: People, rows: pl.DataFrame, seed: int) -> dict[str, Any]:
    """Return all that is told of a release."""
    found: dict[str, Any] = {"TSTR": learned(table, rows), "real": learned(table, table.members)}
    tables = AttackTables.of(
        rows,
        table.members,
        table.controls,
        table.schema.check(table.members),
        target=table.target,
        synthetic=True,
    )
    risks = run_attacks(tables, AttackPlan(), seed=seed)
    if table.study is not None:
        columns = likeness(table.study, rows)
        theirs = [
            float(np.mean([one.ks for one in likeness(table.study, release.rows)]))
            for release in table.study.releases
        ]
        least = min(columns, key=lambda one: one.spread)
        near = closeness(table.study, rows, seed)
        risks = risks | near.figures
        own, control = own_sources(table.study, rows, seed)
        found |= {
            "KS": float(np.mean([one.ks for one in columns])),
            "theirs": min(theirs, default=None),
            "spread": least.spread,
            "of": least.name,
            "own": own,
            "control": control,
            "nearer": near.figures["membership/nearest_person"].value,
            "members": table.members.height / (table.members.height + table.controls.height),
        }
    judged = adjusted(risks)
    tested = {key: one.adjusted for key, one in judged.items() if one.adjusted is not None}
    least = min(tested, key=lambda key: tested[key])
    return found | {
        "tests": len(tested),
        "evidence": [key for key, one in judged.items() if outcome(one) is Outcome.EVIDENCE],
        "least p": f"{tested[least]:.2g} of {least}; by itself {judged[least].p_value:.2g}",
    }


def learned(table: People, rows: pl.DataFrame) -> float:
    """Return how well gradient boosting tells the class of control rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    features = [name for name in rows.columns if name != table.target]
    order = {
        name: table.members[name].drop_nulls().unique().sort().to_list()
        for name in features
        if not rows[name].dtype.is_numeric()
    }
    columns = [
        pl.col(name).replace_strict(order[name], range(len(order[name])), default=None)
        if name in order
        else pl.col(name)
        for name in features
    ]

    def matrix(part: pl.DataFrame) -> np.ndarray[Any, Any]:
        return part.select(column.cast(pl.Float64) for column in columns).to_numpy()

    places = [place for place, name in enumerate(features) if name in order]
    model = HistGradientBoostingClassifier(categorical_features=places, random_state=0)
    model.fit(matrix(rows), rows[table.target].to_numpy())
    truth = table.controls[table.target].to_numpy()
    if table.study is not None:
        return float((model.predict(matrix(table.controls)) == truth).mean())
    chances = model.predict_proba(matrix(table.controls))[:, 1]
    return float(roc_auc_score(truth == model.classes_[1], chances))


def own_sources(data: DataSet, rows: pl.DataFrame, seed: int) -> tuple[float, float]:
    """Return the share of rows nearest to the training row of their number, and of other orders."""
    members, made = (
        table[data.features].to_numpy().astype(float) for table in (data.members, rows)
    )
    scale = members.std(axis=0)
    scale[scale == 0] = 1.0
    _, nearest = cKDTree(members / scale).query(made / scale)
    random = np.random.default_rng(seed)
    number = np.arange(len(members))
    others = [float((random.permutation(nearest) == number).mean()) for _ in range(ORDERS)]
    return float((nearest == number).mean()), max(others)


def line(name: str, found: dict[str, Any]) -> str:
    """Return a line of the table."""
    text = f"{name:24} {found['cpu']:6.1f} s  TSTR {found['TSTR']:.3f} real {found['real']:.3f}"
    if "KS" in found:
        theirs = "–" if found["theirs"] is None else f"{found['theirs']:.3f}"
        text += (
            f"  KS {found['KS']:.3f} theirs {theirs}  spread {found['spread']:.2f} {found['of']}"
            f"  own {1000 * found['own']:.1f} control {1000 * found['control']:.1f}"
            f"  nearer {found['nearer']:.3f} of {found['members']:.3f}"
        )
    evidence = ", ".join(found["evidence"]) or "none"
    return f"{text}  tests {found['tests']}  evidence {evidence} (least p {found['least p']})"


def main() -> None:
    """Read the command line, make what is not there yet, print all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of tables")
    parser.add_argument("--figures", type=Path, required=True, help="file that keeps all figures")
    keys = [*STUDIED, "heart"]
    parser.add_argument("--tables", nargs="+", choices=keys, default=keys)
    parser.add_argument("--only", nargs="+", choices=tuple(TECHNIQUES), default=list(CHOSEN))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--declared", action="store_true", help="use what is public of a table")
    arguments = parser.parse_args()
    kept = {}
    if arguments.figures.exists():
        kept = json.loads(arguments.figures.read_text("utf-8"))
    for key in arguments.tables:
        known = DECLARED.get(key) if arguments.declared else None
        table = None
        for name in arguments.only:
            for seed in arguments.seeds:
                title = f"{key} {name} {seed}{' declared' if known else ''}"
                if title not in kept:
                    table = people(arguments.data, key) if table is None else table
                    since = time.process_time()
                    rows, model = drawn(table, name, seed, known)
                    spent = time.process_time() - since
                    warned = [one for one in model.describe() if one.startswith("Warning")]
                    kept[title] = {"cpu": spent, **figures(table, rows, seed), "warns": warned}
                    text = json.dumps(kept, indent=1)
                    arguments.figures.write_text(text + "\n", "utf-8")
                print(line(title, kept[title]), flush=True)


if __name__ == "__main__":
    main()
