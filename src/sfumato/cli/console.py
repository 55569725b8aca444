"""What a command says while it works (standard error) and when it is done (standard output)."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sfumato.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Console"]


class Console:
    """Says things unless asked to be quiet; hands out a progress callback that draws bars.

    Parameters
    ----------
    quiet
        Say nothing but errors; results go to files.
    as_json
        The result goes to standard output as one JSON value; bars and notes stay away.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.silenced = quiet or as_json
        self.as_json = as_json

    def say(self, text: str) -> None:
        """Say a line on standard error."""
        if not self.silenced:
            print(text, file=sys.stderr)  # noqa: T201

    def result(self, values: Mapping[str, Any], words: Sequence[str]) -> None:
        """Give the result: the values as JSON if asked for, else its words, a line each."""
        if self.as_json:
            json.dump(values, sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
            sys.stdout.write("\n")
        elif not self.silenced:
            for line in words:
                print(line)  # noqa: T201

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Draw a bar for each task while the block runs."""
        if self.silenced:
            yield silent
            return
        from rich.console import Console as Terminal
        from rich.progress import (
            BarColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import (
            Progress as Bars,
        )

        terminal = Terminal(stderr=True)
        if not terminal.is_terminal:
            yield self._lines()
            return
        bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=terminal,
            transient=False,
        )
        known: dict[str, Any] = {}

        def step(task: str, done: float, total: float) -> None:
            if task not in known:
                known[task] = bars.add_task(task, total=total)
            bars.update(known[task], completed=done, total=total)

        with bars:
            yield step

    def _lines(self) -> Progress:
        """Return a progress that says each task once when it starts: for log files and pipes."""
        told: set[str] = set()

        def step(task: str, done: float, total: float) -> None:  # noqa: ARG001
            if task not in told:
                told.add(task)
                self.say(f"  {task} …")

        return step
