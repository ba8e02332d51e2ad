"""What surrounds training: data loading, checkpointing."""

from rushlight.utils import checkpoint, data, dlpack, hooks
from rushlight.utils.swap import swap_tensors

__all__ = ["checkpoint", "data", "dlpack", "hooks", "swap_tensors"]
