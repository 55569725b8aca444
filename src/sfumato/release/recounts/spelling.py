"""A promise as it is written on a command line."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from sfumato.errors import PlanError

__all__ = ["criterion_of_text"]

_EXAMPLE = "such as l-diversity:column=occupation,l=3"


def criterion_of_text(text: str) -> dict[str, Any]:
    """Return the kind and the settings that a text spells.

    Parameters
    ----------
    text
        ``kind:name=value,name=value`` with values as in TOML (a bare word is a text), the same
        as TOML (``kind = "k-anonymity", k = 5`` in braces or a line each) or as a JSON object.

    Raises
    ------
    PlanError
        If it is none of these.

    Examples
    --------
    >>> criterion_of_text("l-diversity:column=occupation,l=3")
    {'kind': 'l-diversity', 'column': 'occupation', 'l': 3}
    >>> criterion_of_text('{"kind": "k-anonymity", "k": 5}')
    {'kind': 'k-anonymity', 'k': 5}
    """
    stripped = text.strip()
    values = _json(stripped)
    if values is None:
        values = _toml(stripped)
    if values is None:
        values = _compact(stripped)
    return values


def _json(text: str) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _toml(text: str) -> dict[str, Any] | None:
    written = f"criterion = {text}" if text.startswith("{") else text
    try:
        values = tomllib.loads(written)
    except tomllib.TOMLDecodeError:
        return None
    inner = values.get("criterion", values) if text.startswith("{") else values
    return inner if isinstance(inner, dict) and "kind" in inner else None


def _compact(text: str) -> dict[str, Any]:
    kind, _, rest = text.partition(":")
    if not kind.strip() or set(kind) & set("{}=\n"):
        raise PlanError(f"--criterion takes KIND:NAME=VALUE,..., {_EXAMPLE} (got {text!r})")
    values: dict[str, Any] = {"kind": kind.strip()}
    for part in _parts(rest):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise PlanError(
                f"--criterion {kind.strip()}: {part.strip()!r} is not NAME=VALUE; {_EXAMPLE}"
            )
        values[name.strip()] = _value(value.strip())
    return values


def _parts(text: str) -> list[str]:
    """Return the settings of a list parted by commas; one inside brackets or quotes parts none."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and not depth:
            parts.append("")
            continue
        parts[-1] += letter
    return [part for part in parts if part.strip()]


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
