"""Python's `multiprocessing`, whose queues, pipes and processes share the memory of tensors instead of copying it."""

import multiprocessing
import sys
from multiprocessing import *  # noqa: F403

from rushlight.multiprocessing import reductions, shared
from rushlight.multiprocessing.spawn import (
    ENV_VAR_PARALLEL_START,
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

_strategies = {"file_descriptor", "file_system"} if sys.platform == "linux" else {"file_system"}
_strategy = "file_descriptor" if sys.platform == "linux" else "file_system"


def set_sharing_strategy(new_strategy: str) -> None:
    """Choose how tensors are shared.

    Either way their memory has no name in the file system, so there is nothing that could be left behind, and small
    tensors together use one descriptor.

    Args:
        new_strategy: one of `get_all_sharing_strategies()`.
    """
    global _strategy
    if new_strategy not in _strategies:
        raise AssertionError(
            f"invalid sharing strategy {new_strategy!r}, expected one of {sorted(_strategies)}"
        )
    _strategy = new_strategy


def get_sharing_strategy() -> str:
    """The strategy that was chosen."""
    return _strategy


def get_all_sharing_strategies() -> set[str]:
    """The names of the strategies."""
    return _strategies


reductions.init_reductions()

__all__ = [
    *multiprocessing.__all__,
    "ENV_VAR_PARALLEL_START", "ProcessContext", "ProcessExitedException", "ProcessRaisedException",
    "SpawnContext", "get_all_sharing_strategies", "get_sharing_strategy", "reductions", "set_sharing_strategy",
    "shared", "spawn", "start_processes",
]  # fmt: skip
