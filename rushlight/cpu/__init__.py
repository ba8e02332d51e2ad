"""The CPU as a device, and the memory that arrays take on it."""

from rushlight import kernels as K
from rushlight.cpu import amp as amp

if K.NAME == "native":
    from rushlight import _native


def is_available() -> bool:
    """Whether the CPU can be used: True."""
    return True


def device_count() -> int:
    """The number of CPU devices: 1."""
    return 1


def current_device() -> str:
    """The current CPU device: "cpu"."""
    return "cpu"


def synchronize(device=None) -> None:
    """Wait for the CPU; every operation is finished when it returns, so that there is nothing to wait for."""


def memory_stats() -> dict[str, int]:
    """The memory pool's counters: bytes in use, their peak, bytes kept for reuse, and numbers of requests.

    Returns:
        An empty dictionary under the reference kernels, which have no pool.

    >>> import rushlight as torch
    >>> x = torch.zeros(1000)
    >>> torch.cpu.memory_stats().get("current_bytes", 4000) >= 4000
    True
    """
    return dict(_native.pool_stats()) if K.NAME == "native" else {}


def memory_allocated() -> int:
    """Bytes that live arrays take."""
    return memory_stats().get("current_bytes", 0)


def max_memory_allocated() -> int:
    """The most bytes that arrays took at one time since the start or `reset_peak_memory_stats`."""
    return memory_stats().get("peak_bytes", 0)


def reset_peak_memory_stats() -> None:
    """Start counting the peak anew."""
    if K.NAME == "native":
        _native.pool_reset_peak()


def empty_cache() -> None:
    """Give memory that is kept for reuse back to the system."""
    if K.NAME == "native":
        _native.pool_release()
