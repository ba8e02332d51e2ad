"""Activation functions. `relu`, `sigmoid` and `tanh` are in `unary`.

Each has a kernel and a fused backward kernel; where the backward pass is recorded (`create_graph=True`),
the derivative is composed of tensor operations instead.
"""

import math

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.autograd.views import after, assign, before, check_writable, keep_old_value
from rushlight.dtypes import SCALAR_NAMES, float64
from rushlight.kernels.reference.layout import ones_by, zeros_by
from rushlight.ops.common import (
    MODE,
    Tensor,
    check_tensor,
    connect,
    keep_order,
    record,
    sum_to,
    wrap,
    write_out,
)
from rushlight.ops.registry import op
from rushlight.tensor import check_dim, recording


class ActivationNode(Node):
    """Keeps the input; `args` are the numbers given to the function."""

    def backward(self, grad):
        (x,) = self.unpack()
        if MODE.enabled:
            return self.derivative(grad, x, *self.args)
        return wrap(self.fused(grad._array, x._array, *self.args))


def _node(name: str, fused, derivative) -> type[ActivationNode]:
    """A gradient function, from its kernel and from the same in tensor operations."""
    fields = {"fused": staticmethod(fused), "derivative": staticmethod(derivative), "__module__": __name__}
    return type(name, (ActivationNode,), fields)


def _apply(
    name: str, kernel, node_type, input, args: tuple, inplace: bool = False, kinds: str = "fV"
) -> Tensor:
    """Apply a kernel to a tensor whose type is of one of NumPy's `kinds`."""
    try:
        x = input._array
    except AttributeError:
        check_tensor(name, input)
    if x.dtype.kind not in kinds:
        raise _type_error(name, input)
    if inplace:
        return _apply_in_place(kernel, node_type, input, args)
    result = wrap(kernel(x, *args))
    if input._format or (input._base is not None and x.ndim > 2):
        keep_order(result, input)
    if input._rg and MODE.enabled:
        node = connect(node_type(), (input,))
        node.save(input)
        node.args = args
        result._node, result._rg = node, True
    return result


def _apply_in_place(kernel, node_type, t: Tensor, args: tuple) -> Tensor:
    """Overwrite `t`; where that is recorded, a copy of what it was is kept for the backward pass."""
    check_writable(t)
    if not (t._rg and MODE.enabled):
        kernel(t._array, *args, out=t._array)
        return after(t, None)
    old = before(t)
    node = connect(node_type(), (old,))
    node.save(old)
    node.args = args
    keep_old_value(node, old)
    kernel(t._array, *args, out=t._array)
    return after(t, node)


def _type_error(name: str, input: Tensor) -> Exception:
    if input._array.dtype.kind == "b" and name in ("hardtanh", "relu6"):
        return RuntimeError(f"{name}: Bool inputs not supported for {name}; convert the input, x.float()")
    return NotImplementedError(
        f"\"{name}\" not implemented for '{SCALAR_NAMES[input.dtype]}': expected a floating-point tensor; "
        "convert it, x.float()"
    )


def _listed(doc: str, example: tuple, args: str = "", call: str = ""):
    """List an activation function, with its docstring.

    Args:
        doc: one line, the formula.
        example: the argument and the printed result.
        args: the docstring's lines on further arguments.
        call: further arguments of the example.
    """

    def register(function):
        function.__doc__ = _doc(function.__name__, doc, example, args, call)
        return op(method=False)(function)

    return register


def _doc(name: str, doc: str, example: tuple, args: str, call: str) -> str:
    return f"""{doc}

    Args:
        input: a tensor of floating-point numbers.{args}
    Returns:
        A tensor of the same shape.

    >>> import rushlight as torch
    >>> torch.nn.functional.{name}(torch.tensor({example[0]}){call})
    {example[1]}
    """


_INPLACE = "\n        inplace: write the result into the input."


# -- bounded below or above -----------------------------------------------------------------------------


def _between(g, x, lo, hi):
    return g * ~((x <= lo) | (x >= hi))


HardtanhBackward0 = _node("HardtanhBackward0", K.hardtanh_backward, _between)


@_listed(
    "x, but not below `min_val` nor above `max_val`.",
    ("[-2.0, 0.5, 3.0]", "tensor([-1.0000,  0.5000,  1.0000])"),
    "\n        min_val, max_val: the bounds." + _INPLACE,
)
def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val: got {min_val} and {max_val}")
    kind = check_tensor("hardtanh", input)._array.dtype.kind
    if kind == "u" and min_val < 0:
        raise RuntimeError(
            "cannot do hardtanh on an unsigned type with negative limits; convert the input, x.float()"
        )
    if kind in "iu":
        min_val, max_val = int(min_val), int(max_val)
    return _apply("hardtanh", K.hardtanh, HardtanhBackward0, input, (min_val, max_val), inplace, "fViu")


@_listed("x, but not below 0 nor above 6.", ("[-1.0, 8.0]", "tensor([0., 6.])"), _INPLACE)
def relu6(input, inplace=False):
    kind = check_tensor("relu6", input)._array.dtype.kind
    args = (0, 6) if kind in "iu" else (0.0, 6.0)
    return _apply("relu6", K.hardtanh, HardtanhBackward0, input, args, inplace, "fViu")


def _above(g, x, threshold, value):
    return g * ~(x <= threshold)


ThresholdBackward0 = _node(
    "ThresholdBackward0", lambda g, x, threshold, value: K.threshold_backward(g, x, threshold), _above
)


@_listed(
    "x where it exceeds `threshold`, else `value`.",
    ("[0.5, 2.0]", "tensor([9., 2.])"),
    "\n        threshold: the bound.\n        value: what stands below it." + _INPLACE,
    ", 1.0, 9.0",
)
def threshold(input, threshold, value, inplace=False):
    return _apply("threshold", K.threshold, ThresholdBackward0, input, (threshold, value), inplace, "fViu")


# -- slopes below zero ----------------------------------------------------------------------------------

LeakyReluBackward0 = _node(
    "LeakyReluBackward0", K.leaky_relu_backward, lambda g, x, slope: g.where(x > 0, g * slope)
)


@_listed(
    "x where it is positive, else `negative_slope` times x.",
    ("[-1.0, 2.0]", "tensor([-0.1000,  2.0000])"),
    "\n        negative_slope: the slope below zero." + _INPLACE,
    ", 0.1",
)
def leaky_relu(input, negative_slope=0.01, inplace=False):
    return _apply("leaky_relu", K.leaky_relu, LeakyReluBackward0, input, (negative_slope,), inplace)


def _elu_derivative(g, x, alpha, scale, input_scale):
    below = g * (x.clamp(max=0) * input_scale).exp() * (alpha * scale * input_scale)
    return (g * scale).where(x > 0, below)


EluBackward0 = _node("EluBackward0", K.elu_backward, _elu_derivative)
CeluBackward0 = _node("CeluBackward0", K.elu_backward, _elu_derivative)
_SELU = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0


@_listed(
    "x where it is positive, else alpha * (exp(x) - 1). Source: Clevert et al., ICLR 2016.",
    ("[-1.0, 2.0]", "tensor([-0.6321,  2.0000])"),
    "\n        alpha: minus the limit for negative x." + _INPLACE,
)
def elu(input, alpha=1.0, inplace=False):
    return _apply("elu", K.elu, EluBackward0, input, (alpha, 1.0, 1.0), inplace)


@_listed(
    "x where it is positive, else alpha * (exp(x / alpha) - 1). Source: Barron, 2017.",
    ("[-1.0, 2.0]", "tensor([-0.6321,  2.0000])"),
    "\n        alpha: minus the limit for negative x." + _INPLACE,
)
def celu(input, alpha=1.0, inplace=False):
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _apply("celu", K.elu, CeluBackward0, input, (alpha, 1.0, 1.0 / alpha), inplace)


@_listed(
    "A scaled `elu` that keeps mean 0 and variance 1. Source: Klambauer et al., NeurIPS 2017.",
    ("[0.0, 1.0]", "tensor([0.0000, 1.0507])"),
    _INPLACE,
)
def selu(input, inplace=False):
    return _apply("selu", K.elu, EluBackward0, input, _SELU, inplace)


class PreluKernelBackward0(Node):
    def backward(self, grad):
        x, w = self.unpack()
        to_x, to_w = self.edges
        above = x > 0
        zero = wrap(zeros_by(grad._array, ()))
        return (
            None if to_x is None else grad.where(above, grad * w),
            None if to_w is None else sum_to(zero.where(above, grad * x), w._array.shape),
        )


@op()
def prelu(input, weight):
    """x where it is positive, else a learnt slope times x.

    Args:
        input: (N, C, *) or any shape where there is one slope.
        weight: the slope, or (C,), one for each channel.
    Returns:
        A tensor of the input's shape.
    Raises:
        RuntimeError: there is another number of slopes than of channels.

    Source: He et al., Delving Deep into Rectifiers, ICCV 2015.

    >>> import rushlight as torch
    >>> torch.prelu(torch.tensor([-2.0, 2.0]), torch.tensor([0.25]))
    tensor([-0.5000,  2.0000])
    """
    x, w = check_tensor("prelu", input)._array, check_tensor("prelu", weight, "weight", 2)._array
    if x.dtype != w.dtype:
        found = f"{SCALAR_NAMES[input.dtype]} and {SCALAR_NAMES[weight.dtype]}"
        raise RuntimeError(f"prelu: Type promoting not supported. Got {found}; convert one of them")
    if w.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {w.ndim}")
    channels = x.shape[1] if x.ndim > 1 else 1
    if w.size not in (1, channels):
        raise RuntimeError(
            "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
            f"{w.size} and channel size = {channels}."
        )
    if w.size > 1 or (w.ndim and x.ndim != 1):
        weight = weight.reshape((-1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else ())
        w = weight._array
    array = K.where(x > 0, x, K.mul(x, w))
    if recording(input, weight):
        return record(array, PreluKernelBackward0, (input, weight), input, weight)
    return wrap(array)


class RreluWithNoiseBackward0(Node):
    def backward(self, grad):
        return grad * self.slope


@_listed(
    "`leaky_relu` with, in training, a random slope for each negative element. Source: Xu et al., 2015.",
    ("[-1.0, 2.0]", "tensor([-0.2292,  2.0000])"),
    "\n        lower, upper: bounds of the slope; their mean is used outside training."
    "\n        training: draw the slopes." + _INPLACE,
)
def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    if lower > upper:
        raise RuntimeError(
            f"Lower bound should be less than or equal to the upper bound: got {lower} and {upper}"
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    x = check_tensor("rrelu", input)._strided()
    if x.dtype.kind not in "fV":
        raise _type_error("rrelu", input)
    slope = ones_by(x, x.shape)
    below = x <= 0
    drawn = input.new_empty((int(below.sum()),), dtype=float64).uniform_(lower, upper)
    slope[below] = drawn._array
    array = K.mul(x, slope)
    if inplace:
        check_writable(input)
    source = before(input) if inplace else input
    result = wrap(array)
    if recording(source):
        result = record(array, RreluWithNoiseBackward0, (source,), slope=wrap(slope))
    return assign(input, result, "rrelu_") if inplace else result


# -- smooth ---------------------------------------------------------------------------------------------


def _gelu_derivative(g, x, approximate):
    if approximate == "tanh":
        c = math.sqrt(2 / math.pi)
        t = ((x + x * x * x * 0.044715) * c).tanh()
        return g * ((t + 1) * 0.5 + x * 0.5 * (1 - t * t) * (x * x * (3 * 0.044715) + 1) * c)
    density = (x * x * -0.5).exp() * (1 / math.sqrt(2 * math.pi))
    return g * (((x * math.sqrt(0.5)).erf() + 1) * 0.5 + x * density)


GeluBackward0 = _node("GeluBackward0", K.gelu_backward, _gelu_derivative)


@_listed(
    "x times the normal distribution function of x. Source: Hendrycks and Gimpel, 2016.",
    ("[-1.0, 1.0]", "tensor([-0.1587,  0.8413])"),
    '\n        approximate: "none", or "tanh" for the approximation by a hyperbolic tangent.',
)
def gelu(input, *, approximate="none", out=None):
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}.")
    result = _apply("gelu", K.gelu, GeluBackward0, input, (approximate,))
    return result if out is None else write_out(result, out, exact=True)


def _silu_derivative(g, x):
    s = x.sigmoid()
    return g * (s * (x * (1 - s) + 1))


SiluBackward0 = _node("SiluBackward0", K.silu_backward, _silu_derivative)


@_listed(
    "x * sigmoid(x), also called swish. Source: Ramachandran et al., 2017.",
    ("[0.0, 1.0]", "tensor([0.0000, 0.7311])"),
    _INPLACE,
)
def silu(input, inplace=False):
    return _apply("silu", K.silu, SiluBackward0, input, (), inplace, "fVc")


def _mish_derivative(g, x):
    t = softplus(x).tanh()
    return g * (t + x * x.sigmoid() * (1 - t * t))


MishBackward0 = _node("MishBackward0", K.mish_backward, _mish_derivative)


@_listed(
    "x * tanh(softplus(x)). Source: Misra, BMVC 2020.",
    ("[0.0, 1.0]", "tensor([0.0000, 0.8651])"),
    _INPLACE,
)
def mish(input, inplace=False):
    return _apply("mish", K.mish, MishBackward0, input, (), inplace)


SoftplusBackward0 = _node(
    "SoftplusBackward0", K.softplus_backward,
    lambda g, x, beta, threshold: g.where(x * beta > threshold, g * (x * beta).sigmoid()),
)  # fmt: skip


@_listed(
    "log(1 + exp(beta * x)) / beta, a smooth `relu`.",
    ("[0.0]", "tensor([0.6931])"),
    "\n        beta: how sharp it bends.\n        threshold: above this value of beta * x it is x itself.",
)
def softplus(input, beta=1.0, threshold=20.0, *, out=None):
    result = _apply("softplus", K.softplus, SoftplusBackward0, input, (float(beta), float(threshold)))
    return result if out is None else write_out(result, out, exact=True)


LogSigmoidBackward0 = _node("LogSigmoidBackward0", K.logsigmoid_backward, lambda g, x: g * (-x).sigmoid())


@_listed("log(1 / (1 + exp(-x))).", ("[0.0]", "tensor([-0.6931])"))
def logsigmoid(input, *, out=None):
    result = _apply("logsigmoid", K.logsigmoid, LogSigmoidBackward0, input, ())
    return result if out is None else write_out(result, out, exact=True, warn=False)


@_listed("x / (1 + |x|).", ("[1.0]", "tensor([0.5000])"))
def softsign(input):
    return input / (input.abs() + 1)


@_listed("x - tanh(x).", ("[1.0]", "tensor([0.2384])"))
def tanhshrink(input):
    return input - input.tanh()


# -- piecewise linear -----------------------------------------------------------------------------------

HardsigmoidBackward0 = _node(
    "HardsigmoidBackward0", K.hardsigmoid_backward, lambda g, x: g * ((x > -3) & (x < 3)) * (1 / 6)
)


@_listed(
    "(x + 3) / 6, but not below 0 nor above 1.",
    ("[0.0, 5.0]", "tensor([0.5000, 1.0000])"),
    _INPLACE,
)
def hardsigmoid(input, inplace=False):
    return _apply("hardsigmoid", K.hardsigmoid, HardsigmoidBackward0, input, (), inplace)


def _hardswish_derivative(g, x):
    middle = g * (x * (1 / 3) + 0.5)
    return (g * ~(x <= -3)).where((x <= -3) | (x >= 3), middle)


HardswishBackward0 = _node("HardswishBackward0", K.hardswish_backward, _hardswish_derivative)


@_listed(
    "x * hardsigmoid(x). Source: Howard et al., Searching for MobileNetV3, ICCV 2019.",
    ("[0.0, 5.0]", "tensor([0., 5.])"),
    _INPLACE,
)
def hardswish(input, inplace=False):
    return _apply("hardswish", K.hardswish, HardswishBackward0, input, (), inplace)


def _outside(g, x, lambd):
    return g * ~((x >= -lambd) & (x <= lambd))


SoftshrinkBackward0 = _node("SoftshrinkBackward0", K.hardshrink_backward, _outside)
HardshrinkBackward0 = _node("HardshrinkBackward0", K.hardshrink_backward, _outside)


@_listed(
    "x moved towards 0 by `lambd`, and 0 where it is nearer.",
    ("[0.2, 2.0]", "tensor([0.0000, 1.5000])"),
    "\n        lambd: how far.",
)
def softshrink(input, lambd=0.5, *, out=None):
    if lambd < 0:
        raise RuntimeError(
            f"lambda must be in range [0, {float(np.finfo(np.float32).max):g}] for input dtype "
            f"{SCALAR_NAMES[check_tensor('softshrink', input).dtype]}, but found {lambd}"
        )
    result = _apply("softshrink", K.softshrink, SoftshrinkBackward0, input, (lambd,))
    return result if out is None else write_out(result, out, exact=True)


@op()
def hardshrink(input, lambd=0.5, *, out=None):
    """x, but 0 where |x| <= `lambd`.

    >>> import rushlight as torch
    >>> torch.hardshrink(torch.tensor([0.25, 2.0]))
    tensor([0., 2.])
    """
    result = _apply("hardshrink", K.hardshrink, HardshrinkBackward0, input, (lambd,))
    return result if out is None else write_out(result, out, exact=True)


# -- gates and random choices ---------------------------------------------------------------------------


class GluBackward0(Node):
    def backward(self, grad):
        from rushlight.ops.joining import cat

        (x,) = self.unpack()
        a, b = x.chunk(2, self.dim)
        s = b.sigmoid()
        return cat((grad * s, grad * a * s * (1 - s)), self.dim)


@op(method=False)
def glu(input, dim=-1):
    """The first half of the input times the sigmoid of the second.

    Args:
        input: a tensor.
        dim: the dimension to halve.
    Returns:
        A tensor with half as many elements along `dim`.
    Raises:
        RuntimeError: that dimension is odd.

    Source: Dauphin et al., Language Modeling with Gated Convolutional Networks, ICML 2017.

    >>> import rushlight as torch
    >>> torch.nn.functional.glu(torch.tensor([4.0, 0.0]))
    tensor([2.])
    """
    x = check_tensor("glu", input)._strided()
    if x.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    if x.dtype.kind not in "fV":
        raise _type_error("glu", input)
    axis = check_dim(dim, x.ndim)
    if x.shape[axis] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {axis} is size {x.shape[axis]}")
    a, b = np.split(x, 2, axis)
    array = K.mul(a, K.sigmoid(b))
    if input._rg and MODE.enabled:
        return record(array, GluBackward0, (input,), input, dim=axis)
    return wrap(array)


@op(method=False)
def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """Draw from categorical distributions in a way through which gradients flow.

    Args:
        logits: unnormalised log probabilities.
        tau: the temperature; the smaller, the nearer the draws are to one-hot.
        hard: return one-hot draws, with the gradient of the soft ones.
        eps: without effect, as in PyTorch.
        dim: the dimension of the categories.
    Returns:
        A tensor of the shape of `logits` that sums to 1 along `dim`.

    Source: Jang et al., ICLR 2017; Maddison et al., ICLR 2017.

    >>> import rushlight as torch
    >>> torch.nn.functional.gumbel_softmax(torch.zeros(1, 3), hard=True).sum()
    tensor(1.)
    """
    noise = -wrap(np.empty_like(check_tensor("gumbel_softmax", logits)._strided())).exponential_().log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    one_hot = wrap(zeros_by(soft._array, soft._array.shape)).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft
