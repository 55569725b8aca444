"""The commands: a thin edge over the rooms. All messages go to standard error, results to files.

Exit codes: 0 done; 1 a promise is not kept, a check failed or a claim is broken; 2 wrong input or a
limit of the machine, said in one line; 3 a defect of sfumato; 130 interrupted.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    arguments
        The words after ``sfumato``; those of the process by default.
    """
    from sfumato.cli.edge import guarded

    sys.exit(guarded(arguments))
