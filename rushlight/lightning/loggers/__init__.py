"""Loggers: where metrics and hyperparameters go."""

from rushlight.lightning.loggers.csv_logs import CSVLogger
from rushlight.lightning.loggers.logger import DummyLogger, Logger
from rushlight.lightning.loggers.tensorboard import TensorBoardLogger
from rushlight.lightning.loggers.visdom import VisdomLogger

__all__ = ["CSVLogger", "DummyLogger", "Logger", "TensorBoardLogger", "VisdomLogger"]
