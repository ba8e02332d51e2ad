"""Reductions, softmax and classification losses of the extension, for float32 and float64. What native code
does not cover goes to the reference kernel of the same name.
"""

from rushlight import _native
from rushlight.kernels.reference import reduce as _reference

__all__ = _reference.__all__

globals().update({name: _native.reduction(getattr(_reference, name)) for name in __all__})
