"""Products of sparse matrices.

With A sparse, of values v at places (r, c): the gradient of v in y = A @ x is the entries of grad @ x.T at (r, c), and
that of x is A.T @ grad. Both are again products of these two kinds, so higher derivatives need no more.
"""

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.ops.common import Tensor, check_tensor, conj, record, recording, wrap
from rushlight.ops.linalg import matmul as dense_matmul
from rushlight.ops.linalg import types_differ
from rushlight.ops.sparse import _added, build, coalesce, sparse_op, values_of
from rushlight.ops.sparse_shape import ranges
from rushlight.sparse_tensor import Pattern, SparseTensor


class _ProductNode(Node):
    """A @ x for A with these values."""

    def backward(self, grad):
        values, x = self.unpack()
        to_values, to_x = self.edges
        return (
            None if to_values is None else sampled(self.pattern, grad, conj(x)),
            None if to_x is None else product(conj(values), self.pattern.transposed, grad),
        )


class MmBackward0(_ProductNode):
    pass


class SparseAddmmBackward0(_ProductNode):
    pass


class SampledBackward0(Node):
    """The entries of x @ y.T at given places."""

    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        return (
            None if to_x is None else product(grad, self.pattern, conj(y)),
            None if to_y is None else product(grad, self.pattern.transposed, conj(x)),
        )


def product(values: Tensor, pattern: Pattern, x: Tensor, node: type[Node] = MmBackward0) -> Tensor:
    """The dense product A @ x.

    Args:
        values: (nnz,), those of A.
        pattern: their places, in an (n, m) matrix.
        x: (m, k).
        node: the gradient function to record.
    """
    crow, col, order = pattern.rows
    data = values._array if order is None else values._array[order]
    array = K.csr_matmul(crow, col, np.ascontiguousarray(data), x._array)
    if recording(values, x):
        return record(array, node, (values, x), values, x, pattern=pattern)
    return wrap(array)


def sampled(pattern: Pattern, x: Tensor, y: Tensor) -> Tensor:
    """The entries of x @ y.T at the places of a pattern: (nnz,)."""
    array = K.sampled_matmul(*pattern.indices, x._array, y._array)
    if recording(x, y):
        return record(array, SampledBackward0, (x, y), x, y, pattern=pattern)
    return wrap(array)


def _check(x: Tensor, y: Tensor) -> None:
    for name, m in (("mat1", x), ("mat2", y)):
        if m.ndim != 2:
            raise RuntimeError(
                f"mm: expected {name} to be a matrix, got {m.ndim}-D tensor of shape {list(m.shape)}"
            )
        if isinstance(m, SparseTensor) and m.dense_dim():
            raise RuntimeError(f"mm: expected {name} to have no dense dimensions, got {m.dense_dim()}")
    if x.shape[1] != y.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({x.shape[0]}x{x.shape[1]} and {y.shape[0]}x{y.shape[1]})"
        )
    if x.dtype is not y.dtype:
        raise types_differ(x, y)


@sparse_op("mm", "spmm")
def mm(input, mat2, *, out=None):
    """The product of two matrices of which one or both are sparse: dense, and sparse only where both are."""
    return _mm(input, mat2, MmBackward0)


def _mm(x: Tensor, y: Tensor, node: type[Node]) -> Tensor:
    check_tensor("mm", x)
    check_tensor("mm", y, "mat2", 2)
    _check(x, y)
    if not isinstance(x, SparseTensor) and not isinstance(y, SparseTensor):
        return dense_matmul(x, y)
    if not isinstance(x, SparseTensor):
        return product(values_of(y), y._pattern.transposed, x.t(), node).t()
    if isinstance(y, SparseTensor):
        return _sparse_mm(x, y)
    return product(values_of(x), x._pattern, y, node)


def _sparse_mm(x: SparseTensor, y: SparseTensor) -> SparseTensor:
    """The sparse product of two sparse matrices: each entry (i, j) of x meets row j of y."""
    x, y = coalesce(x), coalesce(y)
    p, q = x._pattern, y._pattern
    crow, _, _ = q.rows
    left = p.indices[1]
    lengths = crow[left + 1] - crow[left]
    i, j = np.repeat(np.arange(p.nnz), lengths), ranges(crow[left], lengths)
    places = Pattern(np.stack([p.indices[0][i], q.indices[1][j]]), (p.size[0], q.size[1]), False)
    merged, group = places.unique
    terms = values_of(x).index_select(0, wrap(i)) * values_of(y).index_select(0, wrap(j))
    return build(_added(terms, group, merged.nnz), merged, "SparseSparseMatmulBackward0")


@sparse_op("mv")
def mv(input, vec, *, out=None):
    """The product of a sparse matrix with a vector."""
    if vec.ndim != 1:
        raise RuntimeError(
            f"mv: two tensor dim should be 2 and 1, but got SparseTensor Dim: 2 Tensor Dim: {vec.ndim}"
        )
    if input.shape[1] != vec.shape[0]:
        raise RuntimeError(
            f"mv: expected self.size(-1) == vec.size(-1), got {input.shape[1]} and {vec.shape[0]}"
        )
    return mm(input, vec.unsqueeze(1)).squeeze(1)


@sparse_op("matmul")
def matmul(input, other, *, out=None):
    """The product of two matrices, or of a matrix with a vector or a stack of matrices; one or both are sparse."""
    check_tensor("matmul", input)
    check_tensor("matmul", other, "other", 2)
    if other.ndim == 1:
        return mv(input, other)
    if input.ndim == 1:
        return mv(other.t(), input)
    if input.ndim > 2 and other.ndim == 2 and not isinstance(input, SparseTensor):
        rows = mm(input.reshape(-1, input.shape[-1]), other)
        return rows.reshape((*input.shape[:-1], other.shape[1]))
    if input.ndim == 3:
        return bmm(input, other)
    return mm(input, other)


SparseTensor.__matmul__ = matmul
SparseTensor.__rmatmul__ = lambda self, other: matmul(other, self)


@sparse_op("bmm")
def bmm(input, mat2, *, out=None):
    """The products of a stack of sparse matrices with a stack of dense ones, as one product of a block matrix."""
    if not isinstance(input, SparseTensor):
        raise NotImplementedError("bmm: the first operand must be the sparse one; use mat2.to_dense()")
    if isinstance(mat2, SparseTensor):
        raise RuntimeError("bmm_sparse: Tensor 'mat2' must be dense")
    if (
        input.ndim != 3
        or mat2.ndim != 3
        or input.shape[0] != mat2.shape[0]
        or input.shape[2] != mat2.shape[1]
    ):
        raise RuntimeError(
            f"bmm_sparse: expected shapes (b, n, m) and (b, m, p), got {list(input.shape)} and {list(mat2.shape)}"
        )
    if input.dtype is not mat2.dtype:
        raise types_differ(input, mat2)
    (count, rows, columns), pattern = input.shape, input._pattern
    batch, row, col = pattern.indices
    blocks = pattern.with_indices(
        np.stack([batch * rows + row, batch * columns + col]), (count * rows, count * columns)
    )
    flat = product(values_of(input), blocks, mat2.reshape(count * columns, mat2.shape[2]))
    return flat.reshape(count, rows, mat2.shape[2])


@sparse_op("addmm")
def addmm(input, mat1, mat2, *, beta=1, alpha=1, out=None):
    """beta * input + alpha * (mat1 @ mat2), with one matrix of the product sparse."""
    return _addmm(input, mat1, mat2, beta, alpha, MmBackward0)


def _addmm(input, x, y, beta, alpha, node) -> Tensor:
    found = _mm(x, y, node)
    found = found if alpha == 1 else found * alpha
    if isinstance(found, SparseTensor) and not isinstance(input, SparseTensor):
        found = found.to_dense()
    return (input if beta == 1 else input * beta) + found


@sparse_op("linear")
def linear(input, weight, bias=None):
    """input @ weight.T + bias, for a sparse input or weight."""
    found = matmul(input, weight.t())
    if isinstance(found, SparseTensor):
        found = found.to_dense()
    return found if bias is None else found + bias


def sparse_mm(mat1, mat2, reduce=None):
    """The product of a sparse matrix with a dense or sparse one.

    Args:
        mat1: a sparse tensor (n, m).
        mat2: a dense or sparse tensor (m, k).
        reduce: must be None: "sum" is what products do.
    Returns:
        A dense tensor (n, k); a sparse one where both are sparse.
    Raises:
        RuntimeError: the shapes or types do not go together.

    >>> import rushlight as torch
    >>> torch.sparse.mm(torch.eye(2).to_sparse(), torch.tensor([[1.0], [2.0]]))
    tensor([[1.],
            [2.]])
    """
    if reduce not in (None, "sum"):
        raise NotImplementedError(
            f"sparse.mm: reduce={reduce!r} is not supported; use index_select and scatter_reduce on the indices"
        )
    return _mm(mat1, mat2, SparseAddmmBackward0)


def sparse_addmm(mat, mat1, mat2, *, beta=1.0, alpha=1.0):
    """beta * mat + alpha * (mat1 @ mat2) for a sparse `mat1`; as `torch.addmm`, with gradients for `mat1`.

    Args:
        mat: a dense tensor (n, k).
        mat1: a sparse tensor (n, m).
        mat2: a dense tensor (m, k).
        beta, alpha: factors.

    >>> import rushlight as torch
    >>> torch.sparse.addmm(torch.ones(2, 1), torch.eye(2).to_sparse(), torch.ones(2, 1))
    tensor([[2.],
            [2.]])
    """
    return _addmm(mat, mat1, mat2, beta, alpha, SparseAddmmBackward0)


def spdiags(diagonals, offsets, shape, layout=None):
    """A sparse matrix from its diagonals.

    Args:
        diagonals: (d, n), a diagonal in each row: element j of a row stands in column j.
        offsets: (d,), int64: how far above the main diagonal each one is.
        shape: the shape of the matrix.
        layout: `torch.sparse_coo`.
    Raises:
        RuntimeError: the shapes do not go together, or an offset is given twice.

    >>> import rushlight as torch
    >>> torch.sparse.spdiags(torch.ones(1, 2), torch.tensor([1]), (2, 2)).to_dense()
    tensor([[0., 1.],
            [0., 0.]])
    """
    from rushlight.devices import sparse_coo

    if layout not in (None, sparse_coo):
        raise RuntimeError(f"Only output layouts (torch.sparse_coo) are supported, got {layout}")
    rows = diagonals if diagonals.ndim == 2 else diagonals.unsqueeze(0)
    moved = offsets._array.reshape(-1)
    if len(shape) != 2 or len(moved) != rows.shape[0]:
        raise RuntimeError(
            f"Number of diagonals ({rows.shape[0]}) does not match the number of offsets ({len(moved)})"
        )
    if len(np.unique(moved)) != len(moved):
        raise RuntimeError("Offset tensor contains duplicate values")
    count = min(rows.shape[1], shape[1])
    d, col = (a.reshape(-1) for a in np.indices((len(moved), count)))
    row = col - moved[d]
    used = (row >= 0) & (row < shape[0])
    pattern = Pattern(np.stack([row[used], col[used]]), shape, False)
    values = rows[:, :count].reshape(-1).index_select(0, wrap(np.flatnonzero(used)))
    return build(values, pattern)
