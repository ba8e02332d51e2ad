"""`scatter_reduce`: values combined where an index tensor says, by sum, product, mean or extremum."""

import numpy as np

from rushlight.autograd.node import Node
from rushlight.autograd.views import check_writable
from rushlight.kernels.reference.layout import ones_by, zeros_by
from rushlight.ops.common import (
    MODE,
    Tensor,
    check_tensor,
    record,
    recording,
    wrap,
    write_out,
)
from rushlight.ops.gather import gather, grid, scatter, scatter_add, scatter_index, source_grad, source_part
from rushlight.ops.positions import same_dtype
from rushlight.ops.registry import numpy_names, op


class ScatterReduceBackward0(Node):
    """The gradient of a reduction flows as from the same reduction over all that met at a place."""

    def backward(self, grad):
        x, source, result, _ = self.unpack()
        if MODE.enabled:
            result = scatter_reduce(
                x, self.dim, self.index, source, self.reduce, include_self=self.include_self
            )
        to_self, to_source = self.edges
        shares = getattr(self, "_" + self.reduce)(grad, x, source, result)
        kept, given = shares
        if not self.include_self:
            kept = scatter(kept, self.dim, self.index, 0)
        return None if to_self is None else kept, None if to_source is None else source_grad(
            given, self.shape
        )

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
        """The gradient is the product of all others, which is not zero for a single zero."""
        part = _corner(source, self.index)
        own_zero, part_zero = (x == 0), (part == 0)
        zeros = own_zero.to(x.dtype) if self.include_self else x.new_zeros(x.shape)
        zeros = scatter_add(zeros, self.dim, self.index, part_zero.to(x.dtype))
        # The zeros themselves, which second derivatives see: where two meet, each is the other's slope.
        values = x.masked_fill(~own_zero, 0) if self.include_self else x.new_zeros(x.shape)
        values = scatter_add(values, self.dim, self.index, part.masked_fill(~part_zero, 0))
        start = x.masked_fill(own_zero, 1) if self.include_self else x.new_ones(x.shape)
        others = scatter_reduce(start, self.dim, self.index, part.masked_fill(part_zero, 1), "prod")
        none, one, two = ((zeros == n).to(x.dtype) for n in (0, 1, 2))
        rest = grad * others

        def slope(v, is_zero, at):
            """The product of all others, for the elements v: one that is zero, and one that is not."""
            of_zero = at(rest * one) + at(rest * two) * (at(values) - v)
            of_other = (at(rest * none) + at(rest * one * values)) / v.masked_fill(is_zero, 1)
            return of_zero.where(is_zero, of_other)

        return slope(x, own_zero, lambda t: t), slope(
            part, part_zero, lambda t: gather(t, self.dim, self.index)
        )

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


_REDUCTIONS = {
    "sum": (np.add, 0),
    "prod": (np.multiply, 1),
    "mean": (np.add, 0),
    "amax": (np.maximum, None),
    "amin": (np.minimum, None),
}


def _scatter_reduced(array, dim, positions, part, reduce, include_self) -> None:
    ufunc, neutral = _REDUCTIONS[reduce]
    where = grid(positions, dim)
    if not include_self:
        array[where] = part if neutral is None else neutral
    ufunc.at(array, where, part)
    if reduce == "mean":
        count = (ones_by if include_self else zeros_by)(array, array.shape, np.int64)
        np.add.at(count, where, 1)
        count = np.maximum(count, 1)
        array[...] = array // count if array.dtype.kind in "iu" else array / count.astype(array.dtype)


def _scatter_reduce_parts(input, dim, index, src, reduce, include_self):
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    dim, positions = scatter_index(
        "scatter_reduce", input, dim, index, check_tensor("scatter_reduce", src, "src", 4)
    )
    same_dtype("scatter", input, src, "src")
    return dim, positions


def _scatter_reduce_in_place(self, dim, index, src, reduce, *, include_self=True):
    """In-place form of `scatter_reduce`."""
    from rushlight.autograd.views import assign, old_values

    check_writable(self)
    old = old_values(self, src)
    return assign(self, scatter_reduce(old, dim, index, src, reduce, include_self=include_self))


@op(inplace=_scatter_reduce_in_place)
@numpy_names
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
            array.reshape(array.shape or (1,)),
            dim,
            positions,
            source_part(src, positions),
            reduce,
            include_self,
        )
    if not recording(input, src):
        return write_out(wrap(array), out, exact=True)
    saved = (input, src, wrap(array.copy()), index)
    fields = {
        "dim": dim,
        "index": index,
        "reduce": reduce,
        "include_self": include_self,
        "shape": src._array.shape,
    }
    return write_out(record(array, ScatterReduceBackward0, (input, src), *saved, **fields), out, exact=True)


def _along(input: Tensor, dim: int, index: Tensor, source: Tensor):
    """A vector index as one of the source's shape, for `scatter_reduce`."""
    from rushlight.tensor import check_dim

    dim = check_dim(dim, input._array.ndim)
    if index._array.ndim > 1:
        raise RuntimeError(f"index_reduce(): Index is supposed to be a vector, got shape {list(index.shape)}")
    shape = [1] * input._array.ndim
    if shape:
        shape[dim] = -1
    return dim, index.long().reshape(shape).expand(source._array.shape)


def _index_reduce_in_place(self, dim, index, source, reduce, *, include_self=True):
    """In-place form of `index_reduce`."""
    _check_index_reduce(reduce)
    dim, where = _along(self, dim, index, source)
    return _scatter_reduce_in_place(self, dim, where, source, reduce, include_self=include_self)


def _check_index_reduce(reduce: str) -> None:
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either prod, mean, amax or amin, got {reduce}.")


@op(inplace=_index_reduce_in_place)
@numpy_names
def index_reduce(input, dim, index, source, reduce, *, include_self=True, out=None):
    """A tensor with slices of another combined into given positions of a dimension.

    Args:
        input: a tensor.
        dim: the dimension.
        index: a vector of positions, which may repeat.
        source: one slice for each position.
        reduce: "prod", "mean", "amax" or "amin".
        include_self: whether what is there takes part.
    Raises:
        RuntimeError: shapes or types don't fit, or a position is out of range.

    >>> import rushlight as torch
    >>> torch.zeros(2).index_reduce(0, torch.tensor([1, 1]), torch.tensor([2.0, 3.0]), "amax")
    tensor([0., 3.])
    """
    _check_index_reduce(reduce)
    dim, where = _along(input, dim, index, check_tensor("index_reduce", source, "source", 4))
    return scatter_reduce(input, dim, where, source, reduce, include_self=include_self, out=out)
