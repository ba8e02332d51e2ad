"""Attention of float32 and float64 heads by `csrc/attention.cpp`; of others by the reference."""

from rushlight.kernels.cpu.dnn import _native_first
from rushlight.kernels.reference import attention as _reference

attention = _native_first("attention", _reference)
attention_backward = _native_first("attention_backward", _reference)

__all__ = list(_reference.__all__)
