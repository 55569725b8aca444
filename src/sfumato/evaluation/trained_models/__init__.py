"""What a trained model gives away of the people whose rows it learned from.

:func:`evaluate_model` attacks any estimator in the manner of scikit-learn with the rows that it was
trained on and with exchangeable rows that it never saw: who was a member, what a secret column
holds, whose row moved it, and how much of its input it does not need.
"""

from sfumato.evaluation.trained_models.evaluation import evaluate_model
from sfumato.evaluation.trained_models.results import ModelEvaluation
from sfumato.evaluation.trained_models.settings import ModelAttacks

__all__ = ["ModelAttacks", "ModelEvaluation", "evaluate_model"]
