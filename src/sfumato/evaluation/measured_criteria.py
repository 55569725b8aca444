"""The value that each criterion has in a released table, whether or not it was promised.

All values are counts over the whole release, exact. Missing is a value of its own, both of a
quasi-identifier (its rows stay in their classes) and of a sensitive column.

References
----------
L. Sweeney, IJUFKS 10 (2002); A. Machanavajjhala et al., "l-diversity", ACM TKDD 1(1) (2007);
N. Li, T. Li, S. Venkatasubramanian, "t-closeness", ICDE 2007; R. C.-W. Wong et al.,
"(alpha, k)-anonymity", KDD 2006; J. Cao, P. Karras, "Publishing microdata with a robust privacy
guarantee", PVLDB 5(11) (2012); J. Brickell, V. Shmatikov, "The cost of privacy", KDD 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.evaluation.attackers import suppressed_rows
from sfumato.evaluation.class_shares import ClassShares, class_shares
from sfumato.evaluation.figures import Direction, Figure
from sfumato.privacy.natural_order import natural_order

if TYPE_CHECKING:
    from sfumato.privacy import EquivalenceClasses
    from sfumato.table import Schema

__all__ = ["class_measures"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_EXACT = "exact: counted over the whole release"
_LOWER: Direction = "lower is better"
_HIGHER: Direction = "higher is better"
_ORDERED_TYPES = ("integer", "number", "date", "datetime")
_MACHANAVAJJHALA = "Machanavajjhala et al. 2007"
_PROSECUTOR = "El Emam & Dankar 2008, prosecutor risk"

_OF_CLASSES: dict[str, tuple[str, str, Direction, str]] = {
    "k": ("k-anonymity, k", "people", _HIGHER, "Sweeney 2002, definition 3"),
    "prosecutor": ("prosecutor risk, highest", "share", _LOWER, _PROSECUTOR),
    "average": ("prosecutor risk, average over people", "share", _LOWER, _PROSECUTOR),
    "uniques": ("people who are alone", "share", _LOWER, "Sweeney 2002, sample uniques"),
}
_OF_COLUMN: dict[str, tuple[str, str, Direction, str]] = {
    "l": ("distinct l-diversity, l", "values", _HIGHER, f"{_MACHANAVAJJHALA}, section 4.1"),
    "entropy_l": ("entropy l-diversity, l", "values", _HIGHER, f"{_MACHANAVAJJHALA}, def. 4.1"),
    "recursive_cl": ("recursive (c,l)-diversity, c", "times", _LOWER, f"{_MACHANAVAJJHALA}, 4.2"),
    "t": ("t-closeness, t", "distance, 0 to 1", _LOWER, "Li et al. 2007, sections 4.1 and 4.2"),
    "beta": ("basic beta-likeness, beta", "times", _LOWER, "Cao & Karras 2012, definition 2"),
    "enhanced_beta": (
        "enhanced beta-likeness, beta",
        "times",
        _LOWER,
        "Cao & Karras 2012, definition 3",
    ),
    "enhanced_beta_bound": (
        "enhanced beta-likeness, largest gain allowed",
        "times",
        _LOWER,
        "Cao & Karras 2012, definition 3",
    ),
    "delta": ("delta-disclosure, delta", "bits", _LOWER, "Brickell & Shmatikov 2008"),
    "alpha_k": ("(alpha, k)-anonymity, alpha", "share", _LOWER, "Wong et al. 2006"),
}


def class_measures(
    released: Any,
    quasi_identifiers: Sequence[str],
    sensitive: Sequence[str] = (),
    *,
    schema: Schema | None = None,
    person: str | None = None,
    classes: EquivalenceClasses | None = None,
) -> dict[str, Figure]:
    """Return the value that each criterion has in a released table.

    Parameters
    ----------
    released
        The released table, a data frame of any kind.
    quasi_identifiers
        Its columns that others may know of a person.
    sensitive
        The columns of which nothing must be learned about a person.
    schema
        Says which sensitive columns are ordered (numbers and dates), also where the release has
        generalized them to texts, and whose row is whose. Without it the types of the release say.
    person
        Column that says whose row it is; classes then count people. Default: that of the schema, if
        the release has it.
    classes
        The equivalence classes of the release by these quasi-identifiers, the sensitive columns
        among those named to it, where they are made already.

    Returns
    -------
    dict of Figure
        ``k``, ``prosecutor`` (1 / k), ``average`` (classes / people) and ``uniques``; and for each
        sensitive column ``l/column``, ``entropy_l/column`` (exp of the least entropy: n equally
        frequent values give n), ``recursive_cl/column`` (the c that must be exceeded, at the l of
        the column), ``t/column``, ``beta/column``, ``enhanced_beta/column``,
        ``enhanced_beta_bound/column``, ``delta/column`` (bits) and ``alpha_k/column``. Without
        quasi-identifiers or rows they say why they were not computed.

    Raises
    ------
    SchemaError
        If a column is absent.

    Examples
    --------
    >>> table = pl.DataFrame({"age": ["20-30"] * 3 + ["30-40"] * 3, "ill": list("aabaaa")})
    >>> found = class_measures(table, ["age"], ["ill"])
    >>> found["k"].value, found["l/ill"].value, found["alpha_k/ill"].value
    (3.0, 1.0, 1.0)
    """
    from sfumato.privacy import EquivalenceClasses
    from sfumato.privacy.grouping import polars_frame

    frame = polars_frame(released)
    if person is None and schema is not None and schema.person in frame.columns:
        person = schema.person
    columns = list(sensitive)
    if classes is None:
        classes = EquivalenceClasses.of(frame, quasi_identifiers, sensitive=columns, person=person)
    if not quasi_identifiers or frame.is_empty():
        lacks = "rows" if quasi_identifiers else "quasi-identifiers"
        return _none(columns, f"the release has no {lacks}")
    kept = np.ones(len(classes), dtype=np.bool_)
    kept[classes.of_row[suppressed_rows(frame, quasi_identifiers)]] = False
    figures = _of_classes(classes.sizes, kept, "people" if classes.counts_persons else "rows")
    for name in columns:
        values = classes.sensitive_values(name)
        order = natural_order(values.labels) if _is_ordered(frame[name], schema) else None
        found = class_shares(values, classes.sizes, classes.overall(name), order)
        figures |= _of_column(name, found, kept, ordered=order is not None)
    return figures


def _is_ordered(column: pl.Series, schema: Schema | None) -> bool:
    said = None if schema is None else schema.columns.get(column.name)
    if said is not None and said.type is not None:
        return said.type in _ORDERED_TYPES or isinstance(column.dtype, pl.Enum)
    dtype = column.dtype
    return dtype.is_numeric() or dtype.is_temporal() or isinstance(dtype, pl.Enum)


def _of_classes(sizes: Integers, kept: Flags, unit: str) -> dict[str, Figure]:
    k, people = int(sizes.min()), int(sizes.sum())
    without = (
        f" Without the suppressed rows it is {int(sizes[kept].min()):,}."
        if kept.any() and not kept.all() and int(sizes[kept].min()) != k
        else ""
    )
    figures = {
        "k": (
            k,
            f"Every combination of quasi-identifiers is shared by at least {k:,} {unit}.{without}",
        ),
        "prosecutor": (
            1 / k,
            (
                "Chance of finding the row of the person who is easiest to find, for an attacker "
                "who knows that the person is in the release: 1 / k."
            ),
        ),
        "average": (
            len(sizes) / people,
            f"The same chance on average over all {unit}: classes divided by {unit}.",
        ),
        "uniques": (
            float((sizes == 1).sum()) / people,
            f"Share of the {unit} that are the only ones with their quasi-identifiers.",
        ),
    }
    return {
        key: _figure(_OF_CLASSES[key], value, meaning, unit=unit if key == "k" else None)
        for key, (value, meaning) in figures.items()
    }


def _of_column(column: str, found: ClassShares, kept: Flags, *, ordered: bool) -> dict[str, Figure]:
    l, beta = found.least_distinct, float(found.gain.max())  # noqa: E741 (the literature's name)
    bound = min(beta, -float(np.log(found.rarest)))
    how = "steps in their order" if ordered else "1 between any two"
    said = {
        "l": (
            found.distinct.astype(np.float64),
            f"Every class has at least {{}} different values of {column!r}.",
        ),
        "entropy_l": (
            np.exp(found.entropy),
            (
                f"The values of {column!r} are as uncertain in every class as {{}} equally "
                "frequent ones."
            ),
        ),
        "recursive_cl": (
            found.dominance,
            (
                f"In every class the most frequent value of {column!r} occurs at most {{}} times "
                f"as often as all but the {l - 1} most frequent together: (c, {l})-diversity "
                "holds for any c above."
            ),
        ),
        "t": (
            found.distance,
            (
                f"The values of {column!r} are spread in every class as in the whole table, up to "
                f"a distance of {{}} (values are {how} apart)."
            ),
        ),
        "beta": (
            found.gain,
            (
                f"No value of {column!r} is more frequent in a class than in the whole table by "
                "more than {} times."
            ),
        ),
        "delta": (
            found.change,
            (
                f"A value of {column!r} that a class holds is at most 2 to the power of {{}} times "
                "more or less frequent there than in the whole table (natural logarithm: this "
                "times 0.693)."
            ),
        ),
        "alpha_k": (
            found.largest_share,
            f"At most a share of {{}} of a class has one value of {column!r}.",
        ),
    }
    figures = {}
    for key, (of_class, meaning) in said.items():
        figures[f"{key}/{column}"] = _extreme(key, column, of_class, meaning, kept)
    enhanced = f"enhanced_beta/{column}"
    if found.likeness_kept.all():
        figures[enhanced] = _figure(
            _OF_COLUMN["enhanced_beta"],
            beta,
            f"No value of {column!r} gains more than {beta:.4g} times, nor more than its frequency "
            "in the whole table allows.",
            column,
        )
    else:
        figures[enhanced] = _absent(
            _OF_COLUMN["enhanced_beta"],
            "no beta is large enough, as in some class a value is more frequent than enhanced "
            "likeness allows at any beta",
            column,
        )
    figures[f"enhanced_beta_bound/{column}"] = _figure(
        _OF_COLUMN["enhanced_beta_bound"],
        bound,
        f"What enhanced likeness would allow the rarest value of {column!r} to gain at a beta of "
        f"{beta:.4g} (pycanon prints this as beta); whether it is kept, enhanced_beta says.",
        column,
    )
    order = [f"{key}/{column}" for key in _OF_COLUMN]
    return {key: figures[key] for key in order}


def _extreme(
    key: str, column: str, of_class: npt.NDArray[np.float64], meaning: str, kept: Flags
) -> Figure:
    """Return the figure of the worst class; its meaning says what the suppressed class changes."""
    worst = np.min if _OF_COLUMN[key][2] == _HIGHER else np.max
    value = float(worst(of_class))
    text = meaning.format(f"{value:.4g}")
    if kept.any() and not kept.all():
        without = float(worst(of_class[kept]))
        if without != value:
            text += f" Without the suppressed rows it is {without:.4g}."
    return _figure(_OF_COLUMN[key], value, text, column)


def _figure(
    said: tuple[str, str, Direction, str],
    value: float,
    meaning: str,
    column: str | None = None,
    *,
    unit: str | None = None,
) -> Figure:
    name, own_unit, direction, source = said
    return Figure(
        name if column is None else f"{name}, of {column!r}",
        float(value),
        unit or own_unit,
        direction,
        meaning,
        source,
        interval_method=_EXACT,
    )


def _absent(
    said: tuple[str, str, Direction, str], because: str, column: str | None = None
) -> Figure:
    name, unit, direction, source = said
    name = name if column is None else f"{name}, of {column!r}"
    return Figure.not_computed(name, because, unit=unit, direction=direction, source=source)


def _none(columns: Sequence[str], because: str) -> dict[str, Figure]:
    figures = {key: _absent(said, because) for key, said in _OF_CLASSES.items()}
    for column in columns:
        for key, said in _OF_COLUMN.items():
            figures[f"{key}/{column}"] = _absent(said, because, column)
    return figures
