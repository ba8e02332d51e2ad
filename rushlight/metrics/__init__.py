"""Metrics over epochs, with the names of torchmetrics: they add up batches of any size and can be logged.

>>> import rushlight as torch
>>> from rushlight.metrics import Accuracy
>>> accuracy = Accuracy("multiclass", num_classes=2)
>>> for scores, labels in [(torch.eye(2), torch.tensor([0, 0])), (torch.eye(2)[:1], torch.tensor([0]))]:
...     accuracy.update(scores, labels)
>>> accuracy.compute()
tensor(0.6667)
"""

from rushlight.metrics.classification import (
    Accuracy,
    ConfusionMatrix,
    Dice,
    F1Score,
    JaccardIndex,
    Precision,
    Recall,
)
from rushlight.metrics.curves import AUROC, ROC, AveragePrecision, PrecisionRecallCurve
from rushlight.metrics.metric import MeanMetric, Metric, MetricCollection
from rushlight.metrics.regression import MeanAbsoluteError, MeanSquaredError, Perplexity, R2Score

__all__ = [
    "AUROC",
    "ROC",
    "Accuracy",
    "AveragePrecision",
    "ConfusionMatrix",
    "Dice",
    "F1Score",
    "JaccardIndex",
    "MeanAbsoluteError",
    "MeanMetric",
    "MeanSquaredError",
    "Metric",
    "MetricCollection",
    "Perplexity",
    "Precision",
    "PrecisionRecallCurve",
    "R2Score",
    "Recall",
]
