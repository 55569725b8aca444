"""What the frontier's report calls its figures, and the plan that its benchmark runs."""

from pathlib import Path

import pytest

from sfumato.release import Plan
from sfumato.release.bounds import Reach
from sfumato.release.limits import Check
from sfumato.release.report.frontier_figures import limit_text, risk_name

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "frontier.toml"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("linkability", "linkability"),
        ("linkability/1", "linkability by the nearest row"),
        ("linkability/10", "linkability by the 10 nearest rows"),
        ("singling_out/univariate", "singling out by one column"),
        ("singling_out/multivariate/3", "singling out by 3 columns together"),
        ("singling_out/multivariate", "singling out, multivariate"),
        ("inference/Blood pressure", "inference of Blood pressure"),
        ("linkability/by hand", "linkability, by hand"),
    ],
)
def test_a_figure_is_called_by_what_it_asks(key, words):
    assert risk_name(key) == words


def test_a_short_limit_leaves_out_only_what_is_said_once_for_all():
    worst = Reach(
        "linkability/1", "linkability", "share", 0.01, 0.01, 0.02, lower_is_better=True, excess=True
    )
    check = Check("linkability", 0.05, "kept", worst)
    more = " more than against people who are not in the release"
    assert limit_text(check) == limit_text(check, short=True) + more
    counted = Check("prosecutor_highest", 0.091, "not measured")
    assert limit_text(counted) == limit_text(counted, short=True)


def test_the_benchmark_tries_every_kind_of_technique():
    plan = Plan.read(BENCHMARK)
    tried = {release.technique for release in plan.releases}
    assert len(plan.releases) >= 8
    assert plan.evaluation.attacks.most > 0
    assert tried >= {
        "cell-suppression",
        "clean",
        "copula",
        "full-domain",
        "local-recoding",
        "microaggregation",
        "mondrian",
        "ola",
        "rules",
        "stratified-sampling",
        "top-down-greedy",
    }
