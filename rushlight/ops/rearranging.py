"""Copies with elements repeated, moved or left out: repeat, roll, flip, triangles, diagonals."""

import builtins

import numpy as np

from rushlight.autograd.node import Node
from rushlight.kernels.reference.layout import zeros_by
from rushlight.ops.common import Tensor, check_tensor, record, recording, wrap, write_out
from rushlight.ops.parts import diagonal
from rushlight.ops.registry import numpy_names, op
from rushlight.ops.shape import dims_tuple, reshape, sizes
from rushlight.tensor import check_dim

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
@numpy_names
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
    if not shifts:
        raise RuntimeError("roll(): `shifts` required: how far, as a number or one for each dimension")
    if not dims and len(shifts) == 1:
        out = np.roll(array, shifts[0])
    elif len(dims) != len(shifts):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    else:
        dims = tuple(check_dim(d, array.ndim) for d in dims)
        if not array.ndim:
            raise IndexError(f"roll(): Dimension specified as {dims[0]} but tensor has no dimensions")
        out = np.roll(array, shifts, dims)
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
    turned = tuple([slice(None, None, -1) if i in dims else slice(None) for i in range(array.ndim)])
    out = array[turned].copy("C")
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
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
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
        raise RuntimeError(
            f"{name}: input tensor must have at least 2 dimensions, got shape {list(array.shape)}"
        )
    found = numpy_function(array, k)
    if recording(x):
        return write_out(record(found, node_type, (x,), diagonal=k), out, exact=True)
    return write_out(wrap(found), out, exact=True)


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
    out = zeros_by(array, shape)
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
    return write_out(found, out, exact=True)


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
