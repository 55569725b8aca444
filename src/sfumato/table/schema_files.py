"""The schema as a TOML file: its shape, its errors with line numbers, its writing.

::

    person = "PatientID"
    target = "HadHeartAttack"
    missing = ["", "NA"]
    rest = "other"

    [columns.age]
    role = "quasi-identifier"
    type = "integer"
    hierarchy = { intervals = [18, 30, 50], closed = "left" }
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sfumato.atomic import write_whole
from sfumato.errors import EngineError, HierarchyError, SchemaError, did_you_mean
from sfumato.table.hierarchies.hierarchy import Hierarchy
from sfumato.table.schema import Column, Role, Schema

__all__ = ["line_of", "read_schema", "schema_from_dict", "schema_to_dict", "write_schema"]

Keys = tuple[str, ...]
Where = Callable[[Keys], str]

_KEYS = ("person", "target", "missing", "rest", "columns")
_COLUMN_KEYS = ("role", "type", "hierarchy", "note")


def read_schema(path: Path) -> Schema:
    """Read a schema file; see :meth:`Schema.read`."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or "it cannot be opened").lower()
        raise SchemaError(f"cannot read the schema file {path}: {reason}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SchemaError(f"{path}, line {line}: not UTF-8: save the file as UTF-8") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(f"{path} is not TOML: {error}") from None

    def where(keys: Keys) -> str:
        line = line_of(text, keys)
        return f"{path}, line {line}: " if line else f"{path}: "

    return _schema(values, path.parent, where)


def schema_from_dict(values: Mapping[str, Any], base: Path) -> Schema:
    """Return the schema that plain values describe; see :meth:`Schema.from_dict`."""
    return _schema(values, base, lambda _: "schema: ")


def schema_to_dict(schema: Schema, base: Path | None) -> dict[str, Any]:
    """Return a schema as plain values; see :meth:`Schema.to_dict`."""
    values: dict[str, Any] = {}
    for key in ("person", "target", "rest"):
        value = getattr(schema, key)
        if value is not None:
            values[key] = str(value)
    values["missing"] = list(schema.missing)
    values["columns"] = {
        name: _column_to_dict(column, base) for name, column in schema.columns.items()
    }
    return values


def write_schema(schema: Schema, path: Path, *, self_contained: bool) -> None:
    """Write a schema file, whole or not at all; see :meth:`Schema.write`."""
    import tomlkit

    values = schema_to_dict(schema, None if self_contained else path.parent)
    columns = values.pop("columns")
    document = tomlkit.document()
    for key, value in values.items():
        document.add(key, value)
    table = tomlkit.table(is_super_table=True)
    for name, column in columns.items():
        entry = tomlkit.table()
        for key, value in column.items():
            entry.add(key, _inline(value) if isinstance(value, dict) else value)
        table.add(tomlkit.key(name), entry)
    document.add("columns", table)
    try:
        write_whole(path, tomlkit.dumps(document))
    except OSError as error:
        reason = (error.strerror or "the disk refused").lower()
        raise EngineError(f"cannot write the schema file {path}: {reason}") from None


def line_of(text: str, keys: Keys) -> int | None:
    """Return the line of a TOML text that sets a value, or the nearest table around it.

    Parameters
    ----------
    text
        A valid TOML document.
    keys
        The keys that lead to the value, outermost first.

    Examples
    --------
    >>> text = '[columns]' + chr(10) + 'age = { role = "other" }'
    >>> line_of(text, ("columns", "age", "role"))
    2
    """
    found, depth = None, 0
    table: Keys = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("["):
            here = table = _keys_of(line)
        else:
            here = (*table, *_keys_of(line.partition("=")[0] + "=0")) if "=" in line else ()
        if len(here) > depth and keys[: len(here)] == here:
            found, depth = number, len(here)
    return found


def _keys_of(line: str) -> Keys:
    """Return the keys that a line names, outermost first; none if it names none."""
    try:
        values: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    keys = []
    while isinstance(values, dict) and values:
        key, values = next(iter(values.items()))
        keys.append(key)
    return tuple(keys)


def _schema(values: Mapping[str, Any], base: Path, where: Where) -> Schema:
    _refuse_unknown(values, _KEYS, (), where)
    for key in ("person", "target", "rest"):
        if not isinstance(values.get(key, ""), str):
            raise SchemaError(f"{where((key,))}{key} must be a text (got {values[key]!r})")
    missing = values.get("missing", [""])
    if not isinstance(missing, list | tuple) or not all(isinstance(m, str) for m in missing):
        raise SchemaError(
            f'{where(("missing",))}missing must be a list of texts, such as ["", "NA"]'
        )
    entries = values.get("columns", {})
    if not isinstance(entries, Mapping):
        raise SchemaError(f"{where(('columns',))}columns must be tables, such as [columns.age]")
    columns = {name: _column(name, entry, base, where) for name, entry in entries.items()}
    rest = values.get("rest")
    if rest is not None:
        _refuse_role(rest, ("rest",), where)
    return Schema.of(
        columns,
        target=values.get("target"),
        person=values.get("person"),
        missing=tuple(missing),
        rest=rest,
    )


def _column(name: str, entry: Any, base: Path, where: Where) -> Column:
    keys = ("columns", name)
    if not isinstance(entry, Mapping):
        raise SchemaError(
            f'{where(keys)}column {name!r} must be a table, such as {{ role = "quasi-identifier" }}'
        )
    _refuse_unknown(entry, _COLUMN_KEYS, keys, where)
    if "role" not in entry:
        raise SchemaError(
            f"{where(keys)}column {name!r} has no role: say one of "
            f"{', '.join(repr(role.value) for role in Role)}"
        )
    _refuse_role(entry["role"], (*keys, "role"), where)
    note = entry.get("note", "")
    if not isinstance(note, str):
        raise SchemaError(f"{where((*keys, 'note'))}note must be a text (got {note!r})")
    hierarchy = None
    if entry.get("hierarchy") is not None:
        try:
            hierarchy = Hierarchy.from_dict(entry["hierarchy"], base)
        except HierarchyError as error:
            place = where((*keys, "hierarchy"))
            raise HierarchyError(f"{place}column {name!r}: {error}") from None
    try:
        return Column(entry["role"], entry.get("type"), hierarchy, note)
    except SchemaError as error:
        raise SchemaError(f"{where((*keys, 'type'))}column {name!r}: {error}") from None


def _refuse_unknown(
    values: Mapping[str, Any], known: tuple[str, ...], keys: Keys, where: Where
) -> None:
    for key in values:
        if key not in known:
            inside = f" of column {keys[-1]!r}" if keys else ""
            raise SchemaError(
                f"{where((*keys, key))}unknown key {key!r}{inside}.{did_you_mean(key, known)} "
                f"Known: {', '.join(known)}"
            )


def _refuse_role(role: Any, keys: Keys, where: Where) -> None:
    known = [each.value for each in Role]
    if role not in known:
        inside = f"column {keys[1]!r}: " if len(keys) > 1 else "rest: "
        raise SchemaError(
            f"{where(keys)}{inside}unknown role {role!r}.{did_you_mean(str(role), known)} "
            f"Known: {', '.join(known)}"
        )


def _column_to_dict(column: Column, base: Path | None) -> dict[str, Any]:
    values: dict[str, Any] = {"role": column.role.value}
    if column.type is not None:
        values["type"] = column.type
    if column.hierarchy is not None:
        values["hierarchy"] = column.hierarchy.to_dict(base)
    if column.note:
        values["note"] = column.note
    return values


def _inline(values: dict[str, Any]) -> Any:
    """Return a table on one line; a list of lists (a hierarchy's lines) has a line for each."""
    import tomlkit

    inline = tomlkit.inline_table()
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], list):
            array = tomlkit.array()
            array.extend(value)
            inline.append(key, array.multiline(multiline=True))
        else:
            inline.append(key, value)
    return inline
