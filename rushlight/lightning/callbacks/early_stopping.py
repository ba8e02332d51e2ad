"""Stopping when a metric no longer improves."""

import rushlight as torch
from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn


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
            rank_zero_warn(message, RuntimeWarning)
            return
        current = metrics[self.monitor].squeeze()
        reason = self._reason(current)
        if reason is not None:
            trainer.should_stop = True
            self.stopped_epoch = trainer.current_epoch
            if self.verbose or "finite" in reason:
                rank_zero_info(reason)

    def _reason(self, current) -> str | None:
        """Why to stop, or None."""
        name = f"Monitored metric {self.monitor}"
        if self.check_finite and not torch.isfinite(current):
            return f"{name} = {current} is not finite. Previous best value was {self.best_score:.3f}. Signaling Trainer to stop."
        if self.stopping_threshold is not None and self.monitor_op(current, self.stopping_threshold):
            return f"Stopping threshold reached: {self.monitor} = {current}. Signaling Trainer to stop."
        if self.divergence_threshold is not None and self.monitor_op(-current, -self.divergence_threshold):
            return f"Divergence threshold reached: {self.monitor} = {current}. Signaling Trainer to stop."
        if self.monitor_op(current - self.min_delta, self.best_score):
            if self.verbose:
                rank_zero_info(f"Metric {self.monitor} improved. New best score: {current:.3f}")
            self.best_score, self.wait_count = current, 0
            return None
        self.wait_count += 1
        if self.wait_count < self.patience:
            return None
        return (
            f"{name} did not improve in the last {self.wait_count} records. Best score: {self.best_score:.3f}. Signaling "
            "Trainer to stop."
        )

    def state_dict(self) -> dict:
        """Its state."""
        names = ("wait_count", "stopped_epoch", "best_score", "patience")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take it back."""
        for name, value in state_dict.items():
            setattr(self, name, value)
