"""Loggers of Fabric."""

import sys

from rushlight.lightning.fabric._loggers import CSVLogger, Logger, TensorBoardLogger, rank_zero_experiment

__all__ = ["CSVLogger", "Logger", "TensorBoardLogger", "rank_zero_experiment"]

csv_logs = tensorboard = logger = sys.modules[__name__]  # modules of Lightning: everything is in this one
