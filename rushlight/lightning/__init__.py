"""The trainer: models, data, training loops, callbacks and loggers under the names of PyTorch Lightning."""

import sys

from rushlight.lightning.utilities.seed import seed_everything  # isort: skip
from rushlight.lightning.core import LightningDataModule, LightningModule  # isort: skip
from rushlight.lightning.callbacks.callback import Callback  # isort: skip
from rushlight.lightning.trainer import Trainer  # isort: skip
from rushlight.lightning.fabric import Fabric  # isort: skip
from rushlight.lightning import (
    accelerators,
    callbacks,
    fabric,
    loggers,
    plugins,
    profilers,
    strategies,
    tuner,
    utilities,
)
from rushlight.lightning.utilities.imports import module_available
from rushlight.lightning.utilities.rank_zero import disable_possible_user_warnings
from rushlight.lightning.version import __version__

pytorch = sys.modules[__name__]  # `lightning.pytorch` and `pytorch_lightning` are the same here

__all__ = [
    "Callback", "Fabric", "LightningDataModule", "LightningModule", "Trainer", "__version__", "accelerators", "callbacks",
    "cli_lightning_logo", "disable_possible_user_warnings", "fabric", "loggers", "module_available", "plugins", "profilers",
    "seed_everything", "strategies", "tuner", "utilities",
]  # fmt: skip


def cli_lightning_logo() -> None:
    """Print the name of what runs, where Lightning's examples print its logo."""
    print("\nRushlight\n")
