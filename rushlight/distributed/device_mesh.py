"""Meshes of devices, which models too large for one device are laid out on; not supported."""

__all__ = ["DeviceMesh", "init_device_mesh"]

_INSTEAD = "not supported: every process holds the whole model. Use torch.nn.parallel.DistributedDataParallel"


def refused(name: str):
    """A function of this name, for programs that only import it; who calls it learns what to use instead."""

    def function(*args, **kwargs):
        raise NotImplementedError(f"{name}: {_INSTEAD}")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Raises NotImplementedError; use `DistributedDataParallel`."
    return function


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
