"""One release of a plan file that stands for many: every combination of the values of a grid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from itertools import product
from typing import Any

from sfumato.errors import PlanError

__all__ = ["GRID", "expanded", "grid_name"]

GRID = "grid"
_MOST = 500
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_SAID_ALONE = ("technique",)


def expanded(values: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return the releases that a ``[[release]]`` of a plan file asks for.

    Parameters
    ----------
    values
        The table's keys. ``grid`` holds a list of values for each key to vary: a key of the
        release or a setting of its technique; a dot leads into a setting's own table
        (``"columns.age.generalize"``).

    Returns
    -------
    tuple of dict
        The last key of the grid varies fastest; the name says what each release took. Without a
        grid the table itself.

    Raises
    ------
    PlanError
        If a grid cannot be taken apart.

    Examples
    --------
    >>> table = {"name": "grouped", "grid": {"technique": ["mondrian", "ola"], "k": [5, 11]}}
    >>> for release in expanded(table):
    ...     print(release)
    {'name': 'grouped-mondrian-k5', 'technique': 'mondrian', 'k': 5}
    {'name': 'grouped-mondrian-k11', 'technique': 'mondrian', 'k': 11}
    {'name': 'grouped-ola-k5', 'technique': 'ola', 'k': 5}
    {'name': 'grouped-ola-k11', 'technique': 'ola', 'k': 11}
    """
    given = {key: value for key, value in values.items() if key != GRID}
    if GRID not in values:
        return (given,)
    grid = _checked(values[GRID], given)
    found = []
    for chosen in product(*(range(len(options)) for options in grid.values())):
        release = deepcopy(given)
        parts = []
        for (key, options), place in zip(grid.items(), chosen, strict=True):
            _set(release, key, options[place])
            parts.append(_part(key, options[place], place))
        release["name"] = grid_name(str(given.get("name", "")), parts)
        found.append(release)
    return tuple(found)


def grid_name(name: str, parts: list[str]) -> str:
    """Return the name of a release of a grid, which is also its folder's.

    Examples
    --------
    >>> grid_name("grouped", ["mondrian", "k5"])
    'grouped-mondrian-k5'
    """
    return "-".join(part for part in (name, *parts) if part)


def _checked(grid: object, given: Mapping[str, Any]) -> dict[str, list[Any]]:
    if not isinstance(grid, Mapping) or not grid:
        raise PlanError("a grid is a table of lists, such as grid = { k = [5, 11] }")
    for key, options in grid.items():
        if not isinstance(options, list) or not options:
            raise PlanError(f"grid.{key} must be a list of at least one value to try")
        if key == "name":
            raise PlanError("grid.name: the names follow from the values; leave it out")
        if key.partition(".")[0] in given and "." not in key:
            raise PlanError(f"{key!r} is given twice: by itself and in the grid; give one")
        if any(options[place] in options[:place] for place in range(1, len(options))):
            raise PlanError(f"grid.{key} holds a value twice")
    count = 1
    for options in grid.values():
        count *= len(options)
    if count > _MOST:
        raise PlanError(
            f"the grid asks for {count:,} releases, and at most {_MOST} are made: try fewer values"
        )
    return dict(grid)


def _set(release: dict[str, Any], key: str, value: object) -> None:
    """Put a value at a path of keys, in tables that are made where they are not there."""
    *path, last = key.split(".")
    table = release
    for step in path:
        table = table.setdefault(step, {})
        if not isinstance(table, dict):
            raise PlanError(f"grid.{key}: {step!r} is no table")
    table[last] = value


def _part(key: str, value: object, place: int) -> str:
    """Return what the name of a release says of one value."""
    last = key.rpartition(".")[2]
    if isinstance(value, dict | list):
        return f"{last}-{place + 1}"
    text = _NOT_IN_A_NAME.sub("_", str(value).lower() if isinstance(value, bool) else str(value))
    if key in _SAID_ALONE:
        return text
    return f"{last}{text}" if len(last) == 1 else f"{last}-{text}"
