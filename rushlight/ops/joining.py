"""Taking tensors apart and putting them together: split, cat, repeat, roll, flip and their like."""

import builtins

import numpy as np

from rushlight import dtypes
from rushlight.autograd.node import Node
from rushlight.devices import channels_last, channels_last_3d
from rushlight.dtypes import can_cast
from rushlight.kernels.reference.layout import c_order, empty_by
from rushlight.ops.common import MODE, Tensor, as_type, record, recording, wrap, write_out
from rushlight.ops.parts import select
from rushlight.ops.registry import alias, op
from rushlight.ops.shape import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    embed,
    reshape,
    slice_dim,
)
from rushlight.sparse_tensor import SparseError, SparseTensor
from rushlight.tensor import check_dim

# -- together ---------------------------------------------------------------------------------------


class CatBackward0(Node):
    def backward(self, grad):
        found, start = [], 0
        for target, size in zip(self.edges, self.lengths, strict=True):
            piece = None
            if target is not None:
                where = (*(slice(None),) * self.dim, slice(start, start + size))
                piece = (
                    slice_dim(grad, self.dim, start, start + size)
                    if MODE.enabled
                    else wrap(grad._array[where])
                )
            found.append(piece)
            start += size
        return tuple(found)


def _tensors(op_name: str, tensors) -> list:
    """A sequence of tensors, brought to one type."""
    if isinstance(tensors, Tensor):
        raise TypeError(f"{op_name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
    tensors = list(tensors)
    if not tensors:
        if op_name == "cat":
            raise ValueError("torch.cat(): expected a non-empty list of Tensors")
        raise RuntimeError(f"{op_name} expects a non-empty TensorList")
    try:
        kind = tensors[0]._array.dtype
        for t in tensors:
            if t._array.dtype is not kind:
                return _promoted(tensors)
    except SparseError:
        raise
    except AttributeError:
        i, bad = next((i, t) for i, t in enumerate(tensors) if not isinstance(t, Tensor))
        raise TypeError(
            f"expected Tensor as element {i} in argument 0, but got {type(bad).__name__} ({op_name})"
        ) from None
    return tensors


def _promoted(tensors: list) -> list:
    common = tensors[0].dtype
    for t in tensors:
        common = dtypes.promote_types(common, t.dtype)
    return [as_type(t, common) for t in tensors]


def _is_channels_last(array: np.ndarray) -> bool:
    if array.ndim < 3 or array.flags.c_contiguous:
        return False
    return array.transpose(0, *range(2, array.ndim), 1).flags.c_contiguous


def empty_like_layout(array: np.ndarray, shape: tuple) -> np.ndarray:
    """Memory for another shape with the same number of dimensions, channels last where `array` is."""
    if not _is_channels_last(array):
        return empty_by(array, shape)
    return np.moveaxis(empty_by(array, (shape[0], *shape[2:], shape[1])), -1, 1)


def keep_format(result: Tensor, *inputs: Tensor) -> Tensor:
    """Mark a channels-last result as the user's wish where that of the inputs was."""
    for t in inputs:
        if t._format is None and t._base is None:
            return result
    if not result._array.flags.c_contiguous:
        result._format = channels_last if result._array.ndim == 4 else channels_last_3d
    return result


def _cat_error(arrays: list, dim: int) -> Exception:
    """PyTorch's error for arrays that NumPy refused to join."""
    first = arrays[0].shape
    for i, array in enumerate(arrays):
        shape = array.shape
        if len(shape) != len(first):
            return RuntimeError(
                f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}"
            )
        for d, (m, n) in enumerate(zip(first, shape, strict=True)):
            if d != dim and m != n:
                return RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {m} but got size "
                    f"{n} for "
                    f"tensor number {i} in the list. (shapes {[list(a.shape) for a in arrays]}, dimension "
                    f"{d})"
                )
    return RuntimeError(f"cat: cannot join tensors of shapes {[list(a.shape) for a in arrays]}")


def _joined(arrays: list, dim: int) -> np.ndarray:
    """The arrays along one dimension: in order in memory, or channels last where all of them are."""
    array = np.concatenate(arrays, dim)
    if array.flags.c_contiguous or (
        _is_channels_last(array) and builtins.all(map(_is_channels_last, arrays))
    ):
        return array
    return c_order(array)


@op(method=False)
def cat(tensors, dim=0, *, axis=None, out=None):
    """Tensors one after another along an existing dimension.

    Args:
        tensors: tensors whose shapes agree but for that dimension; those of shape (0,) are left out.
        dim: the dimension.
        out: where to put the result.
    Raises:
        RuntimeError: other dimensions differ.

    >>> import rushlight as torch
    >>> torch.cat([torch.tensor([1, 2]), torch.tensor([3])])
    tensor([1, 2, 3])
    """
    try:
        tensors = _tensors("cat", tensors)
    except SparseError:
        return SparseTensor.ops["cat"](tensors, dim)
    if axis is not None:
        dim = axis
    arrays = [t._array for t in tensors]
    ndim = arrays[0].ndim
    try:
        array = _joined(arrays, dim)
    except (ValueError, IndexError):
        # Tensors of shape (0,) are left out, whatever the shape of the others.
        tensors = [t for t in tensors if t._array.shape != (0,)] or tensors[:1]
        arrays = [t._array for t in tensors]
        ndim = arrays[0].ndim
        if ndim == 0:
            raise RuntimeError(
                "zero-dimensional tensor (at position 0) cannot be concatenated; use torch.stack"
            ) from None
        dim = check_dim(dim, ndim)
        try:
            array = _joined(arrays, dim)
        except ValueError:
            raise _cat_error(arrays, dim) from None
    if recording(*tensors):
        dim = check_dim(dim, ndim)
        result = record(array, CatBackward0, tensors, dim=dim, lengths=[a.shape[dim] for a in arrays])
    else:
        result = wrap(array)
    if ndim > 3:
        keep_format(result, *tensors)
    return result if out is None else _put("cat", result, out)


def _put(name: str, result: Tensor, out) -> Tensor:
    if isinstance(out, Tensor) and not can_cast(result.dtype, out.dtype):
        raise TypeError(
            f"torch.{name}(): input types can't be cast to the desired output type: {result.dtype} to {out.dtype}"
        )
    return write_out(result, out)


alias("concat", cat, method=False)
alias("concatenate", cat, method=False)


class StackBackward0(Node):
    def backward(self, grad):
        return tuple(None if t is None else select(grad, self.dim, i) for i, t in enumerate(self.edges))


@op(method=False)
def stack(tensors, dim=0, *, out=None, axis=None):
    """Tensors of one shape one after another along a new dimension.

    Args:
        tensors: the tensors.
        dim: where the new dimension is.
        out: where to put the result.
    Raises:
        RuntimeError: their shapes differ.

    >>> import rushlight as torch
    >>> torch.stack([torch.tensor([1, 2]), torch.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    try:
        tensors = _tensors("stack", tensors)
    except SparseError:
        return SparseTensor.ops["stack"](tensors, dim)
    if axis is not None:
        dim = axis
    shape = tensors[0]._array.shape
    for i, t in enumerate(tensors):
        if t._array.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(t.shape)} at entry {i}"
            )
    dim = check_dim(dim, len(shape) + 1)
    array = empty_by(tensors[0]._array, (*shape[:dim], len(tensors), *shape[dim:]))
    insert = (*(slice(None),) * dim, None)
    np.concatenate([t._array[insert] for t in tensors], dim, out=array)
    if recording(*tensors):
        return _put("stack", record(array, StackBackward0, tensors, dim=dim), out)
    return _put("stack", wrap(array), out)


def _stacker(name: str, prepare, dim, doc: str, example: str):
    def function(tensors, *, out=None):
        prepared = [prepare(t) for t in _tensors(name, tensors)]
        return cat(prepared, dim(prepared[0]), out=out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{doc}

    Args:
        tensors: the tensors.
        out: where to put the result.

    >>> import rushlight as torch
    >>> torch.{name}([torch.zeros(2), torch.zeros(2)]).shape
    {example}
    """
    return op(method=False)(function)


hstack = _stacker(
    "hstack",
    atleast_1d,
    lambda t: 0 if t._array.ndim == 1 else 1,
    "Tensors side by side, along the second dimension or the only one.",
    "torch.Size([4])",
)
vstack = _stacker(
    "vstack", atleast_2d, lambda t: 0, "Tensors below one another, as rows.", "torch.Size([2, 2])"
)
alias("row_stack", vstack, method=False)
dstack = _stacker(
    "dstack", atleast_3d, lambda t: 2, "Tensors along the third dimension.", "torch.Size([1, 2, 2])"
)
column_stack = _stacker(
    "column_stack", lambda t: t if t._array.ndim > 1 else reshape(t, (t._array.size, 1)), lambda t: 1,
    "Tensors side by side, vectors as columns.", "torch.Size([2, 2])",
)  # fmt: skip


@op(method=False)
def block_diag(*tensors):
    """A matrix with the given ones along its diagonal and zeros elsewhere.

    >>> import rushlight as torch
    >>> torch.block_diag(torch.ones(1, 1), torch.ones(1, 2))
    tensor([[1., 0., 0.],
            [0., 1., 1.]])
    """
    tensors = tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    for i, t in enumerate(tensors):
        if t._array.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has "
                f"{t._array.ndim} dimensions"
            )
    blocks = _tensors("block_diag", [atleast_2d(t) for t in tensors])
    width = sum(t._array.shape[1] for t in blocks)
    rows, start = [], 0
    for block in blocks:
        height, own = block._array.shape
        where = (slice(None), slice(start, start + own))
        rows.append(embed(block, (height, width), lambda a, where=where: a[where]))
        start += own
    return cat(rows)


# -- grids ------------------------------------------------------------------------------------------


@op(method=False)
def meshgrid(*tensors, indexing=None):
    """Coordinates of all points of a grid.

    Args:
        tensors: vectors, one per dimension of the grid.
        indexing: "ij" (matrix order, the default) or "xy" (the first two dimensions swapped).
    Returns:
        One tensor of the grid's shape for each vector.

    >>> import rushlight as torch
    >>> x, y = torch.meshgrid(torch.tensor([1, 2]), torch.tensor([3, 4]), indexing="ij")
    >>> x
    tensor([[1, 1],
            [2, 2]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        import warnings

        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            stacklevel=2,
        )
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for t in tensors:
        if t._array.ndim > 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {list(t.shape)}"
            )
        if t._array.dtype != tensors[0]._array.dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    swap = indexing == "xy" and len(tensors) > 1
    order = [tensors[1], tensors[0], *tensors[2:]] if swap else list(tensors)
    shape = tuple(t._array.size for t in order)
    grids = []
    for i, t in enumerate(order):
        place = [1] * len(order)
        place[i] = -1
        grids.append(reshape(t, place).expand(shape))
    if swap:
        grids[:2] = grids[1::-1]
    return tuple(grids)


@op(method=False)
def cartesian_prod(*tensors):
    """All combinations of one element from each vector, as rows.

    >>> import rushlight as torch
    >>> torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    for t in tensors:
        if t._array.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(g, (-1,)) for g in meshgrid(*tensors, indexing="ij")], 1)


@op(method=False)
def combinations(input, r=2, with_replacement=False):
    """All choices of r elements of a vector, as rows.

    >>> import rushlight as torch
    >>> torch.combinations(torch.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    import itertools

    if input._array.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return wrap(empty_by(input._array, 0))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    chosen = np.array(list(choose(range(input._array.size), r)), np.int64).reshape(-1, r)
    return stack([input.index_select(0, wrap(chosen[:, i].copy())) for i in range(r)], 1)
