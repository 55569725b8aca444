"""A multilayer perceptron as settings, and what it learned: the demo's heart-attack classifier."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sfumato.errors import DataError, MissingExtra
from sfumato.progress import silent
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.evaluation.perceptron import Perceptron
    from sfumato.progress import Progress

__all__ = ["Epoch", "MultilayerPerceptron", "TrainedNetwork"]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training rows.

    Parameters
    ----------
    epoch
        Its number, from 1.
    train_loss, validation_loss
        Mean loss in the pass (with dropout), and after it on the validation rows (without), each
        class weighing as much as in the training rows.
    learning_rate
        Step size of the pass.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    learning_rate: float


class MultilayerPerceptron(Settings):
    """A network of linear layers with batch norm, ReLU and dropout, trained by Adam.

    Every hidden layer but the last has batch norm and dropout. The learning rate is multiplied by
    ``scheduler_factor`` when the validation loss has not fallen for ``scheduler_patience`` epochs;
    training ends when it has not fallen for ``patience`` epochs, and the weights of the best epoch
    are taken back.

    Parameters
    ----------
    hidden
        Width of each hidden layer.
    dropout
        Share of a hidden layer's values set to zero while training, in [0, 1).
    learning_rate, weight_decay
        Adam's step size and L2 penalty.
    batch_size
        Rows per step, at least 2.
    epochs
        Passes over the rows at most.
    patience
        Epochs without a better validation loss until training ends.
    scheduler_patience, scheduler_factor
        When and how the learning rate is lowered.
    class_weight
        "balanced": rare classes weigh more in the loss, so that each class weighs the same in all
        (for two classes: positive rows times n_negative / n_positive). None: each row the same.

    References
    ----------
    Ioffe & Szegedy, "Batch normalization", ICML 2015. Srivastava et al., "Dropout", JMLR 15 (2014).
    Kingma & Ba, "Adam", ICLR 2015.

    Examples
    --------
    >>> MultilayerPerceptron(hidden=(32, 16), epochs=5).batch_size
    256
    """

    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (256, 128, 64)
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3
    learning_rate: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 1e-5
    batch_size: Annotated[int, Field(ge=2)] = 256
    epochs: Annotated[int, Field(ge=1)] = 100
    patience: Annotated[int, Field(ge=1)] = 10
    scheduler_patience: Annotated[int, Field(ge=0)] = 3
    scheduler_factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    class_weight: Literal["balanced"] | None = "balanced"

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
        task: str = "training the network",
        progress: Progress = silent,
    ) -> TrainedNetwork:
        """Train on rows and return the network of the best epoch.

        Parameters
        ----------
        X
            Array of shape (n, features), finite numbers; n at least 2.
        y
            Array of shape (n,), class of each row: any values, at least two distinct.
        validation
            (X, y) of rows that are held out to tell when to stop. Without it the training rows
            are taken, which stops late.
        seed
            The same seed and rows give the same network on the same machine and number of threads.
        task, progress
            What is told after each epoch, and to whom.

        Raises
        ------
        DataError
            If there is no second class, or a number is not finite.
        PlanError
            If the loss runs away (the learning rate is too high).
        MissingExtra
            If PyTorch is not installed.
        """
        if find_spec("torch") is None:
            raise MissingExtra("neural", "the network (a multilayer perceptron)")
        from sfumato.evaluation.perceptron import train

        classes, codes = np.unique(y, return_inverse=True)
        held_X, held_y = (X, codes) if validation is None else _coded(validation, classes)
        if len(classes) < 2:
            raise DataError("a classifier needs rows of at least two classes, and found one")
        for part, what in ((X, "training"), (held_X, "validation")):
            if not np.isfinite(part).all():
                raise DataError(f"the {what} rows hold a number that is not finite")
        if len(held_X) == 0:
            raise DataError("there is no row in the validation part")

        def after_epoch(epoch: Epoch) -> None:
            progress(task, epoch.epoch, self.epochs)

        network, history, best = train(
            self, (X, codes), (held_X, held_y), len(classes), seed=seed, after_epoch=after_epoch
        )
        if len(history) < self.epochs:  # stopped early: the work is done all the same
            progress(task, self.epochs, self.epochs)
        return TrainedNetwork(self, classes, history, best, network)


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network; predicts as a scikit-learn classifier does.

    Parameters
    ----------
    settings
        How it was trained.
    classes_
        Array of shape (classes,), sorted: the columns of :meth:`predict_proba`.
    history
        The epochs in order.
    best_epoch
        The epoch whose weights it has, from 1.
    network
        The PyTorch module, in evaluation mode.
    """

    settings: MultilayerPerceptron
    classes_: np.ndarray
    history: tuple[Epoch, ...]
    best_epoch: int
    network: Perceptron = field(repr=False)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class, shape (n, classes), float64."""
        from sfumato.evaluation.perceptron import probabilities

        return probabilities(self.network, X)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the likeliest class of each row (two classes: probability above 0.5)."""
        chosen: np.ndarray = self.classes_[np.argmax(self.predict_proba(X), axis=1)]
        return chosen


def _coded(
    rows: tuple[np.ndarray, np.ndarray], classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    X, y = rows
    if not np.isin(y, classes).all():
        raise DataError("the validation part holds a class that the training part lacks")
    return X, np.searchsorted(classes, y)
