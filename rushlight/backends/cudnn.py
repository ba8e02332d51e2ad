"""Switches of cuDNN, which is not used: results are repeatable whatever they say."""

import contextlib
import sys

enabled = True
benchmark = False
benchmark_limit = 10
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Whether cuDNN can be used: False."""
    return False


def version() -> None:
    """The version of cuDNN: None, as there is none."""


@contextlib.contextmanager
def flags(enabled=False, benchmark=False, benchmark_limit=10, deterministic=False, allow_tf32=True, **_):
    """Set the switches for a block.

    >>> import rushlight as torch
    >>> with torch.backends.cudnn.flags(benchmark=True):
    ...     torch.backends.cudnn.benchmark
    True
    """
    module = sys.modules[__name__]
    wanted = {
        "enabled": enabled, "benchmark": benchmark, "benchmark_limit": benchmark_limit,
        "deterministic": deterministic, "allow_tf32": allow_tf32,
    }  # fmt: skip
    before = {name: getattr(module, name) for name in wanted}
    module.__dict__.update(wanted)
    try:
        yield
    finally:
        module.__dict__.update(before)
