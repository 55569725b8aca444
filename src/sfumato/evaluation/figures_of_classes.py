"""All re-identification figures of a released table, its classes counted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfumato.evaluation.figures import Figure
from sfumato.evaluation.measured_criteria import class_measures
from sfumato.evaluation.population_risk import population_risks
from sfumato.evaluation.reidentification import class_risks
from sfumato.evaluation.small_cells import count_small_cells, small_cell_figures
from sfumato.privacy import EquivalenceClasses
from sfumato.privacy.grouping import polars_frame
from sfumato.table import Role

if TYPE_CHECKING:
    import polars as pl

    from sfumato.table import Schema

__all__ = ["reidentification_figures"]


def reidentification_figures(
    released: Any,
    schema: Schema,
    *,
    threshold: float = 0.2,
    population: pl.DataFrame | None = None,
    population_size: int | None = None,
    cells: bool = True,
    below: int = 11,
    seed: int = 0,
) -> dict[str, Figure]:
    """Return the risks of the classes, what each criterion measures, and the rest of the layer.

    Parameters
    ----------
    released
        The released table, a data frame of any kind; a column of the schema that it lacks is left
        out.
    schema
        Says which columns are quasi-identifiers and which are sensitive (the target among them),
        and whose row is whose.
    threshold
        A row is at risk above this chance of being found, above 0, at most 1.
    population
        The people that the release was drawn from, generalized as it is.
    population_size
        How many they are; with it, who is alone among them is estimated. By default the rows of
        ``population``, if that is given.
    cells
        Whether the small cells of one- and two-way tables of quasi-identifiers and sensitive
        columns are counted.
    below
        A cell of fewer people is small.
    seed
        Of the population models' bootstrap.

    Returns
    -------
    dict of Figure
        Those of :func:`~sfumato.evaluation.class_risks`,
        :func:`~sfumato.evaluation.class_measures`, :func:`~sfumato.evaluation.population_risks`
        and :func:`~sfumato.evaluation.small_cell_figures`, by their keys.

    Raises
    ------
    PlanError
        If the population is smaller than the release.
    DataError
        If the population does not hold the release.
    """
    frame = polars_frame(released)
    quasi = [name for name in schema.quasi_identifiers if name in frame.columns]
    sensitive = [
        name
        for name, column in schema.columns.items()
        if column.role in (Role.SENSITIVE, Role.TARGET) and name in frame.columns
    ]
    person = schema.person if schema.person in frame.columns else None
    classes = EquivalenceClasses.of(frame, quasi, sensitive=sensitive, person=person)
    figures = class_risks(
        frame,
        quasi,
        threshold=threshold,
        person=person,
        population=population,
        classes=classes,
    )
    figures |= class_measures(
        frame, quasi, sensitive, schema=schema, person=person, classes=classes
    )
    if population_size is None and population is not None and person is None:
        population_size = population.height
    if population_size is not None:
        figures |= population_risks(frame, quasi, population_size, classes=classes, seed=seed)
    if cells and (quasi or sensitive):
        found = count_small_cells(frame, [*quasi, *sensitive], below=below, person=person)
        figures |= small_cell_figures(found, below=below)
    return figures
