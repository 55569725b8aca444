"""A column's ladder from exact value to ``*``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from os.path import relpath
from pathlib import Path
from typing import Any, Self

import polars as pl

from sfumato.errors import HierarchyError
from sfumato.table.hierarchies.bands import Bands, Intervals, merged_in_pairs
from sfumato.table.hierarchies.code_parts import atc_parts, postcode_parts, prefix_parts
from sfumato.table.hierarchies.dates import date_parts
from sfumato.table.hierarchies.flat import Flat
from sfumato.table.hierarchies.hierarchy_files import read_lines
from sfumato.table.hierarchies.hierarchy_recipes import hierarchy_from_recipe
from sfumato.table.hierarchies.icd10 import Icd10
from sfumato.table.hierarchies.intervals import Closed
from sfumato.table.hierarchies.keys import (
    distinct_values,
    numbers_of,
    replace_values,
    rows_holding,
    texts_of,
)
from sfumato.table.hierarchies.ladder import (
    MISSING_LABEL,
    SUPPRESSED,
    Climber,
    Ladder,
    build_ladder,
)
from sfumato.table.hierarchies.leaves import Leaves, Line, checked_leaves

__all__ = ["MISSING_LABEL", "SUPPRESSED", "Hierarchy", "Ladder"]


@dataclass(frozen=True, repr=False)
class Hierarchy:
    """How the values of a column become broader, level by level, up to ``*``.

    Level 0 is the exact value, level :attr:`height` is ``*``. Made by one of the constructors
    below; :meth:`to_dict` gives what a schema file says.

    Two families: a hierarchy that *lists* its values (:meth:`read`, :meth:`mapping`,
    :meth:`ordered`, most presets) holds these and no others; one made by a *rule*
    (:meth:`intervals`, :meth:`bands`, :meth:`prefix`, :meth:`dates`, codes, :meth:`flat`) holds
    every value of its form.

    Examples
    --------
    >>> ages = Hierarchy.bands([5, 20], top=90)
    >>> ages.generalize(pl.Series("age", [34, 71, 93]), 1).to_list()
    ['[30, 35)', '[70, 75)', '>=90']
    >>> ages.height
    3
    """

    recipe: Mapping[str, Any]
    climber: Climber = field(compare=False)
    source: Path | None = field(default=None, compare=False)
    delimiter: str | None = field(default=None, compare=False)

    # -- constructors ------------------------------------------------------------------------

    @classmethod
    def read(cls, path: str | Path, delimiter: str | None = None) -> Self:
        """Read a file in ARX's format: a value a line, then each broader level, ``*`` last.

        Parameters
        ----------
        path
            UTF-8 text without a header.
        delimiter
            The character between entries; by default the first of ``;``, tab, ``,`` and ``|``
            that the first line holds.

        Raises
        ------
        HierarchyError
            If the file cannot be read, or its lines do not form one tree; names file and line.
        """
        leaves = read_lines(Path(path), delimiter)
        return cls(_listed(leaves), leaves, Path(path), delimiter)

    @classmethod
    def lines(cls, lines: Sequence[Sequence[str]]) -> Self:
        """Return the hierarchy of lines as a file would hold them: value, groups, ``*``.

        Raises
        ------
        HierarchyError
            If the lines do not form one tree; names the entry.
        """
        numbered = [
            Line(number, tuple(_key(entry) for entry in line))
            for number, line in enumerate(lines, start=1)
        ]
        leaves = checked_leaves(numbered, "the list of lines", "entry")
        return cls(_listed(leaves), leaves)

    @classmethod
    def intervals(
        cls,
        bounds: Sequence[float],
        closed: Closed = "left",
        labels: Sequence[str] | None = None,
        levels: int | Sequence[Sequence[float]] | None = None,
        *,
        open_ended: bool = True,
    ) -> Self:
        """Return intervals between bounds.

        Parameters
        ----------
        bounds
            Rising numbers that part the intervals: ``[18.5, 25]`` makes ``<18.5``,
            ``[18.5, 25)`` and ``>=25``.
        closed
            Which end belongs to an interval: ``"left"`` for ``[18.5, 25)``, ``"right"`` for
            ``(18.5, 25]``.
        labels
            A name for each interval of level 1, instead of its ends.
        levels
            Broader levels: the bounds that stay at each (a part of those below), or how many
            levels of intervals there shall be in all, each merging neighbours two by two.
        open_ended
            Whether the values beyond the first and last bound are intervals too; if not, they are
            not held and are an error.

        Raises
        ------
        HierarchyError
            If the bounds do not rise, or levels or labels do not fit them.

        Examples
        --------
        >>> bmi = Hierarchy.intervals([18.5, 25, 30], levels=[[25]])
        >>> print(bmi.describe())
        intervals closed on the left: level 1 has <18.5, [18.5, 25), [25, 30), >=30; level 2 has \
<25, >=25; level 3 is '*'
        """
        first = _numbers("intervals", bounds)
        if isinstance(levels, int):
            merged = merged_in_pairs(first, levels)
        else:
            merged = (first, *(_numbers("intervals", level) for level in levels or ()))
        names = None if labels is None else tuple(_key(label) for label in labels)
        climber = Intervals(merged, closed, names, open_ended)
        recipe: dict[str, Any] = {"intervals": _plain(first), "closed": closed}
        if names is not None:
            recipe["labels"] = list(names)
        if len(merged) > 1:
            recipe["levels"] = [_plain(level) for level in merged[1:]]
        if not open_ended:
            recipe["open_ended"] = False
        return cls(recipe, climber)

    @classmethod
    def bands(
        cls,
        widths: Sequence[float] = (5, 10, 20),
        origin: float = 0,
        top: float | None = 90,
        bottom: float | None = None,
    ) -> Self:
        """Return bands of fixed width, such as ages in fives, tens and twenties.

        Parameters
        ----------
        widths
            Width at each level, in the column's unit; each divides the next.
        origin
            Where a band begins.
        top
            All values from here on are one group at every level (HIPAA: ages of 90 and over);
            None for no such group.
        bottom
            All values below here are one group at every level.

        Raises
        ------
        HierarchyError
            If a width is not positive or does not divide the next.
        """
        steps = _numbers("bands", widths)
        (start,) = _numbers("bands", [origin])
        high, low = (None if end is None else _numbers("bands", [end])[0] for end in (top, bottom))
        climber = Bands(steps, start, high, low)
        recipe: dict[str, Any] = {"bands": _plain(steps), "origin": _plain([start])[0]}
        for name, end in (("top", high), ("bottom", low)):
            if end is not None:
                recipe[name] = _plain([end])[0]
        return cls(recipe, climber)

    @classmethod
    def prefix(cls, lengths: Sequence[int]) -> Self:
        """Return the first characters of a text, then fewer: ``[3, 1]`` makes ``021*``, ``0*``.

        Parameters
        ----------
        lengths
            Characters kept at each level, falling.

        Raises
        ------
        HierarchyError
            If the lengths do not fall or one is below 1.
        """
        return cls({"prefix": list(lengths)}, prefix_parts(lengths))

    @classmethod
    def icd10(cls) -> Self:
        """Return ICD-10 codes by category, block and chapter (WHO edition of 2019)."""
        return cls({"icd10": True}, Icd10())

    @classmethod
    def atc(cls) -> Self:
        """Return ATC codes by their levels: 7 characters, 5, 4, 3, 1."""
        return cls({"atc": True}, atc_parts())

    @classmethod
    def postcode(cls, country: str = "US") -> Self:
        """Return the postcodes of a country by area.

        Parameters
        ----------
        country
            Two letters of ISO 3166: US, DE, FR, ES, IT, AT, CH, NL, GB, CA.

        Raises
        ------
        HierarchyError
            If the country is not known.
        """
        return cls({"postcode": country}, postcode_parts(country))

    @classmethod
    def dates(cls, levels: Sequence[str] = ("month", "quarter", "year", "decade")) -> Self:
        """Return dates by month, quarter and so on.

        Parameters
        ----------
        levels
            From fine to coarse, of: day, month, quarter, half-year, year, five-years, decade.

        Raises
        ------
        HierarchyError
            If a level is unknown or they are out of order.
        """
        return cls({"dates": list(levels)}, date_parts(levels))

    @classmethod
    def ordered(cls, *groups: Sequence[object], labels: Sequence[str] | None = None) -> Self:
        """Return groups of values in their order, such as ["Poor", "Fair"], ["Good"].

        Parameters
        ----------
        groups
            Each the values of one group, from least to greatest.
        labels
            A name for each group; by default "Poor to Fair", or the value that stands alone.

        Raises
        ------
        HierarchyError
            If a group is empty, a value stands twice, or the labels do not fit.
        """
        if labels is not None and len(labels) != len(groups):
            raise HierarchyError(f"ordered: {len(groups)} groups, but {len(labels)} labels")
        keys = [[_key(value) for value in group] for group in groups]
        if not keys or not all(keys):
            raise HierarchyError("ordered: each group needs at least one value")
        every = [value for group in keys for value in group]
        if len(set(every)) < len(every):
            raise HierarchyError("ordered: a value stands twice: it belongs to one group")
        if labels is None:
            names = [f"{group[0]} to {group[-1]}" if len(group) > 1 else group[0] for group in keys]
        else:
            names = [_key(label) for label in labels]
        if len(set(names)) < len(names):
            raise HierarchyError("ordered: a label stands twice: each group needs its own")
        numbered = [
            Line(number, (value, name, SUPPRESSED))
            for number, (group, name) in enumerate(zip(keys, names, strict=True), start=1)
            for value in group
        ]
        leaves = checked_leaves(numbered, "the ordered groups", "group")
        return cls({"ordered": keys, "labels": names}, leaves)

    @classmethod
    def mapping(cls, groups: Mapping[Any, str | Sequence[str]]) -> Self:
        """Return the hierarchy of a mapping from each value to its group, or to several levels.

        Parameters
        ----------
        groups
            ``{"Poor": "Bad", ...}``, or ``{"Poor": ["Bad", "Any"], ...}``; ``*`` is added.

        Raises
        ------
        HierarchyError
            If the entries do not form one tree.
        """
        entries = []
        for number, (value, above) in enumerate(groups.items(), start=1):
            names = [above] if isinstance(above, str) else [_key(name) for name in above]
            top = [] if names and names[-1] == SUPPRESSED else [SUPPRESSED]
            entries.append(Line(number, (_key(value), *names, *top)))
        leaves = checked_leaves(entries, "the mapping", "entry")
        return cls(_listed(leaves), leaves)

    @classmethod
    def preset(cls, name: str) -> Self:
        """Return one of the hierarchies that come with sfumato.

        Raises
        ------
        HierarchyError
            If no preset has the name; the message lists them.
        """
        from sfumato.table.hierarchies.presets import make_preset

        return cls({"preset": name}, make_preset(name).climber)

    @classmethod
    def flat(cls) -> Self:
        """Return the hierarchy of any value and ``*``, nothing between."""
        return cls({"flat": True}, Flat())

    # -- what it says ------------------------------------------------------------------------

    @property
    def height(self) -> int:
        """Levels above the exact value, ``*`` included; at least 1."""
        return self.climber.height

    @property
    def leaves(self) -> tuple[str, ...] | None:
        """The values that it lists, in their natural order, or None if it is made by a rule."""
        leaves = self.climber.leaves
        return None if leaves is None else tuple(leaves.to_list())

    def describe(self) -> str:
        """Return the hierarchy in words."""
        text = self.climber.describe()
        if isinstance(self.climber, Leaves):
            return text
        return f"{text}; level {self.height} is '{SUPPRESSED}'"

    def preview(self, n: int = 10) -> pl.DataFrame:
        """Return up to ``n`` values at every level; invented ones where a rule holds any.

        Returns
        -------
        pl.DataFrame
            Columns "value", "level 1", ... up to ``*``.
        """
        values = self.climber.examples()
        ladder = self.ladder(values)
        shown = range(min(n, ladder.n_leaves))
        return pl.DataFrame(
            {
                "value" if level == 0 else f"level {level}": [
                    ladder.labels[level][ladder.levels[level][leaf]] for leaf in shown
                ]
                for level in range(self.height + 1)
            }
        )

    def __repr__(self) -> str:
        leaves = self.climber.leaves
        held = "by rule" if leaves is None else f"{len(leaves)} values"
        kind = next(iter(self.recipe))
        name = f" {self.source.name!r}" if self.source else ""
        return f"<Hierarchy {kind}{name}: {held}, {self.height} levels>"

    def __hash__(self) -> int:
        return hash(json.dumps(self.recipe, sort_keys=True))

    # -- what it does ------------------------------------------------------------------------

    def generalize(self, series: pl.Series, level: int) -> pl.Series:
        """Return the label of each row at a level.

        Parameters
        ----------
        series
            A column (n rows).
        level
            0 (the exact value, as text) to :attr:`height` (``*``).

        Returns
        -------
        pl.Series
            Texts (n rows) of the same name. A missing cell stays missing, except at the top,
            where every row is ``*``.

        Raises
        ------
        HierarchyError
            If a row holds a value that the hierarchy does not hold: says how many rows, the first
            one's number, and what to add. Or if there is no such level.
        """
        if not 0 <= level <= self.height:
            raise HierarchyError(
                f"column {series.name!r}: no level {level}: the hierarchy has levels 0 to "
                f"{self.height}"
            )
        values, climbed = self._climb(series)
        if level == self.height:
            top = pl.Series(series.name, [SUPPRESSED], dtype=pl.String)
            return top.new_from_index(0, len(series))
        return replace_values(series, values, climbed[level], pl.String).alias(series.name)

    def ladder(self, series: pl.Series) -> Ladder:
        """Return the numbered leaves and groups for a column.

        A hierarchy that lists its values gives all of them as leaves, also those that no row
        holds; one made by a rule gives the distinct values of the column. If a cell is missing, a
        last leaf "(missing)" is added, whose only ancestor is ``*``.

        Raises
        ------
        HierarchyError
            If a row holds a value that the hierarchy does not hold.
        """
        values, climbed = self._climb(series)
        leaves = self.climber.leaves
        if leaves is not None:
            climbed = self.climber.climb(leaves)
        else:
            order = _natural_order(values)
            climbed = tuple(labels.gather(order) for labels in climbed)
        missing = series.null_count() > 0
        return build_ladder(series.name, climbed, missing=missing, where=repr(self))

    def _climb(self, series: pl.Series) -> tuple[pl.Series, tuple[pl.Series, ...]]:
        """Return the distinct values of a column and their labels below the top."""
        values = distinct_values(series)
        climbed = self.climber.climb(values)
        strange = climbed[0].is_null()
        if strange.any():
            unheld = values.filter(strange)
            count, first = rows_holding(series, unheld)
            noun = "row holds" if count == 1 else "rows hold"
            distinct = f"{len(unheld)} different values" if len(unheld) > 1 else "a value"
            raise HierarchyError(
                f"column {series.name!r}: {count} {noun} {distinct} that the hierarchy does not "
                f"hold, first in row {first}: {self.climber.mend()}{self._near(unheld)}"
            )
        return values, climbed

    def _near(self, unheld: pl.Series) -> str:
        """Say if values fail by blanks or letter case only."""
        leaves = self.climber.leaves
        if leaves is None:
            return ""
        texts = texts_of(unheld).str.strip_chars().str.to_lowercase()
        near = int(texts.is_in(leaves.str.to_lowercase().implode()).sum())
        return f" ({near} of them differ by blanks or letter case only)" if near else ""

    # -- as plain values ---------------------------------------------------------------------

    def to_dict(self, base: Path | None = None) -> dict[str, Any]:
        """Return what a schema file says of it, as plain JSON values.

        Parameters
        ----------
        base
            The folder of the schema file: a hierarchy that was read from a file is then named by
            its path from there. Without it the lines themselves are given.
        """
        if base is not None and self.source is not None:
            path = Path(relpath(self.source.resolve(), base.resolve())).as_posix()
            return {"file": path} | ({"delimiter": self.delimiter} if self.delimiter else {})
        return deepcopy(dict(self.recipe))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], base: Path | None = None) -> Hierarchy:
        """Return the hierarchy that a schema file asks for.

        Parameters
        ----------
        values
            One of ``{file = "age.csv"}``, ``{intervals = [18, 30]}``, ``{bands = [5, 10]}``,
            ``{prefix = [3, 1]}``, ``{icd10 = true}``, ``{atc = true}``, ``{postcode = "US"}``,
            ``{dates = ["month", "year"]}``, ``{ordered = [["Poor"], ["Good"]]}``,
            ``{mapping = {Poor = "Bad"}}``, ``{lines = [["Poor", "Bad", "*"]]}``,
            ``{preset = "who-bmi"}``, ``{flat = true}``, with the constructor's other settings.
        base
            The folder from which a file is looked for.

        Raises
        ------
        HierarchyError
            If the kind or a setting is unknown or does not fit.
        """
        return hierarchy_from_recipe(cls, values, base or Path())


def _listed(leaves: Leaves) -> dict[str, Any]:
    return {"lines": [list(line) for line in leaves.lines]}


def _key(value: object) -> str:
    """Return the text by which a value of Python is found in a column."""
    if value is None:
        raise HierarchyError("a hierarchy holds no missing value: missing cells stay missing")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip()


def _numbers(kind: str, values: Sequence[float]) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise HierarchyError(f"{kind}: needs numbers (got {values!r})") from None


def _plain(numbers: Sequence[float]) -> list[float]:
    """Return numbers as a person would write them: 18 rather than 18.0."""
    return [int(number) if number.is_integer() else number for number in numbers]


def _natural_order(values: pl.Series) -> pl.Series:
    """Return the order of distinct values: by number if all are numbers, else as they compare."""
    numbers = numbers_of(values)
    if numbers.null_count() == 0:
        return numbers.arg_sort()
    if values.dtype == pl.Categorical or values.dtype == pl.Enum:
        return values.cast(pl.String).arg_sort()
    return values.arg_sort()
