"""Linear algebra: `torch.linalg`."""

from rushlight.ops.contraction import linalg_cross as cross
from rushlight.ops.contraction import multi_dot
from rushlight.ops.decompositions import (
    cholesky_ex,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    svdvals,
)
from rushlight.ops.decompositions import linalg_cholesky as cholesky
from rushlight.ops.decompositions import linalg_qr as qr
from rushlight.ops.decompositions import linalg_svd as svd
from rushlight.ops.distance import linalg_norm as norm
from rushlight.ops.distance import matrix_norm, vecdot, vector_norm
from rushlight.ops.least_squares import cond, lstsq, matrix_rank, pinv
from rushlight.ops.linalg import matmul
from rushlight.ops.lu import ldl_factor, ldl_factor_ex, ldl_solve, lu_factor, lu_factor_ex
from rushlight.ops.lu import linalg_lu as lu
from rushlight.ops.lu import linalg_lu_solve as lu_solve
from rushlight.ops.matrices import LinAlgError
from rushlight.ops.matrix_functions import householder_product, vander
from rushlight.ops.matrix_functions import linalg_diagonal as diagonal
from rushlight.ops.matrix_functions import linalg_matrix_exp as matrix_exp
from rushlight.ops.matrix_functions import linalg_matrix_power as matrix_power
from rushlight.ops.solve import inv, inv_ex, solve_ex, tensorinv, tensorsolve
from rushlight.ops.solve import linalg_det as det
from rushlight.ops.solve import linalg_slogdet as slogdet
from rushlight.ops.solve import linalg_solve as solve
from rushlight.ops.triangular import linalg_solve_triangular as solve_triangular

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh",
    "householder_product", "inv", "inv_ex", "ldl_factor", "ldl_factor_ex", "ldl_solve", "lstsq", "lu", "lu_factor",
    "lu_factor_ex", "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot",
    "norm", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv",
    "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip
