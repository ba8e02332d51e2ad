"""Running sums and products, and differences of neighbours."""

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.ops.common import (
    MODE,
    Tensor,
    check_tensor,
    conj,
    not_implemented,
    record,
    required_dim,
    wrap,
    write_out,
)
from rushlight.ops.convert import cast
from rushlight.ops.functions_of_two import complex_logaddexp
from rushlight.ops.registry import numpy_names, op
from rushlight.tensor import check_dim


def _prepared(name: str, input, dim, dtype) -> tuple:
    """The input in the type to compute in (integers in int64), and the dimension."""
    check_tensor(name, input)
    axis = check_dim(dim, input._array.ndim)
    if dtype is not None:
        return cast(input, dtype), axis
    if input._array.dtype.kind in "iub" and input._array.dtype != np.int64:
        return wrap(input._array.astype(np.int64)), axis
    return input, axis


def _accumulated(x: np.ndarray, axis: int, product: bool = False) -> np.ndarray:
    return K.scan(x, axis, product) if x.ndim else x.copy()


def from_the_end(x: Tensor, axis: int) -> Tensor:
    """The running sum that starts at the end of a dimension."""
    if not x._array.ndim:
        return x
    if not (MODE.enabled and x._rg):
        return wrap(K.scan(x._array, axis, False, True))
    return cumsum(x.flip(axis), axis).flip(axis)


class CumsumBackward0(Node):
    def backward(self, grad):
        return from_the_end(grad, self.axis)


@op(inplace=True)
def cumsum(input, dim=None, *, dtype=None, out=None, axis=None):
    """The running sum along one dimension.

    Args:
        input: a tensor; integers and truth values sum to int64.
        dim: the dimension.
        dtype: convert to this type first.
        out: where to put the result.
    Raises:
        IndexError: there is no such dimension.

    >>> import rushlight as torch
    >>> torch.cumsum(torch.tensor([1, 2, 3]), 0)
    tensor([1, 3, 6])
    """
    x, axis = _prepared("cumsum", input, required_dim("cumsum", axis) if dim is None else dim, dtype)
    array = _accumulated(x._array, axis)
    if x._rg and MODE.enabled:
        return write_out(record(array, CumsumBackward0, (x,), axis=axis), out)
    return write_out(wrap(array), out)


class CumprodBackward0(Node):
    def backward(self, grad):
        y, x = self.unpack_with_output()
        if not x._array.ndim:
            return grad
        if not (x._array == 0).any():
            return from_the_end(grad * conj(y), self.axis) / conj(x)
        return _through_zeros(grad, conj(x), self.axis)


def _through_zeros(grad: Tensor, x: Tensor, axis: int) -> Tensor:
    """The gradient of a running product of factors of which some are 0: each one's own product without it."""
    from rushlight.ops.joining import cat

    n = x._array.shape[axis]
    slopes = []
    one = x.new_ones([1 if i == axis else m for i, m in enumerate(x._array.shape)])
    for k in range(n):
        before = x.narrow(axis, 0, k).prod(axis, True)
        behind = cat([one, x.narrow(axis, k + 1, n - k - 1)], axis).cumprod(axis)
        slopes.append((grad.narrow(axis, k, n - k) * before * behind).sum(axis, True))
    return cat(slopes, axis)


@op(inplace=True)
@numpy_names
def cumprod(input, dim, *, dtype=None, out=None):
    """The running product along one dimension.

    Args:
        input: a tensor; the products of integers and truth values are int64.
        dim: the dimension.
        dtype: convert to this type first.
        out: where to put the result.
    Raises:
        IndexError: there is no such dimension.

    >>> import rushlight as torch
    >>> torch.cumprod(torch.tensor([1, 2, 3]), 0)
    tensor([1, 2, 6])
    """
    x, axis = _prepared("cumprod", input, dim, dtype)
    array = _accumulated(x._array, axis, True)
    if x._rg and MODE.enabled:
        result = record(array, CumprodBackward0, (x,), axis=axis)
        result._node.save_output(result, x)
        return write_out(result, out)
    return write_out(wrap(array), out)


class LogcumsumexpBackward0(Node):
    def backward(self, grad):
        y, x = self.unpack_with_output()
        if not x._array.ndim:
            return grad
        if x.is_complex():
            part = grad.conj().log() - y
            return (logcumsumexp(part.flip(self.axis), self.axis).flip(self.axis) + x).exp().conj()
        lowest = float(np.finfo(x._array.dtype).min)
        size = grad.abs().log()
        parts = []
        for positive in (grad > 0, grad < 0):  # the logarithm of each sign's part of the gradient
            part = size.where(positive, lowest) - y
            parts.append((logcumsumexp(part.flip(self.axis), self.axis).flip(self.axis) + x).exp())
        return parts[0] - parts[1]


def _log_sums(x: np.ndarray, axis: int) -> np.ndarray:
    """In double precision while it runs, as in PyTorch."""
    if x.dtype.kind != "c":
        wide = x.astype(np.float64)
        return (np.logaddexp.accumulate(wide, axis) if x.ndim else wide).astype(x.dtype)
    sums = np.array(x, np.complex128)
    along = np.moveaxis(sums, axis, 0) if x.ndim else sums.reshape(1)
    for i in range(1, len(along)):
        along[i] = complex_logaddexp(along[i - 1], along[i])
    return sums.astype(x.dtype)


@op()
@numpy_names
def logcumsumexp(input, dim, *, out=None):
    """The logarithm of the running sum of exponentials along one dimension, without overflow.

    Args:
        input: a tensor of floating-point numbers.
        dim: the dimension.
        out: where to put the result.
    Raises:
        NotImplementedError: the numbers are integers. IndexError: there is no such dimension.

    >>> import rushlight as torch
    >>> torch.logcumsumexp(torch.zeros(2), 0)
    tensor([0.0000, 0.6931])
    """
    x = check_tensor("logcumsumexp", input)._array
    axis = check_dim(dim, x.ndim)
    if x.dtype.kind in "iub":
        raise not_implemented("logcumsumexp_out_cpu", x)
    with np.errstate(all="ignore"):
        array = _log_sums(x, axis)
    if input._rg and MODE.enabled:
        result = record(array, LogcumsumexpBackward0, (input,), axis=axis)
        result._node.save_output(result, input)
        return write_out(result, out, exact=True)
    return write_out(wrap(array), out, exact=True)


@op()
@numpy_names
def diff(input, n=1, dim=-1, prepend=None, append=None, *, out=None):
    """Each element less the one before it along a dimension, `n` times over.

    Args:
        input: a tensor.
        n: how often.
        dim: the dimension.
        prepend, append: tensors to join to its ends first.
        out: where to put the result.
    Raises:
        RuntimeError: the tensor has no dimensions, or n is negative.

    >>> import rushlight as torch
    >>> torch.diff(torch.tensor([1, 4, 9]))
    tensor([3, 5])
    """
    from rushlight.ops.joining import cat

    x = check_tensor("diff", input)
    if not x._array.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    axis = check_dim(dim, x._array.ndim)
    if n == 0:
        return write_out(x.clone(), out, exact=True)
    parts = [t for t in (prepend, x, append) if t is not None]
    x = x if len(parts) == 1 else cat(parts, axis)
    for _ in range(n):
        size = x._array.shape[axis]
        later, earlier = x.narrow(axis, min(1, size), max(size - 1, 0)), x.narrow(axis, 0, max(size - 1, 0))
        x = later.logical_xor(earlier) if x._array.dtype.kind == "b" else later - earlier
    return write_out(x, out)
