"""Larger and smaller views of the same memory: expand, select, narrow, diagonal, unfold, as_strided."""

import numpy as np

from rushlight.autograd.node import Node, connect
from rushlight.autograd.views import rejoin, view_of
from rushlight.devices import Size
from rushlight.dtypes import SCALAR_NAMES
from rushlight.ops.common import MODE, Tensor, before, check_tensor, check_writable, overloaded, sum_to, wrap
from rushlight.ops.registry import numpy_names, op
from rushlight.ops.shape import (
    DiagonalBackward0,
    SelectBackward0,
    as_strided_array,
    movedim,
    part,
    reshape,
    sizes,
    slice_dim,
    strided,
    viewed,
)
from rushlight.sparse_tensor import SparseError
from rushlight.tensor import check_dim

# -- larger: expanded -------------------------------------------------------------------------------


class ExpandBackward0(Node):
    def backward(self, grad):
        return sum_to(grad, self.shape)


@op()
def expand(input, *shape, implicit=False, **named):
    """A view in which dimensions of size 1 are repeated, without a copy.

    Args:
        input: a tensor.
        shape: the new dimensions, new ones in front; -1 keeps a dimension as it is.
    Raises:
        RuntimeError: a dimension that is not of size 1 would change.

    >>> import rushlight as torch
    >>> torch.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    if named:
        shape = (named["size"],)
    return _expanded(input, () if not shape else sizes("expand", shape))


def _expanded(x: Tensor, shape: tuple) -> Tensor:
    array = x._strided()
    have, steps = array.shape, array.strides
    lead = len(shape) - len(have)
    if lead < 0:
        raise RuntimeError(
            f"expand({SCALAR_NAMES[x.dtype]}Tensor{{{list(have)}}}, size={list(shape)}): the number of sizes "
            "provided "
            f"({len(shape)}) must be greater or equal to the number of dimensions in the tensor ({len(have)})"
        )
    new_shape, strides = [], []
    for i, n in enumerate(shape):
        n = int(n)
        if i < lead:
            if n < 0:
                raise RuntimeError(
                    f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing "
                    f"dimension {i}"
                )
            step = 0
        else:
            m, step = have[i - lead], steps[i - lead]
            if n == -1:
                n = m
            elif n != m:
                if m != 1 or n < 0:
                    raise RuntimeError(
                        f"The expanded size of the tensor ({n}) must match the existing size ({m}) at "
                        "non-singleton "
                        f"dimension {i}.  Target sizes: {list(shape)}.  Tensor sizes: {list(have)}"
                    )
                step = 0
        new_shape.append(n)
        strides.append(step)
    return viewed(x, strided(array, tuple(new_shape), tuple(strides)), ExpandBackward0, shape=have)


@op()
def expand_as(input, other):
    """`expand` to the shape of another tensor.

    >>> import rushlight as torch
    >>> torch.tensor([1]).expand_as(torch.zeros(3))
    tensor([1, 1, 1])
    """
    return _expanded(input, other._array.shape)


@op()
def broadcast_to(input, *size, **named):
    """`expand` to this shape.

    >>> import rushlight as torch
    >>> torch.broadcast_to(torch.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return _expanded(input, tuple(named["size"]) if named else sizes("broadcast_to", size))


@op(method=False)
def broadcast_tensors(*tensors):
    """All the tensors expanded to their common shape.

    Raises:
        RuntimeError: they have none.

    >>> import rushlight as torch
    >>> a, b = torch.broadcast_tensors(torch.zeros(2, 1), torch.zeros(3))
    >>> a.shape, b.shape
    (torch.Size([2, 3]), torch.Size([2, 3]))
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tensors[0]
    shape = broadcast_shapes(*(t._array.shape for t in tensors))
    return tuple(t if t._array.shape == shape else _expanded(t, shape) for t in tensors)


@op(method=False)
def broadcast_shapes(*shapes):
    """The common shape to which tensors of these shapes broadcast.

    Raises:
        RuntimeError: there is none.

    >>> import rushlight as torch
    >>> torch.broadcast_shapes((2, 1), (3,))
    torch.Size([2, 3])
    """
    shapes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    try:
        return Size(np.broadcast_shapes(*shapes))
    except ValueError:
        raise RuntimeError(
            "Shape mismatch: objects cannot be broadcast to a single shape: got "
            + " and ".join(str(list(s)) for s in shapes)
        ) from None


def sum_to_size(self, *size):
    """The sum over what broadcasting would have repeated: the opposite of `expand`.

    Args:
        size: a shape that expands to this tensor's.
    Raises:
        RuntimeError: it doesn't.

    >>> import rushlight as torch
    >>> torch.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    shape = tuple(int(n) for n in sizes("sum_to_size", size))
    have = self._array.shape
    if len(shape) > len(have) or any(n not in (1, m) for n, m in zip(shape[::-1], have[::-1], strict=False)):
        raise RuntimeError(
            f"size {{{list(shape)}}} is not expandable to size {{{list(have)}}} (sum_to_size)."
        )
    return sum_to(
        self.long() if self._array.dtype.kind in "iub" and (not shape or shape != have) else self, shape
    )


Tensor.sum_to_size = sum_to_size


# -- smaller: parts ---------------------------------------------------------------------------------


@op()
@numpy_names
def select(input, dim, index):
    """The part at one position of a dimension, which goes away.

    Args:
        input: a tensor.
        dim: the dimension.
        index: the position; negative ones count from the end.
    Raises:
        IndexError: there is no such dimension or position.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).select(1, 0)
    tensor([1, 3])
    """
    try:
        array = input._strided()
    except SparseError:
        return overloaded("select", input, dim, index)
    if array.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = check_dim(dim, array.ndim)
    where = (*(slice(None),) * dim, index, ...)
    try:
        out = array[where]
    except IndexError:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(array.shape)} at dimension {dim}"
        ) from None
    view = view_of(input, out)
    if input._rg and MODE.enabled:
        node = connect(SelectBackward0(), (input,))
        node.shape, node.pick = array.shape, lambda a: a[where]
        view._node, view._rg = node, True
    return view


@op()
@numpy_names
def narrow(input, dim, start, length):
    """The positions from `start` to `start + length` of a dimension.

    Raises:
        RuntimeError: they exceed the dimension.

    >>> import rushlight as torch
    >>> torch.arange(5).narrow(0, 1, 3)
    tensor([1, 2, 3])
    """
    if isinstance(start, Tensor):
        if start._array.ndim or start._array.dtype.kind not in "iu":
            raise RuntimeError("narrow(): start must be an 0-dim integral Tensor.")
        start = int(start)
    if input._array.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    dim = check_dim(dim, input._array.ndim)
    size = input._array.shape[dim]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= start <= size:
        raise IndexError(
            f"start out of range (expected to be in range of [{-size}, {size}], but got {start})"
        )
    if start < 0:
        start += size
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return slice_dim(input, dim, start, start + length)


@op()
def diagonal(input, offset=0, dim1=0, dim2=1):
    """The diagonal of two dimensions, as a view whose last dimension it is.

    Args:
        input: a tensor.
        offset: how far above the main diagonal (below where negative).
        dim1, dim2: the two dimensions.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).diagonal()
    tensor([1, 4])
    """
    ndim = check_tensor("diagonal", input)._array.ndim
    first, second = check_dim(dim1, ndim), check_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")

    def pick(array):
        found = array.diagonal(offset, first, second)
        if array.flags.writeable:
            found.flags.writeable = True
        return found

    return part(input, pick, DiagonalBackward0)


class UnfoldBackward0(Node):
    def backward(self, grad):
        dim, size, step = self.window
        if not self.shape:
            return reshape(grad, ()) if size else grad.new_zeros(())
        windows = np.arange(0, self.shape[dim] - size + 1, step)[:, None] + np.arange(size)
        zeros = grad.new_zeros(self.shape)
        parts = movedim(grad, -1, dim + 1)
        shape = (*self.shape[:dim], windows.size, *self.shape[dim + 1 :])
        return zeros.index_add(dim, wrap(windows.reshape(-1)), reshape(parts, shape))


def unfold(input, dimension, size, step):
    """All windows of `size` positions, `step` apart, of a dimension, in a new last dimension.

    Raises:
        RuntimeError: a window is larger than the dimension, or the step is not positive.

    >>> import rushlight as torch
    >>> torch.arange(4).unfold(0, 2, 1)
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
    """
    array = input._strided()
    dim = check_dim(dimension, array.ndim)
    length = array.shape[dim] if array.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > length:
        raise RuntimeError(f"maximum size for tensor at dimension {dim} is {length} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if array.ndim == 0:
        return viewed(input, array.reshape(1)[:size], UnfoldBackward0, shape=(), window=(0, size, step))
    shape = (*array.shape[:dim], (length - size) // step + 1, *array.shape[dim + 1 :], size)
    strides = (*array.strides[:dim], array.strides[dim] * step, *array.strides[dim + 1 :], array.strides[dim])
    out = strided(array, shape, strides)
    return viewed(input, out, UnfoldBackward0, shape=array.shape, window=(dim, size, step))


Tensor.unfold = unfold  # torch.unfold does not exist


@op()
def as_strided(input, size, stride, storage_offset=None):
    """A view of the tensor's memory with any shape and steps.

    Args:
        input: a tensor.
        size: the shape.
        stride: the step along each dimension, in elements.
        storage_offset: where it starts, in elements; where the input starts by default.
    Raises:
        RuntimeError: it would leave the memory.

    >>> import rushlight as torch
    >>> torch.arange(4).as_strided((2, 2), (1, 2))
    tensor([[0, 2],
            [1, 3]])
    """
    start = input.storage_offset() if storage_offset is None else int(storage_offset)
    size, stride = tuple(int(n) for n in size), tuple(int(n) for n in stride)
    if len(size) != len(stride):
        raise RuntimeError(
            f"mismatch in length of strides and shape: got {len(stride)} strides for {len(size)} dimensions"
        )
    if any(s < 0 for s in stride):
        raise RuntimeError(
            f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}"
        )
    input._strided()
    base = input if input._base is None else input._base
    memory = as_strided_array(base._array, (base._array.size,), (base._array.itemsize,), subok=True)
    needed = start + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) + 1 if 0 not in size else 0
    if start < 0 or needed > memory.size:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {start}, and itemsize "
            f"{memory.itemsize} requiring a storage size of {needed * memory.itemsize} are out of bounds for "
            "storage of "
            f"size {memory.nbytes}"
        )
    view = view_of(
        input, as_strided_array(memory[start:], size, tuple(s * memory.itemsize for s in stride), subok=True)
    )
    if input._rg and MODE.enabled:
        rejoin(view)
    return view


def as_strided_(self, size, stride, storage_offset=None):
    """Look at the same memory with another shape and other steps, in place."""
    check_writable(self)
    view = as_strided(before(self), size, stride, storage_offset)
    self._array, self._format = view._array, "fixed"
    self._bump()
    if view._node is not None:
        self._node, self._nr = view._node, view._nr
    return self


def fill_diagonal_(self, fill_value, wrap=False):
    """Write a number on the main diagonal, of two or more dimensions of equal size.

    Args:
        fill_value: the number.
        wrap: begin again below, in tall matrices.

    >>> import rushlight as torch
    >>> torch.zeros(2, 2).fill_diagonal_(1)
    tensor([[1., 0.],
            [0., 1.]])
    """
    shape = self._array.shape
    if len(shape) < 2:
        raise RuntimeError(f"dimensions must larger than 1, got {len(shape)} (fill_diagonal_)")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError(
            f"all dimensions of input must be of equal length, got {list(shape)} (fill_diagonal_)"
        )
    steps = sum(self.stride())
    rows = min(shape)
    self.as_strided((rows,), (steps,)).fill_(fill_value)
    if wrap and len(shape) == 2 and shape[0] > shape[1] + 1:
        for start in range(shape[1] + 1, shape[0], shape[1] + 1):
            self[start:].fill_diagonal_(fill_value)
    return self


Tensor.as_strided_, Tensor.fill_diagonal_ = as_strided_, fill_diagonal_
