"""The first page: three outcomes, in words that hold for all tests together."""

from dataclasses import replace

import pytest

from sfumato.evaluation import Figure
from sfumato.evaluation.outcomes import Outcome, joint_upper, outcome
from sfumato.release.evaluation import Evaluation
from sfumato.release.report.families import FAMILIES, family_of
from sfumato.release.report.verdict import verdict


def figure(p_value, *, detectable=0.01, value=0.02, control=0.02, upper=0.01):
    return Figure(
        "rate",
        value,
        "share",
        "lower is better",
        "A rate.",
        "Somebody",
        control=control,
        p_value=p_value,
        adjusted=min(1.0, 10 * p_value),
        detectable=detectable,
        upper=upper,
    )


def judged(**risks):
    named = {key.replace("__", "/"): one for key, one in risks.items()}
    return verdict(Evaluation("r", 100, 100, 100, named, {}, None, ()))


def line(said, key):
    return next(one for one in said.families if one.family.key == key)


def test_any_test_that_finds_a_leak_makes_it_evidence():
    said = judged(
        copies__exact=figure(0.5), linkability__1=figure(0.001, value=0.2), inference__age=figure(1)
    )
    assert said.outcome == Outcome.EVIDENCE
    assert said.headline == "Evidence of a leak: linkability."
    assert "20.0%, 2.00% of others" in line(said, "linkability").sentence
    assert line(said, "inference").outcome == Outcome.NO_EVIDENCE


def test_one_of_many_tests_is_no_evidence_before_all_are_counted():
    assert outcome(figure(0.02)) == Outcome.NO_EVIDENCE
    assert outcome(replace(figure(0.02), adjusted=None)) == Outcome.EVIDENCE


def test_a_blunt_test_is_no_pass():
    said = judged(linkability__1=figure(0.5, detectable=0.4))
    assert said.outcome == Outcome.NOT_ENOUGH
    assert (
        "400 people in 1,000 or more would have been noticed" in line(said, "linkability").sentence
    )


def test_the_bound_holds_for_all_tests_together():
    one = judged(linkability__1=figure(0.5, upper=0.010))
    text = line(one, "linkability").sentence
    assert text.startswith("At most 10 people in 1,000 more than by chance could have two records")
    many = judged(**{f"inference__{n}": figure(0.5, upper=0.010) for n in range(20)})
    assert line(many, "inference").sentence.startswith("At most 17 people in 1,000")
    assert joint_upper(figure(0.5, upper=0.010), 1) == pytest.approx(0.010)


def test_without_tests_nothing_is_said():
    said = judged()
    assert said.outcome == Outcome.NOT_TESTED
    assert all(one.sentence == "Not tested." for one in said.families)


def test_planted_leaks_are_told():
    planted = replace(figure(0.5), meaning="7 would have been noticed.", p_value=None)
    assert judged(planting__verbatim=planted).noticed == ("7 would have been noticed.",)


def test_each_key_has_one_question():
    assert family_of("inference/age").key == "inference"
    assert family_of("smallest_class") is None
    prefixes = [prefix for family in FAMILIES for prefix in family.prefixes]
    assert len(prefixes) == len(set(prefixes))


@pytest.mark.parametrize(
    ("leaks", "expected"), [(2.0, Outcome.EVIDENCE), (0.0, Outcome.NO_EVIDENCE)]
)
def test_checks_of_the_file_count_without_a_test(leaks, expected):
    checks = Figure(
        "checks of integrity that found a leak",
        leaks,
        "checks",
        "lower is better",
        f"{leaks:g} of 9 checks that could be made failed.",
        "docs/audit.md",
        baseline=0.0,
        attacks=9,
    )
    said = line(judged(integrity__leaks=checks), "integrity")
    assert (said.outcome, said.tests) == (expected, 9)
    assert said.sentence == f"{leaks:g} of 9 checks that could be made failed."
