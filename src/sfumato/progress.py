"""How long work tells how far it is: a callable that is handed down as an argument.

Libraries stay silent by default; the command line hands down one that draws bars.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Called as work advances.

    Parameters
    ----------
    task
        What is being done, in words, such as "training the network on 'clean'". The same text
        means the same bar.
    done, total
        Units done and units in all; ``done == total`` ends the bar.
    """

    def __call__(self, task: str, done: float, total: float) -> None: ...  # noqa: D102


def silent(task: str, done: float, total: float) -> None:
    """Say nothing."""
