"""Positions along one dimension: index_select, index_add, index_copy, index_fill, index_put; take and put."""

import numpy as np

from rushlight import kernels as K
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import c_order
from rushlight.ops.common import (
    MODE,
    Tensor,
    check_tensor,
    or_sparse,
    record,
    wrap,
    write_out,
)
from rushlight.ops.indexing import fitted, getitem, parse
from rushlight.ops.positions import (
    PlacedNode,
    at_positions,
    check_bounds,
    fill_number,
    index_line,
    index_positions,
    mutator,
    same_dtype,
)
from rushlight.ops.registry import numpy_names, op
from rushlight.ops.shape import reshape

# -- along one dimension ----------------------------------------------------------------------------


class IndexSelectBackward0(PlacedNode):
    def backward(self, grad):
        return grad.new_zeros(self.shape).index_add_(self.dim, self.index, grad)


@op()
@or_sparse
@numpy_names
def index_select(input, dim, index, *, out=None):
    """The given positions of a dimension, as a copy.

    Args:
        input: a tensor.
        dim: the dimension.
        index: a vector of positions.
        out: where to put the result.
    Raises:
        IndexError: a position is out of range.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2, 3]).index_select(0, torch.tensor([2, 0]))
    tensor([3, 1])
    """
    dim, positions = index_line("index_select", check_tensor("index_select", input), dim, index)
    array = input._strided()
    if array.ndim == 0:
        found = array.reshape(1).take(positions).reshape(())
    elif array.flags.c_contiguous:
        found = array.take(positions, dim)
    else:
        found = c_order(array[(*(slice(None),) * dim, positions)])
    if input._rg and MODE.enabled:
        result = record(found, IndexSelectBackward0, (input,), index, dim=dim, shape=array.shape)
    else:
        result = wrap(found)
    return result if out is None else write_out(result, out, exact=True)


class IndexAddBackward0(PlacedNode):
    def backward(self, grad):
        to_self, to_source = self.edges
        given = None
        if to_source is not None:
            given = reshape(index_select(grad, self.dim, self.index), self.shape)
            given = given if self.alpha == 1 else given * self.alpha
        return None if to_self is None else grad, given


@mutator(
    "index_add",
    """A tensor with slices of another added at given positions of a dimension.

    Args:
        input: a tensor.
        dim: the dimension.
        index: a vector of positions, which may repeat.
        source: one slice for each position.
        alpha: what the slices are multiplied by.
    Raises:
        IndexError: a position is out of range. RuntimeError: shapes or types don't fit.""",
    ("torch.zeros(3).index_add(0, torch.tensor([1, 1]), torch.ones(2))", "tensor([0., 2., 0.])"),
)
def index_add(input, dim, index, source, *, alpha=1):
    dim, positions = index_line("index_add", input, dim, index)
    same_dtype("index_add", input, source, "source")
    _check_slices("index_add", input, dim, positions, source)
    added = source._array if alpha == 1 else source._array * np.asanyarray(alpha, source._array.dtype)

    def write(array):
        array, where = at_positions(array, dim, positions)
        if added.ndim == 0:
            array[where] += added
        elif array.ndim == 1 or (dim == 0 and _few(positions)):
            np.add.at(array, where, added)
        else:
            _add_rows(array, dim, positions, added)

    fields = {"dim": dim, "saved": (index,), "alpha": alpha, "shape": source._array.shape}
    return write, (input, source), IndexAddBackward0, fields


def _few(positions: np.ndarray) -> bool:
    return positions.size <= 8


def _add_rows(array: np.ndarray, dim: int, positions: np.ndarray, added: np.ndarray) -> None:
    if dim and added.size and array.dtype.char in "fd":
        where = positions.astype(np.int64, copy=False).reshape(-1, *(1,) * (array.ndim - 1 - dim))
        K.scatter_add(array, c_order(np.broadcast_to(where, added.shape)), c_order(added), dim)
    elif added.size:
        moved = np.moveaxis(array, dim, 0)
        rows = c_order(np.moveaxis(added, dim, 0)).reshape(positions.size, -1)
        moved += K.embedding_backward(rows, positions, moved.shape[0]).reshape(moved.shape)


def _check_slices(op_name: str, input: Tensor, dim: int, positions: np.ndarray, source: Tensor) -> None:
    shape = list(input._array.shape)
    if not shape:
        if source._array.size != positions.size:
            raise RuntimeError(
                f"{op_name}_(): Number of indices ({positions.size}) should be equal to source.size(dim) "
                f"({source._array.size}), for dim = {dim}"
            )
        return
    if source._array.ndim == 0 and len(shape) == 1 and positions.size == 1:
        return
    shape[dim] = positions.size
    if list(source._array.shape) != shape:
        raise RuntimeError(
            f"{op_name}_(): source tensor shape must match self tensor shape, excluding the specified "
            "dimension: "
            f"expected {shape}, got self.shape = {list(input.shape)} source.shape = {list(source.shape)}"
        )


class IndexCopyBackward0(PlacedNode):
    def backward(self, grad):
        to_self, to_source = self.edges
        return (
            None if to_self is None else index_fill(grad, self.dim, self.index, 0),
            None if to_source is None else reshape(index_select(grad, self.dim, self.index), self.shape),
        )


@mutator(
    "index_copy",
    """A tensor with slices of another written at given positions of a dimension.

    Args:
        input: a tensor.
        dim: the dimension.
        index: a vector of positions.
        source: one slice for each position.
    Raises:
        IndexError: a position is out of range. RuntimeError: shapes or types don't fit.""",
    ("torch.zeros(3).index_copy(0, torch.tensor([1]), torch.ones(1))", "tensor([0., 1., 0.])"),
)
def index_copy(input, dim, index, source):
    dim, positions = index_line("index_copy", input, dim, index)
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            f"index_copy_(): self and source expected to have the same dtype, but got (self) {input.dtype} "
            "and "
            f"(source) {source.dtype}"
        )
    _check_slices("index_copy", input, dim, positions, source)

    def write(array):
        array, where = at_positions(array, dim, positions)
        array[where] = source._array

    fields = {"dim": dim, "saved": (index,), "shape": source._array.shape}
    return write, (input, source), IndexCopyBackward0, fields


class IndexFillBackward0(PlacedNode):
    def backward(self, grad):
        to_self = self.edges[0]
        kept = None if to_self is None else index_fill(grad, self.dim, self.index, 0)
        if len(self.edges) == 1:
            return kept
        if self.edges[1] is None:
            return kept, None
        return kept, index_select(grad, self.dim, self.index.unique()).sum()  # repeated positions count once


class IndexFillBackward1(IndexFillBackward0):
    pass


@mutator(
    "index_fill",
    """A tensor with one value written at given positions of a dimension.

    Args:
        input: a tensor.
        dim: the dimension.
        index: a vector of positions.
        value: a number, or a tensor that holds one.
    Raises:
        IndexError: a position is out of range.""",
    ("torch.zeros(3).index_fill(0, torch.tensor([1]), 5)", "tensor([0., 5., 0.])"),
)
def index_fill(input, dim, index, value):
    dim, positions = index_line("index_fill", input, dim, index)
    number, tensors = fill_number("index_fill_", value)

    def write(array):
        array, where = at_positions(array, dim, positions)
        array[where] = number

    node_type = IndexFillBackward1 if tensors else IndexFillBackward0
    return write, (input, *tensors), node_type, {"dim": dim, "saved": (index,)}


class IndexPutBackward0(PlacedNode):
    def backward(self, grad):
        self.unpack()
        to_self, to_values = self.edges
        kept = given = None
        if to_self is not None:
            kept = grad
            if not self.accumulate:
                kept = index_put(grad, self.indices, grad.new_zeros(()))
        if to_values is not None:
            given = fitted(getitem(grad, self.indices), self.shape)
        return kept, given


@mutator(
    "index_put",
    """A tensor with values written at `input[indices]`.

    Args:
        input: a tensor.
        indices: a tuple of index tensors (or None), as between brackets.
        values: a tensor that broadcasts to the indexed shape.
        accumulate: add the values instead, also at repeated positions.
    Raises:
        IndexError: an index is out of range. RuntimeError: types don't fit.""",
    ("torch.zeros(3).index_put((torch.tensor([1]),), torch.ones(1))", "tensor([0., 1., 0.])"),
)
def index_put(input, indices, values, accumulate=False):
    if input._array.dtype != values._array.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {SCALAR_NAMES[input.dtype]} "
            "for the "
            f"destination and {SCALAR_NAMES[values.dtype]} for the source."
        )
    indices = tuple(slice(None) if i is None else i for i in indices)
    basic, where = parse(input._array.shape, indices)

    def write(array):
        target = array[basic]
        place = ... if where is None else where
        try:
            if accumulate:
                np.add.at(target, place, values._array)
            else:
                target[place] = values._array
        except ValueError:
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing "
                "result of "
                f"shape {list(target[place].shape)}"
            ) from None
        except IndexError as error:
            raise IndexError(str(error).replace("for axis", "for dimension")) from None

    fields = {"indices": indices, "accumulate": accumulate, "shape": values._array.shape}
    fields["saved"] = tuple(i for i in indices if isinstance(i, Tensor))
    return write, (input, values), IndexPutBackward0, fields


# -- flat positions ---------------------------------------------------------------------------------


def _flat(op_name: str, input: Tensor, index) -> np.ndarray:
    if isinstance(index, Tensor) and index._array.dtype != np.int64:
        raise RuntimeError(
            f"{op_name}(): Expected a long tensor for index, but got {SCALAR_NAMES[index.dtype]}"
        )
    positions, size = index_positions(op_name, index), input._array.size

    def error(bad):
        return IndexError(
            f"out of range: tried to access index {bad} on a tensor of {size} elements. ({op_name})"
        )

    wrapped = np.where(positions < 0, positions + size, positions)
    check_bounds(wrapped, size, error)
    return wrapped


class TakeBackward0(PlacedNode):
    def backward(self, grad):
        return put(grad.new_zeros(self.shape), self.index, grad, True)


@op()
def take(input, index, *, out=None):
    """The elements at flat positions.

    Args:
        input: a tensor, seen as a vector.
        index: positions, which may be negative.
    Returns:
        A tensor of the index's shape.
    Raises:
        IndexError: a position is out of range.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).take(torch.tensor([0, 3]))
    tensor([1, 4])
    """
    positions = _flat("take", check_tensor("take", input), index)
    found = input._array.reshape(-1)[positions]
    if input._rg and MODE.enabled:
        return write_out(
            record(np.asanyarray(found), TakeBackward0, (input,), index, shape=input._array.shape),
            out,
            exact=True,
        )
    return write_out(wrap(found), out, exact=True)


class PutBackward0(PlacedNode):
    def backward(self, grad):
        to_self, to_source = self.edges
        kept = given = None
        if to_self is not None:
            kept = grad if self.accumulate else put(grad, self.index, grad.new_zeros(self.index.shape))
        if to_source is not None:
            given = reshape(take(grad, self.index), self.shape)
        return kept, given


@mutator(
    "put",
    """A tensor with values written at flat positions.

    Args:
        input: a tensor, seen as a vector.
        index: positions.
        source: as many values.
        accumulate: add the values instead, also at repeated positions.
    Raises:
        IndexError: a position is out of range. RuntimeError: numbers or types don't fit.""",
    ("torch.zeros(2).put(torch.tensor([1]), torch.ones(1))", "tensor([0., 1.])"),
)
def put(input, index, source, accumulate=False):
    positions = _flat("put_", input, index)
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = {input.dtype} "
            "and "
            f"source.dtype = {source.dtype}"
        )
    if positions.size != source._array.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() "
            "= "
            f"{source._array.size}, index.numel() = {positions.size}"
        )

    def write(array):
        if not positions.size:
            return
        where = np.unravel_index(positions.reshape(-1), array.shape) if array.ndim else (...,)
        if accumulate:
            np.add.at(array, where, source._array.reshape(-1) if array.ndim else source._array.sum())
        else:
            array[where] = source._array.reshape(-1) if array.ndim else source._array.reshape(-1)[-1]

    fields = {"saved": (index,), "accumulate": accumulate, "shape": source._array.shape}
    return write, (input, source), PutBackward0, fields
