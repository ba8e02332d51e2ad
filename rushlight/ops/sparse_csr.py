"""Sparse matrices in compressed rows (torch.sparse_csr): made, multiplied, and turned into the other forms.

They share the places and values of COO tensors, whose products start from compressed rows anyway.
"""

import numpy as np

from rushlight.autograd.node import connect
from rushlight.devices import check_device, layout, sparse_csr
from rushlight.handle import TensorBase
from rushlight.ops import sparse_math, sparse_mm, sparse_shape  # noqa: F401 - their ops are refused or kept here
from rushlight.ops.common import MODE, Tensor, check_tensor, wrap
from rushlight.ops.data import as_tensor
from rushlight.ops.registry import op
from rushlight.ops.sparse import _build_node, build, coalesce, to_sparse, values_of
from rushlight.sparse_tensor import Pattern, SparseTensor, unsupported

_KEPT = ("mm", "spmm", "mv", "matmul", "addmm", "linear", "to_dense", "values", "cpu", "is_same_size")


class SparseCsrTensor(SparseTensor):
    """A sparse matrix in compressed rows."""

    ops = {name: SparseTensor.ops[name] for name in _KEPT if name in SparseTensor.ops}
    is_sparse = False
    is_sparse_csr = True

    @property
    def layout(self) -> layout:
        """How it is stored: `torch.sparse_csr`."""
        return sparse_csr

    def crow_indices(self) -> Tensor:
        """(rows + 1,), int64: where the entries of each row begin."""
        return wrap(self._pattern.rows[0])

    def col_indices(self) -> Tensor:
        """(nnz,), int64: the column of each entry."""
        return wrap(self._pattern.rows[1])

    def values(self) -> Tensor:
        """(nnz,): the values of the entries."""
        return values_of(self)

    def to_sparse(self, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None) -> SparseTensor:
        """The same matrix with the row and the column of every entry (torch.sparse_coo)."""
        if sparse_csr in (sparse_dim, layout):
            return self
        return build(values_of(self), self._pattern, "ToSparseBackward0")

    def to_sparse_csr(self, dense_dim=None) -> "SparseCsrTensor":
        """Itself."""
        return self

    def _share(self) -> "SparseCsrTensor":
        return _made(wrap(self._data), self._pattern)

    @property
    def data(self) -> "SparseCsrTensor":
        """The same entries, outside the graph."""
        return self._share()

    def _parts(self):
        crow, col, _ = self._pattern.rows
        return [("crow_indices", crow), ("col_indices", col), ("values", self._data)]


def _refused(name: str):
    def method(self, *args, **kwargs):
        raise unsupported(name, "x.to_sparse() or x.to_dense() first: it is stored in compressed rows")

    method.__name__ = method.__qualname__ = name
    method.__doc__ = "Raises NotImplementedError: use to_sparse() or to_dense() first."
    return method


for _name in (
    *SparseTensor.ops, "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__floordiv__",
    "__iadd__", "__isub__", "__imul__", "__itruediv__", "__neg__", "__abs__", "__pow__", "__getitem__", "indices",
    "coalesce", "is_coalesced", "_indices",
):  # fmt: skip
    if _name not in _KEPT and _name not in SparseCsrTensor.__dict__:
        setattr(SparseCsrTensor, _name, _refused(_name))


def _made(values: Tensor, pattern: Pattern, name: str = "SparseCompressedTensorBackward0") -> SparseCsrTensor:
    found = TensorBase.__new__(SparseCsrTensor)
    found._data, found._pattern = values._array, pattern
    if values._rg and MODE.enabled:
        node = connect(_build_node(name)(), (values,))
        node.pattern = pattern
        found._node, found._rg = node, True
    return found


@op(method=False)
def sparse_csr_tensor(
    crow_indices, col_indices, values, size=None, *, dtype=None, device=None, pin_memory=False, requires_grad=False,
    check_invariants=None,
):  # fmt: skip
    """A sparse matrix in compressed rows.

    Args:
        crow_indices: (rows + 1,), where the entries of each row begin; the last is their number.
        col_indices: (nnz,), the column of each entry, rising within a row.
        values: (nnz,).
        size: (rows, columns); by default as small as the columns allow.
        dtype: the type of the values.
        requires_grad: whether the result is a leaf that requires gradients.
        check_invariants: accepted: indices are always checked.
    Returns:
        A sparse tensor (layout `torch.sparse_csr`).
    Raises:
        RuntimeError: the indices are not those of a matrix of this size.

    >>> import rushlight as torch
    >>> torch.sparse_csr_tensor([0, 1, 2], [1, 0], [5.0, 6.0]).to_dense()
    tensor([[0., 5.],
            [6., 0.]])
    """
    check_device(device)
    values = as_tensor(values, dtype=dtype)
    crow, col = (np.array(as_tensor(t)._array, np.int64) for t in (crow_indices, col_indices))
    if crow.ndim != 1 or col.ndim != 1 or values.ndim != 1:
        raise NotImplementedError(
            "sparse_csr_tensor: batches and dense dimensions are not supported; use sparse_coo_tensor"
        )
    columns = int(col.max(initial=-1)) + 1
    rows, columns = (len(crow) - 1, columns) if size is None else (int(n) for n in size)
    if len(crow) != rows + 1:
        raise RuntimeError(
            f"crow_indices.shape[-1] must be equal to the number of rows + 1 ({rows + 1}), but got {len(crow)}"
        )
    if crow[0] != 0 or crow[-1] != len(col) or (np.diff(crow) < 0).any() or len(values) != len(col):
        raise RuntimeError(
            f"sparse_csr_tensor: crow_indices must rise from 0 to nnz, and col_indices and values have nnz elements: got "
            f"{crow[0]} to {crow[-1]}, {len(col)} columns and {len(values)} values"
        )
    if len(col) and (col.min() < 0 or col.max() >= columns):
        raise RuntimeError(f"`0 <= col_indices < ncols = {columns}` is not satisfied.")
    row = np.repeat(np.arange(rows), np.diff(crow))
    pattern = Pattern(np.stack([row, col]), (rows, columns), False)
    pattern.coalesced = bool((np.diff(pattern.flat) > 0).all())
    if requires_grad:
        return _made(values.detach(), pattern).requires_grad_()
    return _made(values, pattern)


@op()
def to_sparse_csr(input, dense_dim=None):
    """A matrix as a sparse one in compressed rows.

    >>> import rushlight as torch
    >>> torch.eye(2).to_sparse_csr().crow_indices()
    tensor([0, 1, 2])
    """
    check_tensor("to_sparse_csr", input)
    if input.ndim != 2 or dense_dim:
        raise NotImplementedError(f"to_sparse_csr: expected a matrix, got shape {list(input.shape)}")
    x = coalesce(input) if isinstance(input, SparseTensor) else to_sparse(input)
    return _made(values_of(x), x._pattern, "ToSparseCsrBackward0")


def _not_compressed(name: str):
    def method(self):
        raise RuntimeError(
            f"{name} expected sparse row compressed tensor layout but got "
            f"{repr(self.layout).removeprefix('torch.').capitalize()}; use to_sparse_csr() first"
        )

    method.__name__ = method.__qualname__ = name
    method.__doc__ = "Raises RuntimeError: only matrices in compressed rows have it."
    return method


for _name in ("crow_indices", "col_indices"):
    setattr(Tensor, _name, _not_compressed(_name))
Tensor.is_sparse_csr = False


def _convert_indices_from_coo_to_csr(input: Tensor, size: int, *, out_int32: bool = False) -> Tensor:
    """Where each row starts among elements whose row numbers are sorted.

    Args:
        input: the row number of each element.
        size: the number of rows.
        out_int32: whether the result is int32 and not int64.
    """
    starts = np.searchsorted(input._array, np.arange(size + 1))
    return wrap(starts.astype(np.int32 if out_int32 else np.int64))


def _convert_indices_from_csr_to_coo(
    crow_indices: Tensor, col_indices: Tensor, *, out_int32: bool = False, transpose: bool = False
) -> Tensor:
    """The row and column of each element of a matrix in compressed rows.

    Args:
        crow_indices: where each row starts.
        col_indices: the column number of each element.
        out_int32: whether the result is int32 and not int64.
        transpose: columns first.
    """
    counts = np.diff(crow_indices._array)
    both = [np.repeat(np.arange(counts.size), counts), col_indices._array]
    return wrap(np.stack(both[::-1] if transpose else both).astype(np.int32 if out_int32 else np.int64))
