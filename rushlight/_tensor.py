"""`torch._tensor`, where some packages import `Tensor` from."""

from rushlight.tensor import Tensor

__all__ = ["Tensor"]
