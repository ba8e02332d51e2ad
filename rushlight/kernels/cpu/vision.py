"""Suppression of boxes, pooling of regions and deformable convolutions by `csrc/vision.cpp` and `csrc/deform.cpp`."""

from rushlight.kernels.cpu.dnn import _native_first
from rushlight.kernels.reference import vision as _reference

nms = _native_first("nms", _reference)
roi_mean = _native_first("roi_mean", _reference)
roi_mean_backward = _native_first("roi_mean_backward", _reference)
roi_max = _native_first("roi_max", _reference)
deform_columns = _native_first("deform_columns", _reference)
deform_columns_backward = _native_first("deform_columns_backward", _reference)

__all__ = list(_reference.__all__)
