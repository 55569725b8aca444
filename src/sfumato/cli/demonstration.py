"""Where the demo's plan is, and a smaller copy of it for a quicker look."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["demo_plan"]

_TABLE = "heart_patients_brfss2022.parquet"


def demo_plan(out: Path, rows: int | None) -> Path:
    """Return the plan file of the demo.

    Parameters
    ----------
    out
        The study's folder; a smaller copy of the source is put beside it.
    rows
        Use only so many random rows; None for all.
    """
    home = Path(str(files("sfumato") / "demo"))
    if rows is None:
        return home / "plan.toml"
    import polars as pl

    from sfumato.table import write

    table = pl.read_parquet(home / _TABLE)
    folder = out.parent / f"{out.name}-source-{rows}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / _TABLE).exists():
        sample = table.sample(min(rows, table.height), seed=1).sort("PatientID")
        write(sample, folder / _TABLE)
    for name in ("plan.toml", "schema.toml"):
        (folder / name).write_text((home / name).read_text("utf-8"), "utf-8")
    return folder / "plan.toml"
