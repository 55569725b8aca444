"""How varied the sensitive values of a class are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sfumato.release.recounts.outcome import Outcome, Sentence, at_least, of_classes, ratio_at_most
from sfumato.release.recounts.promises import Asked
from sfumato.release.recounts.tally import Tally, Values

__all__ = ["alpha_k_anonymity", "l_diversity"]

Numbers = npt.NDArray[np.float64]
_EULER = 0.57721566490153286061


def l_diversity(asked: Asked, tally: Tally) -> Outcome:
    """Recount l-diversity: distinct, by entropy, or recursive.

    Notes
    -----
    A. Machanavajjhala, D. Kifer, J. Gehrke, M. Venkitasubramaniam, "l-diversity: privacy beyond
    k-anonymity", ACM TKDD 1(1), 2007: entropy l-diversity (definition 4.1), recursive
    (c,l)-diversity (definition 4.2); distinct l-diversity as in N. Li et al., ICDE 2007, section 2.
    """
    values = tally.sensitive[str(asked.column)]
    least = asked["l"]
    if asked["variant"] == "distinct":
        different = np.bincount(values.classes, minlength=len(tally))
        sentence = Sentence("the least varied class has {worst} values", f"l is {least:g}")
        return of_classes(
            tally, different, different >= least, least, sentence, worst_is_least=True
        )
    if asked["variant"] == "entropy":
        entropy = _entropy(values, len(tally), asked["estimator"])
        sentence = Sentence(
            f"the least varied class is worth {{worst}} equal values ({asked['estimator']})",
            f"l is {least:g}",
        )
        kept = at_least(entropy, float(np.log(least)))
        return of_classes(tally, np.exp(entropy), kept, least, sentence, worst_is_least=True)
    most, tail = _most_and_tail(values, len(tally), int(least))
    needed = np.divide(most, tail, out=np.full(len(tally), np.inf), where=tail > 0)
    # The most frequent value must stay below c times the tail; equal is not below.
    kept = (tail > 0) & ~at_least(needed, asked["c"])
    sentence = Sentence(
        f"the most frequent value is up to {{worst}} times as frequent as all from the "
        f"{least:g}. on together",
        f"c is {asked['c']:g}",
    )
    return of_classes(tally, needed, kept, asked["c"], sentence)


def alpha_k_anonymity(asked: Asked, tally: Tally) -> Outcome:
    """Recount (alpha, k)-anonymity, for the values that are guarded or for every value.

    Notes
    -----
    R. Wong, J. Li, A. Fu, K. Wang, "(alpha, k)-anonymity: an enhanced k-anonymity model for
    privacy preserving data publishing", KDD 2006, definitions 1 to 3.
    """
    values = tally.sensitive[str(asked.column)]
    guarded = np.ones(len(values.labels), dtype=np.bool_)
    if asked["values"] is not None:
        texts = [None if one is None else _text(one) for one in asked["values"]]
        guarded = np.array([label in texts for label in values.labels.to_list()], dtype=np.bool_)
    counts = np.where(guarded[values.values], values.counts, 0)
    highest = np.zeros(len(tally))
    np.maximum.at(highest, values.classes, counts / tally.sizes[values.classes])
    kept = ratio_at_most(highest, asked["alpha"]) & (tally.sizes >= asked["k"])
    smallest = f"the smallest class has {tally.smallest:,}, " if len(tally) else ""
    sentence = Sentence(
        f"{smallest}a guarded value has up to a share of {{worst}} of its class",
        f"k is {asked['k']:,}, alpha is {asked['alpha']:g}",
    )
    return of_classes(tally, highest, kept, asked["alpha"], sentence)


def _text(value: str | float) -> str:
    """Return a guarded value as a released file writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _entropy(values: Values, n_classes: int, estimator: str) -> Numbers:
    """Return the entropy of the values of each class, in nats."""
    counts = values.counts.astype(np.float64)
    totals = np.bincount(values.classes, weights=counts, minlength=n_classes)
    logs = np.log(counts) if estimator == "shannon" else _grassberger(values.counts)
    spent = np.bincount(values.classes, weights=counts * logs, minlength=n_classes)
    return np.log(totals) - spent / totals


def _grassberger(counts: npt.NDArray[np.int64]) -> Numbers:
    """Return Grassberger's G of counts, which takes the place of the logarithm.

    Notes
    -----
    P. Grassberger, "Entropy estimates from insufficient samplings", arXiv:physics/0307138 (2003),
    equations 30 and 31: G(1) = -gamma - ln 2, G(2) = 2 - gamma - ln 2, an odd number has the G of
    the even one before it, and G(2m + 2) = G(2m) + 2 / (2m + 1).
    """
    half = int(counts.max(initial=1)) // 2
    even = np.concatenate([[0.0], np.cumsum(2.0 / (2 * np.arange(half) + 1))])
    return np.asarray(even[counts // 2] - _EULER - np.log(2))


def _most_and_tail(values: Values, n_classes: int, least: int) -> tuple[Numbers, Numbers]:
    """Return how often the most frequent value of each class occurs, and all from the l-th on."""
    order = np.lexsort((-values.counts, values.classes))
    classes, counts = values.classes[order], values.counts[order].astype(np.float64)
    first = np.searchsorted(classes, np.arange(n_classes))
    rank = np.arange(len(classes)) - first[classes]
    most = counts[first] if n_classes else np.empty(0)
    in_tail = np.where(rank >= least - 1, counts, 0.0)
    tail = np.bincount(classes, weights=in_tail, minlength=n_classes)
    return most, np.asarray(tail, dtype=np.float64)
