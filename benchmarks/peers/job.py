"""What a peer is asked to do, and how long it took: read by every adapter, whatever its Python.

Standard library only, so that nothing but the peer itself is measured. An adapter is a script that
imports its peer, then calls :func:`run` with a function that reads the table, anonymizes, writes.
"""

from __future__ import annotations

import csv
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Job:
    """One release to make.

    Parameters
    ----------
    input, output
        CSV files, comma, with a header.
    quasi
        The quasi-identifiers.
    numbers
        Those of them that are numbers.
    sensitive
        The sensitive column.
    hierarchies
        The hierarchy file of each quasi-identifier: one leaf a line, then its groups, ``;``.
    k, suppression
        Least size of a class; largest share of rows suppressed, 0 to 1.
    more
        Settings of one tool.
    """

    input: str
    output: str
    quasi: list[str]
    numbers: list[str]
    sensitive: str
    hierarchies: dict[str, str]
    k: int
    suppression: float
    more: dict[str, Any]

    @property
    def categories(self) -> list[str]:
        """The quasi-identifiers that are no numbers."""
        return [name for name in self.quasi if name not in self.numbers]

    def ladder(self, name: str) -> list[list[str]]:
        """Return the lines of a hierarchy file."""
        with open(self.hierarchies[name], newline="") as file:  # noqa: PTH123
            return [row for row in csv.reader(file, delimiter=";") if row]

    def read(self, *, texts: bool = False, categories: bool = False) -> Any:
        """Return the table as a pandas frame.

        Parameters
        ----------
        texts
            Whether numbers stay texts, spelled as in the file and in the hierarchies.
        categories
            Whether texts become categories.
        """
        import pandas as pd

        kept = [*self.quasi, self.sensitive]
        types = {name: str for name in kept if texts or name not in self.numbers}
        frame = pd.read_csv(self.input, dtype=types, usecols=kept, keep_default_na=False)[kept]
        for name in types if categories else ():
            frame[name] = frame[name].astype("category")
        return frame

    def write(self, frame: Any) -> None:
        """Write a pandas frame."""
        frame.to_csv(self.output, index=False)


def cpu() -> float:
    """Return the CPU seconds of this process and its ended children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def run(
    work: Callable[[Job], dict[str, float] | None], load: Callable[[Job], None] | None = None
) -> None:
    """Do the job that the command line names; print how long importing and working took.

    ``work`` may return more times, by name; ``load`` imports what is else imported on first use.
    """
    with open(sys.argv[1]) as file:  # noqa: PTH123
        job = Job(**json.load(file))
    if load is not None:
        load(job)
    imported = cpu()
    more = work(job) or {}
    times = {"import": imported, "job": cpu() - imported, **more}
    print("TIMES " + json.dumps(times), flush=True)
