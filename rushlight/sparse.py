"""Functions of sparse tensors (torch.sparse); most work as functions and methods of the plain names too."""

from rushlight import dtypes
from rushlight.ops.common import check_tensor
from rushlight.ops.sparse import sparse_coo_tensor
from rushlight.ops.sparse_math import log_softmax, softmax
from rushlight.ops.sparse_math import sum as _sum
from rushlight.ops.sparse_mm import sparse_addmm as addmm
from rushlight.ops.sparse_mm import sparse_mm as mm
from rushlight.ops.sparse_mm import spdiags
from rushlight.sparse_tensor import SparseTensor

__all__ = ["addmm", "check_sparse_tensor_invariants", "log_softmax", "mm", "softmax", "spdiags", "sum"]


def sum(input, dim=None, dtype=None):
    """The sum of a sparse tensor over dimensions, all by default.

    Args:
        input: a sparse tensor.
        dim: a dimension or several.
        dtype: the type of the result.
    Returns:
        A dense tensor where no sparse dimension is left, else a sparse one.

    >>> import rushlight as torch
    >>> torch.sparse.sum(torch.eye(2).to_sparse())
    tensor(2.)
    """
    check_tensor("sparse.sum", input)
    if not isinstance(input, SparseTensor):
        raise NotImplementedError("sparse.sum: expected a sparse tensor; use torch.sum for dense ones")
    return _sum(input, dim, dtype=dtype)


class check_sparse_tensor_invariants:
    """Accepted, as a context manager too: indices of sparse tensors are always checked here."""

    _enabled = False

    def __init__(self, enable: bool = True):
        self.state, self._before = enable, None

    @classmethod
    def is_enabled(cls) -> bool:
        """What was asked for."""
        return cls._enabled

    @classmethod
    def enable(cls) -> None:
        """Ask for checks."""
        check_sparse_tensor_invariants._enabled = True

    @classmethod
    def disable(cls) -> None:
        """Ask for no checks."""
        check_sparse_tensor_invariants._enabled = False

    def __enter__(self):
        self._before = check_sparse_tensor_invariants._enabled
        check_sparse_tensor_invariants._enabled = self.state

    def __exit__(self, *exception):
        check_sparse_tensor_invariants._enabled = self._before


def _legacy(name: str, kind):
    def constructor(*args):
        if len(args) > 1 and not isinstance(args[0], int):
            indices, values, *size = args
            return sparse_coo_tensor(indices, values, *size, dtype=kind)
        size = args if not args or isinstance(args[0], int) else tuple(args[0])
        return sparse_coo_tensor(size or (0,), dtype=kind)

    constructor.__name__ = constructor.__qualname__ = name
    constructor.__doc__ = (
        f"The old name of `sparse_coo_tensor(indices, values, size)` with values of type {kind}."
    )
    return constructor


FloatTensor = _legacy("FloatTensor", dtypes.float32)
DoubleTensor = _legacy("DoubleTensor", dtypes.float64)
HalfTensor = _legacy("HalfTensor", dtypes.float16)
BFloat16Tensor = _legacy("BFloat16Tensor", dtypes.bfloat16)
LongTensor = _legacy("LongTensor", dtypes.int64)
IntTensor = _legacy("IntTensor", dtypes.int32)
ShortTensor = _legacy("ShortTensor", dtypes.int16)
CharTensor = _legacy("CharTensor", dtypes.int8)
ByteTensor = _legacy("ByteTensor", dtypes.uint8)
