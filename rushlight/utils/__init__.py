"""What surrounds training: data loading, checkpointing."""

from rushlight.utils import checkpoint, data, deterministic, dlpack, hooks
from rushlight.utils.swap import swap_tensors

__all__ = ["checkpoint", "data", "deterministic", "dlpack", "hooks", "swap_tensors"]
