"""Optimizer steps of the extension: all parameters in one call, vectorised and in threads. What native code
does not cover (mixed types, arrays with gaps) goes to the reference kernel of the same name.
"""

from rushlight import _native
from rushlight.kernels.reference import optim as _reference

for _name in _reference.__all__:
    globals()[_name] = _native.optim_kernel(_name, getattr(_reference, _name))

__all__ = list(_reference.__all__)
