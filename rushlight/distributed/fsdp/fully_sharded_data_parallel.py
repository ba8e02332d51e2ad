"""Models whose parameters lie in parts in several processes; there are none here, which programs can ask by `isinstance`."""

from enum import Enum, auto
from typing import NoReturn

from rushlight.distributed.device_mesh import _INSTEAD
from rushlight.distributed.fsdp.api import (
    BackwardPrefetch,
    CPUOffload,
    FullOptimStateDictConfig,
    FullStateDictConfig,
    MixedPrecision,
    ShardedOptimStateDictConfig,
    ShardedStateDictConfig,
    ShardingStrategy,
    StateDictType,
)
from rushlight.nn.module import Module

__all__ = [
    "BackwardPrefetch", "CPUOffload", "FSDPModule", "FullOptimStateDictConfig", "FullStateDictConfig",
    "FullyShardedDataParallel", "MixedPrecision", "OptimStateKeyType", "ShardedOptimStateDictConfig",
    "ShardedStateDictConfig", "ShardingStrategy", "StateDictType", "fully_shard", "register_fsdp_forward_method",
]  # fmt: skip


class OptimStateKeyType(Enum):
    """What the keys of an optimizer's state are."""

    PARAM_NAME = auto()
    PARAM_ID = auto()


class FullyShardedDataParallel(Module):
    """A model whose parameters lie in parts in several processes.

    Raises:
        NotImplementedError: always; use `DistributedDataParallel`.
    """

    def __init__(self, module: Module, *args, **kwargs):
        raise NotImplementedError(f"FullyShardedDataParallel: {_INSTEAD}")


class FSDPModule:
    """What `fully_shard` makes of a module.

    Raises:
        NotImplementedError: always; use `DistributedDataParallel`.
    """

    def __new__(cls, *args, **kwargs):
        raise NotImplementedError(f"FSDPModule: {_INSTEAD}")


def fully_shard(module: Module, **settings) -> NoReturn:
    """Raises NotImplementedError; use `DistributedDataParallel`."""
    raise NotImplementedError(f"fully_shard: {_INSTEAD}")


def register_fsdp_forward_method(module: Module, method_name: str) -> None:
    """Let a method of a divided module gather its parameters; no module is divided, so that nothing is to be done."""
