"""Where and which: nonzero, argwhere, unique, unique_consecutive."""

import math

import numpy as np

from rushlight.kernels.reference.layout import c_order
from rushlight.ops.common import (
    check_tensor,
    wrap,
    write_out,
)
from rushlight.ops.registry import op
from rushlight.tensor import check_dim

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
        if out is not None:
            raise TypeError("nonzero(): there is no out= for as_tuple=True")
        return tuple(wrap(p.copy()) for p in np.atleast_1d(array).nonzero())
    if array.ndim == 0:
        found = np.empty((int(bool(array)), 0), np.int64)
    else:
        found = np.stack(array.nonzero()).T
    return write_out(wrap(found), out, exact=True)


@op()
def argwhere(input):
    """The positions of all elements that are not zero: (number of them, number of dimensions).

    >>> import rushlight as torch
    >>> torch.argwhere(torch.tensor([0, 5]))
    tensor([[1]])
    """
    return nonzero(input)


@op()
def nonzero_static(input, *, size, fill_value=-1, out=None):
    """The first `size` positions of elements that are not zero, filled up with `fill_value`.

    >>> import rushlight as torch
    >>> torch.nonzero_static(torch.tensor([0, 5]), size=2)
    tensor([[ 1],
            [-1]])
    """
    if size < 0:
        raise RuntimeError(f"nonzero_static: 'size' must be an non-negative integer, got {size}")
    found = nonzero(input)._array[:size]
    array = np.full((size, input._array.ndim), fill_value, np.int64)
    array[: len(found)] = found
    return write_out(wrap(array), out)


@op(method=False)
def unravel_index(indices, shape):
    """The coordinates, in a tensor of a shape, of flat positions.

    Args:
        indices: positions, of an integer type; those outside are wrapped around.
        shape: the shape.
    Returns:
        One tensor for each dimension.
    Raises:
        TypeError: the indices are no integers. ValueError: a size is negative.

    >>> import rushlight as torch
    >>> torch.unravel_index(torch.tensor([3]), (2, 2))
    (tensor([1]), tensor([1]))
    """
    array = check_tensor("unravel_index", indices, "indices")._array
    if array.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    shape = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"'shape' cannot have negative values, but got {shape}")
    count = int(np.prod(shape))
    where, found = array % max(count, 1), []
    for n in reversed(shape):
        found.append(wrap(np.asanyarray(where % n, array.dtype)))
        where = where // n
    return tuple(reversed(found))


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
    return _results(c_order(values), inverse.reshape(-1), counts, return_inverse, return_counts)


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
    rows = np.moveaxis(array, dim, 0)
    rows = rows.reshape(rows.shape[0], math.prod(rows.shape[1:]))
    new = np.ones(rows.shape[0], np.bool_)
    new[1:] = (rows[1:] != rows[:-1]).any(1)
    starts = np.flatnonzero(new)
    inverse = np.cumsum(new) - 1
    counts = np.diff(np.append(starts, rows.shape[0]))
    return _results(
        array.take(starts, dim), inverse if shape is None else inverse.reshape(shape), counts, return_inverse,
        return_counts,
    )  # fmt: skip
