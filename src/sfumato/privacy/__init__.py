"""What is promised about the people in a release.

Two nouns live here. :class:`EquivalenceClasses` says which rows cannot be told apart by their
quasi-identifiers and how many people each such class holds. A :class:`Criterion` is a promise about
classes, a frozen value such as ``KAnonymity(5)`` that says which classes keep it. The room knows
tables and nothing above them: how the promise is reached is the matter of ``anonymize``.
"""

from sfumato.privacy.classes import EquivalenceClasses
from sfumato.privacy.criteria import Criterion, KAnonymity

__all__ = ["Criterion", "EquivalenceClasses", "KAnonymity"]
