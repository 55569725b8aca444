"""A mechanism that the user names: a function of a module or of a file."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import PlanError, SfumatoError, did_you_mean

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["mechanism_of"]


def mechanism_of(text: str, *takes: str) -> Callable[..., Any]:
    """Return the function that ``module:function`` or ``file.py:function`` names.

    Parameters
    ----------
    text
        Modules are also looked for in the current folder.
    takes
        What it is called with, such as "data" and "seed".

    Returns
    -------
    Callable
        It runs the function; what the function raises becomes a :class:`PlanError` that names the
        kind of error and its line, but not its text, which may quote data.

    Raises
    ------
    PlanError
        If there is no such module or function, or it takes something else.
    """
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise PlanError(
            f"a mechanism is named module:function or file.py:function, such as counts:noisy "
            f"(got {text!r})"
        )
    module = _module(place)
    found = getattr(module, name, None)
    if not callable(found):
        known = [one for one in vars(module) if callable(getattr(module, one)) and one[0] != "_"]
        raise PlanError(f"{place} has no function {name!r}.{did_you_mean(name, known)}")
    try:
        signature(found).bind(*takes)
    except TypeError:
        raise PlanError(f"{text} must be a function of ({', '.join(takes)})") from None
    except ValueError:  # of a function that is not written in Python
        pass
    file = getattr(module, "__file__", None)

    def mechanism(*given: Any) -> Any:
        try:
            return found(*given)
        except SfumatoError:
            raise
        except Exception as error:  # noqa: BLE001  a stranger's function may raise anything
            raise _told(f"the mechanism {text}", error, file) from None

    return mechanism


def _module(place: str) -> ModuleType:
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise PlanError(f"{place}: there is no such file")
        spec = spec_from_file_location(f"mechanisms of {path.stem}", path)
        if spec is None or spec.loader is None:
            raise PlanError(f"{place} cannot be loaded as a module")
        module = module_from_spec(spec)
        sys.modules[spec.name] = module  # as its own dataclasses expect
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # noqa: BLE001  a stranger's file may raise anything
            raise _told(place, error, place) from None
        return module
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise PlanError(f"{place} needs the module {error.name!r}, which is absent") from None
        raise PlanError(
            f"there is no module {place!r} in this environment or folder; a file is named "
            f"{place}.py:function"
        ) from None
    except Exception as error:  # noqa: BLE001  a stranger's module may raise anything
        raise _told(f"the module {place}", error, None) from None
    finally:
        sys.path.remove(folder)


def _told(what: str, error: Exception, file: str | None) -> PlanError:
    """Return the error in a line; its own text may quote a person's cell."""
    if os.environ.get("SFUMATO_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, SyntaxError):
        where = f" at line {error.lineno}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        own = [one for one in frames if file and Path(one.filename).name == Path(file).name]
        frame = (own or frames)[-1]
        where = f" at {Path(frame.filename).name}:{frame.lineno}"
    return PlanError(
        f"{what} raised {type(error).__name__}{where}; SFUMATO_DEBUG=1 shows more, and may show "
        "data"
    )
