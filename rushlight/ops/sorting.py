"""Order: sorting, the k largest, quantiles, searching in sorted rows, and counting by value."""

import math

import numpy as np

from rushlight import kernels as K
from rushlight import return_types
from rushlight.kernels.reference.layout import c_order, empty_by, zeros_by
from rushlight.kernels.reference.positions import order
from rushlight.ops.common import Tensor, check_tensor, not_implemented, promote, wrap, write_out
from rushlight.ops.extremum import TakenNode, axis_of, with_indices
from rushlight.ops.registry import numpy_names, op
from rushlight.tensor import check_dim


class SortBackward0(TakenNode):
    pass


class SortBackward1(TakenNode):
    pass


def _order(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    return order(x, axis, descending) if x.ndim else zeros_by(x, (), np.int64)


def _take(x: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    return K.gather(x, indices, axis) if x.ndim else x.copy()


@op()
@numpy_names
def sort(input, dim=-1, descending=False, stable=None, *, out=None):
    """The elements in order along one dimension, and where each of them was.

    Args:
        input: a tensor of real numbers; nan counts as the largest.
        dim: the dimension.
        descending: the largest first.
        stable: whether equal elements keep their order; they always do.
        out: a pair of tensors for the results.
    Returns:
        A named tuple (values, indices).
    Raises:
        IndexError: there is no such dimension. RuntimeError: the numbers are complex.

    >>> import rushlight as torch
    >>> torch.sort(torch.tensor([3, 1, 2])).values
    tensor([1, 2, 3])
    """
    x = check_tensor("sort", input)._array
    axis = check_dim(dim, x.ndim)
    if x.dtype.kind == "c":
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    indices = _order(x, axis, descending)
    node_type = SortBackward0 if stable is None else SortBackward1
    return with_indices(
        _take(x, indices, axis), indices, node_type, input, axis, True, return_types.sort, out
    )


@op()
@numpy_names
def argsort(input, dim=-1, descending=False, stable=False):
    """The indices that put the elements in order along one dimension: see `sort`.

    >>> import rushlight as torch
    >>> torch.argsort(torch.tensor([3, 1, 2]))
    tensor([1, 2, 0])
    """
    return sort(check_tensor("argsort", input).detach(), dim, descending, stable).indices


@op()
def msort(input, *, out=None):
    """The elements in order along the first dimension.

    >>> import rushlight as torch
    >>> torch.msort(torch.tensor([3, 1, 2]))
    tensor([1, 2, 3])
    """
    return write_out(sort(input, 0).values, out, exact=True)


class TopkBackward0(TakenNode):
    pass


@op()
@numpy_names
def topk(input, k, dim=-1, largest=True, sorted=True, *, out=None):
    """The k largest (or smallest) elements along one dimension in order, and where they are.

    Args:
        input: a tensor of real numbers; nan counts as the largest.
        k: how many.
        dim: the dimension.
        largest: False for the smallest.
        sorted: whether they should be in order; they always are.
        out: a pair of tensors for the results.
    Returns:
        A named tuple (values, indices).
    Raises:
        RuntimeError: there are fewer than k.

    >>> import rushlight as torch
    >>> torch.topk(torch.tensor([3, 1, 2]), 2).values
    tensor([3, 2])
    """
    x = check_tensor("topk", input)._array
    axis = check_dim(dim, x.ndim)
    k = int(k)
    n = x.shape[axis] if x.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(
            f"selected index k out of range: topk got k={k} and dimension {axis} of {list(x.shape)}"
        )
    if x.dtype.kind in "bc":
        raise RuntimeError(
            f"topk does not support {'bool' if x.dtype.kind == 'b' else 'complex'} dtypes on CPU"
        )
    indices = _top(x, k, axis, largest) if x.ndim else zeros_by(x, (), np.int64)
    return with_indices(
        _take(x, indices, axis), indices, TopkBackward0, input, axis, True, return_types.topk, out
    )


def _top(x: np.ndarray, k: int, axis: int, largest: bool) -> np.ndarray:
    """The indices of the k largest or smallest, in order."""
    if axis == x.ndim - 1:
        return K.topk(x, k, bool(largest))
    return c_order(np.moveaxis(K.topk(c_order(np.moveaxis(x, axis, -1)), k, bool(largest)), -1, axis))


class KthvalueBackward0(TakenNode):
    pass


@op()
@numpy_names
def kthvalue(input, k, dim=-1, keepdim=False, *, out=None):
    """The k-th smallest element along one dimension, and where it is.

    Args:
        input: a tensor of real numbers.
        k: from 1 on.
        dim: the dimension.
        keepdim: keep the dimension, with size 1.
        out: a pair of tensors for the results.
    Returns:
        A named tuple (values, indices).
    Raises:
        RuntimeError: there are fewer than k.

    >>> import rushlight as torch
    >>> torch.kthvalue(torch.tensor([3, 1, 2]), 2).values
    tensor(2)
    """
    x = check_tensor("kthvalue", input)._array
    axis = axis_of("kthvalue", x, dim)
    n = x.shape[axis] if x.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {axis}: got k={k}, size {n}"
        )
    if x.dtype.kind in "bc":
        raise not_implemented("kthvalue_cpu", x)
    if not x.ndim:
        pair = x.copy(), zeros_by(x, (), np.int64)
    else:
        indices = np.take(_order(x, axis, False), [k - 1], axis)
        pair = np.take_along_axis(x, indices, axis), indices
        if not keepdim:
            pair = pair[0].squeeze(axis), indices.squeeze(axis)
    return with_indices(*pair, KthvalueBackward0, input, axis, keepdim, return_types.kthvalue, out)


# -- quantiles --------------------------------------------------------------------------------------

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(name: str, input, q, dim, keepdim, interpolation, skip_nan, out) -> Tensor:
    x = check_tensor(name, input)
    if x._array.dtype not in (np.float32, np.float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype. Got {x.dtype}")
    if not isinstance(q, Tensor):
        q = wrap(np.asanyarray(q, x._array.dtype))
    if q._array.dtype != x._array.dtype:
        raise RuntimeError(
            f"{name}() q tensor must be same dtype as the input tensor. Got {q.dtype} and {x.dtype}"
        )
    if q._array.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor. Got {q._array.ndim}D")
    if not x._array.size:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got "
            f"{interpolation}"
        )
    if not ((q._array >= 0) & (q._array <= 1)).all():
        bad = q.item() if not q._array.ndim else "values outside it"
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {bad}")
    rank = x._array.ndim
    if dim is None:
        ordered, axis = sort(x.reshape(-1), 0).values, 0
        shape = [1] * rank if keepdim else []
    else:
        axis = check_dim(dim, rank)
        ordered = sort(x if rank else x.reshape(1), axis).values.movedim(axis, -1)
        shape = [1 if i == axis else n for i, n in enumerate(x._array.shape) if keepdim or i != axis]
    result = _at_ranks(ordered, q.reshape(-1), interpolation, skip_nan)  # [..., q]
    result = result.movedim(-1, 0).reshape([*q._array.shape, *shape])
    return write_out(result, out, exact=True)


def _at_ranks(ordered: Tensor, q: Tensor, interpolation: str, skip_nan: bool) -> Tensor:
    """Quantiles of sorted rows, a new last dimension for those in q."""
    n = ordered._array.shape[-1]
    missing = np.isnan(ordered._array).sum(-1, keepdims=True)
    last = np.maximum(n - missing - 1, 0) if skip_nan else np.full_like(missing, n - 1)
    ranks = (q._array * last).astype(ordered._array.dtype)
    if not skip_nan:
        ranks = np.where(missing > 0, n - 1, ranks).astype(ranks.dtype)
    if interpolation in ("lower", "higher", "nearest"):
        ranks = {"lower": np.floor, "higher": np.ceil, "nearest": np.rint}[interpolation](ranks)
    below = np.floor(ranks).astype(np.int64)
    value = ordered.gather(-1, wrap(below))
    if interpolation not in ("linear", "midpoint"):
        return value
    weight = wrap(
        (np.full_like(ranks, 0.5) if interpolation == "midpoint" else ranks - below).astype(ranks.dtype)
    )
    if q._rg and interpolation == "linear":
        weight = q * wrap(last.astype(ranks.dtype)) - wrap(below.astype(ranks.dtype))
    above = ordered.gather(-1, wrap(np.ceil(ranks).astype(np.int64)))
    return value.lerp(above, weight)


@op()
@numpy_names
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear", out=None):
    """The values below which given shares of the elements lie.

    Args:
        input: a tensor, float32 or float64.
        q: a share from 0 to 1, or a tensor of several.
        dim: the dimension; None for all elements.
        keepdim: keep the dimension, with size 1.
        interpolation: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".
        out: where to put the result.
    Returns:
        A tensor, with a first dimension for several shares.
    Raises:
        RuntimeError: a share is out of range, or the types differ.

    >>> import rushlight as torch
    >>> torch.quantile(torch.tensor([1.0, 2.0, 3.0, 4.0]), 0.5)
    tensor(2.5000)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False, out)


@op()
@numpy_names
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear", out=None):
    """`quantile` of the elements that are numbers, not nan.

    >>> import rushlight as torch
    >>> torch.nanquantile(torch.tensor([1.0, float("nan"), 3.0]), 0.5)
    tensor(2.)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True, out)


# -- searching and counting -------------------------------------------------------------------------


@op(method=False)
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None, out=None):
    """Where values would be inserted in sorted rows so that they stay sorted.

    Args:
        sorted_sequence: a tensor [..., n], sorted along the last dimension; or [n] for all values.
        input: the values [..., m], or a number.
        out_int32: give int32 indices.
        right: behind equal elements, not before them; `side="right"` is the same.
        sorter: the indices that sort the sequence, where it is not sorted.
        out: where to put the result.
    Returns:
        Indices of the shape of the values.
    Raises:
        RuntimeError: the shapes do not go together.

    >>> import rushlight as torch
    >>> torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([0, 3, 9]))
    tensor([0, 1, 3])
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right "
            "was True"
        )
    where = "right" if right or side == "right" else "left"
    rows = check_tensor("searchsorted", sorted_sequence, "sorted_sequence")._array
    values = input._array if isinstance(input, Tensor) else np.asanyarray(input)
    if rows.ndim != 1 and rows.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of "
            "boundaries tensor "
            f"and input value tensor must match, but we got boundaries tensor {list(rows.shape)} and input "
            "value tensor "
            f"{list(values.shape)}"
        )
    if sorter is not None:
        rows = np.take_along_axis(rows, sorter._array, -1)
    kind = np.int32 if out_int32 else np.int64
    if rows.ndim == 1:
        found = np.searchsorted(rows, values, where)
    else:
        found = empty_by(values, values.shape, np.int64)
        for index in np.ndindex(rows.shape[:-1]):
            found[index] = np.searchsorted(rows[index], values[index], where)
    return write_out(wrap(np.asanyarray(found).astype(kind, copy=False)), out, exact=True)


@op(method=False)
def bucketize(input, boundaries, *, out_int32=False, right=False, out=None):
    """The number of the bucket that each value falls into.

    Args:
        input: a tensor or a number.
        boundaries: a sorted tensor [n].
        out_int32: give int32 indices.
        right: whether a boundary belongs to the bucket above it.
        out: where to put the result.
    Raises:
        RuntimeError: the boundaries have more than one dimension.

    >>> import rushlight as torch
    >>> torch.bucketize(torch.tensor([0, 3, 9]), torch.tensor([1, 3, 5]))
    tensor([0, 1, 3])
    """
    if check_tensor("bucketize", boundaries, "boundaries", 2)._array.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries._array.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)


@op()
def bincount(input, weights=None, minlength=0):
    """How often each number from 0 on occurs, or the sum of the weights there.

    Args:
        input: a tensor [n] of integers, none negative.
        weights: a tensor [n].
        minlength: the least length of the result.
    Raises:
        RuntimeError: the input is not as said.

    >>> import rushlight as torch
    >>> torch.bincount(torch.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    x = check_tensor("bincount", input)._array
    if x.dtype.kind not in "iu":
        raise not_implemented("bincount_cpu", x)
    if x.ndim != 1 or (x.size and x.min() < 0):
        raise RuntimeError(
            f"bincount only supports 1-d non-negative integral inputs. Got shape {list(x.shape)}"
        )
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if weights is None:
        return wrap(np.bincount(x, minlength=minlength))
    if weights._array.shape != x.shape:
        raise RuntimeError(
            f"weights should be 1-d and have the same length as input: got {list(weights.shape)}"
        )
    kind = np.float32 if weights._array.dtype == np.float32 else np.float64
    return wrap(np.bincount(x, weights._array, minlength).astype(kind, copy=False))


@op()
def histc(input, bins=100, min=0, max=0, *, out=None):
    """How many elements fall into each of equally wide bins.

    Args:
        input: a tensor of floating-point numbers.
        bins: the number of bins.
        min, max: the range; the smallest and the largest element where both are equal.
        out: where to put the result.
    Returns:
        A tensor [bins] of the input's type.
    Raises:
        RuntimeError: there are no bins, or the range is empty or not finite.

    >>> import rushlight as torch
    >>> torch.histc(torch.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    x = check_tensor("histc", input)._array
    if x.dtype.kind not in "fV":
        raise not_implemented("histogram_cpu", x)
    if bins <= 0:
        raise RuntimeError(f"torch.histc(): bins must be > 0, but got {bins}")
    low, high = float(min), float(max)
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"torch.histc: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"torch.histc: max must be larger than min, got {min} and {max}")
    inside = x[(x >= low) & (x <= high)].astype(np.float64)
    place = np.minimum(((inside - low) / (high - low) * bins).astype(np.int64), bins - 1)
    return write_out(wrap(np.bincount(place, minlength=bins).astype(x.dtype)), out, exact=True)


@op(method=False)
def isin(elements, test_elements, *, assume_unique=False, invert=False, out=None):
    """Which elements are among others.

    Args:
        elements: a tensor or a number.
        test_elements: a tensor or a number.
        assume_unique: both hold no element twice, which may be faster.
        invert: which are not.
        out: where to put the result.
    Returns:
        Truth values of the shape of the first.

    >>> import rushlight as torch
    >>> torch.isin(torch.tensor([1, 2, 3]), torch.tensor([2]))
    tensor([False,  True, False])
    """
    a, b = promote("isin", elements, test_elements)
    found = np.asanyarray(np.isin(a._array, b._array, assume_unique=assume_unique, invert=invert))
    return write_out(wrap(found), out, exact=True)
