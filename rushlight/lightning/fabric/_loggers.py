"""Loggers of Fabric: those of the trainer, with the folder called `root_dir`.

The module is private so that LightningCLI finds one class of each name.
"""

import os

from rushlight.lightning import loggers as trainers
from rushlight.lightning.loggers.logger import Logger, rank_zero_experiment

__all__ = ["CSVLogger", "Logger", "TensorBoardLogger", "rank_zero_experiment"]


class CSVLogger(trainers.CSVLogger):
    """Write metrics to `root_dir/name/version_0/metrics.csv`.

    Args:
        root_dir: the folder of all experiments.
        name: of the experiment. version: a number, the name of a folder, or None for the next number.
        prefix: before every name. flush_logs_every_n_steps: write every so many steps.
    """

    def __init__(
        self, root_dir, name: str | None = "lightning_logs", version: int | str | None = None, prefix: str = "",
        flush_logs_every_n_steps: int = 100,
    ):  # fmt: skip
        super().__init__(root_dir, name, version, prefix, flush_logs_every_n_steps)

    root_dir = property(lambda self: self._save_dir, doc="The folder of all experiments.")
    log_dir = property(lambda self: _folder(self), doc="The folder of this run.")

    def log_metrics(self, metrics: dict, step: int | None = None) -> None:
        """Take values, and write them if it is time."""
        step = self.experiment.rows + len(self.experiment.metrics) if step is None else step
        super().log_metrics(metrics, step)
        if (step + 1) % self._every == 0:
            self.experiment.save()


class TensorBoardLogger(trainers.TensorBoardLogger):
    """Write metrics as event files to `root_dir/name/version_0`.

    Args:
        root_dir: the folder of all experiments.
        name: of the experiment. version: a number, the name of a folder, or None for the next number.
        default_hp_metric, prefix, sub_dir, **kwargs: as for the trainer's.
    """

    def __init__(
        self, root_dir, name: str | None = "lightning_logs", version: int | str | None = None,
        default_hp_metric: bool = True, prefix: str = "", sub_dir=None, **kwargs,
    ):  # fmt: skip
        super().__init__(root_dir, name, version, False, default_hp_metric, prefix, sub_dir, **kwargs)


def _folder(logger) -> str:
    version = logger.version if isinstance(logger.version, str) else f"version_{logger.version}"
    return os.path.join(logger._save_dir, logger._name, version)
