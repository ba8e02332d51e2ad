"""`torch.Stream` and `torch.Event`: queues of work. The CPU finishes each operation at once, so that nothing waits."""

from typing import NoReturn

from rushlight.devices import cpu
from rushlight.devices import device as Device

__all__ = ["Event", "Stream"]


def _check(device) -> None:
    if device is not None and Device(device).type != "cpu":
        raise RuntimeError(
            f"expected device='cpu', got {str(device)!r}: Rushlight is not linked with support for other devices"
        )


def _no_events() -> NoReturn:
    raise RuntimeError("cpu backend doesn't support events. Its operations are complete when they return")


class Event:
    """A mark in a queue of work.

    Args:
        device: the CPU; an accelerator by default in PyTorch, and the CPU where there is none.
        enable_timing: whether it measures time; no event of the CPU does.
        blocking: accepted.
        interprocess: accepted.

    >>> import rushlight as torch
    >>> torch.Event().query()
    True
    """

    event_id = 0

    def __init__(
        self, device=None, *, enable_timing: bool = False, blocking: bool = False, interprocess=False
    ):
        _check(device)
        self.device = cpu
        self._flag = int(enable_timing)

    def query(self) -> bool:
        """Whether what came before is done: True."""
        return True

    def synchronize(self) -> None:
        """Wait for what came before: it is done."""

    def wait(self, stream=None) -> None:
        """Let a queue wait for what came before: it is done."""

    def record(self, stream=None) -> NoReturn:
        """Raises RuntimeError, as in PyTorch on the CPU."""
        _no_events()

    def elapsed_time(self, other: "Event") -> NoReturn:
        """Raises ValueError, as in PyTorch on the CPU, whose events hold no time; use `time.perf_counter`."""
        raise ValueError("Both events must be created with argument 'enable_timing=True'.")

    def __repr__(self) -> str:
        return f"torch.Event device_type=cpu, device_index=-1, event_flag={self._flag}, event_id=0"


class Stream:
    """A queue of work, also as a context; there is one, which is always empty.

    Args:
        device: the CPU; an accelerator by default in PyTorch, and the CPU where there is none.
        priority: accepted.

    >>> import rushlight as torch
    >>> with torch.Stream() as stream:
    ...     stream.query()
    True
    """

    device_index = -1
    device_type = 0
    stream_id = 0

    def __init__(self, device=None, *, priority: int = 0):
        _check(device)
        self.device = cpu

    def query(self) -> bool:
        """Whether its work is done: True."""
        return True

    def is_capturing(self) -> bool:
        """Whether its work is being recorded as a graph: False."""
        return False

    def synchronize(self) -> None:
        """Wait for its work: it is done."""

    def wait_event(self, event: Event) -> None:
        """Let it wait for an event: that is past."""

    def record_event(self, event: Event | None = None) -> NoReturn:
        """Raises RuntimeError, as in PyTorch on the CPU."""
        _no_events()

    def wait_stream(self, stream: "Stream") -> NoReturn:
        """Raises RuntimeError, as in PyTorch on the CPU."""
        _no_events()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *exception) -> None:
        pass

    def __eq__(self, other) -> bool:
        return isinstance(other, Stream)

    def __hash__(self) -> int:
        return hash(Stream)

    def __repr__(self) -> str:
        return "torch.Stream device_type=cpu, device_index=-1, stream_id=0"
