"""What a process does that makes releases for another: it listens, makes, answers.

Only plain imports here: a process reads this module before it knows how many threads it may use.
"""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import signal
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from sfumato.errors import EngineError, InternalError, SfumatoError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from sfumato.release.evaluation import Evaluation
    from sfumato.release.study import StudyRelease
    from sfumato.release.workshop import Workshop

__all__ = ["Failed", "Verb", "made", "packed", "send", "work"]

Verb = Literal["release", "measure"]

_THREADS = (
    "LOKY_MAX_CPU_COUNT",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
_TELL_AGAIN = 0.2  # seconds between two words of one task


@dataclass(frozen=True)
class Failed:
    """An error on its way from a process: its class and its message."""

    kind: type[SfumatoError]
    message: str

    def error(self) -> SfumatoError:
        """Return the error as it was raised; not by its class, which may ask for other words."""
        found = self.kind.__new__(self.kind)
        found.args = (self.message,)
        return found


def made(workshop: Workshop, verb: Verb, name: str, rows: int) -> StudyRelease | Evaluation:
    """Make a release and put it in place, or measure it on a sample of so many rows."""
    if verb == "release":
        return workshop.release(name)
    return workshop.on_sample(rows).measure(name)


def work(line: Connection, threads: int) -> None:
    """Make releases as they are asked for, until told to stop or left alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and ends us
    for variable in _THREADS:
        os.environ[variable] = str(threads)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # a library's warning could quote data
    workshop: Workshop | None = None
    while True:
        try:
            message = line.recv_bytes()
        except (EOFError, OSError):
            return
        asked = pickle.loads(message)  # noqa: S301 (from our parent, through a pipe of its own)
        if asked is None:
            return
        if asked[0] == "open":
            from sfumato.release.workshop import Workshop

            plan, out, facts, split, schema = asked[1]
            workshop = Workshop(plan, out, facts, split, schema, _Teller(line))
        elif workshop is None:
            raise InternalError("a process was asked for a release before it had any rows")
        elif asked[0] == "baseline":
            workshop.baseline = asked[1]
        else:
            send(line, answer(workshop, *asked))


def answer(workshop: Workshop, verb: Verb, name: str, rows: int) -> tuple[str, Any]:
    try:
        return "done", made(workshop, verb, name, rows)
    except SfumatoError as error:
        return "done", Failed(type(error), str(error))
    except MemoryError:
        message = f"not enough memory to make {name!r}: run again with --jobs 1, or fewer rows"
        return "done", Failed(EngineError, message)
    except Exception as error:  # noqa: BLE001  the edge of the process: no cell may reach the screen
        return "defect", _defect(error)


def _defect(error: Exception) -> str:
    """Say where a defect is without its own text, which may quote a person's cell."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "sfumato" in frame.filename]
    place = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(ours[-3:]))
    return f"{type(error).__name__} at {place or 'a place outside sfumato'}"


class _Teller:
    """Tells the parent how far the work is, not oftener than a reader could follow."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._told: dict[str, float] = {}

    def __call__(self, task: str, done: float, total: float) -> None:
        now = time.monotonic()
        if task in self._told and done < total and now - self._told[task] < _TELL_AGAIN:
            return
        self._told[task] = now
        send(self._line, ("progress", (task, done, total)))


def send(line: Connection, message: object) -> None:
    """Send a message; who is gone needs none."""
    with suppress(OSError):
        line.send_bytes(packed(message))


class _Pickler(pickle.Pickler):
    """A pickler that knows the read-only mappings in which frozen records hold theirs."""

    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        self.dispatch_table = copyreg.dispatch_table | {MappingProxyType: _reduced}


def _reduced(values: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return _read_only, (dict(values),)


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


def packed(message: object) -> bytes:
    """Return a message as bytes."""
    buffer = io.BytesIO()
    _Pickler(buffer).dump(message)
    return buffer.getvalue()
