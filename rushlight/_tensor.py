"""`torch._tensor`, where some packages import `Tensor` from."""

from rushlight._serialize.globals import _rebuild_from_type_v2  # noqa: F401  plain pickles of PyTorch's name it
from rushlight.tensor import Tensor

__all__ = ["Tensor"]
