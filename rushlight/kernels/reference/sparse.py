"""Products with sparse matrices, in plain NumPy."""

import numpy as np


def csr_matmul(crow, col, values, x):
    """A matrix in compressed rows times a dense one.

    Args:
        crow: (n + 1,), int64: where the entries of each row begin.
        col: (nnz,), int64: the column of each entry.
        values: (nnz,), the entries.
        x: (m, k).
    Returns:
        (n, k).
    """
    y = np.zeros((len(crow) - 1, x.shape[1]), x.dtype)
    filled = np.flatnonzero(np.diff(crow))
    if len(filled):
        y[filled] = np.add.reduceat(values[:, None] * x[col], crow[filled], axis=0)
    return y


def sampled_matmul(row, col, x, y):
    """The entries of x @ y.T at the given places.

    Args:
        row, col: (nnz,), int64.
        x: (n, k).
        y: (m, k).
    Returns:
        (nnz,).
    """
    return (x[row] * y[col]).sum(1, dtype=x.dtype)


__all__ = ["csr_matmul", "sampled_matmul"]
