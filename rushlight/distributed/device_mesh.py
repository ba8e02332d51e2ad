"""Meshes of devices, which models too large for one device are laid out on; not supported."""

__all__ = ["DeviceMesh", "init_device_mesh"]

_INSTEAD = "not supported: every process holds the whole model. Use torch.nn.parallel.DistributedDataParallel"


class DeviceMesh:
    """Processes as an array.

    Raises:
        NotImplementedError: always; use `DistributedDataParallel`.
    """

    def __init__(self, *args, **kwargs):
        raise NotImplementedError(f"DeviceMesh: {_INSTEAD}")


def init_device_mesh(device_type: str, mesh_shape: tuple, *, mesh_dim_names=None, backend_override=None):
    """Raises NotImplementedError; use `DistributedDataParallel`."""
    raise NotImplementedError(f"init_device_mesh: {_INSTEAD}")
