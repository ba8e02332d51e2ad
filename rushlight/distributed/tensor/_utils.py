"""Sizes of the parts of tensors that lie in several processes; not supported."""

from rushlight.distributed.device_mesh import _INSTEAD

__all__ = ["compute_local_shape_and_global_offset"]


def compute_local_shape_and_global_offset(global_shape, mesh, placements):
    """Raises NotImplementedError; use `DistributedDataParallel`."""
    raise NotImplementedError(f"compute_local_shape_and_global_offset: {_INSTEAD}")
