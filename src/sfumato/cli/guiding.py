"""The model that guides `sfumato anonymize`: from its options into the technique's settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["with_model"]


def with_model(
    technique: str,
    settings: Mapping[str, Any],
    *,
    model: Path | None,
    train: str | None,
    allow_pickle: bool,
) -> dict[str, Any]:
    """Return the settings with the model that the options name.

    Raises
    ------
    PlanError
        If the technique is guided by no model, or two are named.
    """
    from sfumato.release.registry import technique as registered

    if model is None and train is None and not allow_pickle:
        return dict(settings)
    if "model_file" not in getattr(registered(technique), "model_fields", {}):
        option = "--model" if model else "--train" if train else "--allow-pickle"
        raise PlanError(f"{option}: no model guides the technique {technique!r}; guided takes one")
    if model is not None and train is not None:
        raise PlanError("--model brings a fitted model, and --train asks for one: give one of them")
    given: dict[str, Any] = {}
    if model is not None:
        given["model_file"] = str(model.resolve())
    if train is not None:
        given["model"] = train
    if allow_pickle:
        given["allow_pickle"] = True
    return {**settings, **given}
