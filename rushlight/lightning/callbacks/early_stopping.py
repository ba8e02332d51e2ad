"""Stopping when a metric no longer improves."""

from enum import Enum

import rushlight as torch
from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn


class EarlyStoppingReason(Enum):
    """Why a run was stopped."""

    NOT_STOPPED = 0
    STOPPING_THRESHOLD = 1
    DIVERGENCE_THRESHOLD = 2
    PATIENCE_EXHAUSTED = 3
    NON_FINITE_METRIC = 4


class EarlyStopping(Callback):
    """Stop training when a metric has not improved for some checks.

    Args:
        monitor: the name of the metric, as it was logged.
        min_delta: how much better counts as better.
        patience: how many checks without improvement to wait.
        verbose: say what happens.
        mode: "min" or "max".
        strict: raise where the metric is missing, instead of warning.
        check_finite: stop when it is NaN or infinite.
        stopping_threshold: stop as soon as it is better than this.
        divergence_threshold: stop as soon as it is worse than this.
        check_on_train_epoch_end: check after training epochs; by default after validations, where there are any.
        log_rank_zero_only: accepted.
    Raises:
        MisconfigurationException: an unknown mode.

    Attributes:
        best_score, wait_count, stopped_epoch: the best value, checks since, and when it stopped.
        stopping_reason, stopping_reason_message: why.
    """

    def __init__(
        self, monitor: str, min_delta: float = 0.0, patience: int = 3, verbose: bool = False, mode: str = "min",
        strict: bool = True, check_finite: bool = True, stopping_threshold: float | None = None,
        divergence_threshold: float | None = None, check_on_train_epoch_end: bool | None = None,
        log_rank_zero_only: bool = False,
    ):  # fmt: skip
        if mode not in ("min", "max"):
            raise MisconfigurationException(f"`mode` can be min, max, got {mode}")
        self.monitor, self.patience, self.verbose, self.mode = monitor, patience, verbose, mode
        self.strict, self.check_finite = strict, check_finite
        self.stopping_threshold, self.divergence_threshold = stopping_threshold, divergence_threshold
        self.min_delta = min_delta if mode == "max" else -min_delta
        self.wait_count = self.stopped_epoch = 0
        self.best_score = torch.tensor(float("inf") if mode == "min" else -float("inf"))
        self.stopping_reason, self.stopping_reason_message = EarlyStoppingReason.NOT_STOPPED, None
        self._check_on_train_epoch_end = check_on_train_epoch_end

    @property
    def state_key(self) -> str:
        """Its name in checkpoints."""
        return self._generate_state_key(monitor=self.monitor, mode=self.mode)

    def monitor_op(self, current, best):
        """Whether a value is better than another."""
        return current < best if self.mode == "min" else current > best

    def setup(self, trainer, pl_module, stage: str) -> None:
        """Decide when to check."""
        if self._check_on_train_epoch_end is None:
            self._check_on_train_epoch_end = (
                trainer.val_check_interval == 1.0 and trainer.check_val_every_n_epoch == 1
            )
            self._check_on_train_epoch_end = self._check_on_train_epoch_end or not trainer.enable_validation

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        """Check."""
        if self._check_on_train_epoch_end and not self._skips(trainer):
            self._check(trainer)

    def on_validation_end(self, trainer, pl_module) -> None:
        """Check."""
        if not self._check_on_train_epoch_end and not self._skips(trainer):
            self._check(trainer)

    def _skips(self, trainer) -> bool:
        return trainer.state.fn != "fit" or trainer.sanity_checking

    def _check(self, trainer) -> None:
        metrics = trainer.callback_metrics
        if trainer.fast_dev_run:
            return
        if self.monitor not in metrics:
            message = (
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. Pass in or modify your "
                f"`EarlyStopping` callback to use any of the following: `{'`, `'.join(metrics)}`"
            )
            if self.strict:
                raise RuntimeError(message)
            rank_zero_warn(message, category=RuntimeWarning)
            return
        current = metrics[self.monitor].squeeze()
        reason = self._reason(current)
        if reason is not None:
            trainer.should_stop = True
            self.stopped_epoch = trainer.current_epoch
            self.stopping_reason, message = reason
            self.stopping_reason_message = f"{message} Signaling Trainer to stop."
            if self.verbose or self.stopping_reason is EarlyStoppingReason.NON_FINITE_METRIC:
                rank_zero_info(self.stopping_reason_message)

    def _reason(self, current) -> tuple | None:
        """Why to stop, and in words; or None."""
        name = f"Monitored metric {self.monitor}"
        better, worse = ("<", ">") if self.mode == "min" else (">", "<")
        if self.check_finite and not torch.isfinite(current):
            message = f"{name} = {current} is not finite. Previous best value was {self.best_score:.3f}."
            return EarlyStoppingReason.NON_FINITE_METRIC, message
        if self.stopping_threshold is not None and self.monitor_op(current, self.stopping_threshold):
            message = (
                f"Stopping threshold reached: {self.monitor} = {current} {better} {self.stopping_threshold}."
            )
            return EarlyStoppingReason.STOPPING_THRESHOLD, message
        if self.divergence_threshold is not None and self.monitor_op(-current, -self.divergence_threshold):
            message = f"Divergence threshold reached: {self.monitor} = {current} {worse} {self.divergence_threshold}."
            return EarlyStoppingReason.DIVERGENCE_THRESHOLD, message
        if self.monitor_op(current - self.min_delta, self.best_score):
            if self.verbose:
                rank_zero_info(f"Metric {self.monitor} improved. New best score: {current:.3f}")
            self.best_score, self.wait_count = current, 0
            return None
        self.wait_count += 1
        if self.wait_count < self.patience:
            return None
        message = f"{name} did not improve in the last {self.wait_count} records. Best score: {self.best_score:.3f}."
        return EarlyStoppingReason.PATIENCE_EXHAUSTED, message

    def state_dict(self) -> dict:
        """Its state."""
        names = ("wait_count", "stopped_epoch", "best_score", "patience", "stopping_reason_message")
        return {
            **{name: getattr(self, name) for name in names},
            "stopping_reason": self.stopping_reason.value,
        }

    def load_state_dict(self, state_dict: dict) -> None:
        """Take it back."""
        for name, value in state_dict.items():
            setattr(self, name, EarlyStoppingReason(value) if name == "stopping_reason" else value)
