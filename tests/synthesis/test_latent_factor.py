from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from sfumato.errors import DataError, PlanError
from sfumato.synthesis import Generator
from sfumato.synthesis.latent_factor import LatentFactor
from sfumato.synthesis.latent_factor.category_links import MultinomialLink, OrdinalLink
from sfumato.synthesis.latent_factor.factor_law import FactorLaw
from sfumato.synthesis.latent_factor.factor_stratum import SharedCells
from sfumato.synthesis.latent_factor.links import Seen
from sfumato.synthesis.latent_factor.number_links import GaussianLink, PoissonLink
from sfumato.table import Schema

SCHEMA = Schema(target="ill", rest="other")


def people(n=2000, seed=0):
    random = np.random.default_rng(seed)
    factor = random.normal(size=n)
    age = np.rint(50 + 12 * factor + 8 * random.normal(size=n)).astype(int)
    ill = random.random(n) < 1 / (1 + np.exp(-(1.5 * factor - 1)))
    visits = random.poisson(np.exp(0.3 + 0.3 * factor))
    score = np.array([0.2, 0.0, -0.4]) + np.outer(factor, [1.0, 0.0, -1.0])
    ward = np.array(["a", "b", "c"])[(score + random.gumbel(size=(n, 3))).argmax(axis=1)]
    income = np.where(random.random(n) < 0.5, 0.0, np.round(np.exp(random.normal(size=n)), 2))
    table = pl.DataFrame({"age": age, "ill": ill, "visits": visits, "ward": ward, "income": income})
    empty = pl.Series(random.random(n) < 1 / (1 + np.exp(2 - factor)))
    return table.with_columns(age=pl.when(empty).then(None).otherwise("age"))


@pytest.fixture(scope="module")
def table():
    return people()


@pytest.fixture(scope="module")
def model(table):
    return LatentFactor(factors=1, turns=30, mixture=2, posterior=2).fit(table, SCHEMA)


def test_columns_keep_their_distribution_and_their_ties(table, model):
    sample = model.sample(8000, seed=1)
    assert sample.schema == table.schema
    assert set(sample["ward"]) == {"a", "b", "c"}
    assert (sample["income"] == 0).mean() == pytest.approx((table["income"] == 0).mean(), abs=0.02)
    assert sample["age"].null_count() / 8000 == pytest.approx(
        table["age"].null_count() / 2000, abs=0.015
    )
    for column in ("age", "visits"):
        assert sample[column].mean() == pytest.approx(table[column].mean(), rel=0.03)
        assert sample[column].std() == pytest.approx(table[column].std(), rel=0.06)
    for first, second in (("age", "visits"), ("age", "ill")):
        apart = [
            frame.drop_nulls().select(pl.corr(first, pl.col(second).cast(pl.Float64))).item()
            for frame in (table, sample)
        ]
        assert apart[1] == pytest.approx(apart[0], abs=0.07)
    wards = [
        frame.group_by("ward").agg(pl.col("ill").mean()).sort("ward")["ill"].to_numpy()
        for frame in (table, sample)
    ]
    assert np.abs(wards[0] - wards[1]).max() < 0.06
    assert wards[0][0] - wards[0][2] > 0.2


def test_links_are_chosen_by_type_and_told(table, model):
    assert "2 strata, the frequent classes of ill" in model.describe()[0]
    whole = LatentFactor(factors=1, turns=10, mixture=1, by_target=False)
    told = whole.fit(table[:800], SCHEMA).describe()[0]
    assert "strata" not in told
    for link, column in (
        ("gaussian", "age"),
        ("logistic", "ill"),
        ("poisson", "visits"),
        ("multinomial", "ward"),
        ("ordinal", "income"),
    ):
        assert f"{link}: {column}" in told


def test_the_same_seed_gives_the_same_rows_and_a_file_gives_them_too(model, tmp_path):
    model.save(tmp_path / "m.json")
    again = Generator.load(tmp_path / "m.json")
    longer = model.sample(9000, seed=5)
    assert_frame_equal(longer[:40], again.sample(40, seed=5))
    assert not longer.equals(model.sample(9000, seed=6))
    for one, other in zip(model.releases(30, seed=2), again.releases(30, seed=2), strict=True):
        assert_frame_equal(one, other)


def test_given_values_are_met_as_rejection_would(table, model):
    free = model.sample(60_000, seed=3)
    rows = model.sample(4000, seed=4, given={"ward": "c", "ill": True})
    assert set(rows["ward"]) == {"c"}
    assert rows["ill"].all()
    wanted = free.filter(ward="c", ill=True)
    assert rows["age"].mean() == pytest.approx(wanted["age"].mean(), abs=0.7)
    rows = model.sample(4000, seed=4, given={"age": 70, "income": 0.0})
    near = free.filter(pl.col("age").is_between(69, 71), pl.col("income") == 0)
    assert set(rows["age"]) == {70}
    assert rows["ill"].mean() == pytest.approx(near["ill"].mean(), abs=0.06)
    rows = model.sample(3000, seed=4, given={"age": None})
    assert rows["age"].null_count() == 3000
    wanted = free.filter(pl.col("age").is_null())["ill"].mean()
    assert rows["ill"].mean() == pytest.approx(wanted, abs=0.04)
    with pytest.raises(DataError, match="not learned"):
        model.sample(5, seed=1, given={"ward": "z"})


def test_masked_cells_tell_nothing_and_are_not_drawn(table):
    settings = LatentFactor(factors=1, turns=10, mixture=1, missing="masked")
    model = settings.fit(table[:800], SCHEMA)
    assert model.sample(500, seed=1)["age"].null_count() == 0
    with pytest.raises(DataError, match="missing = 'value'"):
        model.sample(5, seed=1, given={"age": None})
    with pytest.raises(DataError, match="posterior = 20"):
        model.releases(5, seed=1)


@pytest.mark.parametrize(
    ("links", "told"),
    [
        ({"ward": "gaussian"}, "is for numbers"),
        ({"age": "logistic"}, "two values"),
        ({"income": "poisson"}, "whole numbers"),
        ({"wrd": "ordinal"}, "Did you mean 'ward'"),
    ],
)
def test_a_link_that_does_not_suit_is_refused(table, links, told):
    with pytest.raises(PlanError, match=told):
        LatentFactor(factors=1, links=links).fit(table, SCHEMA)


def test_links_can_be_chosen(table):
    links = {"age": "ordinal", "ill": "multinomial", "visits": "gaussian"}
    settings = LatentFactor(factors=1, turns=10, mixture=1, links=links, by_target=False)
    told = settings.fit(table[:800], SCHEMA).describe()[0]
    assert "ordinal: age" in told
    assert "gaussian: visits" in told
    assert "multinomial: ill, ward" in told


def examples():
    random = np.random.default_rng(3)
    share = np.array([0.2, 0.5, 0.3])
    return [
        GaussianLink(random.normal(size=(3, 1)), share, 0.4),
        PoissonLink(0.4 * random.normal(size=(3, 1)), share),
        OrdinalLink(
            np.r_[0.0, random.normal(size=2)][:, None], share, np.array([-1.0, 0.7]), np.arange(3)
        ),
        MultinomialLink(random.normal(size=(3, 3)), share),
    ]


@pytest.mark.parametrize("link", examples(), ids=lambda one: one.name)
def test_slopes_are_those_of_the_likelihood(link):
    random = np.random.default_rng(1)
    design = np.column_stack([np.ones(50), random.normal(size=(50, 2))])
    codes = random.integers(0, 3, 50)
    seen = Seen(random.random(50) < 0.8, codes, codes.astype(float))
    _, slope = link.scores(design, seen)
    along = slope @ link.coefficients[1:].T
    for factor in range(2):
        step = np.zeros((50, 3))
        step[:, 1 + factor] = 1e-5
        apart = (link.scores(design + step, seen)[0] - link.scores(design - step, seen)[0]) / 2e-5
        np.testing.assert_allclose(along[:, factor], apart, atol=1e-6)
    assert not along[~seen.there].any()


@pytest.mark.parametrize("link", examples(), ids=lambda one: one.name)
def test_steps_find_the_coefficients_and_draws_scatter_as_the_information_says(link):
    random = np.random.default_rng(2)
    design = np.column_stack([np.ones(3000), random.normal(size=(3000, 2))])
    at = link.predictors(design)
    if link.name == "gaussian":
        numbers = at[:, 0] + np.sqrt(0.4) * random.normal(size=3000)
        codes = np.zeros(3000, dtype=int)
    elif link.name == "poisson":
        numbers = random.poisson(np.exp(at[:, 0])).astype(float)
        codes = np.zeros(3000, dtype=int)
    elif link.name == "ordinal":
        codes = np.searchsorted([-1.0, 0.7], at[:, 0] + random.logistic(size=3000))
        numbers = codes.astype(float)
    else:
        codes = (at + random.gumbel(size=(3000, 3))).argmax(axis=1)
        numbers = codes.astype(float)
    seen = Seen(np.ones(3000, dtype=bool), codes, numbers)

    def loadings(one):
        found = one.coefficients[1:]
        return found - found.mean(axis=1, keepdims=True) if found.shape[1] > 1 else found

    found = link
    for _ in range(20):
        found = found.updated(design, seen, 1.0, None)
    assert np.abs(loadings(found) - loadings(link)).max() < 0.2
    settled = found.updated(design, seen, 1.0, None)
    np.testing.assert_allclose(loadings(settled), loadings(found), atol=2e-3)
    draws = []
    for _ in range(300):
        found = found.updated(design, seen, 1.0, random)
        draws.append(packed(found))
    told = information(settled, design, seen)
    exact = np.sqrt(np.diag(np.linalg.pinv(told, rcond=1e-5, hermitian=True)))
    assert np.std(draws, axis=0) == pytest.approx(exact, rel=0.3)
    apart = np.abs(np.mean(draws, axis=0) - packed(settled))
    assert (apart < 0.5 * exact).all()


def packed(link):
    """Return what a link has learned and the data can tell, in one row."""
    found = link.coefficients - link.coefficients.mean(axis=1, keepdims=True)
    if link.name != "multinomial":
        found = link.coefficients
    if link.name == "ordinal":
        return np.r_[link.thresholds, found[1:, 0]]
    return found.ravel()


def information(link, design, seen):
    """Return minus the second differences of the log likelihood, which know of no formula."""

    def likelihood(values):
        if link.name == "ordinal":
            moved = replace(
                link, thresholds=values[:2], coefficients=np.r_[0.0, values[2:]][:, None]
            )
        else:
            moved = replace(link, coefficients=values.reshape(link.coefficients.shape))
        return moved.scores(design, seen)[0].sum()

    at, size = packed(link), 1e-3
    steps = size * np.eye(at.size)
    found = np.empty((at.size, at.size))
    for i, one in enumerate(steps):
        for j, other in enumerate(steps):
            corners = (
                likelihood(at + one + other)
                - likelihood(at + one - other)
                - likelihood(at - one + other)
                + likelihood(at - one - other)
            )
            found[i, j] = -corners / (4 * size**2)
    return np.where(np.abs(found) < 1e-4, 0, found)


@pytest.mark.parametrize("link", examples(), ids=lambda one: one.name)
def test_a_calibrated_link_keeps_any_shares_and_tells_its_chances(link):
    law = FactorLaw(
        np.array([0.3, 0.7]),
        np.array([[1.0, -1.0], [-0.4, 0.4]]),
        np.stack([np.eye(2), np.array([[0.5, 0], [0.3, 0.6]])]),
    )
    share = np.array([0.55, 0.05, 0.4])
    fixed = link.calibrated(law, share)
    random = np.random.default_rng(4)
    factors = law.draw(random.random(60_000), random.normal(size=(60_000, 2)))
    design = np.column_stack([np.ones(60_000), factors])
    cells = fixed.draw(design, random.random((60_000, 2)))
    drawn = np.bincount(cells, minlength=3) / 60_000
    np.testing.assert_allclose(drawn, share, atol=0.01)
    for cell in range(3):
        chance = fixed.chance(design, cell)
        assert chance.min() >= 0
        assert chance.max() <= 1 + 1e-9
        # of the rows with the cell as many have a high chance as the chances themselves say
        high = chance > np.median(chance)
        met, told = high[cells == cell], chance[high].sum() / chance.sum()
        assert met.mean() == pytest.approx(told, abs=4 * np.sqrt(told * (1 - told) / met.size))
    # relative chances times their bounds are the chances themselves
    chances = sum(fixed.highest(cell) * fixed.chance(design, cell) for cell in range(3))
    np.testing.assert_allclose(chances, 1, atol=1e-6)


def test_the_law_is_fitted_to_moments_and_whitened():
    random = np.random.default_rng(5)
    law = FactorLaw(
        np.array([0.5, 0.5]), np.array([[2.0, 0.0], [-1.0, 1.0]]), np.stack([np.eye(2)] * 2)
    )
    white, mean, root = law.whitened()
    factors = law.draw(random.random(50_000), random.normal(size=(50_000, 2)))
    turned = np.linalg.solve(root, (factors - mean).T).T
    np.testing.assert_allclose(turned.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(turned.T), np.eye(2), atol=0.03)
    one = law.scores(factors[:5])[0] - white.scores(turned[:5])[0]
    np.testing.assert_allclose(one, -np.log(np.linalg.det(root)), atol=1e-9)


def three_classes(n=3000, seed=7):
    """A class of few, one that is learned by itself, one of many; x tells them apart exactly."""
    random = np.random.default_rng(seed)
    kind = random.choice(3, n, p=[0.02, 0.3, 0.68])
    x = np.round(np.where(kind == 1, 10.0, 0.0) + random.uniform(0, 9, n), 2)
    y = np.where(kind == 1, -x, x) + random.normal(size=n)
    colour = np.where(random.random(n) < 0.1 * kind, "red", "blue")
    return pl.DataFrame({"kind": kind, "x": x, "y": y.round(2), "colour": colour})


def test_each_frequent_class_of_the_target_has_a_model_of_its_own(tmp_path):
    table = three_classes()
    schema = Schema(target="kind", rest="other")
    model = LatentFactor(factors=1, turns=20, mixture=1, posterior=2).fit(table, schema)
    assert len(model.strata) == 2
    assert [one.common for one in model.strata] == [{}, {0: 2}]  # the few join the fewest
    sample = model.sample(20_000, seed=1)
    assert sample.schema == table.schema
    shares = table["kind"].value_counts(normalize=True).sort("kind")["proportion"]
    drawn = sample["kind"].value_counts(normalize=True).sort("kind")["proportion"]
    np.testing.assert_allclose(drawn, shares, atol=0.01)
    assert ((sample["x"] >= 9.5) == (sample["kind"] == 1)).mean() > 0.96
    ties = [sample.filter(kind=kind).select(pl.corr("x", "y")).item() for kind in (1, 2)]
    assert ties[0] < -0.7  # with the few, whose tie is the other way
    assert ties[1] > 0.85
    given = model.sample(4000, seed=2, given={"colour": "red"})
    wanted = sample.filter(colour="red")
    for kind in (1, 2):
        expected = (wanted["kind"] == kind).mean()
        assert (given["kind"] == kind).mean() == pytest.approx(expected, abs=0.04)
    model.save(tmp_path / "m.json")
    again = Generator.load(tmp_path / "m.json")
    assert_frame_equal(again.sample(50, seed=3), model.sample(50, seed=3))
    one, other = model.releases(3000, seed=1)
    assert not one.equals(other)


def test_a_column_that_is_empty_in_a_class_stays_empty_there():
    table = three_classes(1500).filter(pl.col("kind") > 0)
    table = table.with_columns(pl.when(kind=2).then("x"), pl.when(kind=1).then("colour"))
    settings = LatentFactor(factors=1, turns=10, mixture=1, posterior=1)
    model = settings.fit(table, Schema(target="kind", rest="other"))
    for sample in (model.sample(1000, seed=1), *model.releases(1000, seed=1)):
        assert (sample["x"].is_null() == (sample["kind"] == 1)).all()
        assert (sample["colour"].is_null() == (sample["kind"] == 2)).all()


def test_a_class_that_a_given_value_excludes_is_not_tried():
    table = three_classes().filter(pl.col("kind") > 0)
    schema = Schema(target="kind", rest="other")
    model = LatentFactor(factors=1, turns=10, mixture=1).fit(table, schema)
    assert set(model.sample(500, seed=1, given={"kind": 2})["kind"]) == {2}
    with pytest.raises(DataError, match="too rare in the model"):
        model.sample(5, seed=1, given={"kind": 2, "x": 15.0})


@pytest.mark.parametrize("ordered", [True, False])
@given(people=st.lists(st.integers(0, 30), min_size=1, max_size=30), minimum=st.integers(2, 12))
@settings(deadline=None)
def test_no_share_of_a_class_tells_of_fewer_people_than_the_least(ordered, people, minimum):
    people = np.array(people, dtype=float)
    assume(people.sum() >= minimum)
    whole = (people + 3) / (people + 3).sum()
    shared = SharedCells.of(people, whole, minimum, ordered=ordered)
    shares = shared.shares(people)
    assert shares.sum() == pytest.approx(1)
    if (people >= minimum).all():
        np.testing.assert_allclose(shares, people / people.sum())
    few = (people > 0) & (people < minimum)
    if ordered and few.any():
        held = np.bincount(shared.group, people)
        assert held.min() >= minimum
        np.testing.assert_allclose(np.bincount(shared.group, shares), held / people.sum())
        assert (np.diff(shared.group) >= 0).all()
        assert (shares[: np.flatnonzero(people)[0]] == 0).all()
        assert (shares[np.flatnonzero(people)[-1] + 1 :] == 0).all()
    elif few.any() and not few.all():
        ratio = shares[few] / whole[few]
        np.testing.assert_allclose(ratio, ratio[0])
