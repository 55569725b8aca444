"""What gradient boosting learns from guided groups and from other techniques' at equal k.

Every release is made of the same training rows and judged on the same test rows, which nothing has
seen. ``raw`` test rows are as people would give them: values that are exact where the release shows
an interval (read as its middle) and that are unknown where it shows a group of categories.
``recoded`` test rows went through the release's own recoding. Each cell of the table is kept in a
file of its own, so that a broken run goes on where it stopped.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

SEEDS = 3
TECHNIQUES = ("guided", "mondrian", "local-recoding", "full-domain")


def tables(folder: Path, name: str, rows: int):
    """Return train and test rows, the schema, that with bands of numbers, and the target.

    The last 30 % of a shuffled table are test rows. Of the others at most ``rows`` are learned
    from, the same share of each class.
    """
    from sfumato.table import Hierarchy, Schema

    def read(column: str) -> Hierarchy:
        of = name.partition("-")[0]
        return Hierarchy.read(folder / "hierarchies" / f"{of}_hierarchy_{column}.csv")

    if name.startswith("diabetes"):
        table, target = pl.read_csv(folder / "diabetes_prediction.csv.gz"), "diabetes"
        quasi = {"gender": None, "age": None, "bmi": None}
        if name == "diabetes-6":  # those of anonymize.py
            quasi |= {"hypertension": None, "heart_disease": None}
            quasi["smoking_history"] = read("smoking_history")
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
    table = table.sample(fraction=1.0, seed=1, shuffle=True)
    train, test = table[: int(0.7 * table.height)], table[int(0.7 * table.height) :]
    if rows < train.height:
        share = pl.col(target).cum_count().over(target) <= pl.len().over(target) * (
            rows / train.height
        )
        train = train.filter(share)
    schemas = (
        Schema(quasi_identifiers=one, target=target, rest="other") for one in (quasi, banded)
    )
    return train, test, *schemas, target


def learned(
    train: pl.DataFrame, tests: dict[str, pl.DataFrame], schema: Any, target: str
) -> dict[str, np.ndarray]:
    """Return for each table of test rows how people stand among those of the other class.

    The share of the other class below a positive, or above a negative one (half of those equal),
    shape (n,), the mean over some seeds of gradient boosting. The mean over positives, or over
    negatives, is the area under the curve; so DeLong's error follows from them.
    """
    from scipy.stats import rankdata
    from sklearn.ensemble import HistGradientBoostingClassifier

    from sfumato.table import prepare

    prepared = prepare(train, schema, target=target)
    X, y = prepared.matrix(train), train[target].to_numpy()
    found = {name: np.zeros(rows.height) for name, rows in tests.items()}
    for seed in range(SEEDS):
        model = HistGradientBoostingClassifier(random_state=seed).fit(X, y)
        for name, rows in tests.items():
            sure = model.predict_proba(prepared.matrix(rows))[:, 1]
            positive = rows[target].to_numpy() == 1
            among = rankdata(sure)
            for mine, sign in ((positive, 1), (~positive, -1)):
                own = rankdata(sure[mine])
                below = (among[mine] - own) / (~mine).sum()
                found[name][mine] += (below if sign > 0 else 1 - below) / SEEDS
    return found


def auc(places: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under the curve."""
    return float(places[positive].mean())


def error_of_difference(one: np.ndarray, other: np.ndarray, positive: np.ndarray) -> float:
    """Return the standard error of a difference of areas on the same rows (DeLong et al. 1988)."""
    apart = one - other
    return float(
        np.sqrt(sum(apart[mine].var(ddof=1) / mine.sum() for mine in (positive, ~positive)))
    )


def technique_of(name: str, k: int):
    """Return the settings of a technique, and whether it needs bands of numbers."""
    from sfumato.anonymization import FullDomain, Guided, LocalRecoding, Mondrian

    if name == "mondrian":
        return Mondrian(k=k), False
    if name == "full-domain":
        return FullDomain(k=k, suppression_limit=0.05), True
    if name == "local-recoding":
        return LocalRecoding(k=k), False
    settings: dict[str, dict[str, Any]] = {
        "guided": {},
        "guided-scores": {"guide": "scores"},
        "guided-effects": {"guide": "effects"},
        "guided-answers": {"guide": "predictions"},
        "guided-chosen": {"choose": "cross-validation"},
    }
    return Guided(k=k, **settings[name]), False


def make(data: Path, results: Path, name: str, rows: int, ks: list[int], which: list[str]) -> None:
    """Make every release that is not there yet, learn from it and keep what was found."""
    train, test, schema, banded, target = tables(data, name, rows)
    results.mkdir(parents=True, exist_ok=True)

    def keep(title: str, k: int, said: dict[str, Any], found: dict[str, np.ndarray]) -> None:
        positive = test[target].to_numpy() == 1
        said |= {"train": train.height, "test": test.height, "positive": int(positive.sum())}
        place = results / f"{name}_{title}_{k}.npz"
        np.savez_compressed(place, positive=positive, said=json.dumps(said), **found)
        areas = ", ".join(f"{one} {auc(of, positive):.4f}" for one, of in found.items())
        print(f"{name} k {k} {title}: {areas} {said}", flush=True)

    def absent(title: str, k: int) -> bool:
        return not (results / f"{name}_{title}_{k}.npz").exists()

    if absent("original", 0):
        keep("original", 0, {}, learned(train, {"raw": test}, schema, target))
    for k in ks:
        for title in which:
            if not absent(title, k):
                continue
            technique, needs_bands = technique_of(title, k)
            described = banded if needs_bands else schema
            quasi = list(described.quasi_identifiers)
            began = time.process_time()
            recoding = technique.fit(train, described)
            released = recoding.recode(train)
            seconds = time.process_time() - began
            sizes = released.group_by(quasi).len()["len"]
            as_texts = test.with_columns(pl.col(quasi).cast(pl.String))
            tests = {
                "raw": test if title.startswith("guided") else as_texts,
                "recoded": recoding.recode(test),
            }
            said = {
                "classes": len(sizes),
                "smallest": int(sizes.min() or 0),
                "seconds": round(seconds, 1),
            }
            keep(title, k, said, learned(released, tests, recoding.released_schema(), target))


def read(results: Path, name: str) -> dict[tuple[str, int], dict[str, Any]]:
    """Return what was kept of a table, by technique and k."""
    found = {}
    for place in sorted(results.glob(f"{name}_*.npz")):
        title, k = place.stem.removeprefix(f"{name}_").rsplit("_", 1)
        with np.load(place) as stored:
            kept = {one: stored[one] for one in stored.files}
        found[title, int(k)] = kept | {"said": json.loads(str(kept["said"]))}
    return found


def tell(results: Path, names: list[str], ks: list[int]) -> list[dict[str, Any]]:
    """Print the table of all cells, and return it as records for the picture."""
    records = []
    for name in names:
        kept = read(results, name)
        if not kept:
            continue
        original = kept["original", 0]
        positive, said = original["positive"], original["said"]
        whole = auc(original["raw"], positive)
        print(
            f"\n{name}: {said['train']:,} rows to learn, {said['test']:,} to test ("
            f"{said['positive']:,} positive); the original table gives {whole:.4f}"
        )
        titles = list(dict.fromkeys(title for title, k in kept if k))
        for k in ks:
            guided = kept.get(("guided", k))
            for title in titles:
                one = kept.get((title, k))
                if one is None:
                    continue
                areas = {how: auc(one[how], positive) for how in ("raw", "recoded")}
                line = (
                    f"  k {k:4} {title:16} raw {areas['raw']:.4f}  recoded {areas['recoded']:.4f}  "
                    f"{one['said']['classes']:6,} classes {one['said']['seconds']:7.1f} s"
                )
                if guided is not None and title in TECHNIQUES[1:]:
                    apart = auc(guided["raw"], positive) - areas["raw"]
                    error = error_of_difference(guided["raw"], one["raw"], positive)
                    line += f"  guided {apart:+.4f} (standard error {error:.4f})"
                print(line)
                if title in TECHNIQUES:
                    error = error_of_difference(one["raw"], original["raw"], positive)
                    lost = areas["raw"] - whole
                    records.append(
                        {
                            "table": name,
                            "k": k,
                            "technique": title,
                            "lost": lost,
                            "low": lost - 1.96 * error,
                            "high": lost + 1.96 * error,
                        }
                    )
            of_k = {
                title: auc(kept[title, k]["raw"], positive)
                for title in TECHNIQUES
                if (title, k) in kept
            }
            if guided is not None and len(of_k) > 1:
                best = max((title for title in of_k if title != "guided"), key=of_k.__getitem__)
                word = "at least as good as" if of_k["guided"] >= of_k[best] else "behind"
                print(f"  k {k:4} guided is {word} the best other, {best}")
    return records


def picture(records: list[dict[str, Any]], place: Path) -> None:
    """Draw what each technique costs at each k, with intervals of 95 %, as .svg or .png."""
    import altair as alt

    ks = sorted({one["k"] for one in records})
    x = alt.X("technique:N", sort=list(TECHNIQUES), title=None)
    dots = (
        alt.Chart()
        .mark_point(filled=True, size=70)
        .encode(
            x=x,
            y=alt.Y("lost:Q", title="AUC less the original's"),
            color=alt.Color("technique:N", sort=list(TECHNIQUES), legend=None),
        )
    )
    whiskers = alt.Chart().mark_rule().encode(x=x, y="low:Q", y2="high:Q")
    level = alt.Chart().mark_rule(strokeDash=[3, 3]).encode(y=alt.datum(0))
    chart = (
        alt.layer(level, whiskers, dots, data=alt.InlineData(values=records))
        .properties(width=150, height=220)
        .facet(column=alt.Column("k:O", sort=ks, title="k"), row=alt.Row("table:N", title=None))
        .resolve_scale(y="independent")
    )
    place.parent.mkdir(parents=True, exist_ok=True)
    chart.save(place)
