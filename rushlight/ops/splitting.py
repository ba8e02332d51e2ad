"""Taking tensors apart: split, chunk, tensor_split, unbind."""

import builtins
import itertools

from rushlight.autograd.node import Node, connect
from rushlight.autograd.views import view_of
from rushlight.ops.common import MODE, Tensor, check_tensor
from rushlight.ops.joining import cat, stack
from rushlight.ops.registry import numpy_names, op
from rushlight.ops.shape import slice_dim
from rushlight.tensor import check_dim

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
            "split_with_sizes expects split_sizes have only non-negative entries, but got "
            f"split_sizes={lengths}"
        )
    if sum(lengths) != total:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {total} (input tensor's size at "
            f"dimension {dim}), "
            f"but got split_sizes={lengths}"
        )
    return _cut(input, lengths, dim, SplitWithSizesBackward0)


@op()
@numpy_names
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
@numpy_names
def tensor_split(
    input, indices_or_sections=None, dim=0, *, indices=None, sections=None, tensor_indices_or_sections=None
):
    """A tensor cut at given positions, or into a given number of nearly equal parts, as views.

    >>> import rushlight as torch
    >>> torch.arange(5).tensor_split(3)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    given = indices_or_sections, indices, sections, tensor_indices_or_sections
    where = next((v for v in given if v is not None), None)
    if check_tensor("tensor_split", input)._array.ndim == 0:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
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
        bounds = list(itertools.pairwise(ends))
    else:
        points = list(where)
        bounds = list(zip([0, *points], [*points, None], strict=True))
    return tuple(slice_dim(input, dim, start, stop) for start, stop in bounds)


def _splitter(name: str, dim, least: int, doc: str):
    def function(input, indices_or_sections=None, *, indices=None, sections=None):
        where = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
        array = check_tensor(name, input)._array
        if array.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension{'s' if least > 1 else ''}, "
                "but got a "
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
@numpy_names
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
    return _views(
        input, [array[(*before, i, ...)] for i in range(array.shape[dim])], UnbindBackward0, dim=dim
    )


def _unsafe(function):
    """A function whose parts may be changed in place under autograd, because they are copies."""

    def renamed(*args, **kwargs):
        return tuple(part.clone() for part in function(*args, **kwargs))

    renamed.__name__ = renamed.__qualname__ = f"unsafe_{function.__name__}"
    renamed.__doc__ = f"As `{function.__name__}`, with parts in memory of their own."
    return op()(renamed)


unsafe_chunk, unsafe_split, unsafe_split_with_sizes = (
    _unsafe(chunk),
    _unsafe(split),
    _unsafe(split_with_sizes),
)
