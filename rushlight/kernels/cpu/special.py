"""Special functions: native where a loop over single numbers pays, else the reference kernels."""

from rushlight import _native
from rushlight.kernels.reference import special as _reference

__all__ = _reference.__all__

globals().update({name: _native.elementwise(getattr(_reference, name)) for name in __all__})

_LARGE = 1e6  # above it, Temme's expansion, which the reference has, needs far fewer terms


def _incomplete(native, reference):
    @_reference.double
    def kernel(a, x):
        return (native if a.max(initial=0) < _LARGE else reference)(a, x)

    kernel.__name__, kernel.__doc__ = reference.__name__, reference.__doc__
    return kernel


igamma = _incomplete(_native.igamma, _reference.igamma)
igammac = _incomplete(_native.igammac, _reference.igammac)


def polygamma(n, x, out=None):
    """Derivative number n of digamma."""
    return trigamma(x, out=out) if n == 1 else _reference.polygamma(n, x, out=out)  # noqa: F821
