"""What surrounds training: data loading, checkpointing."""

from rushlight.utils import checkpoint, data, dlpack
from rushlight.utils.swap import swap_tensors

__all__ = ["checkpoint", "data", "dlpack", "swap_tensors"]
