"""Sums, means, products, variances, and whether any or all are true: many elements to one."""

import builtins
import math
import warnings

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node, connect
from rushlight.dtypes import SCALAR_NAMES, get_default_dtype
from rushlight.ops.common import MODE, Tensor, check_tensor, conj, overloaded, record_many, wrap, write_out
from rushlight.ops.convert import cast
from rushlight.ops.registry import numpy_names, op
from rushlight.tensor import check_dim

# -- what all reductions share ----------------------------------------------------------------------


def axes_of(dim, ndim: int) -> tuple | None:
    """The dimensions to reduce, counted from the front; None for all of them.

    Raises:
        IndexError: there is no such dimension. RuntimeError: one is given twice.
    """
    if dim is None:
        return None
    if type(dim) is int and -ndim <= dim < ndim:
        return (dim + ndim if dim < 0 else dim,)
    if isinstance(dim, (tuple, list)):
        axes = tuple([check_dim(d, ndim) for d in dim])
        if len(set(axes)) != len(axes):
            twice = next(a for a in axes if axes.count(a) > 1)
            raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    else:
        axes = (check_dim(dim.__index__() if hasattr(dim, "__index__") else dim, ndim),)
    return axes if ndim and axes else None


def count_of(shape: tuple, axes: tuple | None) -> int:
    """How many elements a reduction of these dimensions combines into one."""
    return math.prod(shape if axes is None else [shape[a] for a in axes])


def spread(grad: Tensor, shape: tuple, axes: tuple | None, keepdim: bool) -> Tensor:
    """The gradient of a sum's input: that of the sum, repeated over the dimensions that were summed."""
    if MODE.enabled:
        return restore_dims(grad, shape, axes, keepdim).expand(shape)
    g = grad._array
    rank = len(shape)
    if axes is None:
        if g.flags.c_contiguous and g.dtype.kind != "V":
            return wrap(np.ndarray.__new__(type(g), shape, g.dtype, g, 0, (0,) * rank))
        g = g.reshape((1,) * rank)
    elif not keepdim:
        g = np.expand_dims(g, axes)
    strides = tuple([0 if n == 1 else s for n, s in zip(g.shape, g.strides, strict=True)])
    return wrap(np.lib.stride_tricks.as_strided(g, shape, strides, subok=True))


def restore_dims(t: Tensor, shape: tuple, axes: tuple | None, keepdim: bool) -> Tensor:
    """A reduction's result with the reduced dimensions as ones: it broadcasts with the input's `shape`."""
    if axes is None:
        return t.reshape((1,) * len(shape))
    return t if keepdim else t.reshape([1 if i in axes else n for i, n in enumerate(shape)])


class ReductionNode(Node):
    """The gradient function of a reduction: knows the input's `shape`, the reduced `axes`, and `keepdim`."""

    def spread(self, grad: Tensor) -> Tensor:
        """`spread` for this reduction."""
        return spread(grad, self.shape, self.axes, self.keepdim)

    def restore(self, t: Tensor) -> Tensor:
        """`restore_dims` for this reduction."""
        return restore_dims(t, self.shape, self.axes, self.keepdim)


def reduced(array, node_type, input: Tensor, axes, keepdim) -> Tensor:
    """The result of a reduction whose gradient needs only shapes; recorded where it should be."""
    result = wrap(array)
    if input._rg and MODE.enabled:
        node = connect(node_type(), (input,))
        node.shape, node.axes, node.keepdim = input._array.shape, axes, keepdim
        result._node, result._rg = node, True
    return result


def flat_dims(array: np.ndarray, axes: tuple | None) -> np.ndarray:
    """The array with the reduced dimensions, as one, at the end."""
    if axes is None:
        return array.reshape(-1)
    kept = [i for i in range(array.ndim) if i not in axes]
    shape = [array.shape[i] for i in kept]
    return array.transpose(*kept, *axes).reshape(*shape, count_of(array.shape, axes))


# -- sum and mean -----------------------------------------------------------------------------------


class SumBackward0(ReductionNode):
    def backward(self, grad):
        return self.spread(grad)


class SumBackward1(SumBackward0):
    pass


@op()
def sum(input, dim=None, keepdim=False, *, dtype=None, out=None, axis=None, keepdims=None):
    """The sum of all elements, or of those along some dimensions.

    Args:
        input: a tensor; integers and truth values sum to int64.
        dim: a dimension or several; None for all. `axis` is the same.
        keepdim: keep the summed dimensions, with size 1. `keepdims` is the same.
        dtype: convert to this type first.
        out: where to put the result.
    Raises:
        IndexError: there is no such dimension.

    >>> import rushlight as torch
    >>> torch.sum(torch.tensor([[1, 2], [3, 4]]), dim=0)
    tensor([4, 6])
    """
    try:
        x = input._array
    except AttributeError:
        return overloaded("sum", input, dim, keepdim, dtype=dtype)
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    if dtype is not None:
        input = cast(input, dtype)
        x = input._array
    axes = None if dim is None else axes_of(dim, x.ndim)
    result = reduced(
        K.sum(x, axes, keepdim), SumBackward0 if dim is None else SumBackward1, input, axes, keepdim
    )
    if dtype is not None:
        result = cast(result, dtype)
    return result if out is None else write_out(result, out)


class MeanBackward0(ReductionNode):
    def backward(self, grad):
        count = builtins.max(count_of(self.shape, self.axes), 1)
        if MODE.enabled or grad._array.dtype.kind != "f":
            return self.spread(grad / count)
        return self.spread(wrap(K.div(grad._array, float(count))))


class MeanBackward1(MeanBackward0):
    pass


@op()
def mean(input, dim=None, keepdim=False, *, dtype=None, out=None, axis=None, keepdims=None):
    """The mean of all elements, or of those along some dimensions.

    Args:
        input: a tensor of floating-point or complex numbers.
        dim: a dimension or several; None for all. `axis` is the same.
        keepdim: keep the reduced dimensions, with size 1. `keepdims` is the same.
        dtype: convert to this type first, integers to a floating-point type for instance.
        out: where to put the result.
    Raises:
        RuntimeError: the numbers are integers. IndexError: there is no such dimension.

    >>> import rushlight as torch
    >>> torch.mean(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([2., 3.])
    """
    try:
        x = input._array
    except AttributeError:
        check_tensor("mean", input)
        raise
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    if dtype is not None:
        input = cast(input, dtype)
        x = input._array
    if x.dtype.kind in "iub":
        which = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {which} dtype must be either a floating point or "
            "complex dtype. Got: "
            f"{SCALAR_NAMES[input.dtype]}. Convert it first: x.float().mean()"
        )
    axes = None if dim is None else axes_of(dim, x.ndim)
    result = reduced(
        K.mean(x, axes, keepdim), MeanBackward0 if dim is None else MeanBackward1, input, axes, keepdim
    )
    return result if out is None else write_out(result, out)


class NansumBackward0(ReductionNode):
    def backward(self, grad):
        (x,) = self.unpack()
        return self.spread(grad) * x.isnan().logical_not()


@op()
@numpy_names
def nansum(input, dim=None, keepdim=False, *, dtype=None, out=None):
    """The sum of the elements that are numbers, not nan.

    Args:
        input: a tensor.
        dim: a dimension or several; None for all.
        keepdim: keep the summed dimensions, with size 1.
        dtype: convert to this type first.
        out: where to put the result.

    >>> import rushlight as torch
    >>> torch.nansum(torch.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    check_tensor("nansum", input)
    if input._array.dtype.kind in "iub":
        return sum(input, dim, keepdim, dtype=dtype, out=out)
    input = input if dtype is None else cast(input, dtype)
    x = input._array
    axes = axes_of(dim, x.ndim)
    result = reduced(
        K.sum(np.where(np.isnan(x), x.dtype.type(0), x), axes, keepdim), NansumBackward0, input, axes, keepdim
    )
    if result._node is not None:
        result._node.save(input)
    return write_out(result, out)


@op()
@numpy_names
def nanmean(input, dim=None, keepdim=False, *, dtype=None, out=None):
    """The mean of the elements that are numbers, not nan.

    Args:
        input: a tensor of floating-point or complex numbers.
        dim: a dimension or several; None for all.
        keepdim: keep the reduced dimensions, with size 1.
        dtype: convert to this type first.
        out: where to put the result.

    >>> import rushlight as torch
    >>> torch.nanmean(torch.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """
    if check_tensor("nanmean", input)._array.dtype.kind in "iub":
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{SCALAR_NAMES[input.dtype]}. Convert it first: x.float().nanmean()"
        )
    count = sum(input.detach().isnan().logical_not(), dim, keepdim)
    return write_out(nansum(input, dim, keepdim, dtype=dtype) / count, out)


# -- product ----------------------------------------------------------------------------------------


class ProdBackward0(ReductionNode):
    def backward(self, grad):
        y, x = self.unpack_with_output()
        if self.axes is None:
            grad, x, axis = grad.reshape(1), x.reshape(-1), 0
        else:
            grad, (axis,) = self.restore(grad), self.axes
        if (x._array == 0).any():
            slope = _other_factors(x, axis)
        else:
            slope = (y.reshape(1) if self.axes is None else self.restore(y)) / x
        return (grad * conj(slope)).reshape(self.shape)


class ProdBackward1(ProdBackward0):
    pass


def _other_factors(x: Tensor, axis: int) -> Tensor:
    """For each element, the product of all the others along a dimension: correct where there are zeros."""
    from rushlight.ops.joining import cat

    n = x._array.shape[axis]
    one = x.new_ones([1 if i == axis else m for i, m in enumerate(x._array.shape)])
    before = cat([one, x.narrow(axis, 0, n - 1)], axis).cumprod(axis)
    behind = cat([one, x.narrow(axis, 1, n - 1).flip(axis)], axis).cumprod(axis).flip(axis)
    return before * behind


@op()
def prod(input, dim=None, keepdim=False, *, dtype=None, out=None, axis=None, keepdims=None):
    """The product of all elements, or of those along one dimension.

    Args:
        input: a tensor; the product of integers and truth values is int64.
        dim: the dimension; None for all. `axis` is the same.
        keepdim: keep the reduced dimension, with size 1. `keepdims` is the same.
        dtype: convert to this type first.
        out: where to put the result.
    Raises:
        TypeError: several dimensions are given.

    >>> import rushlight as torch
    >>> torch.prod(torch.tensor([2, 3, 4]))
    tensor(24)
    """
    dim = dim if axis is None else axis
    keepdim = keepdim if keepdims is None else keepdims
    if isinstance(dim, (tuple, list)):
        raise TypeError(
            f"prod(): argument 'dim' must be int, not {type(dim).__name__}; reduce one dimension after "
            "another"
        )
    input = check_tensor("prod", input) if dtype is None else cast(check_tensor("prod", input), dtype)
    x = input._array
    kind = np.int64 if x.dtype.kind in "iub" and dtype is None else x.dtype
    axes = axes_of(dim, x.ndim)
    array = K.prod(x, axes, bool(keepdim)).astype(kind, copy=False)
    result = reduced(array, ProdBackward0 if dim is None else ProdBackward1, input, axes, keepdim)
    if result._node is not None:
        result._node.save_output(result, input)
    return write_out(result, out)


# -- variance ---------------------------------------------------------------------------------------


def _spread_options(dim, unbiased, correction) -> tuple:
    """`dim` and `correction` of a variance, from the ways to give them: var(False) means unbiased=False."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    return dim, correction


def _variance(name: str, input, dim, correction, keepdim) -> tuple:
    """The array of variances, the reduced dimensions."""
    x = check_tensor(name, input)._array
    if x.dtype.kind in "iub":
        raise RuntimeError(
            f"std and var only support floating point and complex dtypes: {name} got {input.dtype}. Convert "
            "it first: "
            f"x.float().{name}()"
        )
    axes = axes_of(dim, x.ndim)
    results = math.prod(n for i, n in enumerate(x.shape) if axes is not None and i not in axes)
    if (x.size / results if results else 0) <= correction:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction "
            "factor (input "
            "numel divided by output numel).",
            stacklevel=3,
        )
    return K.var(x, axes, correction, keepdim), axes


class VarBackward0(ReductionNode):
    def backward(self, grad):
        (x,) = self.unpack()
        return self.slope(grad, x)

    def slope(self, grad, x):
        """The gradient of x from that of its variance."""
        freedom = count_of(self.shape, self.axes) - self.correction
        axes = self.axes if self.axes is not None else tuple(range(len(self.shape)))
        deviation = x - mean(x, axes, True)
        if freedom <= 0:  # nan, and nothing for elements that do not vary
            return self.restore(grad) * deviation.masked_fill(deviation == 0, float("nan"))
        return self.restore(grad * (2 / freedom)) * deviation


@op()
def var(
    input, dim=None, unbiased=None, keepdim=False, *, correction=None, out=None, axis=None, keepdims=None
):
    """The variance: squared deviations from the mean, divided by their number less `correction`.

    Args:
        input: a tensor of floating-point or complex numbers.
        dim: a dimension or several; None for all. `axis` is the same.
        unbiased: False for a correction of 0.
        keepdim: keep the reduced dimensions, with size 1. `keepdims` is the same.
        correction: 1 by default (Bessel's).
        out: where to put the result.
    Raises:
        RuntimeError: the numbers are integers. IndexError: there is no such dimension.

    >>> import rushlight as torch
    >>> torch.var(torch.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    dim, correction = _spread_options(dim if axis is None else axis, unbiased, correction)
    keepdim = keepdim if keepdims is None else keepdims
    array, axes = _variance("var", input, dim, correction, keepdim)
    result = reduced(array, VarBackward0, input, axes, keepdim)
    if result._node is not None:
        result._node.save(input)
        result._node.correction = correction
    return write_out(result, out)


class StdBackward0(VarBackward0):
    def backward(self, grad):
        y, x = self.unpack_with_output()
        return self.slope((grad / (y * 2)).masked_fill(y == 0, 0), x)


@op()
def std(
    input, dim=None, unbiased=None, keepdim=False, *, correction=None, out=None, axis=None, keepdims=None
):
    """The standard deviation: the square root of the variance.

    Args:
        input: a tensor of floating-point or complex numbers.
        dim: a dimension or several; None for all. `axis` is the same.
        unbiased: False for a correction of 0.
        keepdim: keep the reduced dimensions, with size 1. `keepdims` is the same.
        correction: 1 by default (Bessel's).
        out: where to put the result.
    Raises:
        RuntimeError: the numbers are integers. IndexError: there is no such dimension.

    >>> import rushlight as torch
    >>> torch.std(torch.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    dim, correction = _spread_options(dim if axis is None else axis, unbiased, correction)
    keepdim = keepdim if keepdims is None else keepdims
    array, axes = _variance("std", input, dim, correction, keepdim)
    result = reduced(K.sqrt(array), StdBackward0, input, axes, keepdim)
    if result._node is not None:
        result._node.save_output(result, input)
        result._node.correction = correction
    return write_out(result, out)


class VarMeanBackward0(VarBackward0):
    def backward(self, grad, grad_mean):
        (x,) = self.unpack()
        total = None if grad is None else self.slope(self.of_variance(grad, x), x)
        if grad_mean is None:
            return total
        of_mean = self.spread(grad_mean / builtins.max(count_of(self.shape, self.axes), 1))
        return of_mean if total is None else total + of_mean

    def of_variance(self, grad, x):
        """The gradient of the variance from that of the first result."""
        return grad


class StdMeanBackward0(VarMeanBackward0):
    def of_variance(self, grad, x):
        y = var(x, self.axes, correction=self.correction, keepdim=self.keepdim).sqrt()
        return (grad / (y * 2)).masked_fill(y == 0, 0)


def _with_mean(name: str, node_type, input, dim, unbiased, keepdim, correction) -> tuple:
    dim, correction = _spread_options(dim, unbiased, correction)
    array, axes = _variance(name, input, dim, correction, keepdim)
    arrays = K.sqrt(array) if name == "std_mean" else array, K.mean(input._array, axes, keepdim)
    if input._rg and MODE.enabled:
        fields = {"shape": input._array.shape, "axes": axes, "keepdim": keepdim, "correction": correction}
        return record_many(arrays, node_type, (input,), input, **fields)
    return wrap(arrays[0]), wrap(arrays[1])


@op(method=False)
@numpy_names
def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The variance and the mean: see `var`.

    >>> import rushlight as torch
    >>> torch.var_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return _with_mean("var_mean", VarMeanBackward0, input, dim, unbiased, keepdim, correction)


@op(method=False)
@numpy_names
def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The standard deviation and the mean: see `std`.

    >>> import rushlight as torch
    >>> torch.std_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return _with_mean("std_mean", StdMeanBackward0, input, dim, unbiased, keepdim, correction)


# -- truth and counting -----------------------------------------------------------------------------


def _truth(name: str, ufunc, doc: str, value: str):
    def function(input, dim=None, keepdim=False, *, out=None, axis=None, keepdims=None):
        x = check_tensor(name, input)._array
        dim = dim if axis is None else axis
        keepdim = keepdim if keepdims is None else keepdims
        array = np.asanyarray(
            ufunc(x if x.dtype.kind != "V" else x != 0, axes_of(dim, x.ndim), keepdims=keepdim)
        )
        kind = np.uint8 if x.dtype == np.uint8 else np.bool_
        return write_out(wrap(array.astype(kind, copy=False)), out, exact=True)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{doc}

    Args:
        input: a tensor.
        dim: a dimension or several; None for all. `axis` is the same.
        keepdim: keep the reduced dimensions, with size 1. `keepdims` is the same.
        out: where to put the result.
    Returns:
        Truth values; uint8 for uint8.

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor([0, 1]))
    tensor({value})
    """
    return op(name=name)(function)


all = _truth("all", np.all, "Whether every element is true (not zero).", "False")
any = _truth("any", np.any, "Whether an element is true (not zero).", "True")


@op()
@numpy_names
def count_nonzero(input, dim=None):
    """How many elements are not zero, in all or along some dimensions.

    >>> import rushlight as torch
    >>> torch.count_nonzero(torch.tensor([0, 1, 2]))
    tensor(2)
    """
    x = check_tensor("count_nonzero", input)._array
    return wrap(np.asanyarray(np.count_nonzero(x, axes_of(dim, x.ndim))).astype(np.int64, copy=False))


# -- logarithm of a sum of exponentials -------------------------------------------------------------


class LogsumexpBackward0(ReductionNode):
    def backward(self, grad):
        y, x = self.unpack_with_output()
        top = self.restore(y)
        return self.restore(grad) * conj((x - top.masked_fill(top.abs() == math.inf, 0)).exp())


def _complex_logsumexp(x: np.ndarray, axes: tuple, keepdim: bool) -> np.ndarray:
    top = x.real.max(axes, keepdims=True, initial=-math.inf)
    top = np.where(np.isinf(top), 0, top).astype(x.real.dtype)
    with np.errstate(divide="ignore"):
        sums = np.log(np.exp(x - top).sum(axes, keepdims=True)) + top
    return sums if keepdim else np.asanyarray(sums.squeeze(axes))


@op()
@numpy_names
def logsumexp(input, dim, keepdim=False, *, out=None):
    """The logarithm of the sum of exponentials along some dimensions, without overflow.

    Args:
        input: a tensor.
        dim: a dimension or several.
        keepdim: keep the reduced dimensions, with size 1.
        out: where to put the result.

    >>> import rushlight as torch
    >>> torch.logsumexp(torch.zeros(2), 0)
    tensor(0.6931)
    """
    if check_tensor("logsumexp", input)._array.dtype.kind in "iub":
        input = cast(input, get_default_dtype())
    x = input._array
    axes = axes_of(dim, x.ndim)
    axes_or_all = tuple(range(x.ndim)) if axes is None else axes
    array = (_complex_logsumexp if x.dtype.kind == "c" else K.logsumexp)(x, axes_or_all, keepdim)
    result = reduced(array, LogsumexpBackward0, input, axes, keepdim)
    if result._node is not None:
        result._node.save_output(result, input)
    return write_out(result, out)
