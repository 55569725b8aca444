"""Promises that compare the classes of a release with the people of a population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from sfumato.release.recounts.outcome import (
    NotCounted,
    Outcome,
    Sentence,
    of_classes,
    ratio_at_most,
)
from sfumato.release.recounts.promises import Asked
from sfumato.release.recounts.tally import Tally

__all__ = ["Population", "cost_benefit", "delta_presence", "k_map"]

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """The people of a population by their quasi-identifiers, generalized as the release is.

    Parameters
    ----------
    people
        The quasi-identifiers of each class of the population, and the column "" with its people.
    """

    people: pl.DataFrame

    @classmethod
    def of(cls, cells: pl.DataFrame, names: Sequence[str], person: str | None) -> Population:
        """Count a population.

        Parameters
        ----------
        cells
            A row for each person, columns of texts.
        names
            The quasi-identifiers of the release.
        person
            The column that says whose row it is, if it has one.

        Raises
        ------
        NotCounted
            If it lacks a quasi-identifier, or there are none.
        """
        if not names:
            raise NotCounted("the file has no quasi-identifier to compare with the population")
        absent = [name for name in names if name not in cells.columns]
        if absent:
            raise NotCounted(f"the population lacks the columns {', '.join(absent)}")
        size = (
            pl.len() if person is None or person not in cells.columns else pl.col(person).n_unique()
        )
        return cls(cells.group_by(names).agg(size.cast(pl.Int64).alias("")))

    @property
    def size(self) -> int:
        """The number of people."""
        return int(self.people[""].sum())

    def of_classes(self, tally: Tally) -> Integers:
        """Return how many people each class of a release may be about, shape (n_classes,).

        A row with "*" in every quasi-identifier may be about anybody.
        """
        names = tally.labels.columns
        found = tally.labels.join(
            self.people, on=names, how="left", nulls_equal=True, maintain_order="left"
        )
        people = found[""].fill_null(0).to_numpy()
        return np.where(tally.starred, self.size, people)

    def left_out(self, tally: Tally) -> int:
        """Return how many people are in no class of a release."""
        names = tally.labels.columns
        absent = self.people.join(tally.labels, on=names, how="anti", nulls_equal=True)
        return int(absent[""].sum())


def k_map(asked: Asked, tally: Tally, population: Population | None) -> Outcome:
    """Recount k-map, in a population that is there or by an estimate.

    Notes
    -----
    L. Sweeney, "Computational disclosure control", MIT 2001, section 4.3. The estimates are D3 and
    D4 of K. El Emam, F. Dankar, "Protecting privacy using k-anonymity", JAMIA 15(5), 2008.
    """
    least = asked["k"]
    if asked["estimate"] is None:
        people = _needed(population).of_classes(tally)
        sentence = Sentence(
            "the smallest class matches {worst} people of the population", f"k is {least:,}"
        )
        return of_classes(tally, people, people >= least, least, sentence, worst_is_least=True)
    enough = _sample_class(asked, _rate(tally, asked["population_size"]))
    sentence = Sentence(
        "the smallest has {worst}",
        f"k is {least:,} in the population, which needs {enough:,} here by the estimate "
        f"({asked['estimate']})",
    )
    kept = tally.sizes >= enough
    return of_classes(tally, tally.sizes, kept, enough, sentence, worst_is_least=True)


def delta_presence(asked: Asked, tally: Tally, population: Population | None) -> Outcome:
    """Recount delta-presence: how surely a person of the population is in the release.

    Notes
    -----
    M. Nergiz, M. Atzori, C. Clifton, "Hiding the presence of individuals from shared databases",
    SIGMOD 2007, section 3: for everybody of the population. Who matches no class is surely not in
    the release, which breaks any delta_min above 0.
    """
    known = _needed(population)
    people = known.of_classes(tally)
    surely = np.divide(tally.sizes, people, out=np.full(len(tally), np.inf), where=people > 0)
    low, high = asked["delta_min"], asked["delta_max"]
    kept = ratio_at_most(surely, high) & ratio_at_most(np.full(len(tally), low), surely)
    least = float(surely.min()) if len(tally) else 0.0
    # A suppressed row may be anybody's.
    left_out = known.left_out(tally) if low > 0 and not tally.suppressed else 0
    sentence = Sentence(
        f"a person is in the release with a probability of {least:.4g} to {{worst}}"
        + (f"; {left_out:,} people of the population are surely not" if left_out else ""),
        f"the limits are {low:g} and {high:g}",
    )
    outcome = of_classes(tally, surely, kept, high, sentence)
    return replace(outcome, kept=outcome.kept and not left_out)


def cost_benefit(asked: Asked, tally: Tally, population: Population | None) -> Outcome:
    """Recount that releasing pays for the publisher, or that attacking does not pay.

    The benefit is that of a record as it is released: what generalization took from it does not
    show in the file.

    Notes
    -----
    Z. Wan et al., "A game theoretic framework for analyzing re-identification risk", PLoS ONE
    10(3), 2015: an adversary attacks a record if the gain times the probability of success is
    above the cost; the publisher has the benefit of a record less, where it is attacked, the loss
    times the probability. An adversary to whom it is all the same may attack too, so that without
    an attack every one must cost more than it gives.
    """
    people = _behind(asked, tally, population)
    gain, cost = asked["adversary_gain"], asked["adversary_cost"]
    payout = gain / people - cost
    if asked["no_attack"]:
        unpaid = (gain == 0) | ~ratio_at_most(cost * people, gain)
        sentence = Sentence("an attack pays up to {worst}", "every one must pay less than 0")
        return of_classes(tally, payout, unpaid, 0.0, sentence)
    attacked = ~ratio_at_most(np.asarray(gain / people), cost)
    loss = np.where(attacked, asked["publisher_loss"] / people, 0.0)
    benefit = asked["publisher_benefit"] - loss
    sentence = Sentence("a record pays the publisher at least {worst}", "it must be above 0")
    return of_classes(tally, benefit, benefit > 0, 0.0, sentence, worst_is_least=True)


def _behind(asked: Asked, tally: Tally, population: Population | None) -> Numbers:
    """Return among how many people the adversary has to guess, shape (n_classes,)."""
    if asked["attacker"] == "prosecutor":
        return tally.sizes.astype(np.float64)
    if asked["population_size"] is None:
        people = _needed(population).of_classes(tally)
        # A record that matches nobody of the file is somebody's nevertheless.
        return np.maximum(people, 1).astype(np.float64)
    return np.asarray(tally.sizes / _rate(tally, asked["population_size"]))


def _needed(population: Population | None) -> Population:
    if population is None:
        raise NotCounted("the population is not there: name its file with --population")
    return population


def _rate(tally: Tally, people: int) -> float:
    """Return the share of the population that is in the table, suppressed rows among them."""
    if people < tally.people:
        raise NotCounted(f"the release has {tally.people:,} people, more than population_size")
    return tally.people / people


def _sample_class(asked: Asked, rate: float) -> int:
    """Return the least size that k people of the population seldom reach in the sample, up to k.

    Seldom: with a probability of at most the significance; for the truncated estimate, given that
    one of them is in the sample.
    """
    from scipy.stats import poisson

    k, allowed = int(asked["k"]), float(asked["significance"])
    if asked["estimate"] == "zero-truncated-poisson":
        allowed *= float(poisson.sf(0, k * rate))
    enough = max(int(poisson.isf(min(allowed, 1.0), k * rate)), 0)
    # the inverse is a guess that the tail itself decides
    while enough > 1 and poisson.sf(enough - 2, k * rate) <= allowed:
        enough -= 1
    while enough < 1 or poisson.sf(enough - 1, k * rate) > allowed:
        enough += 1
    return min(enough, k)
