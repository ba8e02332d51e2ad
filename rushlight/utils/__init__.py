"""What surrounds training: data loading, checkpointing."""

from rushlight.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
