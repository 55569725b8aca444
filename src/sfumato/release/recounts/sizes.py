"""Promises that follow from how large the classes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, exp, expm1, floor, log

import numpy as np

from sfumato.release.recounts.outcome import (
    NotCounted,
    Outcome,
    Sentence,
    of_classes,
    of_table,
    ratio_at_most,
)
from sfumato.release.recounts.promises import Asked
from sfumato.release.recounts.tally import Tally

__all__ = [
    "average_risk",
    "class_size_of_sampling",
    "differential_privacy",
    "highest_risk",
    "k_anonymity",
    "sample_uniqueness",
    "strict_average_risk",
]


def k_anonymity(asked: Asked, tally: Tally) -> Outcome:
    """Recount k-anonymity.

    Notes
    -----
    L. Sweeney, "k-anonymity: a model for protecting privacy", IJUFKS 10(5), 2002, definition 3.
    """
    return _at_least(tally, asked["k"], f"k is {asked['k']:,}")


def differential_privacy(asked: Asked, tally: Tally, untouched: Sequence[str] = ()) -> Outcome:
    """Recount what of differential privacy by sampling shows in a table.

    Its classes are large enough, it has no column that was not generalized, and small classes are
    left out: as rows of "*" they would tell how many they were.

    Parameters
    ----------
    untouched
        Columns of the file that are no quasi-identifiers.

    Notes
    -----
    N. Li, W. Qardaji, D. Su, "On sampling, anonymization, and differential privacy", ASIACCS 2012,
    theorem 5; R. Bild, K. Kuhn, F. Prasser, "SafePub", PoPETs 2018(1), section 4.
    """
    k = class_size_of_sampling(asked["epsilon"], asked["delta"])
    sized = _at_least(tally, k, f"epsilon and delta need {k:,}")
    words = [sized.words]
    if untouched:
        words.append(f"no quasi-identifiers, so released as they are: {', '.join(untouched)}")
    if tally.starred.any():
        words.append(f"{tally.suppressed:,} rows are suppressed and not left out")
    return replace(sized, kept=sized.kept and len(words) == 1, words="; ".join(words))


def highest_risk(asked: Asked, tally: Tally) -> Outcome:
    """Recount the highest risk of re-identification, one in the size of the smallest class.

    Notes
    -----
    K. El Emam, "Guide to the de-identification of personal health information", CRC Press 2013,
    chapter 16: prosecutor risk.
    """
    risk = 1.0 / tally.sizes
    sentence = Sentence(
        "the highest risk of a class is {worst}", f"the limit is {asked['limit']:g}"
    )
    return of_classes(tally, risk, ratio_at_most(risk, asked["limit"]), asked["limit"], sentence)


def average_risk(asked: Asked, tally: Tally) -> Outcome:
    """Recount the average risk of re-identification, classes over people.

    Notes
    -----
    K. El Emam, op. cit., chapter 16: the mean over the records of one in the size of their class.
    """
    average = _average(tally)
    kept = bool(ratio_at_most(np.asarray(average), asked["limit"]))
    sentence = Sentence("the average risk is {worst}", f"the limit is {asked['limit']:g}")
    return of_table(tally, average, asked["limit"], kept=kept, sentence=sentence)


def strict_average_risk(asked: Asked, tally: Tally) -> Outcome:
    """Recount the average risk together with the share of people above a highest risk.

    Notes
    -----
    K. El Emam, op. cit., chapters 16 and 18: strict average risk bounds the average and the
    highest risk; here the share of people who may be above the highest is a setting.
    """
    average = _average(tally)
    calm = ratio_at_most(1.0 / tally.sizes, asked["highest"])
    people = max(int(tally.sizes.sum()), 1)
    share = float(tally.sizes[~calm].sum() / people)
    bounded = ratio_at_most(
        np.array([average, share]), np.array([asked["average"], asked["at_risk"]])
    )
    kept = bool(bounded.all())
    sentence = Sentence(
        f"the average risk is {{worst}} and a share of {share:.4g} is above {asked['highest']:g}",
        f"the limits are {asked['average']:g} and {asked['at_risk']:g}",
    )
    return of_table(tally, average, asked["average"], kept=kept, sentence=sentence)


def sample_uniqueness(asked: Asked, tally: Tally) -> Outcome:
    """Recount the share of people who are alone in their class.

    Notes
    -----
    C. Skinner, M. Elliot, "A measure of disclosure risk for microdata", JRSS B 64(4), 2002,
    section 1.
    """
    share = float((tally.sizes == 1).sum() / max(int(tally.sizes.sum()), 1))
    kept = bool(ratio_at_most(np.asarray(share), asked["share"]))
    sentence = Sentence("a share of {worst} is alone", f"the limit is {asked['share']:g}")
    return of_table(tally, share, asked["share"], kept=kept, sentence=sentence)


def class_size_of_sampling(epsilon: float, delta: float) -> int:
    """Return the class size that sampling and generalization need for differential privacy.

    Parameters
    ----------
    epsilon, delta
        Above 0; delta below 1. The sampling rate is the greatest that epsilon allows,
        beta = 1 - exp(-epsilon).

    Notes
    -----
    Li, Qardaji and Su, theorem 5: the least k for which no n of at least k / gamma - 1, where
    gamma = (exp(epsilon) - 1 + beta) / exp(epsilon), has a probability above delta that a binomial
    draw of n with rate beta exceeds gamma n. The probability is bounded by
    exp(-n (gamma ln(gamma / beta) - gamma + beta)) (SafePub, theorem 3), so that only finitely
    many n need to be tried.

    Raises
    ------
    NotCounted
        If the size is beyond every table.
    """
    from scipy.stats import binom

    beta = -expm1(-epsilon)
    gamma = (expm1(epsilon) + beta) * exp(-epsilon)
    rate = gamma * log(gamma / beta) - (gamma - beta)
    # From here on every tail is below delta, whatever n.
    last = ceil(-log(delta) / rate) + 1 if rate > 0 else _BEYOND
    if last >= _BEYOND:
        raise NotCounted("so small an epsilon needs classes larger than any table")
    n = np.arange(1, last + 1)
    tails = binom.sf(np.floor(n * gamma), n, beta)
    above = np.flatnonzero(tails > delta)
    worst = int(n[above[-1]]) if len(above) else 0
    # n runs from ceil(k / gamma - 1): the least k that leaves out the last n above delta.
    return max(floor((worst + 1) * gamma) + 1, 1)


_BEYOND = 5_000_000


def _average(tally: Tally) -> float:
    people = int(tally.sizes.sum())
    return len(tally) / people if people else 0.0


def _at_least(tally: Tally, least: int, limit: str) -> Outcome:
    unit = "persons" if tally.in_persons else "rows"
    sentence = Sentence(f"the smallest has {{worst}} {unit}", limit)
    kept = tally.sizes >= least
    return of_classes(tally, tally.sizes, kept, least, sentence, worst_is_least=True)
