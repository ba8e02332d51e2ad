"""Logging what a run takes of the machine."""

import time

from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.utilities.exceptions import MisconfigurationException


class DeviceStatsMonitor(Callback):
    """Log memory and processor time of this process, from the system's own counters.

    Args:
        cpu_stats: False switches it off.
    """

    def __init__(self, cpu_stats: bool | None = None):
        self._cpu_stats = cpu_stats is None or cpu_stats

    def setup(self, trainer, pl_module, stage: str) -> None:
        """Check that there are loggers.

        Raises:
            MisconfigurationException: there are none.
        """
        if stage == "fit" and not trainer.loggers:
            raise MisconfigurationException(
                "Cannot use `DeviceStatsMonitor` callback with `Trainer(logger=False)`."
            )

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        """Log, where it is time."""
        every = trainer.log_every_n_steps
        if not self._cpu_stats or not every or (trainer.fit_loop.batches_that_stepped + 1) % every:
            return
        import resource  # not on Windows

        usage = resource.getrusage(resource.RUSAGE_SELF)
        values = {
            "DeviceStatsMonitor.on_train_batch_end/cpu_max_memory_mb": usage.ru_maxrss / 1024,
            "DeviceStatsMonitor.on_train_batch_end/cpu_seconds": time.process_time(),
        }
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.fit_loop.batches_that_stepped)
