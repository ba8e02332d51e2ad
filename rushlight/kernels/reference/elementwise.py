"""Elementwise kernels in plain NumPy: the oracle of the native ones, and their fallback.

Operands of two-operand kernels have one dtype and broadcast, or one is a Python scalar, which takes the
other's dtype. float16 and bfloat16 are computed in float32; beside them a number may also be a float32 array
without axes. Results are arrays, never NumPy scalars; nothing warns.
"""

import functools
import math

import numpy as np

from rushlight.kernels.reference.layout import is_low_precision, widen

_SQRT_HALF = math.sqrt(0.5)
_SQRT_2_PI = math.sqrt(2 / math.pi)
_GELU_CUBIC = 0.044715
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def _result(value, out=None):
    """`value` as an array, or `out` holding it."""
    if out is None:
        return np.asanyarray(value)
    np.copyto(out, value, casting="unsafe")
    return out


def _unary(name: str, function):
    """The kernel of a NumPy ufunc of one operand."""

    def kernel(x, out=None):
        with np.errstate(all="ignore"):
            return np.asanyarray(function(x, out=out))

    return _named(kernel, name, function)


def _binary(name: str, function):
    """The kernel of a NumPy ufunc of two operands."""

    def kernel(x, y, out=None):
        with np.errstate(all="ignore"):
            arrays = [a for a in (x, y) if isinstance(a, np.ndarray)]
            low = next((a.dtype for a in arrays if is_low_precision(a.dtype)), None)
            if low is None or any(a.dtype != low and a.ndim for a in arrays):
                return np.asanyarray(function(x, y, out=out))
            value = np.asanyarray(function(*[widen(a) if isinstance(a, np.ndarray) else a for a in (x, y)]))
            return _result(value.astype(low) if value.dtype == np.float32 else value, out)

    return _named(kernel, name, function)


def _named(kernel, name: str, function):
    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = f"`{function.__name__}` of each element."
    return kernel


def _formula(function):
    """The kernel of a formula: silent, in float32 for narrow types, with `out=`."""

    @functools.wraps(function)
    def kernel(*operands, out=None, **options):
        first = next(a for a in operands if isinstance(a, np.ndarray))
        with np.errstate(all="ignore"):
            if is_low_precision(first.dtype):
                wide = [widen(a) if isinstance(a, np.ndarray) else a for a in operands]
                value = np.asanyarray(function(*wide, **options))
                return _result(value.astype(first.dtype) if value.dtype == np.float32 else value, out)
            return _result(function(*operands, **options), out)

    return kernel


def _math(name: str, function):
    """The kernel of a function of the standard library on one float, in float64."""
    each = np.frompyfunc(function, 1, 1)

    def kernel(x, out=None):
        with np.errstate(all="ignore"):
            return _result(np.asanyarray(each(x.astype(np.float64))).astype(x.dtype), out)

    return _named(kernel, name, function)


# -- two operands ---------------------------------------------------------------------------------------

add = _binary("add", np.add)
sub = _binary("sub", np.subtract)
mul = _binary("mul", np.multiply)
div = _binary("div", np.true_divide)
maximum = _binary("maximum", np.maximum)
minimum = _binary("minimum", np.minimum)
fmax = _binary("fmax", np.fmax)
fmin = _binary("fmin", np.fmin)
atan2 = _binary("atan2", np.arctan2)
hypot = _binary("hypot", np.hypot)
eq = _binary("eq", np.equal)
ne = _binary("ne", np.not_equal)
lt = _binary("lt", np.less)
le = _binary("le", np.less_equal)
gt = _binary("gt", np.greater)
ge = _binary("ge", np.greater_equal)
logical_and = _binary("logical_and", np.logical_and)
logical_or = _binary("logical_or", np.logical_or)
logical_xor = _binary("logical_xor", np.logical_xor)
bitwise_and = _binary("bitwise_and", np.bitwise_and)
bitwise_or = _binary("bitwise_or", np.bitwise_or)
bitwise_xor = _binary("bitwise_xor", np.bitwise_xor)
left_shift = _binary("left_shift", np.left_shift)
right_shift = _binary("right_shift", np.right_shift)


def _nonzero(y):
    """Refuse to divide integers by zero, which PyTorch reports as a RuntimeError."""
    if np.asanyarray(y).dtype.kind in "iub" and not np.all(y):
        raise RuntimeError("ZeroDivisionError: expected an integer divisor without zeros, got 0")


@_formula
def floor_divide(x, y):
    """x / y rounded down."""
    _nonzero(y)
    return np.floor_divide(x, y)


@_formula
def trunc_divide(x, y):
    """x / y rounded towards zero."""
    _nonzero(y)
    quotient = np.true_divide(x, y) if np.result_type(x, y).kind == "f" else np.floor_divide(x, y)
    if quotient.dtype.kind == "f":
        return np.trunc(quotient)
    return quotient + ((np.remainder(x, y) != 0) & ((x < 0) != (y < 0))).astype(quotient.dtype)


@_formula
def remainder(x, y):
    """What floor division leaves: it has the sign of y."""
    _nonzero(y)
    return np.remainder(x, y)


@_formula
def fmod(x, y):
    """What division towards zero leaves: it has the sign of x."""
    _nonzero(y)
    return np.fmod(x, y)


@_formula
def pow(x, y):
    """x to the power y. Integers to negative powers are 0, but for 1 and -1."""
    kind = np.result_type(x, y).kind
    if kind == "b":
        return np.logical_or(x, np.logical_not(y))
    if kind == "i" and np.any(np.less(y, 0)):
        x, y = np.broadcast_arrays(x, y)
        small = np.where(x == 1, x, np.where(x == -1, np.where(y % 2 == 0, -x, x), np.zeros_like(x)))
        return np.where(y < 0, small, np.power(x, np.maximum(y, 0)))
    if np.ndim(y) == 0 and kind == "f" and np.abs(y) == 0.5:  # as PyTorch: a negative zero keeps its sign
        return np.sqrt(x) if y > 0 else 1 / np.sqrt(x)
    return np.power(x, y)


@_formula
def where(condition, x, y):
    """x where the condition holds, else y."""
    chosen = np.where(condition, x, y)
    kinds = [a.dtype for a in (x, y) if isinstance(a, np.ndarray)]
    if len(kinds) == 1:  # a number takes the other's type
        return chosen.astype(kinds[0], copy=False)
    return chosen


@_formula
def mul_add(x, y, alpha):
    """x + alpha * y."""
    return x + alpha * y


@_formula
def mask_scale(x, mask, scale):
    """x * scale where the mask is set, else 0."""
    return x * (mask.astype(x.dtype) * x.dtype.type(scale))


def copy(dst, src):
    """Write src, broadcast and cast, into dst; returns dst."""
    with np.errstate(all="ignore"):
        np.copyto(dst, src, casting="unsafe")
    return dst


def cast(x, dtype):
    """x in another type, its memory in the same order."""
    with np.errstate(all="ignore"):
        return x.astype(dtype)


# -- one operand ----------------------------------------------------------------------------------------

neg = _unary("neg", np.negative)
abs = _unary("abs", np.absolute)
exp = _unary("exp", np.exp)
exp2 = _unary("exp2", np.exp2)
expm1 = _unary("expm1", np.expm1)
log = _unary("log", np.log)
log2 = _unary("log2", np.log2)
log10 = _unary("log10", np.log10)
log1p = _unary("log1p", np.log1p)
sqrt = _unary("sqrt", np.sqrt)
square = _unary("square", np.square)
sin = _unary("sin", np.sin)
cos = _unary("cos", np.cos)
tan = _unary("tan", np.tan)
asin = _unary("asin", np.arcsin)
acos = _unary("acos", np.arccos)
atan = _unary("atan", np.arctan)
sinh = _unary("sinh", np.sinh)
cosh = _unary("cosh", np.cosh)
tanh = _unary("tanh", np.tanh)
asinh = _unary("asinh", np.arcsinh)
acosh = _unary("acosh", np.arccosh)
atanh = _unary("atanh", np.arctanh)
floor = _unary("floor", np.floor)
ceil = _unary("ceil", np.ceil)
trunc = _unary("trunc", np.trunc)
round = _unary("round", np.rint)
isnan = _unary("isnan", np.isnan)
isinf = _unary("isinf", np.isinf)
isfinite = _unary("isfinite", np.isfinite)
logical_not = _unary("logical_not", np.logical_not)
bitwise_not = _unary("bitwise_not", np.invert)


@_formula
def sgn(x):
    """x / |x|, 0 where x is 0 or nan."""
    return np.sign(x) if x.dtype.kind != "f" else np.where(np.isnan(x), x.dtype.type(0), np.sign(x))


@_formula
def sign(x):
    """1, 0 or -1, and 0 for nan."""
    return sgn(x)


@_formula
def frac(x):
    """x without its integer part."""
    return x - np.trunc(x)


@_formula
def rsqrt(x):
    """1 / sqrt(x)."""
    return 1 / np.sqrt(x)


@_formula
def reciprocal(x):
    """1 / x."""
    return 1 / x


@_formula
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


@_formula
def logsigmoid(x):
    """log(sigmoid(x))."""
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


@_formula
def relu(x):
    """x where it is positive (or nan), else 0."""
    return np.maximum(x, x.dtype.type(0))


def _lgamma(x: float) -> float:
    if math.isinf(x) or (x <= 0 and x == math.floor(x)):
        return math.inf
    return math.lgamma(x)


def _digamma(x: float) -> float:
    """Recurrence up to 6, reflection below 0, then the asymptotic series (Abramowitz & Stegun 6.3.18)."""
    if x == 0:
        return math.copysign(math.inf, -x)
    if math.isnan(x) or x == -math.inf or (x < 0 and x == math.floor(x)):
        return math.nan
    if x < 0:
        return _digamma(1 - x) - math.pi / math.tan(math.pi * math.fmod(x, 1.0))
    shift = 0.0
    while x < 10:
        shift += 1 / x
        x += 1
    r = 1 / (x * x)
    series = r * (
        1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r * (1 / 132 - r * (691 / 32760 - r / 12)))))
    )
    return math.log(x) - 0.5 / x - series - shift if x < math.inf else math.inf


def _erfinv(y: float) -> float:
    """Giles's single-precision start (2010), then three steps of Newton on erf or, in the tails, erfc."""
    if not -1 < y < 1:
        return math.copysign(math.inf, y) if y in (-1, 1) else math.nan
    w = -math.log1p(-y * y)
    if w < 5:
        c = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 2.1858087e-04, -1.25372503e-03,
             -4.17768164e-03, 0.246640727, 1.50140941)  # fmt: skip
        t = w - 2.5
    else:
        c = (-2.00214257e-04, 1.00950558e-04, 1.34934322e-03, -3.67342844e-03, 5.73950773e-03, -7.6224613e-03,
             9.43887047e-03, 1.00167406, 2.83297682)  # fmt: skip
        t = math.sqrt(w) - 3
    x = functools.reduce(lambda p, a: p * t + a, c) * y
    for _ in range(3):
        error = math.erf(x) - y if w < 5 else math.copysign((1 - math.fabs(y)) - math.erfc(math.fabs(x)), y)
        x -= error / (2 / math.sqrt(math.pi) * math.exp(-x * x))
    return x


erf = _math("erf", math.erf)
erfc = _math("erfc", math.erfc)
lgamma = _math("lgamma", _lgamma)
digamma = _math("digamma", _digamma)
erfinv = _math("erfinv", _erfinv)


# -- activations ----------------------------------------------------------------------------------------


@_formula
def clamp(x, lo, hi):
    """x, but not below lo nor above hi; None, or an infinity, is no limit."""
    if isinstance(lo, (int, float)) and lo == -math.inf:
        lo = None
    if isinstance(hi, (int, float)) and hi == math.inf:
        hi = None
    if lo is not None:
        x = np.maximum(x, lo)
    return np.minimum(x, hi) if hi is not None else x.copy(order="K") if lo is None else x


@_formula
def hardtanh(x, lo=-1.0, hi=1.0):
    """x, but not below lo nor above hi."""
    return np.minimum(np.maximum(x, lo), hi)


@_formula
def relu6(x):
    """x, but not below 0 nor above 6."""
    return np.minimum(np.maximum(x, x.dtype.type(0)), x.dtype.type(6))


def _normal_cdf(x):
    return 0.5 * (1 + erf(x * _SQRT_HALF))


@_formula
def gelu(x, approximate="none"):
    """x times the normal distribution function of x (Hendrycks & Gimpel 2016), or its tanh approximation."""
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(_SQRT_2_PI * (x + _GELU_CUBIC * x * x * x)))
    return x * _normal_cdf(x)


@_formula
def silu(x):
    """x * sigmoid(x)."""
    return x / (1 + np.exp(-x))


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@_formula
def mish(x):
    """x * tanh(softplus(x)) (Misra 2019)."""
    return x * np.tanh(_softplus(x))


@_formula
def softplus(x, beta=1.0, threshold=20.0):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x exceeds the threshold."""
    return np.where(x * beta > threshold, x, np.log1p(np.exp(x * beta)) / beta)


@_formula
def elu(x, alpha=1.0, scale=1.0, input_scale=1.0):
    """scale * x for positive x, else scale * alpha * (exp(input_scale * x) - 1) (Clevert et al. 2015)."""
    return np.where(x > 0, x * scale, np.expm1(x * input_scale) * (alpha * scale))


def celu(x, alpha=1.0, out=None):
    """x for positive x, else alpha * (exp(x / alpha) - 1)."""
    return elu(x, alpha, 1.0, 1.0 / alpha, out=out)


def selu(x, out=None):
    """The self-normalising exponential unit (Klambauer et al. 2017)."""
    return elu(x, _SELU_ALPHA, _SELU_SCALE, out=out)


@_formula
def leaky_relu(x, slope=0.01):
    """x for positive x, else slope * x."""
    return np.where(x > 0, x, x * slope)


@_formula
def hardsigmoid(x):
    """(x + 3) / 6, but not below 0 nor above 1."""
    return np.minimum(np.maximum(x + 3, 0), 6) / 6


@_formula
def hardswish(x):
    """x * hardsigmoid(x)."""
    return x * np.minimum(np.maximum(x + 3, 0), 6) / 6


@_formula
def softsign(x):
    """x / (1 + |x|)."""
    return x / (1 + np.abs(x))


@_formula
def tanhshrink(x):
    """x - tanh(x)."""
    return x - np.tanh(x)


@_formula
def softshrink(x, lambd=0.5):
    """x moved towards 0 by lambd, 0 where it is nearer than that."""
    return np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, x * 0))


@_formula
def hardshrink(x, lambd=0.5):
    """x, but 0 where |x| <= lambd."""
    return np.where((x >= -lambd) & (x <= lambd), x.dtype.type(0), x)


@_formula
def threshold(x, threshold, value):
    """x where it exceeds the threshold, else value."""
    return np.where(x <= threshold, x.dtype.type(value), x)


# -- gradients of activations ---------------------------------------------------------------------------


@_formula
def relu_backward(g, y):
    """0 where y <= 0, else g."""
    return np.where(y <= 0, g.dtype.type(0), g)


@_formula
def sigmoid_backward(g, y):
    """Gradient of y = sigmoid(x)."""
    return g * (1 - y) * y


@_formula
def tanh_backward(g, y):
    """Gradient of y = tanh(x)."""
    return g * (1 - y * y)


@_formula
def gelu_backward(g, x, approximate="none"):
    """Gradient of gelu(x)."""
    if approximate == "tanh":
        t = np.tanh(_SQRT_2_PI * (x + _GELU_CUBIC * x * x * x))
        slope = _SQRT_2_PI * (1 + 3 * _GELU_CUBIC * x * x)
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
    return g * (_normal_cdf(x) + x * np.exp(-0.5 * x * x) * (0.5 * _SQRT_2_PI))


@_formula
def silu_backward(g, x):
    """Gradient of silu(x)."""
    s = 1 / (1 + np.exp(-x))
    return g * s * (1 + x * (1 - s))


@_formula
def mish_backward(g, x):
    """Gradient of mish(x)."""
    t, s = np.tanh(_softplus(x)), 1 / (1 + np.exp(-x))
    return g * (t + x * s * (1 - t * t))


@_formula
def logsigmoid_backward(g, x):
    """Gradient of logsigmoid(x)."""
    return g / (1 + np.exp(x))


@_formula
def softplus_backward(g, x, beta=1.0, threshold=20.0):
    """Gradient of softplus(x)."""
    return np.where(x * beta > threshold, g, g / (1 + np.exp(-(x * beta))))


@_formula
def elu_backward(g, x, alpha=1.0, scale=1.0, input_scale=1.0):
    """Gradient of elu(x)."""
    return np.where(x > 0, g * scale, g * np.exp(x * input_scale) * (alpha * scale * input_scale))


@_formula
def leaky_relu_backward(g, x, slope=0.01):
    """Gradient of leaky_relu(x)."""
    return np.where(x > 0, g, g * slope)


@_formula
def hardtanh_backward(g, x, lo=-1.0, hi=1.0):
    """g where lo < x < hi, else 0."""
    return np.where((x > lo) & (x < hi), g, g.dtype.type(0))


@_formula
def clamp_backward(g, x, lo, hi):
    """g where lo <= x <= hi, else 0; None is no limit."""
    lo, hi = -math.inf if lo is None else lo, math.inf if hi is None else hi
    return np.where((x >= lo) & (x <= hi), g, g.dtype.type(0))


@_formula
def hardsigmoid_backward(g, x):
    """g / 6 where -3 < x < 3, else 0."""
    return np.where((x > -3) & (x < 3), g / 6, g.dtype.type(0))


@_formula
def hardswish_backward(g, x):
    """Gradient of hardswish(x)."""
    return np.where(x <= -3, g.dtype.type(0), np.where(x >= 3, g, g * (x / 3 + 0.5)))


@_formula
def hardshrink_backward(g, x, lambd=0.5):
    """g where |x| > lambd, else 0: the gradient of hardshrink and softshrink."""
    return np.where((x < -lambd) | (x > lambd), g, g.dtype.type(0))


@_formula
def threshold_backward(g, x, threshold):
    """g where x exceeds the threshold, else 0."""
    return np.where(x <= threshold, g.dtype.type(0), g)


__all__ = [
    name for name, f in list(globals().items()) if getattr(f, "__module__", "") == __name__ and name[0] != "_"
]
