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
from pytorch_lightning.utilities.rank_zero import WarningCache, rank_prefixed_message, rank_zero_only
from pytorch_lightning.strategies.ddp import DDPStrategy
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.plugins.io.torch_plugin import TorchCheckpointIO
from lightning.pytorch.accelerators.cpu import CPUAccelerator
from lightning.pytorch.demos import Transformer, WikiText2
from lightning.pytorch.utilities.imports import RequirementCache
from lightning.pytorch.utilities.model_helpers import get_torchvision_model, is_overridden
from lightning.fabric import Fabric, seed_everything
from lightning.fabric.strategies import FSDPStrategy
from lightning.fabric.utilities.rank_zero import rank_zero_info
from lightning.fabric.loggers.csv_logs import CSVLogger as FabricCSVLogger
assert L.Fabric is Fabric and L.fabric.strategies.fsdp.FSDPStrategy is FSDPStrategy
try:
    FSDPStrategy()
except NotImplementedError as error:
    assert "strategy='auto'" in str(error)
else:
    raise AssertionError
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


def test_strategies_and_plugins(tmp_path):
    """Objects in place of names: the run knows them."""
    from rushlight import lightning as pl
    from rushlight.lightning.demos import BoringModel

    written = []

    class IO(pl.plugins.TorchCheckpointIO):
        def save_checkpoint(self, checkpoint, path, storage_options=None):
            written.append(path)
            super().save_checkpoint(checkpoint, path, storage_options)

    trainer = pl.Trainer(
        accelerator=pl.accelerators.CPUAccelerator(), strategy=pl.strategies.DDPStrategy(find_unused_parameters=True),
        plugins=[pl.plugins.DoublePrecision(), IO(), pl.plugins.SLURMEnvironment()], max_steps=2, limit_val_batches=0,
        logger=False, default_root_dir=tmp_path, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    seen = []

    class Model(BoringModel):
        def training_step(self, batch, batch_idx):
            import rushlight as torch

            seen.extend([batch.dtype, torch.zeros(1).dtype, self.layer.weight.dtype])
            return super().training_step(batch, batch_idx)

    trainer.fit(Model())
    assert {str(dtype) for dtype in seen} == {"torch.float64"} and trainer.precision == "64-true"
    assert (
        isinstance(trainer.strategy, pl.strategies.ParallelStrategy)
        and trainer.strategy.model is trainer.lightning_module
    )
    assert trainer.accelerator.name() == "cpu" and trainer.strategy.broadcast(3) == 3
    assert written and trainer.scaler is None
    assert Model.load_from_checkpoint(trainer.checkpoint_callback.best_model_path)


def test_requirements():
    from rushlight.lightning.utilities.imports import RequirementCache

    assert RequirementCache("numpy>=1.0,<99") and not RequirementCache("numpy>=99")
    assert "pip install" in str(RequirementCache("no-such-package>=1"))
