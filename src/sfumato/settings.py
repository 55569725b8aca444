"""Settings are frozen values that refuse what they do not know.

Every technique, rule, criterion and plan section derives from :class:`Settings`: the same object
in Python and in a plan file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from sfumato.errors import PlanError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings", "problems"]


class Settings(BaseModel):
    """Frozen settings; an unknown name or a wrong value raises :class:`PlanError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def __init__(self, /, **values: Any) -> None:
        """Validate the settings given by name."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise PlanError(_message(type(self), error)) from None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings that a plan's table of values asks for."""
        return cls(**dict(values))


def problems(model: type[BaseModel], error: ValidationError) -> list[tuple[tuple[str, ...], str]]:
    """Return each problem of a validation as (path of keys, sentence).

    Parameters
    ----------
    model
        The settings that were validated; its names are suggested for a misspelt one.
    error
        What pydantic raised.
    """
    found = []
    for item in error.errors(include_url=False):
        path = tuple(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            hint = did_you_mean(path[-1], model.model_fields)
            known = ", ".join(model.model_fields)
            found.append((path, f"unknown setting {path[-1]!r}.{hint} Known: {known}"))
        elif item["type"] == "missing":
            found.append((path, f"{path[-1]!r} is required"))
        else:
            text = str(item["msg"]).removeprefix("Value error, ")
            shown = "" if isinstance(item["input"], dict | list) else f" (got {item['input']!r})"
            found.append((path, f"{'.'.join(path)}: {text}{shown}" if path else text))
    return found


def _message(model: type[BaseModel], error: ValidationError) -> str:
    return f"{model.__name__}: " + "; ".join(text for _, text in problems(model, error))
