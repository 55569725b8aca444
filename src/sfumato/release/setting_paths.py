"""Files that a technique's settings name: found from the plan's folder, told from it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["found_from", "told_from"]

_FILE_KEYS = ("file", "key_file", "model_file")


def found_from(settings: dict[str, Any], base: Path) -> dict[str, Any]:
    """Return settings whose relative files start from the folder ``base``."""
    return {key: _changed(key, value, base, _found) for key, value in settings.items()}


def told_from(settings: dict[str, Any], base: Path | None) -> dict[str, Any]:
    """Return settings whose files are told relative to ``base`` where they lie below it.

    What is written beside a release must not tell where on this machine the plan was.
    """
    if base is None:
        return settings
    return {key: _changed(key, value, base, _told) for key, value in settings.items()}


def _changed(key: str, value: Any, base: Path, change: Any) -> Any:
    if key in _FILE_KEYS and isinstance(value, str):
        return change(value, base)
    if isinstance(value, dict):
        return {inner: _changed(inner, one, base, change) for inner, one in value.items()}
    if isinstance(value, list | tuple):
        return [_changed("", one, base, change) for one in value]
    return value


def _found(path: str, base: Path) -> str:
    return str(base / path)


def _told(path: str, base: Path) -> str:
    told = Path(path)
    return told.relative_to(base).as_posix() if told.is_relative_to(base) else path
