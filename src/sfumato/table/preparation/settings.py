"""What a preparation does otherwise than the columns themselves suggest."""

from __future__ import annotations

from typing import Self

import polars as pl
from pydantic import Field

from sfumato.settings import Settings
from sfumato.table.hierarchies.ladder import SUPPRESSED
from sfumato.table.preparation.category_encoders import texts

__all__ = ["CLEAN_BASELINE", "PreparationSettings"]


class PreparationSettings(Settings):
    """What to do otherwise than the column itself suggests; a plan may hold it as a table.

    Without any setting, numbers are scaled, texts that name numbers or ranges are read as numbers,
    two categories become 0 and 1 (in alphabetical order), known answer scales such as poor to
    excellent 0, 1, 2 and so on, and other categories a 0/1 feature each.

    Parameters
    ----------
    drop
        Columns to leave out, beside identifiers and the target.
    ordinal
        For a column its categories, lowest first: they become 0, 1, 2 and so on, not scaled.
    binary
        For a column the categories that count as 0; every other one counts as 1.
    one_hot
        Columns to take as unordered categories even if they look like numbers.
    scale
        Whether numbers are brought to mean 0 and standard deviation 1 on the training rows.
    minimum_positives
        A 0/1 feature with fewer ones among the training rows is left out.
    maximum_categories
        At most so many categories of a column get a feature, the most frequent ones. A text with
        over 20 categories that are more than half as many as the rows is free text and left out.

    Examples
    --------
    As a table of a plan, the binary and ordinal settings of two columns::

        [preparation]
        drop = ["PatientID", "State"]
        minimum_positives = 50
        [preparation.ordinal]
        GeneralHealth = ["Poor", "Fair", "Good", "Very good", "Excellent"]
        [preparation.binary]
        HadDiabetes = ["No"]
    """

    drop: tuple[str, ...] = ()
    ordinal: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    binary: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    one_hot: tuple[str, ...] = ()
    scale: bool = True
    minimum_positives: int = 0
    maximum_categories: int = 100

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a setting names, each once."""
        return tuple(dict.fromkeys((*self.drop, *self.ordinal, *self.binary, *self.one_hot)))

    def fitting(self, table: pl.DataFrame) -> Self:
        """Return the settings without those that a recoded table has outgrown.

        A release may lack a column, or hold groups where the source held categories. An order and
        a list of zeros stay only where the column is still there and still holds what they name;
        such a column is then encoded as it suggests itself.

        Parameters
        ----------
        table
            The release's training rows.
        """
        present = set(table.columns)
        return self.model_copy(
            update={
                "drop": tuple(name for name in self.drop if name in present),
                "one_hot": tuple(name for name in self.one_hot if name in present),
                "ordinal": {
                    name: order
                    for name, order in self.ordinal.items()
                    if name in present and _categories(table[name]) <= set(order)
                },
                "binary": {
                    name: zeros
                    for name, zeros in self.binary.items()
                    if name in present and set(zeros) <= _categories(table[name])
                },
            }
        )


CLEAN_BASELINE = PreparationSettings(
    drop=("PatientID", "State"),
    ordinal={
        "GeneralHealth": ("Poor", "Fair", "Good", "Very good", "Excellent"),
        "AgeCategory": (
            "Age 18 to 24",
            *(f"Age {low} to {low + 4}" for low in range(25, 80, 5)),
            "Age 80 or older",
        ),
    },
    binary={
        "Sex": ("Female",),
        "HadDiabetes": ("No",),
        "TetanusLast10Tdap": ("No, did not receive any tetanus shot in the past 10 years",),
    },
    one_hot=("SmokerStatus", "ECigaretteUsage", "RaceEthnicityCategory"),
    minimum_positives=50,
)
"""The clean baseline of the demo's heart table: what its original notebook did, fitted on train.

Height, weight and BMI are scaled; diabetes counts pre-diabetes and pregnancy as 1. For a release of
that table use ``CLEAN_BASELINE.fitting(release)``.
"""


def _categories(cells: pl.Series) -> set[str]:
    return set(texts(cells).unique().drop_nulls()) - {SUPPRESSED}
