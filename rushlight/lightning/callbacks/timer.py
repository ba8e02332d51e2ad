"""Time: how long the stages take, and stopping when it is over."""

import re
import time
from datetime import timedelta

from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_info


class Timer(Callback):
    """Measure the time of training, validation and testing; stop training when it is over.

    Args:
        duration: a timedelta, its arguments in a dictionary, or "DD:HH:MM:SS"; None for no limit.
        interval: "step" or "epoch": when to look at the clock.
        verbose: say that the time is over.
    Raises:
        MisconfigurationException: a duration or an interval that can't be understood.

    >>> Timer("00:00:10:30").time_remaining()
    630.0
    """

    def __init__(self, duration=None, interval: str = "step", verbose: bool = True):
        if interval not in ("step", "epoch"):
            raise MisconfigurationException(
                f"Unsupported value `Timer(interval={interval!r})`. Possible choices: step, epoch"
            )
        self._duration = None if duration is None else to_seconds(duration)
        self._interval, self._verbose = interval, verbose
        self._started: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._before = 0.0  # what earlier runs took, from the checkpoint

    def start_time(self, stage: str = "train") -> float | None:
        """When a stage began ("train", "validate", "test", "sanity_check"), in seconds; None if it didn't."""
        return self._started.get(stage)

    def end_time(self, stage: str = "train") -> float | None:
        """When it ended."""
        return self._ended.get(stage)

    def time_elapsed(self, stage: str = "train") -> float:
        """Seconds that it took so far."""
        before = self._before if stage == "train" else 0.0
        if stage not in self._started:
            return before
        return self._ended.get(stage, time.monotonic()) - self._started[stage] + before

    def time_remaining(self, stage: str = "train") -> float | None:
        """Seconds that are left; None without a limit."""
        return None if self._duration is None else self._duration - self.time_elapsed(stage)

    def _begin(self, stage: str) -> None:
        self._started[stage] = time.monotonic()
        self._ended.pop(stage, None)

    def on_train_start(self, trainer, pl_module) -> None:
        """The clock starts."""
        self._begin("train")

    def on_train_end(self, trainer, pl_module) -> None:
        """The clock stops."""
        self._ended["train"] = time.monotonic()

    def on_validation_start(self, trainer, pl_module) -> None:
        """The clock starts."""
        self._begin("validate")

    def on_validation_end(self, trainer, pl_module) -> None:
        """The clock stops."""
        self._ended["validate"] = time.monotonic()

    def on_test_start(self, trainer, pl_module) -> None:
        """The clock starts."""
        self._begin("test")

    def on_test_end(self, trainer, pl_module) -> None:
        """The clock stops."""
        self._ended["test"] = time.monotonic()

    def on_fit_start(self, trainer, pl_module) -> None:
        """Look whether there is any time left, in a run that goes on."""
        self._look(trainer)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        """Look at the clock."""
        if self._interval == "step":
            self._look(trainer)

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        """Look at the clock."""
        if self._interval == "epoch":
            self._look(trainer)

    def _look(self, trainer) -> None:
        if self._duration is not None and self.time_elapsed() >= self._duration:
            if self._verbose and not trainer.should_stop:
                elapsed = timedelta(seconds=int(self.time_elapsed()))
                rank_zero_info(f"Time limit reached. Elapsed time is {elapsed}. Signaling Trainer to stop.")
            trainer.should_stop = True

    def state_dict(self) -> dict:
        """The times."""
        return {
            "time_elapsed": {
                stage: self.time_elapsed(stage) for stage in ("train", "sanity_check", "validate", "test")
            }
        }

    def load_state_dict(self, state_dict: dict) -> None:
        """Take them back."""
        self._before = state_dict.get("time_elapsed", {}).get("train", 0.0)


def to_seconds(duration) -> float:
    """Seconds of a timedelta, its arguments, or "DD:HH:MM:SS".

    Raises:
        MisconfigurationException: another text.
    """
    if isinstance(duration, str):
        parts = re.fullmatch(r"(\d+):(\d\d):(\d\d):(\d\d)", duration.strip())
        if not parts:
            raise MisconfigurationException(
                f"`{duration!r}` is not a valid duration. Expected a string DD:HH:MM:SS."
            )
        days, hours, minutes, seconds = map(int, parts.groups())
        duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    elif isinstance(duration, dict):
        duration = timedelta(**duration)
    return duration.total_seconds()
