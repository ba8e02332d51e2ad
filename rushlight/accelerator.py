"""The accelerator of this machine: Rushlight runs on the CPU, so there is none, and it says so."""

from typing import NoReturn


def is_available() -> bool:
    """Whether there is an accelerator: False.

    >>> import rushlight as torch
    >>> torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    'cpu'
    """
    return False


def device_count() -> int:
    """The number of accelerator devices: 0."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """The accelerator's device: None, as there is none."""


def _absent(name: str, doc: str):
    def function(*args, **kwargs) -> NoReturn:
        raise RuntimeError(
            f"{name}: Cannot access accelerator device when none is available. "
            "Ask torch.accelerator.is_available() first; Rushlight runs on the CPU."
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}: raises RuntimeError, as there is no accelerator."
    return function


current_device_index = _absent("current_device_index", "The number of the current device")
current_device_idx = current_device_index
set_device_index = _absent("set_device_index", "Choose a device")
set_device_idx = set_device_index
device_index = _absent("device_index", "Choose a device for a block")
current_stream = _absent("current_stream", "The current stream")
set_stream = _absent("set_stream", "Choose a stream")
synchronize = _absent("synchronize", "Wait for the device")
empty_cache = _absent("empty_cache", "Give unused memory back")
memory_stats = _absent("memory_stats", "The device's memory in figures")
memory_allocated = _absent("memory_allocated", "The device's memory in use, in bytes")
max_memory_allocated = _absent("max_memory_allocated", "The most memory in use so far, in bytes")
memory_reserved = _absent("memory_reserved", "The device's memory held, in bytes")
max_memory_reserved = _absent("max_memory_reserved", "The most memory held so far, in bytes")
reset_peak_memory_stats = _absent("reset_peak_memory_stats", "Count the most memory anew")
get_memory_info = _absent("get_memory_info", "The device's free and total memory")
