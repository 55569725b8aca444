"""Rules that change values by chance: noise, rank swapping, post-randomisation (PRAM)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, FiniteFloat, model_validator

from sfumato.anonymization.recoding import Action
from sfumato.anonymization.rule import Place, Rule
from sfumato.errors import DataError

__all__ = ["Noise", "Pram", "Swap"]

_MOST_DECIMALS = 9
_MOST_CATEGORIES = 1000
_EXACT_INTEGER = 2**53


class Noise(Rule):
    """Each number is moved by chance: ``{ noise = "gaussian", scale = 0.8 }``.

    The result has as many decimals as the column had: a release then looks like its source, and
    the low bits of a number tell nothing (Mironov, "On significance of the least significant
    bits for differential privacy", CCS 2012). This is noise, not differential privacy: no epsilon
    is promised.

    Parameters
    ----------
    noise
        "gaussian" or "laplace", of mean 0.
    scale
        The standard deviation of Gaussian noise, or the scale of Laplace noise (standard deviation
        sqrt 2 times that), in the column's unit; above 0.
    bounds
        Lowest and highest number that may be released. A number beyond one is folded back at it,
        so that no heap forms at the border.
    decimals
        Decimals that are released, 0 to 15; left out, those that the fitted column has.
    by_person
        Whether all rows of a person (the schema's ``person``) are moved by the same number, so
        that many rows of one person cannot be averaged to find what the noise hides.
    """

    keywords: ClassVar[tuple[str, ...]] = ("noise",)
    action: ClassVar[Action] = "perturbed"
    draws: ClassVar[bool] = True
    continuous: ClassVar[bool] = True

    noise: Literal["gaussian", "laplace"]
    scale: FiniteFloat = Field(gt=0)
    bounds: tuple[FiniteFloat, FiniteFloat] | None = None
    decimals: int | None = Field(default=None, ge=0, le=15)
    by_person: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.bounds is not None and self.bounds[0] >= self.bounds[1]:
            raise ValueError(f"bounds must rise (got {self.bounds[0]} and {self.bounds[1]})")
        return self

    def fitted(self, values: pl.Series, place: Place) -> Self:
        """Find the decimals of the column."""
        place.numbers("noise", values)
        if self.by_person and place.schema.person is None:
            raise place.refuse("by_person", 'needs to know whose row it is: say person = "..."')
        if self.decimals is not None:
            return self
        return self.model_copy(update={"decimals": _decimals(values)})

    def apply(self, values: pl.Series, place: Place) -> pl.Series:
        """Return the moved numbers; whole ones stay whole."""
        place.numbers("noise", values)
        stream = place.draw()
        draws = stream.gaussians if self.noise == "gaussian" else stream.laplacians
        draw_of = _draw_of_row(place, len(values), by_person=self.by_person)
        noise = draws(int(draw_of.max(initial=-1)) + 1)[draw_of]
        moved = values.cast(pl.Float64).fill_null(np.nan).to_numpy() + self.scale * noise
        if self.bounds is not None:
            moved = _folded(moved, *self.bounds)
        whole = values.dtype.is_integer()
        if whole:
            moved = np.clip(np.rint(moved), -_EXACT_INTEGER, _EXACT_INTEGER)
        elif self.decimals is not None:
            moved = np.round(moved, self.decimals)
        if self.bounds is not None:
            moved = np.clip(moved, *self.bounds)
        released = pl.Series(values.name, moved, nan_to_null=True)
        return released.cast(pl.Int64) if whole else released

    def describe(self, place: Place) -> str:
        """Return what is done."""
        spread = "standard deviation" if self.noise == "gaussian" else "scale"
        kind = self.noise.capitalize()
        within = (
            "" if self.bounds is None else f", kept within {self.bounds[0]} to {self.bounds[1]}"
        )
        whose = _whose(place, by_person=self.by_person)
        return (
            f"{kind} noise of mean 0 and {spread} {self.scale} added to each number{whose}{within}"
        )


class Swap(Rule):
    """Each value changes places with one of similar rank: ``{ swap = 0.05 }``.

    The ranks are cut into blocks of at most ``swap`` times the number of values, and within a
    block the values change places in one random cycle, so that (where a value is unique) no row
    keeps its own and none moves further than the block is wide. The column's distribution stays
    exactly as it is; its relation to other columns blurs.

    Parameters
    ----------
    swap
        Largest difference of ranks, as a share of all ranks; above 0, at most 1. Two ranks at
        least.

    Notes
    -----
    R. A. Moore, "Controlled data-swapping techniques for masking public use microdata sets",
    US Census Bureau RR 96-04, 1996; there, pairs are swapped one after the other.
    """

    keywords: ClassVar[tuple[str, ...]] = ("swap",)
    action: ClassVar[Action] = "perturbed"
    draws: ClassVar[bool] = True

    swap: FiniteFloat = Field(gt=0, le=1)

    def fitted(self, values: pl.Series, place: Place) -> Self:
        """Check that the values have a rank."""
        self._ranked(values, place)
        return self

    def apply(self, values: pl.Series, place: Place) -> pl.Series:
        """Return the same values in other rows; missing cells stay where they are."""
        self._ranked(values, place)
        rows = values.is_not_null().arg_true().to_numpy()
        count = len(rows)
        if count == 0:
            return values
        if count == 1:
            raise DataError(
                f"column {place.column!r} holds a single value: rank swapping needs at least two "
                "rows that can change places"
            )
        # ties in random order, so that equal values do not keep the order of the rows
        stream = place.draw()
        ranked = values.gather(rows).rank("dense").to_numpy()
        by_rank = np.lexsort((stream.words(count, "ties"), ranked))
        blocks = _blocks(count, max(2, int(np.ceil(self.swap * count))))
        shuffled = by_rank[np.lexsort((stream.words(count, "places"), blocks))]
        gives = np.roll(shuffled, 1)
        first = np.flatnonzero(np.diff(blocks, prepend=-1))
        last = np.append(first[1:], count) - 1
        gives[first] = shuffled[last]
        source = np.empty(count, dtype=np.int64)
        source[shuffled] = gives
        order = np.arange(len(values))
        order[rows] = rows[source]
        return values.gather(order)

    def describe(self, place: Place) -> str:  # noqa: ARG002
        """Return what is done."""
        return f"values swapped between people whose ranks differ by at most {self.swap:.3g} of all"

    def _ranked(self, values: pl.Series, place: Place) -> None:
        if not (values.dtype.is_numeric() or values.dtype.is_temporal()):
            raise place.refuse(
                "swap",
                f"needs numbers or dates, which have a rank, but the column holds {values.dtype}. "
                "For categories there is pram",
            )


class Pram(Rule):
    """Each category is replaced by chance: ``{ pram = 0.1 }``.

    With probability ``1 - pram`` a value stays; otherwise it becomes one of the other categories,
    each alike. Made invariant, a second draw follows that turns the distribution back: from what
    the first gave, the original category is drawn anew by Bayes' rule from the fitted shares. The
    expected number of people in each category is then that of the source. A value that was not
    there at fitting becomes a draw from the fitted shares.

    Parameters
    ----------
    pram
        Probability that the first draw replaces a value; above 0, below 1.
    invariant
        Whether the second draw follows.
    by_person
        Whether all rows of a person (the schema's ``person``) that hold the same category get the
        same other one, so that many rows of one person cannot be counted to find which it was.
    categories, shares
        The categories and their shares (sum 1); left out, those of the fitted column.

    Notes
    -----
    J. M. Gouweleeuw, P. Kooiman, L. C. R. J. Willenborg, P.-P. de Wolf, "Post randomisation for
    statistical disclosure control: theory and implementation", J. Official Statistics 14(4), 1998,
    sections 2 (the method) and 4 (invariant matrices in two stages).
    """

    keywords: ClassVar[tuple[str, ...]] = ("pram",)
    action: ClassVar[Action] = "perturbed"
    draws: ClassVar[bool] = True

    pram: FiniteFloat = Field(gt=0, lt=1)
    invariant: bool = False
    by_person: bool = False
    categories: tuple[bool | int | FiniteFloat | str, ...] | None = None
    shares: tuple[FiniteFloat, ...] | None = None

    @model_validator(mode="after")
    def _matching(self) -> Self:
        if (self.categories is None) != (self.shares is None):
            raise ValueError("categories and shares are given together or not at all")
        if self.categories is not None and self.shares is not None:
            if len(self.categories) != len(self.shares) or len(self.categories) < 2:
                raise ValueError("categories and shares must be of one length, at least 2")
            if min(self.shares) <= 0 or abs(sum(self.shares) - 1) > 1e-6:
                raise ValueError("shares must be above 0 and sum to 1")
        return self

    def fitted(self, values: pl.Series, place: Place) -> Self:
        """Learn the categories and their shares."""
        if values.dtype.is_float() or values.dtype.is_temporal() or values.dtype.is_nested():
            raise place.refuse(
                "pram", f"needs categories, but the column holds {values.dtype}; see noise and swap"
            )
        if self.by_person and place.schema.person is None:
            raise place.refuse("by_person", 'needs to know whose row it is: say person = "..."')
        if self.categories is not None:
            return self
        present = values.drop_nulls()
        if present.dtype in (pl.Categorical, pl.Enum):
            present = present.cast(pl.String)
        counts = present.alias("value").value_counts().sort("value")
        if not 2 <= counts.height <= _MOST_CATEGORIES:
            raise place.refuse(
                "pram",
                f"needs 2 to {_MOST_CATEGORIES} categories, but the column holds {counts.height}",
            )
        shares = counts["count"].to_numpy() / len(present)
        found = {"categories": tuple(counts["value"]), "shares": tuple(shares.tolist())}
        return self.model_copy(update=found)

    def apply(self, values: pl.Series, place: Place) -> pl.Series:
        """Return the drawn categories, of the same type; missing cells stay missing."""
        stream = place.draw()
        names, shares = self._distribution()
        plain = values.cast(pl.String) if values.dtype in (pl.Categorical, pl.Enum) else values
        categories = pl.Series(names, dtype=plain.dtype)
        numbers = pl.Series(range(len(names)), dtype=pl.Int64)
        old = plain.replace_strict(categories, numbers, default=-1, return_dtype=pl.Int64)
        codes = old.fill_null(-1).to_numpy()
        draw_of = _draw_of_row(place, len(codes), by_person=self.by_person)
        draws = int(draw_of.max(initial=-1)) + 1
        new = _replaced(codes, self.pram, len(names), stream.uniforms(draws, "first")[draw_of])
        if self.invariant:
            new = _drawn_back(new, self.pram, shares, stream.uniforms(draws, "second")[draw_of])
        drawn = np.searchsorted(np.cumsum(shares), stream.uniforms(draws, "unseen")[draw_of])
        new = np.where(codes < 0, np.minimum(drawn, len(names) - 1), new)
        released = categories.gather(new).cast(values.dtype)
        frame = pl.DataFrame({"old": values, "new": released})
        return frame.select(pl.when(pl.col("old").is_not_null()).then("new")).to_series()

    def describe(self, place: Place) -> str:
        """Return what is done, with the share of people whose value is expected to change."""
        whose = _whose(place, by_person=self.by_person)
        if not self.invariant:
            return f"each category replaced by another one with probability {self.pram:.3g}{whose}"
        _, shares = self._distribution()
        stays = np.diag(pram_matrix(self.pram, shares, invariant=True))
        return (
            f"each category redrawn by chance; {1 - float(stays @ shares):.1%} of people are "
            f"expected to change, and the expected count of each category does not{whose}"
        )

    def _distribution(self) -> tuple[list[Any], npt.NDArray[np.float64]]:
        if self.categories is None or self.shares is None:
            raise DataError("this rule has not been fitted: its categories are not known")
        return list(self.categories), np.asarray(self.shares, dtype=np.float64)


def _draw_of_row(place: Place, rows: int, *, by_person: bool) -> npt.NDArray[np.int64]:
    """Return the number of the draw that each row takes: one of its own, or its person's.

    The rows of nobody take one together.
    """
    if not by_person or place.persons is None:
        return np.arange(rows)
    return place.persons.rank("dense").fill_null(0).to_numpy().astype(np.int64)


def _whose(place: Place, *, by_person: bool) -> str:
    """Return whether the rows of one person are changed alike, as the end of a phrase."""
    if by_person:
        return ", the same for all rows of a person"
    if place.schema.person is None:
        return ""
    return ", drawn for each row anew, so that a person's rows together can give it away"


def pram_matrix(
    replaced: float, shares: npt.NDArray[np.float64], *, invariant: bool
) -> npt.NDArray[np.float64]:
    """Return the transition matrix of PRAM, for analysts who correct for it.

    Parameters
    ----------
    replaced
        Probability that the first draw replaces a value.
    shares
        Share of each category, shape (m,), m at least 2.
    invariant
        Whether the second draw follows.

    Returns
    -------
    np.ndarray
        Shape (m, m): row the original category, column the released one; rows sum to 1. If
        invariant, ``shares @ matrix`` is ``shares``.
    """
    m = len(shares)
    first = np.full((m, m), replaced / (m - 1))
    np.fill_diagonal(first, 1 - replaced)
    if not invariant:
        return first
    joint = first * shares[:, None]
    matrix: npt.NDArray[np.float64] = first @ (joint / joint.sum(axis=0)).T
    return matrix


def _replaced(
    codes: npt.NDArray[np.int64], probability: float, m: int, uniforms: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Replace codes (0 to m - 1) by another one, each alike, with a probability."""
    # what is left of the uniform number, once it is known to be small, is uniform again
    step = np.minimum((uniforms / probability * (m - 1)).astype(np.int64), m - 2) + 1
    return np.where(uniforms < probability, (codes + step) % m, codes)


def _drawn_back(
    codes: npt.NDArray[np.int64],
    probability: float,
    shares: npt.NDArray[np.float64],
    uniforms: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
    """Draw an original category for each code that the first draw gave, by Bayes' rule."""
    m = len(shares)
    own = (1 - probability) * shares[codes]
    others = probability / (m - 1) * (1 - shares[codes])
    stays = own / (own + others)
    keep = uniforms < stays
    left = np.where(keep, 0.0, (uniforms - stays) / np.where(keep, 1.0, 1 - stays))
    # a place on the line of shares from which the code's own share is cut out
    ends = np.cumsum(shares)
    place = left * (1 - shares[codes])
    place = place + np.where(place >= ends[codes] - shares[codes], shares[codes], 0.0)
    drawn = np.minimum(np.searchsorted(ends, place, side="right"), m - 1)
    return np.where(keep, codes, drawn)


def _blocks(count: int, window: int) -> npt.NDArray[np.int64]:
    """Return the block of each of ``count`` ranks; blocks are alike, of 2 to window + 1 ranks."""
    blocks = -(-count // (window + 1))
    return np.arange(count, dtype=np.int64) * blocks // count


def _decimals(values: pl.Series) -> int | None:
    """Return how many decimals the numbers have, or None if more than are written by hand."""
    if values.dtype.is_integer():
        return 0
    numbers = values.drop_nulls().cast(pl.String).cast(pl.Float64).to_numpy()
    for decimals in range(_MOST_DECIMALS + 1):
        if np.array_equal(np.round(numbers, decimals), numbers):
            return decimals
    return None


def _folded(numbers: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    """Reflect numbers at the borders until they lie between them."""
    width = high - low
    turned = np.mod(numbers - low, 2 * width)
    folded: npt.NDArray[np.float64] = low + np.minimum(turned, 2 * width - turned)
    return folded
