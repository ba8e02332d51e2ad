"""Tensors filled with random numbers: PyTorch's CPU numbers after the same seed.

A tensor is filled in the order of its memory. Nothing here has a gradient but zero.
"""

import math
import warnings

import numpy as np
from ml_dtypes import finfo

from rushlight import dtypes
from rushlight.autograd.node import Node
from rushlight.autograd.views import after, before, check_writable
from rushlight.dtypes import SCALAR_NAMES, dtype
from rushlight.ops.common import Tensor, connect, recording
from rushlight.phantom import Phantom
from rushlight.random import Generator, default_generator

REAL = (dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64)
WHOLE = (dtypes.uint8, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64)
UNSIGNED = (dtypes.uint16, dtypes.uint32, dtypes.uint64)
COMPLEX = (dtypes.complex64, dtypes.complex128)
BOOL = (dtypes.bool_,)
# Up to 2 to this power, a floating-point type holds every integer.
DIGITS = {dtypes.float16: 11, dtypes.bfloat16: 8, dtypes.float32: 24, dtypes.float64: 53}
_LEAST = -(2**63)
_REAL_OR_COMPLEX = REAL + COMPLEX
_HOLDS_ALL = (dtypes.int64, dtypes.float64, dtypes.float32, dtypes.bfloat16)  # 64-bit integers, rounded
# The least and the greatest number of each type, integers as far as int64 goes.
LIMITS = {kind: (float(finfo(kind.numpy).min), float(finfo(kind.numpy).max)) for kind in REAL}
LIMITS |= {kind: (int(np.iinfo(kind.numpy).min), int(np.iinfo(kind.numpy).max)) for kind in WHOLE + UNSIGNED}
LIMITS |= {dtypes.bool_: (0, 1), dtypes.uint64: (0, 2**63 - 1)}


# -- gradients --------------------------------------------------------------------------------------


class ZeroBackward(Node):
    """What was overwritten, and what only decided the distribution, has a gradient of zero."""

    def backward(self, grad):
        return tuple(grad.new_zeros(shape) for shape in self.shapes)


def zero_node(name: str) -> type[Node]:
    """A gradient function of this name: zeros."""
    return type(name, (ZeroBackward,), {"__module__": __name__})


UNIFORM, NORMAL, EXPONENTIAL = map(zero_node, ("UniformBackward0", "NormalBackward0", "ExponentialBackward0"))
CAUCHY, LOG_NORMAL, GEOMETRIC = map(
    zero_node, ("CauchyBackward0", "LogNormalBackward0", "GeometricBackward0")
)
BERNOULLI_EACH, BERNOULLI = map(zero_node, ("BernoulliBackward1", "BernoulliBackward2"))
RANDOM_FROM, RANDOM_TO, RANDOM = map(zero_node, ("RandomBackward0", "RandomBackward1", "RandomBackward2"))


# -- filling ----------------------------------------------------------------------------------------


def stream_of(generator: Generator | None, op_name: str):
    """The stream of draws of a generator, or of the default one.

    Raises:
        TypeError: it is no Generator.
    """
    if generator is None:
        return default_generator._stream
    if not isinstance(generator, Generator):
        raise TypeError(
            f"{op_name}(): argument 'generator' must be torch.Generator, not {type(generator).__name__}"
        )
    return generator._stream


def memory_order(array: np.ndarray) -> list[int]:
    """Its dimensions, from the one with the longest steps in memory to the one with the shortest."""
    return sorted(range(array.ndim), key=lambda d: -abs(array.strides[d]))


def fill_in_order(array: np.ndarray, fill) -> None:
    """Fill an array in the order of its memory; `fill` does it for a C-contiguous array."""
    if array.size == 0 or type(array) is Phantom:
        return
    if array.flags.c_contiguous:
        return fill(array)
    array = array.transpose(memory_order(array))
    if array.flags.c_contiguous:
        return fill(array)
    values = np.empty(array.shape, array.dtype)
    fill(values)
    np.copyto(array, values)


def overwrite(t: Tensor, fill, node_type: type[Node], *others: Tensor) -> Tensor:
    """Fill a tensor whose old value, like `others`, then has a gradient of zero."""
    if not recording(t, *others):
        fill_in_order(t._strided(), fill)
        return after(t, None)
    inputs = (before(t), *others)
    fill_in_order(t._strided(), fill)
    node = connect(node_type(), inputs)
    node.shapes = [i._array.shape for i in inputs]
    return after(t, node)


def need(op_name: str, kernel: str, kind: dtype, allowed: tuple) -> None:
    if kind not in allowed:
        raise NotImplementedError(
            f"\"{kernel}\" not implemented for '{SCALAR_NAMES[kind]}': {op_name} expected a tensor of one of "
            f"{', '.join(str(k)[6:] for k in allowed)}, got {kind}; convert it first"
        )


def number(op_name: str, name: str, position: int, value) -> float:
    if type(value) is float:
        return value
    if isinstance(value, Tensor) and value._array.size == 1:
        value = value.item()
    if not isinstance(value, (int, float, np.number)):
        raise TypeError(
            f"{op_name}(): argument '{name}' (position {position}) must be float, not {type(value).__name__}"
        )
    return float(value)


def integer(op_name: str, name: str, position: int, value) -> int:
    if type(value) is not int:
        if isinstance(value, Tensor) and value._array.size == 1:
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(
                f"{op_name}(): argument '{name}' (position {position}) must be int, not "
                f"{type(value).__name__}"
            )
    if not _LEAST <= value < 2**63:
        raise ValueError(f"Overflow when unpacking long long: {op_name} got {name}={value}")
    return int(value)


def _from(op_name: str, named: dict, default):
    """The keyword `from`, which Python cannot spell as a parameter."""
    value = named.pop("from", default)
    if named:
        raise TypeError(f"{op_name}() got an unexpected keyword argument '{next(iter(named))}'")
    return value


# -- methods that fill a tensor ---------------------------------------------------------------------


def uniform_(self, from_=0.0, to=1.0, *, generator=None, **named):
    """Fill with numbers that are uniform in [from, to).

    Args:
        from_: the lower limit; as a keyword, `from`.
        to: the upper limit.
        generator: where to draw from.
    Returns:
        The tensor itself.
    Raises:
        RuntimeError: `from` is above `to`, or they are too far apart for the type.

    >>> import rushlight as torch
    >>> torch.empty(2).uniform_(2, 3, generator=torch.Generator().manual_seed(0))
    tensor([2.4963, 2.7682])
    """
    low = number("uniform_", "from", 1, _from("uniform_", named, from_) if named else from_)
    high = number("uniform_", "to", 2, to)
    check_writable(self)
    kind = self.dtype
    need("uniform_", "check_uniform_bounds", kind, _REAL_OR_COMPLEX)
    most = LIMITS[kind.to_real()][1]
    if not (-most <= low <= high <= most and high - low <= most):
        raise _uniform_error(low, high, kind, most)
    stream = stream_of(generator, "uniform_")
    return overwrite(self, _parts(self, lambda a: stream.uniform(a, low, high)), UNIFORM)


def _uniform_error(low: float, high: float, kind: dtype, most: float) -> RuntimeError:
    for name, value in (("from", low), ("to", high)):
        if not -most <= value <= most:
            return RuntimeError(f"{name} is out of bounds for {kind}: uniform_ got {name}={value:g}")
    if low > high:
        return RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}"
        )
    return RuntimeError(
        f"uniform_ expects to-from <= std::numeric_limits<{SCALAR_NAMES[kind]}>::max(), but found "
        f"to={high:g} and from={low:g} which result in to-from to exceed the limit"
    )


def _parts(t: Tensor, fill):
    """The same for complex tensors: their real and imaginary parts, one after the other."""
    return fill if t._array.dtype.kind != "c" else lambda a: fill(a.reshape(-1).view(a.real.dtype))


def normal_(self, mean=0.0, std=1.0, *, generator=None):
    """Fill with normally distributed numbers.

    Args:
        mean: their mean.
        std: their standard deviation; of a complex number's, each part has std / √2.
        generator: where to draw from.
    Returns:
        The tensor itself.
    Raises:
        RuntimeError: `std` is negative.

    Source: Box and Muller, Annals of Mathematical Statistics 29, 1958.

    >>> import rushlight as torch
    >>> torch.empty(2).normal_(generator=torch.Generator().manual_seed(0))
    tensor([ 1.5410, -0.2934])
    """
    mean, std = number("normal_", "mean", 1, mean), number("normal_", "std", 2, std)
    check_writable(self)
    return normal_fill(self, mean, std, stream_of(generator, "normal_"), NORMAL)


def check_std(std: float) -> None:
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")


def normal_fill(t: Tensor, mean: float, std: float, stream, node_type=NORMAL) -> Tensor:
    check_std(std)
    need("normal", "normal_kernel_cpu", t.dtype, _REAL_OR_COMPLEX)
    array = t._strided()
    parts = array.size
    if array.dtype.kind == "c":
        std, parts = std / math.sqrt(2), 2 * parts
    blocks = parts >= 16 and array.flags.c_contiguous  # as PyTorch decides
    return overwrite(t, _parts(t, lambda a: stream.normal(a, mean, std, blocks)), node_type)


def exponential_(self, lambd=1.0, *, generator=None):
    """Fill with exponentially distributed numbers.

    Args:
        lambd: the rate, one over the mean.
        generator: where to draw from.
    Returns:
        The tensor itself.
    Raises:
        RuntimeError: the rate is not positive.
    """
    rate = number("exponential_", "lambd", 1, lambd)
    check_writable(self)
    if not rate > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
    _continuous(self, "Exponential")
    stream = stream_of(generator, "exponential_")
    return overwrite(self, lambda a: stream.exponential(a, rate), EXPONENTIAL)


def cauchy_(self, median=0.0, sigma=1.0, *, generator=None):
    """Fill with numbers from the Cauchy distribution.

    Args:
        median: their median.
        sigma: half of the distance between the quartiles.
        generator: where to draw from.
    Returns:
        The tensor itself.
    Raises:
        RuntimeError: `sigma` is not positive.
    """
    median, sigma = number("cauchy_", "median", 1, median), number("cauchy_", "sigma", 2, sigma)
    check_writable(self)
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    _continuous(self, "Cauchy")
    stream = stream_of(generator, "cauchy_")
    return overwrite(self, lambda a: stream.cauchy(a, median, sigma), CAUCHY)


def _continuous(t: Tensor, name: str) -> None:
    if t.dtype not in REAL:
        raise RuntimeError(
            f"{name} distribution is a continuous probability distribution. dtype must be a floating point "
            f"but you specified {SCALAR_NAMES[t.dtype]}"
        )


def log_normal_(self, mean=1.0, std=2.0, *, generator=None):
    """Fill with numbers whose logarithm is normally distributed.

    Args:
        mean: the mean of the logarithm.
        std: its standard deviation.
        generator: where to draw from.
    Returns:
        The tensor itself.
    Raises:
        RuntimeError: `std` is not positive.
    """
    mean, std = number("log_normal_", "mean", 1, mean), number("log_normal_", "std", 2, std)
    check_writable(self)
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    need("log_normal_", "log_normal_cpu", self.dtype, REAL)
    stream = stream_of(generator, "log_normal_")
    return overwrite(self, lambda a: stream.log_normal(a, mean, std), LOG_NORMAL)


def geometric_(self, p, *, generator=None):
    """Fill with the numbers of trials that a first success takes.

    Args:
        p: the probability of success of each trial.
        generator: where to draw from.
    Returns:
        The tensor itself.
    Raises:
        RuntimeError: `p` is not between 0 and 1.
    """
    p = number("geometric_", "p", 1, p)
    check_writable(self)
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    need("geometric_", "geometric_cpu", self.dtype, REAL + WHOLE)
    stream = stream_of(generator, "geometric_")
    return overwrite(self, lambda a: stream.geometric(a, p), GEOMETRIC)


def bernoulli_(self, p=0.5, *, generator=None):
    """Fill with ones and zeros.

    Args:
        p: the probability of a one; a tensor gives each element its own.
        generator: where to draw from.
    Returns:
        The tensor itself.
    Raises:
        RuntimeError: a probability is not in [0, 1].
    """
    check_writable(self)
    stream = stream_of(generator, "bernoulli_")
    if not isinstance(p, Tensor):
        p = number("bernoulli_", "p", 1, p)
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
        need("bernoulli_", "bernoulli_scalar_cpu_", self.dtype, REAL + WHOLE + BOOL)
        return overwrite(self, lambda a: stream.bernoulli(a, p), BERNOULLI)
    _check_bernoulli(self.dtype, p)
    order = memory_order(self._strided())
    each = p.expand(self._array.shape)._array.transpose(order)
    return overwrite(self, lambda a: stream.bernoulli_each(a, each), BERNOULLI_EACH, p)


def _check_bernoulli(kind: dtype, p: Tensor) -> None:
    need("bernoulli", "bernoulli_tensor_cpu_self_", kind, REAL + WHOLE + BOOL)
    need("bernoulli", "bernoulli_tensor_cpu_p_", p.dtype, REAL)
    if not ((p._array >= 0) & (p._array <= 1)).all():
        raise RuntimeError(
            "Expected p_in >= 0 && p_in <= 1 to be true, but got false. bernoulli: expected probabilities "
            "between 0 and 1"
        )


def random_(self, *limits, generator=None, **named):
    """Fill with integers, each as probable as the others.

    Called as `random_()`, `random_(to)` or `random_(from, to)`.

    Args:
        from: the least one; 0 by default.
        to: one more than the greatest; None or left out: all that the type holds exactly.
        generator: where to draw from.
    Returns:
        The tensor itself.
    Raises:
        RuntimeError: there is none from `from` to `to - 1`, or the type does not hold them.

    >>> import rushlight as torch
    >>> torch.empty(3).random_(10, generator=torch.Generator().manual_seed(0))
    tensor([4., 9., 3.])
    """
    stream = stream_of(generator, "random_")
    values = dict(zip(("from", "to") if len(limits) > 1 else ("to",), limits, strict=False)) | named
    if len(limits) > 2 or values.keys() - {"from", "to"} or len(values) < len(limits) + len(named):
        raise TypeError(f"random_() expected (), (to) or (from, to), got {limits} and {named}")
    check_writable(self)
    kind = self.dtype
    if not values:
        need("random_", "random_kernel_cpu", kind, REAL + WHOLE + BOOL)
        most = 2 ** DIGITS[kind] if kind in DIGITS else LIMITS[kind][1]
        wide = kind in (dtypes.int64, dtypes.float64)
        return overwrite(self, lambda a: stream.integers(a, 0, most + 1, wide), RANDOM)
    low = integer("random_", "from", 1, values.get("from", 0))
    high = None if values.get("to") is None else integer("random_", "to", len(values), values["to"])
    return random_fill(self, low, high, stream, RANDOM_FROM if "from" in values else RANDOM_TO)


def random_fill(t: Tensor, low: int, high: int | None, stream, node_type=RANDOM_FROM) -> Tensor:
    """Fill with integers from `low` to below `high`."""
    base, span = _range(t.dtype, low, high)
    return overwrite(t, lambda a: stream.integers(a, base, span, span >= 2**28), node_type)


def _range(kind: dtype, low: int, high: int | None) -> tuple[int, int]:
    """From `low` to below `high`, the first integer that this type holds, and how many there are."""
    if kind not in LIMITS:
        raise RuntimeError(
            f"check_random_bounds handles only integral, floating-point and boolean types, got {kind}"
        )
    if high is None and low == _LEAST:
        need("random_", "random_full_64_bits_range_kernel_cpu", kind, _HOLDS_ALL)
        return 0, 2**64
    if high is None and kind is dtypes.uint64:
        raise RuntimeError(f"to - 1 is out of bounds for {kind}: random_ got no upper limit; give one")
    if high is not None and low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    least, most = LIMITS[kind]
    if kind in DIGITS:
        low, last = _held_range(kind, low, high)
    else:
        last = int(most) if high is None else high - 1
    if not (least <= low <= most and least <= last <= most):
        name, value = ("to - 1", last) if least <= low <= most else ("from", low)
        raise RuntimeError(f"{name} is out of bounds for {kind}: random_ got {name}={value}")
    return low, last - low + 1


def _held_range(kind: dtype, low: int, high: int | None) -> tuple[int, int]:
    """The first and the last integer of a range that do not round to others outside it."""
    digits = DIGITS[kind]
    low = _next_held(low, kind)
    last = 2**digits if high is None else _last_held(high, kind) - 1
    if low > last:
        raise RuntimeError(
            "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got "
            f"from={low} >= to={last + 1}"
        )
    for name, value in (("from", low), ("to - 1", last)):
        if abs(value) > 2**digits:
            warnings.warn(
                f"{name} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision limitations {kind} "
                "can support discrete uniform distribution only within this range. This warning will become "
                "an error in version 1.7 release, please fix the code in advance",
                stacklevel=5,
            )
    return low, last


def _rounded(value: int, kind: dtype) -> float:
    """An integer in this floating-point type, to which 16-bit types come through float32."""
    narrow = np.float64(value) if kind is dtypes.float64 else np.float32(value)
    with np.errstate(over="ignore"):
        return float(narrow.astype(kind.numpy))


def _step(value: int, kind: dtype) -> int:
    return 1 << (abs(value).bit_length() - DIGITS[kind])


def _next_held(low: int, kind: dtype) -> int:
    """`low`, or where rounding would lead below it, the next integer that the type holds."""
    rounded = _rounded(low + 1, kind)
    return low if rounded >= low or math.isinf(rounded) else int(rounded) + _step(low + 1, kind)


def _last_held(high: int, kind: dtype) -> int:
    """`high`, or where rounding would lead up to it, the integer before that the type holds."""
    rounded = _rounded(high - 1, kind)
    return high if rounded < high or math.isinf(rounded) else int(rounded) - _step(high - 1, kind)


for _method in (
    uniform_, normal_, exponential_, cauchy_, log_normal_, geometric_, bernoulli_, random_
):  # fmt: skip
    setattr(Tensor, _method.__name__, _method)
