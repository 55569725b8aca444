"""Nothing of a simulation outlives it: how its processes end when it is told to end, or killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from threading import Thread, current_thread, main_thread
from types import FrameType

__all__ = ["ended_in_order", "leave_with_parent", "leave_with_pool"]

_STDIN = 0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Let a signal to end the process end the block, as an error would; then heed no more of them.

    Python does so for SIGINT, and only until the next one; SIGTERM would end it without a word to
    the processes that it has started. Outside the main thread, where signals do not arrive, nothing
    is done.
    """
    if current_thread() is not main_thread():
        yield
        return
    before = {number: signal.signal(number, _end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _end(number: int, _frame: FrameType | None) -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # what follows tidies up, and takes seconds
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def leave_with_parent() -> None:
    """End this process, as by SIGTERM, when the one that holds its standard input has ended."""

    def watch() -> None:
        while os.read(_STDIN, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, name="parent", daemon=True).start()


def leave_with_pool(alive: Connection) -> None:
    """End this process of a pool when the other end of a pipe is closed, by whatever happens.

    Parameters
    ----------
    alive
        Where nothing ever comes; its other end is held by the process that has the pool.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, which sends it to everybody

    def watch() -> None:
        alive.poll(None)
        os._exit(0)

    Thread(target=watch, name="parent", daemon=True).start()
