"""The study's data sets: whom its releases were made from, whom not, and the releases."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.model_selection import train_test_split

__all__ = ["STUDIED", "DataSet", "Release", "read_data_set", "with_release"]


@dataclass(frozen=True)
class Studied:
    """What is known of a data set before its files are read.

    ``views`` are the columns that the study's two linking parties hold.
    """

    title: str
    target: str
    quasi_identifiers: tuple[str, ...]
    table: str
    shipped: bool
    views: tuple[tuple[str, str], tuple[str, str]]


#: By the name that the files begin with.
STUDIED = {
    "obesity": Studied(
        "Obesity",
        "NObeyesdad",
        ("Gender", "Age", "Height", "Weight"),
        "obesity.csv.gz",
        shipped=True,
        views=(("Gender", "FAF"), ("Age", "FCVC")),
    ),
    "backpain": Studied(
        "Lower back pain",
        "Class_att",
        ("pelvic_incidence", "pelvic_tilt", "lumbar_lordosis_angle", "sacral_slope"),
        "lower_back_pain.csv.gz",
        shipped=True,
        views=(("pelvic_incidence", "pelvic_tilt"), ("sacral_slope", "pelvic_radius")),
    ),
    "cardio": Studied(
        "Cardiovascular disease",
        "cardio",
        ("age", "gender", "height", "weight"),
        "cardio.csv.gz",
        shipped=False,
        views=(("gender", "smoke"), ("age", "cholesterol")),
    ),
}
_SHIPPED = {"ae": "Autoencoder (AE)", "vae": "Variational autoencoder (VAE)"}
_SEED_OF_SPLIT = 42


@dataclass(frozen=True)
class Release:
    """One table that was made from a data set's members.

    ``key`` is "ae" or "vae" for the study's own and the file's stem for others.
    """

    key: str
    title: str
    rows: pl.DataFrame = field(repr=False)
    shipped: bool


@dataclass(frozen=True)
class DataSet:
    """Members, controls and releases of one data set.

    ``split`` says in words how the people were split, and what of it was checked.
    """

    key: str
    title: str
    target: str
    quasi_identifiers: tuple[str, ...]
    members: pl.DataFrame = field(repr=False)
    controls: pl.DataFrame = field(repr=False)
    releases: tuple[Release, ...]
    split: str

    @property
    def features(self) -> list[str]:
        """All columns but the target."""
        return [name for name in self.members.columns if name != self.target]


def read_data_set(folder: Path, key: str) -> DataSet:
    """Read one data set of the study with the releases that were shipped."""
    studied = STUDIED[key]
    reference = folder / "reference"
    if studied.shipped:
        members = _read(reference / f"{key}_train.csv.gz")
        controls = _read(reference / f"{key}_control.csv.gz")
        releases = tuple(
            Release(kind, title, _read(reference / f"{key}_{kind}_synthetic.csv.gz"), shipped=True)
            for kind, title in _SHIPPED.items()
        )
        split = "The split is the study's own, 80/20, as shipped."
    else:
        table = _read(folder / studied.table)
        chosen, aside = train_test_split(
            np.arange(table.height), test_size=0.2, random_state=_SEED_OF_SPLIT
        )
        members, controls, releases = table[chosen], table[aside], ()
        split = "The table was split 80/20 with random_state 42, as the study did"
        shown = reference / f"{key}_control_standardised.csv.gz"
        split += _checked(controls, _read(shown)) if shown.exists() else "."
    return DataSet(
        key,
        studied.title,
        studied.target,
        studied.quasi_identifiers,
        members,
        controls,
        releases,
        split,
    )


def with_release(data: DataSet, path: Path) -> DataSet:
    """Return the data set with one more release, read from a file of the same columns."""
    rows = _read(path)
    absent = [name for name in data.members.columns if name not in rows.columns]
    if absent:
        raise SystemExit(f"{path.name}: lacks {', '.join(absent)}, which {data.key} has")
    rows = rows.select(data.members.columns)
    wrong = [name for name in rows.columns if not rows[name].dtype.is_numeric()]
    wrong += [name for name in rows.columns if name not in wrong and rows[name].has_nulls()]
    if wrong:
        raise SystemExit(
            f"{path.name}: {', '.join(wrong)} must hold a number in every row, as in the source"
        )
    known = set(data.members[data.target].unique())
    if not set(rows[data.target].unique()) <= known:
        raise SystemExit(f"{path.name}: {data.target} holds values that are no class of the source")
    key = path.name.removesuffix(".gz").removesuffix(".csv")
    if key in {release.key for release in data.releases}:
        raise SystemExit(f"{path.name}: {data.key} has a release {key!r} already; rename the file")
    release = Release(key, key, rows, shipped=False)
    return DataSet(**{**vars(data), "releases": (*data.releases, release)})


def _read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema_length=None)


def _checked(controls: pl.DataFrame, shown: pl.DataFrame) -> str:
    """Say whether the shipped, standardised control rows are ours, up to the standardising."""
    if controls.height != shown.height:
        return ", but its shipped control has another number of rows."
    alike = [
        abs(np.corrcoef(controls[name].to_numpy(), shown[name].to_numpy())[0, 1]) > 1 - 1e-9
        for name in controls.columns
    ]
    if all(alike):
        return "; its shipped control, which is standardised, holds the same people row by row."
    return ", but its shipped control, which is standardised, holds other people."
