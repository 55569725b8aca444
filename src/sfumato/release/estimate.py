"""A rough guess of time and memory before long work, from the size of the source alone.

The constants were measured once, on two cores of a cloud machine, with the heart survey (237,630
rows, 35 columns); for models of noisy counts with Adult and Diabetes too, for networks and latent
factors with these and the small tables of obesity and back pain. They tell minutes from hours; they
do not tell four minutes from five.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import PlanError
from sfumato.release.parallel import crew_size
from sfumato.release.registry import makes, technique

if TYPE_CHECKING:
    from sfumato.release.plan import LearningPlan, Plan, ReleasePlan

__all__ = ["Estimate", "EstimatedStep", "estimate", "estimate_of"]

_READ = {".parquet": 2e-8, "other": 1e-7}  # seconds per cell
# Fitting a model to counts takes as long for a million rows as for this many; in seconds, and less
# for fewer rows.
_FIT_ONCE = {"dp-latent-factor": 10.0}
_ROWS_OF_ONCE = 30_000
_ROUND, _ROUND_PAIR = 0.054, 0.0037  # seconds per round of dp-marginals, and per pair of columns
_MOST_ROUNDS = 80
_FIT_AND_APPLY = {
    "cell-suppression": 2e-6,
    "clean": 1e-9,
    "copula": 5e-7,
    "dp-latent-factor": 2.4e-6,
    "dp-marginals": 2e-6,
    "full-domain": 5e-7,
    "k-member": 5e-6,
    "knn-cluster": 5e-6,
    "local-latent-factor": 1e-6,
    "local-recoding": 8e-6,
    "microaggregation": 5e-6,
    "mondrian": 2.2e-7,
    "oka": 3e-6,
    "ola": 5e-7,
    "research-subset": 1e-7,
    "rules": 7e-8,
    "stratified-sampling": 1e-7,
    "top-down-greedy": 3e-6,
    "trees": 3e-6,
}
_UNKNOWN_TECHNIQUE = 1e-6
# Networks take epochs, chains take turns: see _trained.
_TRAINED = ("autoencoder", "latent-factor", "vae")
_DRAWN = 1.1e-6  # seconds per drawn cell of such a model
_VAE_CELL, _VAE_STEP = 3e-6, 3.5e-3  # seconds per cell read, and per step
_VAE_STEPS, _VAE_EPOCHS = 1_400, 20  # of a training whose length is not given
_AUTOENCODER_CELL, _AUTOENCODER_STEP = 4e-7, 1.2e-3
_AUTOENCODER_EPOCHS = ((1_000, 1_000), (20_000, 400), (math.inf, 60))  # it stops early, about there
_PASS = 100_000  # most rows of an epoch
_FACTOR_CELL, _FACTOR_TURN = 9e-7, 1.5e-3  # seconds per cell and turn, and per column and turn
_FACTOR_TRIALS, _FACTOR_DRAW = 150, 8  # turns that choose the factors; from one draw to the next
_TORCH = 250e6  # bytes
_MEASURE = 2.4e-6  # fidelity, classes and hashes, seconds per cell
_ATTACK = 4.5e-7  # seconds per attack and released cell
_ATTACKED = 1e-5  # seconds per attack and cell of the people attacked
_CLOSEST = 1.2e-8  # seconds per cell and hundred sampled rows
_REPORT = 4.0  # seconds per release
_SHOWN = 6  # releases that a report with a frontier shows side by side
_ESTIMATOR = {  # seconds per cell
    "decision-tree": 6e-6,
    "gradient-boosting": 2.2e-7,
    "logistic-regression": 3.5e-8,
    "naive-bayes": 2.4e-8,
    "random-forest": 3.5e-5,
}
_OTHER_ESTIMATOR = 1e-5
_SMOTE = 1e-7  # seconds per cell
_WEIGHT = 1.5e-10  # the network, seconds per weight, row and epoch
_ROW = 1.5e-6  # the same per row and epoch, whatever its size
_STEP = 5e-4  # seconds per step of a batch
_USUAL_EPOCHS = 25  # early stopping ends it about there
_BYTES_PER_CELL = 110  # source, release, recoded rows and matrices together
_LIBRARIES = 500e6  # bytes, before a row is read
_FEATURES_PER_COLUMN = 2  # categories become several numbers
_GZIP = 8  # how much larger a text is than its gzip


@dataclass(frozen=True)
class EstimatedStep:
    """One part of the work.

    Parameters
    ----------
    what
        In words.
    seconds
        Processor time on one machine like ours.
    release
        The release that it is for; empty for what is done once.
    """

    what: str
    seconds: float
    release: str = ""


@dataclass(frozen=True)
class Estimate:
    """What a plan is likely to take.

    Parameters
    ----------
    rows, columns
        Of the source; None where only reading it would tell (a database, an Excel file).
    steps
        The parts of the work in order; empty if the size is not known.
    bytes_at_peak
        Memory of one process; None if the size is not known.
    jobs
        Releases that are made at the same time, each in a process of its own.
    releases
        How many are made.
    """

    rows: int | None
    columns: int | None
    steps: tuple[EstimatedStep, ...]
    bytes_at_peak: float | None
    jobs: int = 1
    releases: int = 1

    @property
    def seconds(self) -> float:
        """All parts together."""
        return sum(step.seconds for step in self.steps)

    @property
    def by_release(self) -> dict[str, float]:
        """Seconds for each release."""
        found: dict[str, float] = {}
        for step in self.steps:
            if step.release:
                found[step.release] = found.get(step.release, 0.0) + step.seconds
        return found

    @property
    def elapsed(self) -> float:
        """Seconds on the clock: the first release alone, the others as processes come free."""
        first, *others = self.by_release.values() or (0.0,)
        once = self.seconds - sum(self.by_release.values())
        busy = [0.0] * max(1, self.jobs)
        for seconds in sorted(others, reverse=True):
            busy[busy.index(min(busy))] += seconds
        return once + first + max(busy)

    def describe(self) -> tuple[str, ...]:
        """Return the estimate in words, a line each."""
        if self.rows is None or self.columns is None or self.bytes_at_peak is None:
            return ("how long it takes cannot be told before the source is read",)
        longest = max(self.steps, key=lambda step: step.seconds)
        together = ""
        if self.jobs > 1:
            together = (
                f", {self.releases} releases, {self.jobs} at a time "
                f"({_time(self.seconds)} of processor time)"
            )
        # The process that hands out the work holds the table too.
        needed = self.bytes_at_peak * (self.jobs + 1 if self.jobs > 1 else 1)
        return (
            f"about {self.rows:,} rows, {self.columns} columns",
            f"roughly {_time(self.elapsed)} and {needed / 1e9:.1f} GB of memory{together}",
            f"the longest part is {longest.what} ({_time(longest.seconds)})",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as plain JSON values."""
        return {**asdict(self), "seconds": self.seconds, "elapsed": self.elapsed}


def estimate(plan: Plan, jobs: int | None = 1) -> Estimate:
    """Guess how long a plan takes, without reading its source.

    Parameters
    ----------
    plan
        The plan; of a file source only its size and its first lines are looked at.
    jobs
        As in :func:`sfumato.release.running.run`.
    """
    size = _size(plan)
    if size is None:
        return Estimate(None, None, (), None)
    found = estimate_of(plan, *size)
    releases = len(found.by_release)
    return replace(found, jobs=crew_size(jobs, releases, found.bytes_at_peak), releases=releases)


def estimate_of(plan: Plan, rows: int, columns: int) -> Estimate:
    """Guess how long a plan takes for a table of this size, in one process.

    Parameters
    ----------
    plan
        The plan; a search counts with its rounds.
    rows, columns
        Of the source.
    """
    cells = rows * columns
    suffix = Path(plan.source.path or "").suffix
    steps = [EstimatedStep("reading the source", cells * _READ.get(suffix, _READ["other"]))]
    rounds, chosen = _search(plan, rows)
    for tried, sample in rounds:
        # What is left of the releases is not known: on average they are as long as all.
        of_all = [
            sum(step.seconds for step in _release_steps(plan, release, sample, columns))
            for release in plan.releases
        ]
        share = tried / len(plan.releases)
        steps.append(EstimatedStep(f"a search on {sample:,} rows", sum(of_all) * share))
    for release in chosen:
        steps += _release_steps(plan, release, rows, columns)
    steps.append(EstimatedStep("the study's report", _REPORT * min(len(chosen), _SHOWN)))
    networks = any(release.technique in ("autoencoder", "vae") for release in plan.releases)
    memory = _LIBRARIES + cells * _BYTES_PER_CELL + (_TORCH if networks else 0.0)
    return Estimate(rows, columns, tuple(steps), memory)


def _search(plan: Plan, rows: int) -> tuple[list[tuple[int, int]], tuple[ReleasePlan, ...]]:
    """Return the rounds of a search, (releases, rows), and the releases of the whole table."""
    from sfumato.release.search import search, sizes

    wanted = plan.frontier
    if wanted is None or wanted.search == "grid":
        return [], plan.releases
    if wanted.search == "random":
        names = search(plan, rows, lambda _names, _rows: {}).chosen
        return [], tuple(plan.release(name) for name in names)
    trained = round(rows * (1 - plan.control))
    halved = sizes(len(plan.releases), wanted.candidates, wanted.rows, trained)
    tried = [len(plan.releases), *(count for count, _ in halved)]
    rounds = [(count, sample) for count, (_, sample) in zip(tried, halved, strict=False)]
    ordered = sorted(
        plan.releases[1:],
        key=lambda one: -sum(step.seconds for step in _release_steps(plan, one, rows, 2)),
    )
    return rounds, (plan.releases[0], *ordered[: wanted.candidates - 1])


def _release_steps(
    plan: Plan, release: ReleasePlan, rows: int, columns: int
) -> list[EstimatedStep]:
    cells = rows * columns
    made = _making(release, rows, columns)
    closest = plan.evaluation.risk.sample / 100 * cells * _CLOSEST
    measured = cells * _MEASURE + closest + _REPORT + _attacks(plan, rows, columns)
    steps = [
        EstimatedStep(f"making {release.name!r}", made, release.name),
        EstimatedStep(f"measuring {release.name!r}", measured, release.name),
    ]
    learning = plan.evaluation.learning
    has_target = (plan.evaluation.target or plan.schema.target) is not None
    if learning is not None and has_target and plan.control > 0:
        rows_released = release.rows or rows * (1 - plan.control)
        for model in learning.models:
            steps += [
                EstimatedStep(
                    f"training {model} on {release.name!r} ({protocol})",
                    _training(learning, model, protocol, rows_released, columns),
                    release.name,
                )
                for protocol in learning.protocols_of(release.name)
            ]
    return steps


def _fitted_once(release: ReleasePlan, columns: int) -> float:
    """Return the seconds of fitting a model to counts, for many rows."""
    if release.technique != "dp-marginals":
        return _FIT_ONCE.get(release.technique, 0.0)
    given = release.settings.get("rounds")
    rounds = given if isinstance(given, int) else min(4 * columns, _MOST_ROUNDS)
    return rounds * (_ROUND + _ROUND_PAIR * columns * (columns - 1) / 2)


def _making(release: ReleasePlan, rows: int, columns: int) -> float:
    """Return the seconds of fitting a technique and applying it, or drawing from it."""
    cells = rows * columns
    if release.technique in _TRAINED:
        drawn = cells if release.rows is None else release.rows * columns
        return _trained(release, rows, columns) + drawn * _DRAWN
    per_cell = _FIT_AND_APPLY.get(release.technique, _UNKNOWN_TECHNIQUE)
    # Splitting rows into classes sorts them.
    per_cell *= max(1.0, math.log2(max(rows, 2)) / 18)
    made = cells * per_cell + _fitted_once(release, columns) * min(1.0, rows / _ROWS_OF_ONCE)
    if makes(technique(release.technique)) == "generator" and release.rows is not None:
        made += release.rows * columns * per_cell
    return made


def _trained(release: ReleasePlan, rows: int, columns: int) -> float:
    """Return the seconds of the epochs or turns that a model is likely to be trained for.

    Training may stop early, and does where few rows are soon learned too well.
    """

    def setting(name: str, usual: int) -> int:
        given = release.settings.get(name)
        return int(given) if isinstance(given, int) else usual

    if release.technique == "latent-factor":
        fitted = min(rows, int(1.3 * setting("most_rows", 8_000)))
        turns = setting("turns", 100)
        read = turns * fitted + _FACTOR_TRIALS * min(rows, 2_000)
        drawn = _FACTOR_DRAW * setting("posterior", 0)
        turns += _FACTOR_TRIALS + drawn
        return columns * ((read + drawn * rows) * _FACTOR_CELL + turns * _FACTOR_TURN)
    taken = min(rows, setting("rows_per_epoch", _PASS))
    if release.technique == "vae":
        batch = min(setting("batch_size", 512), max(32, rows // 20))
        usual = max(_VAE_EPOCHS, math.ceil(_VAE_STEPS * batch / max(taken, 1)))
        epochs = setting("epochs", usual)
        return epochs * taken * (columns * _VAE_CELL + _VAE_STEP / batch)
    usual = next(many for most, many in _AUTOENCODER_EPOCHS if rows < most)
    epochs = min(setting("epochs", usual), usual)
    batch = setting("batch_size", 32 if rows < _AUTOENCODER_EPOCHS[1][0] else 256)
    return epochs * taken * (columns * _AUTOENCODER_CELL + _AUTOENCODER_STEP / batch)


def _attacks(plan: Plan, rows: int, columns: int) -> float:
    """Return the seconds of all attacks on one release."""
    from sfumato.evaluation.attacks.suite import attack_names

    attacks = plan.evaluation.attacks
    if attacks.most == 0 or plan.control == 0:
        return 0.0
    many = len(attack_names() if attacks.only is None else attacks.only)
    people = sum(min(attacks.most, rows * share) for share in (plan.control, 1 - plan.control))
    return many * columns * (rows * _ATTACK + people * _ATTACKED)


def _training(
    learning: LearningPlan, model: str, protocol: str, rows: float, columns: int
) -> float:
    features = columns * _FEATURES_PER_COLUMN
    smote = 0.0
    if protocol != "honest":  # rows are made until the classes are even
        smote = rows * features * _SMOTE
        rows *= 1.8
    if model != "mlp":
        return smote + rows * features * _ESTIMATOR.get(model, _OTHER_ESTIMATOR)
    hidden = learning.network.get("hidden", (256, 128, 64))
    layers = (features, *hidden, 1)
    weights: int = sum(before * after for before, after in pairwise(layers))
    epochs = min(int(learning.network.get("epochs", 100)), _USUAL_EPOCHS)
    per_row = _ROW + _STEP / int(learning.network.get("batch_size", 256)) + weights * _WEIGHT
    return smote + rows * epochs * per_row


def _size(plan: Plan) -> tuple[int, int] | None:
    """Return the source's rows and columns, exactly or nearly, or None."""
    import polars as pl

    source = plan.source
    if source.path is None:
        return None
    path = plan.base / source.path
    if path.suffix == ".parquet":
        try:
            table = pl.scan_parquet(path)
            rows = int(table.select(pl.len()).collect().item())
            columns = len(table.collect_schema())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise PlanError(f"{path} is not a Parquet file that can be read") from error
    elif path.suffix in (".xlsx", ".xls"):
        return None
    else:
        rows, columns = _text_size(path, source.delimiter)
    return (rows if source.n_rows is None else min(rows, source.n_rows)), columns


def _text_size(path: Path, delimiter: str | None) -> tuple[int, int]:
    """Return a text's rows and columns as its first lines let one think."""
    import gzip

    compressed = path.suffix == ".gz"
    with gzip.open(path) if compressed else path.open("rb") as file:
        start = file.read(1 << 18)
    lines = start.split(b"\n")
    bytes_in_all = path.stat().st_size * (_GZIP if compressed else 1)
    per_line = max(1.0, len(start) / max(1, len(lines) - 1))
    found = delimiter.encode() if delimiter else max((b",", b";", b"\t", b"|"), key=lines[0].count)
    return max(0, round(bytes_in_all / per_line) - 1), lines[0].count(found) + 1


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
