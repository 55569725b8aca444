"""Promises about equivalence classes, as frozen values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sfumato.errors import PlanError, did_you_mean
from sfumato.privacy.classes import EquivalenceClasses
from sfumato.settings import Settings

__all__ = ["Criterion", "KAnonymity"]


class Criterion(Settings, ABC):
    """A promise about every equivalence class of a release.

    Attributes
    ----------
    kind
        The name under which :meth:`to_dict` writes the criterion and :meth:`from_dict` finds it.
    monotone_generalization
        Whether joining classes that keep the promise gives a class that keeps it.
    monotone_suppression
        Whether suppressing whole classes never breaks the promise for the others.
    """

    kind: ClassVar[str]
    monotone_generalization: ClassVar[bool]
    monotone_suppression: ClassVar[bool]

    @abstractmethod
    def kept(self, classes: EquivalenceClasses) -> npt.NDArray[np.bool_]:
        """Return which classes keep the promise, shape (n_classes,)."""

    @abstractmethod
    def describe(self) -> str:
        """Return the promise as one sentence that a data-protection officer can check."""

    def holds(self, classes: EquivalenceClasses) -> bool:
        """Whether every class keeps the promise."""
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
        known = {criterion.kind: criterion for criterion in _descendants(Criterion)}
        if kind not in known:
            hint = did_you_mean(str(kind), known)
            raise PlanError(f"unknown criterion {kind!r}.{hint} Known: {', '.join(sorted(known))}")
        return known[kind](**settings)


class KAnonymity(Criterion):
    """Every combination of quasi-identifiers in the release is shared by at least k of its people.

    The unit is that of the classes: distinct persons where a person column is named, otherwise
    rows. Missing and suppressed values are values like any other, so a class of suppressed rows
    keeps the promise only if it has k of them too.

    Parameters
    ----------
    k
        Smallest size that a class may have; at least 2.

    Notes
    -----
    P. Samarati, "Protecting respondents' identities in microdata release", IEEE TKDE 13(6), 2001,
    definition 2.2; L. Sweeney, IJUFKS 10(5), 2002, definition 3.
    """

    kind: ClassVar[str] = "k-anonymity"
    monotone_generalization: ClassVar[bool] = True
    monotone_suppression: ClassVar[bool] = True

    k: int = Field(ge=2)

    def __init__(self, k: int | None = None, /, **values: Any) -> None:
        """Take ``k`` by position or by name."""
        super().__init__(**(values if k is None else {"k": k, **values}))

    def kept(self, classes: EquivalenceClasses) -> npt.NDArray[np.bool_]:
        """Return which classes have at least k members, shape (n_classes,)."""
        return classes.sizes >= self.k

    def describe(self) -> str:
        """Return the promise in words."""
        return (
            f"{self.k}-anonymity: nobody can be told apart from at least {self.k - 1} others "
            "of the release by the quasi-identifiers"
        )


def _descendants(criterion: Any) -> Iterator[type[Criterion]]:
    for child in criterion.__subclasses__():
        if hasattr(child, "kind"):
            yield child
        yield from _descendants(child)
