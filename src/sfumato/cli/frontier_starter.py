"""The plan that `sfumato init --frontier` writes: every technique that fits the table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.cli.starter import source_text
from sfumato.errors import PlanError
from sfumato.release.registry import makes, technique, technique_names

if TYPE_CHECKING:
    from sfumato.table import Schema, Source

__all__ = ["frontier_plan"]

#: Techniques that reach k with nothing but k, and up to how many rows they take minutes.
_WITH_K = {
    "mondrian": None,
    "local-recoding": None,
    "full-domain": None,
    "ola": None,
    "top-down-greedy": 50_000,
    "k-member": 20_000,
    "oka": 20_000,
    "knn-cluster": 20_000,
    "cell-suppression": 20_000,
}


def frontier_plan(where: Source, folder: Path, schema: Schema, rows: int) -> str:
    """Return the text of a plan that sets techniques against each other.

    Parameters
    ----------
    where
        How the table was read.
    folder
        The folder of the plan, to which a path in it is relative.
    schema
        The suggested schema.
    rows
        Rows of the table: those techniques are left out that would take hours on so many.

    Raises
    ------
    PlanError
        If no column is a quasi-identifier, so that there is nothing to group by.
    """
    if not schema.quasi_identifiers:
        raise PlanError(
            "no column was recognised as a quasi-identifier: run sfumato init without --frontier, "
            "name in the schema what others may know of a person, and add a [frontier] to the plan"
        )
    name, source = source_text(where, folder)
    names = technique_names()
    grouped, left_out = [], []
    for kind, most in _WITH_K.items():
        if kind not in names:
            continue
        if most is not None and rows > most:
            left_out.append(
                f"# {kind}: takes long beyond {most:,} rows, and the table has {rows:,}"
            )
        else:
            grouped.append(kind)
    drawn = [one for one in names if makes(technique(one)) == "generator" and _ready(one)]
    return _PLAN.format(
        name=name,
        source=source,
        grouped=", ".join(f'"{one}"' for one in grouped),
        k="5, 11, 25" if rows >= 2000 else "3, 5",
        origin="mondrian-k11" if rows >= 2000 else "mondrian-k5",
        drawn=", ".join(f'"{one}"' for one in drawn),
        left_out="\n".join(left_out) + ("\n" if left_out else ""),
        learning=_LEARNING if schema.target else _NO_LEARNING,
    )


def _ready(name: str) -> bool:
    """Return whether a technique works with nothing set."""
    kind = technique(name)
    return not any(field.is_required() for field in kind.model_fields.values())


_PLAN = """\
# A plan that sets techniques against each other: risk against use, and a recommendation under
# limits. First read schema.toml beside it and correct the roles: every guarantee rests on them.
# Then: sfumato run plan.toml --estimate, and sfumato run plan.toml --out study.
# The manual: docs/frontier.md.
name = {name}
seed = 1
control = 0.2             # share of the people set aside first; every release is measured on them
schema = "schema.toml"

[source]
{source}

# The baseline, with which all others are compared. Not fit to be handed out.
[[release]]
name = "clean"
technique = "clean"

# Every person looks like at least k - 1 others in the columns that others may know: a release for
# each technique and each k.
[[release]]
name = ""
[release.grid]
technique = [{grouped}]
k = [{k}]
{left_out}
# People who never lived, drawn from a model of the table, and of a k-anonymous release of it.
[[release]]
name = "drawn"
[release.grid]
technique = [{drawn}]

[[release]]
name = "drawn-of-groups"
of = "{origin}"
[release.grid]
technique = [{drawn}]

{learning}
# What must hold to be recommended, judged by the worse end of each 95 % interval. Choose them
# before you look at the picture, with the person who signs.
[frontier.limits]
prosecutor_highest = 0.091     # 1 in 11: EMA policy 0070, Health Canada
singling_out = 0.05            # of people, more than of people who are not in the release
linkability = 0.05
inference = 0.05
# membership = 0.05            # where it is a secret who is in the table
"""

_LEARNING = """\
# What can be learned: trained on each release, tested on the same real people.
[evaluation.learning]
models = ["gradient-boosting"]
protocols = ["honest"]

"""

_NO_LEARNING = """\
# Name a column to learn (target = "...", here or in the schema) to compare what can be learned;
# without it use is how little the distributions differ.
# [evaluation]
# target = "..."
# [evaluation.learning]
# models = ["gradient-boosting"]

"""
