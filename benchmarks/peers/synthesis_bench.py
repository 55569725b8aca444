"""Private synthesis beside its peers: all read one split on one public grid, and are decoded alike.

A peer runs in an environment of its own, with a limit of CPU time. Ours gets the same cells, so
that what a line says is not of who had the finer grid.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from peers.bench import Bench, Run
from peers.roster import Tool

if TYPE_CHECKING:
    from synthesize import Table

_MBI = ("smartnoise-synth==1.0.8",)
_DPMM = ("dpmm==0.1.9",)
PEERS = {
    "mbi MST": Tool("mbi MST", "mbi_synthesis_peer.py", {"algorithm": "MST"}, requirements=_MBI),
    "mbi AIM": Tool("mbi AIM", "mbi_synthesis_peer.py", {"algorithm": "AIM"}, requirements=_MBI),
    "dpmm MST": Tool(
        "dpmm MST", "dpmm_synthesis_peer.py", {"algorithm": "MST"}, requirements=_DPMM
    ),
    "dpmm AIM": Tool(
        "dpmm AIM", "dpmm_synthesis_peer.py", {"algorithm": "AIM"}, requirements=_DPMM
    ),
}


@dataclass(frozen=True)
class PublicGrid:
    """The cells of each column, known without the data.

    Parameters
    ----------
    table
        The table, whose declared grids are those of its numbers.
    """

    table: Table

    @property
    def values(self) -> dict[str, list[Any]]:
        """The values of each column that is no number on a grid; null is one where it occurs."""
        whole = pl.concat([self.table.train, self.table.held_out])
        return {
            name: whole[name].unique().sort(nulls_last=True).to_list()
            for name in whole.columns
            if name not in self.table.grids
        }

    @property
    def sizes(self) -> dict[str, int]:
        """Number of cells of each column."""
        values = self.values
        found = {}
        for name in self.table.train.columns:
            if name in values:
                found[name] = len(values[name])
            else:
                low, high, width = self.table.grids[name]
                found[name] = round((high - low) / width) + 1
        return found

    def coded(self) -> pl.DataFrame:
        """Return the cell of each training row in each column."""
        values, columns = self.values, []
        for name in self.table.train.columns:
            column = self.table.train[name]
            if name in values:
                places = {one: place for place, one in enumerate(values[name])}
                cells = [places[one] for one in column.to_list()]
            else:
                low, high, width = self.table.grids[name]
                amounts = np.clip(column.cast(pl.Float64).to_numpy(), low, high)
                cells = np.floor((amounts - low) / width + 1e-9).astype(np.int64)
            columns.append(pl.Series(name, cells, dtype=pl.Int64))
        return pl.DataFrame(columns)

    def domain(self) -> dict[str, Any]:
        """Return what ours is told: the sizes, and which columns are numbers."""
        return {
            name: (0, size - 1, 1)
            if name in self.table.grids and size > 1
            else {"values": list(range(size))}
            for name, size in self.sizes.items()
        }

    def decoded(self, cells: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Return values of the table's types: anywhere within the cell of a number."""
        random = np.random.default_rng(seed)
        values, columns = self.values, []
        for name, dtype in self.table.train.schema.items():
            codes = cells[name].to_numpy()
            if name in values:
                known = pl.Series(name, values[name], dtype=dtype)
                columns.append(known.gather(codes.astype(np.uint32)))
                continue
            low, _, width = self.table.grids[name]
            amounts = low + width * (codes + random.random(codes.size))
            if dtype.is_integer():
                amounts = np.floor(amounts + 1e-9)
            columns.append(pl.Series(name, amounts).cast(dtype))
        return pl.DataFrame(columns)


def drawn_by(
    bench: Bench, tool: Tool, grid: PublicGrid, epsilon: float, delta: float, cap: float
) -> tuple[Run, pl.DataFrame | None]:
    """Let a peer learn and draw; its rows are decoded, or none if it failed or was cut off.

    The cap is of CPU seconds, for the machine may be busy; that of the bench is of wall time.
    """
    python = bench.python(tool)
    if isinstance(python, str):
        return Run(0, 0, 0, {}, python), None
    source, output = bench.folder / "cells.csv", bench.folder / "drawn.csv"
    output.unlink(missing_ok=True)
    grid.coded().write_csv(source)
    job = bench.folder / "synthesis.json"
    job.write_text(
        json.dumps(
            {
                "input": str(source),
                "output": str(output),
                "sizes": grid.sizes,
                "epsilon": epsilon,
                "delta": delta,
                "algorithm": tool.more["algorithm"],
                "cap": cap,
            }
        )
    )
    run = bench.start(tool, python, [str(job)])
    if run.failure and run.cpu >= 0.98 * cap:  # ended by its limit
        return replace(run, failure=f"> cap of {cap:.0f} CPU s"), None
    if run.failure:
        return run, None
    return run, grid.decoded(pl.read_csv(output), 0)
