"""Elementwise kernels of the extension. Each takes what its reference kernel takes, and calls that one for
what native code does not cover: types other than float32 and float64, unusual layouts.
"""

from rushlight import _native
from rushlight.kernels.reference import elementwise as _reference

__all__ = _reference.__all__

globals().update({name: _native.elementwise(getattr(_reference, name)) for name in __all__})
