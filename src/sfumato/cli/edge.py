"""The outermost edge: every failure becomes one clear line and an exit code, never a cell."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import TYPE_CHECKING

from sfumato.errors import SfumatoError

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["guarded"]


def guarded(arguments: list[str] | None = None) -> int:
    """Run the application and return its exit code; what went wrong is said on standard error."""
    from sfumato.cli.app import app

    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")  # a library's warning could quote data
    signal.signal(signal.SIGINT, _stop)
    try:
        app(arguments, prog_name="sfumato")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except _Stopped:
        return _say("stopped; a finished release stays, an unfinished one leaves nothing", 130)
    except SfumatoError as error:
        return _say(str(error), error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _say("not enough memory for this table: close programs or use fewer rows", 2)
    except OSError as error:
        return _say(_of_the_system(error), 2)
    except Exception as error:  # noqa: BLE001  the outermost edge: nothing may reach the screen raw
        return _defect(error)
    return 0


class _Stopped(BaseException):
    """The user pressed Ctrl-C. Not a KeyboardInterrupt, which the option parser would swallow."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stopped


def _say(message: str, exit_code: int) -> int:
    print(f"sfumato: {message}", file=sys.stderr)  # noqa: T201
    return exit_code


def _of_the_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"{where}no space left on the disk; nothing half-written was left: free some space"
    return f"{where}{error.strerror or type(error).__name__}"


def _defect(error: Exception) -> int:
    """Name the place of a defect without the error's own text, which may quote a person's cell."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "sfumato" in frame.filename]
    place = (
        " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in reversed(ours[-3:]))  # noqa: PTH119
        or "outside sfumato"
    )
    if os.environ.get("SFUMATO_DEBUG") == "1":
        traceback.print_exception(error)
    return _say(
        f"a defect of sfumato ({type(error).__name__} at {place}). Please report this line; "
        "SFUMATO_DEBUG=1 shows more, and may show data",
        3,
    )
