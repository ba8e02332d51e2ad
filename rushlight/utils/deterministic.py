"""What `torch.use_deterministic_algorithms` does with memory that nothing was written to."""

import sys
from types import ModuleType

from rushlight.config import _settings


class _Module(ModuleType):
    @property
    def fill_uninitialized_memory(self) -> bool:
        """Whether `torch.empty` and its like are filled (with NaN, or the largest integer) in that mode."""
        return _settings["fill_uninitialized_memory"]

    @fill_uninitialized_memory.setter
    def fill_uninitialized_memory(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise RuntimeError(f"expected a bool, but got {type(mode).__name__}")
        _settings["fill_uninitialized_memory"] = mode


sys.modules[__name__].__class__ = _Module
