"""Implicit gradients of random numbers: native loops over float64 numbers."""

from rushlight import _native
from rushlight.kernels.reference import implicit as _reference
from rushlight.kernels.reference.special import double

__all__ = _reference.__all__


@double
def gamma_gradient(a, x):
    """dx / da for a number x of the gamma distribution with shape a."""
    return _native.gamma_gradient(a, x)


@double
def dirichlet_gradient(x, a, total):
    """dx / da / (1 - x) for a number x of the beta distribution with parameters a and total - a."""
    return _native.dirichlet_gradient(x, a, total)
