"""Connectionist temporal classification of float32 and float64 by `csrc/ctc.cpp`; of others by the reference."""

from rushlight.kernels.cpu.dnn import _native_first
from rushlight.kernels.reference import ctc as _reference

ctc_loss = _native_first("ctc_loss", _reference)
ctc_loss_backward = _native_first("ctc_loss_backward", _reference)

__all__ = list(_reference.__all__)
