"""Make a table coarser and vaguer until nobody can be traced in it.

Every technique is a frozen value of settings; ``fit(table, schema)`` gives a :class:`Recoding`,
which recodes the rows it was fitted on and others by the same outlines, and says in words what it
does to each column and why.

:class:`Clean` leaves out identifiers and promises nothing; :class:`Rules` changes each column as
the plan says; :class:`Mondrian` cuts the people into groups of at least k.
"""

from sfumato.anonymization.clean import Clean, CleanRecoding
from sfumato.anonymization.mondrian import Mondrian, MondrianRecoding
from sfumato.anonymization.recoding import ColumnChange, Recoding, Technique
from sfumato.anonymization.rules import Rules, RulesRecoding

__all__ = [
    "Clean",
    "CleanRecoding",
    "ColumnChange",
    "Mondrian",
    "MondrianRecoding",
    "Recoding",
    "Rules",
    "RulesRecoding",
    "Technique",
]
