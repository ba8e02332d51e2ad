"""Selecting, writing and adding at positions: index_select, gather, scatter, masks, embedding, unique."""

import builtins
import warnings

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node, connect
from rushlight.autograd.views import after, before, check_writable
from rushlight.dtypes import SCALAR_NAMES
from rushlight.ops.common import (
    MODE,
    Tensor,
    broadcast_error,
    check_tensor,
    record,
    recording,
    sum_to,
    wrap,
    write_out,
)
from rushlight.ops.indexing import fitted, getitem, parse
from rushlight.ops.registry import op
from rushlight.ops.shape import embed, reshape, unsqueeze
from rushlight.tensor import check_dim

# -- helpers ----------------------------------------------------------------------------------------


def _mutator(name: str, doc: str, example: str):
    """Define a function and its in-place form from what is to be written.

    The decorated function checks the arguments and returns what to do: (write, inputs, node type, saved
    fields). `write(array)` changes an array in place; the first input is the tensor that is changed.
    """

    def decorate(prepare):
        def function(input, *args, out=None, **kwargs):
            check_tensor(name, input)
            write, inputs, node_type, fields = prepare(input, *args, **kwargs)
            array = input._array.copy(order="K")
            write(array)
            if recording(*inputs):
                result = record(array, node_type, inputs, **fields)
            else:
                result = wrap(array)
            if input._format is not None:
                result._format = input._format
            return result if out is None else write_out(result, out)

        def function_(self, *args, **kwargs):
            check_writable(self)
            write, inputs, node_type, fields = prepare(before(self), *args, **kwargs)
            node = None
            if recording(*inputs):
                node = connect(node_type(), inputs)
                node.__dict__.update(fields)
            write(self._array)
            return after(self, node)

        function.__name__ = function.__qualname__ = name
        function_.__name__ = function_.__qualname__ = name + "_"
        function.__doc__ = f"""{doc}

    >>> import rushlight as torch
    >>> {example[0]}
    {example[1]}
    """
        function_.__doc__ = f"In-place form of `{name}`: writes the result into this tensor and returns it."
        op(name=name, inplace=function_)(function)
        return function

    return decorate


def _bounds(index: np.ndarray, size: int, message) -> None:
    """Refuse positions outside 0 … size - 1."""
    if index.size:
        unsigned = index.view(np.uint64 if index.itemsize == 8 else np.uint32)
        if int(unsigned.max()) >= size:
            bad = index[(index < 0) | (index >= size)].flat[0]
            raise message(int(bad))


def _positions(op_name: str, index, kinds=(np.int64, np.int32)) -> np.ndarray:
    """The array of an index tensor, of a type that may index."""
    if not isinstance(index, Tensor):
        raise TypeError(f"{op_name}(): argument 'index' (position 2) must be Tensor, not {type(index).__name__}")
    if index._array.dtype not in kinds:
        raise RuntimeError(f"{op_name}(): Expected dtype int32/int64 for index, got {index.dtype}")
    return index._array


def _line(op_name: str, input: Tensor, dim: int, index) -> tuple[int, np.ndarray]:
    """The dimension and the positions, of a vector, that an op works along."""
    array = _positions(op_name, index)
    if array.ndim > 1:
        raise IndexError(f"{op_name}(): Index is supposed to be a vector, got shape {list(array.shape)}")
    shape = input._array.shape
    dim = check_dim(dim, len(shape))
    size = shape[dim] if shape else 1
    array = array.reshape(-1)

    def error(bad):
        return IndexError(f"index out of range in self: {op_name} got index {bad} for dimension {dim} of size {size}")

    _bounds(array, size, error)
    return dim, array


def _same_dtype(op_name: str, input: Tensor, other: Tensor, what: str) -> None:
    if input._array.dtype != other._array.dtype:
        raise RuntimeError(
            f"{op_name}(): Expected self.dtype to be equal to {what}.dtype, got {input.dtype} and {other.dtype}"
        )


def _at(array: np.ndarray, dim: int, index: np.ndarray) -> tuple[np.ndarray, tuple]:
    """The array, with one dimension at least, and where positions along one dimension are in it."""
    if array.ndim == 0:
        return array.reshape(1), (index,)
    return array, (*(slice(None),) * dim, index)


# -- along one dimension ----------------------------------------------------------------------------


class IndexSelectBackward0(Node):
    def backward(self, grad):
        return grad.new_zeros(self.shape).index_add(self.dim, self.index, grad)


@op()
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
    dim, positions = _line("index_select", check_tensor("index_select", input), dim, index)
    array = input._strided()
    if array.ndim == 0:
        found = array.reshape(1).take(positions).reshape(())
    elif array.flags.c_contiguous:
        found = array.take(positions, dim)
    else:
        found = np.ascontiguousarray(array[(*(slice(None),) * dim, positions)])
    if input._rg and MODE.enabled:
        result = record(found, IndexSelectBackward0, (input,), dim=dim, index=index, shape=array.shape)
    else:
        result = wrap(found)
    return result if out is None else write_out(result, out)


class IndexAddBackward0(Node):
    def backward(self, grad):
        to_self, to_source = self.edges
        given = None
        if to_source is not None:
            given = reshape(index_select(grad, self.dim, self.index), self.shape)
            given = given if self.alpha == 1 else given * self.alpha
        return None if to_self is None else grad, given


@_mutator(
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
    dim, positions = _line("index_add", input, dim, index)
    _same_dtype("index_add", input, source, "source")
    _check_slices("index_add", input, dim, positions, source)
    added = source._array if alpha == 1 else source._array * np.asarray(alpha, source._array.dtype)

    def write(array):
        array, where = _at(array, dim, positions)
        if added.ndim == 0:
            array[where] += added
        elif array.ndim == 1 or (dim == 0 and _few(positions)):
            np.add.at(array, where, added)
        else:
            _add_rows(array, dim, positions, added)

    fields = {"dim": dim, "index": index, "alpha": alpha, "shape": source._array.shape}
    return write, (input, source), IndexAddBackward0, fields


def _few(positions: np.ndarray) -> bool:
    return positions.size <= 8


def _add_rows(array: np.ndarray, dim: int, positions: np.ndarray, added: np.ndarray) -> None:
    moved = np.moveaxis(array, dim, 0)
    rows = np.ascontiguousarray(np.moveaxis(added, dim, 0)).reshape(positions.size, -1)
    if rows.size:
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
            f"{op_name}_(): source tensor shape must match self tensor shape, excluding the specified dimension: "
            f"expected {shape}, got self.shape = {list(input.shape)} source.shape = {list(source.shape)}"
        )


class IndexCopyBackward0(Node):
    def backward(self, grad):
        to_self, to_source = self.edges
        return (
            None if to_self is None else index_fill(grad, self.dim, self.index, 0),
            None if to_source is None else reshape(index_select(grad, self.dim, self.index), self.shape),
        )


@_mutator(
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
    dim, positions = _line("index_copy", input, dim, index)
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            f"index_copy_(): self and source expected to have the same dtype, but got (self) {input.dtype} and "
            f"(source) {source.dtype}"
        )
    _check_slices("index_copy", input, dim, positions, source)

    def write(array):
        array, where = _at(array, dim, positions)
        array[where] = source._array

    fields = {"dim": dim, "index": index, "shape": source._array.shape}
    return write, (input, source), IndexCopyBackward0, fields


class IndexFillBackward0(Node):
    def backward(self, grad):
        to_self = self.edges[0]
        kept = None if to_self is None else index_fill(grad, self.dim, self.index, 0)
        if len(self.edges) == 1:
            return kept
        return kept, None if self.edges[1] is None else index_select(grad, self.dim, self.index).sum()


class IndexFillBackward1(IndexFillBackward0):
    pass


def _value(op_name: str, value):
    """A number, or a tensor without dimensions, as (array to write, tensor that may need a gradient)."""
    if isinstance(value, Tensor):
        if value._array.ndim:
            raise RuntimeError(
                f"{op_name} only supports a 0-dimensional value tensor, but got tensor with {value._array.ndim} "
                "dimension(s)."
            )
        return value._array, (value,)
    if not isinstance(value, (bool, int, float, complex, np.number, np.bool_)):
        raise TypeError(f"{op_name}: expected a number or a Tensor for value, got {type(value).__name__}")
    return value, ()


@_mutator(
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
    dim, positions = _line("index_fill", input, dim, index)
    number, tensors = _value("index_fill_", value)

    def write(array):
        array, where = _at(array, dim, positions)
        array[where] = number

    node_type = IndexFillBackward1 if tensors else IndexFillBackward0
    return write, (input, *tensors), node_type, {"dim": dim, "index": index}


class IndexPutBackward0(Node):
    def backward(self, grad):
        to_self, to_values = self.edges
        kept = given = None
        if to_self is not None:
            kept = grad
            if not self.accumulate:
                kept = index_put(grad, self.indices, grad.new_zeros(()))
        if to_values is not None:
            given = fitted(getitem(grad, self.indices), self.shape)
        return kept, given


@_mutator(
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
            f"Index put requires the source and destination dtypes match, got {SCALAR_NAMES[input.dtype]} for the "
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
                f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of "
                f"shape {list(target[place].shape)}"
            ) from None
        except IndexError as error:
            raise IndexError(str(error).replace("for axis", "for dimension")) from None

    fields = {"indices": indices, "accumulate": accumulate, "shape": values._array.shape}
    return write, (input, values), IndexPutBackward0, fields


# -- gather and scatter -----------------------------------------------------------------------------


def _grid(index: np.ndarray, dim: int) -> tuple:
    """Where gather and scatter read or write: the index along `dim`, an element's own place elsewhere."""
    rank = index.ndim
    where = []
    for d in range(rank):
        if d == dim:
            where.append(index)
        else:
            where.append(np.arange(index.shape[d]).reshape((-1,) + (1,) * (rank - 1 - d)))
    return tuple(where)


def _scatter_index(op_name: str, input: Tensor, dim: int, index, source: Tensor | None) -> tuple:
    """The checked dimension and index array of gather and scatter; numbers as vectors of one element."""
    positions = _positions(op_name, index)
    shape = input._array.shape
    dim = check_dim(dim, len(shape))
    if max(positions.ndim, 1) != max(len(shape), 1) and positions.size:
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as {'input' if source is None else 'self'} tensor: "
            f"{op_name} got index {list(index.shape)} and {list(shape)}"
        )
    full = shape or (1,)
    positions = positions.reshape(positions.shape or (1,))
    if positions.size:
        for d, (n, m) in enumerate(zip(positions.shape, full, strict=True)):
            if d != dim and n > m:
                raise RuntimeError(
                    f"Size does not match at dimension {d} expected index {list(index.shape)} to be no larger than self "
                    f"{list(shape)} apart from dimension {dim} ({op_name})"
                )
    if source is not None and positions.size:
        given = source._array.shape or (1,)
        if len(given) != positions.ndim or builtins.any(n > m for n, m in zip(positions.shape, given, strict=True)):
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(shape)} apart from dimension {dim} "
                f"and to be no larger size than src {list(source.shape)} ({op_name})"
            )

    def error(bad):
        return RuntimeError(f"index {bad} is out of bounds for dimension {dim} with size {full[dim]} ({op_name})")

    _bounds(positions, full[dim], error)
    return dim, positions


def _source_part(source: Tensor, positions: np.ndarray) -> np.ndarray:
    array = source._array.reshape(source._array.shape or (1,))
    return array if array.shape == positions.shape else array[tuple(slice(n) for n in positions.shape)]


def _source_grad(part: Tensor, shape: tuple) -> Tensor:
    """The gradient of a scattered source, of which only the corner that the index covers was used."""
    if part._array.shape == shape:
        return part
    if not shape or not part._array.ndim:
        return reshape(part, shape)
    where = tuple(slice(n) for n in part._array.shape)
    return embed(part, shape, lambda a: a[where])


class GatherBackward0(Node):
    def backward(self, grad):
        return scatter_add(grad.new_zeros(self.shape), self.dim, self.index, grad)


@op()
def gather(input, dim, index, *, sparse_grad=False, out=None):
    """The elements that an index tensor names along one dimension: out[i][j] = input[index[i][j]][j] for dim 0.

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
    dim, positions = _scatter_index("gather", check_tensor("gather", input), dim, index, None)
    array = input._array
    if positions.size:
        found = array.reshape(array.shape or (1,))[_grid(positions, dim)].reshape(index._array.shape)
        found = np.ascontiguousarray(found).reshape(index._array.shape)
    else:
        found = np.empty(index._array.shape, array.dtype)
    if input._rg and MODE.enabled:
        return write_out(record(found, GatherBackward0, (input,), dim=dim, index=index, shape=array.shape), out)
    return write_out(wrap(found), out)


class ScatterBackward0(Node):
    def backward(self, grad):
        to_self, to_source = self.edges
        return (
            None if to_self is None else scatter(grad, self.dim, self.index, 0),
            None if to_source is None else _source_grad(gather(grad, self.dim, self.index), self.shape),
        )


class ScatterBackward1(Node):
    def backward(self, grad):
        return scatter(grad, self.dim, self.index, 0)


class NotImplementedBackward(Node):
    """A result that PyTorch has no derivative for either."""

    def backward(self, grad):
        raise RuntimeError(f"derivative for {self.what} is not implemented; use scatter_reduce instead")


_REDUCE = {"add": np.add, "multiply": np.multiply}


@_mutator(
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
    dim, positions = _scatter_index("scatter", input, dim, index, tensor)
    if tensor is not None:
        _same_dtype("scatter", input, tensor, "src")
    elif not isinstance(source, (bool, int, float, complex, np.number, np.bool_)):
        raise TypeError(f"scatter(): expected a Tensor or a number for src, got {type(source).__name__}")
    if reduce is not None and reduce not in _REDUCE:
        raise RuntimeError("reduce argument must be either add or multiply.")
    if reduce is not None and tensor is not None:
        warnings.warn(
            "The reduce argument of torch.scatter with Tensor src is deprecated and will be removed in a future PyTorch "
            "release. Use torch.scatter_reduce instead for more reduction options.",
            stacklevel=3,
        )

    def write(array):
        if not positions.size:
            return
        target = array.reshape(array.shape or (1,))
        given = source if tensor is None else _source_part(tensor, positions)
        if reduce is None:
            target[_grid(positions, dim)] = given
        else:
            _REDUCE[reduce].at(target, _grid(positions, dim), np.asarray(given, array.dtype))

    fields = {"dim": dim, "index": index}
    if reduce is not None:
        return write, (input,) if tensor is None else (input, tensor), NotImplementedBackward, {"what": "scatter with reduce"}
    if tensor is None:
        return write, (input,), ScatterBackward1, fields
    return write, (input, tensor), ScatterBackward0, {**fields, "shape": tensor._array.shape}


class ScatterAddBackward0(Node):
    def backward(self, grad):
        to_self, to_source = self.edges
        return (
            None if to_self is None else grad,
            None if to_source is None else _source_grad(gather(grad, self.dim, self.index), self.shape),
        )


@_mutator(
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
    dim, positions = _scatter_index("scatter_add", input, dim, index, check_tensor("scatter_add", src, "src", 4))
    _same_dtype("scatter", input, src, "src")

    def write(array):
        if positions.size:
            _add_at(array.reshape(array.shape or (1,)), _grid(positions, dim), _source_part(src, positions))

    fields = {"dim": dim, "index": index, "shape": src._array.shape}
    return write, (input, src), ScatterAddBackward0, fields


def _add_at(array: np.ndarray, where: tuple, values: np.ndarray) -> None:
    """Add values at places that may repeat; NumPy is quick at it in one dimension only."""
    if array.ndim > 1 and array.flags.c_contiguous:
        flat = np.ravel_multi_index(np.broadcast_arrays(*where), array.shape)
        np.add.at(array.reshape(-1), flat.reshape(-1), np.ascontiguousarray(values).reshape(-1))
    else:
        np.add.at(array, where, values)


class ScatterReduceBackward0(Node):
    """The gradient of a reduction flows as from the same reduction over all that met at a place."""

    def backward(self, grad):
        x, source, result = self.unpack()
        if MODE.enabled:
            result = scatter_reduce(x, self.dim, self.index, source, self.reduce, include_self=self.include_self)
        to_self, to_source = self.edges
        shares = getattr(self, "_" + self.reduce)(grad, x, source, result)
        kept, given = shares
        if not self.include_self:
            kept = scatter(kept, self.dim, self.index, 0)
        return None if to_self is None else kept, None if to_source is None else _source_grad(given, self.shape)

    def _sum(self, grad, x, source, result):
        return grad, gather(grad, self.dim, self.index)

    def _mean(self, grad, x, source, result):
        ones = x.new_ones(x.shape) if self.include_self else x.new_zeros(x.shape)
        used = source.new_ones(self.index.shape)
        count = scatter_add(ones, self.dim, self.index, used)
        count = count.masked_fill(count == 0, 1)
        return grad / count, gather(grad / count, self.dim, self.index)

    def _prod(self, grad, x, source, result):
        flat = grad * result
        if bool((x == 0).any()) or bool((source == 0).any()):
            return self._prod_with_zeros(grad, x, source)
        part = _corner(source, self.index)
        return flat / x, gather(flat, self.dim, self.index) / part

    def _prod_with_zeros(self, grad, x, source):
        """Where zeros meet, the gradient is the product of all others, which is not zero for a single zero."""
        part = _corner(source, self.index)
        own_zero, part_zero = (x == 0), (part == 0)
        zeros = own_zero.to(x.dtype) if self.include_self else x.new_zeros(x.shape)
        zeros = scatter_add(zeros, self.dim, self.index, part_zero.to(x.dtype))
        start = x.masked_fill(own_zero, 1) if self.include_self else x.new_ones(x.shape)
        others = scatter_reduce(start, self.dim, self.index, part.masked_fill(part_zero, 1), "prod")
        none, one = (zeros == 0).to(x.dtype), (zeros == 1).to(x.dtype)
        kept = grad * others * (none / x.masked_fill(own_zero, 1)).masked_fill(own_zero, 0) + grad * others * (
            one * own_zero.to(x.dtype)
        )
        at = lambda t: gather(t, self.dim, self.index)  # noqa: E731
        given = at(grad * others * none) / part.masked_fill(part_zero, 1) + at(grad * others * one) * part_zero.to(x.dtype)
        return kept, given

    def _amax(self, grad, x, source, result):
        part = _corner(source, self.index)
        own = (x == result).to(x.dtype)
        theirs = (part == gather(result, self.dim, self.index)).to(x.dtype)
        ties = scatter_add(own if self.include_self else x.new_zeros(x.shape), self.dim, self.index, theirs)
        if not self.include_self:
            untouched = scatter(x.new_ones(x.shape), self.dim, self.index, 0)
            ties = ties + untouched
            own = untouched
        share = grad / ties
        return share * own, gather(share, self.dim, self.index) * theirs

    _amin = _amax


def _corner(source: Tensor, index: Tensor) -> Tensor:
    """The part of a source that an index covers."""
    shape = index._array.shape
    return source if source._array.shape == shape else source[tuple(slice(n) for n in shape)]


_REDUCTIONS = {"sum": (np.add, 0), "prod": (np.multiply, 1), "mean": (np.add, 0), "amax": (np.maximum, None), "amin": (np.minimum, None)}  # fmt: skip


def _scatter_reduced(array, dim, positions, part, reduce, include_self) -> None:
    ufunc, neutral = _REDUCTIONS[reduce]
    where = _grid(positions, dim)
    if not include_self:
        array[where] = part if neutral is None else neutral
    ufunc.at(array, where, part)
    if reduce == "mean":
        count = np.ones(array.shape, np.int64) if include_self else np.zeros(array.shape, np.int64)
        np.add.at(count, where, 1)
        count = np.maximum(count, 1)
        array[...] = array // count if array.dtype.kind in "iu" else array / count.astype(array.dtype)


def _scatter_reduce_parts(input, dim, index, src, reduce, include_self):
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    dim, positions = _scatter_index("scatter_reduce", input, dim, index, check_tensor("scatter_reduce", src, "src", 4))
    _same_dtype("scatter", input, src, "src")
    return dim, positions


def _scatter_reduce_in_place(self, dim, index, src, reduce, *, include_self=True):
    """In-place form of `scatter_reduce`."""
    from rushlight.autograd.views import assign

    check_writable(self)
    old = before(self)
    if old is not self:  # its values are needed again in the backward pass
        old._array, old._vc = old._array.copy(), None
    return assign(self, scatter_reduce(old, dim, index, src, reduce, include_self=include_self))


@op(inplace=_scatter_reduce_in_place)
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True, out=None):
    """A tensor with values combined where an index tensor says.

    Args:
        input: a tensor.
        dim: the dimension.
        index: positions along it, in a tensor with as many dimensions that is nowhere else larger.
        src: a tensor at least as large as the index.
        reduce: "sum", "prod", "mean", "amax" or "amin".
        include_self: whether what is there takes part.
    Raises:
        RuntimeError: shapes or types don't fit, or a position is out of range.

    >>> import rushlight as torch
    >>> torch.zeros(2).scatter_reduce(0, torch.tensor([1, 1]), torch.tensor([2.0, 3.0]), "amax")
    tensor([0., 3.])
    """
    dim, positions = _scatter_reduce_parts(input, dim, index, src, reduce, include_self)
    array = input._array.copy()
    if positions.size:
        _scatter_reduced(
            array.reshape(array.shape or (1,)), dim, positions, _source_part(src, positions), reduce, include_self
        )
    if not recording(input, src):
        return write_out(wrap(array), out)
    saved = (input, src, wrap(array.copy()))
    fields = {"dim": dim, "index": index, "reduce": reduce, "include_self": include_self, "shape": src._array.shape}
    return write_out(record(array, ScatterReduceBackward0, (input, src), *saved, **fields), out)


# -- flat positions ---------------------------------------------------------------------------------


def _flat(op_name: str, input: Tensor, index) -> np.ndarray:
    if isinstance(index, Tensor) and index._array.dtype != np.int64:
        raise RuntimeError(f"{op_name}(): Expected a long tensor for index, but got {SCALAR_NAMES[index.dtype]}")
    positions, size = _positions(op_name, index), input._array.size

    def error(bad):
        return IndexError(f"out of range: tried to access index {bad} on a tensor of {size} elements. ({op_name})")

    wrapped = np.where(positions < 0, positions + size, positions)
    _bounds(wrapped, size, error)
    return wrapped


class TakeBackward0(Node):
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
        return write_out(record(np.asarray(found), TakeBackward0, (input,), index=index, shape=input._array.shape), out)
    return write_out(wrap(found), out)


class PutBackward0(Node):
    def backward(self, grad):
        to_self, to_source = self.edges
        kept = given = None
        if to_self is not None:
            kept = grad if self.accumulate else put(grad, self.index, grad.new_zeros(self.index.shape))
        if to_source is not None:
            given = reshape(take(grad, self.index), self.shape)
        return kept, given


@_mutator(
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
            f"put_(): self and source expected to have the same dtype, but got self.dtype = {input.dtype} and "
            f"source.dtype = {source.dtype}"
        )
    if positions.size != source._array.size:
        raise IndexError(
            f"put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source._array.size}, index.numel() = {positions.size}"
        )

    def write(array):
        where = np.unravel_index(positions.reshape(-1), array.shape) if array.ndim else (...,)
        if accumulate:
            np.add.at(array, where, source._array.reshape(-1) if array.ndim else source._array.sum())
        else:
            array[where] = source._array.reshape(-1) if array.ndim else source._array.reshape(-1)[-1]

    fields = {"index": index, "accumulate": accumulate, "shape": source._array.shape}
    return write, (input, source), PutBackward0, fields


@op()
def take_along_dim(input, indices, dim=None, *, out=None):
    """`gather`, with input and indices broadcast against each other in the other dimensions.

    >>> import rushlight as torch
    >>> torch.tensor([[3, 1, 2]]).take_along_dim(torch.tensor([[1]]), 1)
    tensor([[1]])
    """
    check_tensor("take_along_dim", input)
    if indices._array.dtype != np.int64:
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {SCALAR_NAMES[indices.dtype]}")
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
    indices = indices.expand(both)
    both[dim] = shape[dim]
    return gather(input.expand(both), dim, indices, out=out)


# -- masks ------------------------------------------------------------------------------------------


def _mask(op_name: str, mask) -> np.ndarray:
    if not isinstance(mask, Tensor):
        raise TypeError(f"{op_name}(): argument 'mask' (position 1) must be Tensor, not {type(mask).__name__}")
    if mask._array.dtype != np.bool_:
        raise RuntimeError(f"{op_name} only supports boolean masks, but got mask with dtype {mask.dtype}. Use mask.bool().")
    return mask._array


class MaskedFillBackward0(Node):
    def backward(self, grad):
        to_self = self.edges[0]
        kept = None if to_self is None else sum_to(masked_fill(grad, self.mask, 0), self.shape)
        if len(self.edges) == 1:
            return kept
        zero = grad.new_zeros(())
        return kept, None if self.edges[1] is None else grad.where(self.mask, zero).sum()


class MaskedFillBackward1(MaskedFillBackward0):
    pass


def _fill_masked(array: np.ndarray, mask: np.ndarray, number) -> None:
    with np.errstate(all="ignore"):
        if isinstance(number, np.ndarray):
            number = number.astype(array.dtype)
        np.copyto(array, number, where=mask, casting="unsafe")


def _masked_fill_args(input, mask, value):
    chosen = _mask("masked_fill", mask)
    if isinstance(value, Tensor) and value._array.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value._array.ndim} dimension(s)."
        )
    number, tensors = _value("masked_fill", value)
    kind = input._array.dtype.kind
    if kind in "iu" and isinstance(number, float) and not np.isfinite(number):
        raise RuntimeError(f"value cannot be converted to type {input.dtype} without overflow")
    if kind != "c" and isinstance(number, complex):
        raise RuntimeError(f"value cannot be converted to type {input.dtype} without overflow")
    return chosen, number, tensors


def _masked_fill_in_place(self, mask, value):
    """In-place form of `masked_fill`."""
    check_writable(self)
    chosen, number, tensors = _masked_fill_args(self, mask, value)
    node = None
    if recording(self, *tensors):
        node = connect(MaskedFillBackward1() if tensors else MaskedFillBackward0(), (before(self), *tensors))
        node.mask, node.shape = mask, self._array.shape
    try:
        _fill_masked(self._array, chosen, number)
    except ValueError:
        raise _masked_error(self._array.shape, chosen.shape) from None
    return after(self, node)


def _masked_error(shape: tuple, mask: tuple) -> RuntimeError:
    try:
        both = np.broadcast_shapes(shape, mask)
    except ValueError:
        return broadcast_error("masked_fill_", shape, mask)
    return RuntimeError(f"output with shape {list(shape)} doesn't match the broadcast shape {list(both)} (masked_fill_)")


@op(inplace=_masked_fill_in_place)
def masked_fill(input, mask, value, *, out=None):
    """A tensor with one value where the mask is True.

    Args:
        input: a tensor.
        mask: truth values, whose shape broadcasts with the input's.
        value: a number, or a tensor that holds one.
        out: where to put the result.
    Raises:
        RuntimeError: the mask is not of truth values, or shapes don't broadcast.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).masked_fill(torch.tensor([True, False]), 0)
    tensor([0, 2])
    """
    chosen, number, tensors = _masked_fill_args(check_tensor("masked_fill", input), mask, value)
    array = input._array
    if chosen.shape == array.shape or chosen.ndim <= array.ndim:
        found = array.copy(order="K")
    else:
        found = None
    try:
        if found is not None:
            _fill_masked(found, chosen, number)
    except ValueError:
        found = None
    if found is None:
        try:
            found = np.broadcast_to(array, np.broadcast_shapes(array.shape, chosen.shape)).copy()
        except ValueError:
            raise broadcast_error("masked_fill", array.shape, chosen.shape) from None
        _fill_masked(found, chosen, number)
    if recording(input, *tensors):
        node_type = MaskedFillBackward1 if tensors else MaskedFillBackward0
        return write_out(record(found, node_type, (input, *tensors), mask=mask, shape=array.shape), out)
    return write_out(wrap(found), out)


class MaskedSelectBackward0(Node):
    def backward(self, grad):
        zeros = grad.new_zeros(self.full)
        return sum_to(masked_scatter(zeros, self.mask, grad), self.shape)


@op()
def masked_select(input, mask, *, out=None):
    """The elements where the mask is True, as a vector.

    Args:
        input: a tensor.
        mask: truth values, whose shape broadcasts with the input's.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).masked_select(torch.tensor([True, False]))
    tensor([1])
    """
    array, chosen = check_tensor("masked_select", input)._array, mask._array
    if chosen.dtype != np.bool_:
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, got {mask.dtype}")
    try:
        shape = np.broadcast_shapes(array.shape, chosen.shape)
    except ValueError:
        raise broadcast_error("masked_select", array.shape, chosen.shape) from None
    found = np.broadcast_to(array, shape)[np.broadcast_to(chosen, shape)]
    if input._rg and MODE.enabled:
        fields = {"mask": mask, "shape": array.shape, "full": shape}
        return write_out(record(found, MaskedSelectBackward0, (input,), **fields), out)
    return write_out(wrap(found), out)


class MaskedScatterBackward0(Node):
    def backward(self, grad):
        to_self, to_source = self.edges
        kept = given = None
        if to_self is not None:
            kept = masked_fill(grad, self.mask, 0)
        if to_source is not None:
            taken = masked_select(grad, self.mask)
            count, size = taken._array.size, int(np.prod(self.shape))
            given = reshape(embed(taken, (size,), lambda a: a[:count]), self.shape)
        return kept, given


@_mutator(
    "masked_scatter",
    """A tensor with values of another, in order, where the mask is True.

    Args:
        input: a tensor.
        mask: truth values, whose shape broadcasts with the input's.
        source: at least as many values as the mask has True.
    Raises:
        RuntimeError: types don't fit, or there are too few values.""",
    ("torch.zeros(3).masked_scatter(torch.tensor([True, False, True]), torch.tensor([1.0, 2.0]))",
     "tensor([1., 0., 2.])"),
)  # fmt: skip
def masked_scatter(input, mask, source):
    chosen = mask._array
    if chosen.dtype != np.bool_:
        raise RuntimeError(f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype}")
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got "
            f"{SCALAR_NAMES[input.dtype]} and {SCALAR_NAMES[source.dtype]}"
        )
    full = np.broadcast_to(chosen, np.broadcast_shapes(chosen.shape, input._array.shape))
    count = int(np.count_nonzero(full))
    if count > source._array.size:
        raise RuntimeError(
            f"Number of elements of source < number of ones in mask: got {source._array.size} and {count}"
        )

    def write(array):
        if array.shape != full.shape:
            raise broadcast_error("masked_scatter", array.shape, full.shape)
        array[full] = source._array.reshape(-1)[:count]

    fields = {"mask": mask, "shape": source._array.shape}
    return write, (input, source), MaskedScatterBackward0, fields


# -- searches ---------------------------------------------------------------------------------------


@op()
def nonzero(input, *, as_tuple=False, out=None):
    """The positions of all elements that are not zero.

    Args:
        input: a tensor.
        as_tuple: one vector per dimension instead, as indices for `input[...]`.
    Returns:
        (number of such elements, number of dimensions), int64; or that tuple.

    >>> import rushlight as torch
    >>> torch.nonzero(torch.tensor([0, 5, 6]))
    tensor([[1],
            [2]])
    """
    array = check_tensor("nonzero", input)._strided()
    if as_tuple:
        return tuple(wrap(p.copy()) for p in np.atleast_1d(array).nonzero())
    if array.ndim == 0:
        found = np.empty((int(bool(array)), 0), np.int64)
    else:
        found = np.stack(array.nonzero()).T
    return write_out(wrap(found), out)


@op()
def argwhere(input):
    """The positions of all elements that are not zero: (number of them, number of dimensions).

    >>> import rushlight as torch
    >>> torch.argwhere(torch.tensor([0, 5]))
    tensor([[1]])
    """
    return nonzero(input)


def _results(values, inverse, counts, return_inverse: bool, return_counts: bool):
    found = [wrap(values)]
    if return_inverse:
        found.append(wrap(inverse.astype(np.int64, copy=False)))
    if return_counts:
        found.append(wrap(counts.astype(np.int64, copy=False)))
    return found[0] if len(found) == 1 else tuple(found)


@op()
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements, in order; or the different slices of a dimension.

    Args:
        input: a tensor.
        sorted: accepted; the result always is.
        return_inverse: also return where each element is in the result.
        return_counts: also return how often each occurs.
        dim: the dimension; all elements as one row where None.

    >>> import rushlight as torch
    >>> torch.unique(torch.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    array = check_tensor("unique", input)._strided()
    if dim is None:
        values, inverse, counts = np.unique(array, return_inverse=True, return_counts=True, equal_nan=False)
        return _results(values, inverse.reshape(array.shape), counts, return_inverse, return_counts)
    dim = check_dim(dim, array.ndim)
    values, inverse, counts = np.unique(array, return_inverse=True, return_counts=True, axis=dim)
    return _results(np.ascontiguousarray(values), inverse.reshape(-1), counts, return_inverse, return_counts)


@op()
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements, or slices of a dimension, without repetitions of their left neighbour.

    Args:
        input: a tensor.
        return_inverse: also return where each element is in the result.
        return_counts: also return how long each repetition is.
        dim: the dimension; all elements as one row where None.

    >>> import rushlight as torch
    >>> torch.unique_consecutive(torch.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    array = check_tensor("unique_consecutive", input)._strided()
    shape = array.shape
    if dim is None:
        array, dim = array.reshape(-1), 0
    else:
        dim, shape = check_dim(dim, array.ndim), None
    rows = np.moveaxis(array, dim, 0).reshape(array.shape[dim], -1)
    new = np.ones(rows.shape[0], np.bool_)
    new[1:] = (rows[1:] != rows[:-1]).any(1)
    starts = np.flatnonzero(new)
    inverse = np.cumsum(new) - 1
    counts = np.diff(np.append(starts, rows.shape[0]))
    return _results(
        array.take(starts, dim), inverse if shape is None else inverse.reshape(shape), counts, return_inverse,
        return_counts,
    )  # fmt: skip


# -- embedding --------------------------------------------------------------------------------------


@op(method=False)
def one_hot(input, num_classes=-1):
    """Each class number as a row of zeros with a single one.

    Args:
        input: (*), int64 class numbers.
        num_classes: how many classes there are; one more than the largest number where -1.
    Returns:
        (*, num_classes), int64.
    Raises:
        RuntimeError: a number is negative or too large.

    >>> import rushlight as torch
    >>> torch.nn.functional.one_hot(torch.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    array = check_tensor("one_hot", input)._array
    if array.dtype != np.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type LongTensor, got {input.dtype}")
    if array.size == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(np.empty((*array.shape, num_classes), np.int64))
    if array.min() < 0:
        raise RuntimeError(f"Class values must be non-negative, got {int(array.min())}.")
    if num_classes == -1:
        num_classes = int(array.max()) + 1
    elif num_classes < 1:
        raise RuntimeError(f"num_classes should be positive, got {num_classes}")
    elif array.max() >= num_classes:
        raise RuntimeError(f"Class values must be smaller than num_classes, got {int(array.max())} for {num_classes}.")
    found = np.zeros((array.size, num_classes), np.int64)
    found[np.arange(array.size), array.reshape(-1)] = 1
    return wrap(found.reshape(*array.shape, num_classes))


class EmbeddingBackward0(Node):
    def backward(self, grad):
        return _embedding_gradient(grad, self.index, self.rows, self.padding, self.by_frequency)


class EmbeddingDenseBackwardBackward0(Node):
    def backward(self, grad):
        found = embedding(self.index, grad)
        if self.padding >= 0:
            found = masked_fill(found, unsqueeze(wrap(self.index._array == self.padding), -1), 0)
        return found if self.scale is None else found * wrap(self.scale)


def _embedding_gradient(grad: Tensor, index: Tensor, rows: int, padding: int, by_frequency: bool) -> Tensor:
    array, flat = grad._array, index._array.reshape(-1)
    scale = None
    if by_frequency and flat.size:
        scale = (1 / np.bincount(flat, minlength=rows)[index._array])[..., None].astype(array.dtype)
        array = array * scale
    array = array.reshape(-1, array.shape[-1]) if flat.size else array.reshape(0, array.shape[-1])
    found = K.embedding_backward(np.ascontiguousarray(array), flat.astype(np.int64, copy=False), rows)
    if padding >= 0:
        found[padding] = 0
    if recording(grad):
        return record(found, EmbeddingDenseBackwardBackward0, (grad,), index=index, padding=padding, scale=scale)
    return wrap(found)


@op(method=False)
def embedding(
    input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
):  # fmt: skip
    """The rows of a table at the given positions.

    Args:
        input: (*), int32 or int64 positions.
        weight: (V, D), the table.
        padding_idx: a row that gets no gradient.
        max_norm: rows that are longer are scaled down to this length first, in place.
        norm_type: which norm measures the length.
        scale_grad_by_freq: divide the gradient of a row by how often it was looked up.
        sparse: must be False: gradients are dense.
    Returns:
        (*, D).
    Raises:
        IndexError: a position is out of range. RuntimeError: positions of another type.

    >>> import rushlight as torch
    >>> torch.nn.functional.embedding(torch.tensor([1, 1]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [3., 4.]])
    """
    if sparse:
        raise NotImplementedError("embedding: sparse gradients are not supported; use sparse=False")
    table = check_tensor("embedding", weight, "weight")._array
    index = check_tensor("embedding", input, "input", 2)._array
    if table.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, got shape {list(table.shape)}")
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{SCALAR_NAMES[input.dtype]}Tensor instead (while checking arguments for embedding). Use input.long()."
        )
    rows = table.shape[0]
    padding = -1
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"padding_idx must be within num_embeddings: got {padding_idx} for {rows}")
        padding = padding_idx % rows

    def error(bad):
        return IndexError(f"index out of range in self: embedding got index {bad} for a table of {rows} rows")

    _bounds(index, rows, error)
    if max_norm is not None:
        _renormalise(weight, index, max_norm, norm_type)
    found = weight._array.take(index, 0)
    if not (weight._rg and MODE.enabled):
        return wrap(found)
    return record(
        found, EmbeddingBackward0, (weight,), index=input, rows=rows, padding=padding, by_frequency=scale_grad_by_freq
    )


def _renormalise(weight: Tensor, index: np.ndarray, max_norm: float, norm_type: float) -> None:
    """Scale down, in place, the rows that are looked up and too long."""
    used = np.unique(index)
    table = weight._array
    lengths = np.linalg.norm(table[used], norm_type, 1)
    long = lengths > max_norm
    table[used[long]] *= (max_norm / (lengths[long] + 1e-7))[:, None].astype(table.dtype)
    weight._bump()


