"""Tensors whose parts lie in several processes; there are none here, which programs can ask by `isinstance`."""

from rushlight.distributed.device_mesh import _INSTEAD, DeviceMesh, init_device_mesh, refused
from rushlight.distributed.tensor.placement_types import Partial, Placement, Replicate, Shard

__all__ = [
    "DTensor", "DeviceMesh", "Partial", "Placement", "Replicate", "Shard", "distribute_module", "distribute_tensor",
    "empty", "full", "init_device_mesh", "ones", "rand", "randn", "zeros",
]  # fmt: skip

empty, full, ones, rand, randn, zeros = map(refused, ("empty", "full", "ones", "rand", "randn", "zeros"))


class DTensor:
    """A tensor whose parts lie in several processes.

    Raises:
        NotImplementedError: always; use `DistributedDataParallel`.
    """

    def __init__(self, *args, **kwargs):
        raise NotImplementedError(f"DTensor: {_INSTEAD}")

    from_local = classmethod(lambda cls, *args, **kwargs: cls())


def distribute_tensor(tensor, device_mesh=None, placements=None, *, src_data_rank=0):
    """Raises NotImplementedError; use `DistributedDataParallel`."""
    raise NotImplementedError(f"distribute_tensor: {_INSTEAD}")


def distribute_module(module, device_mesh=None, partition_fn=None, input_fn=None, output_fn=None):
    """Raises NotImplementedError; use `DistributedDataParallel`."""
    raise NotImplementedError(f"distribute_module: {_INSTEAD}")
