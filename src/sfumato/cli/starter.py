"""The starter plan that `sfumato init` writes: what to try first, with a comment for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.table import Schema, Source

__all__ = ["source_text", "starter_plan"]


def starter_plan(where: Source, folder: Path, schema: Schema) -> str:
    """Return the text of a plan for a table.

    Parameters
    ----------
    where
        How the table was read.
    folder
        The folder of the plan, to which a path in it is relative.
    schema
        The suggested schema.
    """
    learning = _LEARNING if schema.target else _NO_LEARNING
    name, source = source_text(where, folder)
    return _PLAN.format(
        name=name,
        source=source,
        releases=_GROUPED if schema.quasi_identifiers else _NOT_GROUPED,
        learning=learning,
    )


def source_text(where: Source, folder: Path) -> tuple[str, str]:
    """Return a study's name and its source's section as TOML.

    Parameters
    ----------
    where, folder
        As in :func:`starter_plan`.
    """
    import tomlkit

    source = tomlkit.table()
    for name, value in _source(where, folder).items():
        source[name] = value
    name = Path(where.path).stem if where.path else "study"
    return tomlkit.string(name).as_string(), source.as_string().strip()


def _source(where: Source, folder: Path) -> dict[str, Any]:
    values = where.model_dump(exclude_none=True, exclude_defaults=True, mode="json")
    if where.path:
        values["path"] = os.path.relpath(Path(where.path).absolute(), folder.absolute())
    return values


_PLAN = """\
# A starter plan. First read schema.toml beside it and correct the roles: every guarantee
# rests on them. Then: sfumato run plan.toml --out study. The manual: docs/plan.md.
name = {name}
seed = 1
control = 0.15            # share of the people set aside first; every release is measured on them
schema = "schema.toml"

[source]
{source}

# The baseline: identifiers dropped, nothing else. Not fit to be handed out.
[[release]]
name = "clean"
technique = "clean"

{releases}
{learning}"""

_GROUPED = """\
# Every person looks like at least 10 others in the columns that others may know.
[[release]]
name = "k-anonymous"
technique = "mondrian"
k = 11
shuffle = true             # else the rows stand in the order of the source

# People who never lived, drawn from a model of the k-anonymous table.
[[release]]
name = "synthetic"
technique = "copula"
of = "k-anonymous"
"""

_NOT_GROUPED = """\
# No column was recognised as a quasi-identifier: name in the schema what others may know of a
# person, and a k-anonymous release can be made of it:
# [[release]]
# name = "k-anonymous"
# technique = "mondrian"
# k = 11

# People who never lived, drawn from a model of the table.
[[release]]
name = "synthetic"
technique = "copula"
"""

_LEARNING = """\
# What can be learned: trained on each release, tested on the same real people.
[evaluation.learning]
models = ["gradient-boosting", "logistic-regression"]
protocols = ["honest"]
"""

_NO_LEARNING = """\
# Name a column to learn (target = "...", here or in the schema) to compare what can be learned:
# [evaluation]
# target = "..."
# [evaluation.learning]
# models = ["gradient-boosting", "logistic-regression"]
"""
