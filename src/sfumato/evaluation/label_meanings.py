"""What each label of a released column stands for: which leaves of the column's hierarchy.

Read from the label alone, so that the release of any tool can be measured: a label of the
hierarchy at any level, ``*``, an interval (``[20, 30)``, ``20-30``, ``>=90``), a set
(``{a, b}``), an exact value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.table.hierarchies.intervals import parse_intervals
from sfumato.table.hierarchies.keys import match_keys, texts_of
from sfumato.table.hierarchies.ladder import Ladder

__all__ = ["Domain", "LabelMeanings", "Reach", "read_labels"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_MOMENT = r"(\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}:\d{2}(?:\.\d+)?)?)"
_MICROSECONDS_A_DAY = 86_400e6
_NONE = -1


@dataclass(frozen=True, eq=False)
class Domain:
    """The values that a column of the real table can take.

    Parameters
    ----------
    ladder
        The column's leaves and their groups.
    numbers
        The leaves as numbers (dates as days since 1970), ``nan`` for the leaf that stands for a
        missing cell, shape (n_leaves,); None if a leaf is no number.
    by_width
        Whether the column has no hierarchy and what is shown of it is an interval of numbers,
        measured by its width.
    temporal
        Whether the numbers stand for dates.
    """

    ladder: Ladder
    numbers: Floats | None
    by_width: bool
    temporal: bool = False

    @cached_property
    def size(self) -> int:
        """Leaves, without the one for missing cells; at least 1."""
        return max(self.ladder.domain_size, 1)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest number; zeros if there is none."""
        if self.numbers is None or not self.ladder.domain_size:
            return 0.0, 0.0
        known = self.numbers[: self.ladder.domain_size]
        return float(known.min()), float(known.max())

    @cached_property
    def rising(self) -> bool:
        """Whether the numbers rise along the leaves, so that an interval is a run of leaves."""
        if self.numbers is None:
            return False
        return bool((np.diff(self.numbers[: self.ladder.domain_size]) > 0).all())


@dataclass(frozen=True)
class Reach:
    """The least and the greatest leaf of the rows that carry each label, shape (n_labels,)."""

    least: Integers
    greatest: Integers


@dataclass(frozen=True, eq=False)
class LabelMeanings:
    """What each of the distinct labels of a column stands for.

    Parameters
    ----------
    domain
        The values that the column can take.
    first, last
        The run of leaves below each label, ends included, shape (n_labels,); an exact number that
        is no leaf has an empty run (``last < first``).
    sets
        For a label whose leaves are no run, their codes instead.
    at_levels
        Whether the label stands at each level of the hierarchy, shape (n_labels, height + 1).
    level
        The lowest level with a group of these leaves, or else the lowest whose group holds them
        all; shape (n_labels,).
    low, high
        The ends of what is shown, as numbers within the column's ends; ``nan`` without numbers.
    unknown
        Which labels are none of this.
    """

    domain: Domain
    first: Integers
    last: Integers
    sets: dict[int, Integers]
    at_levels: Flags
    level: Integers
    low: Floats
    high: Floats
    unknown: Flags

    def under(self, counts: Floats) -> Floats:
        """Return for each label the sum of ``counts`` (n_leaves,) over its leaves."""
        running = np.concatenate([[0.0], np.cumsum(counts)])
        below: Floats = running[np.maximum(self.last + 1, self.first)] - running[self.first]
        for label, codes in self.sets.items():
            below[label] = counts[codes].sum()
        return below

    @cached_property
    def leaves(self) -> Floats:
        """How many leaves each label leaves open, without the one for missing cells; at least 1."""
        counts = np.ones(self.domain.ladder.n_leaves)
        counts[self.domain.ladder.domain_size :] = 0
        return np.maximum(self.under(counts), 1.0)

    @cached_property
    def exact(self) -> Flags:
        """Which labels show a single value."""
        single = (self.leaves <= 1) & ~self.everything
        if self.domain.by_width:
            # an interval around a single known value still shows an interval
            single &= ~(self.high > self.low)
        return single

    @cached_property
    def share(self) -> Floats:
        """The share of the column's domain that each label leaves open.

        Leaves below it / all leaves; for numbers without a hierarchy the width of the interval /
        the range of the column, 0 for an exact number.
        """
        if self.domain.by_width:
            return self.extent
        return self.leaves / self.domain.size

    @cached_property
    def extent(self) -> Floats:
        """The width of what is shown / the range of the column's numbers; 0 where no number is."""
        low, high = self.domain.ends
        if high <= low:
            return np.where(self.everything, 1.0, 0.0)
        width = np.nan_to_num(self.high - self.low) / (high - low)
        return np.where(self.everything, 1.0, np.clip(width, 0.0, 1.0))

    @cached_property
    def everything(self) -> Flags:
        """Which labels are ``*``: they stand at the top of the hierarchy."""
        top: Flags = self.at_levels[:, -1]
        return top

    @cached_property
    def middle(self) -> Floats:
        """The middle of what is shown, as a number; ``nan`` for ``*`` and without numbers."""
        return np.where(self.everything, np.nan, (self.low + self.high) / 2)

    def holds(self, label: Integers, leaf: Integers) -> Flags:
        """Return for each row whether its leaf is among those of its label.

        Parameters
        ----------
        label, leaf
            Label and leaf of each row, shape (n,).
        """
        held: Flags = (self.first[label] <= leaf) & (leaf <= self.last[label])
        for number, codes in self.sets.items():
            here = np.flatnonzero(label == number)
            held[here] = np.isin(leaf[here], codes)
        return held


def read_labels(labels: pl.Series, domain: Domain, reach: Reach | None = None) -> LabelMeanings:
    """Read the distinct labels of a released column.

    Parameters
    ----------
    labels
        Distinct, none missing.
    domain
        The values that the column can take.
    reach
        The leaves of the real rows that carry each label. Where one text names groups of several
        levels, it means the narrowest one that holds them; without real rows, the broadest.
    """
    ladder = domain.ladder
    texts = texts_of(labels)
    found = _positions(labels, texts, ladder)
    on_ladder: Flags = np.any(found >= 0, axis=0)
    first, last, level = _runs(found, ladder, reach)
    low, high = np.full(len(texts), np.nan), np.full(len(texts), np.nan)
    sets: dict[int, Integers] = {}
    known = on_ladder.copy()
    if domain.numbers is not None:
        low, high = _ends(texts, domain)
        # a group that is called by a number is not that number
        low[on_ladder & (low == high) & (last > first)] = np.nan
        numeric = ~on_ladder & ~np.isnan(low)
        known |= numeric
        sets |= _interval_leaves(texts, numeric, low, high, domain, first, last)
    for place in np.flatnonzero(~known).tolist():
        members = _set_members(texts[place], ladder)
        if members is not None:
            sets[place] = members
            known[place] = True
    low, high = _numbers_shown(low, high, first, last, sets, domain)
    for place, codes in sets.items():
        if len(codes):
            first[place], last[place] = codes.min(), codes.max()
    missing = ~on_ladder & known
    level[missing] = _ancestor_levels(first[missing], last[missing], ladder)
    return LabelMeanings(domain, first, last, sets, (found >= 0).T, level, low, high, ~known)


def _positions(labels: pl.Series, texts: pl.Series, ladder: Ladder) -> Integers:
    """Return the group that each label names at each level or -1, shape (height + 1, n_labels)."""
    found = np.full((ladder.height + 1, len(texts)), _NONE, dtype=np.int64)
    leaves = pl.Series(ladder.labels[0], dtype=pl.String)
    if ladder.height:
        found[0] = match_keys(labels, leaves).cast(pl.Int64).fill_null(_NONE).to_numpy()
    for level in range(1, ladder.height + 1):
        names = pl.Series(ladder.labels[level], dtype=pl.String)
        places = pl.Series(range(len(names)), dtype=pl.Int64)
        matched = texts.replace_strict(names, places, default=_NONE, return_dtype=pl.Int64)
        found[level] = matched.to_numpy()
    # "7" is the leaf "7.0" by its number only if it is not the name of a group
    named = (found[1:] >= 0).any(axis=0) & ~texts.is_in(leaves.implode()).to_numpy()
    found[0, named] = _NONE
    return found


def _runs(
    found: Integers, ladder: Ladder, reach: Reach | None
) -> tuple[Integers, Integers, Integers]:
    """Return the run of leaves that each label means, and its level; unknown: an empty run."""
    count = found.shape[1]
    first, last = np.zeros(count, dtype=np.int64), np.full(count, _NONE, dtype=np.int64)
    level = np.zeros(count, dtype=np.int64)
    settled = np.zeros(count, dtype=np.bool_)
    for number in range(ladder.height + 1):
        begins, ends = ladder.bounds(number)
        here = (found[number] >= 0) & ~settled
        group = found[number, here]
        broader = ends[group] - begins[group] > last[here] - first[here]
        places = np.flatnonzero(here)[broader]
        first[places], last[places] = begins[group[broader]], ends[group[broader]]
        level[places] = number
        if reach is not None:
            holds = (first <= reach.least) & (reach.greatest <= last)
            settled |= here & holds
    return first, last, level


def _ends(texts: pl.Series, domain: Domain) -> tuple[Floats, Floats]:
    if domain.temporal:
        return _moments(texts)
    low, high = parse_intervals(texts)
    return low.copy(), high.copy()


def _moments(texts: pl.Series) -> tuple[Floats, Floats]:
    """Read dates and intervals of dates as days since 1970."""
    text = pl.col("text")
    ends = pl.DataFrame({"text": texts}).select(
        one=text.str.extract(rf"^[\[\(]?\s*{_MOMENT}", 1),
        other=text.str.extract(rf"[,;]\s*{_MOMENT}\s*[\]\)]$", 1),
        below=text.str.extract(rf"^<=?\s*{_MOMENT}$", 1),
        above=text.str.extract(rf"^>=?\s*{_MOMENT}$", 1),
    )
    days = {name: _days(ends[name]) for name in ends.columns}
    below, above = ~np.isnan(days["below"]), ~np.isnan(days["above"])
    low = np.where(below, -np.inf, np.where(above, days["above"], days["one"]))
    alone = np.isnan(days["other"])
    high = np.where(below, days["below"], np.where(alone, days["one"], days["other"]))
    return low, np.where(above, np.inf, high)


def _days(texts: pl.Series) -> Floats:
    whole = texts.str.replace("T", " ").str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1} 00:00:00")
    moments = whole.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    days: Floats = moments.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()
    return days / _MICROSECONDS_A_DAY


def _interval_leaves(
    texts: pl.Series,
    numeric: Flags,
    low: Floats,
    high: Floats,
    domain: Domain,
    first: Integers,
    last: Integers,
) -> dict[int, Integers]:
    """Set the runs of leaves within intervals in place; return the leaves that are no run."""
    places = np.flatnonzero(numeric)
    if not len(places) or domain.numbers is None:
        return {}
    shown = texts.gather(places)
    open_left = shown.str.contains(r"^\s*[\(\]>]\s*[^=\s]").to_numpy()
    open_right = shown.str.contains(r"[\)\[]\s*$|^\s*<\s*[^=\s]").to_numpy()
    known = domain.numbers[: domain.ladder.domain_size]
    order = np.argsort(known, kind="stable")
    ordered = known[order]
    begins = np.where(
        open_left,
        np.searchsorted(ordered, low[places], "right"),
        np.searchsorted(ordered, low[places], "left"),
    )
    ends = np.where(
        open_right,
        np.searchsorted(ordered, high[places], "left"),
        np.searchsorted(ordered, high[places], "right"),
    )
    first[places], last[places] = begins, ends - 1
    if domain.rising:
        return {}
    parts = zip(places.tolist(), begins.tolist(), ends.tolist(), strict=True)
    return {place: np.sort(order[begin:end]) for place, begin, end in parts}


def _set_members(text: str, ladder: Ladder) -> Integers | None:
    """Return the leaves of a set such as ``{a, b}``, or None if it is none or a part is unknown."""
    inside = text.strip()
    if not (inside.startswith("{") and inside.endswith("}")):
        return None
    codes: list[Integers] = []
    held = ""
    for piece in inside[1:-1].split(","):
        # a value may hold a comma itself: pieces are joined until they name something
        held = f"{held},{piece}" if held else piece
        # an apostrophe may be the value's own, or put around it
        for spelled in dict.fromkeys((held.strip(), held.strip().strip("'\""))):
            member = pl.Series([spelled])
            first, last, _ = _runs(_positions(member, member, ladder), ladder, None)
            if last[0] >= first[0]:
                codes.append(np.arange(first[0], last[0] + 1))
                held = ""
                break
    if held or not codes:
        return None
    return np.unique(np.concatenate(codes))


def _numbers_shown(
    low: Floats,
    high: Floats,
    first: Integers,
    last: Integers,
    sets: dict[int, Integers],
    domain: Domain,
) -> tuple[Floats, Floats]:
    """Return the ends of what each label shows: those of its interval, else of its leaves."""
    if domain.numbers is None or not domain.ladder.domain_size:
        return low, high
    least, greatest = domain.ends
    known = domain.numbers[: domain.ladder.domain_size]
    final = np.minimum(last, domain.ladder.domain_size - 1)
    unread = np.flatnonzero(np.isnan(low) & (final >= first))
    if domain.rising:
        low[unread], high[unread] = known[first[unread]], known[final[unread]]
    else:
        for place in unread.tolist():
            leaves = known[first[place] : final[place] + 1]
            low[place], high[place] = leaves.min(), leaves.max()
    for place, codes in sets.items():
        inside = known[codes[codes < domain.ladder.domain_size]]
        if np.isnan(low[place]) and len(inside):
            low[place], high[place] = inside.min(), inside.max()
    exact = low == high
    return (
        np.where(exact, low, np.clip(low, least, greatest)),
        np.where(exact, high, np.clip(high, least, greatest)),
    )


def _ancestor_levels(first: Integers, last: Integers, ladder: Ladder) -> Integers:
    """Return the lowest level at which one group holds both leaves; 0 for an empty run."""
    level = np.full(len(first), ladder.height, dtype=np.int64)
    for number in range(ladder.height - 1, -1, -1):
        groups = ladder.levels[number]
        if len(groups):
            inner = np.clip(first, 0, len(groups) - 1), np.clip(last, 0, len(groups) - 1)
            level[groups[inner[0]] == groups[inner[1]]] = number
    level[last < first] = 0
    return level
