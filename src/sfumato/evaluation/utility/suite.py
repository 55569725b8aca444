"""Everything that is asked of a release's use, in one call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import polars as pl

from sfumato.evaluation.figures import Figure
from sfumato.evaluation.utility.binning import BinnedColumn, bin_columns
from sfumato.evaluation.utility.dependence import Associations, association_change
from sfumato.evaluation.utility.design import Formula, read_formula, strongest_columns
from sfumato.evaluation.utility.distances import NumberDistances, number_distances
from sfumato.evaluation.utility.footing import CONTROL, REAL, UtilityTables
from sfumato.evaluation.utility.groups import Groups, group_columns, group_fidelity
from sfumato.evaluation.utility.marginals import Dependence, Marginals, marginal_fidelity
from sfumato.evaluation.utility.neighbours import Neighbourhood, neighbour_coverage
from sfumato.evaluation.utility.paired_learning import PairedLearning, learn_in_pairs
from sfumato.evaluation.utility.propensity import Propensity, propensity_scores
from sfumato.evaluation.utility.queries import Queries, answer_queries, range_counts
from sfumato.evaluation.utility.rare_values import RareValues, rare_value_fidelity
from sfumato.evaluation.utility.records import Record, random_stream
from sfumato.evaluation.utility.regression import Regression, regression_agreement
from sfumato.evaluation.utility.settings import Part, UtilitySettings
from sfumato.evaluation.utility.threads import one_thread
from sfumato.progress import Progress, silent
from sfumato.table import Schema

__all__ = ["Utility", "utility"]

Found = TypeVar("Found")
_STRONGEST = 6
_ROWS_TO_CHOOSE = 20_000


@dataclass(frozen=True)
class Utility(Record):
    """What a release is still good for; a part that was not asked for is None.

    Parameters
    ----------
    marginals, distances, associations, propensity, coverage, rare, groups, learning, regression,
    queries
        The parts, each with its figures and its tables.
    rows
        Real, released and, if there are any, control rows.
    spelled_out
        Columns with generalized cells, which were spread evenly over the values they cover.
    lost
        Columns that the release does not have.
    notes
        What could not be compared, a sentence each.
    seconds_cpu
        Processor time of each part.
    """

    rows: tuple[int, ...]
    spelled_out: tuple[str, ...]
    lost: tuple[str, ...]
    notes: tuple[str, ...]
    seconds_cpu: dict[str, float]
    marginals: Marginals | None = None
    distances: NumberDistances | None = None
    associations: Associations | None = None
    propensity: Propensity | None = None
    coverage: Neighbourhood | None = None
    rare: RareValues | None = None
    groups: Groups | None = None
    learning: PairedLearning | None = None
    regression: Regression | None = None
    queries: Queries | None = None

    @property
    def figures(self) -> dict[str, Figure]:
        """All figures by their keys."""
        parts = (
            self.marginals,
            self.distances,
            self.associations,
            self.propensity,
            self.coverage,
            self.rare,
            self.groups,
            self.learning,
            self.regression,
            self.queries,
        )
        found: dict[str, Figure] = {}
        for part in parts:
            if part is not None:
                found |= part.figures
        return found


def utility(
    released: pl.DataFrame,
    real: pl.DataFrame,
    control: pl.DataFrame | None,
    schema: Schema,
    *,
    target: str | None = None,
    settings: UtilitySettings | None = None,
    control_as_released: pl.DataFrame | None = None,
    schema_as_released: Schema | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Utility:
    """Measure what a release is still good for.

    Parameters
    ----------
    released
        The released rows, whoever made them.
    real, control
        The real rows that it was made from, and real rows of other people, in the words of the
        source: generalized cells are spelled out. Or both as the release writes them: then all is
        compared at its granularity. ``control`` gives each figure its noise floor, and tests what
        was learned.
    schema
        Of the real rows: identifiers are left out, hierarchies tell what generalized cells mean.
    target
        The column to learn and to explain; none by default.
    settings
        What to measure, and how finely.
    control_as_released
        The same control rows, in the same order, as the release writes them, for a model that
        learned from it; ``control`` by default.
    schema_as_released
        Schema of the release; ``schema`` by default.
    seed
        Of every random step; each has random numbers of its own.
    progress
        Told how far the work is.

    Raises
    ------
    DataError
        If the real or the released table has no row, or no column can be compared.
    SchemaError
        If a named column is absent.
    PlanError
        If a formula or a query cannot be asked of the real rows.
    """
    settings = settings or UtilitySettings()
    tables = UtilityTables.of(
        released, real, control, schema, columns=settings.columns, target=target, seed=seed
    )
    formula = read_formula(settings.formula) if settings.formula else None
    work = _Work(settings, seed, progress)
    binned = bin_columns(tables.columns, bins=settings.bins, values=settings.values)
    marginals = work.do(
        "marginals",
        lambda: marginal_fidelity(
            binned, three_way=settings.three_way, seed=seed, progress=progress
        ),
    )
    associations = work.do("associations", lambda: _associations(tables, binned, marginals))
    learning = work.do(
        "learning",
        lambda: _learning(
            tables, released, real, control, control_as_released, schema_as_released, work
        ),
    )
    return Utility(
        rows=tables.rows,
        spelled_out=tables.spelled_out,
        lost=tables.lost,
        notes=tables.notes,
        marginals=None if marginals is None else marginals[0],
        associations=associations,
        distances=work.do("distances", lambda: number_distances(tables.columns)),
        propensity=work.do(
            "propensity",
            lambda: propensity_scores(
                tables, settings.propensity, most=settings.propensity_rows, seed=seed
            ),
        ),
        coverage=work.do(
            "coverage",
            lambda: neighbour_coverage(
                tables, neighbours=settings.neighbours, most=settings.coverage_rows, seed=seed
            ),
        ),
        rare=work.do(
            "rare",
            lambda: rare_value_fidelity(
                tables.columns, share=settings.rare_share, people=settings.rare_people
            ),
        ),
        groups=work.do(
            "groups",
            lambda: group_fidelity(
                group_columns(tables, settings.groups), binned, rows=settings.group_rows
            ),
        ),
        learning=learning,
        regression=work.do(
            "regression",
            lambda: regression_agreement(tables, formula or _default_formula(tables, seed)),
        ),
        queries=work.do("queries", lambda: _queries(tables, binned, settings, seed)),
        seconds_cpu=work.seconds,
    )


class _Work:
    """Does the parts that were asked for and notes how long each took."""

    def __init__(self, settings: UtilitySettings, seed: int, progress: Progress) -> None:
        self.settings, self.seed, self.progress = settings, seed, progress
        self.seconds: dict[str, float] = {}

    def do(self, part: Part, measure: Callable[[], Found]) -> Found | None:
        if part not in self.settings.parts:
            return None
        started = time.process_time()
        self.progress(f"measuring use: {part}", 0, 1)
        with one_thread():
            found = measure()
        self.progress(f"measuring use: {part}", 1, 1)
        self.seconds[part] = time.process_time() - started
        return found


def _associations(
    tables: UtilityTables,
    binned: tuple[BinnedColumn, ...],
    marginals: tuple[Marginals, Dependence] | None,
) -> Associations:
    if marginals is None:
        marginals = marginal_fidelity(binned, three_way=0)
    return association_change(tables.columns, marginals[1], target=tables.target)


def _learning(
    tables: UtilityTables,
    released: pl.DataFrame,
    real: pl.DataFrame,
    control: pl.DataFrame | None,
    control_as_released: pl.DataFrame | None,
    schema_as_released: Schema | None,
    work: _Work,
) -> PairedLearning:
    settings = work.settings
    names = [column.name for column in tables.columns]
    shown = control if control_as_released is None else control_as_released
    own = names if shown is None else [name for name in names if name in shown.columns]
    groups, called = {}, {}
    if control is not None and not control.is_empty():
        for by in group_columns(tables, settings.groups):
            counts = np.bincount(by.codes[REAL], minlength=by.size)
            codes = by.codes[CONTROL].astype(np.int64)
            groups[by.name] = np.where(counts[codes] >= settings.group_rows, codes, -1)
            called[by.name] = by.called
    if control is not None and control.height > settings.test_rows:
        drawn = random_stream(work.seed, "learning", "test").permutation(control.height)
        rows = np.sort(drawn[: settings.test_rows])
        if shown is not None and shown.height == control.height:
            shown = shown[rows]
        control = control[rows]
        groups = {name: codes[rows] for name, codes in groups.items()}
    known = schema_as_released or tables.schema
    return learn_in_pairs(
        released.select(own),
        real.select(names),
        None if control is None else control.select(names),
        tables.schema.select([name for name in tables.schema.columns if name in names]),
        target=tables.target,
        models=settings.models,
        test_as_released=None if shown is None else shown.select(own),
        schema_as_released=known.select([name for name in known.columns if name in own]),
        groups=groups,
        group_names=called,
        most=settings.learning_rows,
        bootstrap=max(settings.bootstrap, 200),
        seed=work.seed,
        progress=work.progress,
    )


def _default_formula(tables: UtilityTables, seed: int) -> Formula | None:
    """Return the target on the columns that go with it most strongly among the real rows."""
    from sfumato.evaluation.association import associations

    if tables.target is None:
        return None
    random = random_stream(seed, "regression", "formula")
    rows = np.sort(random.permutation(tables.rows[REAL])[:_ROWS_TO_CHOOSE])
    columns = [
        replace(column, content=(column.content[REAL][rows],), state=(column.state[REAL][rows],))
        for column in tables.columns
    ]
    names = [column.name for column in columns]
    strength = associations(columns)[0][names.index(tables.target)]
    return strongest_columns(tables.target, names, strength, _STRONGEST)


def _queries(
    tables: UtilityTables,
    binned: tuple[BinnedColumn, ...],
    settings: UtilitySettings,
    seed: int,
) -> Queries:
    asked = answer_queries(tables, settings.queries, bootstrap=settings.bootstrap, seed=seed)
    ranges = range_counts(binned, queries=settings.range_queries, seed=seed)
    return Queries(asked.figures | ranges, asked.answers)
