"""Audits catch planted bugs, and never accuse a mechanism that keeps its promise."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom
from tests.evaluation.audit_mechanisms import (
    AGES,
    CORRECT,
    SIGMA_1,
    geometric,
    geometric_mechanism,
    laplace_on_a_grid,
    noisy_histogram,
    randomized_response,
    rounded_gaussian,
)

from sfumato.errors import DataError, PlanError
from sfumato.evaluation.audit import (
    Neighbours,
    audit_in_one_run,
    audit_mechanism,
    audit_technique,
    canary_scores,
    distinguishing_outputs,
    one_run_ceiling,
    worst_case_canaries,
    worst_case_neighbours,
)
from sfumato.privacy.safepub import safepub_parameters
from sfumato.table import Schema

HEART = pl.read_parquet("tests/data/heart_sample.parquet")


# -- correct mechanisms --------------------------------------------------------------------------


@pytest.mark.parametrize("name", CORRECT)
def test_a_correct_mechanism_is_not_accused_and_its_bound_is_above_a_third(name):
    mechanism, epsilon, delta, neighbours = CORRECT[name]
    found = audit_mechanism(
        mechanism, epsilon, delta, neighbours=neighbours, runs=60_000, seed=1, batch=True
    )
    assert found.verdict == "not refuted"
    assert epsilon / 3 < found.lower_bound <= epsilon
    assert found.refutable > epsilon
    assert "could have refuted claims up to" in found.describe()
    assert "private" not in found.describe()


def test_a_gaussian_claim_gives_a_tighter_bound_from_the_same_runs():
    mechanism, epsilon, delta, neighbours = CORRECT["Gaussian"]
    settings = {"neighbours": neighbours, "runs": 60_000, "seed": 1, "batch": True}
    plain = audit_mechanism(mechanism, epsilon, delta, **settings)
    tight = audit_mechanism(mechanism, epsilon, delta, gaussian=True, **settings)
    assert plain.lower_bound < 0.7 < tight.lower_bound <= epsilon
    assert "Gaussian" in tight.describe()


def test_an_audit_too_short_for_the_claim_says_so():
    found = audit_mechanism(
        geometric_mechanism(0.1), 4.0, neighbours=(0, 1), runs=40, seed=1, batch=True
    )
    assert found.verdict == "not refutable"
    assert found.refutable < 4.0
    assert found.describe().startswith("Not enough runs")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", [*CORRECT, "Gaussian, as Gaussian"])
def test_a_correct_mechanism_is_never_accused_in_1000_audits(name):
    mechanism, epsilon, delta, neighbours = CORRECT[name.split(",")[0]]
    verdicts = [
        audit_mechanism(
            mechanism,
            epsilon,
            delta,
            neighbours=neighbours,
            runs=4_000,
            seed=seed,
            batch=True,
            gaussian=name.endswith("as Gaussian"),
        )
        for seed in range(1_000)
    ]
    assert not any(found.verdict == "violation" for found in verdicts)
    # the bound itself is right in 95 % of audits, too
    assert sum(found.lower_bound > epsilon for found in verdicts) <= 50


# -- planted bugs --------------------------------------------------------------------------------


def _two_queries(data, runs, seed):
    """Answer two queries with the noise of one: each costs the whole budget."""
    return np.asarray(data) + geometric(1.0, (runs, 2), np.random.default_rng(seed))


def _mean_within_bounds_of_the_data(data, runs, seed):
    low, high = data.min(), data.max()
    noise = np.random.default_rng(seed).laplace(0.0, (high - low) / len(data), runs)
    # a coarse grid, so that the bounds show and no last bits
    return np.rint((data.mean() + noise) * 64) / 64


def _floating_point_laplace(data, runs, seed):
    return np.random.default_rng(seed).laplace(data, 1.0, runs)


def _counts_of_the_values_that_occur(data, seed):
    values, counts = np.unique(data, return_counts=True)
    noise = geometric(1.0, counts.shape, np.random.default_rng(seed))
    return pl.DataFrame({"age": values, "rows": counts + noise})


def _histogram_with_edges_of_the_data(data, seed):
    counts, edges = np.histogram(data, bins=4)
    noise = geometric(1.0, counts.shape, np.random.default_rng(seed))
    return {"counts": counts + noise, "edges": edges}


PLANTED = {
    "noise halved, geometric": (geometric_mechanism(2.0), (0, 1), 10_000, True),
    "noise halved, Laplace": (laplace_on_a_grid(2.0), (0.0, 1.0), 10_000, True),
    "noise halved, histogram": (noisy_histogram(2.0), (AGES, AGES[:-1]), 10_000, True),
    "noise halved, response": (randomized_response(2.0), (0, 2), 10_000, True),
    "budget counted once for two queries": (_two_queries, ((5, 5), (6, 6)), 10_000, True),
    "bounds from the data": (_mean_within_bounds_of_the_data, None, 10_000, True),
    "float snapping omitted": (_floating_point_laplace, (0.0, 1.0), 10_000, True),
    "domain without noise": (_counts_of_the_values_that_occur, None, 300, False),
    "edges from the data": (_histogram_with_edges_of_the_data, None, 300, False),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_a_violation(bug):
    mechanism, neighbours, runs, batch = PLANTED[bug]
    found = audit_mechanism(
        mechanism,
        1.0,
        neighbours=neighbours,
        data=None if neighbours else AGES,
        runs=runs,
        seed=3,
        batch=batch,
    )
    assert found.verdict == "violation", found.describe()
    assert found.lower_bound > 1.0
    assert found.lower_bound <= found.ceiling
    assert "is broken" in found.describe()


def test_metadata_that_differs_is_named():
    found = audit_mechanism(_counts_of_the_values_that_occur, 1.0, data=AGES, runs=300, seed=3)
    assert any("that the other never gave" in note and "'age'" in note for note in found.notes)


def test_a_halved_gaussian_is_a_violation_as_gaussian():
    found = audit_mechanism(
        rounded_gaussian(SIGMA_1 / 2), 1.0, 1e-5, neighbours=(0, 1), runs=10_000, seed=3,
        batch=True, gaussian=True,
    )  # fmt: skip
    assert found.verdict == "violation"


def test_a_statistic_of_ones_own_is_tried():
    def mechanism(data, seed):
        noise = np.random.default_rng(seed).permutation(40)
        return (noise + 0 * data).tolist() if data == 0 else noise[np.argsort(noise // 2 % 7)]

    def secret(output):
        return float(len(set(output)) + (output[0] == 0))

    found = audit_mechanism(mechanism, 1.0, neighbours=(0, 1), runs=100, seed=1, statistic=secret)
    assert found.events


# -- floating point ------------------------------------------------------------------------------


def test_floating_point_noise_is_distinguished_as_measured_before():
    # numpy noise: 8.0 % (normal, 10) and 8.7 % (Laplace, 10) of the draws for a count of 0 are
    # impossible for a count of 1, none the other way round; integer noise has none
    draws = 200_000

    def normal(data, runs, seed):
        return data + np.random.default_rng(seed).normal(0.0, 10.0, runs)

    def laplace(data, runs, seed):
        return data + np.random.default_rng(seed).laplace(0.0, 10.0, runs)

    for mechanism, share in ((normal, 0.080), (laplace, 0.087)):
        found, back = distinguishing_outputs(mechanism, (0.0, 1.0), draws, seed=1, batch=True)
        assert found == pytest.approx(share, abs=0.003)
        assert back == 0
    whole = distinguishing_outputs(geometric_mechanism(0.1), (0, 1), 1000, seed=1, batch=True)
    assert whole == (0.0, 0.0)


def test_known_answers_sharpen_the_audit_of_floating_point_noise():
    settings = {"runs": 4_000, "seed": 1, "batch": True}
    blind = audit_mechanism(_floating_point_laplace, 1.0, neighbours=(0.0, 1.0), **settings)
    pair = Neighbours(0.0, 1.0, "0 or 1", answers=(0.0, 1.0))
    knowing = audit_mechanism(_floating_point_laplace, 1.0, neighbours=pair, **settings)
    assert knowing.lower_bound > blind.lower_bound
    assert "noise cannot reach" in knowing.events[0].name


# -- one run -------------------------------------------------------------------------------------


def test_a_copier_is_caught_in_one_run():
    found = audit_in_one_run(lambda rows, seed: rows, HEART, 2.0, canaries=300, seed=1)
    assert found.verdict == "violation"
    assert found.lower_bound == found.ceiling  # every guess of the largest set was right
    assert found.ceiling < one_run_ceiling(270)  # and is corrected for what else was tried


def test_a_release_that_ignores_the_rows_is_not_accused_in_one_run():
    fixed = HEART.head(50)
    found = audit_in_one_run(lambda rows, seed: fixed, HEART, 0.0, canaries=300, seed=1)
    assert found.verdict == "not refuted"
    assert found.lower_bound < 0.3


def _responses(records, epsilon):
    """Return randomized response on the presence of each record: as bad as epsilon allows."""
    sought = records.with_row_index("place")

    def make(rows, seed):
        found = sought.join(rows.unique(), on=records.columns, how="left", nulls_equal=True)
        there = sought["place"].is_in(
            sought.join(rows, on=records.columns, how="semi", nulls_equal=True)["place"].implode()
        )
        assert found.height == sought.height
        keep = np.random.default_rng(seed).random(len(there)) < 1 / (1 + np.exp(-epsilon))
        return np.where(keep, there.to_numpy(), ~there.to_numpy()).astype(float)

    return make


def test_one_run_bounds_randomized_response_tightly_and_does_not_accuse_it():
    table = HEART.select(HEART.columns[:8])
    records = worst_case_canaries(table, 1_000, seed=5)
    settings = {"canaries": records, "scores": lambda release, given: release, "seed": 2}
    kept = audit_in_one_run(_responses(records, 1.0), table, 1.0, **settings)
    assert kept.verdict == "not refuted"
    assert 0.6 < kept.lower_bound <= 1.0
    broken = audit_in_one_run(_responses(records, 2.0), table, 1.0, **settings)
    assert broken.verdict == "violation"


def test_few_canaries_cannot_refute_much():
    found = audit_in_one_run(lambda rows, seed: rows, HEART, 8.0, canaries=100, seed=1)
    assert found.verdict == "not refutable"
    assert found.refutable < found.ceiling < 8.0


def test_canaries_are_possible_rare_and_in_no_row():
    schema = Schema(identifiers=[HEART.columns[0]], rest="other")
    records = worst_case_canaries(HEART, 200, seed=1, schema=schema, rarest=True)
    assert records.schema == HEART.schema
    assert records.height == 200 == records.unique().height
    assert records[HEART.columns[0]].null_count() == 200
    rest = HEART.columns[1:]
    assert records.join(HEART, on=rest, how="semi", nulls_equal=True).is_empty()
    for name in rest:
        assert set(records[name].drop_nulls()) <= set(HEART[name].drop_nulls())
    for name in rest:  # the first one holds the rarest of every category
        if HEART[name].dtype == pl.String:
            rows = HEART[name].drop_nulls().value_counts(name="n")
            mine = rows.filter(pl.col(name) == records[name][0])["n"][0]
            assert mine == rows["n"].min()


def test_scores_know_a_copy_from_a_stranger():
    records = worst_case_canaries(HEART, 40, seed=1)
    released = pl.concat([HEART, records.head(20)])
    for values in canary_scores(released, records).values():
        assert values.shape == (40,)
    nearest = canary_scores(released, records)["nearest row"]
    assert (nearest[:20] > 0.999).all()
    assert (nearest[20:] < 0.9).all()


# -- techniques ----------------------------------------------------------------------------------


class _Copier:
    def fit(self, table, schema):
        self.table = table
        return self

    def sample(self, rows, *, seed):
        return self.table.sample(rows, with_replacement=True, seed=seed % 2**32)


class _Pooled:
    """A technique that recodes: every number becomes its column's mean."""

    def fit(self, table, schema):
        return self

    def apply(self, table):
        return table.select(pl.col(pl.Float64).mean())


def test_a_technique_is_audited_either_way():
    few = HEART.select(HEART.columns[:5]).head(60)
    schema = Schema(rest="other")
    once = audit_technique(_Copier(), few, schema, 1.0, canaries=200, seed=1)
    assert once.method == "one run"
    assert once.lower_bound > 0.2
    often = audit_technique(
        _Copier(), few, schema, 0.5, how="neighbouring tables", runs=300, seed=1
    )
    assert often.verdict == "violation"
    assert audit_technique(
        _Pooled(), HEART.head(40), Schema(rest="other"), 1.0, how="neighbouring tables", runs=40,
        seed=1,
    ).lower_bound > 0.5  # fmt: skip


def test_a_technique_that_cannot_release_is_refused():
    class Nothing:
        def fit(self, table, schema):
            return self

    with pytest.raises(PlanError, match="neither sample nor recode"):
        audit_technique(Nothing(), HEART, Schema(rest="other"), 1.0, canaries=10, seed=1)
    with pytest.raises(PlanError, match="how must be"):
        audit_technique(_Copier(), HEART, Schema(rest="other"), 1.0, how="twice", seed=1)


# -- SafePub: sampling, fixed generalization, small classes left out -------------------------------


def _class_count(beta, k):
    """Release the size of one class after sampling, if it is k or more."""

    def mechanism(members, runs, seed):
        kept = np.random.default_rng(seed).binomial(members, beta, runs)
        return np.where(kept >= k, kept, 0)

    return mechanism


def _delta_of(members, beta, k, epsilon):
    """Return the exact delta of that mechanism between so many members and one fewer."""
    sizes = np.arange(members + 1)
    laws = [binom.pmf(sizes, members, beta), binom.pmf(sizes, members - 1, beta)]
    seen = [np.concatenate([[law[:k].sum()], law[k:]]) for law in laws]
    return max(
        float(np.maximum(one - np.exp(epsilon) * two, 0).sum()) for one, two in (seen, seen[::-1])
    )


@pytest.mark.parametrize(("epsilon", "delta"), [(1.0, 1e-6), (1.0, 0.05), (0.5, 1e-4), (2.0, 1e-5)])
def test_safepub_keeps_its_delta_exactly(epsilon, delta):
    beta, k = safepub_parameters(epsilon, delta)
    worst = max(_delta_of(members, beta, k, epsilon) for members in range(1, 4 * k))
    assert worst <= delta
    assert max(_delta_of(n, beta, k // 2, epsilon) for n in range(1, 4 * k)) > delta


def test_safepub_withstands_an_audit_and_half_its_k_does_not():
    epsilon, delta = 1.0, 0.05
    beta, k = safepub_parameters(epsilon, delta)
    pair = max(range(1, 40), key=lambda members: _delta_of(members, beta, k // 2, epsilon))
    settings = {"neighbours": (pair, pair - 1), "runs": 100_000, "seed": 4, "batch": True}
    assert audit_mechanism(_class_count(beta, k), epsilon, delta, **settings).verdict == (
        "not refuted"
    )
    assert audit_mechanism(_class_count(beta, k // 2), epsilon, delta, **settings).verdict == (
        "violation"
    )


# -- results and errors --------------------------------------------------------------------------


def test_the_figure_carries_claim_bound_and_ceiling():
    found = audit_mechanism(
        geometric_mechanism(1.0), 1.0, neighbours=(0, 1), runs=4_000, seed=1, batch=True
    )
    figure = found.figure()
    assert figure.value == found.lower_bound
    assert figure.baseline == 1.0
    assert figure.detectable == found.refutable
    assert figure.p_value == found.p_value
    assert "cannot show" in figure.not_shown
    assert found.to_dict()["verdict"] == "not refuted"


def test_the_same_seed_gives_the_same_audit():
    settings = {"neighbours": (0, 1), "runs": 500, "batch": True}
    one = audit_mechanism(geometric_mechanism(1.0), 1.0, seed=1, **settings)
    assert one == audit_mechanism(geometric_mechanism(1.0), 1.0, seed=1, **settings)
    assert one != audit_mechanism(geometric_mechanism(1.0), 1.0, seed=2, **settings)


def test_outputs_of_any_kind_are_looked_at():
    def texts(data, seed):
        return "yes" if np.random.default_rng(seed).random() < 0.5 + 0.4 * data else "no"

    def ragged(data, seed):
        return np.zeros(3 + data)

    def nested(data, seed):
        return ("same", {"flag": bool(data)}, None)

    for mechanism in (texts, ragged, nested):
        found = audit_mechanism(mechanism, 0.1, neighbours=(0, 1), runs=1_000, seed=1)
        assert found.verdict == "violation", mechanism.__name__
    empty = audit_mechanism(
        lambda data, runs, seed: np.zeros((runs, 0)), 1.0, neighbours=(0, 1), seed=1, batch=True
    )
    assert empty.figure().value is None
    assert empty.verdict == "not refutable"


def test_worst_neighbours_of_a_table_with_rows_and_columns():
    numbers = np.arange(20.0).reshape(10, 2)
    for pair in worst_case_neighbours(numbers):
        assert len(pair.first) == len(pair.second) + 1
    (pair,) = worst_case_neighbours(HEART)
    assert pair.first.height == HEART.height + 1
    assert pair.record is not None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epsilon": -1.0}, "epsilon must be"),
        ({"delta": 1.0}, "delta must be"),
        ({"confidence": 1.0}, "confidence must be"),
        ({"runs": 5}, "runs must be"),
        ({"gaussian": True}, "needs a delta"),
    ],
)
def test_a_wrong_setting_is_refused(wrong, message):
    settings = {"epsilon": 1.0, "neighbours": (0, 1), "seed": 1, **wrong}
    with pytest.raises(PlanError, match=message):
        audit_mechanism(geometric_mechanism(1.0), settings.pop("epsilon"), **settings)


def test_wrong_inputs_are_refused():
    mechanism = geometric_mechanism(1.0)
    with pytest.raises(DataError, match="neighbours ="):
        audit_mechanism(mechanism, 1.0, seed=1, batch=True)
    with pytest.raises(DataError, match="pair of inputs"):
        audit_mechanism(mechanism, 1.0, neighbours=(1, 2, 3), seed=1, batch=True)
    with pytest.raises(DataError, match="shape"):
        audit_mechanism(lambda d, n, s: 1.0, 1.0, neighbours=(0, 1), seed=1, batch=True)
    with pytest.raises(DataError, match="at least two rows"):
        audit_mechanism(mechanism, 1.0, data=np.array(["a", "b"]), seed=1, batch=True)
    with pytest.raises(DataError, match="are numbers"):
        distinguishing_outputs(lambda d, s: "a", (0, 1), 10, seed=1)
    with pytest.raises(DataError, match="too few"):
        worst_case_canaries(pl.DataFrame({"a": [1, 2]}), 5, seed=1)
    with pytest.raises(DataError, match="holds"):
        worst_case_canaries(pl.DataFrame({"a": []}), 5, seed=1)
    with pytest.raises(PlanError, match="guesses must"):
        audit_in_one_run(lambda r, s: r, HEART, 1.0, canaries=10, guesses=[11], seed=1)
    with pytest.raises(DataError, match="columns"):
        audit_in_one_run(lambda r, s: r, HEART, 1.0, canaries=HEART.select("State"), seed=1)
    with pytest.raises(DataError, match="score must"):
        audit_in_one_run(
            lambda r, s: r, HEART, 1.0, canaries=10, scores=lambda r, c: np.ones(3), seed=1
        )
