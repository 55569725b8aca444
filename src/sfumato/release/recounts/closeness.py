"""How far the sensitive values of a class are from those of the whole released table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.release.recounts.outcome import Outcome, Sentence, at_least, at_most, of_classes
from sfumato.release.recounts.promises import Asked
from sfumato.release.recounts.tally import Tally, Values

__all__ = ["beta_likeness", "delta_disclosure", "natural_order", "t_closeness"]

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


def t_closeness(asked: Asked, tally: Tally, levels: Sequence[Integers] = ()) -> Outcome:
    """Recount t-closeness: the earth mover's distance of each class from the whole table.

    Parameters
    ----------
    levels
        For the hierarchical distance: the group of each value at each level below the root, from
        the value itself on.

    Notes
    -----
    N. Li, T. Li, S. Venkatasubramanian, "t-closeness: privacy beyond k-anonymity and l-diversity",
    ICDE 2007, section 4: 4.1.1 for numbers in order, 4.1.2 for the equal and the hierarchical
    distance.
    """
    values = tally.sensitive[str(asked.column)]
    if asked["distance"] == "ordered":
        distance = _ordered(values, len(tally))
    elif asked["distance"] == "hierarchical":
        distance = _hierarchical(values, len(tally), levels)
    else:
        distance = (
            _different(
                values.classes,
                _shares(values, len(tally)),
                _overall(values)[values.values],
                len(tally),
            )
            / 2
        )
    sentence = Sentence(
        f"the farthest class is at {asked['distance']} distance {{worst}} from the whole table",
        f"t is {asked['t']:g}",
    )
    return of_classes(tally, distance, at_most(distance, asked["t"]), asked["t"], sentence)


def delta_disclosure(asked: Asked, tally: Tally) -> Outcome:
    """Recount delta-disclosure privacy of the values that each class holds.

    Notes
    -----
    J. Brickell, V. Shmatikov, "The cost of privacy: destruction of data-mining utility in
    anonymized data publishing", KDD 2008, definition 3: abs(log2(p(class, s) / p(table, s))) <
    delta for every value s. Taken by the letter, a class that lacks any value of the table breaks
    it (the logarithm of zero is below every bound), which leaves next to no table; programs that
    promise it look at the values that a class holds. So does this recount, and says how many
    classes would break the letter.
    """
    values = tally.sensitive[str(asked.column)]
    shares, overall = _shares(values, len(tally)), _overall(values)
    highest = np.zeros(len(tally))
    np.maximum.at(highest, values.classes, np.abs(np.log2(shares / overall[values.values])))
    lacking = int((np.bincount(values.classes, minlength=len(tally)) < len(overall)).sum())
    sentence = Sentence(
        "the share of a value differs by up to {worst} powers of two from that in the table",
        f"delta is {asked['delta']:g}"
        + (f"; classes that lack a value of the table: {lacking:,}" if lacking else ""),
    )
    kept = ~at_least(highest, asked["delta"])
    return of_classes(tally, highest, kept, asked["delta"], sentence)


def beta_likeness(asked: Asked, tally: Tally) -> Outcome:
    """Recount basic or enhanced beta-likeness.

    Notes
    -----
    J. Cao, P. Karras, "Publishing microdata with a robust privacy guarantee", PVLDB 5(11), 2012,
    definitions 2 and 3: a value of share p in the table and q > p in the class has
    (q - p) / p <= beta, for the enhanced one <= min(beta, -ln p).
    """
    values = tally.sensitive[str(asked.column)]
    overall = _overall(values)[values.values]
    gain = (_shares(values, len(tally)) - overall) / overall
    bound = np.full(len(gain), float(asked["beta"]))
    if asked["enhanced"]:
        bound = np.minimum(bound, -np.log(overall))
    broken = (gain > 0) & ~at_most(gain - bound, 0.0)
    kept = np.bincount(values.classes, weights=broken, minlength=len(tally)) == 0
    highest = np.zeros(len(tally))
    np.maximum.at(highest, values.classes, gain)
    bounded = "the lesser of beta and -ln of its share binds" if asked["enhanced"] else ""
    sentence = Sentence(
        "a value gains up to {worst} of its share in the table",
        f"beta is {asked['beta']:g}" + (f", {bounded}" if bounded else ""),
    )
    return of_classes(tally, highest, kept, asked["beta"], sentence)


def natural_order(labels: pl.Series) -> Integers:
    """Return the place of each value, from 0: a missing one comes last.

    Numbers and intervals go by where they begin and then by where they end, if all values are
    such; other texts, dates among them, by their letters.
    """
    from sfumato.table import parse_intervals

    low, high = parse_intervals(labels)
    table = pl.DataFrame({"low": low, "high": high, "text": labels}).with_row_index("value")
    keys = ["low", "high", "text"]
    if np.isnan(low[labels.is_not_null().to_numpy()]).any():
        keys = ["text"]
    missing_last = pl.col("text").is_null()
    order = table.sort(missing_last, *keys)["value"].to_numpy()
    place = np.empty(len(labels), dtype=np.int64)
    place[order] = np.arange(len(labels))
    return place


def _shares(values: Values, n_classes: int) -> Numbers:
    """Return the share of each counted value in its class."""
    totals = np.bincount(values.classes, weights=values.counts, minlength=n_classes)
    return np.asarray(values.counts / totals[values.classes])


def _overall(values: Values) -> Numbers:
    """Return the share of each value in the whole table."""
    return np.asarray(values.overall / max(int(values.overall.sum()), 1))


def _different(classes: Integers, shares: Numbers, overall: Numbers, n_classes: int) -> Numbers:
    """Return the sum over all values of the differences between class and table.

    What a class lacks differs by its whole share in the table, which is one less what it has.
    """
    there = np.bincount(classes, weights=np.abs(shares - overall), minlength=n_classes)
    had = np.bincount(classes, weights=overall, minlength=n_classes)
    return np.asarray(there + np.maximum(1.0 - had, 0.0), dtype=np.float64)


def _ordered(values: Values, n_classes: int) -> Numbers:
    """Return the mean over the values, in order, of the difference of the sums up to each.

    Between two values that a class has, its sum stands still while that of the table rises; the
    table's sums added up (`risen`) give the difference over the whole stretch at once.
    """
    n_values = len(values.labels)
    if n_values < 2 or not n_classes:
        return np.zeros(n_classes)
    place = natural_order(values.labels)
    table = np.empty(n_values)
    table[place] = _overall(values)
    table = np.cumsum(table)
    risen = np.concatenate([[0.0], np.cumsum(table)])
    order = np.lexsort((place[values.values], values.classes))
    classes, counts = values.classes[order], values.counts[order]
    begin = place[values.values][order]
    first = np.searchsorted(classes, np.arange(n_classes))
    totals = np.add.reduceat(counts, first)
    before = np.concatenate([[0], np.cumsum(counts)])
    reached = (before[1:] - before[first][classes]) / totals[classes]
    end = np.append(begin[1:], n_values)
    end[np.append(first[1:] - 1, len(end) - 1)] = n_values
    passed = np.clip(np.searchsorted(table, reached, side="right"), begin, end)
    stretch = reached * (2 * passed - begin - end) - 2 * risen[passed] + risen[begin] + risen[end]
    sums = np.bincount(classes, weights=stretch, minlength=n_classes) + risen[begin[first]]
    return np.asarray(sums / (n_values - 1))


def _hierarchical(values: Values, n_classes: int, levels: Sequence[Integers]) -> Numbers:
    """Return the mean over the levels of half the differences between class and table.

    Two values are as far apart as the level at which they meet; earth that crosses a group's
    border at a level walks one level up and, elsewhere, one down, each half a level's cost.
    """
    shares, overall = _shares(values, n_classes), _overall(values)
    total = np.zeros(n_classes)
    for groups in levels:
        number = int(groups.max(initial=0)) + 1
        keys, place = np.unique(
            values.classes * number + groups[values.values], return_inverse=True
        )
        classes, of_group = np.divmod(keys, number)
        there = np.bincount(place, weights=shares, minlength=len(keys)).astype(np.float64)
        whole = np.bincount(groups, weights=overall, minlength=number).astype(np.float64)
        total += _different(classes, there, whole[of_group], n_classes) / 2
    return total / max(len(levels), 1)
