"""Whether autocast is on, in this thread and for a kind of device, and to which type it casts."""

import warnings

from rushlight.amp import switch
from rushlight.amp.switch import STATE
from rushlight.devices import device
from rushlight.dtypes import dtype

DEVICES = ("cpu", "cuda", "xpu", "ipu", "hpu", "mps", "mtia", "maia", "xla", "privateuseone")


def is_autocast_available(device_type: str) -> bool:
    """Whether there is autocast for a kind of device.

    >>> import rushlight as torch
    >>> torch.amp.is_autocast_available("cpu")
    True
    """
    return device(device_type).type in DEVICES


def _check_device(device_type: str) -> str:
    if not is_autocast_available(device_type):
        raise RuntimeError(
            f"there is no autocast for device type {device_type!r}: expected one of {', '.join(DEVICES)}"
        )
    return device_type


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on in this thread for a kind of device.

    >>> import rushlight as torch
    >>> with torch.autocast("cpu"):
    ...     torch.is_autocast_enabled("cpu")
    True
    """
    return STATE.enabled.get(_check_device(device_type), False)


def set_autocast_enabled(device_type, enabled: bool | None = None) -> None:
    """Switch autocast on or off in this thread: (device_type, enabled), or (enabled) for CUDA."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    was = is_autocast_enabled(device_type)
    STATE.enabled[device_type] = bool(enabled)
    if device_type == "cpu" and bool(enabled) != was:
        (switch.arm if enabled else switch.disarm)()


def get_autocast_dtype(device_type: str) -> dtype:
    """The type that autocast casts to: bfloat16 on the CPU, float16 elsewhere, unless it was set.

    >>> import rushlight as torch
    >>> torch.get_autocast_dtype("cpu")
    torch.bfloat16
    """
    return STATE.dtype(_check_device(device_type))


def set_autocast_dtype(device_type: str, dtype: dtype) -> None:
    """Set the type that autocast casts to."""
    STATE.dtypes[_check_device(device_type)] = dtype


def is_autocast_cache_enabled() -> bool:
    """Whether parameters are cast once for all uses in an autocast region."""
    return STATE.cache_enabled


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Set whether parameters are cast once for all uses in an autocast region."""
    STATE.cache_enabled = bool(enabled)


def clear_autocast_cache() -> None:
    """Forget the parameters that have been cast."""
    STATE.cache.clear()


def autocast_increment_nesting() -> int:
    """Count one more autocast region; returns how many there are."""
    STATE.nesting += 1
    return STATE.nesting


def autocast_decrement_nesting() -> int:
    """Count one autocast region less; returns how many there are."""
    STATE.nesting -= 1
    return STATE.nesting


def _of_old(name: str, device_type: str, function, instead: str):
    """A function of one kind of device, as they were before PyTorch 2.4."""

    def old(*args):
        warnings.warn(
            f"torch.{name}() is deprecated. Please use torch.{instead} instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        return function(device_type, *args)

    old.__name__ = old.__qualname__ = name
    old.__doc__ = f"`{instead}`, under its name of before PyTorch 2.4."
    return old


is_autocast_cpu_enabled = _of_old(
    "is_autocast_cpu_enabled", "cpu", is_autocast_enabled, "is_autocast_enabled('cpu')"
)
set_autocast_cpu_enabled = _of_old(
    "set_autocast_cpu_enabled", "cpu", set_autocast_enabled, "set_autocast_enabled('cpu', enabled)"
)
get_autocast_cpu_dtype = _of_old(
    "get_autocast_cpu_dtype", "cpu", get_autocast_dtype, "get_autocast_dtype('cpu')"
)
set_autocast_cpu_dtype = _of_old(
    "set_autocast_cpu_dtype", "cpu", set_autocast_dtype, "set_autocast_dtype('cpu', dtype)"
)
get_autocast_gpu_dtype = _of_old(
    "get_autocast_gpu_dtype", "cuda", get_autocast_dtype, "get_autocast_dtype('cuda')"
)
set_autocast_gpu_dtype = _of_old(
    "set_autocast_gpu_dtype", "cuda", set_autocast_dtype, "set_autocast_dtype('cuda', dtype)"
)
