"""Promises about equivalence classes, as frozen values."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, PlainSerializer

from sfumato.errors import PlanError, did_you_mean
from sfumato.privacy.classes import EquivalenceClasses
from sfumato.settings import Settings

__all__ = ["Criteria", "Criterion", "columns_of", "criterion_kinds"]

Booleans = npt.NDArray[np.bool_]


class Criterion(Settings, ABC):
    """A promise about the equivalence classes of a release.

    Settings may be given by position, in the order in which the class lists them, or by name.

    Attributes
    ----------
    kind
        The name under which :meth:`to_dict` writes the criterion and :meth:`from_dict` finds it.
    class_wise
        Whether a class keeps the promise or not whatever the others are. If not, the promise is
        about the table as a whole.
    """

    kind: ClassVar[str]
    class_wise: ClassVar[bool] = True

    # Each criterion says `__init__ = Criterion.__init__`, as type checkers would otherwise give it
    # one of their own that takes names only.
    def __init__(self, /, *given: Any, **values: Any) -> None:
        """Take settings by position or by name."""
        names = tuple(type(self).model_fields)
        if len(given) > len(names):
            raise PlanError(
                f"{type(self).__name__}: {len(given)} settings, but there are only "
                f"{', '.join(names)}"
            )
        placed = dict(zip(names, given, strict=False))
        for name in placed:
            if name in values:
                raise PlanError(f"{type(self).__name__}: {name!r} is given twice")
        super().__init__(**placed, **values)

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    @property
    def columns(self) -> tuple[str, ...]:
        """The sensitive columns whose values the promise is about; none for most."""
        return ()

    @property
    @abstractmethod
    def monotone_generalization(self) -> bool:
        """Whether joining classes that keep the promise gives a class that keeps it."""

    @property
    @abstractmethod
    def monotone_suppression(self) -> bool:
        """Whether suppressing whole classes never breaks the promise for the others."""

    @property
    def monotone_growth(self) -> bool:
        """Whether a class that keeps the promise keeps it when *any* class is joined to it.

        Where it holds, a generalization never has to suppress more than what it came from, so that
        a search can prune under a suppression limit too. It implies
        :attr:`monotone_generalization`.
        """
        return False

    @abstractmethod
    def kept(self, classes: EquivalenceClasses) -> Booleans:
        """Return which classes keep the promise, shape (n_classes,).

        A promise about classes looks at each class alone. For one about the whole table this is
        the largest set of classes, smallest given up first, whose release keeps the promise.
        """

    @abstractmethod
    def describe(self) -> str:
        """Return the promise as one sentence that a data-protection officer can check."""

    def holds(self, classes: EquivalenceClasses) -> bool:
        """Whether the release of all classes keeps the promise."""
        return bool(self.kept(classes).all())

    def to_dict(self) -> dict[str, Any]:
        """Return the kind and the settings as plain JSON values."""
        return {"kind": self.kind, **self.model_dump(mode="json")}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Criterion:
        """Return the criterion that :meth:`to_dict` described.

        Raises
        ------
        PlanError
            If the kind is unknown or a setting is wrong.

        Examples
        --------
        >>> Criterion.from_dict({"kind": "k-anonymity", "k": 5})
        KAnonymity(k=5)
        """
        settings = dict(values)
        kind = settings.pop("kind", None)
        known = criterion_kinds()
        if kind not in known:
            hint = did_you_mean(str(kind), known)
            raise PlanError(f"unknown criterion {kind!r}.{hint} Known: {', '.join(sorted(known))}")
        return known[kind](**settings)


def criterion_kinds() -> dict[str, type[Criterion]]:
    """Return every kind of criterion that is known, by its name."""
    return {criterion.kind: criterion for criterion in _descendants(Criterion)}


def columns_of(criteria: Iterable[Criterion]) -> tuple[str, ...]:
    """Return the sensitive columns that any of the criteria needs, each once."""
    return tuple(dict.fromkeys(name for one in criteria for name in one.columns))


def _descendants(criterion: Any) -> Iterator[type[Criterion]]:
    for child in criterion.__subclasses__():
        if hasattr(child, "kind"):
            yield child
        yield from _descendants(child)


def _read(value: Any) -> Any:
    if isinstance(value, Criterion | Mapping):
        value = (value,)
    if not isinstance(value, list | tuple):
        return value
    return tuple(Criterion.from_dict(one) if isinstance(one, Mapping) else one for one in value)


def _write(criteria: tuple[Criterion, ...]) -> list[dict[str, Any]]:
    return [one.to_dict() for one in criteria]


Criteria = Annotated[
    tuple[Criterion, ...],
    BeforeValidator(_read),
    PlainSerializer(_write, return_type=list, when_used="json"),
]
"""The type of a setting that holds criteria: takes them, or the tables that a plan says of them."""
