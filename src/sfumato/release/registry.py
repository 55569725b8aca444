"""Which techniques there are: ours and those that other packages register as entry points."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from sfumato.errors import PlanError, did_you_mean
from sfumato.settings import Settings

__all__ = ["GROUP", "makes", "name_of", "takes_budget", "technique", "technique_names"]

GROUP = "sfumato.techniques"


@cache
def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda p: p.name)}


def technique_names() -> tuple[str, ...]:
    """Return the names of all registered techniques, sorted."""
    return tuple(_registered())


def technique(name: str) -> type[Settings]:
    """Return the settings class of a registered technique.

    Raises
    ------
    PlanError
        If there is no technique of that name; the message lists those that exist.
    """
    point = _registered().get(name)
    if point is None:
        known = ", ".join(technique_names())
        raise PlanError(
            f"there is no technique {name!r}.{did_you_mean(name, technique_names())} Known: {known}"
        )
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise PlanError(
            f"the technique {name!r} is registered as {point.value}, but does not load: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Settings)):
        raise PlanError(
            f"the technique {name!r} is registered as {point.value}, which is no Settings class"
        )
    return found


def name_of(settings: object) -> str:
    """Return the registered name of a technique's settings, or its class's name."""
    kind = type(settings)
    value = f"{kind.__module__}:{kind.__qualname__}"
    for name, point in _registered().items():
        loaded = sys.modules.get(point.module)
        if point.value == value or getattr(loaded, point.attr, None) is kind:
            return name
    return kind.__qualname__


def takes_budget(kind: type[Any]) -> bool:
    """Return whether a technique spends a privacy budget: it has a setting ``budget``."""
    from sfumato.privacy.differential.budget import Budget

    field = getattr(kind, "model_fields", {}).get("budget")
    return field is not None and field.annotation is Budget


def makes(kind: type[Any]) -> Literal["recoding", "generator", "unknown"]:
    """Return what a technique's ``fit`` gives, as far as its annotation tells.

    An annotation that cannot be read gives "unknown"; what is fitted is then looked at instead.
    """
    from sfumato.anonymization.recoding import Recoding
    from sfumato.synthesis.generator import Generator

    annotation = getattr(getattr(kind, "fit", None), "__annotations__", {}).get("return")
    shared = {"Recoding": Recoding, "Generator": Generator}
    if isinstance(annotation, str) and annotation in shared:
        annotation = shared[annotation]  # before a namesake in a library's module is found
    elif isinstance(annotation, str):
        for ancestor in kind.__mro__:
            module = sys.modules.get(ancestor.__module__)
            found = getattr(module, annotation, None)
            if isinstance(found, type):
                annotation = found
                break
    if isinstance(annotation, type) and issubclass(annotation, Recoding):
        return "recoding"
    if isinstance(annotation, type) and issubclass(annotation, Generator):
        return "generator"
    return "unknown"
