"""Random numbers of gamma, Dirichlet and binomial distributions: PyTorch's CPU numbers after the same seed.

Gamma numbers have the implicit gradient of their shape parameters, computed exactly; PyTorch approximates it, within
0.1 % for most.
"""

import numpy as np

from rushlight import dtypes
from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import empty_by
from rushlight.ops.common import broadcast_error, check_tensor, record, recording, wrap
from rushlight.ops.random_fills import need, stream_of, zero_node
from rushlight.ops.registry import op

_TYPES = (dtypes.float32, dtypes.float64)
_BINOMIAL = zero_node("BinomialBackward0")


class StandardGammaGradBackward0(Node):
    def backward(self, grad):
        raise NotImplementedError("the derivative for '_standard_gamma_grad: self' is not implemented.")


class StandardGammaBackward0(Node):
    def backward(self, grad):
        shape, value = self.unpack()
        return grad * _standard_gamma_grad(shape, value)


def _gamma_numbers(out: np.ndarray, shapes: np.ndarray, stream) -> None:
    """Fill with gamma numbers, none of which is 0."""
    stream.gamma(out, shapes)
    np.maximum(out, np.asanyarray(np.finfo(out.dtype).tiny, out.dtype), out=out)


@op(method=False)
def _standard_gamma(input, generator=None):
    """Random numbers of gamma distributions of rate 1.

    Args:
        input: the shape parameter for each element.
        generator: where to draw from.
    Returns:
        A tensor of the same shape, whose gradient is implicit (Figurnov et al. 2018).

    Source: Marsaglia and Tsang, ACM TOMS 26, 2000.
    """
    need("_standard_gamma", "gamma_cpu", check_tensor("_standard_gamma", input).dtype, _TYPES)
    shapes = input._strided()
    array = empty_by(shapes, shapes.shape)
    _gamma_numbers(array, shapes, stream_of(generator, "_standard_gamma"))
    if not recording(input):
        return wrap(array)
    return record(array, StandardGammaBackward0, (input,), input, wrap(array))


@op(method=False)
def _standard_gamma_grad(self, output):
    """The derivative of gamma numbers `output` with respect to the shape parameters `self`."""
    array = K.gamma_gradient(check_tensor("_standard_gamma_grad", self, "self")._array, output._array)
    if recording(self, output):
        return record(array, StandardGammaGradBackward0, (self, output))
    return wrap(array)


@op(method=False)
def _sample_dirichlet(input, generator=None):
    """Random points of Dirichlet distributions.

    Args:
        input: the concentrations, of shape (..., n).
        generator: where to draw from.
    Returns:
        A tensor of the same shape, of positive numbers that add up to 1.
    """
    need("_sample_dirichlet", "dirichlet", check_tensor("_sample_dirichlet", input).dtype, _TYPES)
    wide = empty_by(input._array, input._array.shape, np.float64)
    _gamma_numbers(wide, input._strided(), stream_of(generator, "_sample_dirichlet"))
    with np.errstate(invalid="ignore"):
        points = (wide / wide.sum(-1, keepdims=True)).astype(input._array.dtype)
    kind = points.dtype.type
    limits = np.finfo(points.dtype).tiny, np.nextafter(kind(1), kind(0))
    return wrap(np.clip(points, *limits, out=points))


@op(method=False)
def _dirichlet_grad(x, alpha, total):
    """The implicit derivative of the parts `x` of Dirichlet points with respect to their concentrations `alpha`.

    Args:
        x: the parts.
        alpha: their concentrations.
        total: the sum of the concentrations of a point.
    """
    return wrap(
        K.dirichlet_gradient(check_tensor("_dirichlet_grad", x, "x")._array, alpha._array, total._array)
    )


@op(method=False)
def binomial(count, prob, generator=None):
    """Random numbers of successes.

    Args:
        count: the number of trials, for each element a whole number of a floating-point type.
        prob: the probability of success of each trial.
        generator: where to draw from.
    Returns:
        A tensor of the shape of `count`.
    Raises:
        ValueError: the tensors are not of a floating-point type.

    Source: Hörmann, Journal of Statistical Computation and Simulation 46, 1993.

    >>> import rushlight as torch
    >>> torch.binomial(torch.tensor([5.0, 5.0]), torch.tensor([0.0, 1.0]))
    tensor([0., 5.])
    """
    check_tensor("binomial", count, "count")
    check_tensor("binomial", prob, "prob", 2)
    for name, t in (("count", count), ("prob", prob)):
        if t._array.dtype.kind not in "fV":
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, got: {SCALAR_NAMES[t.dtype]}"
            )
    if count.dtype is not prob.dtype:
        raise RuntimeError(
            f"Found dtype {SCALAR_NAMES[prob.dtype]} but expected {SCALAR_NAMES[count.dtype]}: binomial"
        )
    need("binomial", "binomial_cpu", count.dtype, _TYPES)
    try:
        probabilities = np.broadcast_to(prob._strided(), count._array.shape)
    except ValueError:
        raise broadcast_error("binomial", count._array.shape, prob._array.shape) from None
    array = empty_by(count._array, count._array.shape)
    stream_of(generator, "binomial").binomial(array, count._strided(), probabilities)
    if recording(count, prob):
        shapes = [count._array.shape, prob._array.shape]
        return record(array, _BINOMIAL, (count, prob), shapes=shapes)
    return wrap(array)
