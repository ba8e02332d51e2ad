"""Special functions: relatives of the error and gamma functions, Bessel functions, orthogonal polynomials.

Those that PyTorch has in `torch.special` alone have names that begin with `special_` here.
"""

import math

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.autograd.views import inplace as inplace_form
from rushlight.ops.common import (
    MODE,
    Number,
    Tensor,
    broadcast_error,
    check_tensor,
    conj,
    floating,
    not_implemented,
    promote,
    record,
    recording,
    sum_to,
    wrap,
    write_out,
)
from rushlight.ops.elementwise import BothNode, binary
from rushlight.ops.random_fills import integer
from rushlight.ops.registry import op
from rushlight.ops.unary import digamma, lgamma, unary

_ROOT_2_PI = math.sqrt(2 * math.pi)


# -- functions of one number ------------------------------------------------------------------------


def _safe(x):
    """x with 1 where it is 0, for divisions whose result there is replaced."""
    return x.masked_fill(x == 0, 1)


i0 = unary("i0", K.i0, "I0Backward0", lambda g, x: g * special_i1(x),
           doc="The modified Bessel function of the first kind of order 0.", example=("[0.0]", "tensor([1.])"))  # fmt: skip
special_i0e = unary(
    "special_i0e", K.i0e, "SpecialI0EBackward0", lambda g, x: g * (special_i1e(x) - x.sgn() * special_i0e(x)),
    method=False, doc="exp(-|x|) times the modified Bessel function of the first kind of order 0.",
    example=("[0.0]", "tensor([1.])"))  # fmt: skip
special_i1 = unary(
    "special_i1", K.i1, "SpecialI1Backward0",
    lambda g, x: g * (i0(x) - special_i1(x) / _safe(x)).where(x != 0, 0.5),
    method=False, doc="The modified Bessel function of the first kind of order 1.",
    example=("[0.0]", "tensor([0.])"))  # fmt: skip
special_i1e = unary(
    "special_i1e", K.i1e, "SpecialI1EBackward0",
    lambda g, x: g * (special_i0e(x) - special_i1e(x) * (x.sgn() + _safe(x).reciprocal())).where(x != 0, 0.5),
    method=False, doc="exp(-|x|) times the modified Bessel function of the first kind of order 1.",
    example=("[0.0]", "tensor([0.])"))  # fmt: skip
special_entr = unary(
    "special_entr", K.entr, "SpecialEntrBackward0", lambda g, x: g * (-x.log() - 1), method=False,
    doc="-x log x; 0 where x is 0, and minus infinity where it is negative.", example=("[1.0]", "tensor([-0.])"))  # fmt: skip
special_erfcx = unary(
    "special_erfcx", K.erfcx, "SpecialErfcxBackward0",
    lambda g, x: g * (2 * x * special_erfcx(x) - 2 / math.sqrt(math.pi)), method=False,
    doc="exp(x * x) times the complementary error function of x.", example=("[0.0]", "tensor([1.])"))  # fmt: skip
special_ndtr = unary(
    "special_ndtr", K.ndtr, "SpecialNdtrBackward0", lambda g, x: g * (x * x * -0.5).exp() / _ROOT_2_PI, method=False,
    doc="The normal distribution function.", example=("[0.0]", "tensor([0.5000])"))  # fmt: skip
special_ndtri = unary(
    "special_ndtri", K.ndtri, "SpecialNdtriBackward0", lambda g, y: g * _ROOT_2_PI * (y * y * 0.5).exp(),
    saves="output", method=False, doc="The quantile of the normal distribution: the inverse of `ndtr`.",
    example=("[0.5]", "tensor([0.])"))  # fmt: skip
special_log_ndtr = unary(
    "special_log_ndtr", K.log_ndtr, "SpecialLogNdtrBackward0",
    lambda g, x: g / special_erfcx(x * -math.sqrt(0.5)) * math.sqrt(2 / math.pi), method=False,
    doc="The logarithm of the normal distribution function.", example=("[0.0]", "tensor([-0.6931])"))  # fmt: skip


def _sinc_slope(g, x):
    angle = x * math.pi
    slope = (angle * angle.cos() - angle.sin()) / (_safe(x) * _safe(angle))
    return g * slope.masked_fill(x == 0, 0)


sinc = unary("sinc", K.sinc, "SincBackward0", _sinc_slope, doc="sin(pi x) / (pi x); 1 where x is 0.",
             example=("[0.0]", "tensor([1.])"))  # fmt: skip


class LogitBackward0(Node):
    def backward(self, grad):
        (x,) = self.unpack()
        slope = grad / (x * (1 - x))
        if self.eps is None:
            return slope.masked_fill((x < 0) | (x > 1), math.nan)
        return slope.masked_fill((x < self.eps) | (x > 1 - self.eps), 0)


@op(inplace=True)
def logit(input, eps=None, *, out=None):
    """log(x / (1 - x)), the inverse of `sigmoid`.

    Args:
        input: a tensor.
        eps: x is limited to [eps, 1 - eps] first; without it, what lies outside [0, 1] gives nan.
        out: where to put the result.
    Returns:
        A tensor of the same shape.

    >>> import rushlight as torch
    >>> torch.logit(torch.tensor([0.5]))
    tensor([0.])
    """
    input = floating(check_tensor("logit", input))
    if input._array.dtype.kind == "c":
        raise not_implemented("logit_cpu", input)
    array = K.logit(input._array, eps)
    if recording(input):
        return write_out(record(array, LogitBackward0, (input,), input, eps=eps), out)
    return write_out(wrap(array), out)


class PolygammaBackward0(Node):
    def backward(self, grad):
        (x,) = self.unpack()
        return grad * polygamma(self.n + 1, x)


@op(method=False)
def polygamma(n, input, *, out=None):
    """Derivative number n of `digamma`.

    Args:
        n: a whole number, at least 0. As a method: `input.polygamma(n)`.
        input: a tensor.
        out: where to put the result.
    Returns:
        A tensor of the same shape.
    Raises:
        RuntimeError: n is negative.

    >>> import rushlight as torch
    >>> torch.polygamma(1, torch.tensor([1.0]))
    tensor([1.6449])
    """
    n = integer("polygamma", "n", 1, n)
    if n < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n, got n={n}.")
    if n == 0:
        return digamma(input, out=out)
    input = floating(check_tensor("polygamma", input, "input", 2))
    array = K.polygamma(n, input._array)
    if recording(input):
        return write_out(record(array, PolygammaBackward0, (input,), input, n=n), out)
    return write_out(wrap(array), out)


def _polygamma_of(self, n):
    """Derivative number n of `digamma`; see `torch.polygamma`."""
    return polygamma(n, self)


Tensor.polygamma = _polygamma_of
Tensor.polygamma_ = inplace_form(_polygamma_of, "polygamma_")


class MvlgammaBackward0(Node):
    def backward(self, grad):
        (x,) = self.unpack()
        return grad * sum(digamma(x - j / 2) for j in range(self.p))


@op(inplace=True)
def mvlgamma(input, p, *, out=None):
    """The logarithm of the multivariate gamma function of dimension p.

    Args:
        input: a tensor, above (p - 1) / 2.
        p: the dimension, at least 1.
        out: where to put the result.
    Returns:
        A tensor of the same shape.
    Raises:
        RuntimeError: p is less than 1.

    >>> import rushlight as torch
    >>> torch.mvlgamma(torch.tensor([3.0]), 2)
    tensor([1.5502])
    """
    p = integer("mvlgamma", "p", 2, p)
    if p < 1:
        raise RuntimeError(f"p has to be greater than or equal to 1, got {p}")
    input = floating(check_tensor("mvlgamma", input))
    x = input.detach()
    result = sum(lgamma(x - j / 2) for j in range(p)) + p * (p - 1) / 4 * math.log(math.pi)
    if recording(input):
        return write_out(record(result._array, MvlgammaBackward0, (input,), input, p=p), out)
    return write_out(result, out)


# -- functions of two numbers -----------------------------------------------------------------------


def _without(name: str) -> NotImplementedError:
    return NotImplementedError(f"the derivative for '{name}' is not implemented; detach() it.")


def _incomplete(name: str, node: str, sign: float, kernel, doc: str, value: str):
    """A regularised incomplete gamma function, which has a gradient of its second operand alone."""

    def backward(self, grad):
        a, x = self.unpack()
        to_a, to_x = self.edges
        if to_a is not None:
            raise _without(f"{name}: input")
        density = ((a - 1) * x.log() - x - a.lgamma()).exp()
        return None, None if to_x is None else sum_to(grad * density * sign, x._array.shape)

    def check(a, x):
        if a._array.dtype.kind in "iubc":
            raise not_implemented(f"{name}_cpu", a)

    node_type = type(node, (BothNode,), {"backward": backward, "__module__": __name__})
    function, function_ = binary(name, kernel, node_type, tensors="both", check=check)
    function.__doc__ = f"""{doc}

    Args:
        input: the order, a tensor.
        other: where to evaluate it, a tensor whose shape broadcasts with the first's.
        out: where to put the result.
    Returns:
        A tensor of the broadcast shape. Only `other` has a gradient.
    Raises:
        NotImplementedError: the operands are integers, or the gradient of the order is asked for.

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([{value}])
    """
    return op(inplace=function_)(function)


igamma = _incomplete("igamma", "IgammaBackward0", 1.0, K.igamma,
                     "The regularised lower incomplete gamma function.", "0.8647")  # fmt: skip
igammac = _incomplete("igammac", "IgammacBackward0", -1.0, K.igammac,
                      "The regularised upper incomplete gamma function.", "0.1353")  # fmt: skip


class SpecialXlog1PyBackward0(BothNode):
    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        gx = gy = None
        if to_x is not None:
            gx = sum_to(grad * y.log1p().masked_fill((x == 0) & (y <= -1), 0), x._array.shape)
        if to_y is not None:
            gy = sum_to(grad * conj(x / (y + 1)), y._array.shape)
        return gx, gy


class SpecialZetaBackward0(BothNode):
    def backward(self, grad):
        x, q = self.unpack()
        to_x, to_q = self.edges
        if to_x is not None:
            raise _without("zeta")
        return None, None if to_q is None else sum_to(grad * -x * special_zeta(x + 1, q), q._array.shape)


def _of_two(name: str, kernel, node_type, doc: str, first: str, second: str, example: str):
    """A function of two tensors, or of a tensor and a number."""
    shown = "torch.special." + name.removeprefix("special_")

    def function(input, other, *, out=None):
        if not (isinstance(input, Tensor) or isinstance(other, Tensor)):
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got ({type(input).__name__}, "
                f"{type(other).__name__}), but expected at least one Tensor"
            )
        for position, operand in ((1, input), (2, other)):
            if not isinstance(operand, (Tensor, *Number)):
                check_tensor(name, operand, ("input", "other")[position - 1], position)
        x, y = (floating(t) for t in promote(name, input, other))
        if x._array.dtype.kind == "c":
            raise not_implemented(f"{name.removeprefix('special_')}_cpu", x)
        try:
            array = kernel(x._array, y._array)
        except ValueError:
            raise broadcast_error(name, x._array.shape, y._array.shape) from None
        if node_type is not None and MODE.enabled and (x._rg or y._rg):
            return write_out(record(array, node_type, (x, y), x, y), out)
        return write_out(wrap(array), out)

    function.__name__ = function.__qualname__ = name
    code, value = example.split(" -> ")
    function.__doc__ = f"""{doc}

    Args:
        input: {first}, a tensor or a number.
        other: {second}, a tensor whose shape broadcasts with the first's, or a number.
        out: where to put the result.
    Returns:
        A tensor of the broadcast shape{"" if node_type else ", which has no gradient"}.

    >>> import rushlight as torch
    >>> {shown}({code})
    {value}
    """
    return op(name=name, method=False)(function)


special_xlog1py = _of_two(
    "special_xlog1py", K.xlog1py, SpecialXlog1PyBackward0, "x * log(1 + y); 0 where x is 0.", "x", "y",
    "torch.tensor([0.0, 1.0]), torch.tensor([-1.0, 0.0]) -> tensor([0., 0.])",
)  # fmt: skip
special_zeta = _of_two(
    "special_zeta", K.zeta, SpecialZetaBackward0, "Hurwitz's zeta function, the sum of (q + n) ** -s over n >= 0.",
    "s", "q", "torch.tensor([2.0]), 1 -> tensor([1.6449])",
)  # fmt: skip


# -- functions without gradients --------------------------------------------------------------------


def _plain(name: str, kernel, doc: str):
    """A function of one tensor that has no gradient, in PyTorch neither."""
    public = "special_" + name

    def function(input, *, out=None):
        x = floating(check_tensor(public, input))
        if x._array.dtype.kind == "c" or x._array.dtype.itemsize == 2:
            raise not_implemented(f"{name}_cpu", x)
        return write_out(wrap(kernel(x._array)), out)

    function.__name__ = function.__qualname__ = public
    function.__doc__ = f"""{doc} It has no gradient.

    Args:
        input: a tensor.
        out: where to put the result.
    Returns:
        A tensor of the same shape.
    """
    return op(name=public, method=False)(function)


def _bessel(symbol: str, order: int, scaled: bool = False) -> str:
    kind = {"J": "Bessel function of the first", "Y": "Bessel function of the second",
            "I": "modified Bessel function of the first", "K": "modified Bessel function of the second"}[symbol]  # fmt: skip
    return f"{'exp(x) times the' if scaled else 'The'} {kind} kind of order {order}."


special_airy_ai = _plain("airy_ai", K.airy_ai, "The Airy function Ai.")
special_bessel_j0 = _plain("bessel_j0", K.bessel_j0, _bessel("J", 0))
special_bessel_j1 = _plain("bessel_j1", K.bessel_j1, _bessel("J", 1))
special_bessel_y0 = _plain("bessel_y0", K.bessel_y0, _bessel("Y", 0))
special_bessel_y1 = _plain("bessel_y1", K.bessel_y1, _bessel("Y", 1))
special_modified_bessel_i0 = _plain("modified_bessel_i0", K.i0, _bessel("I", 0))
special_modified_bessel_i1 = _plain("modified_bessel_i1", K.i1, _bessel("I", 1))
special_modified_bessel_k0 = _plain("modified_bessel_k0", K.k0, _bessel("K", 0))
special_modified_bessel_k1 = _plain("modified_bessel_k1", K.k1, _bessel("K", 1))
special_scaled_modified_bessel_k0 = _plain("scaled_modified_bessel_k0", K.k0e, _bessel("K", 0, True))
special_scaled_modified_bessel_k1 = _plain("scaled_modified_bessel_k1", K.k1e, _bessel("K", 1, True))
special_spherical_bessel_j0 = _plain(
    "spherical_bessel_j0",
    K.spherical_bessel_j0,
    "The spherical Bessel function of the first kind of order 0.",
)


def _polynomial(name: str, doc: str, example: str):
    kernel = getattr(K, name)
    return _of_two(
        "special_" + name, kernel, None, doc, "where to evaluate it", "its degree, truncated", example
    )


special_chebyshev_polynomial_t = _polynomial(
    "chebyshev_polynomial_t",
    "Chebyshev's polynomial of the first kind.",
    "torch.tensor([2.0]), 2 -> tensor([7.])",
)
special_chebyshev_polynomial_u = _polynomial(
    "chebyshev_polynomial_u",
    "Chebyshev's polynomial of the second kind.",
    "torch.tensor([2.0]), 2 -> tensor([15.])",
)
special_chebyshev_polynomial_v = _polynomial(
    "chebyshev_polynomial_v",
    "Chebyshev's polynomial of the third kind.",
    "torch.tensor([2.0]), 2 -> tensor([11.])",
)
special_chebyshev_polynomial_w = _polynomial(
    "chebyshev_polynomial_w",
    "Chebyshev's polynomial of the fourth kind.",
    "torch.tensor([2.0]), 2 -> tensor([19.])",
)
special_shifted_chebyshev_polynomial_t = _polynomial(
    "shifted_chebyshev_polynomial_t",
    "Chebyshev's polynomial of the first kind, shifted to [0, 1].",
    "torch.tensor([2.0]), 2 -> tensor([17.])",
)
special_shifted_chebyshev_polynomial_u = _polynomial(
    "shifted_chebyshev_polynomial_u",
    "Chebyshev's polynomial of the second kind, shifted to [0, 1].",
    "torch.tensor([2.0]), 2 -> tensor([35.])",
)
special_shifted_chebyshev_polynomial_v = _polynomial(
    "shifted_chebyshev_polynomial_v",
    "Chebyshev's polynomial of the third kind, shifted to [0, 1].",
    "torch.tensor([2.0]), 2 -> tensor([29.])",
)
special_shifted_chebyshev_polynomial_w = _polynomial(
    "shifted_chebyshev_polynomial_w",
    "Chebyshev's polynomial of the fourth kind, shifted to [0, 1].",
    "torch.tensor([2.0]), 2 -> tensor([41.])",
)
special_hermite_polynomial_h = _polynomial(
    "hermite_polynomial_h", "Hermite's polynomial, of physics.", "torch.tensor([2.0]), 2 -> tensor([14.])"
)
special_hermite_polynomial_he = _polynomial(
    "hermite_polynomial_he", "Hermite's polynomial, of probability.", "torch.tensor([2.0]), 2 -> tensor([3.])"
)
special_laguerre_polynomial_l = _polynomial(
    "laguerre_polynomial_l", "Laguerre's polynomial.", "torch.tensor([2.0]), 2 -> tensor([-1.])"
)
special_legendre_polynomial_p = _polynomial(
    "legendre_polynomial_p", "Legendre's polynomial.", "torch.tensor([2.0]), 2 -> tensor([5.5000])")  # fmt: skip
