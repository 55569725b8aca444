"""Small models learn in one thread: many of them would only wait for one another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let scikit-learn's models learn in one thread.

    On tables of some ten thousand rows the threads of gradient boosting spend more processor time
    waiting than learning, many times as much where other work goes on.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # a limit holds for the libraries that are loaded when it is set
    import_module("sklearn.ensemble")
    with threadpool_limits(limits=1):
        yield
