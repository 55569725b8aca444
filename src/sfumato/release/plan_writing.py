"""Writing a plan back, with every default spelled out: the recipe that goes with a release."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.release.plan import Plan

__all__ = ["plan_dict", "plan_toml", "without_password"]

_HEADING = (
    "The plan as run. Relative paths are relative to the folder of the original plan file.",
    "A step without a seed of its own takes one that follows from the plan's.",
)


def plan_dict(plan: Plan) -> dict[str, Any]:
    """Return a plan in the shape of its file, as plain values."""
    source = _without_nothing(plan.source.model_dump(mode="json"))
    if "url" in source:
        source["url"] = without_password(source["url"])
    releases = []
    for release in plan.releases:
        values = _without_nothing(
            release.model_dump(mode="json", by_alias=True, exclude={"settings"})
        )
        settings = release.built(plan.seed).model_dump(mode="json")
        releases.append({**values, **_without_nothing(settings)})
    return {
        "name": plan.name,
        "seed": plan.seed,
        "control": plan.control,
        "source": source,
        "schema": plan.schema.to_dict(),
        "release": releases,
        "evaluation": _without_nothing(plan.evaluation.model_dump(mode="json")),
    }


def plan_toml(plan: Plan) -> str:
    """Return a plan as TOML text."""
    import tomlkit

    document = tomlkit.document()
    for line in _HEADING:
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    document.update(plan_dict(plan))
    return tomlkit.dumps(document)


def without_password(url: str) -> str:
    """Return a database URL that can be shown.

    Examples
    --------
    >>> without_password("postgresql://ann:secret@host/hospital")
    'postgresql://ann:***@host/hospital'
    """
    hidden = re.sub(r"(?<=//)([^:/@]*):[^/]*@", r"\1:***@", url)
    return re.sub(r"(?i)(password|passwd|pwd)=[^&\s;]*", r"\1=***", hidden)


def _without_nothing(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is None: TOML has no word for nothing."""
    return {
        key: _without_nothing(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }
