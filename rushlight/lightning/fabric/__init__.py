"""Fabric: Lightning's way to write the training loop oneself; here it is one process on the CPU."""

from rushlight.lightning import accelerators, plugins, strategies, utilities
from rushlight.lightning.utilities.seed import seed_everything

from rushlight.lightning.fabric import loggers, wrappers  # isort: skip
from rushlight.lightning.fabric.fabric import Fabric  # isort: skip
from rushlight.lightning.fabric.wrappers import is_wrapped  # isort: skip

__all__ = [
    "Fabric", "accelerators", "is_wrapped", "loggers", "plugins", "seed_everything", "strategies", "utilities", "wrappers",
]  # fmt: skip
