"""Loggers: where metrics and hyperparameters go."""

import sys

from rushlight.lightning.loggers.csv_logs import CSVLogger
from rushlight.lightning.loggers.logger import DummyLogger, Logger
from rushlight.lightning.loggers.tensorboard import TensorBoardLogger
from rushlight.lightning.loggers.visdom import VisdomLogger
from rushlight.lightning.utilities.absent import absent

__all__ = ["CSVLogger", "DummyLogger", "Logger", "TensorBoardLogger", "VisdomLogger"]

_FILES = "loggers of online services are absent. Use CSVLogger or TensorBoardLogger, or a Logger of your own"
WandbLogger, CometLogger, MLFlowLogger, NeptuneLogger, LitLogger = (
    absent(name, _FILES, Logger)
    for name in ("WandbLogger", "CometLogger", "MLFlowLogger", "NeptuneLogger", "LitLogger")
)
wandb = comet = mlflow = neptune = litlogger = sys.modules[__name__]  # modules of Lightning
