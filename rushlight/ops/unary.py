"""Functions of one number, applied to every element: a table of kernels and derivatives."""

import builtins
import math

import numpy as np

from rushlight import kernels as K
from rushlight import return_types
from rushlight.autograd.node import Node, connect
from rushlight.autograd.views import assign, before, check_writable, keep_old_value, place
from rushlight.ops.common import (
    MODE,
    Tensor,
    check_tensor,
    conj,
    floating,
    keep_order,
    not_implemented,
    or_sparse,
    overloaded,
    record,
    record_many,
    wrap,
    write_out,
    write_outs,
)
from rushlight.ops.registry import alias, op
from rushlight.sparse_tensor import SparseError


class _InputNode(Node):
    """Its derivative is a function of the input."""

    def keep(self, x, result):
        self.save(x)

    def backward(self, grad):
        (x,) = self.unpack()
        return self.derivative(grad, conj(x))


class _OutputNode(Node):
    """Its derivative is a function of the output."""

    def keep(self, x, result):
        self.save_output(result)

    def backward(self, grad):
        return self.derivative(grad, conj(self.unpack_output()))


class _PlainNode(Node):
    """Its derivative is a function of the gradient alone."""

    def keep(self, x, result):
        pass

    def backward(self, grad):
        return self.derivative(grad)


def unary(
    name,
    kernel,
    node,
    derivative,
    *,
    saves="input",
    doc,
    example=None,
    to_float=True,
    inplace=True,
    method=True,
    aliases=(),
    exact=None,
    refuses="",
):
    """Define and list a function of one tensor.

    Args:
        name: its public name.
        kernel: the function on arrays.
        node: the name of its gradient function.
        derivative: the gradient of the input from that of the output and what is saved.
        saves: "input", "output" or None.
        doc: one line, the formula.
        example: (argument, printed result) for the docstring.
        to_float: integers are converted to the default floating-point type first.
        inplace: whether there is a method `name_`.
        method: whether tensors have it as a method; else it is part of `torch.special`, whose prefix its name has.
        aliases: further names.
        refuses: the kinds of NumPy's types that it does not take.
        exact: whether `out` must be of the result's type; by default where integers stay integers.
    """
    exact = not to_float if exact is None else exact
    checks = to_float or bool(refuses)
    base = {"input": _InputNode, "output": _OutputNode, None: _PlainNode}[saves]
    node_type = type(node, (base,), {"derivative": staticmethod(derivative), "__module__": __name__})

    def function(input, *, out=None):
        try:
            x = input._array
        except AttributeError:
            return overloaded(name, input)
        if checks:
            kind = x.dtype.kind
            if kind in refuses:
                raise not_implemented(name + "_cpu", x)
            if to_float and kind in "iub":
                input = floating(input)
                x = input._array
        try:
            result = wrap(kernel(x))
        except TypeError:
            raise _without_kernel(name, x) from None
        if input._format or (input._base is not None and x.ndim > 2):
            keep_order(result, input)
        if input._rg and MODE.enabled:
            result._node, result._rg = _node(node_type, input, result), True
        return result if out is None else write_out(result, out, exact=exact)

    def function_(input):
        check_writable(input)
        if input._array.dtype.kind in refuses:
            raise not_implemented(name + "_cpu", input)
        if to_float and input._array.dtype.kind in "iub":
            return assign(input, function(input), name + "_")
        try:
            return run_inplace(input, kernel, node_type)
        except TypeError:
            raise _without_kernel(name, input._array) from None

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _doc(name, doc, example)
    function_.__name__ = function_.__qualname__ = name + "_"
    function_.__doc__ = f"In-place form of `{name}`: writes the result into this tensor and returns it."
    op(name=name, method=method, inplace=function_ if inplace and method else False)(function)
    for other in aliases:
        alias(other, function)
    return function


def _without_kernel(name: str, x: np.ndarray) -> RuntimeError:
    if name == "neg":
        return RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use "
            "the `~` or `logical_not()` operator instead."
        )
    return not_implemented(name + "_cpu", x)


def _node(node_type: type[Node], input: Tensor, result: Tensor) -> Node:
    node = connect(node_type(), (input,))
    node.keep(input, result)
    return node


def run_inplace(t: Tensor, kernel, node_type: type[Node]) -> Tensor:
    """Apply a kernel to `t` in place."""
    old = before(t)
    recorded = t._rg and MODE.enabled
    keeps_output = issubclass(node_type, _OutputNode)
    node = keep_old_value(_node(node_type, old, t), old) if recorded and not keeps_output else None
    kernel(t._array, out=t._array)
    t._bump()
    if recorded and keeps_output:
        node = _node(node_type, old, t)
    return place(t, node)


def _doc(name: str, doc: str, example) -> str:
    text = f"""{doc}

    Args:
        input: a tensor.
        out: where to put the result.
    Returns:
        A tensor of the same shape.
    """
    if example:
        text += f"""
    >>> import rushlight as torch
    >>> torch.{name.replace("special_", "special.")}(torch.tensor({example[0]}))
    {example[1]}
    """
    return text


def _zero(grad):
    return grad.new_zeros(grad._array.shape)


def _sign(x, out=None):
    if x.dtype.kind == "b":  # a truth value is its own sign
        return x.copy() if out is None else x
    return K.sign(x) if out is None else K.sign(x, out=out)


def _square(x, out=None):
    if x.dtype.kind == "b" and out is None:
        return x.astype(np.int64)
    return K.square(x) if out is None else K.square(x, out=out)


neg = unary("neg", K.neg, "NegBackward0", lambda g: -g, saves=None, to_float=False, aliases=("negative",),
            doc="-x.", example=("[1, -2]", "tensor([-1,  2])"))  # fmt: skip
exp = unary("exp", K.exp, "ExpBackward0", lambda g, y: g * y, saves="output",
            doc="e to the power of x.", example=("[0.0]", "tensor([1.])"))  # fmt: skip
exp2 = unary("exp2", K.exp2, "Exp2Backward0", lambda g, y: g * y * math.log(2), saves="output",
             doc="2 to the power of x.", example=("[3.0]", "tensor([8.])"))  # fmt: skip
expm1 = unary("expm1", K.expm1, "Expm1Backward0", lambda g, y: g * (y + 1), saves="output",
              doc="e to the power of x, minus 1, accurate near 0.", example=("[0.0]", "tensor([0.])"))  # fmt: skip
log = unary("log", K.log, "LogBackward0", lambda g, x: g / x,
            doc="The natural logarithm.", example=("[1.0]", "tensor([0.])"))  # fmt: skip
log2 = unary("log2", K.log2, "Log2Backward0", lambda g, x: g / (x * math.log(2)),
             doc="The logarithm to base 2.", example=("[8.0]", "tensor([3.])"))  # fmt: skip
log10 = unary("log10", K.log10, "Log10Backward0", lambda g, x: g / (x * math.log(10)),
              doc="The logarithm to base 10.", example=("[1.0]", "tensor([0.])"))  # fmt: skip
log1p = unary("log1p", K.log1p, "Log1PBackward0", lambda g, x: g / (x + 1),
              doc="The logarithm of 1 + x, accurate near 0.", example=("[0.0]", "tensor([0.])"))  # fmt: skip
sqrt = unary("sqrt", K.sqrt, "SqrtBackward0", lambda g, y: g / (2 * y), saves="output",
             doc="The square root.", example=("[4.0]", "tensor([2.])"))  # fmt: skip
rsqrt = unary("rsqrt", K.rsqrt, "RsqrtBackward0", lambda g, y: g * (y * y * y) * -0.5, saves="output",
              doc="One over the square root.", example=("[4.0]", "tensor([0.5000])"))  # fmt: skip
reciprocal = unary("reciprocal", K.reciprocal, "ReciprocalBackward0", lambda g, y: -g * (y * y), saves="output",
                   doc="One over x.", example=("[4.0]", "tensor([0.2500])"))  # fmt: skip
square = unary("square", _square, "PowBackward0", lambda g, x: g * x * 2, to_float=False, exact=False,
               doc="x times x.", example=("[3, 4]", "tensor([ 9, 16])"))  # fmt: skip
sin = unary("sin", K.sin, "SinBackward0", lambda g, x: g * x.cos(),
            doc="The sine of x radians.", example=("[0.0]", "tensor([0.])"))  # fmt: skip
cos = unary("cos", K.cos, "CosBackward0", lambda g, x: g * -x.sin(),
            doc="The cosine of x radians.", example=("[0.0]", "tensor([1.])"))  # fmt: skip
tan = unary("tan", K.tan, "TanBackward0", lambda g, y: g * (1 + y * y), saves="output",
            doc="The tangent of x radians.", example=("[0.0]", "tensor([0.])"))  # fmt: skip
asin = unary("asin", K.asin, "AsinBackward0", lambda g, x: g * (1 - x * x).rsqrt(), aliases=("arcsin",),
             doc="The angle, in radians, whose sine is x.", example=("[0.0]", "tensor([0.])"))  # fmt: skip
acos = unary("acos", K.acos, "AcosBackward0", lambda g, x: -g * (1 - x * x).rsqrt(), aliases=("arccos",),
             doc="The angle, in radians, whose cosine is x.", example=("[1.0]", "tensor([0.])"))  # fmt: skip
atan = unary("atan", K.atan, "AtanBackward0", lambda g, x: g / (1 + x * x), aliases=("arctan",),
             doc="The angle, in radians, whose tangent is x.", example=("[1.0]", "tensor([0.7854])"))  # fmt: skip
sinh = unary("sinh", K.sinh, "SinhBackward0", lambda g, x: g * x.cosh(),
             doc="The hyperbolic sine.", example=("[0.0]", "tensor([0.])"))  # fmt: skip
cosh = unary("cosh", K.cosh, "CoshBackward0", lambda g, x: g * x.sinh(),
             doc="The hyperbolic cosine.", example=("[0.0]", "tensor([1.])"))  # fmt: skip
asinh = unary("asinh", K.asinh, "AsinhBackward0", lambda g, x: g * (x * x + 1).rsqrt(), aliases=("arcsinh",),
              doc="The inverse hyperbolic sine.", example=("[0.0]", "tensor([0.])"))  # fmt: skip
acosh = unary("acosh", K.acosh, "AcoshBackward0", lambda g, x: g * (x - 1).rsqrt() * (x + 1).rsqrt(),
              aliases=("arccosh",), doc="The inverse hyperbolic cosine.", example=("[1.0]", "tensor([0.])"))  # fmt: skip
atanh = unary("atanh", K.atanh, "AtanhBackward0", lambda g, x: g / (1 - x * x), aliases=("arctanh",),
              doc="The inverse hyperbolic tangent.", example=("[0.0]", "tensor([0.])"))  # fmt: skip
erf = unary("erf", K.erf, "ErfBackward0", lambda g, x: g * (2 / math.sqrt(math.pi)) * (-(x * x)).exp(),
            refuses="c", doc="The error function.", example=("[0.0]", "tensor([0.])"))  # fmt: skip
erfc = unary("erfc", K.erfc, "ErfcBackward0", lambda g, x: g * (-2 / math.sqrt(math.pi)) * (-(x * x)).exp(),
             refuses="c", doc="One minus the error function.", example=("[0.0]", "tensor([1.])"))  # fmt: skip
erfinv = unary("erfinv", K.erfinv, "ErfinvBackward0", lambda g, y: g * (math.sqrt(math.pi) / 2) * (y * y).exp(),
               saves="output", refuses="c",
               doc="The inverse of the error function.", example=("[0.0]", "tensor([0.])"))  # fmt: skip
lgamma = unary("lgamma", K.lgamma, "LgammaBackward0", lambda g, x: g * x.digamma(),
               refuses="c", doc="The logarithm of the absolute value of the gamma function.",
               example=("[1.0]", "tensor([0.])"))  # fmt: skip
floor = unary("floor", K.floor, "FloorBackward0", _zero, refuses="cb", saves=None, to_float=False,
              doc="The largest whole number not above x.", example=("[1.5]", "tensor([1.])"))  # fmt: skip
ceil = unary("ceil", K.ceil, "CeilBackward0", _zero, refuses="cb", saves=None, to_float=False,
             doc="The smallest whole number not below x.", example=("[1.5]", "tensor([2.])"))  # fmt: skip
trunc = unary("trunc", K.trunc, "TruncBackward0", _zero, refuses="cb", saves=None, to_float=False, aliases=("fix",),
              doc="x without its fractional part.", example=("[-1.5]", "tensor([-1.])"))  # fmt: skip
frac = unary("frac", K.frac, "FracBackward0", lambda g: g, refuses="cbiu", saves=None, to_float=False,
             doc="The fractional part of x.", example=("[1.5]", "tensor([0.5000])"))  # fmt: skip
sign = unary("sign", _sign, "SignBackward0", _zero, refuses="c", saves=None, to_float=False,
             doc="-1, 0 or 1, as x is negative, zero or positive.", example=("[-3.0]", "tensor([-1.])"))  # fmt: skip
tanh = unary("tanh", K.tanh, "TanhBackward0", lambda g, y: tanh_backward(g, y), saves="output",
             doc="The hyperbolic tangent.", example=("[0.0]", "tensor([0.])"))  # fmt: skip
sigmoid = unary("sigmoid", K.sigmoid, "SigmoidBackward0", lambda g, y: sigmoid_backward(g, y), saves="output",
                doc="1 / (1 + exp(-x)).", example=("[0.0]", "tensor([0.5000])"))  # fmt: skip
relu = unary("relu", K.relu, "ReluBackward0", lambda g, y: relu_backward(g, y), saves="output", to_float=False,
             doc="x where it is positive, else 0.", example=("[-1.0, 2.0]", "tensor([0., 2.])"))  # fmt: skip


def tanh_backward(g: Tensor, y: Tensor) -> Tensor:
    """g * (1 - y * y), in one pass where it is not recorded."""
    if MODE.enabled or y._array.dtype.kind == "c":
        return g * (1 - y * y)
    return wrap(K.tanh_backward(g._array, y._array))


def sigmoid_backward(g: Tensor, y: Tensor) -> Tensor:
    """g * y * (1 - y), in one pass where it is not recorded."""
    if MODE.enabled or y._array.dtype.kind == "c":
        return g * y * (1 - y)
    return wrap(K.sigmoid_backward(g._array, y._array))


def relu_backward(g: Tensor, y: Tensor) -> Tensor:
    """g where y is positive, else 0, in one pass where it is not recorded."""
    if MODE.enabled:
        return g * (y > 0)
    return wrap(K.relu_backward(g._array, y._array))


class DigammaBackward0(Node):
    def backward(self, grad):
        (x,) = self.unpack()
        return grad * x.polygamma(1)


@op(inplace=True)
def digamma(input, *, out=None):
    """The derivative of `lgamma`.

    >>> import rushlight as torch
    >>> torch.digamma(torch.tensor([1.0]))
    tensor([-0.5772])
    """
    input = floating(check_tensor("digamma", input))
    if input._array.dtype.kind == "c":
        raise not_implemented("digamma", input)
    array = K.digamma(input._array)
    if input._rg and MODE.enabled:
        return write_out(record(array, DigammaBackward0, (input,), input), out)
    return write_out(wrap(array), out)


class AbsBackward0(Node):
    def backward(self, grad):
        (x,) = self.unpack()
        return grad * x.sgn()


@op(inplace=True)
def abs(input, *, out=None):
    """The absolute value; of complex numbers, their length.

    >>> import rushlight as torch
    >>> torch.abs(torch.tensor([-1.0, 2.0]))
    tensor([1., 2.])
    """
    try:
        array = check_tensor("abs", input)._array
        if array.dtype.kind == "b":
            raise not_implemented("abs_cpu", input)
        array = K.abs(array)
    except SparseError:
        return overloaded("abs", input)
    if input._rg and MODE.enabled:
        return write_out(record(array, AbsBackward0, (input,), input), out, exact=True)
    return write_out(wrap(array), out, exact=True)


alias("absolute", abs)


class SgnBackward0(Node):
    def backward(self, grad):
        (x,) = self.unpack()
        if x._array.dtype.kind != "c":
            return grad.new_zeros(grad.shape)
        size = x.abs()
        unit = x.sgn()
        flat = (size == 0) | (size != size)
        along = (grad.conj() * unit).real
        return ((grad - unit * along) / size.masked_fill(flat, 1)).masked_fill(flat, 0)


@op(inplace=True)
@or_sparse
def sgn(input, *, out=None):
    """x / |x|, and 0 where x is 0: the sign, also of complex numbers.

    >>> import rushlight as torch
    >>> torch.sgn(torch.tensor([3 + 4j]))
    tensor([0.6000+0.8000j])
    """
    x = check_tensor("sgn", input)._array
    array = x.copy() if x.dtype.kind == "b" else K.sgn(x)
    if input._rg and MODE.enabled:
        return write_out(record(array, SgnBackward0, (input,), input), out, exact=True)
    return write_out(wrap(array), out, exact=True)


class RoundBackward0(Node):
    def backward(self, grad):
        return grad.new_zeros(grad.shape)


@op(inplace=True)
@or_sparse
def round(input, *, decimals=0, out=None):
    """The nearest whole number, the even one of two; or rounded to `decimals` places.

    >>> import rushlight as torch
    >>> torch.round(torch.tensor([0.5, 1.5]))
    tensor([0., 2.])
    """
    x = check_tensor("round", input)._array
    if x.dtype.kind in "iubc":
        if decimals or x.dtype.kind in "bc":
            raise not_implemented("round_cpu", x)
        array = x.copy()
    elif decimals:
        scale = 10.0 ** builtins.abs(decimals)
        array = K.round(x * scale) / scale if decimals > 0 else K.round(x / scale) * scale
        array = array.astype(x.dtype)
    else:
        array = K.round(x)
    if input._rg and MODE.enabled:
        result = record(array, RoundBackward0, (input,))
    else:
        result = wrap(array)
    return write_out(keep_order(result, input), out, exact=True)


@op()
def positive(input):
    """The tensor itself, as `+x`.

    Raises:
        RuntimeError: it holds truth values.

    >>> import rushlight as torch
    >>> torch.positive(torch.tensor([-1.0]))
    tensor([-1.])
    """
    if check_tensor("positive", input)._array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


class FrexpBackward0(Node):
    def backward(self, grad, _):
        return grad / self.scale


@op()
def frexp(input, *, out=None):
    """The mantissa, in [0.5, 1), and the int32 exponent of 2 whose product is x.

    >>> import rushlight as torch
    >>> torch.frexp(torch.tensor([6.0])).exponent
    tensor([3], dtype=torch.int32)
    """
    x = check_tensor("frexp", input)._array
    if x.dtype.kind not in "fV":
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    mantissa, exponent = np.frexp(x.astype(np.float32) if x.dtype.kind == "V" else x)
    mantissa, exponent = np.asanyarray(mantissa, x.dtype), np.asanyarray(exponent, np.int32)
    if input._rg and MODE.enabled:
        scale = wrap(np.asanyarray(np.ldexp(1.0, exponent), x.dtype))
        results = record_many(
            (mantissa, exponent), FrexpBackward0, (input,), differentiable=(True, False), scale=scale
        )
    else:
        results = wrap(mantissa), wrap(exponent)
    return write_outs(results, out, return_types.frexp)


Tensor.__neg__ = neg
Tensor.__abs__ = abs
Tensor.__pos__ = positive
Tensor.__round__ = lambda self, decimals=0: round(self, decimals=decimals)
