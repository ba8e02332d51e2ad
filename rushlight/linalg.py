"""Linear algebra: `torch.linalg`."""

from rushlight.ops.contraction import linalg_cross as cross
from rushlight.ops.contraction import multi_dot
from rushlight.ops.distance import linalg_norm as norm
from rushlight.ops.distance import matrix_norm, vecdot, vector_norm
from rushlight.ops.linalg import matmul

__all__ = ["cross", "matmul", "matrix_norm", "multi_dot", "norm", "vecdot", "vector_norm"]
