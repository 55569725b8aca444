import numpy as np

from sfumato.synthesis.ordering import category_scores


def test_values_are_ordered_by_what_they_tell_of_other_columns():
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, 4_000)
    # By the code's number the relation with weight goes up and down; the axis must undo this.
    weight = np.array([2.0, -1.0, 3.0, 0.0])[codes] + random.normal(size=4_000)
    scores = category_scores({"race": (codes, 4)}, [(weight - weight.mean()) / weight.std()])
    assert np.argsort(scores["race"]).tolist() in ([1, 3, 0, 2], [2, 0, 3, 1])
    assert abs(np.corrcoef(scores["race"][codes], weight)[0, 1]) > 0.8


def test_two_nominal_columns_find_a_common_axis():
    random = np.random.default_rng(1)
    first = random.integers(0, 5, 6_000)
    second = np.where(random.random(6_000) < 0.8, (3 * first + 1) % 5, random.integers(0, 5, 6_000))
    scores = category_scores({"a": (first, 5), "b": (second, 5)}, [])
    assert abs(np.corrcoef(scores["a"][first], scores["b"][second])[0, 1]) > 0.75


def test_scores_are_standard_and_the_direction_is_fixed():
    codes = np.array([0, 0, 1, 1, 2, -1])
    scores = category_scores({"a": (codes, 3)}, [np.array([3.0, 3, 0, 0, -3, 0])])["a"]
    known = scores[codes[codes >= 0]]
    assert abs(known.mean()) < 1e-12
    assert abs(known.std() - 1) < 1e-12
    assert scores[0] < scores[1] < scores[2]


def test_a_column_alone_keeps_its_order():
    scores = category_scores({"a": (np.array([0, 1, 2, 0]), 3)}, [])["a"]
    assert scores.argsort().tolist() == [0, 1, 2]


def test_thousands_of_values_take_no_matrix_of_their_number(monkeypatch):
    sizes = []
    whole = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda one: sizes.append(len(one)) or whole(one))
    random = np.random.default_rng(2)
    codes = np.repeat(np.arange(3_000), 2)
    weight = random.normal(size=codes.size)
    weight = (weight - weight.mean()) / weight.std()
    scores = category_scores({"interval": (codes, 3_000)}, [weight])["interval"]
    # With a single other column the best axis is that column's mean for each value.
    means = weight.reshape(-1, 2).mean(axis=1)
    assert abs(np.corrcoef(scores, means)[0, 1]) > 1 - 1e-12
    assert max(sizes) == 1
