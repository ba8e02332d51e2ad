"""Scripts find the trainer under Lightning's names."""

import subprocess
import sys

from tests.lightning.runs import ENVIRONMENT

SCRIPT = """
import pytorch_lightning as pl
import lightning as L
import lightning.pytorch as lp
import lightning.pytorch.loggers.tensorboard
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.tuner import Tuner
from lightning.pytorch.utilities.types import STEP_OUTPUT
from pytorch_lightning.callbacks.early_stopping import EarlyStopping as Stopping
from pytorch_lightning.core.lightning import LightningModule
from pytorch_lightning.loggers.csv_logs import CSVLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities.model_summary import ModelSummary
from pytorch_lightning.utilities.rank_zero import rank_zero_only
assert pl is L is lp is L.pytorch and Stopping is EarlyStopping and LightningModule is L.LightningModule
assert pl.__version__.startswith("2.")
import torch
assert issubclass(pl.LightningModule, torch.nn.Module)
try:
    import pytorch_lightning.nowhere
except ModuleNotFoundError as error:
    print(error)
"""


def test_names():
    done = subprocess.run(
        [sys.executable, "-m", "rushlight", "-c", SCRIPT],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Rushlight stands in for pytorch_lightning" in done.stdout
