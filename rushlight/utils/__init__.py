"""What surrounds training: data loading, checkpointing."""

from rushlight.utils import checkpoint, data, dlpack

__all__ = ["checkpoint", "data", "dlpack"]
