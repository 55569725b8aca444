import math

import numpy as np
import pytest
import torch

from sfumato.errors import DataError, MissingExtra, PlanError
from sfumato.evaluation import network, perceptron
from sfumato.evaluation.network import MultilayerPerceptron, TrainedNetwork
from sfumato.evaluation.perceptron import Perceptron

SMALL = MultilayerPerceptron(hidden=(16, 8), batch_size=32, epochs=6)


def points(n: int = 400, seed: int = 0, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return clouds of points, one around each class's own centre."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % classes
    X = random.normal(size=(n, 4)).astype(np.float32)
    X[:, 0] += 2.0 * y
    return X, y


def overfitted() -> tuple[TrainedNetwork, tuple[np.ndarray, np.ndarray]]:
    """Train on labels that are chance, so that the validation loss rises soon."""
    random = np.random.default_rng(1)
    X = random.normal(size=(200, 6)).astype(np.float32)
    y = random.integers(0, 2, 200)
    settings = MultilayerPerceptron(
        hidden=(64, 32), dropout=0.0, learning_rate=0.02, batch_size=32, epochs=12, patience=20
    )
    held = (X[:100], y[:100])
    return settings.fit(X[100:], y[100:], validation=held, seed=3), held


def validation_loss(trained: TrainedNetwork, held: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the loss as the training computes it, from the network that was handed out."""
    X, y = held
    with torch.inference_mode():
        logits = trained.network(torch.from_numpy(X)).squeeze(-1).double().numpy()
    losses = np.logaddexp(0.0, -logits) * y + np.logaddexp(0.0, logits) * (1 - y)
    return float(losses.mean())


class TestBestWeights:
    @pytest.fixture(autouse=True)
    def _plain_loss(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(perceptron, "_loss", lambda y, n, **how: torch.nn.BCEWithLogitsLoss())

    def test_the_network_handed_out_is_that_of_the_best_epoch(self) -> None:
        trained, held = overfitted()
        losses = [epoch.validation_loss for epoch in trained.history]
        assert trained.best_epoch < len(losses), "the case must overfit, or it tells nothing"
        assert losses[trained.best_epoch - 1] == min(losses)
        assert validation_loss(trained, held) == pytest.approx(min(losses), rel=1e-5)

    def test_a_shallow_copy_of_the_weights_would_be_caught(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(perceptron, "_copy", lambda net: net.state_dict().copy())
        trained, held = overfitted()
        losses = [epoch.validation_loss for epoch in trained.history]
        assert validation_loss(trained, held) == pytest.approx(losses[-1], rel=1e-5)
        assert validation_loss(trained, held) > min(losses) * 1.05


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    X, y = points()
    first, again, other = (SMALL.fit(X, y, seed=seed).predict_proba(X) for seed in (5, 5, 6))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_nobody_elses_random_numbers_are_moved() -> None:
    X, y = points()
    torch.manual_seed(11)
    before, numbers_before = torch.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    first = SMALL.fit(X, y, seed=5).predict_proba(X)
    assert torch.equal(before, torch.get_rng_state())
    assert np.random.get_state()[1].tobytes() == numbers_before  # noqa: NPY002
    torch.manual_seed(12)
    assert SMALL.fit(X, y, seed=5).predict_proba(X).tobytes() == first.tobytes()


def test_it_learns_two_classes_and_many_under_their_own_names() -> None:
    for names in (np.array(["no", "yes"]), np.array(["a", "b", "c", "d"])):
        X, codes = points(1200, classes=len(names))
        y = names[codes]
        trained = SMALL.model_copy(update={"epochs": 15}).fit(X[:800], y[:800], seed=1)
        shares = trained.predict_proba(X[800:])
        assert shares.shape == (400, len(names))
        np.testing.assert_allclose(shares.sum(axis=1), 1.0)
        assert trained.classes_.tolist() == names.tolist()
        assert (trained.predict(X[800:]) == y[800:]).mean() > 0.55 + 0.3 / len(names)


def test_it_stops_when_the_validation_loss_no_longer_falls() -> None:
    X, y = points(100)
    wrong = (X, 1 - y)  # the better it learns, the worse it does here
    settings = MultilayerPerceptron(hidden=(16, 8), batch_size=16, epochs=50, patience=4)
    told: list[tuple[float, float]] = []
    trained = settings.fit(
        X, y, validation=wrong, progress=lambda task, done, total: told.append((done, total))
    )
    assert len(trained.history) == trained.best_epoch + 4
    assert told[-1] == (50, 50)
    assert [done for done, _ in told[:-1]] == list(range(1, len(trained.history) + 1))


def test_the_learning_rate_falls_when_the_loss_stands_still() -> None:
    X, y = points(100)
    settings = MultilayerPerceptron(
        hidden=(8,), epochs=8, patience=20, scheduler_patience=1, scheduler_factor=0.1
    )
    trained = settings.fit(X, y, validation=(X, 1 - y))
    rates = [epoch.learning_rate for epoch in trained.history]
    assert rates[0] == 1e-3
    assert rates[-1] == pytest.approx(1e-3 * 0.1 ** round(math.log10(1e-3 / rates[-1])))
    assert rates[-1] < rates[0]


def test_the_layers_are_the_published_ones() -> None:
    net = Perceptron(45, (256, 128, 64), 1, 0.3, torch.Generator().manual_seed(0))
    shapes = {name: tuple(values.shape) for name, values in net.named_parameters()}
    weights = [shape for name, shape in shapes.items() if "norms" not in name and len(shape) == 2]
    assert weights == [(256, 45), (128, 256), (64, 128), (1, 64)]
    assert [norm.num_features for norm in net.norms] == [256, 128]
    # PyTorch's own first weights: uniform within 1 / sqrt(inputs).
    first = net.hidden[0].weight.detach()
    assert first.abs().max() <= 1 / math.sqrt(45)
    assert first.std() == pytest.approx(1 / math.sqrt(3 * 45), rel=0.02)


def test_dropout_drops_its_share_while_training_and_nothing_after() -> None:
    net = Perceptron(4, (8, 8), 1, 0.3, torch.Generator().manual_seed(0))
    ones = torch.ones(1000, 333)
    dropped = net.train()._drop(ones)
    assert (dropped == 0).double().mean() == pytest.approx(0.3, abs=0.003)
    assert dropped.max() == pytest.approx(1 / 0.7)
    assert torch.equal(net.eval()._drop(ones), ones)


def test_the_loss_weighs_positive_rows_by_negative_over_positive() -> None:
    y = np.array([0] * 9 + [1] * 3)
    assert perceptron._loss(y, 2, balanced=True).pos_weight.item() == 3.0
    assert perceptron._loss(y, 2, balanced=False).pos_weight is None
    three = perceptron._loss(np.array([0, 0, 0, 0, 1, 2]), 3, balanced=True)
    assert three.weight.tolist() == [0.5, 2.0, 2.0]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("balanced", [True, False])
def test_the_validation_loss_weighs_classes_as_the_training_part_does(
    classes: int, balanced: bool
) -> None:
    random = np.random.default_rng(0)
    train = random.integers(0, classes, 500)
    logits = random.normal(size=(500, classes)).astype(np.float32)
    # The same rows, but for class 0, of which there are four times as many: no other loss.
    more = np.concatenate([np.arange(500), *[np.flatnonzero(train == 0)] * 3])
    found = []
    for rows, scored in ((np.arange(500), None), (more, train[more])):
        loss = perceptron._loss(train, classes, balanced=balanced, scored=scored)
        values = torch.from_numpy(logits[rows][:, 0] if classes == 2 else logits[rows])
        truth = torch.from_numpy(train[rows])
        found.append(float(loss(values, truth.float() if classes == 2 else truth)))
    assert found[1] == pytest.approx(found[0], rel=1e-5)


def test_a_last_batch_of_one_row_is_no_trouble() -> None:
    X, y = points(65)
    assert np.isfinite(SMALL.fit(X, y).predict_proba(X)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 1.0}, "dropout"),
        ({"hidden": ()}, "hidden"),
        ({"hidden": (8, 0)}, "hidden"),
        ({"batch_size": 1}, "batch_size"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"epoch": 3}, "Did you mean 'epochs'"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        MultilayerPerceptron(**settings)


def test_what_cannot_be_learned_is_said() -> None:
    X, y = points(60)
    with pytest.raises(DataError, match="two classes"):
        SMALL.fit(X, np.zeros(60, int))
    with pytest.raises(DataError, match="validation part holds a class"):
        SMALL.fit(X, y, validation=(X, y + 1))
    with pytest.raises(DataError, match="no row in the validation"):
        SMALL.fit(X, y, validation=(X[:0], y[:0]))
    X[3, 2] = np.inf
    with pytest.raises(DataError, match="training rows hold a number that is not finite"):
        SMALL.fit(X, y)


def test_a_loss_that_runs_away_names_the_learning_rate() -> None:
    X, y = points(200)
    with pytest.raises(PlanError, match="lower learning_rate"):
        MultilayerPerceptron(hidden=(8,), learning_rate=1e30, epochs=5).fit(X, y)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "find_spec", lambda name: None)
    X, y = points(20)
    with pytest.raises(MissingExtra, match=r"sfumato\[neural\]"):
        SMALL.fit(X, y)
