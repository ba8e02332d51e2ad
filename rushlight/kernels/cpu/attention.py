"""Attention; native in `csrc/attention.cpp` for float32, else the reference."""

from rushlight.kernels.reference.attention import __all__, attention, attention_backward  # noqa: F401
