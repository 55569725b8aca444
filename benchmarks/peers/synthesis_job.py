"""What a peer of private synthesis is asked to do: read by every adapter, whatever its Python.

The table is a CSV of whole numbers: the cell of each row in each column of a public grid. A peer
gets the grid's sizes and a budget, and writes as many rows of cells. Standard library only.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from job import cpu


@dataclass
class SynthesisJob:
    """Rows to learn, and the budget.

    Parameters
    ----------
    input, output
        CSV files with a header.
    sizes
        Number of cells of each column.
    epsilon, delta
        The budget; neighbours differ by one row.
    algorithm
        Which of the peer's techniques.
    cap
        CPU seconds after which the process is ended.
    """

    input: str
    output: str
    sizes: dict[str, int]
    epsilon: float
    delta: float
    algorithm: str
    cap: float


def run(work: Callable[[SynthesisJob, Any], Any]) -> None:
    """Do the job that the command line names; print how long importing and working took.

    ``work`` gets the job and the rows as a pandas frame, and returns such a frame.
    """
    import pandas as pd

    with open(sys.argv[1]) as file:  # noqa: PTH123
        job = SynthesisJob(**json.load(file))
    resource.setrlimit(resource.RLIMIT_CPU, (int(job.cap), int(job.cap)))
    rows = pd.read_csv(job.input)
    imported = cpu()
    drawn = work(job, rows)
    spent = cpu() - imported
    drawn[list(job.sizes)].astype("int64").to_csv(job.output, index=False)
    print("TIMES " + json.dumps({"import": imported, "job": spent}), flush=True)
