"""Products with sparse matrices: loops over compressed rows, vectorised and in threads, where the types are floats."""

from rushlight.kernels.cpu.dnn import _native_first
from rushlight.kernels.reference import sparse as _reference

csr_matmul = _native_first("csr_matmul", _reference)
sampled_matmul = _native_first("sampled_matmul", _reference)

__all__ = list(_reference.__all__)
