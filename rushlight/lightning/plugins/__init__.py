"""Plugins under Lightning's names: how precisely a run computes, and how it writes checkpoints."""

import sys

from rushlight.lightning.core.checkpoint_io import CheckpointIO, TorchCheckpointIO
from rushlight.lightning.trainer.precision import Precision
from rushlight.lightning.utilities.absent import absent

__all__ = [
    "AsyncCheckpointIO", "BitsandbytesPrecision", "CheckpointIO", "ClusterEnvironment", "DeepSpeedPrecision",
    "DoublePrecision", "FSDPPrecision", "HalfPrecision", "LayerSync", "LightningEnvironment", "MixedPrecision", "Precision",
    "SLURMEnvironment", "TorchCheckpointIO", "TorchElasticEnvironment", "TorchSyncBatchNorm", "TransformerEnginePrecision",
    "XLACheckpointIO", "XLAPrecision",
]  # fmt: skip


class MixedPrecision(Precision):
    """Casts by operation.

    Args:
        precision: "bf16-mixed", or "16-mixed", which becomes it. device: "cpu". scaler: accepted.
    """

    def __init__(self, precision="bf16-mixed", device="cpu", scaler=None):
        super().__init__(precision)


class DoublePrecision(Precision):
    """Everything in float64."""

    def __init__(self):
        super().__init__("64-true")


class HalfPrecision(Precision):
    """Everything in a type of 16 bits.

    Args:
        precision: "bf16-true" or "16-true".
    """

    def __init__(self, precision="16-true"):
        super().__init__(precision)


class AsyncCheckpointIO(TorchCheckpointIO):
    """Accepted; checkpoints are written at once, so that none is lost.

    Args:
        checkpoint_io: another plugin, which then does it.
    """

    def __init__(self, checkpoint_io: CheckpointIO | None = None):
        if checkpoint_io is not None:
            self.save_checkpoint = checkpoint_io.save_checkpoint
            self.load_checkpoint = checkpoint_io.load_checkpoint
            self.remove_checkpoint = checkpoint_io.remove_checkpoint


class ClusterEnvironment:
    """Where the processes of a run are; there is one."""

    creates_processes_externally = False
    main_address, main_port = "127.0.0.1", 12910

    @staticmethod
    def detect() -> bool:
        """Whether the run is in such an environment."""
        return False

    def world_size(self) -> int:
        """How many processes: one."""
        return 1

    def global_rank(self) -> int:
        """Number of this process: the only one."""
        return 0

    local_rank = node_rank = global_rank

    def set_world_size(self, size: int) -> None:
        """Nothing."""

    def set_global_rank(self, rank: int) -> None:
        """Nothing."""

    def teardown(self) -> None:
        """Nothing."""


class LightningEnvironment(ClusterEnvironment):
    """Processes that the Trainer starts."""


class SLURMEnvironment(ClusterEnvironment):
    """Processes that SLURM starts; accepted.

    Args:
        auto_requeue, requeue_signal: accepted.
    """

    def __init__(self, auto_requeue: bool = True, requeue_signal=None):
        self.auto_requeue, self.requeue_signal = auto_requeue, requeue_signal


class TorchElasticEnvironment(ClusterEnvironment):
    """Processes that torchrun starts; accepted."""


class LayerSync:
    """How layers of several processes agree; there is one process, so they are as they are."""

    def apply(self, model):
        """The model."""
        return model

    revert = apply


class TorchSyncBatchNorm(LayerSync):
    """Batch normalization over all processes: over the only one."""


_CPU = "there is only the CPU. Use Trainer(precision='bf16-mixed'), '16-true' or '64-true'"
BitsandbytesPrecision = absent("BitsandbytesPrecision", _CPU, Precision)
DeepSpeedPrecision = absent("DeepSpeedPrecision", _CPU, Precision)
FSDPPrecision = absent("FSDPPrecision", _CPU, Precision)
TransformerEnginePrecision = absent("TransformerEnginePrecision", _CPU, Precision)
XLAPrecision = absent("XLAPrecision", _CPU, Precision)
XLACheckpointIO = absent("XLACheckpointIO", "use TorchCheckpointIO", CheckpointIO)

# Old names, and modules of Lightning: everything is in this one.
PrecisionPlugin, MixedPrecisionPlugin, DoublePrecisionPlugin, HalfPrecisionPlugin = (
    Precision, MixedPrecision, DoublePrecision, HalfPrecision,
)  # fmt: skip
amp = double = half = precision = io = environments = layer_sync = sys.modules[__name__]
checkpoint_plugin = torch_plugin = async_plugin = checkpoint_io = torch_io = sys.modules[__name__]
