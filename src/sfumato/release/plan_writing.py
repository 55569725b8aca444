"""Writing a plan back, with every default spelled out: the recipe that goes with a release."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sfumato.release.setting_paths import told_from

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
        settings = told_from(release.built(plan.seed, plan.base).model_dump(mode="json"), plan.base)
        releases.append({**values, **_without_nothing(settings)})
    told = {
        "name": plan.name,
        "seed": plan.seed,
        "control": plan.control,
        "source": source,
        "schema": plan.schema.to_dict(),
        **_prepared(plan),
        "release": releases,
        "evaluation": _without_nothing(plan.evaluation.model_dump(mode="json")),
    }
    if plan.frontier is not None:
        told["frontier"] = _without_nothing(plan.frontier.model_dump(mode="json"))
    return told


def _prepared(plan: Plan) -> dict[str, Any]:
    steps = [_without_nothing(one.model_dump(mode="json")) for one in plan.prepare]
    return {"prepare": steps} if steps else {}


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
    hidden = re.sub(r"(?<=://)([^:/@]*):[^/]*@", r"\1:***@", url)
    return re.sub(r"(?i)(password|passwd|pwd)=[^&\s;]*", r"\1=***", hidden)


def _without_nothing(value: Any) -> Any:
    """Leave out what is None, at every depth: TOML has no word for nothing."""
    if isinstance(value, dict):
        return {key: _without_nothing(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_without_nothing(one) for one in value if one is not None]
    return value
