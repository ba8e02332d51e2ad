"""Finding the largest batch size that fits, when a run begins."""

from rushlight.lightning.callbacks.callback import Callback


class BatchSizeFinder(Callback):
    """Find the largest batch size that fits into memory before fitting.

    Args:
        mode, steps_per_trial, init_val, max_trials, batch_arg_name: those of `Tuner.scale_batch_size`.
        margin: take this share less than what was found.
        max_val: go no further than this.

    Attributes:
        optimal_batch_size: what was found.
    """

    def __init__(
        self, mode: str = "power", steps_per_trial: int = 3, init_val: int = 2, max_trials: int = 25,
        batch_arg_name: str = "batch_size", margin: float = 0.05, max_val: int = 8192,
    ):  # fmt: skip
        self._arguments = (mode, steps_per_trial, init_val, max_trials, batch_arg_name, margin, max_val)
        self.optimal_batch_size: int | None = init_val

    def on_fit_start(self, trainer, pl_module) -> None:
        """Find it."""
        from rushlight.lightning.tuner.batch_size_scaling import scale_batch_size  # which needs the trainer

        if not trainer._tuning and not trainer.ckpt_path:
            self.optimal_batch_size = scale_batch_size(
                trainer, pl_module, trainer._source.given, *self._arguments
            )
            trainer.fit_loop.loader = None
