"""The profiler under its older name and arguments."""

from rushlight.profiler import EventList, FunctionEvent, FunctionEventAvg, record_function
from rushlight.profiler import profile as _profile

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "profile", "record_function"]


class profile(_profile):
    """Record a block; see `torch.profiler.profile`.

    Args:
        enabled: whether to record at all.
        record_shapes, profile_memory, with_stack, with_flops, with_modules: as there.
        use_cuda, use_device, use_kineto: accepted, without effect.

    >>> import rushlight as torch
    >>> with torch.autograd.profiler.profile() as prof:
    ...     y = torch.ones(2).exp()
    >>> "aten::exp" in str(prof)
    True
    """

    def __init__(
        self, enabled: bool = True, *, record_shapes: bool = False, profile_memory: bool = False, **_
    ):
        super().__init__(record_shapes=record_shapes, profile_memory=profile_memory)
        self.enabled = enabled

    def start(self) -> None:
        """Begin, as the block does."""
        if self.enabled:
            super().start()
