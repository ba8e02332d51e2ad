"""Positions given element by element along one dimension: gather, scatter, scatter_add, take_along_dim."""

import builtins
import warnings

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import empty_by
from rushlight.kernels.reference.positions import grid
from rushlight.ops.common import (
    MODE,
    Tensor,
    broadcast_error,
    check_tensor,
    record,
    wrap,
    write_out,
)
from rushlight.ops.positions import (
    PlacedNode,
    check_bounds,
    index_positions,
    mutator,
    same_dtype,
)
from rushlight.ops.registry import numpy_names, op
from rushlight.ops.shape import embed, reshape
from rushlight.tensor import check_dim

# -- gather and scatter -----------------------------------------------------------------------------


def scatter_index(op_name: str, input: Tensor, dim: int, index, source: Tensor | None) -> tuple:
    """The checked dimension and index array of gather and scatter; numbers as vectors of one element."""
    positions = index_positions(op_name, index)
    shape = input._array.shape
    dim = check_dim(dim, len(shape))
    if max(positions.ndim, 1) != max(len(shape), 1) and positions.size:
        raise RuntimeError(
            "Index tensor must have the same number of dimensions as "
            f"{'input' if source is None else 'self'} tensor: "
            f"{op_name} got index {list(index.shape)} and {list(shape)}"
        )
    full = shape or (1,)
    positions = positions.reshape(positions.shape or (1,))
    if positions.size:
        for d, (n, m) in enumerate(zip(positions.shape, full, strict=True)):
            if d != dim and n > m:
                raise RuntimeError(
                    f"Size does not match at dimension {d} expected index {list(index.shape)} to be no "
                    "larger than self "
                    f"{list(shape)} apart from dimension {dim} ({op_name})"
                )
    if source is not None and positions.size:
        given = source._array.shape or (1,)
        if len(given) != positions.ndim or builtins.any(
            n > m for n, m in zip(positions.shape, given, strict=True)
        ):
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(shape)} apart from "
                f"dimension {dim} "
                f"and to be no larger size than src {list(source.shape)} ({op_name})"
            )

    def error(bad):
        return RuntimeError(
            f"index {bad} is out of bounds for dimension {dim} with size {full[dim]} ({op_name})"
        )

    check_bounds(positions, full[dim], error)
    return dim, positions


def source_part(source: Tensor, positions: np.ndarray) -> np.ndarray:
    array = source._array.reshape(source._array.shape or (1,))
    return array if array.shape == positions.shape else array[tuple(slice(n) for n in positions.shape)]


def source_grad(part: Tensor, shape: tuple) -> Tensor:
    """The gradient of a scattered source, of which only the corner that the index covers was used."""
    if part._array.shape == shape:
        return part
    if not shape or not part._array.ndim:
        return reshape(part, shape)
    where = tuple(slice(n) for n in part._array.shape)
    return embed(part, shape, lambda a: a[where])


class GatherBackward0(PlacedNode):
    def backward(self, grad):
        return grad.new_zeros(self.shape).scatter_add_(self.dim, self.index, grad)


@op()
@numpy_names
def gather(input, dim, index, *, sparse_grad=False, out=None):
    """The elements that an index names along one dimension: out[i][j] = input[index[i][j]][j] for dim 0.

    Args:
        input: a tensor.
        dim: the dimension.
        index: positions along it, in a tensor with as many dimensions that is nowhere else larger.
        sparse_grad: must be False.
        out: where to put the result.
    Returns:
        A tensor of the index's shape.
    Raises:
        RuntimeError: shapes don't fit, or a position is out of range.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).gather(1, torch.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    if sparse_grad:
        raise NotImplementedError("gather: sparse gradients are not supported; use sparse_grad=False")
    dim, positions = scatter_index("gather", check_tensor("gather", input), dim, index, None)
    array = input._array
    if positions.size:
        found = K.gather(array.reshape(array.shape or (1,)), positions, dim).reshape(index._array.shape)
    else:
        found = empty_by(array, index._array.shape)
    if input._rg and MODE.enabled:
        return write_out(
            record(found, GatherBackward0, (input,), index, dim=dim, shape=array.shape), out, exact=True
        )
    return write_out(wrap(found), out, exact=True)


class ScatterBackward0(PlacedNode):
    def backward(self, grad):
        to_self, to_source = self.edges
        return (
            None if to_self is None else scatter(grad, self.dim, self.index, 0),
            None if to_source is None else source_grad(gather(grad, self.dim, self.index), self.shape),
        )


class ScatterBackward1(PlacedNode):
    def backward(self, grad):
        return scatter(grad, self.dim, self.index, 0)


class NotImplementedBackward(Node):
    """A result that PyTorch has no derivative for either."""

    def backward(self, grad):
        raise RuntimeError(f"derivative for {self.what} is not implemented; use scatter_reduce instead")


_REDUCE = {"add": np.add, "multiply": np.multiply}


@mutator(
    "scatter",
    """A tensor with values written where an index tensor says: out[index[i][j]][j] = src[i][j] for dim 0.

    Args:
        input: a tensor.
        dim: the dimension.
        index: positions along it, in a tensor with as many dimensions that is nowhere else larger.
        src: a tensor at least as large as the index, or a number.
        reduce: "add" or "multiply" to combine with what is there.
    Raises:
        RuntimeError: shapes or types don't fit, or a position is out of range.""",
    ("torch.zeros(3).scatter(0, torch.tensor([1]), 5.0)", "tensor([0., 5., 0.])"),
)
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    source = value if src is None else src
    tensor = source if isinstance(source, Tensor) else None
    dim, positions = scatter_index("scatter", input, dim, index, tensor)
    if tensor is not None:
        same_dtype("scatter", input, tensor, "src")
    elif not isinstance(source, (bool, int, float, complex, np.number, np.bool_)):
        raise TypeError(f"scatter(): expected a Tensor or a number for src, got {type(source).__name__}")
    if reduce is not None and reduce not in _REDUCE:
        raise RuntimeError("reduce argument must be either add or multiply.")
    if reduce is not None and tensor is not None:
        warnings.warn(
            "The reduce argument of torch.scatter with Tensor src is deprecated and will be removed in a "
            "future PyTorch "
            "release. Use torch.scatter_reduce instead for more reduction options.",
            stacklevel=3,
        )

    def write(array):
        if not positions.size:
            return
        target = array.reshape(array.shape or (1,))
        given = source if tensor is None else source_part(tensor, positions)
        if reduce is None:
            target[grid(positions, dim)] = given
        else:
            _REDUCE[reduce].at(target, grid(positions, dim), np.asanyarray(given, array.dtype))

    fields = {"dim": dim, "saved": (index,)}
    if reduce is not None:
        return (
            write,
            (input,) if tensor is None else (input, tensor),
            NotImplementedBackward,
            {"what": "scatter with reduce"},
        )
    if tensor is None:
        return write, (input,), ScatterBackward1, fields
    return write, (input, tensor), ScatterBackward0, {**fields, "shape": tensor._array.shape}


class ScatterAddBackward0(PlacedNode):
    def backward(self, grad):
        to_self, to_source = self.edges
        return (
            None if to_self is None else grad,
            None if to_source is None else source_grad(gather(grad, self.dim, self.index), self.shape),
        )


@mutator(
    "scatter_add",
    """A tensor with values added where an index tensor says: out[index[i][j]][j] += src[i][j] for dim 0.

    Args:
        input: a tensor.
        dim: the dimension.
        index: positions along it, in a tensor with as many dimensions that is nowhere else larger.
        src: a tensor at least as large as the index.
    Raises:
        RuntimeError: shapes or types don't fit, or a position is out of range.""",
    ("torch.zeros(2).scatter_add(0, torch.tensor([1, 1]), torch.ones(2))", "tensor([0., 2.])"),
)
def scatter_add(input, dim, index, src):
    dim, positions = scatter_index(
        "scatter_add", input, dim, index, check_tensor("scatter_add", src, "src", 4)
    )
    same_dtype("scatter", input, src, "src")

    def write(array):
        if positions.size:
            K.scatter_add(array.reshape(array.shape or (1,)), positions, source_part(src, positions), dim)

    fields = {"dim": dim, "saved": (index,), "shape": src._array.shape}
    return write, (input, src), ScatterAddBackward0, fields


@op()
@numpy_names
def take_along_dim(input, indices, dim=None, *, out=None):
    """`gather`, with input and indices broadcast against each other in the other dimensions.

    >>> import rushlight as torch
    >>> torch.tensor([[3, 1, 2]]).take_along_dim(torch.tensor([[1]]), 1)
    tensor([[1]])
    """
    check_tensor("take_along_dim", input)
    if indices._array.dtype != np.int64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {SCALAR_NAMES[indices.dtype]}"
        )
    if dim is None:
        return gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)), out=out)
    shape, wanted = list(input._array.shape), list(indices._array.shape)
    if len(shape) != len(wanted):
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{len(shape)} dimensions for input, and {len(wanted)} dimensions for indices"
        )
    dim = check_dim(dim, len(shape))
    other = [1 if d == dim else n for d, n in enumerate(shape)]
    others = [1 if d == dim else n for d, n in enumerate(wanted)]
    try:
        both = list(np.broadcast_shapes(tuple(other), tuple(others)))
    except ValueError:
        raise broadcast_error("take_along_dim", tuple(other), tuple(others)) from None
    both[dim] = wanted[dim]
    indices = indices.where(indices >= 0, indices + shape[dim]).expand(both)
    both[dim] = shape[dim]
    return gather(input.expand(both), dim, indices, out=out)
