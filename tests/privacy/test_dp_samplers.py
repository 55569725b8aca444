"""The exact samplers: their distributions, cell by cell against exact arithmetic, and the words."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from sfumato.errors import PlanError
from sfumato.privacy.differential import (
    RandomWords,
    bernoulli,
    bernoulli_exp,
    discrete_gaussian,
    discrete_laplace,
    geometric,
    permutation,
    uniform_below,
)
from sfumato.privacy.differential import exact_sampling as exact
from sfumato.privacy.differential.exact_sampling import Uniform, WordTape
from sfumato.privacy.differential.samplers import _powers

DRAWS = 100_000
#: A right sampler fails a test with this probability; seeds are fixed, so it fails never or always.
ALPHA = 1e-4


class Script:
    """A source that gives prepared words first, then those of a seed."""

    secure = False

    def __init__(self, *words: int, seed: int = 1) -> None:
        self.words = list(words)
        self.rest = RandomWords(insecure_seed=seed)
        self.given: list[int] = []

    def draw(self, n: int) -> np.ndarray:
        head, self.words = self.words[:n], self.words[n:]
        drawn = np.concatenate([np.array(head, np.uint64), self.rest.draw(n - len(head))])
        self.given.extend(drawn.tolist())
        return drawn


def tape(seed: int) -> WordTape:
    return WordTape(np.empty(0, np.uint64), RandomWords(insecure_seed=seed))


def chi_square_p(drawn: np.ndarray, probability, support: range) -> float:
    """Return the p value of the counts on a support, all else in one cell."""
    expected = np.array([probability(x) for x in support]) * len(drawn)
    seen = np.array([(drawn == x).sum() for x in support], float)
    seen, expected = (
        np.append(seen, len(drawn) - seen.sum()),
        np.append(expected, len(drawn) - expected.sum()),
    )
    small = expected < 5
    seen = np.append(seen[~small], seen[small].sum())
    expected = np.append(expected[~small], expected[small].sum())
    if expected[-1] < 1e-9:
        assert seen[-1] == 0
        seen, expected = seen[:-1], expected[:-1]
    if len(seen) == 1:  # a law that is all in one cell
        return 1.0
    statistic = float(((seen - expected) ** 2 / expected).sum())
    return float(chi2.sf(statistic, len(seen) - 1))


def laplace_probability(scale: Fraction):
    r = math.exp(-1 / float(scale))
    return lambda x: (1 - r) / (1 + r) * r ** abs(x)


def gaussian_probability(variance: float):
    total = sum(math.exp(-(x**2) / (2 * variance)) for x in range(-2000, 2001))
    return lambda x: math.exp(-(x**2) / (2 * variance)) / total


# -- distributions, against probabilities that are summed by hand ----------------------------------


@pytest.mark.parametrize("variance", ["1/200", "1/3", "1", "2.5", "6", "9", "100", "5900"])
def test_gaussian_has_its_probabilities(variance):
    exact_variance = Fraction(variance)
    reach = max(3, math.ceil(5 * math.sqrt(exact_variance)))
    drawn = discrete_gaussian(variance, RandomWords(insecure_seed=11), DRAWS)
    assert drawn.dtype == np.int64
    probability = gaussian_probability(float(exact_variance))
    assert chi_square_p(drawn, probability, range(-reach, reach + 1)) > ALPHA


@pytest.mark.parametrize("scale", ["1/50", "1/3", "2/3", "1", "7.3", "50", "1000/7"])
def test_laplace_has_its_probabilities(scale):
    drawn = discrete_laplace(scale, RandomWords(insecure_seed=12), DRAWS)
    reach = max(3, math.ceil(8 * Fraction(scale)))
    probability = laplace_probability(Fraction(scale))
    assert chi_square_p(drawn, probability, range(-reach, reach + 1)) > ALPHA


def test_geometric_has_its_probabilities():
    drawn = geometric("5/2", RandomWords(insecure_seed=13), DRAWS)
    r = math.exp(-1 / 2.5)
    assert drawn.min() == 0
    assert chi_square_p(drawn, lambda x: (1 - r) * r**x, range(40)) > ALPHA


@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
def test_uniform_integers_are_uniform(n):
    drawn = uniform_below(n, RandomWords(insecure_seed=14), DRAWS)
    if n == 1:
        assert not drawn.any()
    else:
        assert chi_square_p(drawn, lambda _x: 1 / n, range(n)) > ALPHA


def test_uniform_integers_below_a_number_that_would_be_biased_by_a_remainder():
    # words mod n would give the lower half of n = 2**62 * 2 / 3 * ... twice as often
    n = 2**62 // 3 * 2 + 1
    drawn = uniform_below(n, RandomWords(insecure_seed=15), DRAWS)
    below = (drawn < n // 3).sum()
    assert abs(below - DRAWS / 3) < 4 * math.sqrt(DRAWS * 2 / 9)


@pytest.mark.parametrize(("p", "q"), [(0, 3), (3, 3), (1, 3), (999, 1000)])
def test_bernoulli_has_its_probability(p, q):
    drawn = bernoulli(p, q, RandomWords(insecure_seed=16), DRAWS)
    spread = math.sqrt(DRAWS * p / q * (1 - p / q))
    assert abs(drawn.sum() - DRAWS * p / q) <= 4 * spread


@pytest.mark.parametrize(
    ("p", "q"), [(0, 1), (1, 10), (7, 10), (1, 1), (5, 2), (12, 1), (2**62, 2**61 - 1), (2**62, 1)]
)
def test_bernoulli_exp_has_its_probability(p, q):
    drawn = bernoulli_exp(p, q, RandomWords(insecure_seed=17), DRAWS)
    right = math.exp(-p / q)
    assert abs(drawn.sum() - DRAWS * right) <= 4.5 * math.sqrt(DRAWS * right * (1 - right)) + 1e-9


def test_arrays_of_settings_are_taken_cell_by_cell():
    words = RandomWords(insecure_seed=18)
    assert uniform_below(np.array([1, 2**62, 1]), words)[[0, 2]].tolist() == [0, 0]
    assert bernoulli(np.array([0, 5]), 5, words).tolist() == [False, True]
    assert bernoulli_exp(np.array([0, 2**40]), np.array([3, 1]), words).tolist() == [True, False]
    assert len(discrete_gaussian(3, words, 0)) == 0


def test_permutations_are_equally_likely():
    words = RandomWords(insecure_seed=19)
    orders = np.array([permutation(3, words) for _ in range(6000)])
    code = orders @ np.array([100, 10, 1])
    _, counts = np.unique(code, return_counts=True)
    assert len(counts) == 6
    assert chi2.sf(((counts - 1000) ** 2 / 1000).sum(), 5) > ALPHA


def test_permutation_draws_anew_until_all_words_differ():
    assert permutation(2, Script(7, 7, 9, 8)).tolist() == [1, 0]


# -- cell by cell against exact arithmetic ---------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    st.fractions(min_value=Fraction(1, 100), max_value=10**6, max_denominator=10**6)
    | st.integers(1, 10**30).map(Fraction),
    st.integers(0, 2**32),
)
def test_the_gaussian_loop_is_the_exact_sampler(variance, seed):
    compiled = discrete_gaussian(variance, RandomWords(insecure_seed=seed), 30)
    words = tape(seed)
    assert compiled.tolist() == [exact.discrete_gaussian(words, variance) for _ in range(30)]


@settings(max_examples=25, deadline=None)
@given(
    st.fractions(min_value=Fraction(1, 1000), max_value=2**55, max_denominator=10**12),
    st.integers(0, 2**32),
)
def test_the_laplace_loop_is_the_exact_sampler(scale, seed):
    compiled = discrete_laplace(scale, RandomWords(insecure_seed=seed), 30)
    words = tape(seed)
    assert compiled.tolist() == [exact.discrete_laplace(words, scale) for _ in range(30)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**62), st.integers(1, 2**62), st.integers(0, 2**32))
def test_the_other_loops_are_the_exact_samplers(p, q, seed):
    words = tape(seed)
    compiled = bernoulli_exp(p, q, RandomWords(insecure_seed=seed), 20)
    assert compiled.tolist() == [exact.bernoulli_exp(words, Fraction(p, q)) for _ in range(20)]
    words = tape(seed)
    compiled = uniform_below(q, RandomWords(insecure_seed=seed), 20)
    assert compiled.tolist() == [exact.uniform_below(words, q) for _ in range(20)]


WHOLE, SMALL = _powers()


def around(bound: float) -> list[int]:
    """Return words whose uniform number lies about a bound, nearer than 64 digits can tell."""
    middle = int(bound * 2**53) << 11
    return [min(max(middle + offset, 0), 2**64 - 1) for offset in (-(2**22), -(2**12), 0, 2**12)]


@pytest.mark.parametrize(("p", "q"), [(0, 1), (1, 3), (1, 1), (7, 2), (20, 1), (44, 1), (50, 1)])
def test_what_the_digits_do_not_decide_is_decided_exactly(p, q):
    for word in [*around(math.exp(-p / q)), 0, 1, 2**64 - 1]:
        cell = bernoulli_exp(p, q, Script(word), 1)[0]
        right = math.exp(-p / q) if p else 1.0
        if abs(word / 2**64 - right) > 1e-15:
            assert cell == (word / 2**64 < right)
        # further digits are drawn where these 64 are not enough: those of the script's seed
        assert cell == Uniform(word, 64, Script(*_after(word, p, q))).below_exp(Fraction(p, q))


def _after(word: int, p: int, q: int) -> list[int]:
    """Return the words that the source gives after those the loop has asked for."""
    source = Script(word)
    bernoulli_exp(p, q, source, 1)
    return source.given[65:]


@pytest.mark.parametrize("word", [0, 1, 2, 3, 2 * int(WHOLE[1]), 2 * int(WHOLE[1]) + 1])
def test_laplace_words_on_a_bound_are_decided_exactly(word):
    # 1 gives u = 0, 2**40 keeps it, and then comes the word of the sign and of v
    source = Script(1, 2**40, word)
    compiled = discrete_laplace(5, source, 1)
    batch = np.array(source.given[:68], np.uint64)
    assert compiled[0] == exact.discrete_laplace(
        WordTape(batch, Script(*source.given[68:])), Fraction(5)
    )
    if word < 4:  # further digits were drawn: about 63 / log2(e) = 43.7 successes
        assert len(source.given) > 68
        assert 42 * 5 <= abs(compiled[0]) <= 110 * 5


def test_the_fixed_point_powers_are_floors():
    from decimal import Decimal, getcontext

    getcontext().prec = 80
    for power, number in enumerate(WHOLE):
        assert int(number) == int(Decimal(-power).exp() * 2**63)
    for part, number in enumerate(SMALL):
        assert int(number) == int((Decimal(-part) / 256).exp() * 2**63)


def test_bounded_exponentials_of_the_loop_hold():
    """The 53 digits of exp(-gamma) are nearer than half of what the loop allows."""
    from sfumato.privacy.differential import sampling_kernels as kernels

    rng = np.random.default_rng(4)
    for gamma in [*rng.integers(0, 44 << 53, 300, np.uint64), *range(0, 1 << 53, 1 << 45)]:
        right = math.exp(-int(gamma) / 2**53) * 2**53
        low = max(0, int(right) - 2300)
        answers = [
            kernels._below_exp(np.uint64(known << 11), np.uint64(gamma), WHOLE, SMALL)
            for known in (low, max(0, int(right) - 1000), int(right) + 1000, int(right) + 2300)
            if known < 2**53
        ]
        assert answers[0] in ((1, 2) if low == 0 else (1,))
        assert set(answers[1:3]) == {2}
        assert all(answer == 0 for answer in answers[3:])


def test_a_cell_that_runs_out_of_words_keeps_them():
    """Beginning it anew with fresh words would favour cells that need few."""
    all_at_once = discrete_gaussian(50, RandomWords(insecure_seed=5), 2000)

    class Drops:
        """Gives the same words in single drops."""

        secure = False

        def __init__(self) -> None:
            self.source = RandomWords(insecure_seed=5)

        def draw(self, _n: int) -> np.ndarray:
            return self.source.draw(1)

    assert discrete_gaussian(50, Drops(), 2000).tolist() == all_at_once.tolist()


# -- what is refused, and the words ----------------------------------------------------------------


@pytest.mark.parametrize("scale", [0, -1, "0", float("nan"), float("inf"), "x", True, 2**56])
def test_wrong_scales_are_refused(scale):
    with pytest.raises(PlanError):
        discrete_laplace(scale, RandomWords(), 1)


def test_other_wrong_settings_are_refused():
    words = RandomWords()
    for wrong in (0, -3, 2**63, 2**62 + 1):
        with pytest.raises(PlanError):
            uniform_below(wrong, words, 1)
    with pytest.raises(PlanError, match="at most 1"):
        bernoulli(3, 2, words, 1)
    with pytest.raises(PlanError, match="integers"):
        bernoulli(0.5, 1, words, 1)
    with pytest.raises(PlanError, match="2\\*\\*56"):
        discrete_gaussian(2**112, words, 1)


def test_words_are_fresh_unless_a_seed_is_given():
    assert RandomWords().draw(4).tolist() != RandomWords().draw(4).tolist()
    seeded = [RandomWords(insecure_seed=3).draw(4).tolist() for _ in range(2)]
    assert seeded[0] == seeded[1]
    assert RandomWords().secure
    assert not RandomWords(insecure_seed=3).secure
    assert "NOT PRIVATE" in RandomWords(insecure_seed=3).describe()
    assert "3" not in repr(RandomWords(insecure_seed=3))


def test_every_bit_of_the_words_is_fair():
    words = RandomWords().draw(50_000)
    for bit in range(64):
        ones = int(((words >> np.uint64(bit)) & np.uint64(1)).sum())
        assert abs(ones - 25_000) < 6 * math.sqrt(12_500)  # one in 500 million for each bit


def test_a_stream_cannot_be_copied():
    with pytest.raises(TypeError, match="repeat"):
        pickle.dumps(RandomWords())


@pytest.mark.parametrize("seed", [-1, 1.5, True, "7"])
def test_wrong_seeds_are_refused(seed):
    with pytest.raises(PlanError):
        RandomWords(insecure_seed=seed)


# -- OpenDP as oracle, where it is installed -------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["laplace", "gaussian"])
def test_draws_are_like_those_of_opendp(kind):
    pytest.importorskip("opendp")
    import opendp.prelude as dp

    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T=int))
    if kind == "laplace":
        noise = dp.m.make_laplace(domain, dp.l1_distance(T=int), scale=2.5)
        ours = discrete_laplace("2.5", RandomWords(), 100_000)
    else:
        noise = dp.m.make_gaussian(domain, dp.l2_distance(T=int), scale=2.5)
        ours = discrete_gaussian("6.25", RandomWords(), 100_000)
    theirs = np.array(noise([0] * 100_000))
    edges = np.arange(-8, 9)
    counts = np.array([[(one == x).sum() for x in edges] for one in (ours, theirs)], float)
    counts = np.c_[counts, 100_000 - counts.sum(axis=1)]
    statistic = ((counts[0] - counts[1]) ** 2 / counts.sum(axis=0)).sum()
    assert chi2.sf(statistic, len(edges)) > 1e-5
