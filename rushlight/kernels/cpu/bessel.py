"""Bessel functions: native where a loop over single numbers pays, else the reference kernels."""

from rushlight import _native
from rushlight.kernels.reference import bessel as _reference

__all__ = _reference.__all__

globals().update({name: _native.elementwise(getattr(_reference, name)) for name in __all__})
