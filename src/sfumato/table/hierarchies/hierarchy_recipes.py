"""What a schema file may say of a hierarchy, checked and handed to the constructor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import HierarchyError, did_you_mean

if TYPE_CHECKING:
    from sfumato.table.hierarchies.hierarchy import Hierarchy

__all__ = ["HIERARCHY_KINDS", "hierarchy_from_recipe"]

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _true(value: Any) -> bool:
    return value is True


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list | tuple) and all(check(item) for item in value)


def _cell(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _levels(value: Any) -> bool:
    return _integer(value) or _list_of(_list_of(_number))(value)


def _mapping(value: Any) -> bool:
    texts = _list_of(_text)
    return isinstance(value, Mapping) and all(_text(v) or texts(v) for v in value.values())


# What each setting must be, in words and as a check.
_FORMS: dict[str, tuple[str, Check]] = {
    "file": ("the path of a file", _text),
    "delimiter": ("a text of one character", lambda value: _text(value) and len(value) == 1),
    "intervals": ("a list of rising numbers", _list_of(_number)),
    "closed": ("'left' or 'right'", lambda value: value in ("left", "right")),
    "labels": ("a list of texts", _list_of(_text)),
    "levels": ("a number of levels, or a list of lists of numbers", _levels),
    "open_ended": ("true or false", _flag),
    "bands": ("a list of rising numbers", _list_of(_number)),
    "origin": ("a number", _number),
    "top": ("a number", _number),
    "bottom": ("a number", _number),
    "prefix": ("a list of falling whole numbers", _list_of(_integer)),
    "icd10": ("true", _true),
    "atc": ("true", _true),
    "postcode": ("a country's two letters", _text),
    "dates": ("a list of parts of a date", _list_of(_text)),
    "ordered": ("a list of lists of values", _list_of(_list_of(_cell))),
    "mapping": ("a table from each value to its group, or to a list of groups", _mapping),
    "lines": ("a list of lists of texts", _list_of(_list_of(_text))),
    "preset": ("the name of a preset", _text),
    "flat": ("true", _true),
}

HIERARCHY_KINDS: dict[str, tuple[str, ...]] = {
    "file": ("delimiter",),
    "intervals": ("closed", "labels", "levels", "open_ended"),
    "bands": ("origin", "top", "bottom"),
    "prefix": (),
    "icd10": (),
    "atc": (),
    "postcode": (),
    "dates": (),
    "ordered": ("labels",),
    "mapping": (),
    "lines": (),
    "preset": (),
    "flat": (),
}
"""Each kind of hierarchy that a schema file can name, with the settings beside it."""


def hierarchy_from_recipe(
    make: type[Hierarchy], recipe: Mapping[str, Any], base: Path
) -> Hierarchy:
    """Return the hierarchy that a recipe asks for; see :meth:`Hierarchy.from_dict`.

    Raises
    ------
    HierarchyError
        If the kind or a setting is unknown, or a value has the wrong form.
    """
    if not isinstance(recipe, Mapping):
        raise HierarchyError(
            'a hierarchy is a table such as { file = "age.csv" } or { intervals = [18, 30, 50] }'
        )
    kinds = [kind for kind in recipe if kind in HIERARCHY_KINDS]
    if len(kinds) != 1:
        known = ", ".join(HIERARCHY_KINDS)
        found = f"both {kinds[0]!r} and {kinds[1]!r}" if kinds else "none of the kinds"
        hint = "".join(did_you_mean(str(name), HIERARCHY_KINDS) for name in recipe)
        raise HierarchyError(f"a hierarchy has one kind, here is {found}.{hint} Known: {known}")
    kind = kinds[0]
    for name, value in recipe.items():
        if name != kind and name not in HIERARCHY_KINDS[kind]:
            beside = ", ".join(HIERARCHY_KINDS[kind]) or "none"
            raise HierarchyError(
                f"unknown setting {name!r} beside {kind!r}."
                f"{did_you_mean(str(name), HIERARCHY_KINDS[kind])} Known: {beside}"
            )
        form, check = _FORMS[name]
        if not check(value):
            raise HierarchyError(f"{name} must be {form} (got {value!r})")
    settings = {name: value for name, value in recipe.items() if name != kind}
    if kind == "file":
        return make.read(base / recipe["file"], **settings)
    if kind == "bands":
        # a table says what there is: no top is no top
        return make.bands(recipe["bands"], **{"top": None, **settings})
    if kind == "ordered":
        return make.ordered(*recipe["ordered"], **settings)
    constructor = getattr(make, kind)
    if _FORMS[kind][1] is _true:
        return constructor()  # type: ignore[no-any-return]
    return constructor(recipe[kind], **settings)  # type: ignore[no-any-return]
