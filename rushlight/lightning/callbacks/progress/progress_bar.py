"""The base of progress bars."""

from rushlight.lightning.callbacks.callback import Callback


class ProgressBar(Callback):
    """Base class of progress bars: what they can ask.

    `disable` and `enable` switch it; `get_metrics` says what to show.
    """

    def __init__(self):
        self._trainer = None
        self._enabled = True

    @property
    def trainer(self):
        """The trainer."""
        return self._trainer

    is_enabled = property(lambda self: self._enabled, doc="Whether it shows anything.")
    is_disabled = property(lambda self: not self._enabled, doc="Whether it shows nothing.")

    def disable(self) -> None:
        """Show nothing."""
        self._enabled = False

    def enable(self) -> None:
        """Show something again."""
        self._enabled = True

    def print(self, *args, **kwargs) -> None:
        """Print without disturbing the bar."""
        print(*args, **kwargs)

    def setup(self, trainer, pl_module, stage: str) -> None:
        """Remember the trainer."""
        self._trainer = trainer

    @property
    def total_train_batches(self) -> float:
        """Batches in an epoch."""
        return self.trainer.num_training_batches

    def get_metrics(self, trainer, pl_module) -> dict:
        """What to show: the version of the logger and what was logged with `prog_bar=True`."""
        shown: dict = {}
        if trainer.loggers and trainer.loggers[0].version is not None:
            version = trainer.loggers[0].version
            shown["v_num"] = version[-4:] if isinstance(version, str) else version
        shown.update(trainer.progress_bar_metrics)
        return shown
