"""Finding a learning rate, when a run begins."""

from rushlight.lightning.callbacks.callback import Callback


class LearningRateFinder(Callback):
    """Run a learning-rate test before fitting and set what it suggests.

    Args:
        min_lr, max_lr, num_training_steps, mode, early_stop_threshold: those of `Tuner.lr_find`.
        update_attr: set the model's learning rate.
        attr_name: the attribute; "lr" or "learning_rate" by default.

    Attributes:
        optimal_lr: the result.
    """

    def __init__(
        self, min_lr: float = 1e-8, max_lr: float = 1, num_training_steps: int = 100, mode: str = "exponential",
        early_stop_threshold: float | None = 4.0, update_attr: bool = True, attr_name: str = "",
    ):  # fmt: skip
        self._arguments = (min_lr, max_lr, num_training_steps, mode, early_stop_threshold)
        self._update_attr, self._attr_name = update_attr, attr_name
        self.optimal_lr = None

    def on_fit_start(self, trainer, pl_module) -> None:
        """Find it."""
        from rushlight.lightning.tuner.lr_finder import apply_suggestion, lr_find  # which need the trainer

        if trainer._tuning or trainer.ckpt_path:
            return
        self.optimal_lr = lr_find(
            trainer, pl_module, trainer._source.given, trainer.datamodule, *self._arguments
        )
        if self._update_attr:
            rate = apply_suggestion(pl_module, self.optimal_lr, self._attr_name)
            for optimizer in trainer.optimizers if rate else ():
                for group in optimizer.param_groups:
                    group["lr"] = rate
                    if "initial_lr" in group:
                        group["initial_lr"] = rate
