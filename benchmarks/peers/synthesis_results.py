"""Figures of private synthesis as they come: one JSON line a run, taken up again, and pictured.

A run that is cut off keeps what it has; begun again with the same file it measures what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

# the figures of the picture
PICTURED = ("AUROC", "TVD2", "L1 2", "L1 3", "corr")


@dataclass(frozen=True)
class Results:
    """What has been measured.

    Parameters
    ----------
    file
        JSON lines that are read and added to; none: nothing is kept.
    """

    file: Path | None = None

    def lines(self) -> list[dict[str, Any]]:
        """Return what is known, the last word on each run."""
        if self.file is None or not self.file.exists():
            return []
        told = [json.loads(line) for line in self.file.read_text("utf-8").splitlines()]
        return list({_key(one): one for one in told}.values())

    def measured(self, run: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> Any:
        """Return the figures of a run, measured if they are not known, and write them down."""
        known = {_key(one): one["figures"] for one in self.lines()}
        if _key(run) in known:
            return known[_key(run)]
        figures = measure()
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({**run, "figures": figures}) + "\n")
        return figures

    def medians(self) -> list[dict[str, Any]]:
        """Return a record for each table, grid, technique and epsilon: medians over seeds."""
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for one in self.lines():
            if "failure" not in one["figures"]:
                groups.setdefault(_key(one)[:-1], []).append(one)
        return [
            {
                **{key: runs[0][key] for key in ("table", "grid", "who", "epsilon")},
                **{
                    figure: median(run["figures"][figure] for run in runs)
                    for figure in runs[0]["figures"]
                },
            }
            for runs in groups.values()
        ]

    def picture(self, file: Path) -> None:
        """Draw each figure over epsilon, a line for each technique: SVG or PNG by the ending."""
        import altair as alt

        records = [
            {
                "epsilon": float(one["epsilon"]),
                "technique": one["who"],
                "grid": one["grid"],
                "table": one["table"],
                "figure": figure,
                "value": one[figure],
            }
            for one in self.medians()
            for figure in PICTURED
            if figure in one
        ]
        tables = list(dict.fromkeys(one["table"] for one in records))
        ticks = alt.Axis(values=sorted({one["epsilon"] for one in records}), format="~g")
        rows = []
        for table in tables:
            rows.append(
                alt.hconcat(
                    *(
                        alt.Chart(
                            alt.Data(
                                values=[
                                    one
                                    for one in records
                                    if one["table"] == table and one["figure"] == figure
                                ]
                            ),
                            title=f"{table}: {figure}",
                            width=210,
                            height=180,
                        )
                        .mark_line(point=True)
                        .encode(
                            x=alt.X(
                                "epsilon:Q",
                                scale=alt.Scale(type="log"),
                                axis=ticks,
                                title="epsilon",
                            ),
                            y=alt.Y("value:Q", scale=alt.Scale(zero=False), title=None),
                            color=alt.Color("technique:N"),
                            strokeDash=alt.StrokeDash(
                                "grid:N",
                                title="grid of the numbers",
                                legend=alt.Legend(symbolType="stroke", symbolStrokeColor="black"),
                            ),
                        )
                        for figure in PICTURED
                    )
                )
            )
        alt.vconcat(*rows).save(file)


def _key(run: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(run[key] for key in ("table", "grid", "who", "epsilon", "seed"))
