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


class Stream:
    """A queue of work, for programs that choose a device's module: there is nothing that waits in it.

    Args:
        priority: accepted.
    """

    def __init__(self, priority: int = -1):
        pass

    def wait_stream(self, stream) -> None:
        """Let it wait for another queue: that is empty."""

    def record_event(self) -> None:
        """Mark where it is; nothing comes back."""

    def wait_event(self, event) -> None:
        """Let it wait for an event: that is past."""


class Event:
    """A mark in a queue of work, which is past."""

    def query(self) -> bool:
        """Whether what came before is done: True."""
        return True

    def record(self, stream=None) -> None:
        """Put it at the end of a queue: there is nothing in it."""

    def synchronize(self) -> None:
        """Wait for what came before: it is done."""

    def wait(self, stream=None) -> None:
        """Let a queue wait for what came before: it is done."""


_streams = [Stream()]


def current_stream(device=None) -> Stream:
    """The stream that `stream` chose last.

    Args:
        device: accepted.
    """
    return _streams[-1]


class StreamContext:
    """A context in which `stream` is the current one; None changes nothing."""

    def __init__(self, stream: Stream | None):
        self.stream = stream

    def __enter__(self) -> None:
        _streams.append(self.stream or current_stream())

    def __exit__(self, *exception) -> None:
        _streams.pop()


def stream(stream: Stream | None) -> StreamContext:
    """A context in which `stream` is the current one."""
    return StreamContext(stream)


def set_device(device) -> None:
    """Choose a CPU: there is one."""


def is_initialized() -> bool:
    """Whether the CPU has been set up: True."""
    return True


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
