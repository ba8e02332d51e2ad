"""Validation schemes, ensembles, uncertainty, and classes of unequal size: what is done around training.

>>> import rushlight as torch
>>> from rushlight.validation import KFold
>>> [test for train, test in KFold(3).split(range(6))]
[[0, 1], [2, 3], [4, 5]]
"""

from rushlight.validation.ensembles import Bagging, Snapshots, Voting, bagging
from rushlight.validation.imbalance import balanced_sampler, class_weights, labels_of, sample_weights
from rushlight.validation.max_norm import max_norm_
from rushlight.validation.splits import (
    CrossValidation,
    KFold,
    LeaveOneOut,
    StratifiedKFold,
    cross_validate,
    hold_out,
)
from rushlight.validation.uncertainty import (
    TemperatureScaling,
    Uncertainty,
    dropout_active,
    expected_calibration_error,
    mc_dropout,
)

__all__ = [
    "Bagging",
    "CrossValidation",
    "KFold",
    "LeaveOneOut",
    "Snapshots",
    "StratifiedKFold",
    "TemperatureScaling",
    "Uncertainty",
    "Voting",
    "bagging",
    "balanced_sampler",
    "class_weights",
    "cross_validate",
    "dropout_active",
    "expected_calibration_error",
    "hold_out",
    "labels_of",
    "max_norm_",
    "mc_dropout",
    "sample_weights",
]
