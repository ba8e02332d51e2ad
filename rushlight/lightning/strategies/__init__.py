"""Strategies under Lightning's names: there is one process, whatever its strategy is called."""

import sys

import rushlight as torch
from rushlight.lightning.accelerators import CPUAccelerator
from rushlight.lightning.utilities.absent import absent
from rushlight.lightning.utilities.memory import move_data_to_device

__all__ = [
    "DDPStrategy", "DataParallelStrategy", "DeepSpeedStrategy", "FSDPStrategy", "ModelParallelStrategy", "ParallelStrategy",
    "SingleDeviceStrategy", "SingleDeviceXLAStrategy", "Strategy", "XLAStrategy", "strategy_of",
]  # fmt: skip


class Strategy:
    """How processes work together; there is one, so that what they would exchange stays as it is.

    >>> from rushlight.lightning.strategies import SingleDeviceStrategy
    >>> strategy = SingleDeviceStrategy()
    >>> strategy.broadcast("folder"), strategy.reduce_boolean_decision(False)
    ('folder', False)
    """

    strategy_name = "single_device"
    is_global_zero = True
    global_rank = local_rank = node_rank = 0
    world_size = num_processes = num_nodes = 1
    launcher = None
    trainer = None  # the Trainer whose strategy it is

    root_device = property(lambda self: torch.device("cpu"), doc="The CPU.")
    accelerator = property(lambda self: CPUAccelerator(), doc="The CPU.")
    model = lightning_module = property(
        lambda self: self.trainer and self.trainer.lightning_module, doc="The model of the run."
    )
    optimizers = property(
        lambda self: self.trainer.optimizers if self.trainer else [], doc="Those of the run."
    )
    precision_plugin = property(
        lambda self: self.trainer and self.trainer.precision_plugin, doc="How precisely the run computes."
    )

    def broadcast(self, obj, src: int = 0):
        """The object of the main process."""
        return obj

    def barrier(self, name: str | None = None) -> None:
        """Wait for nobody."""

    def reduce(self, tensor, group=None, reduce_op="mean"):
        """The mean over all processes: the value itself."""
        return tensor

    all_reduce = reduce

    def all_gather(self, tensor, group=None, sync_grads: bool = False):
        """The tensors of all processes: the tensor itself."""
        return tensor

    def reduce_boolean_decision(self, decision: bool, all: bool = True) -> bool:
        """Whether all processes, or one of them, say so."""
        return decision

    def batch_to_device(self, batch, device=None, dataloader_idx: int = 0):
        """The batch on the CPU."""
        return move_data_to_device(batch, device or self.root_device)


class SingleDeviceStrategy(Strategy):
    """One process on one device.

    Args:
        device: "cpu". accelerator, checkpoint_io, precision_plugin: accepted.
    Raises:
        NotImplementedError: another device.
    """

    def __init__(self, device="cpu", accelerator=None, checkpoint_io=None, precision_plugin=None):
        if torch.device(device).type != "cpu":
            raise NotImplementedError(
                f"SingleDeviceStrategy(device={device!r}): there is only the CPU, use device='cpu'"
            )


class ParallelStrategy(Strategy):
    """Base of strategies for several processes.

    Args:
        **kwargs: accepted; they are about the exchange between processes.
    """

    def __init__(self, **kwargs):
        self._ddp_kwargs = kwargs
        self.parallel_devices = [self.root_device]

    distributed_sampler_kwargs = property(
        lambda self: {"num_replicas": 1, "rank": 0}, doc="Arguments of a DistributedSampler."
    )


class DDPStrategy(ParallelStrategy):
    """Several processes with a copy of the model each; one process of them, here.

    Args:
        **kwargs: those of Lightning and of DistributedDataParallel, accepted.
    """

    strategy_name = "ddp"


class DataParallelStrategy(ParallelStrategy):
    """Several devices in one process; one of them, here."""

    strategy_name = "dp"


_ONE = "there is one process with one copy of the model. Use strategy='auto'"
FSDPStrategy = absent("FSDPStrategy", _ONE, ParallelStrategy)
DeepSpeedStrategy = absent("DeepSpeedStrategy", _ONE, ParallelStrategy)
ModelParallelStrategy = absent("ModelParallelStrategy", _ONE, ParallelStrategy)
XLAStrategy = absent("XLAStrategy", _ONE, ParallelStrategy)
XLAFSDPStrategy = absent("XLAFSDPStrategy", _ONE, ParallelStrategy)
SingleDeviceXLAStrategy = absent("SingleDeviceXLAStrategy", _ONE, Strategy)
SingleTPUStrategy = SingleDeviceXLAStrategy


def strategy_of(asked) -> Strategy:
    """The strategy that was asked for: an object as it is, a name as an object."""
    if isinstance(asked, Strategy):
        return asked
    name = str(asked or "auto")
    if name.startswith("ddp"):
        return DDPStrategy()
    return DataParallelStrategy() if name == "dp" else SingleDeviceStrategy()


# Modules of Lightning: everything is in this one.
ddp = deepspeed = dp = fsdp = model_parallel = parallel = single_device = single_xla = strategy = xla = (
    xla_fsdp
) = sys.modules[__name__]
