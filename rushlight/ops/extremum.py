"""The largest and the smallest: over all elements, along dimensions, of two tensors, and so far in a row."""

import numpy as np

from rushlight import kernels as K
from rushlight import return_types
from rushlight.autograd.node import Node
from rushlight.kernels.reference.layout import empty_by, zeros_by
from rushlight.ops.common import (
    MODE,
    Tensor,
    check_tensor,
    not_implemented,
    record,
    record_many,
    wrap,
    write_out,
    write_outs,
)
from rushlight.ops.elementwise import maximum, minimum
from rushlight.ops.reduction import ReductionNode, axes_of, reduced
from rushlight.ops.registry import numpy_names, op
from rushlight.phantom import is_phantom
from rushlight.tensor import check_dim

# -- values taken at indices ------------------------------------------------------------------------


class TakenNode(Node):
    """Values taken at `indices` along dimension `axis` of a tensor of `shape`; and the indices themselves."""

    def backward(self, grad, _):
        return put_along(grad, self.indices, self.shape, self.axis, self.keepdim)


class PutAlongBackward0(Node):
    def backward(self, grad):
        return take_along(grad, self.indices, self.axis, self.keepdim)


class TakeAlongBackward0(Node):
    def backward(self, grad):
        return put_along(grad, self.indices, self.shape, self.axis, self.keepdim)


def put_along(values: Tensor, indices: np.ndarray, shape: tuple, axis: int, keepdim: bool) -> Tensor:
    """Zeros of `shape` with values at indices, all different, along `axis`; both lack it if not `keepdim`."""
    given = values._array
    array = zeros_by(given, shape)
    if not shape:
        array[...] = given
    elif keepdim:
        np.put_along_axis(array, indices, given, axis)
    else:
        np.put_along_axis(array, np.expand_dims(indices, axis), np.expand_dims(given, axis), axis)
    return _linked(array, PutAlongBackward0, values, indices, shape, axis, keepdim)


def take_along(x: Tensor, indices: np.ndarray, axis: int, keepdim: bool) -> Tensor:
    """The elements at these indices along `axis`: the adjoint of `put_along`."""
    array = x._array
    shape = array.shape
    if shape:
        whole = indices if keepdim else np.expand_dims(indices, axis)
        array = np.take_along_axis(array, whole, axis)
        array = array if keepdim else array.squeeze(axis)
    return _linked(array, TakeAlongBackward0, x, indices, shape, axis, keepdim)


def _linked(array, node_type, input: Tensor, indices, shape, axis, keepdim) -> Tensor:
    if input._rg and MODE.enabled:
        return record(array, node_type, (input,), indices=indices, shape=shape, axis=axis, keepdim=keepdim)
    return wrap(array)


def with_indices(values, indices, node_type, input: Tensor, axis: int, keepdim: bool, kind, out=None):
    """A named pair (values, indices), with the gradient of the values going to the indices.

    Args:
        values, indices: arrays.
        keepdim: whether they have the dimension `axis`.
        kind: the type of the pair, from `return_types`.
        out: a pair of tensors to write to.
    """
    if input._rg and MODE.enabled:
        fields = {"indices": indices, "shape": input._array.shape, "axis": axis, "keepdim": keepdim}
        pair = record_many((values, indices), node_type, (input,), differentiable=(True, False), **fields)
    else:
        pair = wrap(values), wrap(indices)
    return kind(pair) if out is None else write_outs(pair, out, kind)


def axis_of(name: str, x: np.ndarray, dim) -> int:
    """The one dimension to look along, which must not be empty."""
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"{name}(): argument 'dim' must be int, not {type(dim).__name__}")
    axis = check_dim(dim, x.ndim)
    if x.ndim and x.shape[axis] == 0:
        raise IndexError(
            f"{name}(): Expected reduction dim {axis} to have non-zero size. Got a tensor of shape "
            f"{list(x.shape)}."
        )
    return axis


# -- max and min ------------------------------------------------------------------------------------


class ExtremumNode(ReductionNode):
    """The largest or smallest over dimensions: elements equal to it share the gradient."""

    def backward(self, grad):
        y, x = self.unpack_with_output()
        return self.share(grad, x, y)

    def share(self, grad, x, y):
        """The gradient of x from that of its extremum y."""
        y = self.restore(y)
        hits = (x == y) | x.isnan() & y.isnan() if x._array.dtype.kind in "fV" else x == y
        axes = self.axes if self.axes is not None else tuple(range(len(self.shape)))
        return self.restore(grad) * hits / hits.sum(axes, True)


class MaxBackward1(ExtremumNode):
    pass


class MinBackward1(ExtremumNode):
    pass


class AmaxBackward0(ExtremumNode):
    pass


class AminBackward0(ExtremumNode):
    pass


class MaxBackward0(TakenNode):
    pass


class MinBackward0(TakenNode):
    pass


def _over_dims(name: str, kernel, node_type, input: Tensor, axes, keepdim) -> Tensor:
    """The extremum over dimensions."""
    x = input._array
    if x.dtype.kind == "c":
        kernels = {"max": "max_all", "min": "min_all", "amax": "max_values_cpu", "amin": "min_values_cpu"}
        raise not_implemented(kernels[name], x)
    if x.size == 0:
        _check_not_empty(name, x, axes)
    result = reduced(kernel(x, axes, keepdim), node_type, input, axes, keepdim)
    if result._node is not None:
        result._node.save_output(result, input)
    return result


def _check_not_empty(name: str, x: np.ndarray, axes) -> None:
    if axes is None:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the "
            f"'dim' argument. Got a tensor of shape {list(x.shape)}."
        )
    for axis in axes:
        axis_of(name, x, axis)


def _extremum(name: str, over_all, along, other_op, full_node, dim_node):
    """`max` or `min` in its three forms."""
    kind = getattr(return_types, name)

    def function(input, dim=None, keepdim=False, *, other=None, out=None, axis=None, keepdims=None):
        if dim is None and axis is None and other is None:
            if keepdim or keepdims:
                raise TypeError(f"{name}() received an invalid combination of arguments: keepdim needs dim")
            result = _over_dims(name, over_all, full_node, check_tensor(name, input), None, False)
            return result if out is None else write_out(result, out)
        if other is not None or isinstance(dim, Tensor):
            return other_op(input, dim if other is None else other, out=out)
        dim = dim if axis is None else axis
        x = check_tensor(name, input)._array
        if isinstance(keepdim, bool):
            keepdim = keepdim if keepdims is None else keepdims
        else:
            raise TypeError(
                f"{name}() received an invalid combination of arguments: keepdim must be bool, not "
                f"{type(keepdim).__name__}"
            )
        if x.dtype.kind == "c":
            raise not_implemented(name, x)
        at = axis_of(name, x, dim)
        values, indices = along(x, at)
        if keepdim and x.ndim:
            values, indices = np.expand_dims(values, at), np.expand_dims(indices, at)
        return with_indices(values, indices, dim_node, input, at, keepdim, kind, out)

    best, example = ("largest", "tensor([2, 4])") if name == "max" else ("smallest", "tensor([1, 3])")
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The {best} element; or that along one dimension, and where it is; or that of two.

    Args:
        input: a tensor of real numbers.
        dim: the dimension; or the other tensor. `axis` is the same.
        keepdim: keep the reduced dimension, with size 1. `keepdims` is the same.
        other: a tensor whose shape broadcasts with the first's.
        out: where to put the result; with `dim`, a pair of tensors.
    Returns:
        A tensor; with `dim`, a named tuple (values, indices).
    Raises:
        IndexError: there is no such dimension, or it is empty. RuntimeError: there are no elements.

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor([[1, 2], [4, 3]]), dim=1).values
    {example}
    """
    return op(name=name)(function)


max = _extremum("max", K.amax, K.max_with_index, maximum, MaxBackward1, MaxBackward0)
min = _extremum("min", K.amin, K.min_with_index, minimum, MinBackward1, MinBackward0)


def _amount(name: str, kernel, node_type, best: str, example: str):
    def function(input, dim=(), keepdim=False, *, out=None):
        x = check_tensor(name, input)._array
        return write_out(
            _over_dims(name, kernel, node_type, input, axes_of(dim, x.ndim), keepdim), out, exact=True
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The {best} element over some dimensions; equal ones share the gradient.

    Args:
        input: a tensor of real numbers.
        dim: a dimension or several; () for all.
        keepdim: keep the reduced dimensions, with size 1.
        out: where to put the result.
    Raises:
        IndexError: there is no such dimension, or it is empty.

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor([[1, 2], [4, 3]]), dim=1)
    {example}
    """
    return op(name=name)(numpy_names(function))


amax = _amount("amax", K.amax, AmaxBackward0, "largest", "tensor([2, 4])")
amin = _amount("amin", K.amin, AminBackward0, "smallest", "tensor([1, 3])")


class AminmaxBackward0(ExtremumNode):
    def backward(self, grad_low, grad_high):
        (x,) = self.unpack()
        parts = [
            self.share(grad, x, extremum(x, () if self.axes is None else self.axes, self.keepdim))
            for grad, extremum in ((grad_low, amin), (grad_high, amax))
            if grad is not None
        ]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]


@op()
@numpy_names
def aminmax(input, *, dim=None, keepdim=False, out=None):
    """The smallest and the largest element, of all or along one dimension.

    Args:
        input: a tensor of real numbers.
        dim: the dimension; None for all.
        keepdim: keep the reduced dimension, with size 1.
        out: a pair of tensors for the results.
    Returns:
        A named tuple (min, max).
    Raises:
        RuntimeError: there are no elements.

    >>> import rushlight as torch
    >>> torch.aminmax(torch.tensor([3, 1, 2])).max
    tensor(3)
    """
    x = check_tensor("aminmax", input)._array
    axes = axes_of(dim, x.ndim)
    if x.size == 0 and axes is not None and x.shape[axes[0]] == 0:
        raise IndexError(f"aminmax: Expected reduction dim {axes[0]} to have non-zero size.")
    if x.size == 0 and axes is None:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    if x.dtype.kind == "c":
        raise not_implemented("aminmax_cpu", x)
    arrays = K.amin(x, axes, keepdim), K.amax(x, axes, keepdim)
    if input._rg and MODE.enabled:
        fields = {"shape": x.shape, "axes": axes, "keepdim": keepdim}
        pair = record_many(arrays, AminmaxBackward0, (input,), input, **fields)
    else:
        pair = wrap(arrays[0]), wrap(arrays[1])
    return write_outs(pair, out, return_types.aminmax)


# -- where they are ---------------------------------------------------------------------------------


def _argument(name: str, kernel, best: str, example: str):
    def function(input, dim=None, keepdim=False, *, out=None, axis=None, keepdims=None):
        x = check_tensor(name, input)._array
        dim = dim if axis is None else axis
        keepdim = keepdim if keepdims is None else keepdims
        if x.dtype.kind in "cb":
            kind = "complex" if x.dtype.kind == "c" else "bool"
            raise RuntimeError(f"{name}(): does not support {kind} input")
        if dim is not None:
            dim = axis_of(name, x, dim) if x.ndim else check_dim(dim, 0)
        elif x.size == 0:
            raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        result = wrap(kernel(x, dim if x.ndim else None, keepdim))
        return result if out is None else write_out(result, out, exact=True)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Where the {best} element is: its index along one dimension, or among all elements.

    Args:
        input: a tensor of real numbers.
        dim: the dimension; None for all elements in order. `axis` is the same.
        keepdim: keep the reduced dimension, with size 1. `keepdims` is the same.
        out: where to put the result.
    Returns:
        An int64 tensor: of equal elements the first one's index.
    Raises:
        IndexError: there is no such dimension, or it is empty.

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor([[1, 2], [4, 3]]), dim=1)
    {example}
    """
    return op(name=name)(function)


argmax = _argument("argmax", K.argmax, "largest", "tensor([1, 0])")
argmin = _argument("argmin", K.argmin, "smallest", "tensor([0, 1])")


# -- median and mode --------------------------------------------------------------------------------


class MedianBackward1(TakenNode):
    pass


class NanmedianBackward1(TakenNode):
    pass


class ModeBackward0(TakenNode):
    pass


class MedianBackward0(ExtremumNode):
    pass


class NanmedianBackward0(ExtremumNode):
    pass


def _median_at(x: np.ndarray, skip_nan: bool) -> np.ndarray:
    """Along the last dimension, the index of the median: the lower of the two in the middle."""
    order = np.argsort(x, -1, kind="stable")
    n = x.shape[-1]
    if x.dtype.kind not in "fV":
        return order[..., (n - 1) // 2]
    missing = np.isnan(x).sum(-1)
    if skip_nan:
        middle = np.maximum(n - missing - 1, 0) // 2
    else:  # a nan, of which the first in order is the answer, comes last in order
        middle = np.where(missing > 0, n - missing, (n - 1) // 2)
    return np.take_along_axis(order, middle[..., None], -1)[..., 0]


def _median(name: str, skip_nan: bool, full_node, dim_node, value: str):
    kind = getattr(return_types, name)

    def function(input, dim=None, keepdim=False, *, out=None):
        x = check_tensor(name, input)._array
        if x.dtype.kind in "bc":
            raise not_implemented("median_cpu", x)
        if dim is None:
            flat = x.reshape(-1)
            if not flat.size:
                return wrap(np.array(np.nan if x.dtype.kind in "fV" else np.iinfo(x.dtype).min, x.dtype))
            result = reduced(np.asanyarray(flat[_median_at(flat, skip_nan)]), full_node, input, None, False)
            if result._node is not None:
                result._node.save_output(result, input)
            return write_out(result, out)
        return _picked(
            name, input, dim, keepdim, lambda last: _median_at(last, skip_nan), dim_node, kind, out
        )

    extra = "; nan is left out" if skip_nan else "; nan where there is one"
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The median, the lower of two in the middle{extra}.

    Args:
        input: a tensor of real numbers.
        dim: the dimension; None for all elements.
        keepdim: keep the reduced dimension, with size 1.
        out: where to put the result; with `dim`, a pair of tensors.
    Returns:
        A tensor; with `dim`, a named tuple (values, indices).

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor([3.0, 1.0, float("nan"), 2.0]))
    tensor({value})
    """
    return op(name=name)(numpy_names(function))


def _picked(name, input: Tensor, dim, keepdim, index, node_type, kind, out):
    """Values taken along one dimension at what `index` says of an array with that dimension last."""
    x = input._array
    axis = axis_of(name, x, dim)
    if not x.ndim:
        return with_indices(x.copy(), zeros_by(x, (), np.int64), node_type, input, axis, keepdim, kind, out)
    last = np.moveaxis(x, axis, -1)
    indices = np.expand_dims(np.asanyarray(index(last)).astype(np.int64, copy=False), axis)
    values = np.take_along_axis(x, indices, axis)
    if not keepdim:
        values, indices = values.squeeze(axis), indices.squeeze(axis)
    return with_indices(values, indices, node_type, input, axis, keepdim, kind, out)


median = _median("median", False, MedianBackward0, MedianBackward1, "nan")
nanmedian = _median("nanmedian", True, NanmedianBackward0, NanmedianBackward1, "2.")


@op()
@numpy_names
def mode(input, dim=-1, keepdim=False, *, out=None):
    """The most frequent value along one dimension, the smallest of several, and where it occurs last.

    Args:
        input: a tensor of real numbers.
        dim: the dimension.
        keepdim: keep the reduced dimension, with size 1.
        out: a pair of tensors for the results.
    Returns:
        A named tuple (values, indices).

    >>> import rushlight as torch
    >>> torch.mode(torch.tensor([1, 2, 2, 3])).values
    tensor(2)
    """
    check_tensor("mode", input)
    return _picked("mode", input, dim, keepdim, _mode_at, ModeBackward0, return_types.mode, out)


def _mode_at(x: np.ndarray) -> np.ndarray:
    """Along the last dimension, the index of the last of the most frequent elements."""
    rows = x.reshape(-1, x.shape[-1])
    found = empty_by(x, len(rows), np.int64)
    if is_phantom(x):
        return found.reshape(x.shape[:-1])
    for i, row in enumerate(rows):
        values, counts = np.unique(row, return_counts=True)
        found[i] = np.flatnonzero(row == values[counts.argmax()])[-1] if row.size else 0
    return found.reshape(x.shape[:-1])


# -- so far -----------------------------------------------------------------------------------------


class CummaxBackward0(TakenNode):
    def backward(self, grad, _):
        if not self.shape:
            return grad
        return grad.new_zeros(self.shape).scatter_add(self.axis, wrap(self.indices), grad)


class CumminBackward0(CummaxBackward0):
    pass


def _so_far(name: str, ufunc, node_type, best: str, example: str):
    kind = getattr(return_types, name)

    def function(input, dim, *, out=None):
        x = check_tensor(name, input)._array
        axis = check_dim(dim, x.ndim)
        if not x.ndim or not x.size:
            return with_indices(
                x.copy(), zeros_by(x, x.shape, np.int64), node_type, input, axis, True, kind, out
            )
        values = ufunc.accumulate(x, axis)
        positions = np.arange(x.shape[axis]).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        hits = x == values if x.dtype.kind not in "fV" else (x == values) | np.isnan(x)
        indices = np.maximum.accumulate(np.where(hits, positions, 0), axis)
        return with_indices(values, indices, node_type, input, axis, True, kind, out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The {best} element so far along one dimension, and where it is.

    Args:
        input: a tensor of real numbers.
        dim: the dimension.
        out: a pair of tensors for the results.
    Returns:
        A named tuple (values, indices).

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor([2, 1, 3]), 0).values
    {example}
    """
    return op(name=name)(numpy_names(function))


cummax = _so_far("cummax", np.maximum, CummaxBackward0, "largest", "tensor([2, 2, 3])")
cummin = _so_far("cummin", np.minimum, CumminBackward0, "smallest", "tensor([2, 1, 1])")
