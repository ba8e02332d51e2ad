"""What a trainer is doing."""

from dataclasses import dataclass
from enum import Enum


class TrainerStatus(str, Enum):
    """How a run stands."""

    INITIALIZING = "initializing"
    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"


class TrainerFn(str, Enum):
    """What was called."""

    FITTING = "fit"
    VALIDATING = "validate"
    TESTING = "test"
    PREDICTING = "predict"


class RunningStage(str, Enum):
    """Which part of it runs."""

    TRAINING = "train"
    SANITY_CHECKING = "sanity_check"
    VALIDATING = "validate"
    TESTING = "test"
    PREDICTING = "predict"

    @property
    def evaluating(self) -> bool:
        """Whether it validates or tests."""
        return self in (self.VALIDATING, self.TESTING, self.SANITY_CHECKING)


@dataclass
class TrainerState:
    """What was called, which part of it runs, and how it stands."""

    status: TrainerStatus = TrainerStatus.INITIALIZING
    fn: TrainerFn | None = None
    stage: RunningStage | None = None

    finished = property(lambda self: self.status == TrainerStatus.FINISHED)
    stopped = property(lambda self: self.status in (TrainerStatus.FINISHED, TrainerStatus.INTERRUPTED))
