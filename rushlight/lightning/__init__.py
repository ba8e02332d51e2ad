"""The trainer: models, data, training loops, callbacks and loggers under the names of PyTorch Lightning."""

import sys

from rushlight.lightning.utilities.seed import seed_everything  # isort: skip
from rushlight.lightning.core import LightningDataModule, LightningModule  # isort: skip
from rushlight.lightning.callbacks.callback import Callback  # isort: skip
from rushlight.lightning.trainer import Trainer  # isort: skip
from rushlight.lightning import callbacks, loggers, profilers, tuner, utilities
from rushlight.lightning.version import __version__

pytorch = sys.modules[__name__]  # `lightning.pytorch` and `pytorch_lightning` are the same here

__all__ = [
    "Callback", "LightningDataModule", "LightningModule", "Trainer", "__version__", "callbacks", "loggers", "profilers",
    "seed_everything", "tuner", "utilities",
]  # fmt: skip
