"""Softmax and its logarithm."""

from rushlight import kernels as K
from rushlight.autograd.node import Node, connect
from rushlight.dtypes import SCALAR_NAMES
from rushlight.ops.common import MODE, Tensor, check_tensor, required_dim, wrap, write_out
from rushlight.ops.convert import cast
from rushlight.ops.registry import op
from rushlight.tensor import check_dim


class SoftmaxBackward0(Node):
    def backward(self, grad):
        y = self.unpack_output()
        if MODE.enabled:
            weighted = grad * y
            return weighted - y * weighted.sum(self.axis, True)
        return wrap(K.softmax_backward(grad._array, y._array, self.axis))


class LogSoftmaxBackward0(Node):
    def backward(self, grad):
        y = self.unpack_output()
        if MODE.enabled:
            return grad - y.exp() * grad.sum(self.axis, True)
        return wrap(K.log_softmax_backward(grad._array, y._array, self.axis))


def _softmax(name: str, kernel, node_type, input, dim, dtype, out) -> Tensor:
    if dtype is not None:
        input = cast(check_tensor(name, input), dtype)
    try:
        x = input._array
    except AttributeError:
        check_tensor(name, input)
        raise
    if x.dtype.kind in "iubc":
        raise NotImplementedError(
            f"\"{name}_lastdim_kernel_impl\" not implemented for '{SCALAR_NAMES[input.dtype]}': expected "
            "floating-point "
            f"numbers, got shape {list(x.shape)}. Convert it first: x.float()"
        )
    axis = dim + x.ndim if type(dim) is int and -x.ndim <= dim < 0 else check_dim(dim, x.ndim)
    if not x.ndim:
        return (input - input).exp() if name == "softmax" else input - input
    result = wrap(kernel(x, axis))
    if input._rg and MODE.enabled:
        node = connect(node_type(), (input,))
        node.axis = axis
        node.save_output(result)
        result._node, result._rg = node, True
    return result if out is None else write_out(result, out, exact=True)


@op()
def softmax(input, dim=None, dtype=None, *, out=None, axis=None):
    """exp(x) along one dimension, scaled to sum to 1 there.

    Args:
        input: a tensor of floating-point numbers.
        dim: the dimension.
        dtype: convert to this type first.
        out: where to put the result.
        axis: NumPy's name of `dim`.
    Raises:
        NotImplementedError: the numbers are integers. IndexError: there is no such dimension.

    >>> import rushlight as torch
    >>> torch.softmax(torch.zeros(4), 0)
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    if dim is None:
        dim = required_dim("softmax", axis)
    return _softmax("softmax", K.softmax, SoftmaxBackward0, input, dim, dtype, out)


@op()
def log_softmax(input, dim=None, dtype=None, *, out=None, axis=None):
    """The logarithm of softmax, computed without overflow.

    Args:
        input: a tensor of floating-point numbers.
        dim: the dimension.
        dtype: convert to this type first.
        out: where to put the result.
        axis: NumPy's name of `dim`.
    Raises:
        NotImplementedError: the numbers are integers. IndexError: there is no such dimension.

    >>> import rushlight as torch
    >>> torch.log_softmax(torch.zeros(4), 0)
    tensor([-1.3863, -1.3863, -1.3863, -1.3863])
    """
    if dim is None:
        dim = required_dim("log_softmax", axis)
    return _softmax("log_softmax", K.log_softmax, LogSoftmaxBackward0, input, dim, dtype, out)
