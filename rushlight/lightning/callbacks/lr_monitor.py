"""Logging learning rates."""

from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_warn


class LearningRateMonitor(Callback):
    """Log the learning rates of the optimizers.

    Args:
        logging_interval: "step" or "epoch"; by default each scheduler's own interval.
        log_momentum, log_weight_decay: log these too.
    Raises:
        MisconfigurationException: another interval.

    Attributes:
        lrs: the rates so far, by name: "lr-SGD", "lr-Adam/pg1", or the `name` of the scheduler or of the group.
    """

    def __init__(
        self, logging_interval: str | None = None, log_momentum: bool = False, log_weight_decay: bool = False
    ):
        if logging_interval not in (None, "step", "epoch"):
            raise MisconfigurationException("logging_interval should be `step` or `epoch` or `None`.")
        self.logging_interval = logging_interval
        self.log_momentum, self.log_weight_decay = log_momentum, log_weight_decay
        self.lrs: dict[str, list[float]] = {}
        self.last_momentum_values: dict[str, float] = {}
        self.last_weight_decay_values: dict[str, float] = {}

    def on_train_start(self, trainer, pl_module) -> None:
        """Check that there are loggers.

        Raises:
            MisconfigurationException: there are none.
        """
        if not trainer.loggers:
            raise MisconfigurationException(
                "Cannot use `LearningRateMonitor` callback with `Trainer` that has no logger."
            )
        if self.log_momentum and not any(
            "momentum" in o.defaults or "betas" in o.defaults for o in trainer.optimizers
        ):
            rank_zero_warn(
                "You have set log_momentum=True, but some optimizers do not have momentum.",
                category=RuntimeWarning,
            )
        self.lrs = {name: [] for name, _, _ in self._groups(trainer)}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx: int) -> None:
        """Log, where it is time."""
        every = trainer.log_every_n_steps
        if (
            self.logging_interval != "epoch"
            and every
            and (trainer.fit_loop.batches_that_stepped + 1) % every == 0
        ):
            self._log(trainer, "step" if self.logging_interval is None else "any")

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        """Log, where it is time."""
        if self.logging_interval != "step":
            self._log(trainer, "epoch" if self.logging_interval is None else "any")

    def _log(self, trainer, interval: str) -> None:
        values = {}
        for name, group, own_interval in self._groups(trainer):
            if interval != "any" and own_interval not in ("any", interval):
                continue
            values[name] = float(group["lr"])
            self.lrs.setdefault(name, []).append(values[name])
            if self.log_momentum:
                momentum = group.get("momentum", group.get("betas", (0.0,)))
                momentum = momentum[0] if isinstance(momentum, tuple | list) else momentum
                values[f"{name}-momentum"] = self.last_momentum_values[f"{name}-momentum"] = momentum
            if self.log_weight_decay:
                decay = group.get("weight_decay", 0.0)
                values[f"{name}-weight_decay"] = self.last_weight_decay_values[f"{name}-weight_decay"] = decay
        if values:
            trainer.metrics.callback.update({key: trainer._scalar(value) for key, value in values.items()})
            for logger in trainer.loggers:
                logger.log_metrics(values, step=trainer.fit_loop.batches_that_stepped)

    def _groups(self, trainer):
        """(name, group, interval) of every parameter group."""
        used: dict[str, int] = {}
        known = []
        for config in trainer.lr_scheduler_configs:
            optimizer = config.scheduler.optimizer
            known.append(id(optimizer))
            name = config.name or "lr-" + type(optimizer).__name__
            yield from _named(name, optimizer, config.interval, used)
        for optimizer in trainer.optimizers:
            if id(optimizer) not in known:
                yield from _named("lr-" + type(optimizer).__name__, optimizer, "any", used)


def _named(name: str, optimizer, interval: str, used: dict):
    used[name] = used.get(name, 0) + 1
    if used[name] > 1:
        name = f"{name}-{used[name] - 1}"
    groups = optimizer.param_groups
    for number, group in enumerate(groups, 1):
        label = group.get("name") or (f"pg{number}" if len(groups) > 1 else "")
        yield (f"{name}/{label}" if label else name), group, interval
