"""Running sums and products, and elements at positions along one axis: `csrc/scan.cpp`, `gather.cpp`, `topk.cpp`."""

from rushlight.kernels.cpu.dnn import _native_first
from rushlight.kernels.reference import positions as _reference

gather = _native_first("gather", _reference)
scan = _native_first("scan", _reference)
scatter_add = _native_first("scatter_add", _reference)
topk = _native_first("topk", _reference)

__all__ = list(_reference.__all__)
