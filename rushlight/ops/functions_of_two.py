"""Functions of two numbers beyond arithmetic: signs, steps, divisors, sums of exponentials."""

import math

import numpy as np

from rushlight import dtypes
from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.ops.common import (
    MODE,
    Tensor,
    as_type,
    check_operands,
    check_tensor,
    conj,
    floating,
    record,
    result_type,
    sum_to,
    wrap,
    write_out,
)
from rushlight.ops.elementwise import BothNode, binary, define, kinds, mul, pow
from rushlight.ops.registry import op


def _quiet(function):
    """A NumPy function as a kernel: no warnings, always an array."""

    def kernel(x, y, out=None):
        with np.errstate(all="ignore"):
            result = np.asanyarray(function(x, y))
        if out is None:
            return result
        out[...] = result
        return out

    return kernel


class CopysignBackward0(BothNode):
    def backward(self, grad):
        x, y = self.unpack()
        same = (x.signbit() == y.signbit()).to(grad.dtype) * 2 - 1
        gx = mul(grad, same).masked_fill(x == 0, 0)
        return sum_to(gx, x._array.shape), grad.new_zeros(y._array.shape)


class _LogAddNode(BothNode):
    """Each operand's share of the sum of exponentials."""

    def backward(self, grad):
        x, y = self.unpack()
        return (
            sum_to(mul(grad, conj(self.share(x, y))), x._array.shape),
            sum_to(mul(grad, conj(self.share(y, x))), y._array.shape),
        )


class LogaddexpBackward0(_LogAddNode):
    @staticmethod
    def share(x, y):
        return 1 / (1 + (y - x).exp())


class Logaddexp2Backward0(_LogAddNode):
    @staticmethod
    def share(x, y):
        return 1 / (1 + (y - x).exp2())


def complex_logaddexp(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """log(exp(x) + exp(y)) of complex numbers, without overflow."""
    larger, smaller = np.where(x.real >= y.real, x, y), np.where(x.real >= y.real, y, x)
    return larger + np.log1p(np.exp(smaller - larger))


def _logaddexp(x, y):
    return complex_logaddexp(x, y) if x.dtype.kind == "c" else np.logaddexp(x, y)


class HeavisideBackward0(BothNode):
    def backward(self, grad):
        raise RuntimeError("derivative for aten::heaviside is not implemented; detach() the input")


def _heaviside(x, y):
    return np.where(x == 0, y, (x > 0).astype(x.dtype))


class NextafterBackward0(BothNode):
    def backward(self, grad):
        x, y = self.unpack()
        return sum_to(mul(grad, x != y), x._array.shape), grad.new_zeros(y._array.shape)


copysign = define(
    "copysign", _quiet(np.copysign), CopysignBackward0, to_float=True, tensors="input", check=kinds("copysign", "biuf"),
    doc="The size of the first with the sign of the second.",
    example="torch.copysign(torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 1.0])) -> tensor([-1.,  2.])",
)  # fmt: skip
logaddexp = define(
    "logaddexp", _quiet(_logaddexp), LogaddexpBackward0, tensors="both", check=kinds("logaddexp", "fc"),
    doc="log(exp(input) + exp(other)), without overflow.",
    example="torch.logaddexp(torch.tensor([0.0]), torch.tensor([0.0])) -> tensor([0.6931])",
)  # fmt: skip
logaddexp2 = define(
    "logaddexp2", _quiet(np.logaddexp2), Logaddexp2Backward0, tensors="both", check=kinds("logaddexp2", "f"),
    doc="log2(2 ** input + 2 ** other), without overflow.",
    example="torch.logaddexp2(torch.tensor([3.0]), torch.tensor([3.0])) -> tensor([4.])",
)  # fmt: skip
_step, _step_in_place = binary(
    "heaviside", _quiet(_heaviside), HeavisideBackward0, tensors="both", check=kinds("heaviside", "biuf")
)


def _heaviside_in_place(self, values):
    """In-place form of `heaviside`; returns this tensor."""
    return _step_in_place(self, values)


@op(inplace=_heaviside_in_place)
def heaviside(input, values, *, out=None):
    """The step function: 0 below zero, 1 above, and `values` at zero.

    Args:
        input: a tensor.
        values: a tensor of the same type whose shape broadcasts with the first's.
        out: where to put the result.

    >>> import rushlight as torch
    >>> torch.heaviside(torch.tensor([-1.0, 0.0, 2.0]), torch.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    result = _step(input, values)
    return result if out is None else write_out(result, out, exact=True)


nextafter = define(
    "nextafter", _quiet(np.nextafter), NextafterBackward0, tensors="both", check=kinds("nextafter", "f"),
    doc="The next representable number after the first, towards the second.",
    example="torch.nextafter(torch.tensor([1.0]), torch.tensor([2.0])) > 1 -> tensor([True])",
)  # fmt: skip
gcd = define(
    "gcd", _quiet(np.gcd), None, tensors="both", check=kinds("gcd_cpu", "iu"),
    doc="The greatest common divisor of whole numbers.",
    example="torch.gcd(torch.tensor([12, 7]), torch.tensor([18])) -> tensor([6, 1])",
)  # fmt: skip
lcm = define(
    "lcm", _quiet(np.lcm), None, tensors="both", check=kinds("lcm_cpu", "iu"), doc="The least common multiple of whole numbers.",
    example="torch.lcm(torch.tensor([4]), torch.tensor([6])) -> tensor([12])",
)  # fmt: skip


@op(inplace=True)
def ldexp(input, other, *, out=None):
    """input * 2 ** other.

    Args:
        input: the factors.
        other: the exponents.
        out: where to put the result.

    >>> import rushlight as torch
    >>> torch.ldexp(torch.tensor([1.0, 3.0]), torch.tensor([4, 1]))
    tensor([16.,  6.])
    """
    check_operands("ldexp", input, other, "both")
    return mul(input, pow(2.0, other), out=out)


def _float_power_in_place(self, exponent):
    """In-place form of `float_power`, for a tensor that has the result's type already; returns this tensor."""
    kind = _float_power_kind(self, exponent)
    if kind is not self.dtype:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {self.dtype} but the operation's result requires dtype {kind}"
        )
    return self.pow_(exponent)


def _float_power_kind(input, exponent) -> dtypes.dtype:
    return dtypes.complex128 if result_type(input, exponent).is_complex else dtypes.float64


@op(inplace=_float_power_in_place)
def float_power(input, exponent, *, out=None):
    """A power computed in double precision.

    Args:
        input: the base, a tensor or a number.
        exponent: a tensor or a number.
        out: where to put the result.
    Returns:
        A float64 or complex128 tensor.

    >>> import rushlight as torch
    >>> torch.float_power(torch.tensor([2, 3]), 2)
    tensor([4., 9.], dtype=torch.float64)
    """
    check_operands("float_power", input, exponent, "any")
    kind = _float_power_kind(input, exponent)
    if out is not None and check_tensor("float_power", out, "out").dtype is not kind:
        raise RuntimeError(
            f"the output given to float_power has dtype {out.dtype} but the operation's result requires dtype {kind}"
        )
    if isinstance(input, Tensor):
        return pow(
            as_type(input, kind), exponent.to(kind) if isinstance(exponent, Tensor) else exponent, out=out
        )
    return pow(input, as_type(exponent, kind), out=out)


class Deg2RadBackward0(Node):
    def backward(self, grad):
        return grad * self.factor


def _scaled(name: str, node_type: type[Node], factor: float, doc: str, example: str):
    """An angle in another unit."""

    def function(input, *, out=None):
        x = floating(check_tensor(name, input))
        if x._array.dtype.kind == "c":
            raise RuntimeError(f"{name} is not supported for complex tensors.")
        array = K.mul(x._array, np.asanyarray(factor, x._array.dtype))
        if x._rg and MODE.enabled:
            return write_out(record(array, node_type, (x,), factor=factor), out)
        return write_out(wrap(array), out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"{doc}\n\n    >>> import rushlight as torch\n    >>> {example[0]}\n    {example[1]}\n    "
    )
    return op(inplace=True)(function)


Rad2DegBackward0 = type("Rad2DegBackward0", (Deg2RadBackward0,), {"__module__": __name__})
deg2rad = _scaled("deg2rad", Deg2RadBackward0, math.pi / 180, "Degrees as radians.",
                  ("torch.deg2rad(torch.tensor([180.0]))", "tensor([3.1416])"))  # fmt: skip
rad2deg = _scaled("rad2deg", Rad2DegBackward0, 180 / math.pi, "Radians as degrees.",
                  ("torch.rad2deg(torch.tensor([3.1416]))", "tensor([180.0004])"))  # fmt: skip
