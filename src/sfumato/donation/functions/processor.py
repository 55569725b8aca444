"""Which instructions this processor has: what may be compiled, and which path is taken."""

from __future__ import annotations

from functools import cache
from typing import Literal

from sfumato.errors import EngineError

__all__ = ["Path", "best_width", "chosen_width", "widths"]

Path = Literal["auto", "numpy", "compiled"]


@cache
def widths() -> tuple[int, ...]:
    """Return how many AES blocks a vector may hold here, least first; empty without AES-NI.

    An instruction that a processor lacks ends the process, so this asks what LLVM itself asks.
    """
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    if not features.get("aes"):
        return ()
    found = [1]
    if features.get("vaes") and features.get("avx2"):
        found.append(2)
        if features.get("avx512f"):
            found.append(4)
    return tuple(found)


def best_width(row_bytes: int) -> int | None:
    """Return the widest vector that divides a row, or None without AES-NI."""
    return next((width for width in reversed(widths()) if row_bytes % (16 * width) == 0), None)


def chosen_width(path: Path, row_bytes: int) -> int | None:
    """Return the width of the compiled path, or None if NumPy's is to be taken.

    Raises
    ------
    EngineError
        If the compiled path is asked for and this processor has no AES instructions.
    """
    if path == "numpy":
        return None
    width = best_width(row_bytes)
    if width is None and path == "compiled":
        raise EngineError("this processor has no AES instructions that are known: path='numpy'")
    return width
