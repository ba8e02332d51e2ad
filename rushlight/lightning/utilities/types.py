"""Names for type hints, and what is known of a learning-rate scheduler."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rushlight import Tensor
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from rushlight.optim.optimizer import Optimizer

STEP_OUTPUT = Tensor | Mapping[str, Any] | None
EVAL_DATALOADERS = Any
TRAIN_DATALOADERS = Any
EPOCH_OUTPUT = list
LRSchedulerTypeUnion = LRScheduler | ReduceLROnPlateau
LRSchedulerPLType = LRSchedulerTypeUnion
OptimizerLRScheduler = Any
OptimizerLRSchedulerConfig = dict
Optimizable = Optimizer


class GradClipAlgorithmType(str, Enum):
    """How gradients are clipped."""

    VALUE = "value"
    NORM = "norm"

    @classmethod
    def of(cls, name):
        """The algorithm of that name; None for None.

        Raises:
            MisconfigurationException: there is none.
        """
        names = [algorithm.value for algorithm in cls]
        name = getattr(name, "value", name)
        if name is None:
            return None
        if str(name).lower() not in names:
            raise MisconfigurationException(
                f"`gradient_clip_algorithm` {name} is invalid. Allowed algorithms: {names}."
            )
        return cls(str(name).lower())


@dataclass
class LRSchedulerConfig:
    """A scheduler and when it steps.

    Attributes:
        scheduler: the scheduler.
        name: under which `LearningRateMonitor` logs it.
        interval: "epoch" or "step".
        frequency: it steps every so many epochs or steps.
        reduce_on_plateau: whether it is given a metric.
        monitor: the name of that metric.
        strict: stop where the metric is missing, instead of warning.
    """

    scheduler: Any
    name: str | None = None
    interval: str = "epoch"
    frequency: int = 1
    reduce_on_plateau: bool = False
    monitor: str | None = None
    strict: bool = True


__all__ = [
    "EPOCH_OUTPUT", "EVAL_DATALOADERS", "STEP_OUTPUT", "TRAIN_DATALOADERS", "GradClipAlgorithmType", "LRScheduler",
    "LRSchedulerConfig",
    "LRSchedulerPLType", "LRSchedulerTypeUnion", "Optimizer", "OptimizerLRScheduler", "OptimizerLRSchedulerConfig",
]  # fmt: skip
