"""Taking tensors apart and putting them together: split, cat, repeat, roll, flip and their like."""

import builtins

import numpy as np

from rushlight import dtypes
from rushlight.autograd.node import Node, connect
from rushlight.autograd.views import view_of
from rushlight.devices import channels_last, channels_last_3d
from rushlight.ops.common import MODE, Tensor, as_type, check_tensor, record, recording, wrap, write_out
from rushlight.ops.registry import alias, op
from rushlight.ops.shape import (
    _sliced,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    diagonal,
    dims_tuple,
    embed,
    reshape,
    select,
    sizes,
)
from rushlight.tensor import check_dim

# -- together ---------------------------------------------------------------------------------------


class CatBackward0(Node):
    def backward(self, grad):
        found, start = [], 0
        for target, size in zip(self.edges, self.lengths, strict=True):
            piece = None
            if target is not None:
                where = (*(slice(None),) * self.dim, slice(start, start + size))
                piece = _sliced(grad, self.dim, start, start + size) if MODE.enabled else wrap(grad._array[where])
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
    return array.ndim > 2 and not array.flags.c_contiguous and np.moveaxis(array, 1, -1).flags.c_contiguous


def empty_like_layout(array: np.ndarray, shape: tuple) -> np.ndarray:
    """Memory for another shape with the same number of dimensions, channels last where `array` is."""
    if not _is_channels_last(array):
        return np.empty(shape, array.dtype)
    return np.moveaxis(np.empty((shape[0], *shape[2:], shape[1]), array.dtype), -1, 1)


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
            return RuntimeError(f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}")
        for d, (m, n) in enumerate(zip(first, shape, strict=True)):
            if d != dim and m != n:
                return RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {m} but got size {n} for "
                    f"tensor number {i} in the list. (shapes {[list(a.shape) for a in arrays]}, dimension {d})"
                )
    return RuntimeError(f"cat: cannot join tensors of shapes {[list(a.shape) for a in arrays]}")


def _joined(arrays: list, dim: int) -> np.ndarray:
    """The arrays along one dimension: in order in memory, or channels last where all of them are."""
    array = np.concatenate(arrays, dim)
    if array.flags.c_contiguous or (_is_channels_last(array) and builtins.all(map(_is_channels_last, arrays))):
        return array
    return np.ascontiguousarray(array)


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
    tensors = _tensors("cat", tensors)
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
    return result if out is None else write_out(result, out)


alias("concat", cat, method=False)
alias("concatenate", cat, method=False)


class StackBackward0(Node):
    def backward(self, grad):
        return tuple(None if t is None else select(grad, self.dim, i) for i, t in enumerate(self.edges))


@op(method=False)
def stack(tensors, dim=0, *, out=None):
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
    tensors = _tensors("stack", tensors)
    shape = tensors[0]._array.shape
    for i, t in enumerate(tensors):
        if t._array.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(t.shape)} at entry {i}"
            )
    dim = check_dim(dim, len(shape) + 1)
    array = np.empty((*shape[:dim], len(tensors), *shape[dim:]), tensors[0]._array.dtype)
    insert = (*(slice(None),) * dim, None)
    np.concatenate([t._array[insert] for t in tensors], dim, out=array)
    if recording(*tensors):
        return write_out(record(array, StackBackward0, tensors, dim=dim), out)
    return write_out(wrap(array), out)


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


hstack = _stacker("hstack", atleast_1d, lambda t: 0 if t._array.ndim == 1 else 1,
                  "Tensors side by side: along the second dimension, or the only one.", "torch.Size([4])")  # fmt: skip
vstack = _stacker("vstack", atleast_2d, lambda t: 0, "Tensors below one another, as rows.", "torch.Size([2, 2])")
alias("row_stack", vstack, method=False)
dstack = _stacker("dstack", atleast_3d, lambda t: 2, "Tensors along the third dimension.", "torch.Size([1, 2, 2])")
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
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t._array.ndim} dimensions"
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


# -- apart ------------------------------------------------------------------------------------------


def _views(x: Tensor, arrays: list, node_type: type[Node], **fields) -> tuple:
    """Several views of one tensor, outputs of one node."""
    views = tuple([view_of(x, a) for a in arrays])
    if x._rg and MODE.enabled:
        node = connect(node_type(), (x,))
        node.outputs = len(views)
        node.__dict__.update(fields, shapes=[a.shape for a in arrays])
        for i, v in enumerate(views):
            v._node, v._nr, v._rg = node, i, True
    return views


class SplitBackward0(Node):
    def backward(self, *grads):
        known = next(g for g in grads if g is not None)
        pieces = [known.new_zeros(s) if g is None else g for g, s in zip(grads, self.shapes, strict=True)]
        return cat(pieces, self.dim)


class SplitWithSizesBackward0(SplitBackward0):
    pass


class UnbindBackward0(Node):
    def backward(self, *grads):
        known = next(g for g in grads if g is not None)
        pieces = [known.new_zeros(s) if g is None else g for g, s in zip(grads, self.shapes, strict=True)]
        return stack(pieces, self.dim)


def _cut(x: Tensor, lengths, dim: int, node_type: type[Node]) -> tuple:
    array = x._strided()
    before = (slice(None),) * dim
    pieces, start = [], 0
    for n in lengths:
        pieces.append(array[(*before, slice(start, start + n))])
        start += n
    return _views(x, pieces, node_type, dim=dim)


@op()
def split(tensor, split_size_or_sections=None, dim=0, *, split_size=None):
    """A tensor cut into parts of one size (the last may be smaller) or of given sizes, as views.

    Args:
        tensor: the tensor.
        split_size_or_sections: the size of each part, or the sizes of all.
        dim: the dimension to cut.
    Returns:
        A tuple of views.
    Raises:
        RuntimeError: the sizes don't add up.

    >>> import rushlight as torch
    >>> torch.split(torch.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    size = split_size if split_size_or_sections is None else split_size_or_sections
    check_tensor("split", tensor, "tensor")
    if isinstance(size, (list, tuple)):
        return split_with_sizes(tensor, size, dim)
    if tensor._array.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = check_dim(dim, tensor._array.ndim)
    total, size = tensor._array.shape[dim], int(size)
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0:
        if total:
            raise RuntimeError(
                f"split_size can only be 0 if dimension size is 0, but got dimension size of {total}"
            )
        lengths = [0]
    else:
        lengths = [min(size, total - start) for start in range(0, total, size)] or [0]
    return _cut(tensor, lengths, dim, SplitBackward0)


@op()
def split_with_sizes(input, split_sizes, dim=0):
    """A tensor cut into parts of given sizes, as views.

    >>> import rushlight as torch
    >>> torch.arange(3).split_with_sizes([1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    dim = check_dim(dim, input._array.ndim)
    lengths = [int(n) for n in split_sizes]
    total = input._array.shape[dim]
    if builtins.any(n < 0 for n in lengths):
        raise RuntimeError(
            f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={lengths}"
        )
    if sum(lengths) != total:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {total} (input tensor's size at dimension {dim}), "
            f"but got split_sizes={lengths}"
        )
    return _cut(input, lengths, dim, SplitWithSizesBackward0)


@op()
def chunk(input, chunks, dim=0):
    """A tensor cut into at most `chunks` parts of one size (the last may be smaller), as views.

    >>> import rushlight as torch
    >>> torch.arange(5).chunk(2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if check_tensor("chunk", input)._array.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = check_dim(dim, input._array.ndim)
    total = input._array.shape[dim]
    if total == 0:
        return _cut(input, [0] * chunks, dim, SplitWithSizesBackward0)
    return split(input, -(-total // chunks), dim)


@op()
def tensor_split(input, indices_or_sections=None, dim=0, *, indices=None, sections=None):
    """A tensor cut at given positions, or into a given number of nearly equal parts, as views.

    >>> import rushlight as torch
    >>> torch.arange(5).tensor_split(3)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    where = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
    if check_tensor("tensor_split", input)._array.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = check_dim(dim, input._array.ndim)
    total = input._array.shape[dim]
    if isinstance(where, Tensor):
        where = where.tolist()
    if isinstance(where, int):
        if where <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {where}")
        size, extra = divmod(total, where)
        ends = [0]
        for i in range(where):
            ends.append(ends[-1] + size + (i < extra))
        bounds = list(zip(ends, ends[1:], strict=False))
    else:
        points = list(where)
        bounds = list(zip([0, *points], [*points, None], strict=True))
    return tuple(_sliced(input, dim, start, stop) for start, stop in bounds)


def _splitter(name: str, dim, least: int, doc: str):
    def function(input, indices_or_sections=None, *, indices=None, sections=None):
        where = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
        array = check_tensor(name, input)._array
        if array.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension{'s' if least > 1 else ''}, but got a "
                f"tensor with {array.ndim} dimensions!"
            )
        along = dim if array.ndim > dim else 0
        if isinstance(where, int) and (where <= 0 or array.shape[along] % where):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {along}, but the size of the dimension "
                f"{array.shape[along]} is not divisible by the split_size {where}!"
            )
        return tensor_split(input, where, along)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{doc}

    Args:
        input: a tensor.
        indices_or_sections: the positions of the cuts, or the number of equal parts.

    >>> import rushlight as torch
    >>> [part.shape[{dim}] for part in torch.zeros(4, 4, 4).{name}(2)]
    [2, 2]
    """
    return op()(function)


hsplit = _splitter("hsplit", 1, 1, "A tensor cut along its second dimension, or its only one, as views.")
vsplit = _splitter("vsplit", 0, 2, "A tensor cut along its first dimension, as views.")
dsplit = _splitter("dsplit", 2, 3, "A tensor cut along its third dimension, as views.")


@op()
def unbind(input, dim=0):
    """The parts at all positions of a dimension, which goes away, as views.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).unbind(1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    array = check_tensor("unbind", input)._strided()
    if array.ndim == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    dim = check_dim(dim, array.ndim)
    before = (slice(None),) * dim
    return _views(input, [array[(*before, i, ...)] for i in range(array.shape[dim])], UnbindBackward0, dim=dim)


# -- repeated ---------------------------------------------------------------------------------------


class RepeatBackward0(Node):
    def backward(self, grad):
        lead = len(self.times) - len(self.shape)
        shape, dims = [], []
        for i, times in enumerate(self.times):
            dims.append(len(shape))
            shape += [times] if i < lead else [times, self.shape[i - lead]]
        if not dims:
            return grad
        return reshape(grad, shape).sum(dims) if grad._array.size else grad.new_zeros(self.shape)


@op()
def repeat(input, *repeats, **named):
    """Copies of a tensor side by side along each dimension.

    Args:
        input: a tensor.
        repeats: how many along each dimension; further ones are new dimensions in front.
    Raises:
        RuntimeError: there are fewer than dimensions.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    if named:
        repeats = (named["repeats"],)
    times = tuple(int(n) for n in sizes("repeat", repeats)) if repeats else ()
    array = check_tensor("repeat", input)._strided()
    if len(times) < array.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: got "
            f"{list(times)} for a tensor of shape {list(array.shape)}"
        )
    if builtins.any(n < 0 for n in times):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeat got {list(times)}")
    out = np.tile(array, times)
    if recording(input):
        return record(out, RepeatBackward0, (input,), times=times, shape=array.shape)
    return wrap(out)


@op()
def tile(input, *dims, **named):
    """`repeat`, where missing numbers are 1 for the first dimensions.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).tile(2)
    tensor([1, 2, 1, 2])
    """
    if named:
        dims = (named["dims"],)
    times = tuple(int(n) for n in sizes("tile", dims)) if dims else ()
    return repeat(input, (1,) * (input._array.ndim - len(times)) + times)


@op()
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Each element, or each part along a dimension, several times in a row.

    Args:
        input: a tensor; alone, the numbers of repeats, for which the positions are returned.
        repeats: how often: one number, or one for each position.
        dim: the dimension; all elements in one dimension where None.
        output_size: the size of the result, which makes no difference here.
    Raises:
        RuntimeError: the numbers don't fit the dimension.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).repeat_interleave(2)
    tensor([1, 1, 2, 2])
    """
    check_tensor("repeat_interleave", input)
    if repeats is None:
        return wrap(np.repeat(np.arange(input._array.size), input._array))
    if dim is None:
        input, dim = reshape(input, (-1,)), 0
    dim = check_dim(dim, input._array.ndim)
    size = input._array.shape[dim] if input._array.ndim else 1
    times = repeats._array if isinstance(repeats, Tensor) else repeats
    if isinstance(repeats, Tensor) and times.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if isinstance(repeats, Tensor) and times.ndim == 1 and times.size not in (1, size):
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {times.size} and "
            f"input.size({dim}) = {size}"
        )
    if np.any(np.less(times, 0)):
        raise RuntimeError("repeats can not be negative")
    return reshape(input, (-1,) if not input._array.ndim else input._array.shape).index_select(
        dim, wrap(np.repeat(np.arange(size), times))
    )


# -- moved ------------------------------------------------------------------------------------------


class RollBackward0(Node):
    def backward(self, grad):
        return roll(grad, [-s for s in self.shifts], self.dims)


@op()
def roll(input, shifts, dims=None):
    """Elements moved along dimensions; those that leave at the end come in at the front.

    Args:
        input: a tensor.
        shifts: how far, along each dimension.
        dims: the dimensions; all elements as one row where None.

    >>> import rushlight as torch
    >>> torch.roll(torch.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    array = check_tensor("roll", input)._strided()
    shifts = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    dims = () if dims is None else tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if not dims and len(shifts) == 1:
        out = np.roll(array, shifts[0])
    elif len(dims) != len(shifts):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    else:
        dims = tuple(check_dim(d, array.ndim) for d in dims)
        out = np.roll(array, shifts, dims) if array.ndim else array.copy()
    if recording(input):
        return record(out, RollBackward0, (input,), shifts=shifts, dims=dims)
    return wrap(out)


class FlipBackward0(Node):
    def backward(self, grad):
        return flip(grad, self.dims)


@op()
def flip(input, *dims, **named):
    """The order of positions reversed along dimensions, as a copy.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2, 3]).flip(0)
    tensor([3, 2, 1])
    """
    if named:
        dims = (named["dims"],)
    array = check_tensor("flip", input)._strided()
    dims = dims_tuple(sizes("flip", dims), array.ndim, "flip") if dims else ()
    out = np.flip(array, dims).copy("C") if array.ndim else array.copy()
    if recording(input):
        return record(out, FlipBackward0, (input,), dims=dims)
    return wrap(out)


@op()
def fliplr(input):
    """The second dimension reversed, as a copy.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2]]).fliplr()
    tensor([[2, 1]])
    """
    if input._array.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


@op()
def flipud(input):
    """The first dimension reversed, as a copy.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).flipud()
    tensor([2, 1])
    """
    if input._array.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


class Rot90Backward0(Node):
    def backward(self, grad):
        return rot90(grad, -self.k, self.dims)


@op()
def rot90(input, k=1, dims=(0, 1)):
    """The plane of two dimensions turned by k quarter turns, from the first towards the second.

    >>> import rushlight as torch
    >>> torch.rot90(torch.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    array = check_tensor("rot90", input)._strided()
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if array.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {array.ndim}")
    if dims[0] == dims[1] or builtins.abs(dims[0] - dims[1]) == array.ndim:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    dims = tuple(check_dim(d, array.ndim) for d in dims)
    # As in PyTorch, an odd number of turns is a transposed copy.
    turned = {0: (), 1: dims[1:], 2: dims, 3: dims[:1]}[k % 4]
    out = np.flip(array, turned).copy("C")
    out = out.swapaxes(*dims) if k % 2 else out
    result = record(out, Rot90Backward0, (input,), k=k, dims=dims) if recording(input) else wrap(out)
    if k % 2:
        result._format = "fixed"
    return result


# -- triangles and diagonals ------------------------------------------------------------------------


class TrilBackward0(Node):
    def backward(self, grad):
        return tril(grad, self.diagonal)


class TriuBackward0(Node):
    def backward(self, grad):
        return triu(grad, self.diagonal)


def _triangle(name: str, x: Tensor, numpy_function, node_type: type[Node], k: int, out) -> Tensor:
    array = check_tensor(name, x)._strided()
    if array.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, got shape {list(array.shape)}")
    found = numpy_function(array, k)
    if recording(x):
        return write_out(record(found, node_type, (x,), diagonal=k), out)
    return write_out(wrap(found), out)


@op(inplace=True)
def tril(input, diagonal=0, *, out=None):
    """The lower triangles of matrices; zeros above.

    Args:
        input: (..., M, N).
        diagonal: the last diagonal to keep, counted upwards from the main one.

    >>> import rushlight as torch
    >>> torch.ones(2, 2).tril()
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _triangle("tril", input, np.tril, TrilBackward0, diagonal, out)


@op(inplace=True)
def triu(input, diagonal=0, *, out=None):
    """The upper triangles of matrices; zeros below.

    Args:
        input: (..., M, N).
        diagonal: the first diagonal to keep, counted upwards from the main one.

    >>> import rushlight as torch
    >>> torch.ones(2, 2).triu()
    tensor([[1., 1.],
            [0., 1.]])
    """
    return _triangle("triu", input, np.triu, TriuBackward0, diagonal, out)


class DiagEmbedBackward0(Node):
    def backward(self, grad):
        return diagonal(grad, *self.place)


@op()
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices whose diagonals are the last dimension of the input.

    Args:
        input: (..., N).
        offset: how far above the main diagonal (below where negative).
        dim1, dim2: where the two dimensions of the matrices are in the result.

    >>> import rushlight as torch
    >>> torch.diag_embed(torch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    array = check_tensor("diag_embed", input)._strided()
    ndim = array.ndim + 1
    first, second = check_dim(dim1, ndim), check_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    n = array.shape[-1] + builtins.abs(offset)
    shape = list(array.shape[:-1])
    for d in sorted((first, second)):
        shape.insert(d, n)
    out = np.zeros(shape, array.dtype)
    line = out.diagonal(offset, first, second)
    line.flags.writeable = True
    line[...] = array
    if recording(input):
        return record(out, DiagEmbedBackward0, (input,), place=(offset, first, second))
    return wrap(out)


@op()
def diag(input, diagonal=0, *, out=None):
    """The diagonal of a matrix, as a copy; or a matrix with the given diagonal.

    >>> import rushlight as torch
    >>> torch.diag(torch.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    ndim = check_tensor("diag", input)._array.ndim
    if ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {ndim}D")
    found = diag_embed(input, diagonal) if ndim == 1 else _diagonal(input, diagonal).clone()
    return write_out(found, out)


_diagonal = diagonal


@op()
def diagflat(input, offset=0):
    """A matrix with all elements of the input on its diagonal.

    >>> import rushlight as torch
    >>> torch.diagflat(torch.tensor([[1, 2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(reshape(input, (-1,)), offset)


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
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.", stacklevel=2
        )
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    for t in tensors:
        if t._array.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {list(t.shape)}")
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
        return wrap(np.empty(0, input._array.dtype))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    chosen = np.array(list(choose(range(input._array.size), r)), np.int64).reshape(-1, r)
    return stack([input.index_select(0, wrap(chosen[:, i].copy())) for i in range(r)], 1)
