"""The sparse tensor: the places of its entries, and their values.

It is a Tensor whose memory is not one array: asking for that array, as every dense op does, raises. What sparse tensors
can do are the ops of `rushlight.ops.sparse`, listed in `SparseTensor.ops` and made methods there.
"""

import copy
import sys
from functools import cached_property

import numpy as np

from rushlight import devices
from rushlight.dtypes import from_numpy_dtype
from rushlight.handle import TensorBase
from rushlight.tensor import Tensor, check_dim, disabled_torch_function, wrap


class SparseError(NotImplementedError, AttributeError):
    """A dense op met a sparse tensor. An AttributeError too, which is what ops take for an operand of another kind."""


def unsupported(op: str, hint: str = "x.to_dense() first, or an operator of torch.sparse") -> SparseError:
    """The error of an op that sparse tensors do not have."""
    return SparseError(
        f"Could not run 'aten::{op}' with arguments from the 'SparseCPU' backend: the operator is not implemented for "
        f"sparse tensors. Use {hint}."
    )


class Pattern:
    """Where the entries of a sparse tensor are.

    Args:
        indices: (sparse dimensions, nnz), int64.
        size: the size of each sparse dimension.
        coalesced: whether the places are sorted and all different.
    """

    def __init__(self, indices: np.ndarray, size: tuple, coalesced: bool):
        self.indices, self.size, self.coalesced = indices, tuple(size), coalesced

    @property
    def nnz(self) -> int:
        """The number of entries."""
        return self.indices.shape[1]

    @cached_property
    def flat(self) -> np.ndarray:
        """The place of each entry as one number, counted through the dimensions as a dense tensor's memory is."""
        place = np.zeros(self.nnz, np.int64)
        for row, n in zip(self.indices, self.size, strict=True):
            place = place * n + row
        return place

    @cached_property
    def unique(self) -> tuple:
        """(pattern, group): the coalesced pattern, and for each entry the number of its place in it."""
        if self.coalesced:
            return self, None
        _, first, group = np.unique(self.flat, return_index=True, return_inverse=True)
        merged = Pattern(np.ascontiguousarray(self.indices[:, first]), self.size, True)
        return merged, group

    @cached_property
    def rows(self) -> tuple:
        """(crow, col, order) of a matrix in compressed rows; `order` is None where the entries are in it already."""
        row, col = self.indices
        order = None
        if not self.coalesced and (row[1:] < row[:-1]).any():
            order = np.argsort(row, kind="stable")
            col = col[order]
        crow = np.zeros(self.size[0] + 1, np.int64)
        np.cumsum(np.bincount(row, minlength=self.size[0]), out=crow[1:])
        return crow, np.ascontiguousarray(col), order

    @cached_property
    def transposed(self) -> "Pattern":
        """The pattern of the transposed matrix, the entries in the same order."""
        return Pattern(np.ascontiguousarray(self.indices[::-1]), self.size[::-1], False)

    def with_indices(self, indices, size, coalesced: bool = False) -> "Pattern":
        """Another pattern of the same kind."""
        return Pattern(np.ascontiguousarray(indices, np.int64), size, coalesced)


class SparseTensor(Tensor):
    """A tensor of which only some entries are kept, all others being zero: PyTorch's layout `torch.sparse_coo`."""

    __torch_function__ = disabled_torch_function
    ops: dict = {}  # name -> function, for calls such as torch.mm(sparse, dense)
    is_sparse, is_meta = True, False
    _adds_itself = True
    _pattern: Pattern
    _data: np.ndarray

    @property
    def _array(self):
        raise unsupported(_op_name())

    @property
    def shape(self) -> devices.Size:
        """Its dimensions: the sparse ones, then the dense ones."""
        return devices.Size(self._pattern.size + self._data.shape[1:])

    def size(self, dim: int | None = None):
        """Its dimensions, or the one numbered `dim`."""
        shape = self.shape
        return shape if dim is None else shape[check_dim(dim, len(shape))]

    @property
    def dtype(self):
        """The type of its values."""
        return from_numpy_dtype(self._data.dtype)

    @property
    def layout(self) -> devices.layout:
        """How it is stored: `torch.sparse_coo`."""
        return devices.sparse_coo

    @property
    def ndim(self) -> int:
        """The number of its dimensions."""
        return len(self._pattern.size) + self._data.ndim - 1

    def dim(self) -> int:
        """The number of its dimensions."""
        return self.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of its elements, zeros included."""
        return int(np.prod(self.shape, dtype=np.int64))

    nelement = numel

    @property
    def itemsize(self) -> int:
        """Bytes per value."""
        return self._data.itemsize

    def element_size(self) -> int:
        """Bytes per value."""
        return self._data.itemsize

    def sparse_dim(self) -> int:
        """The number of dimensions that indices choose from."""
        return len(self._pattern.size)

    def dense_dim(self) -> int:
        """The number of dimensions of each value."""
        return self._data.ndim - 1

    def _nnz(self) -> int:
        return self._data.shape[0]

    def _coalesced_(self, coalesced: bool) -> "SparseTensor":
        """Say whether its places are sorted and all different, which the caller answers for."""
        self._pattern = Pattern(self._pattern.indices, self._pattern.size, bool(coalesced))
        return self

    def is_coalesced(self) -> bool:
        """Whether its indices are sorted and all different."""
        return self._pattern.coalesced

    def is_contiguous(self, memory_format=None) -> bool:
        """Never: its memory is not one block."""
        return False

    def stride(self, dim: int | None = None):
        """Zeros: it has no strides."""
        return (0,) * self.ndim if dim is None else 0

    def _indices(self) -> Tensor:
        return wrap(self._pattern.indices)

    def _values(self) -> Tensor:
        return wrap(self._data)

    def _parts(self) -> list[tuple[str, np.ndarray]]:
        """What is printed of it."""
        return [("indices", self._pattern.indices), ("values", self._data)]

    def indices(self) -> Tensor:
        """(sparse dimensions, nnz), int64: the places of its entries.

        Raises:
            RuntimeError: it is not coalesced.
        """
        _check_coalesced(self, "indices")
        return self._indices()

    # -- as a tensor --------------------------------------------------------------------------------

    def _share(self) -> "SparseTensor":
        other = make(self._data, self._pattern)
        other._vc = self._counter()
        return other

    def detach(self) -> "SparseTensor":
        """The same entries, through which no gradient flows."""
        return self._share()

    @property
    def data(self) -> "SparseTensor":
        """The same entries, outside the graph."""
        return make(self._data, self._pattern)

    @data.setter
    def data(self, value: "SparseTensor") -> None:
        self._data, self._pattern = value._data, value._pattern

    def _become(self, other: "SparseTensor") -> "SparseTensor":
        """Take over another tensor's entries, in place."""
        self._data, self._pattern = other._data, other._pattern
        self._bump()
        return self

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __bool__(self) -> bool:
        if self.numel() != 1:
            many = "more than one value" if self.numel() else "no values"
            raise RuntimeError(f"Boolean value of Tensor with {many} is ambiguous")
        return bool(self._data.any())

    def item(self):
        """Its only element as a Python number."""
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        return self.to_dense().item()

    def numpy(self, *, force: bool = False):
        """Raises TypeError: NumPy has no sparse arrays."""
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    def data_ptr(self) -> int:
        """Raises RuntimeError: its memory is not one block."""
        raise RuntimeError("Cannot access data pointer of Tensor that doesn't have storage; use x.values()")

    def contiguous(self, memory_format=None):
        """Raises RuntimeError: its memory is not one block."""
        raise RuntimeError("unsupported memory format option Contiguous: sparse tensors have none")

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __deepcopy__(self, memo):
        if self._node is not None:
            return super().__deepcopy__(memo)
        other = memo[id(self)] = make(self._data.copy(), copy.copy(self._pattern))
        other._rg = self._rg
        return other

    def __reduce_ex__(self, protocol):
        if self._node is not None:
            return super().__reduce_ex__(protocol)
        return _rebuilt, (
            self._data,
            self._pattern.indices,
            self._pattern.size,
            self.is_coalesced(),
            self._rg,
        )


def _check_coalesced(t: SparseTensor, what: str) -> None:
    if not t.is_coalesced():
        raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")


def make(data: np.ndarray, pattern: Pattern) -> SparseTensor:
    """A sparse tensor, outside the graph.

    Args:
        data: (nnz, *dense sizes), the values.
        pattern: their places.
    """
    made = TensorBase.__new__(SparseTensor)
    made._data, made._pattern = data, pattern
    return made


def _rebuilt(data, indices, size, coalesced, requires_grad) -> SparseTensor:
    made = make(data, Pattern(indices, size, coalesced))
    made._rg = requires_grad
    return made


def _op_name() -> str:
    """The op that asked for the memory of a sparse tensor: the innermost caller that is a listed one."""
    from rushlight.ops.registry import OPS

    frame = first = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_name.rstrip("_") or frame.f_code.co_name
        if name in OPS:
            return name
        if not frame.f_globals.get("__name__", "").startswith("rushlight"):
            break
        frame = frame.f_back
    name = first.f_code.co_name
    return name[1:].replace("_in_place", "_") if name.endswith("_in_place") else name
