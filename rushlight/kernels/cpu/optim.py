"""Optimizer steps of the extension: all parameters in one call, vectorised and in threads. What native code
does not cover (mixed types, arrays with gaps) goes to the reference kernel of the same name.
"""

from rushlight import _native
from rushlight.kernels.reference import optim as _reference

adam_step = _native.adam_kernel(_reference.adam_step)
sgd_step = _native.sgd_kernel(_reference.sgd_step)

__all__ = ["adam_step", "sgd_step"]
